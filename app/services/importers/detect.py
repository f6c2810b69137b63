"""Reading a workflow file of any kind: its text, within limits, and whose it is."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

from app.engine.problems import InvalidWorkflow
from app.services.workflows import seed_form

#: Most values and deepest nesting of a file, aliases counted as often as they are used.
MAX_VALUES = 600_000
MAX_DEPTH = 60

Known = Literal["ragloom", "seed", "ragflow", "dify", "langflow", "flowise"]
NAMES: dict[str, str] = {
    "ragloom": "Ragloom",
    "seed": "a list of steps",
    "ragflow": "RAGFlow",
    "dify": "Dify",
    "langflow": "Langflow",
    "flowise": "Flowise",
}
_FIX = (
    "Files of Ragloom, RAGFlow (JSON), Dify (YAML), Langflow (JSON) and Flowise (JSON) can be "
    "imported; export the workflow there again."
)


def decode(data: bytes | str, max_bytes: int) -> Any:
    """The JSON or YAML text as plain data. Raises InvalidWorkflow with a sentence."""
    if len(data) > max_bytes:
        raise InvalidWorkflow(
            f"The workflow file is larger than {max_bytes / 1_048_576:.4g} MB.",
            code="too_large",
            fix="A workflow file holds nodes and settings only; put data into documents.",
        )
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _unreadable("it is not text in UTF-8", "not_text") from None
    text = data.lstrip("\ufeff \t\r\n")
    if not text:
        raise _unreadable("it is empty", "not_text")
    value = _json(text) if text[0] in "{[" else _yaml(text)
    return check(value)


def check(value: Any) -> Any:
    """`value` as plain JSON data. Raises InvalidWorkflow where it is too deep or too much."""
    return _Plain().copy(value, 0)


def detect(data: Any) -> Known:
    """Whose workflow this is, judged by what is in it. Raises InvalidWorkflow for none."""
    found = _of_object(data) if isinstance(data, dict) else None
    if isinstance(data, list) and any(_holds_flow(item) for item in data[:20]):
        found = "langflow"
    if found is not None:
        return found
    shape = _shape(data)
    raise InvalidWorkflow(
        f"This is not a workflow that can be read here{': it holds ' + shape if shape else ''}.",
        code="unknown_format",
        fix=_FIX,
    )


def _of_object(data: dict[str, Any]) -> Known | None:
    graph = data.get("graph")
    inner = data.get("data")
    nodes = data.get("nodes")
    flow = isinstance(nodes, list) and isinstance(data.get("edges"), list)
    of_langflow = flow and any(_is_langflow_node(node) for node in data["nodes"][:50])
    signs: tuple[tuple[bool, Known], ...] = (
        (isinstance(graph, dict) and "format" in graph, "ragloom"),
        (seed_form.is_seed_form(data), "seed"),
        (_is_dify(data), "dify"),
        (_is_ragflow(data), "ragflow"),
        (isinstance(inner, dict) and isinstance(inner.get("nodes"), list), "langflow"),
        (isinstance(data.get("flows"), list) or of_langflow, "langflow"),
        (isinstance(data.get("flowData"), str | dict) or flow, "flowise"),
    )
    return next((name for holds, name in signs if holds), None)


def _is_dify(data: dict[str, Any]) -> bool:
    workflow = data.get("workflow")
    if isinstance(workflow, dict) and "graph" in workflow:
        return True
    return isinstance(data.get("app"), dict) and ("workflow" in data or "model_config" in data)


def _is_ragflow(data: dict[str, Any]) -> bool:
    dsl = data.get("dsl", data)
    return isinstance(dsl, dict) and isinstance(dsl.get("components"), dict)


def _is_langflow_node(node: Any) -> bool:
    data = node.get("data") if isinstance(node, dict) else None
    return isinstance(data, dict) and isinstance(data.get("node"), dict)


def _holds_flow(item: Any) -> bool:
    data = item.get("data") if isinstance(item, dict) else None
    return isinstance(data, dict) and isinstance(data.get("nodes"), list)


def _shape(data: Any) -> str:
    if isinstance(data, dict):
        names = ", ".join(f"“{str(key)[:30]}”" for key in list(data)[:5])
        return f"an object with {names}" if names else "an empty object"
    if isinstance(data, list):
        return "a list"
    return "a text" if isinstance(data, str) else ""


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise _unreadable(
            f"line {error.lineno}, column {error.colno}: {error.msg}", "not_json"
        ) from None
    except ValueError as error:  # a number of thousands of digits
        raise _unreadable(str(error)[:200], "not_json") from None


def _yaml(text: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _measure_yaml(yaml.parse(text, Loader=base))
        return yaml.load(text, Loader=_loader(base))  # noqa: S506  # a safe loader
    except InvalidWorkflow:
        raise
    except RecursionError:
        raise _too_deep() from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise _unreadable(f"{where}{str(said)[:200]}", "not_yaml") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise _unreadable(str(error)[:200], "not_yaml") from None


def _loader(base: Any) -> Any:
    """A safe loader that leaves dates alone: workflows are JSON data."""

    class Loader(base):  # type: ignore[misc]
        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
            for first, found in base.yaml_implicit_resolvers.items()
        }

    return Loader


def _measure_yaml(events: Any) -> None:
    """Refuse YAML that is nested too deeply or grows past the limit when aliases are followed."""
    import yaml

    sizes: dict[str, int] = {}
    #: (anchor, values before it) of every open list or object.
    opened: list[tuple[str | None, int]] = []
    total = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            total += _size_of(event.anchor, sizes)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            sizes[event.anchor or ""] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            sizes[anchor or ""] = total - before
        if len(opened) > MAX_DEPTH:
            raise _too_deep()
        if total > MAX_VALUES:
            raise _too_many()


def _size_of(anchor: str, sizes: dict[str, int]) -> int:
    if anchor not in sizes:
        raise _unreadable("it refers to itself", "too_large")
    return sizes[anchor]


class _Plain:
    """Copies data to what JSON can hold, counting."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def copy(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _too_many()
        if depth > MAX_DEPTH:
            raise _too_deep()
        if value is None or isinstance(value, bool | str | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, dict):
            return {_key(k): self.copy(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.copy(item, depth + 1) for item in value]
        return str(value)[:200]


def _key(value: Any) -> str:
    return value if isinstance(value, str) else str(value)[:200]


def _unreadable(reason: str, code: str) -> InvalidWorkflow:
    return InvalidWorkflow(f"This is not a workflow file: {reason}.", code=code, fix=_FIX)


def _too_deep() -> InvalidWorkflow:
    return InvalidWorkflow(
        f"The file is nested more than {MAX_DEPTH} levels deep.",
        code="too_deep",
        fix="No workflow needs that; export it again from where it was made.",
    )


def _too_many() -> InvalidWorkflow:
    return InvalidWorkflow(
        f"The file holds more than {MAX_VALUES:,} values.",
        code="too_large",
        fix="A workflow file holds nodes and settings only; put data into documents.",
    )
