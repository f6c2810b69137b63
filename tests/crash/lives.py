"""Lives of a process that may be killed at any moment.

Each is forked from a process that has imported what it needs: a life begins where a new interpreter
would have spent seconds on imports.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

#: Prints a line for whoever watches.
Say = Callable[[str], None]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "alembic.command",
        "app.documents.embed_onnx",
        "app.services.container",
        "chromadb",
        "onnxruntime",
        "tantivy",
        "tests.crash.child",
        "tokenizers",
    ]
)


class Life:
    """A process that runs `main(say, *args)`."""

    def __init__(self, main: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self._said, said = _FORKS.Pipe(duplex=False)
        self._errors = tempfile.NamedTemporaryFile()  # noqa: SIM115 (closed with the process)
        self._log = ""
        self._process = _FORKS.Process(
            target=_live, args=(said, self._errors.name, main, args), daemon=True
        )
        self._process.start()
        said.close()

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def line(self) -> str:
        """Wait for the next line that it says. Raises RuntimeError where it ends before."""
        try:
            return str(self._said.recv())
        except EOFError:
            raise self._ended("") from None

    def kill(self) -> None:
        """End it as the kernel would, whatever it is doing."""
        self._process.kill()
        self._close()

    def end(self, code: int = 0, timeout_s: float = 200) -> str:
        """Wait until it ends with this exit code, and return its last line.

        Raises RuntimeError where it does not.
        """
        last = ""
        while self._said.poll(timeout_s):
            try:
                last = str(self._said.recv())
            except EOFError:
                ended = self._ended(last)
                if self._process.exitcode != code:
                    raise ended from None
                return last
        self.kill()
        raise self._ended(f"still at work after {timeout_s:g} s, {last}")

    def errors(self) -> str:
        """What it wrote to stderr."""
        return self._log if self._errors.closed else Path(self._errors.name).read_text()

    def _ended(self, said: str) -> RuntimeError:
        self._close()
        return RuntimeError(f"it ended with {self._process.exitcode}: {said}\n{self._log}")

    def _close(self) -> None:
        self._process.join()
        self._said.close()
        self._log = self.errors()
        self._errors.close()


def _live(
    said: Connection, errors: str, main: Callable[..., Coroutine[Any, Any, None]], args: Any
) -> None:
    from app.services.problems import explain

    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND), 2)
    try:
        asyncio.run(main(said.send, *args))
    except Exception as error:
        report = explain(error)
        said.send(report.sentence())
        sys.exit(report.exit_code)
