"""Choosing a way through the graph, and bringing ways together."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs, SameAs
from app.engine.problems import NodeFailed
from app.engine.values import Chunk, Chunks, PortValue

Operator = Literal[
    "is_true", "is_false", "is_empty", "is_not_empty", "equals", "not_equals", "contains",
    "not_contains", "greater", "greater_or_equal", "less", "less_or_equal", "matches", "in",
]  # fmt: skip
_WORDS: dict[str, str] = {
    "is_true": "is true", "is_false": "is false", "is_empty": "is empty",
    "is_not_empty": "is not empty", "equals": "=", "not_equals": "≠", "contains": "contains",
    "not_contains": "does not contain", "greater": ">", "greater_or_equal": "≥", "less": "<",
    "less_or_equal": "≤", "matches": "matches", "in": "is one of",
}  # fmt: skip
_UNARY = frozenset({"is_true", "is_false", "is_empty", "is_not_empty"})


class Condition(Node["Condition.Config"]):
    """Send a value one way or the other.

    The condition looks at a field of what is wired to “subject” (or of the value itself), such as
    `passed` of a verdict, `confidence` of an answer or `items` of passages. The value leaves
    through “yes” or through “no”; the other branch is skipped.
    """

    type, version, title, family, icon = "condition", 1, "Condition", "logic", "call_split"

    class Config(NodeConfig):
        """Settings of the condition."""

        field: str = Field(
            "",
            max_length=200,
            description="Field to look at, with dots into its parts: passed, items.0.score, "
            "items.length. Empty looks at the whole value.",
        )
        operator: Operator = Field("is_true", description="How to compare.")
        value: str | float | bool | list[str | float] | None = Field(
            None, description="What to compare with; is true/false/empty need nothing."
        )

    class Outputs(NodeOutputs):
        """One of the two holds the value."""

        yes: Annotated[PortValue | None, SameAs("value")] = Field(
            None, description="The value, when the condition holds."
        )
        no: Annotated[PortValue | None, SameAs("value")] = Field(
            None, description="The value, when the condition does not hold."
        )

    async def run(
        self,
        value: Annotated[PortValue, "What is passed on."],
        ctx: NodeContext,
        subject: Annotated[PortValue | None, "What to look at; the value itself if absent."] = None,
    ) -> Outputs:
        """Compare, and pass on."""
        found = _look_up(subject if subject is not None else value, self.config.field)
        if compare(found, self.config.operator, self.config.value):
            return self.Outputs(yes=value)
        return self.Outputs(no=value)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        operator = config.get("operator", "is_true")
        field = config.get("field") or "the value"
        tail = "" if operator in _UNARY else f" {config.get('value')}"
        return f"if {field} {_WORDS.get(operator, operator)}{tail}"


class Merge(Node["Merge.Config"]):
    """Bring branches together.

    Takes the first input that has a value (branches that were skipped have none), or joins the
    passages of all inputs without repeating any.
    """

    type, version, title, family, icon = "merge", 1, "Merge", "logic", "call_merge"

    class Config(NodeConfig):
        """Settings of the merge."""

        mode: Literal["first", "concatenate"] = Field(
            "first",
            description="“first” passes on the first input that has a value; “concatenate” joins "
            "the passages of all inputs, one of each in turn.",
        )

    class Outputs(NodeOutputs):
        """The value."""

        value: Annotated[PortValue, SameAs("values")] = Field(
            description="The first value, or all passages."
        )

    async def run(
        self,
        values: Annotated[list[PortValue], "The branches, in the order of their wires."],
        ctx: NodeContext,
    ) -> Outputs:
        """Bring together."""
        if not values:
            raise NodeFailed(
                "None of the branches brought a value.",
                code="missing_input",
                fix="Wire at least one branch that always runs into the merge.",
            )
        if self.config.mode == "first":
            return self.Outputs(value=values[0])
        chunks = [value for value in values if isinstance(value, Chunks)]
        if len(chunks) < len(values):
            other = next(v for v in values if not isinstance(v, Chunks))
            raise NodeFailed(
                f"Only passages can be joined, but one input is {other.type_name}.",
                code="type_mismatch",
                fix="Wire Chunks into the merge, or set its mode to “first”.",
                found=other.type_name,
                expected=Chunks.type_name,
            )
        return self.Outputs(value=_join(chunks))

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return (
            "the first that has a value"
            if config.get("mode", "first") == "first"
            else "all passages"
        )


def compare(found: Any, operator: str, wanted: Any) -> bool:
    """Whether `found` stands in the relation `operator` to `wanted`. Raises NodeFailed."""
    if operator in _UNARY:
        return _unary(found, operator)
    if operator in ("greater", "greater_or_equal", "less", "less_or_equal"):
        left, right = _number(found), _number(wanted)
        return {
            "greater": left > right,
            "greater_or_equal": left >= right,
            "less": left < right,
            "less_or_equal": left <= right,
        }[operator]
    if operator == "in":
        options = (
            wanted if isinstance(wanted, list) else [p.strip() for p in str(wanted).split(",")]
        )
        return any(_same(found, option) for option in options)
    if operator in ("equals", "not_equals"):
        return _same(found, wanted) == (operator == "equals")
    if operator in ("contains", "not_contains"):
        return _contains(found, wanted) == (operator == "contains")
    return _matches(str(found), str(wanted))


def _unary(found: Any, operator: str) -> bool:
    empty = found is None or (isinstance(found, str | Sequence | Mapping) and not found)
    if operator == "is_empty":
        return empty
    if operator == "is_not_empty":
        return not empty
    truth = not empty and found is not False and found != 0
    if isinstance(found, str):
        truth = found.strip().lower() not in ("", "false", "no", "0", "off")
    return truth == (operator == "is_true")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return str(a).lower() == str(b).lower()
    try:
        return float(a) == float(b)
    except (TypeError, ValueError):
        return str(a).casefold() == str(b).casefold()


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, Mapping):
        return any(_same(key, wanted) for key in found)
    if isinstance(found, Sequence) and not isinstance(found, str):
        return any(_same(item, wanted) for item in found)
    return str(wanted).casefold() in str(found).casefold()


def _number(value: Any) -> float:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return float(len(value))
    try:
        return float(value)
    except (TypeError, ValueError):
        raise NodeFailed(
            f"“{value}” is not a number.",
            code="bad_comparison",
            fix="Choose a field that holds a number, or another operator.",
        ) from None


def _matches(text: str, pattern: str) -> bool:
    """Wildcards * and ? over the whole text; regular expressions can be made to run for ever."""
    return fnmatch.fnmatchcase(text[:10_000].casefold(), pattern.casefold())


def _look_up(value: Any, path: str) -> Any:
    """Follow a dotted path through models, mappings and sequences."""
    at = value
    for name in [part for part in path.split(".") if part]:
        if isinstance(at, BaseModel) and name in type(at).model_fields:
            at = getattr(at, name)
        elif isinstance(at, Mapping) and name in at:
            at = at[name]
        elif isinstance(at, Sequence) and not isinstance(at, str) and name.isdigit():
            at = at[int(name)] if int(name) < len(at) else None
        elif name == "length" and isinstance(at, Sequence | Mapping):
            at = len(at)
        else:
            known = _names(at)
            raise NodeFailed(
                f"There is no field “{name}” in {_kind(at)}.",
                code="unknown_field",
                fix=f"Use one of: {', '.join(map(str, known))}." if known else "Correct the field.",
                found=path,
                expected=known,
            )
    return _held(at) if not path else at


def _names(value: Any) -> list[str]:
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    return [str(key) for key in value] if isinstance(value, Mapping) else []


def _held(value: Any) -> Any:
    """What a number, flag, text, data, or list of things holds."""
    for name in ("value", "text", "data", "items"):
        if isinstance(value, PortValue) and set(type(value).model_fields) == {name}:
            return getattr(value, name)
    return value


def _kind(value: Any) -> str:
    return value.type_name if isinstance(value, PortValue) else f"a {type(value).__name__}"


def _join(parts: Sequence[Chunks]) -> Chunks:
    # One of each in turn, so that the best of every part stays in front.
    seen: dict[str, Chunk] = {}
    for rank in zip_longest(*(part.items for part in parts)):
        for chunk in rank:
            if chunk is not None:
                seen.setdefault(chunk.chunk_id, chunk)
    same_base = {(p.knowledge_base_id, p.commit) for p in parts}
    kb, commit = same_base.pop() if len(same_base) == 1 else (None, None)
    return Chunks(items=tuple(seen.values()), knowledge_base_id=kb, commit=commit)
