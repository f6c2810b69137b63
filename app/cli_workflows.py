"""`ragloom workflows`: workflows as files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_common import AsJson, Data, exits, finish, settings_of

if TYPE_CHECKING:
    from app.settings import Settings

workflows_cli = typer.Typer(help="Workflows as files.", no_args_is_help=True)


@workflows_cli.command("list")
def workflows_list(data: Data = None, as_json: AsJson = False) -> None:
    """List workflows."""
    with exits():
        finish(_workflows_list(settings_of(data=data), as_json=as_json))


async def _workflows_list(settings: Settings, *, as_json: bool) -> int:
    from app import cli_show
    from app.cli_backend import open_backend

    async with open_backend(settings) as backend:
        found = await backend.workflows()
    if as_json:
        cli_show.as_json(found)
    for workflow in () if as_json else found:
        typer.echo(f"{workflow['workflow_id']}  {workflow['name']}")
    return 0


@workflows_cli.command("export")
def workflows_export(
    workflow: Annotated[str, typer.Argument(help="Id or name.")],
    file: Annotated[
        Path | None, typer.Argument(help="File to write; else standard output.")
    ] = None,
    data: Data = None,
) -> None:
    """Write a workflow as a file."""
    with exits():
        finish(_workflows_export(workflow, file, settings_of(data=data)))


async def _workflows_export(workflow: str, file: Path | None, settings: Settings) -> int:
    import json

    from app import cli_show
    from app.cli_backend import open_backend

    async with open_backend(settings) as backend:
        graph = await backend.export_workflow(await backend.find_workflow(workflow))
    if file is None:
        cli_show.as_json(graph)
    else:
        text = json.dumps(graph, ensure_ascii=False, indent=2) + "\n"
        await asyncio.to_thread(file.write_text, text, "utf-8")
    return 0


@workflows_cli.command("import")
def workflows_import(
    file: Annotated[Path, typer.Argument(help="A workflow file.", exists=True, dir_okay=False)],
    data: Data = None,
) -> None:
    """Keep a workflow from a file and print its id."""
    with exits():
        finish(_workflows_import(file, settings_of(data=data)))


async def _workflows_import(file: Path, settings: Settings) -> int:
    from app.cli_backend import open_backend

    content = await asyncio.to_thread(file.read_bytes)
    async with open_backend(settings) as backend:
        view = await backend.import_workflow(content)
    for warning in view["warnings"]:
        typer.echo(warning, err=True)
    typer.echo(view["workflow_id"])
    return 0
