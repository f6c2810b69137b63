"""Where two pieces of JSON data, or two texts, differ; bounded, whatever the data is."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from app.services.views import View

Kind = Literal["added", "removed", "changed"]
Op = Literal["same", "added", "removed"]

#: A value larger than this many characters of JSON is shown by its beginning.
MAX_VALUE_CHARS = 4_000
#: Texts are compared word by word up to here, line by line beyond, and not at all past the next.
_MAX_WORDS = 1_500
_MAX_LINES = 4_000
_MAX_TEXT = 200_000
#: Nesting that is looked into; deeper data is compared as a whole.
_MAX_DEPTH = 64
#: Shorter texts on one line are shown whole, before and after.
_LONG = 60
#: Words or lines of unchanged text kept around a change.
_CONTEXT = {"words": 12, "lines": 2}


class TextPart(View):
    """A stretch of text that both have, or only one of them."""

    op: Op
    text: str


class Change(View):
    """One place where two pieces of data differ; `path` such as `config.filters.language`."""

    path: str
    kind: Kind
    before: Any = None
    after: Any = None
    #: Of long texts: what was taken out and put in.
    text: list[TextPart] = []
    #: True where `before` or `after` is only the beginning.
    clipped: bool = False


def changes(
    before: Any, after: Any, path: str = "", *, limit: int = 200, tolerance: float = 0.0
) -> list[Change]:
    """The places where `after` differs from `before`, at most `limit` of them.

    Lists whose items carry unique ids are compared item by item under these ids. Numbers that
    differ by less than `tolerance` (relative) count as equal.
    """
    found: list[Change] = []
    for change in _walk(before, after, path, 0, tolerance):
        found.append(change)
        if len(found) >= limit:
            break
    return found


def equal(before: Any, after: Any, tolerance: float = 0.0) -> bool:
    """Whether two pieces of data are the same."""
    return not changes(before, after, limit=1, tolerance=tolerance)


def text_diff(before: str, after: str) -> list[TextPart]:
    """What was taken out of a text and put in; unchanged stretches are cut to their ends."""
    if before == after:
        return [TextPart(op="same", text=before[:MAX_VALUE_CHARS])] if before else []
    if len(before) + len(after) > _MAX_TEXT:
        return _whole(before, after)
    unit = "words"
    left, right = re.findall(r"\s+|[^\s]+", before), re.findall(r"\s+|[^\s]+", after)
    if max(len(left), len(right)) > _MAX_WORDS:
        unit = "lines"
        left, right = before.splitlines(keepends=True), after.splitlines(keepends=True)
        if max(len(left), len(right)) > _MAX_LINES:
            return _whole(before, after)
    return list(_parts(left, right, _CONTEXT[unit]))


def clip(value: Any) -> tuple[Any, bool]:
    """The value, or the beginning of its text where it is large; and whether it was cut."""
    if isinstance(value, str):
        cut = len(value) > MAX_VALUE_CHARS
        return (value[:MAX_VALUE_CHARS] + " …" if cut else value), cut
    if not isinstance(value, dict | list):
        return value, False
    written = json.dumps(value, ensure_ascii=False, default=str)
    if len(written) <= MAX_VALUE_CHARS:
        return value, False
    return written[:MAX_VALUE_CHARS] + " …", True


def _whole(before: str, after: str) -> list[TextPart]:
    half = MAX_VALUE_CHARS // 2
    parts = [TextPart(op="removed", text=before[:half]), TextPart(op="added", text=after[:half])]
    return [part for part in parts if part.text]


def _parts(left: Sequence[str], right: Sequence[str], context: int) -> Iterator[TextPart]:
    codes = difflib.SequenceMatcher(None, left, right).get_opcodes()
    removed, added = "", ""
    for place, (op, a0, a1, b0, b1) in enumerate(codes):
        run = "".join(left[a0:a1])
        last = place == len(codes) - 1
        # Words that changed one after the other are read as one change, not as many.
        if op == "equal" and not (run.isspace() and (removed or added) and not last):
            yield from _change_of(removed, added)
            removed, added = "", ""
            yield TextPart(op="same", text=_ends(left[a0:a1], context, place, len(codes)))
        else:
            removed, added = removed + run, added + "".join(right[b0:b1])
    yield from _change_of(removed, added)


def _change_of(removed: str, added: str) -> Iterator[TextPart]:
    if removed:
        yield TextPart(op="removed", text=removed)
    if added:
        yield TextPart(op="added", text=added)


def _ends(run: Sequence[str], context: int, place: int, count: int) -> str:
    """An unchanged stretch: whole when short, else what stands beside the changes."""
    if len(run) <= 3 * context:
        return "".join(run)
    first = "".join(run[:context]) if place else ""
    last = "".join(run[-context:]) if place < count - 1 else ""
    return f"{first} … {last}"


def _walk(before: Any, after: Any, path: str, depth: int, tolerance: float) -> Iterator[Change]:
    if before is after:
        return
    if depth < _MAX_DEPTH:
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _keys(before, after, path, depth, tolerance)
            return
        if _is_list(before) and _is_list(after) and _has_parts(before, after):
            yield from _items(before, after, path, depth, tolerance)
            return
    if not _same(before, after, tolerance):
        yield _change(path, "changed", before, after)


def _keys(
    before: Mapping[Any, Any], after: Mapping[Any, Any], path: str, depth: int, tolerance: float
) -> Iterator[Change]:
    for key, value in before.items():
        inner = f"{path}.{key}" if path else str(key)
        if key in after:
            yield from _walk(value, after[key], inner, depth + 1, tolerance)
        else:
            yield _change(inner, "removed", value, None)
    for key, value in after.items():
        if key not in before:
            yield _change(f"{path}.{key}" if path else str(key), "added", None, value)


def _items(
    before: Sequence[Any], after: Sequence[Any], path: str, depth: int, tolerance: float
) -> Iterator[Change]:
    left, right = _by_id(before), _by_id(after)
    if left is None or right is None:
        left, right = dict(enumerate(before)), dict(enumerate(after))
    for key, value in left.items():
        inner = f"{path}[{key}]"
        if key in right:
            yield from _walk(value, right[key], inner, depth + 1, tolerance)
        else:
            yield _change(inner, "removed", value, None)
    for key, value in right.items():
        if key not in left:
            yield _change(f"{path}[{key}]", "added", None, value)
    order = [key for key in left if key in right]
    other = [key for key in right if key in left]
    if order != other:
        yield _change(f"{path}.order", "changed", order, other)


def _by_id(items: Sequence[Any]) -> dict[Any, Any] | None:
    found: dict[Any, Any] = {}
    for item in items:
        key = item.get("id") if isinstance(item, Mapping) else None
        if not isinstance(key, str) or key in found:
            return None
        found[key] = item
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _has_parts(before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether items are worth a path of their own; plain ones are read better as one list."""
    return any(isinstance(item, Mapping | list | tuple) for item in (*before, *after))


def _same(before: Any, after: Any, tolerance: float) -> bool:
    if _is_list(before) and _is_list(after):
        return len(before) == len(after) and all(
            _same(a, b, tolerance) for a, b in zip(before, after, strict=True)
        )
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, int | float) and isinstance(after, int | float):
        return before == after or math.isclose(before, after, rel_tol=tolerance, abs_tol=tolerance)
    return type(before) is type(after) and bool(before == after)


def _change(path: str, kind: Kind, before: Any, after: Any) -> Change:
    text: list[TextPart] = []
    if isinstance(before, str) and isinstance(after, str):
        longest = max(before, after, key=len)
        if len(longest) > _LONG or "\n" in longest:
            text = text_diff(before, after)
    (shown_before, cut), (shown_after, cut_too) = clip(before), clip(after)
    return Change(
        path=path, kind=kind, before=shown_before, after=shown_after, text=text,
        clipped=cut or cut_too,
    )  # fmt: skip
