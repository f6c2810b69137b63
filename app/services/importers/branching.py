"""Steps that decide what runs: conditions, classifiers, merges, and questions to people."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from app.engine.values import PortValue, Text
from app.services.importers.draft import Out, Part
from app.services.importers.models import model_name
from app.services.importers.prompting import Inputs, compose, plain, refs_in
from app.services.importers.source import VARIABLE, Ref, Step, Test

if TYPE_CHECKING:
    from app.services.importers.builder import Builder

_UNARY = ("is_true", "is_false", "is_empty", "is_not_empty")
#: Operators that conditions write as a pattern, and the signs that mean something else in one.
_PATTERNS = {"starts_with": "{}*", "ends_with": "*{}"}
_WILD = re.compile(r"[*?\[]")
#: Operators that may look at letters.
_OF_TEXTS = (*_PATTERNS, "equals", "not_equals", "contains", "not_contains", "in")


def branch(b: Builder, step: Step) -> Part | None:
    """A condition where there is one test, else a switch over what an expression says."""
    ways = [way for way in step.ways if way.tests]
    if not ways or sum(len(way.tests) for way in ways) > 40:
        return None
    rest = [way for way in step.ways if not way.tests]
    value = b.query(step)
    if len(ways) == 1 and len(ways[0].tests) == 1:
        node = _condition(b, step, ways[0].tests[0], value)
        if node is not None:
            part = Part(ways={ways[0].handle: Out(node, "yes", value.value_type)})
            part.ways |= {way.handle: Out(node, "no", value.value_type) for way in rest}
            return part
    names = _names([way.label or way.handle for way in ways], ("otherwise",))
    decision = _decision(b, step, names)
    if decision is None:
        return None
    cases = [{"name": name, "equals": name} for name in names]
    node = b.draft.add("switch", step.title or "Switch", {"cases": cases}, step.id)
    if node is None:
        return None
    b.draft.wire(value, node, "value")
    b.draft.wire(decision, node, "subject")
    part = Part()
    for way, name in zip(ways, names, strict=True):
        part.ways[way.handle] = Out(node, name, value.value_type)
    part.ways |= {way.handle: Out(node, "otherwise", value.value_type) for way in rest}
    return part


def _condition(b: Builder, step: Step, test: Test, value: Out) -> str | None:
    if test.left.step == VARIABLE or isinstance(test.right, Ref):
        return None
    subject = b.resolve_for(test.left, step.id)
    if subject is None:
        return None
    config: dict[str, Any] = {"operator": test.operator}
    if subject.path:
        config["field"] = f"data.{subject.path}"
    elif subject.value_type.type_name in ("Answer", "Query"):
        config["field"] = "text"
    if test.operator in _PATTERNS:
        words = _WILD.sub(r"[\g<0>]", str(test.right))
        config |= {"operator": "matches", "value": _PATTERNS[test.operator].format(words)}
    elif test.operator not in _UNARY:
        config["value"] = test.right
    if test.match_case and test.operator in _OF_TEXTS and _has_cases(test.right):
        config["match_case"] = True
    node = b.draft.add("condition", step.title or "Condition", config, step.id)
    if node is not None:
        b.draft.wire(value, node, "value")
        b.draft.wire(Out(subject.node, subject.port, subject.value_type), node, "subject")
    return node


def _has_cases(right: Any) -> bool:
    """Whether some letter of it is capital or small."""
    return str(right).lower() != str(right).upper()


def _decision(b: Builder, step: Step, names: list[str]) -> Out | None:
    """A node that names the way to take."""
    inputs = Inputs(b, step.id, whole=True)
    ways = [way for way in step.ways if way.tests]
    said = '"otherwise"'
    for way, name in reversed(list(zip(ways, names, strict=True))):
        tests = [_expression(inputs, test) for test in way.tests]
        if any(test is None for test in tests):
            return None
        holds = (" and " if way.every else " or ").join(f"({test})" for test in tests)
        said = f"{_quoted(name)} if {holds} else {said}"
    inputs.hold(b.gate(step))
    title = f"Which way: {step.title or 'branch'}"[:100]
    config = {
        "inputs": inputs.specs(),
        "results": [{"name": "way", "expression": said, "value_type": "Text"}],
    }
    node = b.draft.add("compute", title, config, step.id)
    if node is None or "results" not in b.graph.nodes[node].config:
        return None
    inputs.connect(node)
    return Out(node, "way", Text)


def _expression(inputs: Inputs, test: Test) -> str | None:
    left = inputs.expression(test.left)
    if left is None:
        return None
    left = f"({left})"
    if isinstance(test.right, Ref):
        other = inputs.expression(test.right)
        if other is None:
            return None
        right = f"(({other}) | string)"
    elif isinstance(test.right, list):
        right = _quoted([str(item) for item in test.right[:50]])
    else:
        right = _quoted(str(test.right))
    form, words = _FORMS.get(test.operator), f"({left} | string)"
    if not test.match_case and not isinstance(test.right, list):
        words, right = f"({left} | string | lower)", f"({right} | lower)"
    return form.format(left=left, text=words, right=right) if form else None


_FORMS = {
    "equals": "{text} == {right}", "not_equals": "{text} != {right}",
    "contains": "{right} in {text}", "not_contains": "{right} not in {text}",
    "starts_with": "{text}[:{right} | length] == {right}",
    # Where the ending is longer, too little is left to be the same.
    "ends_with": "{text}[{text} | length - {right} | length:] == {right}",
    "in": "{text} in {right}", "is_empty": "not {left}", "is_false": "not {left}",
    "is_not_empty": "{left}", "is_true": "{left}",
    "greater": "({left} | float) > ({right} | float)",
    "less": "({left} | float) < ({right} | float)",
    "greater_or_equal": "({left} | float) >= ({right} | float)",
    "less_or_equal": "({left} | float) <= ({right} | float)",
}  # fmt: skip


def _quoted(value: Any) -> str:
    # As they are: Jinja does not put halves of emoji together.
    return json.dumps(value, ensure_ascii=False)


def _names(wanted: list[str], taken: tuple[str, ...]) -> list[str]:
    """Names of ports: short, without “>”, and all different."""
    found: list[str] = []
    for number, name in enumerate(wanted, 1):
        base = " ".join(name.replace(">", " ").split())[:52] or f"way {number}"
        free, again = base, 2
        while free in found or free in taken:
            free, again = f"{base} {again}", again + 1
        found.append(free)
    return found


def classify(b: Builder, step: Step) -> Part | None:
    """A label for each way."""
    if not 2 <= len(step.ways) <= 40:
        return None
    taken = ("label", "scores", "otherwise")
    names = _names([way.label or way.handle for way in step.ways], taken)
    labels = [
        {"name": name, "description": b.redactor.text(way.description)[:2_000]}
        for name, way in zip(names, step.ways, strict=True)
    ]
    model = model_name(step.settings.get("model"), step.settings.get("provider"))
    instructions = step.texts.get("instructions", ())
    config: dict[str, Any] = {"labels": labels, "instructions": plain(instructions)[:20_000]}
    if model:
        config["model"] = model
    else:
        b.remark(
            f"“{step.title}” names no model: labels are compared by meaning. Give examples of each, "
            "or choose a model."
        )
    value = b.query(step)
    node = b.draft.add("classify", step.title or "Classify", config, step.id)
    if node is None:
        return None
    b.draft.wire(value, node, "value")
    asked = [r for r in refs_in(step.texts.get("query", ())) if r.step != VARIABLE]
    if refs_in(instructions):
        asked = [*asked, *refs_in(instructions)]
    subject = _subject(b, step, asked, value)
    if subject is not None:
        b.draft.wire(subject, node, "subject")
    part = Part(fields={"class_name": Out(node, "label", Text)})
    for way, name in zip(step.ways, names, strict=True):
        part.ways[way.handle] = Out(node, name, value.value_type)
    return part


def _subject(b: Builder, step: Step, asked: list[Ref], value: Out) -> Out | None:
    """What a classifier looks at, where that is not the question."""
    outs = [out for ref in dict.fromkeys(asked) if (out := b.resolve_for(ref, step.id)) is not None]
    outs = [out for out in outs if out != value]
    if not outs:
        return None
    if len(outs) == 1 and not outs[0].path:
        return outs[0]
    pieces: list[str | Ref] = []
    for ref in dict.fromkeys(asked):
        pieces.extend((ref, "\n\n"))
    return compose(b, step.id, tuple(pieces), f"What {step.title} looks at")


def merge(b: Builder, step: Step) -> Part | None:
    """The first of several values that is there, or all passages."""
    outs = [out for ref in step.refs if (out := b.resolve(ref)) is not None]
    if not outs:
        outs = [part.main for part in b.before(step) if part.main is not None]
    if not outs:
        return None
    config = {"mode": step.settings.get("mode", "first")}
    node = b.draft.add("merge", step.title or "Merge", config, step.id)
    if node is None:
        return None
    for out in outs:
        whole = out if not out.path else b.draft.convert(out, Text)
        b.draft.wire(whole, node, "values")
    types = {out.value_type for out in outs}
    return Part(Out(node, "value", types.pop() if len(types) == 1 else PortValue))


def approval(b: Builder, step: Step) -> Part | None:
    """A person looks at what came before."""
    before = [p.main for p in b.before(step) if p.main is not None]
    value = before[0] if before else b.query(step)
    message = plain(step.texts.get("message", ())).strip()
    config = {"message": message[:4_000]} if message else {}
    node = b.draft.add("approval", step.title or "Approval", config, step.id)
    if node is None:
        return None
    b.draft.wire(value, node, "value")
    ways = {"0": "approved", "1": "rejected"}
    kind = value.value_type
    return Part(ways={w.handle: Out(node, ways.get(w.handle, "approved"), kind) for w in step.ways})
