"""What all commands share: options, settings, and errors as exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from app.settings import Settings

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder; RAGLOOM_DATA.", show_default="./data"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]


@contextmanager
def exits() -> Iterator[None]:
    """Turn errors into a message and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
    except Exception as error:
        from app.commands import show
        from app.services.problems import explain

        report = explain(error)
        show.problem(report)
        raise typer.Exit(report.exit_code) from None


def settings_of(**flags: Any) -> Settings:
    """Settings from file, variables and these flags."""
    from app.settings import load_settings

    return load_settings(**flags)


def finish(work: Coroutine[Any, Any, int]) -> None:
    """Run a command to its end and exit with its code."""
    code = asyncio.run(work)
    if code:
        raise typer.Exit(code)
