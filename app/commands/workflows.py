"""`ragloom workflows`: workflows as files."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.common import AsJson, Data, exits, finish, settings_of

if TYPE_CHECKING:
    from app.settings import Settings

workflows_cli = typer.Typer(help="Workflows as files.", no_args_is_help=True)


@workflows_cli.command("list")
def workflows_list(data: Data = None, as_json: AsJson = False) -> None:
    """List workflows."""
    with exits():
        finish(_workflows_list(settings_of(data=data), as_json=as_json))


async def _workflows_list(settings: Settings, *, as_json: bool) -> int:
    from app.commands import show
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        found = await backend.workflows()
    if as_json:
        show.as_json(found)
    for workflow in () if as_json else found:
        typer.echo(f"{workflow['workflow_id']}  {workflow['name']}")
    return 0


class ExportFormat(StrEnum):
    """What a workflow can be written as."""

    JSON = "json"
    MERMAID = "mermaid"
    SVG = "svg"
    PNG = "png"
    PYTHON = "python"


@workflows_cli.command("export")
def workflows_export(
    workflow: Annotated[str, typer.Argument(help="Id or name.")],
    file: Annotated[
        Path | None, typer.Argument(help="File to write; else standard output.")
    ] = None,
    format: Annotated[
        ExportFormat | None,
        typer.Option("--format", "-f", help="Else from the file's ending, else json."),
    ] = None,
    data: Data = None,
) -> None:
    """Write a workflow as a file: its own format, a diagram, a picture, a Python program."""
    with exits():
        if format is None:
            ending = file.suffix.lower() if file is not None else ""
            format = _ENDINGS.get(ending, ExportFormat.JSON)
        finish(_workflows_export(workflow, file, format, settings_of(data=data)))


_ENDINGS = {
    ".mmd": ExportFormat.MERMAID,
    ".svg": ExportFormat.SVG,
    ".png": ExportFormat.PNG,
    ".py": ExportFormat.PYTHON,
}


async def _workflows_export(
    workflow: str, file: Path | None, format: ExportFormat, settings: Settings
) -> int:
    from app.commands.backend import open_backend

    async with open_backend(settings) as backend:
        workflow_id = await backend.find_workflow(workflow)
        content = await backend.export_workflow(workflow_id, format.value)
    if file is None:
        sys.stdout.buffer.write(content)
    else:
        await asyncio.to_thread(file.write_bytes, content)
    return 0


@workflows_cli.command("import")
def workflows_import(
    file: Annotated[
        Path,
        typer.Argument(
            help="A workflow file: ours, or an export of RAGFlow, Dify, Langflow or Flowise.",
            exists=True,
            dir_okay=False,
        ),
    ],
    data: Data = None,
) -> None:
    """Keep a workflow from a file and print its id; what was changed on the way goes to stderr."""
    with exits():
        finish(_workflows_import(file, settings_of(data=data)))


async def _workflows_import(file: Path, settings: Settings) -> int:
    from app.commands.backend import open_backend

    content = await asyncio.to_thread(file.read_bytes)
    async with open_backend(settings) as backend:
        imported = await backend.import_workflow(content)
    for note in imported["report"]["notes"]:
        typer.echo(note, err=True)
    typer.echo(imported["workflow_id"])
    return 0
