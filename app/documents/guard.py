"""Parsing in worker processes: a hostile file costs one of them, never the server."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from app.documents.extract import registered_references, with_language
from app.documents.extract.options import ExtractOptions
from app.documents.guard_process import ParseLimits, WorkerProcess, cancelled
from app.documents.model import ExtractedDocument

__all__ = ["ParseLimits", "WorkerPool"]

#: Seconds without work after which a worker ends, to give its memory back.
IDLE_S = 60.0


@dataclass(slots=True)
class _Job:
    request: bytes
    future: Future[ExtractedDocument] = field(default_factory=Future)
    #: Set while a worker is at it.
    worker: WorkerProcess | None = None
    abandoned: bool = False


class WorkerPool:
    """A few warm processes that turn files into text.

    Processes start with the first files, are replaced when they crash, hang, outgrow their memory
    or keep much of it, end when idle and die with this process. Usable from any event loop.
    """

    def __init__(self, workers: int = 2, limits: ParseLimits | None = None) -> None:
        self.limits = limits or ParseLimits()
        self._size = workers
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[Thread] = []
        self._lock = Lock()
        self._running: list[_Job] = []
        self._open_jobs = 0
        self._closed = False

    async def extract(
        self,
        path: Path,
        filename: str = "",
        options: ExtractOptions | Mapping[str, Any] | None = None,
    ) -> ExtractedDocument:
        """Return the text of the file at `path`, called `filename` where it came from.

        Cancelling ends the parse.

        Raises:
            DocumentError: the file cannot be read; see the class for codes.
            pydantic.ValidationError: an option is unknown or out of bounds.
            RuntimeError: after `close`.
        """
        job = _Job(_request(path, filename, options))
        self._submit(job)
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        finally:
            with self._lock:
                self._open_jobs -= 1

    def close(self) -> None:
        """End the processes; what still waits fails with the code "cancelled"."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            for job in self._running:
                if job.worker is not None:
                    job.worker.kill()
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()

    def _submit(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("The pool of document readers was closed.")
            self._open_jobs += 1
            self._jobs.put(job)
            if len(self._threads) < min(self._size, self._open_jobs):
                thread = Thread(target=self._serve, name=f"parse-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _abandon(self, job: _Job) -> None:
        with self._lock:
            job.abandoned = True
            if job.worker is not None:
                job.worker.kill()
        job.future.cancel()

    def _serve(self) -> None:
        """Own one process at a time. (It dies with this thread, so the thread stays.)"""
        worker: WorkerProcess | None = None
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_S)
            except queue.Empty:
                _close(worker)
                worker = None
                continue
            if job is None:
                _close(worker)
                return
            if job.future.set_running_or_notify_cancel():
                worker = self._run(job, worker)

    def _run(self, job: _Job, worker: WorkerProcess | None) -> WorkerProcess | None:
        """Do one job; return the worker if it is fit for another."""
        try:
            if worker is None or not worker.alive:
                _close(worker)
                worker = WorkerProcess(self.limits)
            worker.timeout_s = self.limits.timeout_s  # it may be another since the process began
            self._begin(job, worker)
            try:
                # Every worker would unpack 80 MB to tell languages apart; this process has them.
                job.future.set_result(with_language(worker.run(job.request)))
            finally:
                self._end(job)
        except BaseException as error:  # whoever waits must hear of it
            job.future.set_exception(error)
        if worker is not None and not worker.alive:
            _close(worker)
            return None
        return worker

    def _begin(self, job: _Job, worker: WorkerProcess) -> None:
        with self._lock:
            if self._closed or job.abandoned:
                raise cancelled()
            job.worker = worker
            self._running.append(job)

    def _end(self, job: _Job) -> None:
        with self._lock:
            job.worker = None
            self._running.remove(job)


def _close(worker: WorkerProcess | None) -> None:
    if worker is not None:
        worker.close()


def _request(
    path: Path, filename: str, options: ExtractOptions | Mapping[str, Any] | None
) -> bytes:
    if not isinstance(options, ExtractOptions):
        options = ExtractOptions.model_validate(options or {})
    fields = options.model_dump(mode="json")
    if options.password is not None:  # dumped as stars
        fields["password"] = options.password.get_secret_value()
    return json.dumps(
        {
            "path": str(path.absolute()),
            "filename": filename or path.name,
            "options": fields,
            "extractors": registered_references(),
        }
    ).encode()
