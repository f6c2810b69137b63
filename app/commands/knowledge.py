"""`ragloom kb`: the branches of a knowledge base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.common import AsJson, Data, exits, finish, settings_of

if TYPE_CHECKING:
    from app.settings import Settings

kb_cli = typer.Typer(
    help="Branches of a knowledge base, which the pages call copies.", no_args_is_help=True
)


@kb_cli.callback()
def _root() -> None:
    pass


@kb_cli.command("branch")
def kb_branch(
    kb: Annotated[str, typer.Argument(help="Knowledge base, by id or name.")],
    delete: Annotated[
        str | None, typer.Option("--delete", metavar="NAME", help="Delete this branch.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List the branches of a knowledge base, or delete one that is not in use."""
    with exits():
        settings = settings_of(data=data)
        if delete is None:
            finish(_list(kb, settings, as_json=as_json))
        else:
            finish(_delete(kb, delete, settings, as_json=as_json))


async def _list(kb: str, settings: Settings, *, as_json: bool) -> int:
    from app.commands import show
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        found = await backend.branches(kb)
    if as_json:
        show.as_json([branch.model_dump(mode="json") for branch in found])
        return 0
    for branch in found:
        state = "in use" if branch.in_use else "taken over" if branch.taken_over else ""
        documents = f"{branch.document_count:,} documents"
        line = f"{branch.branch}  {branch.commit[:8]}  {documents}  {branch.embedding_model}"
        typer.echo(f"{line}  {state}".rstrip())
    return 0


async def _delete(kb: str, name: str, settings: Settings, *, as_json: bool) -> int:
    from app.commands import show
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        gone = await backend.delete_branch(kb, name)
    if as_json:
        show.as_json(gone.model_dump(mode="json"))
    else:
        typer.echo(f"Deleted “{gone.branch}”; its last commit was {gone.commit}.", err=True)
    return 0
