"""What a workflow of another system holds, said in one way for all of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Format = Literal["ragflow", "dify", "langflow", "flowise"]

#: Ids of what is no step: the question of the run, its files, the talk so far, kept values, and
#: values that the other system gives and this one does not.
QUESTION, FILES, HISTORY, VARIABLE, UNKNOWN = (
    "@question",
    "@files",
    "@history",
    "@variable",
    "@unknown",
)
#: Most steps, wires and characters of a text that are read.
MAX_STEPS = 2_000
MAX_LINKS = 8_000
MAX_TEXT = 40_000


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of another step: its id, and the name of the output meant."""

    step: str
    field: str = ""


#: A text with the values of other steps in it.
Template = tuple["str | Ref", ...]


@dataclass(slots=True)
class Test:
    """A comparison: what is looked at, how, and with what.

    `operator` is one of those of conditions, “starts_with” or “ends_with”.
    """

    left: Ref
    operator: str
    right: Any = None
    #: Whether capital and small letters differ.
    match_case: bool = True


@dataclass(slots=True)
class Way:
    """A way out of a branch: the handle its wires start at, and when it is taken."""

    handle: str
    label: str = ""
    description: str = ""
    tests: list[Test] = field(default_factory=list)
    #: Whether all tests have to hold, or any.
    every: bool = True


@dataclass(slots=True)
class Step:
    """A node of the other system.

    `role` says what it is here: start, question, text, file, llm, retrieve, prompt, branch,
    classify, http, extract, map, loop, merge, output, approval, read, chunk, index, part (it is a
    setting of the step it is wired to), or placeholder.
    """

    id: str
    kind: str
    title: str = ""
    role: str = "placeholder"
    #: The original settings, for a placeholder to keep.
    data: Mapping[str, Any] = field(default_factory=dict)
    x: float | None = None
    y: float | None = None
    #: Step that it is inside of: an iteration or a loop.
    parent: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, Template] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    #: What a placeholder reads of other steps.
    refs: list[Ref] = field(default_factory=list)
    #: What whoever replaces a placeholder should do.
    advice: str = ""


@dataclass(slots=True)
class Link:
    """A wire. `part` wires hand over settings (a model, a memory), not values."""

    source: str
    target: str
    out: str = ""
    into: str = ""
    part: bool = False


@dataclass(slots=True)
class Note:
    """A sticky note."""

    text: str
    x: float
    y: float
    width: float = 300.0
    height: float = 160.0
    colour: str = "amber"


@dataclass(slots=True)
class Source:
    """A whole workflow of another system."""

    format: Format
    name: str = ""
    description: str = ""
    steps: dict[str, Step] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    #: Kept values of the workflow, by name.
    variables: dict[str, Any] = field(default_factory=dict)
    #: Wires in the file, those that were dropped as unreadable among them.
    wires: int = 0
    #: What the reader has to say about the file as a whole.
    remarks: list[str] = field(default_factory=list)

    def add(self, step: Step) -> Step | None:
        """Keep a step; one without id, or of an id that is taken, is left out."""
        if not step.id or step.id in self.steps or len(self.steps) >= MAX_STEPS:
            return None
        self.steps[step.id] = step
        return step


# -- reading data of any shape -------------------------------------------------------------


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """`value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, or the values of an object."""
    values = list(value.values()) if isinstance(value, dict) else items(value)
    return [item for item in values if isinstance(item, dict)]


def text(value: Any, limit: int = MAX_TEXT) -> str:
    """`value` where it is a text or number, as text without control characters."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)[:40]
    return clean(value)[:limit] if isinstance(value, str) else ""


def clean(value: str) -> str:
    """The text without characters that are none: halves of pairs, and control characters."""
    if value.isascii() and value.isprintable():
        return value
    return _UNPRINTABLE.sub("", value)


_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff￾￿]")


def number(value: Any, least: float, most: float) -> float | None:
    """`value` where it is a number, or a text of one, between the two ends."""
    if isinstance(value, bool):
        return None
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return min(most, max(least, found)) if math.isfinite(found) else None


def whole(value: Any, least: int, most: int) -> int | None:
    """`number`, rounded."""
    found = number(value, least, most)
    return None if found is None else round(found)


def place(value: Any) -> tuple[float | None, float | None]:
    """x and y of `{"x": …, "y": …}`."""
    at = mapping(value)
    x, y = number(at.get("x"), -1e6, 1e6), number(at.get("y"), -1e6, 1e6)
    return (x, y) if x is not None and y is not None else (None, None)


def words(value: str) -> str:
    """`snake_case` and `camelCase` as words."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", value).replace("_", " ").replace("-", " ")
    return " ".join(spaced.split())


def split_template(source: str, pattern: re.Pattern[str], ref: Any) -> Template:
    """Cut a text at what `pattern` finds; `ref` makes a Ref of a match, or None to keep it."""
    pieces: list[str | Ref] = []
    at = 0
    for match in pattern.finditer(source):
        found = ref(match)
        if found is None:
            continue
        if match.start() > at:
            pieces.append(source[at : match.start()])
        pieces.append(found)
        at = match.end()
        if len(pieces) > 400:
            break
    if at < len(source):
        pieces.append(source[at:])
    return tuple(pieces)
