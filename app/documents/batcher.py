"""Few threads that gather concurrent embedding requests into micro-batches."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

from app.documents.embed import Embedder, Kind

if TYPE_CHECKING:
    import numpy as np

#: Texts of a batch: on two cores 16 passages take a quarter of a second, which a query may wait.
_MAX_BATCH = 16


@dataclass(order=True, slots=True)
class _Request:
    """A part of a call; queries sort before passages, earlier before later."""

    rank: int
    number: int
    kind: Kind = field(compare=False)
    texts: list[str] = field(compare=False)
    #: Most texts that a batch with this part in it may hold.
    most: int = field(compare=False)
    future: Future[Any] = field(compare=False, default_factory=Future)


class MicroBatcher:
    """Serves `embed` to many tasks at once from one worker thread, or a few.

    Long calls are cut into parts of `max_batch` texts, and waiting queries go before waiting
    passages: a question never waits for more than one batch a thread of somebody's ingestion.
    Threads start with the first request. `max_batch` is the embedder's `batch_size` where it has
    one, and the number of threads its `lanes`: more than one where a batch leaves the embedder's
    own threads idle at its end, and they may take up the next one then.
    """

    def __init__(self, embedder: Embedder, *, max_batch: int | None = None) -> None:
        self.embedder = embedder
        self._max_batch: int = max_batch or getattr(embedder, "batch_size", 0) or _MAX_BATCH
        self._queue: list[_Request] = []
        self._numbers = itertools.count()
        self._changed = Condition()
        self._lanes: int = getattr(embedder, "lanes", 1)
        self._threads: list[Thread] = []
        self._closed = False

    async def embed(
        self, texts: Sequence[str], kind: Kind = "passage", *, most: int | None = None
    ) -> np.ndarray:
        """Return unit vectors, shape (len(texts), dim), float32, without blocking the loop.

        The embedder is given at most `most` of these texts at once, where that is less than its
        batches hold.

        Raises:
            EmbedderError: as the embedder does.
            RuntimeError: after `close`.
        """
        import numpy as np

        size = self._max_batch if most is None else min(most, self._max_batch)
        parts = [list(texts[i : i + size]) for i in range(0, len(texts), size)]
        requests = [
            _Request(0 if kind == "query" else 1, next(self._numbers), kind, part, size)
            for part in parts
        ]
        if not requests:
            return np.empty((0, self.embedder.dim), dtype=np.float32)
        self._submit(requests)
        try:
            results = await asyncio.gather(*(asyncio.wrap_future(r.future) for r in requests))
        except BaseException:
            for request in requests:
                request.future.cancel()
            raise
        return np.concatenate(results)

    def close(self) -> None:
        """Stop the threads after their current batches; what still waits is cancelled."""
        with self._changed:
            self._closed = True
            waiting, self._queue = self._queue, []
            self._changed.notify_all()
        for request in waiting:
            request.future.cancel()
        for thread in self._threads:
            thread.join()

    def _submit(self, requests: list[_Request]) -> None:
        with self._changed:
            if self._closed:
                raise RuntimeError("The embedder was closed.")
            for request in requests:
                heapq.heappush(self._queue, request)
            while len(self._threads) < self._lanes:
                thread = Thread(target=self._work, name="micro-batcher", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def _work(self) -> None:
        while batch := self._next_batch():
            texts = [text for request in batch for text in request.texts]
            try:
                vectors = self.embedder.embed(texts, batch[0].kind)
            except BaseException as error:  # handed to those who wait
                for request in batch:
                    request.future.set_exception(error)
                continue
            start = 0
            for request in batch:
                end = start + len(request.texts)
                request.future.set_result(vectors[start:end])
                start = end

    def _next_batch(self) -> list[_Request]:
        """Wait for requests; return those of one kind that fit a batch, [] when closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return []
                batch: list[_Request] = []
                held, most = 0, self._max_batch
                while self._queue:
                    first = self._queue[0]
                    most = min(most, first.most)
                    if batch and (first.kind != batch[0].kind or held + len(first.texts) > most):
                        break
                    request = heapq.heappop(self._queue)
                    # A request whose caller went away is dropped here.
                    if request.future.set_running_or_notify_cancel():
                        batch.append(request)
                        held += len(request.texts)
                if batch:
                    return batch
