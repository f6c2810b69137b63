"""Flowise's agentflows of version 2, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.services.importers.flowise_text import plain_html, template
from app.services.importers.source import (
    QUESTION,
    UNKNOWN,
    Ref,
    Source,
    Step,
    Test,
    Way,
    mapping,
    number,
    objects,
    text,
    whole,
    words,
)

States = Mapping[str, Ref]
_OPERATORS = {
    "equal": "equals", "notEqual": "not_equals", "contains": "contains",
    "notContains": "not_contains", "isEmpty": "is_empty", "notEmpty": "is_not_empty",
    "larger": "greater", "largerEqual": "greater_or_equal", "smaller": "less",
    "smallerEqual": "less_or_equal", "startsWith": "starts_with", "endsWith": "ends_with",
}  # fmt: skip
_TOOL = "Replace it with an HTTP request to the same service, or remove it."


def states(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Ref]:
    """Which step's output each value of the flow's state was last set to."""
    found: dict[str, Ref] = {}
    for node_id, data in nodes.items():
        for name, value in mapping(data.get("inputs")).items():
            if not name.endswith("UpdateState"):
                continue
            for entry in objects(value):
                key = text(entry.get("key"), 100)
                written = plain_html(entry.get("value"))
                said = written.strip("{} ").removeprefix("output").strip(".")
                if key and "output" in written and key not in found:
                    found[key] = Ref(node_id, said if said.replace("_", "").isalnum() else "")
    return found


def settle(source: Source) -> None:
    """Give references that depend on where they stand their step: form fields, items."""
    start = next((s.id for s in source.steps.values() if s.role == "start"), "")

    def lift(ref: Ref, step: Step) -> Ref:
        if ref.step == "@form":
            return Ref(start, ref.field) if start else Ref(UNKNOWN, ref.field)
        if ref.step == "@item":
            return Ref(step.parent, "item") if step.parent else Ref(UNKNOWN, "item")
        return ref

    for step in source.steps.values():
        for name, pieces in step.texts.items():
            step.texts[name] = tuple(lift(p, step) if isinstance(p, Ref) else p for p in pieces)
        step.refs = [lift(ref, step) for ref in step.refs]
        for way in step.ways:
            for test in way.tests:
                test.left = lift(test.left, step)
                if isinstance(test.right, Ref):
                    test.right = lift(test.right, step)


def _start(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "start"
    form = text(inputs.get("startInputType")) == "formInput"
    entries: list[dict[str, Any]] = []
    for entry in objects(inputs.get("formInputTypes"))[:60] if form else ():
        name = text(entry.get("name"), 64)
        if name and all(name != known["name"] for known in entries):
            label = text(entry.get("label"), 120)
            entries.append(
                {"name": name, "label": label, "type": "text", "required": False, "default": ""}
            )
    step.settings = {"question": not form, "inputs": entries}
    for entry in objects(inputs.get("startState"))[:60]:
        key = text(entry.get("key"), 64)
        if key.isidentifier() and isinstance(entry.get("value"), str | int | float):
            source.variables[key] = entry["value"]


def _messages(step: Step, value: Any, states: States) -> None:
    system: list[str | Ref] = []
    user: list[str | Ref] = []
    for entry in objects(value)[:50]:
        into = system if text(entry.get("role")) in ("system", "developer") else user
        pieces = template(entry.get("content"), states)
        if into and pieces:
            into.append("\n\n")
        into.extend(pieces)
    step.texts["system"], step.texts["user"] = tuple(system), tuple(user)


def _model(step: Step, inputs: Mapping[str, Any], prefix: str) -> None:
    held = mapping(inputs.get(f"{prefix}ModelConfig"))
    chosen = held.get("customModelName") or held.get("modelName") or held.get("model")
    step.settings.update(
        {
            "model": text(chosen, 200),
            "provider": text(inputs.get(f"{prefix}Model"), 100),
            "temperature": number(held.get("temperature"), 0, 2),
            "max_tokens": whole(held.get("maxTokens") or held.get("maxOutputTokens"), 1, 32_000),
        }
    )


def _llm(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "llm"
    _messages(step, inputs.get("llmMessages"), states)
    _question_too(step, inputs.get("llmUserMessage"), states)
    _model(step, inputs, "llm")


def _question_too(step: Step, value: Any, states: States) -> None:
    said = template(value, states)
    if said:
        step.texts["user"] = (*step.texts["user"], "\n\n", *said)
    if not any(isinstance(p, Ref) or p.strip() for p in step.texts["user"]):
        step.texts["user"] = (Ref(QUESTION),)


def _agent(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "llm"
    _messages(step, inputs.get("agentMessages"), states)
    _question_too(step, inputs.get("agentUserMessage"), states)
    _model(step, inputs, "agent")
    tools = objects(inputs.get("agentTools"))[:20]
    if tools:
        names = ", ".join(words(text(t.get("agentSelectedTool"), 60)) for t in tools[:6])
        tool = _beside(step, "tools", "Tool", f"Tools: {names}"[:120], {"tools": tools}, 160)
        tool.refs = [Ref(QUESTION)]
        tool.advice = "Tools an agent could call. " + _TOOL
        if source.add(tool) is not None:
            step.texts["user"] = (*step.texts["user"], f"\n\n{tool.title}:\n", Ref(tool.id))
    stores = objects(inputs.get("agentKnowledgeDocumentStores"))[:10]
    if stores:
        title = "Knowledge of " + (step.title or "the agent")
        search = _beside(step, "knowledge", "Retriever", title, {"stores": stores}, -160)
        search.role, search.texts = "retrieve", {"query": (Ref(QUESTION),)}
        if source.add(search) is not None:
            step.texts["context"] = (Ref(search.id),)


def _beside(
    step: Step, suffix: str, kind: str, title: str, data: Mapping[str, Any], down: float
) -> Step:
    """A step that was a setting of another one."""
    made = Step(f"{step.id}/{suffix}", kind, title, data=data, parent=step.parent)
    made.settings["made"] = True
    if step.x is not None and step.y is not None:
        made.x, made.y = step.x - 200, step.y + down
    return made


def _classify(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "classify"
    step.texts["instructions"] = template(inputs.get("conditionAgentInstructions"), states)
    step.texts["query"] = template(inputs.get("conditionAgentInput"), states)
    for position, entry in enumerate(objects(inputs.get("conditionAgentScenarios"))[:40]):
        said = text(entry.get("scenario"), 500)
        step.ways.append(Way(str(position), said[:60], said))
    _model(step, inputs, "conditionAgent")


def _condition(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "branch"
    for position, entry in enumerate(objects(inputs.get("conditions"))[:40]):
        left = [p for p in template(entry.get("value1"), states) if isinstance(p, Ref)]
        operator = _OPERATORS.get(text(entry.get("operation")))
        pieces = template(entry.get("value2"), states)
        others = [piece for piece in pieces if isinstance(piece, Ref)]
        # A test compares with words or with a value, not with both in one.
        right = others[0] if others else plain_html(entry.get("value2"))
        clear = len(left) == 1 and (len(pieces) == 1 or not others)
        known = all(ref.step != UNKNOWN for ref in (*left, *others))
        way = Way(str(position), f"case {position + 1}")
        if operator is not None and clear and known:
            way.tests = [Test(left[0], operator, right)]
        else:
            step.role = "placeholder"
            step.refs.extend((*left, *others))
        step.ways.append(way)
    step.ways.append(Way(str(len(step.ways)), "else"))


def _human(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "approval"
    step.texts["message"] = template(inputs.get("humanInputDescription"), states)
    step.ways = [Way("0", "approved"), Way("1", "rejected")]


def _retriever(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "retrieve"
    step.texts["query"] = template(inputs.get("retrieverQuery"), states)


def _reply(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "output"
    step.texts = {"answer": template(inputs.get("directReplyMessage"), states)}


def _tool(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.advice = _TOOL
    for entry in objects(inputs.get("toolInputArgs"))[:40]:
        pieces = template(entry.get("inputArgValue"), states)
        step.refs.extend(p for p in pieces if isinstance(p, Ref))


def _http(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "http"
    step.texts = {
        "url": template(inputs.get("url"), states),
        "body": template(inputs.get("body"), states),
        "headers": tuple(_rows(inputs.get("headers"), states)),
        "params": tuple(_rows(inputs.get("queryParams"), states)),
    }
    step.settings = {
        "method": text(inputs.get("method"), 10).upper() or "GET",
        "body_type": text(inputs.get("bodyType"), 40),
        "authorised": bool(inputs.get("credential") or inputs.get("FLOWISE_CREDENTIAL_ID")),
    }


def _rows(value: Any, states: States) -> list[str | Ref]:
    lines: list[str | Ref] = []
    for entry in objects(value)[:40]:
        lines.extend(
            (f"{text(entry.get('key'), 100)}:", *template(entry.get("value"), states), "\n")
        )
    return lines


def _iteration(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    step.role = "map"
    step.texts["items"] = template(inputs.get("iterationInput"), states)
    step.settings = {"result": None, "concurrency": 1, "on_failure": "fail"}


def _loop(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    back = text(inputs.get("loopBackToNode"), 200).partition("-")
    step.title = step.title or f"Back to {back[2] or back[0]}"
    step.advice = "A workflow has no circles. Put the steps to repeat into a loop node."


def _code(source: Source, step: Step, inputs: Mapping[str, Any], states: States) -> None:
    for entry in objects(inputs.get("customFunctionInputVariables"))[:40]:
        pieces = template(entry.get("variableValue"), states)
        step.refs.extend(p for p in pieces if isinstance(p, Ref))
    step.advice = (
        "Code of other systems is not run here. Replace it with a prompt, “Set fields”, or an "
        "HTTP request to a service of yours."
    )


READERS: dict[str, Callable[[Source, Step, Mapping[str, Any], States], None]] = {
    "startAgentflow": _start, "llmAgentflow": _llm, "agentAgentflow": _agent,
    "conditionAgentAgentflow": _classify, "conditionAgentflow": _condition,
    "humanInputAgentflow": _human, "retrieverAgentflow": _retriever,
    "directReplyAgentflow": _reply, "toolAgentflow": _tool, "httpAgentflow": _http,
    "iterationAgentflow": _iteration, "loopAgentflow": _loop, "customFunctionAgentflow": _code,
}  # fmt: skip
