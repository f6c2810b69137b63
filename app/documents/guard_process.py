"""One worker process as its owner sees it: ask, wait until a deadline, end."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

from pydantic import Field, TypeAdapter, ValidationError

from app.documents.errors import DocumentError
from app.documents.model import Block, ExtractedDocument, Frozen
from app.documents.worker import HEADER

log = logging.getLogger(__name__)

#: Seconds a document may take at most, however often its reader says that it goes on.
LONGEST_S = 3_600.0
#: What a worker inherits of the environment: no keys, no settings of the server.
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "HOME", "VIRTUAL_ENV", "TZ")


class ParseLimits(Frozen):
    """What one parse may use."""

    timeout_s: float = Field(
        120.0, gt=0, description="Wall clock of one document, of a scan of each of its pages."
    )
    memory_mb: int = Field(1536, ge=256, description="Address space of a worker process.")
    max_answer_mb: int = Field(256, ge=1, description="Size of the extracted document as JSON.")


class _Failure(Frozen):
    code: str
    message: str
    fix: str


class _Answer(Frozen):
    """One message. Blocks come in batches, the document without them comes last: parsing a large
    one at once would hold the interpreter, and with it the event loop, for too long. An empty one
    says that the reader is at work.
    """

    blocks: tuple[Block, ...] = ()
    document: ExtractedDocument | None = None
    error: _Failure | None = None
    #: False where the worker ends after this answer.
    fit: bool = True


_ANSWER = TypeAdapter(_Answer)


class WorkerProcess:
    """A process that runs `app.documents.worker`. Used by one thread; `kill` may come from any."""

    def __init__(self, limits: ParseLimits) -> None:
        """Start the process; it dies with the thread that started it."""
        self._limits = limits
        #: Seconds without a sign of life after which it is given up; may change between requests.
        self.timeout_s = limits.timeout_s
        self._stopped = False
        self._fit = True
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        settings = {
            "parent": os.getpid(),
            "memory_bytes": limits.memory_mb * 2**20,
            "max_answer_bytes": limits.max_answer_mb * 2**20,
        }
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter, this package)
            [sys.executable, "-P", "-m", "app.documents.worker", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            bufsize=0,
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can take another document."""
        return self._fit and not self._stopped and self._process.poll() is None

    def kill(self) -> None:
        """End the process; the thread that waits for its answer gets a "cancelled"."""
        self._stopped = True
        self._process.kill()

    def close(self) -> None:
        """End the process and free what it held."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()

    def run(self, request: bytes) -> ExtractedDocument:
        """Return the answer to one request. After an error the process may have ended.

        Raises:
            DocumentError: what the worker says, or timeout, crashed, too_large, cancelled.
        """
        self._fit = False  # until it has answered
        started = time.monotonic()
        deadline = started + self.timeout_s
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(HEADER.pack(len(request)) + request)
        except BrokenPipeError:
            raise self._ended() from None
        blocks: list[Block] = []
        room = self._limits.max_answer_mb * 2**20 + 4096
        while True:
            (size,) = HEADER.unpack(self._read(HEADER.size, deadline))
            room -= size
            if room < 0:
                raise self._crashed("sent more than it may")
            try:
                answer = _ANSWER.validate_json(self._read(size, deadline))
            except ValidationError:
                raise self._crashed("answered with something unexpected") from None
            if answer.error is not None:
                self._fit = answer.fit
                raise DocumentError(answer.error.code, answer.error.message, answer.error.fix)
            blocks += answer.blocks
            deadline = min(time.monotonic(), started + LONGEST_S) + self.timeout_s
            if answer.document is not None:
                self._fit = answer.fit
                return answer.document.model_copy(update={"blocks": tuple(blocks)})

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        data = bytearray()
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise DocumentError(
                    "timeout",
                    f"Reading the file took longer than {self.timeout_s:g} s.",
                    "Split the document, or raise the time limit for parsing.",
                )
            part = os.read(descriptor, min(size - len(data), 1 << 20))
            if not part:
                raise self._ended()
            data += part
        return bytes(data)

    def _ended(self) -> DocumentError:
        code = self._process.wait()
        if self._stopped:
            return cancelled()
        reason = f"exit code {code}"
        if code < 0:
            reason = signal.Signals(-code).name
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        log.warning("A document reader ended (%s). %s", reason, self._errors.read().decode())
        return self._crashed(f"ended with {reason}")

    @staticmethod
    def _crashed(reason: str) -> DocumentError:
        return DocumentError(
            "crashed",
            f"The file broke the process that read it ({reason}); nothing else was harmed.",
            "Open it in the program that made it, save it anew and upload that.",
        )


def cancelled() -> DocumentError:
    """Return the error for a parse that was ended on purpose."""
    return DocumentError("cancelled", "Reading the file was cancelled.", "Upload it again.")


def _environment() -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        # The same packages as here, whatever the working folder.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Each thread's malloc arena would reserve 64 MB of the address space allowed.
        "MALLOC_ARENA_MAX": "2",
    }
