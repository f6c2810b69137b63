"""Which chunks of a commit satisfy a filter, decided in SQL rows before any index is asked.

A filter maps fields to conditions, all of which must hold. A condition is a value, a list of
values (any of them), or an object of operators: $eq, $ne, $in, $nin, $gt, $gte, $lt, $lte,
$contains. Document fields: document_id, filename, media_type, title, pages, size, and
metadata.NAME; chunk fields: page, headings, language. A name that is none of these is looked up in
the document's metadata, where the author of a mail is its sender, and the date of a document the day
and time at which it was changed, sent or made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func
from sqlmodel import col, select

from storage.errors import StorageError
from storage.lru import Lru
from storage.passages import Passages
from storage.tables import Chunk, Document, DocumentVersion

if TYPE_CHECKING:
    from storage.database import Database

_DOCUMENT_FIELDS = {
    "document_id",
    "filename",
    "media_type",
    "title",
    "pages",
    "size",
}
#: What stands for a field of the metadata that a document does not have.
_INSTEAD = {"author": ("sender",), "date": ("modified", "sent", "created")}
_CHUNK_FIELDS = {"page", "headings", "language"}


class InvalidFilter(StorageError):
    """A filter that cannot be understood."""

    code = "invalid_filter"


@dataclass(frozen=True)
class Candidates(Collection[str]):
    """Chunks that satisfy a filter; ids are listed only where single chunks had to be judged."""

    #: Versions all of whose chunks (or some, see `chunk_ids`) satisfy the filter.
    version_ids: frozenset[str]
    #: The chunks among them, or None when it is all of them.
    chunk_ids: frozenset[str] | None
    _size: int
    _list: Callable[[], frozenset[str]]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids())

    def __contains__(self, chunk_id: object) -> bool:
        return chunk_id in self.ids()

    def ids(self) -> frozenset[str]:
        """The chunks, by id."""
        return self._list() if self.chunk_ids is None else self.chunk_ids


class Filters(Passages):
    """Filters; part of `KnowledgeRepository`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._facts: Lru[str, list[dict[str, Any]]] = Lru(4)
        self._candidates: Lru[tuple[str, str], Candidates] = Lru(32)

    def candidates(
        self,
        commit_id: str,
        filters: Mapping[str, Any] | None = None,
        languages: Collection[str] = (),
    ) -> Candidates | None:
        """Chunks at a commit that satisfy `filters` and are in one of `languages`.

        None when neither restricts anything. Raises InvalidFilter.
        """
        filters = dict(filters or {})
        if not filters and not languages:
            return None
        key = json.dumps([filters, sorted(languages)], sort_keys=True, default=str)
        return self._candidates.get(
            (commit_id, key), lambda: self._select(commit_id, filters, frozenset(languages))
        )

    def documents_with(self, commit_id: str, filters: Mapping[str, Any]) -> set[str]:
        """Documents at a commit whose fields satisfy `filters`, by id. Raises InvalidFilter."""
        tests = {name: _test(name, condition) for name, condition in filters.items()}
        return {
            facts["document_id"]
            for facts in self._facts_at(commit_id)
            if all(test(_fact(facts, name)) for name, test in tests.items())
        }

    def _select(
        self, commit_id: str, filters: Mapping[str, Any], languages: frozenset[str]
    ) -> Candidates:
        tests = {name: _test(name, condition) for name, condition in filters.items()}
        of_chunks = {name: test for name, test in tests.items() if name in _CHUNK_FIELDS}
        of_documents = {name: test for name, test in tests.items() if name not in _CHUNK_FIELDS}
        versions: dict[str, int] = {}
        for facts in self._facts_at(commit_id):
            if all(test(_fact(facts, name)) for name, test in of_documents.items()):
                versions[facts["version_id"]] = facts["chunk_count"]
        if not of_chunks and not languages:
            return self._whole(versions)
        chunks = self._judge(versions, of_chunks, languages)
        return Candidates(frozenset(versions), chunks, len(chunks), frozenset)

    def _whole(self, versions: Mapping[str, int]) -> Candidates:
        ids = frozenset(versions)

        def listed() -> frozenset[str]:
            query = select(Chunk.id).where(self._db.among(Chunk.version_id, ids))
            with self._db.read() as session:
                return frozenset(session.exec(query).all())

        return Candidates(ids, None, sum(versions.values()), listed)

    def _judge(
        self,
        versions: Collection[str],
        tests: Mapping[str, Callable[[Any], bool]],
        languages: frozenset[str],
    ) -> frozenset[str]:
        # A chunk without a language of its own speaks its document's.
        language = func.coalesce(Chunk.language, DocumentVersion.language)
        query = (
            select(Chunk.id, Chunk.page, Chunk.headings, language)
            .join(DocumentVersion, col(DocumentVersion.id) == col(Chunk.version_id))
            .where(self._db.among(Chunk.version_id, versions))
        )
        found = set()
        with self._db.read() as session:
            for id, page, headings, spoken in session.exec(query):
                values = {"page": page, "headings": headings, "language": spoken}
                if languages and spoken not in languages:
                    continue
                if all(test(values[name]) for name, test in tests.items()):
                    found.add(id)
        return frozenset(found)

    def _facts_at(self, commit_id: str) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            query = (
                select(Document.filename, DocumentVersion)
                .join(DocumentVersion, col(DocumentVersion.document_id) == col(Document.id))
                .where(self._db.among(DocumentVersion.id, self.version_ids(commit_id)))
            )
            with self._db.read() as session:
                return [
                    {
                        "version_id": version.id,
                        "chunk_count": version.chunk_count,
                        "document_id": version.document_id,
                        "filename": filename,
                        "media_type": version.media_type,
                        "title": version.title,
                        "pages": version.pages,
                        "size": version.size,
                        "metadata": version.meta,
                    }
                    for filename, version in session.exec(query)
                ]

        return self._facts.get(commit_id, read)


def _fact(facts: Mapping[str, Any], name: str) -> Any:
    if name in _DOCUMENT_FIELDS:
        return facts[name]
    metadata, name = facts["metadata"], name.removeprefix("metadata.")
    value: Any = metadata
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None and name in _INSTEAD:
        return next((metadata[other] for other in _INSTEAD[name] if metadata.get(other)), None)
    return value


def _test(name: str, condition: Any) -> Callable[[Any], bool]:
    if name.startswith("$"):
        raise InvalidFilter(f"A filter begins with a field, and '{name}' is an operator.", _HOW)
    if isinstance(condition, Mapping):
        if not condition:
            raise InvalidFilter(f"The condition on '{name}' is empty.", _HOW)
        tests = [_operator(name, operator, operand) for operator, operand in condition.items()]
        return lambda value: all(test(value) for test in tests)
    operator = "$in" if isinstance(condition, list) else "$eq"
    return _operator(name, operator, condition)


def _operator(name: str, operator: str, operand: Any) -> Callable[[Any], bool]:
    test = _OPERATORS.get(operator)
    if test is None:
        raise InvalidFilter(f"The filter on '{name}' has an unknown operator '{operator}'.", _HOW)
    if operator in {"$in", "$nin"} and not isinstance(operand, list):
        raise InvalidFilter(f"The operator {operator} on '{name}' needs a list.", _HOW)
    return lambda value: test(value, operand)


def _equal(value: Any, operand: Any) -> bool:
    # A field that holds several values (headings, tags) equals each one of them.
    if isinstance(value, list) and not isinstance(operand, list):
        return operand in value
    return bool(value == operand)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(value: Any, operand: Any) -> bool:
        try:
            return value is not None and compare(value, operand)
        except TypeError:
            return False

    return test


def _contains(value: Any, operand: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    wanted = str(operand).casefold()
    return any(wanted in str(part).casefold() for part in parts if part is not None)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda value, operand: not _equal(value, operand),
    "$in": lambda value, operand: any(_equal(value, one) for one in operand),
    "$nin": lambda value, operand: not any(_equal(value, one) for one in operand),
    "$gt": _ordered(lambda value, operand: value > operand),
    "$gte": _ordered(lambda value, operand: value >= operand),
    "$lt": _ordered(lambda value, operand: value < operand),
    "$lte": _ordered(lambda value, operand: value <= operand),
    "$contains": _contains,
}
_HOW = f"Give a value, a list of values, or an object of {', '.join(_OPERATORS)}."
