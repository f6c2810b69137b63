"""What each node of Flowise's chatflows and first agentflows is, in terms all importers share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.services.importers.flowise_text import fields, parsed, same_name, template
from app.services.importers.source import (
    QUESTION,
    Link,
    Ref,
    Step,
    Template,
    Test,
    Way,
    mapping,
    number,
    objects,
    text,
    whole,
)

_INSTANCE = re.compile(r"\{\{\s*([\w\-]{1,120})\.data\.instance\s*\}\}")
#: Categories whose nodes hand over settings, not values.
_PARTS = {"chat models", "llms", "embeddings", "memory", "output parsers", "cache",
          "response synthesizer", "record manager", "graph"}  # fmt: skip
_STORES = {"vector stores", "retrievers"}
_CHAINS = {"chains", "agents", "engine"}
_TOOL = (
    "A tool an agent could call. Replace it with an HTTP request that always runs, or remove it."
)
_LOAD = (
    "Documents are loaded once, not by each run: add them to a knowledge base, or use the "
    "template that fills one."
)


@dataclass
class Flow:
    """The nodes by id, and what is wired to their inputs."""

    nodes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    states: dict[str, Ref] = field(default_factory=dict)

    def name(self, node_id: str) -> str:
        """The type of a node."""
        return text(mapping(self.nodes.get(node_id)).get("name"), 100)

    def category(self, node_id: str) -> str:
        """The group of the palette that its type is in there."""
        return text(mapping(self.nodes.get(node_id)).get("category"), 100).lower()

    def inputs(self, node_id: str) -> Mapping[str, Any]:
        """Its settings."""
        return mapping(mapping(self.nodes.get(node_id)).get("inputs"))

    def wired(self, node_id: str, name: str) -> list[str]:
        """Ids of the nodes that a field names."""
        value = self.inputs(node_id).get(name)
        found = [
            match.group(1)
            for entry in (value if isinstance(value, list) else [value])
            for match in _INSTANCE.finditer(text(entry))
        ]
        found += [k.source for k in self.links if k.target == node_id and k.into == name]
        return [f for f in dict.fromkeys(found) if f in self.nodes]


def read_older(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    """Fill in a step by the type of its node, else by the group its type is in."""
    category = flow.category(step.id)
    reader = _READERS.get(step.kind)
    if reader is not None:
        reader(flow, step, inputs)
    elif category in _PARTS:
        step.role = "part"
    elif category in _STORES:
        _store(flow, step, inputs)
    elif category in _CHAINS:
        _chain(flow, step, inputs)
    elif category in ("document loaders", "text splitters"):
        step.advice = _LOAD
    elif category.startswith("tools"):
        step.advice = _TOOL
        step.refs = [Ref(QUESTION)]


def _model(flow: Flow, step: Step, node_ids: list[str]) -> None:
    """The model of a chat model node that is wired in."""
    for node_id in node_ids:
        held = flow.inputs(node_id)
        chosen = held.get("modelName") or held.get("model") or held.get("customModelName")
        most = held.get("maxTokens") or held.get("maxTokensToSample") or held.get("maxOutputTokens")
        step.settings.update(
            {
                "model": text(chosen, 200).split(":")[0],
                "provider": flow.name(node_id),
                "temperature": number(held.get("temperature"), 0, 2),
                "max_tokens": whole(most, 1, 32_000),
            }
        )
        return


def _start_model(flow: Flow, step: Step) -> list[str]:
    """Sequential agents use the model of the start where they have none."""
    own = flow.wired(step.id, "model")
    if own:
        return own
    for node_id in flow.nodes:
        if flow.name(node_id) in ("seqStart", "supervisor"):
            return flow.wired(node_id, "model")
    return []


def _chain(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    """Chains, agents and engines: a model, with what it is told, passages and tools."""
    step.role = "llm"
    system = (
        inputs.get("systemMessagePrompt")
        or inputs.get("systemMessage")
        or inputs.get("responsePrompt")
    )
    step.texts["system"] = _without_context(template(system))
    prompts = flow.wired(step.id, "prompt") or flow.wired(step.id, "chatPromptTemplate")
    user: list[str | Ref] = [Ref(prompts[0])] if prompts else [Ref(QUESTION)]
    retrievers = flow.wired(step.id, "vectorStoreRetriever") + flow.wired(step.id, "retriever")
    _model(flow, step, flow.wired(step.id, "model"))
    if flow.wired(step.id, "responseSynthesizer"):
        step.texts["system"] = ()
    for tool in flow.wired(step.id, "tools"):
        if flow.name(tool) == "retrieverTool":
            retrievers += flow.wired(tool, "retriever")
        else:
            user.extend((f"\n\n{flow.nodes[tool].get('label') or tool}:\n"[:120], Ref(tool)))
    for guard in flow.wired(step.id, "inputModeration"):
        user.extend(("\n\n", Ref(guard)))
    step.texts["context"] = tuple(Ref(r) for r in retrievers)
    step.texts["user"] = tuple(user)
    if not step.settings.get("model"):
        _model(flow, step, [m for r in retrievers for m in flow.wired(r, "model")])


def _without_context(pieces: Template) -> Template:
    """Prompts that have a place for passages: generate nodes put them in themselves."""
    slot = re.compile(r"\{\s*(context|input|question|chat_history)\s*\}")
    return tuple(slot.sub(r"the \1", p) if isinstance(p, str) else p for p in pieces)


def _prompt_template(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "prompt"
    if isinstance(inputs.get("template"), str):
        step.texts["text"] = fields(inputs.get("template"), inputs.get("promptValues"), flow.states)
        return
    system = fields(inputs.get("systemMessagePrompt"), inputs.get("promptValues"), flow.states)
    human = fields(inputs.get("humanMessagePrompt"), inputs.get("promptValues"), flow.states)
    step.texts["text"] = (*system, "\n\n", *human)


def _store(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "retrieve"
    step.texts["query"] = (Ref(QUESTION),)
    step.settings = {"k": whole(inputs.get("topK"), 1, 200)}


def _retriever_tool(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "part"
    step.settings["of"] = flow.wired(step.id, "retriever")


def _seq_start(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "start"
    step.settings = {"question": True, "inputs": []}


def _seq_llm(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "llm"
    step.title = text(inputs.get("llmNodeName") or inputs.get("agentName"), 120) or step.title
    values = inputs.get("promptValues")
    step.texts["system"] = fields(inputs.get("systemMessagePrompt"), values, flow.states)
    human = text(inputs.get("humanMessagePrompt"))
    user: list[str | Ref] = list(fields(human, values, flow.states)) if human else []
    before = [Ref(n) for n in flow.wired(step.id, "sequentialNode")]
    if not any(isinstance(p, Ref) for p in user):
        user = [Ref(QUESTION), "\n\n", *user]
    talk = [
        r
        for r in before
        if flow.name(r.step) not in ("seqStart", "seqCondition", "seqConditionAgent")
    ]
    for ref in talk[:6]:
        # The messages so far go on from node to node there.
        user.extend(("\n\n", ref))
    retrievers = []
    for tool in flow.wired(step.id, "tools"):
        if flow.name(tool) == "retrieverTool":
            retrievers += flow.wired(tool, "retriever")
        else:
            user.extend((f"\n\n{text(flow.nodes[tool].get('label'), 80)}:\n", Ref(tool)))
    step.texts["context"] = tuple(Ref(r) for r in retrievers)
    step.texts["user"] = tuple(user)
    _model(flow, step, _start_model(flow, step))


def _worker(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "llm"
    step.title = text(inputs.get("workerName"), 120) or step.title
    step.texts["system"] = fields(
        inputs.get("workerPrompt"), inputs.get("promptValues"), flow.states
    )
    user: list[str | Ref] = [Ref(QUESTION)]
    user.extend(Ref(s) for s in flow.wired(step.id, "supervisor"))
    retrievers = []
    for tool in flow.wired(step.id, "tools"):
        if flow.name(tool) == "retrieverTool":
            retrievers += flow.wired(tool, "retriever")
        else:
            user.append(Ref(tool))
    step.texts["context"] = tuple(Ref(r) for r in retrievers)
    step.texts["user"] = tuple(user)
    _model(flow, step, _start_model(flow, step))


def _supervisor(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.title = text(inputs.get("supervisorName"), 120) or step.title
    step.refs = [Ref(QUESTION)]
    step.advice = "It chose which worker goes next. Draw the order, or use a classify node."


def _seq_condition(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.title = text(inputs.get("conditionName"), 120) or step.title
    before = flow.wired(step.id, "sequentialNode")
    step.role = "branch"
    found: dict[str, Way] = {}
    for entry in objects(parsed(inputs.get("conditionUI")))[:30]:
        label = text(entry.get("output"), 80)
        left = _looked_at(text(entry.get("variable"), 200), before, flow.states)
        operator = _OPERATORS.get(text(entry.get("operation")).lower())
        way = found.setdefault(label, Way(label, label))
        if left is None or operator is None:
            step.role = "placeholder"
            if left is not None:
                step.refs.append(left)
        else:
            way.tests.append(Test(left, operator, text(entry.get("value"), 500)))
            way.every = False
    step.ways = list(found.values())
    _end_way(flow, step)


def _end_way(flow: Flow, step: Step) -> None:
    handles = {same_name(way.handle) for way in step.ways}
    for link in flow.links:
        if link.source == step.id and link.out and same_name(link.out) not in handles:
            step.ways.append(Way(link.out, link.out))
            handles.add(same_name(link.out))


def _looked_at(variable: str, before: list[str], states: Mapping[str, Ref]) -> Ref | None:
    if variable.startswith("$flow.output") and before:
        name = variable.removeprefix("$flow.output").strip(".")
        return Ref(before[0], "" if name in ("", "content") else name)
    if variable.startswith("$flow.state."):
        return states.get(variable[12:])
    return None


_OPERATORS = {
    "is": "equals", "is not": "not_equals", "contains": "contains",
    "not contains": "not_contains", "is empty": "is_empty", "is not empty": "is_not_empty",
    "greater than": "greater", "less than": "less", "equal to": "equals",
    "not equal to": "not_equals", "starts with": "starts_with", "ends with": "ends_with",
}  # fmt: skip


def _seq_condition_agent(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    """A model chooses where to go on: a classifier."""
    _seq_condition(flow, step, inputs)
    step.role = "classify"
    step.title = text(inputs.get("conditionAgentName"), 120) or step.title
    for way in step.ways:
        said = [f"{t.left.field or 'the answer'} {t.operator} {t.right}" for t in way.tests]
        way.description, way.tests = "; ".join(said), []
    values = inputs.get("promptValues")
    step.texts["instructions"] = fields(inputs.get("systemMessagePrompt"), values, flow.states)
    before = [Ref(n) for n in flow.wired(step.id, "sequentialNode")]
    step.texts["query"] = tuple(before[:1])
    _model(flow, step, _start_model(flow, step))


def _seq_tools(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    retrievers = [r for tool in flow.wired(step.id, "tools") for r in flow.wired(tool, "retriever")]
    if retrievers:
        step.role = "merge"
        step.settings["mode"] = "concatenate"
        step.refs = [Ref(r) for r in retrievers]
    else:
        step.refs = [Ref(t) for t in flow.wired(step.id, "tools")]
        step.advice = _TOOL


def _seq_end(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "output"
    before = flow.wired(step.id, "sequentialNode")
    values = [b for b in before if not flow.name(b).startswith("seqCondition")]
    step.texts = {"answer": (Ref(values[0]),) if values else ()}


def _seq_loop(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.title = f"Back to {text(inputs.get('loopToName'), 80) or 'an earlier node'}"
    step.refs = [Ref(n) for n in flow.wired(step.id, "sequentialNode")[:1]]
    step.advice = "A workflow has no circles. Put the steps to repeat into a loop node."


def _code(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.advice = (
        "Code of other systems is not run here. Replace it with a prompt, “Set fields”, or an "
        "HTTP request to a service of yours."
    )


def _part(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.role = "part"


def _guard(flow: Flow, step: Step, inputs: Mapping[str, Any]) -> None:
    step.refs = [Ref(QUESTION)]
    step.advice = "Check the question with a condition before it goes on."


_READERS: dict[str, Callable[[Flow, Step, Mapping[str, Any]], None]] = {
    "promptTemplate": _prompt_template, "chatPromptTemplate": _prompt_template,
    "retrieverTool": _retriever_tool, "seqStart": _seq_start, "seqLLMNode": _seq_llm,
    "seqAgent": _seq_llm, "seqCondition": _seq_condition,
    "seqConditionAgent": _seq_condition_agent, "seqToolNode": _seq_tools, "seqEnd": _seq_end,
    "seqLoop": _seq_loop, "seqState": _part, "agentMemory": _part, "worker": _worker,
    "supervisor": _supervisor, "customFunction": _code, "ifElseFunction": _code,
    "inputModerationSimple": _guard, "inputModerationOpenAI": _guard,
}  # fmt: skip
