"""`ragloom sources`: folders, pages and sitemaps that a knowledge base follows."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.common import AsJson, Data, exits, finish, settings_of

if TYPE_CHECKING:
    from app.commands.backend import Backend
    from app.services.sources.views import RefreshView, SourceView
    from app.settings import Settings

sources_cli = typer.Typer(
    help="Folders, pages and sitemaps that a knowledge base follows: "
    "`ragloom sources KB add|list|refresh|remove`.",
    no_args_is_help=True,
)

_POLL_S = 0.2
Source = Annotated[str, typer.Argument(help="Id, name or location of a source.")]


class SourceKind(StrEnum):
    """What a source is."""

    FOLDER = "folder"
    URL = "url"
    SITEMAP = "sitemap"


@sources_cli.callback()
def _root(
    context: typer.Context,
    kb: Annotated[str, typer.Argument(help="Knowledge base, by id or name.")],
) -> None:
    context.obj = kb


@sources_cli.command("list")
def list_sources(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """List the sources of a knowledge base."""
    with exits():
        finish(_list(context.obj, settings_of(data=data), as_json=as_json))


async def _list(kb: str, settings: Settings, *, as_json: bool) -> int:
    from app.commands import show
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        found = await backend.sources(kb)
    if as_json:
        show.as_json([source.model_dump(mode="json") for source in found])
        return 0
    for source in found:
        typer.echo(f"{source.source_id}  {source.kind:7}  {source.name}  {source.location}")
        typer.echo(f"    {_state(source)}")
    if not found:
        typer.echo("No sources yet; add one with `ragloom sources KB add LOCATION`.", err=True)
    return 0


@sources_cli.command("add")
def add_source(
    context: typer.Context,
    location: Annotated[str, typer.Argument(help="Folder, or address of a page or sitemap.")],
    kind: Annotated[SourceKind | None, typer.Option(help="Else told from the location.")] = None,
    name: Annotated[str, typer.Option(help="Else its folder or host.")] = "",
    include: Annotated[
        list[str] | None, typer.Option(help="Pattern of paths that count, such as *.pdf.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Pattern of paths that are left out.")
    ] = None,
    remove_gone: Annotated[
        bool, typer.Option("--remove-gone", help="Remove documents whose file or page is gone.")
    ] = False,
    cron: Annotated[
        str, typer.Option(help="When to refresh it, such as “0 3 * * *” for every day at three.")
    ] = "",
    timezone: Annotated[str, typer.Option(help="Such as Europe/Berlin.")] = "UTC",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add a source, and take its documents in."""
    with exits():
        found = kind.value if kind is not None else kind_of(location)
        if found == "folder":
            location = str(Path(location).expanduser().absolute())
        given = {
            "kind": found,
            "location": location,
            "name": name,
            "settings": {
                "include": include or [],
                "exclude": exclude or [],
                "remove_gone": remove_gone,
            },
            "cron": cron,
            "timezone": timezone,
        }
        finish(_add(context.obj, given, settings_of(data=data), as_json=as_json))


async def _add(kb: str, given: dict[str, Any], settings: Settings, *, as_json: bool) -> int:
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        kb_id, made = await backend.ensure_knowledge_base(kb)
        if made:
            typer.echo(f"Made the knowledge base “{kb}”.", err=True)
        source = await backend.add_source(kb_id, given)
        return await _follow(backend, [source], as_json=as_json)


@sources_cli.command("refresh")
def refresh_sources(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help="Id, name or location of a source; else all.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Hand in everything anew.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take in what changed."""
    with exits():
        finish(_refresh(context.obj, source, settings_of(data=data), full=full, as_json=as_json))


async def _refresh(
    kb: str, name: str | None, settings: Settings, *, full: bool, as_json: bool
) -> int:
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        known = await backend.sources(kb)
        chosen = known if name is None else [_choose(name, known)]
        begun = [await backend.refresh_source(kb, one.source_id, full=full) for one in chosen]
        return await _follow(backend, begun, as_json=as_json)


@sources_cli.command("remove")
def remove_source(
    context: typer.Context,
    source: Source,
    documents: Annotated[
        bool, typer.Option("--documents", help="Take its documents out too.")
    ] = False,
    data: Data = None,
) -> None:
    """Forget a source; its documents stay unless asked otherwise."""
    with exits():
        finish(_remove(context.obj, source, settings_of(data=data), documents=documents))


async def _remove(kb: str, name: str, settings: Settings, *, documents: bool) -> int:
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        source = _choose(name, await backend.sources(kb))
        await backend.remove_source(kb, source.source_id, documents=documents)
    typer.echo(f"Removed the source “{source.name}”.", err=True)
    return 0


async def _follow(backend: Backend, sources: list[SourceView], *, as_json: bool) -> int:
    """Wait until refreshes and the reading of their documents are through, and say what came."""
    from app.commands import show
    from app.commands.bars import FileBars
    from app.commands.jobs import follow

    ended: list[SourceView] = []
    waiting = {source.source_id for source in sources}
    while waiting:
        for known in await backend.sources(sources[0].knowledge_base_id):
            if known.source_id in waiting and _is_over(known):
                waiting.discard(known.source_id)
                ended.append(known)
                if not as_json:
                    _report(known)
        if waiting:
            await asyncio.sleep(_POLL_S)
    failed = any(not source.refresh or not _went_well(source.refresh) for source in ended)
    with FileBars(0) as bars:
        for job in [job for source in ended if source.refresh for job in source.refresh.jobs]:
            await follow(backend, job, bars, quiet=as_json)
            failed |= (await backend.job(job)).progress.failed > 0
    if as_json:
        show.as_json([source.model_dump(mode="json") for source in ended])
    return 1 if failed else 0


def _is_over(source: SourceView) -> bool:
    return source.refresh is not None and source.refresh.status != "running"


def _went_well(last: RefreshView) -> bool:
    return last.status == "completed" and last.failed == 0


def _report(source: SourceView) -> None:
    from rich.markup import escape

    from app.commands import show

    show.err.print(f"{escape(source.name)}: {escape(_state(source))}")
    last = source.refresh
    for failure in last.failures[:20] if last else ():
        words = f"{failure['key']}: {failure.get('message', '')}"
        show.err.print(f"  [red]✗[/] {escape(words)}")
    for note in last.notes[:20] if last else ():
        show.err.print(f"  [dim]· {escape(note)}[/]")


def _state(source: SourceView) -> str:
    last = source.refresh
    if last is None:
        words = "not refreshed yet"
    elif last.error:
        words = f"failed: {last.error['message']} {last.error.get('fix', '')}".strip()
    else:
        counts = ((name, getattr(last, name)) for name in _COUNTED)
        said = ", ".join(f"{number} {name}" for name, number in counts if number)
        words = f"{last.status}: {said or 'nothing found'}"
    if source.note:
        return f"{words.rstrip('.')}. {source.note}"
    return f"{words}; next {source.next_words}" if source.next_words else words


_COUNTED = ("added", "changed", "unchanged", "removed", "gone", "failed")


def kind_of(location: str) -> str:
    """What a location is: a folder, a sitemap (by its name), or a page."""
    if not location.lower().startswith(("http://", "https://")):
        return "folder"
    path = location.lower().partition("?")[0].partition("#")[0].rpartition("/")[2]
    return "sitemap" if "sitemap" in path and path.endswith((".xml", ".gz", ".txt")) else "url"


def _choose(name: str, sources: list[SourceView]) -> SourceView:
    from app.engine.problems import RagloomError

    found = [s for s in sources if name in (s.source_id, s.name, s.location)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RagloomError(
            f"{len(found)} sources are called “{name}”.",
            code="ambiguous",
            fix=f"Use one of their ids: {', '.join(source.source_id for source in found)}.",
        )
    raise RagloomError(
        f"There is no source “{name}”.",
        code="not_found",
        fix="`ragloom sources KB list` shows what there is.",
    )
