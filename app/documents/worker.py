"""A process that reads one document after another for its parent, inside limits.

Protocol, both ways: messages of four bytes of length (big endian), then that much JSON. Nothing a
hostile file may do to this process reaches the parent but such messages, which the parent checks.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

HEADER = struct.Struct(">I")
#: Linux's prctl option: the signal this process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
#: A process that holds more than this part of what it may take is replaced after the document: it
#: leaks, and the next document is to have room.
_HELD_SHARE = 2
#: What parsers have no reason to do. (Files are read; temporary ones are written.)
_FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
)


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    requests, answers = _take_pipes()
    settings = json.loads(sys.argv[1])
    _die_with_parent(settings["parent"])
    _limit(settings["memory_bytes"])
    # Only now: what is imported before the limits is this package and the standard library.
    from app.documents.alive import listen
    from app.documents.worker_task import run

    listen(lambda: _write(answers, [b"{}"], settings["max_answer_bytes"]))
    sys.addaudithook(_refuse)
    while (request := _read(requests)) is not None:
        messages, go_on = run(request, settings["memory_bytes"] // _HELD_SHARE)
        _write(answers, messages, settings["max_answer_bytes"])
        if not go_on:
            return


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes, and give libraries that print nothing to break them with."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, answers


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _limit(memory_bytes: int) -> None:
    """Bound memory, files and core dumps. RLIMIT_AS counts mappings, so it also bounds forks."""
    import resource

    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    os.nice(5)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"a document tried {event}")


def _read(pipe: BinaryIO) -> dict[str, Any] | None:
    header = pipe.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    request = json.loads(pipe.read(HEADER.unpack(header)[0]))
    request["path"] = Path(request["path"])
    return dict(request)


def _write(pipe: BinaryIO, messages: list[bytes], limit: int) -> None:
    if sum(map(len, messages)) > limit:
        error = {
            "code": "too_large",
            "message": f"The document's text takes more than {limit // 2**20:,} MB.",
            "fix": "Split the document into several files.",
        }
        messages = [json.dumps({"error": error}).encode()]
    for message in messages:
        pipe.write(HEADER.pack(len(message)) + message)
    pipe.flush()


if __name__ == "__main__":
    main()
