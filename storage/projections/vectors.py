"""Vectors in Chroma: one collection for each knowledge base and embedding model."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from storage.errors import ModelMismatch, full_index_as_error

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

#: Recall@10 of 0.98 and more on sentence embeddings; twice Chroma's defaults cost twice the time.
_HNSW = {"space": "cosine", "ef_construction": 100, "ef_search": 100, "max_neighbors": 16}
_CHECK_TIMEOUT_S = 30.0
#: Chunks of one call: Chroma keeps the interpreter, and with it the whole server, to itself until a
#: call is through, which for thousands of chunks would be seconds.
_MOST_AT_ONCE, _LEAST_AT_ONCE = 64, 16
#: Seconds of a call from which on the next one holds fewer, and below which it may hold more: what
#: takes 40 ms on a free machine takes 150 on a busy one.
_LONG_S, _SHORT_S = 0.08, 0.03


class VectorIndex:
    """Nearest neighbours by cosine. One process at a time owns a folder; a server serves many."""

    def __init__(
        self, path: Path, *, url: str | None = None, check_timeout_s: float = _CHECK_TIMEOUT_S
    ) -> None:
        self._path = path
        self._url = url
        self._check_timeout_s = check_timeout_s
        self._dirty = path.with_name(path.name + ".dirty")
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._lock = threading.Lock()
        #: Chunks of the next call.
        self._at_once = _MOST_AT_ONCE

    def open(self) -> bool:
        """Connect. False when the folder could not be trusted and was started over, empty.

        After a shutdown that was not clean, a guarded child process opens the folder first.
        """
        if self._url is not None:
            self._client = _http_client(self._url)
            return True
        trusted = True
        if self._dirty.exists() and self._path.exists():
            from storage.projections.guard import is_sound

            trusted = is_sound(self._path, self._check_timeout_s)
        if trusted:
            # Loaded outside of the attempt: an import that fails says nothing about the folder.
            importlib.import_module("chromadb.api.rust")
            try:
                self._connect()
            except Exception:
                log.warning("the vector index could not be opened", exc_info=True)
                trusted = False
        if not trusted:
            log.warning(
                "the vector index at %s was damaged; it is rebuilt from the database", self._path
            )
            self._disconnect()
            shutil.rmtree(self._path, ignore_errors=True)
            self._connect()
        return trusted

    def close(self) -> None:
        """Close the folder and note that it was closed well."""
        self._disconnect()
        if self._url is None:
            self._dirty.unlink(missing_ok=True)

    def upsert(self, kb_id: str, model: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add or replace chunks; `vectors` has shape (len(ids), dim). Durable on return."""
        if not ids:
            return
        collection = self._collection(kb_id, model, create=True)
        with self._full_as_error():
            for part in self._parts(len(ids)):
                collection.upsert(ids=list(ids[part]), embeddings=vectors[part])

    def delete(self, kb_id: str, model: str, ids: Sequence[str]) -> None:
        """Remove chunks; those that are not there are passed over."""
        collection = self._collection(kb_id, model, create=False)
        if collection is None or not ids:
            return
        with self._full_as_error():
            for part in self._parts(len(ids)):
                collection.delete(ids=list(ids[part]))

    def _parts(self, count: int) -> Iterator[slice]:
        """Parts of so many chunks, each for one call, which the one before decides the size of."""
        start = 0
        while start < count:
            began, end = time.monotonic(), min(count, start + self._at_once)
            yield slice(start, end)
            if end - start == self._at_once:
                self._at_once = next_size(self._at_once, time.monotonic() - began)
            start = end

    def query(self, kb_id: str, model: str, vector: np.ndarray, n: int) -> list[tuple[str, float]]:
        """The `n` nearest chunks and their cosines, best first. Raises ModelMismatch."""
        from chromadb.errors import InvalidArgumentError

        collection = self._collection(kb_id, model, create=False)
        if collection is None:
            return []
        try:
            found = collection.query(
                query_embeddings=vector.reshape(1, -1), n_results=n, include=["distances"]
            )
        except InvalidArgumentError as error:
            sizes = [int(size) for size in re.findall(r"dimension of (\d+)", str(error))]
            if not sizes:
                raise
            raise ModelMismatch(model, sizes[0], vector.shape[0]) from error
        return [
            (id, 1.0 - distance)
            for id, distance in zip(found["ids"][0], found["distances"][0], strict=True)
        ]

    def count(self, kb_id: str, model: str) -> int:
        """Chunks of a knowledge base and model."""
        collection = self._collection(kb_id, model, create=False)
        return 0 if collection is None else int(collection.count())

    def bases(self) -> set[str]:
        """Knowledge bases that have a collection."""
        return {listed.name.rpartition(".")[0] for listed in self._client.list_collections()}

    def drop(self, kb_id: str) -> None:
        """Remove all collections of a knowledge base."""
        for listed in self._client.list_collections():
            if listed.name.rpartition(".")[0] == kb_id:
                with self._lock:
                    self._collections.pop(listed.name, None)
                self._client.delete_collection(listed.name)

    def _connect(self) -> None:
        import chromadb
        from chromadb.config import Settings

        self._path.mkdir(parents=True, exist_ok=True)
        self._dirty.touch()
        with self._full_as_error():
            self._client = chromadb.PersistentClient(
                str(self._path), settings=Settings(anonymized_telemetry=False)
            )
            for listed in self._client.list_collections():
                listed.count()

    def _disconnect(self) -> None:
        self._collections.clear()
        if self._client is not None:
            with contextlib.suppress(Exception):
                if self._url is not None:
                    # Chroma leaves the connections of both its clients open.
                    for client in (self._client, self._client._admin_client):
                        client._server._session.close()
                self._client.close()
            self._client = None

    def _collection(self, kb_id: str, model: str, *, create: bool) -> Any:
        from chromadb.errors import NotFoundError

        name = collection_name(kb_id, model)
        with self._lock:
            found = self._collections.get(name)
            if found is not None:
                return found
            if create:
                found = self._client.get_or_create_collection(
                    name,
                    configuration={"hnsw": _HNSW},
                    metadata={"knowledge_base": kb_id, "model": model},
                    embedding_function=None,
                )
            else:
                try:
                    found = self._client.get_collection(name, embedding_function=None)
                except NotFoundError:
                    return None
            self._collections[name] = found
            return found

    @contextmanager
    def _full_as_error(self) -> Iterator[None]:
        with full_index_as_error(self._path):
            yield


def next_size(size: int, took: float) -> int:
    """How many chunks to hand over at once, when `size` of them took so many seconds."""
    if took > _LONG_S:
        return max(_LEAST_AT_ONCE, size // 2)
    return min(_MOST_AT_ONCE, size * 2) if took < _SHORT_S else size


def collection_name(kb_id: str, model: str) -> str:
    """Chroma's names allow few characters; models are called anything."""
    return f"{kb_id}.{hashlib.sha256(model.encode()).hexdigest()[:16]}"


def _http_client(url: str) -> Any:
    import chromadb
    from chromadb.config import Settings

    parts = urlsplit(url)
    return chromadb.HttpClient(
        host=parts.hostname or "localhost",
        port=parts.port or 8000,
        ssl=parts.scheme == "https",
        settings=Settings(anonymized_telemetry=False),
    )
