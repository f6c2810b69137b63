"""`ragloom ingest` and `ragloom jobs`: files on their way into knowledge bases."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.common import AsJson, Data, exits, finish, settings_of
from app.documents.media import KINDS_IN_WORDS

if TYPE_CHECKING:
    from app.commands.backend import Backend
    from app.commands.bars import FileBars
    from app.services.views import TaskView
    from app.settings import Settings

jobs_cli = typer.Typer(
    help="Uploads under way: list, pause, go on, cancel, try again.", no_args_is_help=False
)
JobId = Annotated[str, typer.Argument(help="Id of the job, as `ragloom jobs list` shows it.")]


def ingest(
    kb: Annotated[str, typer.Argument(help="Knowledge base, by id or name; made if new.")],
    paths: Annotated[
        list[Path],
        typer.Argument(help=f"Files, folders and zip files: {KINDS_IN_WORDS}.", exists=True),
    ],
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config", "-c", metavar="K=V", help="How to process them, such as chunk_size=200."
        ),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put files into a knowledge base and wait until they are searchable."""
    with exits():
        chosen = dict(_setting(item) for item in config or ())
        finish(_ingest(kb, paths, chosen, settings_of(data=data), as_json=as_json))


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that is JSON (a number, true, a list) is taken as that."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise typer.BadParameter(f"“{text}” is not NAME=VALUE.", param_hint="--config")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


async def _ingest(
    kb: str, paths: list[Path], config: dict[str, Any], settings: Settings, *, as_json: bool
) -> int:
    from app.commands import show
    from app.commands.backend import open_backend
    from app.commands.bars import FileBars
    from app.commands.files import batches, find_files

    files = await asyncio.to_thread(find_files, paths)
    jobs: list[str] = []
    async with open_backend(settings) as backend:
        kb_id, made = await backend.ensure_knowledge_base(kb)
        if made:
            show.err.print(f"Made the knowledge base “{kb}”.")
        with FileBars(len(files)) as bars:
            # Files are read and embedded while the next ones are handed in.
            following: list[asyncio.Task[None]] = []
            try:
                for batch in batches(files):
                    job = await backend.submit(kb_id, batch, config)
                    jobs.append(job.job_id)
                    bars.submitted(job, len(batch))
                    shown = follow(backend, job.job_id, bars, quiet=as_json)
                    following.append(asyncio.create_task(shown))
                await asyncio.gather(*following)
            finally:
                for task in following:
                    task.cancel()
                await asyncio.gather(*following, return_exceptions=True)
        results = [result for job_id in jobs for result in (await backend.job(job_id)).results]
        if sys.stdin.isatty() and not as_json:
            results = await _unlock(backend, kb_id, results)
    return _report(results, as_json=as_json)


async def _unlock(backend: Backend, kb: str, results: list[TaskView]) -> list[TaskView]:
    """Ask for the passwords of encrypted files; who gives none leaves the file locked."""
    from app.services.rows import locked

    ended = []
    asking = True
    for file in results:
        last = file
        while asking and locked(last):
            password = _ask_password(last)
            asking = password is not None
            if not password:
                break
            job = await backend.give_password(kb, file.document_id, password)
            async for _ in backend.follow(job.job_id):
                pass
            found = (await backend.job(job.job_id)).results
            last = next(one for one in found if one.document_id == file.document_id)
        ended.append(last)
    return ended


def _ask_password(file: TaskView) -> str | None:
    """The password of a file; None where nothing more shall be asked."""
    wrong = (file.error or {}).get("code") == "wrong_password"
    words = f"{'That is not it. ' if wrong else ''}Password of {file.filename} (Enter to skip)"
    # The loop would take the first Ctrl+C for itself, and the prompt stay.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        given = typer.prompt(words, default="", hide_input=True, show_default=False, err=True)
    except typer.Abort:
        return None
    finally:
        signal.signal(signal.SIGINT, before)
    return str(given)


async def follow(backend: Backend, job_id: str, bars: FileBars, *, quiet: bool) -> None:
    """Follow a job with bars until it has ended; with `quiet`, without its files."""
    from app.services.views import JobView

    async for view in backend.follow(job_id):
        if isinstance(view, JobView):
            bars.job(view)
        elif not quiet:
            bars.file(view)


def _report(results: list[TaskView], *, as_json: bool) -> int:
    from app.commands import bars, show

    if as_json:
        show.as_json([result.model_dump(mode="json") for result in results])
    else:
        bars.reasons(results)
    return 0 if all(result.status == "success" for result in results) else 1


@jobs_cli.callback(invoke_without_command=True)
def _jobs(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        jobs_list()


@jobs_cli.command("list")
def jobs_list(
    kb: Annotated[str | None, typer.Option("--kb", help="Of one knowledge base.")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(help="queued, running, paused, completed, failed or cancelled."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most jobs.")] = 20,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with exits():
        finish(_list(kb, status or [], limit, settings_of(data=data), as_json=as_json))


async def _list(
    kb: str | None, statuses: list[str], limit: int, settings: Settings, *, as_json: bool
) -> int:
    from app.commands import bars, show
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        jobs = await backend.jobs(kb, statuses, limit)
    if as_json:
        show.as_json([job.model_dump(mode="json", exclude={"results"}) for job in jobs])
    for job in () if as_json else jobs:
        typer.echo(bars.job_line(job))
    if not jobs and not as_json:
        show.err.print("There are no jobs.")
    return 0


@jobs_cli.command("show")
def jobs_show(job: JobId, data: Data = None, as_json: AsJson = False) -> None:
    """Show a job and the state of each of its files."""
    with exits():
        finish(_steer("show", job, settings_of(data=data), as_json=as_json))


@jobs_cli.command("pause")
def jobs_pause(job: JobId, data: Data = None) -> None:
    """Stop working on a job until it is resumed."""
    with exits():
        finish(_steer("pause", job, settings_of(data=data)))


@jobs_cli.command("cancel")
def jobs_cancel(job: JobId, data: Data = None) -> None:
    """Stop a job for good; files that are in stay."""
    with exits():
        finish(_steer("cancel", job, settings_of(data=data)))


@jobs_cli.command("resume")
def jobs_resume(job: JobId, data: Data = None) -> None:
    """Go on with a paused job at once, and wait for it."""
    with exits():
        finish(_go_on("resume", job, settings_of(data=data)))


@jobs_cli.command("retry")
def jobs_retry(job: JobId, data: Data = None) -> None:
    """Try the failed files of a job once more, and wait for them."""
    with exits():
        finish(_go_on("retry", job, settings_of(data=data)))


async def _steer(what: str, job_id: str, settings: Settings, *, as_json: bool = False) -> int:
    from app.commands import bars, show
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        job = await (backend.job(job_id) if what == "show" else backend.steer(job_id, what))
    if as_json:
        show.as_json(job.model_dump(mode="json"))
        return 0
    typer.echo(bars.job_line(job))
    for result in job.results if what == "show" else ():
        stage = f" {result.stage}" if result.status == "running" else ""
        why = f": {result.error_message}" if result.error_message else ""
        typer.echo(f"  {result.status}{stage}  {result.filename}{why}")
    return 0


async def _go_on(what: str, job_id: str, settings: Settings) -> int:
    from app.commands.backend import open_backend
    from app.commands.bars import FileBars

    async with open_backend(settings) as backend:
        job = await backend.steer(job_id, what)
        with FileBars(0) as bars:
            bars.job(job)
            await follow(backend, job_id, bars, quiet=False)
        ended = await backend.job(job_id)
    return _report(ended.results, as_json=False)
