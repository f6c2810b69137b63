"""The `ragloom` command.

Commands work on the data folder directly, or through the server that holds it, without a
difference to whoever calls them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.common import AsJson, Data, exits, finish, settings_of
from app.commands.jobs import ingest, jobs_cli
from app.commands.keys import keys_cli
from app.commands.knowledge import kb_cli
from app.commands.sources import sources_cli
from app.commands.workflows import workflows_cli

if TYPE_CHECKING:
    from app.settings import Settings

#: Serves until interrupted; the second argument prints a line.
Serve = Callable[["Settings", Callable[[str], None]], None]

_EXIT_CODES = (
    "Exit codes: 0 done; 1 it went wrong (a failed run, a document that could not be read); "
    "2 wrong use or unusable input; 3 data folder or port in use; 4 not found; 5 disk full; "
    "6 model not available; 130 interrupted."
)

cli = typer.Typer(
    name="ragloom",
    help="Ragloom: a visual workshop for retrieval-augmented generation.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.command()(ingest)
cli.add_typer(jobs_cli, name="jobs")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(workflows_cli, name="workflows")
cli.add_typer(sources_cli, name="sources")
cli.add_typer(kb_cli, name="kb")


def run(serve: Serve) -> None:
    """Run the command line; `serve` starts the server."""
    cli(prog_name="ragloom", obj=serve)


def _pair(text: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that is a JSON object or list is taken as that."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise typer.BadParameter(f"“{text}” is not NAME=VALUE.", param_hint="--input")
    if value[:1] in ("{", "["):
        import json

        try:
            return name.strip(), json.loads(value)
        except ValueError:
            pass
    return name.strip(), value


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(version("ragloom"))
        except PackageNotFoundError:
            typer.echo("not installed")
        raise typer.Exit


@cli.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@cli.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    data: Data = None,
    demo: Annotated[
        bool | None, typer.Option("--demo/--no-demo", help="Fill an empty data folder.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Start the server and print the link that opens it."""
    with exits():
        settings = settings_of(host=host, port=port, data=data, demo=demo, log_level=log_level)
        start: Serve = context.obj
        start(settings, typer.echo)


@cli.command("run")
def run_workflow(
    workflow: Annotated[str, typer.Argument(help="A file, or the id or name of a workflow.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="NAME=VALUE, such as question=…", metavar="K=V"),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Reuse no earlier results.")] = False,
) -> None:
    """Run a workflow and print its answer."""
    with exits():
        given = dict(_pair(item) for item in inputs or ())
        finish(_run(workflow, given, settings_of(data=data), as_json=as_json, fresh=fresh))


async def _run(
    workflow: str, given: dict[str, Any], settings: Settings, *, as_json: bool, fresh: bool
) -> int:
    from app.commands import show
    from app.commands.backend import open_backend, read_workflow_file

    async with open_backend(settings) as backend:
        what: str | dict[str, Any] | None
        what = await asyncio.to_thread(read_workflow_file, Path(workflow))
        if what is None:
            what = await backend.find_workflow(workflow)
        run_id = ""
        async for event in backend.execute(what, given, use_cache=not fresh):
            run_id = event.run_id
            if not as_json:
                show.step(event)
        run = await backend.execution(run_id)
    if as_json:
        show.as_json(run)
    else:
        show.execution(run)
    return 0 if run["status"] == "completed" else 1


@cli.command()
def search(
    kb: Annotated[str, typer.Argument(help="Knowledge base, by id or name.")],
    query: Annotated[str, typer.Argument(help="What to search for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="Most passages.")] = 5,
    search_type: Annotated[
        str, typer.Option("--type", help="semantic, keyword, hybrid or adaptive.")
    ] = "hybrid",
    rerank: Annotated[bool, typer.Option(help="Put the best first with the reranker.")] = False,
    ref: Annotated[str, typer.Option(help="Branch, or id of a commit.")] = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Search a knowledge base."""
    with exits():
        from app.services.views import SearchConfig

        config = SearchConfig.model_validate(
            {"search_type": search_type, "k": k, "rerank": rerank, "ref": ref}
        )
        finish(_search(kb, query, config, settings_of(data=data), as_json=as_json))


async def _search(kb: str, query: str, config: Any, settings: Settings, *, as_json: bool) -> int:
    from app.commands import show
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        found = await backend.search(kb, query, config)
    if as_json:
        show.as_json(found)
    else:
        show.search_results(found)
    return 0


@cli.command()
def link(data: Data = None) -> None:
    """Print a fresh link to the pages of the running server."""
    with exits():
        from app.services.neighbour import fresh_link

        typer.echo(fresh_link(settings_of(data=data)))


@cli.command()
def doctor(
    host: Annotated[str | None, typer.Option(help="Address the server would listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port the server would listen on.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Check that everything needed is here: data folder, disk, port, models."""
    with exits():
        from app.commands import show
        from app.services.doctor import examine

        findings = []
        for finding in examine(settings_of(host=host, port=port, data=data)):
            findings.append(finding)
            if not as_json:
                show.finding(finding.name, finding.state, finding.message, finding.fix)
        if as_json:
            show.as_json([finding.model_dump() for finding in findings])
        if any(finding.state == "error" for finding in findings):
            raise typer.Exit(1)
