"""Extractors that misbehave on purpose, imported by worker processes."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from app.documents.alive import alive
from app.documents.extract.options import ExtractOptions
from app.documents.model import Block, ExtractedDocument


def obey(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Do what the file says."""
    order = path.read_text().split()[-1]
    text = ORDERS[order](options) if order in ORDERS else order
    return ExtractedDocument(
        media_type="text/x-order", blocks=(Block(kind="paragraph", text=str(text)),)
    )


def _print(options: ExtractOptions) -> str:
    print("noise on standard output")
    os.write(1, b"more noise")
    return "print"


def _slowly(options: ExtractOptions) -> str:
    """Take longer than a worker may without a sign of life, and give signs of life."""
    for _ in range(18):
        time.sleep(0.25)
        alive()
    return "slowly"


_kept: list[bytearray] = []


def _keep(options: ExtractOptions) -> int:
    """Hold on to 260 MB, as a library that leaks does."""
    _kept.append(bytearray(b"x") * 260_000_000)
    return os.getpid()


def _forever(n: int) -> int:
    return _forever(n + 1) + 1


ORDERS: dict[str, Callable[[ExtractOptions], object]] = {
    "hang": lambda options: time.sleep(600),
    "slowly": _slowly,
    "crash": lambda options: ctypes.string_at(0),
    "hoard": lambda options: "x" * 4_000_000_000,
    "shout": lambda options: "x" * 30_000_000,
    "connect": lambda options: socket.create_connection(("127.0.0.1", 9)),
    "raise": lambda options: 1 / 0,
    "recurse": lambda options: _forever(0),
    "print": _print,
    "keep": _keep,
    "pid": lambda options: os.getpid(),
    "secret": lambda options: os.environ.get("OPENAI_API_KEY", "none"),
    "option": lambda options: options.extra["word"],
}
