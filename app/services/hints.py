"""Values that exist: what forms offer for branches, filters and workflows, read in bounds."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from app.services.threads import call
from storage.lru import Lru

if TYPE_CHECKING:
    from storage.knowledge import KnowledgeRepository

FieldKind = Literal["text", "number", "bool", "list"]

#: Documents looked at for their fields; more would keep a form waiting.
MAX_DOCUMENTS = 2_000
MAX_FIELDS = 200
#: Different values kept of a field.
MAX_VALUES = 50
_LONGEST_VALUE = 200
_DEEPEST = 4
#: Documents, and passages of each, that are looked at for headings.
_SAMPLE = (20, 60)
_COMMITS = 15


@dataclass(frozen=True)
class FieldHint:
    """A field that filters can test."""

    name: str
    kind: FieldKind
    #: Documents that have it, among those looked at.
    documents: int
    #: Its values, most frequent first; all of them where `all_values`.
    values: tuple[str | int | float | bool, ...] = ()
    all_values: bool = False
    #: Smallest and largest, of numbers.
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Fields:
    """The fields of the documents of a knowledge base at one commit."""

    knowledge_base: str
    commit: str
    fields: tuple[FieldHint, ...]
    documents: int
    #: False where there are more documents than were looked at.
    all_documents: bool = True

    def get(self, name: str) -> FieldHint | None:
        """The field of a name, with or without “metadata.” before it."""
        plain = name.removeprefix("metadata.")
        return next((f for f in self.fields if f.name in (name, plain)), None)


class HintService:
    """Reads what exists, for pickers and completion; answers are kept per commit."""

    def __init__(self, repository: KnowledgeRepository) -> None:
        self._repository = repository
        self._fields: Lru[str, Fields] = Lru(16)

    async def fields(self, kb: str, ref: str = "main") -> Fields:
        """Fields and values of the documents at a branch or commit. Raises NotFound."""
        return await call(self._read_fields, kb, ref)

    async def refs(self, kb: str) -> dict[str, str]:
        """Branches, then the newest commits of `main`: what to write -> words for it."""
        return await call(self._read_refs, kb)

    def _read_refs(self, kb: str) -> dict[str, str]:
        base = self._repository.find(kb)
        found = {ref.name: ref.name for ref in self._repository.branches(base.id)}
        commits, _ = self._repository.commits(base.id, "main", _COMMITS, 0)
        return found | {c.id: f"{c.id[:8]} · {c.message}"[:80] for c in commits}

    def _read_fields(self, kb: str, ref: str) -> Fields:
        base = self._repository.find(kb)
        commit = self._repository.resolve(base.id, ref)
        return self._fields.get(commit.id, lambda: self._look(base.name, commit.id))

    def _look(self, name: str, commit_id: str) -> Fields:
        rows, total = self._repository.documents_at(commit_id, MAX_DOCUMENTS, 0)
        seen = _Seen()
        for document, version in rows:
            facts = {
                "filename": document.filename,
                "title": version.title or None,
                "media_type": version.media_type or None,
                "pages": version.pages,
                "size": version.size,
                "document_id": document.id,
            }
            seen.add(facts.items())
            seen.add(_flat(version.meta))
            if version.pages:
                seen.add([("page", 1), ("page", version.pages)])
        for language, count in self._repository.languages(commit_id).items():
            seen.add([("language", language)] * min(count, MAX_DOCUMENTS))
        documents, passages = _SAMPLE
        for _, version in rows[:documents]:
            chunks, _ = self._repository.chunks(version.id, passages, 0)
            seen.add(("headings", heading) for chunk in chunks for heading in chunk.headings)
        whole = total <= len(rows)
        return Fields(name, commit_id, seen.hints(whole), len(rows), whole)


class _Seen:
    """Counts the values of fields, so many of each and no more."""

    def __init__(self) -> None:
        self._values: dict[str, Counter[str | int | float | bool]] = {}
        self._documents: Counter[str] = Counter()
        self._lists: set[str] = {"headings"}
        self._cut: set[str] = {"headings"}
        self._ends: dict[str, tuple[float, float]] = {}

    def add(self, pairs: Any) -> None:
        names = set()
        for name, value in pairs:
            if value is None or (name not in self._values and len(self._values) >= MAX_FIELDS):
                continue
            counts = self._values.setdefault(name, Counter())
            names.add(name)
            if isinstance(value, list):
                self._lists.add(name)
            for one in value if isinstance(value, list) else [value]:
                self._count(name, counts, one)
        self._documents.update(names)

    def _count(self, name: str, counts: Counter[str | int | float | bool], value: Any) -> None:
        if not isinstance(value, str | int | float | bool):
            return
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self._ends.get(name, (value, value))
            self._ends[name] = (min(low, value), max(high, value))
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            self._cut.add(name)
        elif value in counts or len(counts) < MAX_VALUES:
            counts[value] += 1
        else:
            self._cut.add(name)

    def hints(self, whole: bool) -> tuple[FieldHint, ...]:
        return tuple(
            FieldHint(
                name=name,
                kind=self._kind(name, counts),
                documents=self._documents[name],
                values=tuple(value for value, _ in counts.most_common()),
                all_values=whole and name not in self._cut,
                low=self._ends.get(name, (None, None))[0],
                high=self._ends.get(name, (None, None))[1],
            )
            for name, counts in self._values.items()
        )

    def _kind(self, name: str, counts: Counter[str | int | float | bool]) -> FieldKind:
        if name in self._lists:
            return "list"
        if counts and all(isinstance(value, bool) for value in counts):
            return "bool"
        return "number" if name in self._ends and len(self._types(counts)) == 1 else "text"

    @staticmethod
    def _types(counts: Counter[str | int | float | bool]) -> set[bool]:
        return {isinstance(value, str) for value in counts}


def _flat(data: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if depth < _DEEPEST:
                yield from _flat(value, f"{name}.", depth + 1)
        else:
            yield name, value


#: Fields every document or passage may have, whether any does at the moment or not.
ALWAYS = (
    "filename", "title", "media_type", "pages", "size", "document_id", "page", "headings",
    "language",
)  # fmt: skip


def filter_problems(filters: Mapping[str, Any], known: Fields) -> dict[str, str]:
    """Filter field -> why it will find nothing, of filters that cannot match any document."""
    problems: dict[str, str] = {}
    if not known.documents:
        return problems
    for name, condition in filters.items():
        field = known.get(name)
        if field is None:
            if name not in ALWAYS:
                problems[name] = _unknown(name, known)
            continue
        wanted = _wanted(condition)
        if wanted and field.all_values and not any(_matches(field, value) for value in wanted):
            words = ", ".join(f"“{value}”" for value in wanted[:3])
            problems[name] = (
                f"No document of “{known.knowledge_base}” has {name} = {words}. "
                f"It is one of: {_some(field.values)}."
            )
    return problems


def _wanted(condition: Any) -> list[Any]:
    """The values of which a document must have one; empty where it is no such condition."""
    if isinstance(condition, Mapping):
        if "$eq" in condition:
            return [condition["$eq"]]
        found = condition.get("$in")
        return list(found) if isinstance(found, list) else []
    return list(condition) if isinstance(condition, list) else [condition]


def _matches(field: FieldHint, value: Any) -> bool:
    return any(value == one and type(value) is type(one) for one in field.values) or (
        isinstance(value, int | float) and value in field.values
    )


def _unknown(name: str, known: Fields) -> str:
    looked = (
        f"No document of “{known.knowledge_base}”"
        if known.all_documents
        else f"None of the first {known.documents:,} documents of “{known.knowledge_base}”"
    )
    names = [field.name for field in known.fields]
    near = difflib.get_close_matches(name.removeprefix("metadata."), names, n=1, cutoff=0.6)
    fix = f"Did you mean “{near[0]}”?" if near else f"Fields: {_some(names)}."
    return f"{looked} has a field “{name}”, so nothing will be found. {fix}"


def _some(values: Sequence[Any], limit: int = 8) -> str:
    shown = ", ".join(str(value)[:40] for value in values[:limit])
    return shown + (", …" if len(values) > limit else "")
