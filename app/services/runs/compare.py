"""Two runs beside each other: where they part, and how their steps differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import networkx as nx

from app.engine.graph import Graph, NodeSpec
from app.engine.options import KEPT, PINNED, PINNED_SAME
from app.services.runs.compare_values import ValueDiff, describe, ports_diff, same_ports
from app.services.threads import call
from app.services.views import ExecutionView, StepView, View
from app.services.workflows.diff import GraphDiff, diff_graphs, node_changes
from app.services.workflows.json_diff import Change, changes, clip

if TYPE_CHECKING:
    from app.services.knowledge.service import KnowledgeService
    from app.services.runs.service import RunService

State = Literal["same", "config", "input", "output", "missing"]

#: Differences of values are listed until they take this many characters of JSON together.
MAX_DETAIL_CHARS = 1_000_000
#: Of a node's settings, what does not change its result.
_NOT_SETTINGS = ("title",)
_FACTS = (
    "execution_id", "workflow_id", "workflow_name", "revision", "trigger", "status",
    "started_at", "duration_ms", "error", "parent_run", "usage", "saved",
)  # fmt: skip


class RunFacts(View):
    """What a run is, without its steps."""

    execution_id: str
    workflow_id: str | None
    workflow_name: str
    revision: int | None
    trigger: str
    status: str
    started_at: str
    duration_ms: float | None
    error: dict[str, Any] | None
    parent_run: str | None = None
    usage: dict[str, float] = {}
    saved: dict[str, float] = {}
    #: The beginning of each input.
    input_data: dict[str, Any]


class StepFacts(View):
    """How a step went."""

    status: str
    duration_ms: float | None = None
    cached: bool = False
    reason: str = ""
    error: dict[str, Any] | None = None
    #: True where its values are not kept any more.
    expired: bool = False


class Difference(View):
    """Where two runs part: the first node, in the order in which data flows, that differs."""

    node_id: str
    kind: State
    #: In words: “top_k 5 → 8”.
    what: str


class NodeComparison(View):
    """A node in both runs."""

    node_id: str
    title: str
    type: str
    state: State
    what: str = ""
    a: StepFacts | None = None
    b: StepFacts | None = None
    config: list[Change] = []
    inputs: list[ValueDiff] = []
    outputs: list[ValueDiff] = []
    #: True where values differ but are left out here: ask for this node alone.
    clipped: bool = False


class CommitUse(View):
    """A knowledge base and the commits at which the two runs read it; None where one did not."""

    knowledge_base_id: str
    name: str
    a: str | None
    b: str | None
    same: bool
    #: The first node that read it.
    node_id: str


class RunComparison(View):
    """Everything that differs between two runs."""

    a: RunFacts
    b: RunFacts
    equal: bool
    first_difference: Difference | None
    #: Every node, in the order in which data flows.
    nodes: dict[str, State]
    #: Those that are not the same, in that order.
    details: list[NodeComparison]
    commits: list[CommitUse]
    #: What the runs were given.
    input: list[Change]
    graph: GraphDiff


class CompareService:
    """Compares runs as they are kept; nothing is run again."""

    def __init__(self, runs: RunService, knowledge: KnowledgeService) -> None:
        self._runs = runs
        self._knowledge = knowledge

    async def compare(self, a: str, b: str) -> RunComparison:
        """Compare two runs by their ids. Raises NotFound."""
        first, second = await self._runs.get(a), await self._runs.get(b)
        found = await call(compare_runs, first, second)
        for use in found.commits:
            use.name = await self._name(use.knowledge_base_id)
        return found

    async def node(self, a: str, b: str, node_id: str) -> NodeComparison:
        """One node in two runs, with its values whatever their size is. Raises NotFound."""
        first, second = await self._runs.get(a), await self._runs.get(b)
        return await call(lambda: _Comparison(first, second).node(node_id))

    async def _name(self, knowledge_base_id: str) -> str:
        try:
            return (await self._knowledge.get(knowledge_base_id)).name
        except Exception as error:
            if getattr(error, "code", "") != "not_found":
                raise
            return knowledge_base_id


def compare_runs(a: ExecutionView, b: ExecutionView) -> RunComparison:
    """Compare two runs that are at hand, with their graphs and steps."""
    return _Comparison(a, b).whole()


class _Side:
    """One of the runs: its nodes as they were run, and its steps."""

    def __init__(self, run: ExecutionView) -> None:
        self.run = run
        self.graph = Graph.parse(run.graph) if run.graph else Graph()
        self.steps = {step.node_id: step for step in run.steps}
        self.sources: dict[str, list[tuple[str, str, str]]] = {}
        for edge in self.graph.edges:
            end = (edge.source, edge.source_port, edge.target_port)
            self.sources.setdefault(edge.target, []).append(end)

    def spec(self, node_id: str) -> NodeSpec | None:
        """The node with the settings of this run."""
        spec = self.graph.nodes.get(node_id)
        if spec is None:
            return None
        changed = self._option("config").get(node_id)
        pinned = self._option("pin").get(node_id)
        if not changed and pinned is None:
            return spec
        spec = NodeSpec.load(spec.dump())
        spec.config |= changed if isinstance(changed, Mapping) else {}
        spec.pinned = pinned if pinned is not None else spec.pinned
        return spec

    def _option(self, name: str) -> Mapping[str, Any]:
        option = self.run.options.get(name)
        return option if isinstance(option, Mapping) else {}


class _Comparison:
    def __init__(self, a: ExecutionView, b: ExecutionView) -> None:
        self.a, self.b = _Side(a), _Side(b)

    def whole(self) -> RunComparison:
        nodes: dict[str, State] = {}
        details: list[NodeComparison] = []
        room = MAX_DETAIL_CHARS
        for node_id in self._order():
            found = self.node(node_id, values=room > 0)
            nodes[node_id] = found.state
            if found.state != "same":
                room -= len(found.model_dump_json())
                details.append(found)
        first = details[0] if details else None
        given = changes(self.a.run.input_data, self.b.run.input_data)
        graph = diff_graphs(self.a.graph, self.b.graph)
        return RunComparison(
            a=_facts(self.a.run),
            b=_facts(self.b.run),
            equal=first is None,
            first_difference=Difference(node_id=first.node_id, kind=first.state, what=first.what)
            if first
            else None,
            nodes=nodes,
            details=details,
            commits=self._commits(),
            input=given,
            graph=graph,
        )

    def node(self, node_id: str, *, values: bool = True) -> NodeComparison:
        spec_a, spec_b = self.a.spec(node_id), self.b.spec(node_id)
        step_a, step_b = self.a.steps.get(node_id), self.b.steps.get(node_id)
        spec, step = spec_b or spec_a, step_b or step_a
        result = NodeComparison(
            node_id=node_id,
            title=(spec.title if spec else "") or (step.name if step else "") or node_id,
            type=(spec.type if spec else "") or (step.type if step else ""),
            state="same",
            a=_step_facts(step_a),
            b=_step_facts(step_b),
        )
        if (spec_a is None) != (spec_b is None):
            return _said(result, "missing", f"it is in the workflow of {_which(spec_a)} only")
        if spec_a and spec_b:
            result.config = [
                change
                for change in node_changes(spec_a, spec_b)
                if change.path.split(".")[0] not in _NOT_SETTINGS
            ]
        if step_a is not None and step_b is not None:
            self._values(result, step_a, step_b, values)
        if result.config:
            return _said(result, "config", describe(result.config[0]))
        ran = [_ran(step) for step in (step_a, step_b)]
        if ran[0] != ran[1]:
            return _said(result, "missing", f"it ran in {_which(ran[0] or None)} only")
        if step_a is None or step_b is None:
            return result
        return self._judged(result, step_a, step_b)

    def _values(
        self, result: NodeComparison, step_a: StepView, step_b: StepView, values: bool
    ) -> None:
        if step_a.truncated or step_b.truncated:
            return
        # Outputs that were given say nothing of what would have come in.
        stand_ins = (KEPT, PINNED, PINNED_SAME)
        given = any(step.reason in stand_ins and not step.inputs for step in (step_a, step_b))
        for name in ("outputs",) if given else ("inputs", "outputs"):
            before, after = getattr(step_a, name), getattr(step_b, name)
            if same_ports(before, after):
                continue
            found = ports_diff(before, after)
            if not values:
                result.clipped = True
                found = [ValueDiff(port=d.port, type=d.type, what=d.what) for d in found]
            setattr(result, name, found)

    def _judged(self, result: NodeComparison, step_a: StepView, step_b: StepView) -> NodeComparison:
        """The state of a node that ran in both with the same settings."""
        node_id = result.node_id
        if result.inputs:
            diff = result.inputs[0]
            wired = sorted(self.a.sources.get(node_id, [])) == sorted(
                self.b.sources.get(node_id, [])
            )
            how = "" if wired else "wired differently; "
            return _said(result, "input", f"{how}{diff.port}: {diff.what}")
        if step_a.status != step_b.status:
            return _said(result, "output", f"{step_a.status} → {step_b.status}")
        if result.outputs:
            diff = result.outputs[0]
            given = changes(self.a.run.input_data, self.b.run.input_data)
            if not self.a.sources.get(node_id) and given and not step_a.inputs:
                return _said(result, "input", f"the run was given: {describe(given[0])}")
            return _said(result, "output", f"{diff.port}: {diff.what}")
        errors = [(step.error or {}).get("message", "") for step in (step_a, step_b)]
        if errors[0] != errors[1]:
            return _said(result, "output", "it failed for another reason")
        if step_a.truncated or step_b.truncated:
            result.what = "its values are not kept any more"
        return result

    def _order(self) -> list[str]:
        """Every node of both, sources first; what happened inside of a node right after it."""
        both = nx.DiGraph()
        for side in (self.b, self.a):
            both.add_nodes_from(side.graph.nodes)
        for side in (self.b, self.a):
            both.add_edges_from(side.graph.skeleton().edges)
        place = {node_id: number for number, node_id in enumerate(both)}
        # The two together may have a cycle that neither has alone.
        groups = nx.condensation(both)
        ordered = nx.lexicographical_topological_sort(
            groups, key=lambda g: min(place[i] for i in groups.nodes[g]["members"])
        )
        inner: dict[str, list[str]] = {}
        for node_id in dict.fromkeys([*self.b.steps, *self.a.steps]):
            if node_id not in both:
                outer = node_id.split("/")[0].split("[")[0]
                inner.setdefault(outer, []).append(node_id)
        order: list[str] = []
        for group in ordered:
            for node_id in sorted(groups.nodes[group]["members"], key=place.__getitem__):
                order += [node_id, *inner.pop(node_id, ())]
        return order + [node_id for ids in inner.values() for node_id in ids]

    def _commits(self) -> list[CommitUse]:
        used = [_used_commits(side.run.steps) for side in (self.a, self.b)]
        found = []
        for base in dict.fromkeys([*used[1], *used[0]]):
            a, b = used[0].get(base), used[1].get(base)
            found.append(
                CommitUse(
                    knowledge_base_id=base, name=base,
                    a=a[0] if a else None, b=b[0] if b else None,
                    same=bool(a and b and a[0] == b[0]), node_id=(b or a or ("", ""))[1],
                )
            )  # fmt: skip
        return found


def _used_commits(steps: Iterable[StepView]) -> dict[str, tuple[str, str]]:
    """Knowledge base -> (commit, the first node that found something in it)."""
    used: dict[str, tuple[str, str]] = {}
    for step in steps:
        for value in step.outputs.values():
            if isinstance(value, Mapping):
                base, commit = value.get("knowledge_base_id"), value.get("commit")
                if isinstance(base, str) and isinstance(commit, str):
                    used.setdefault(base, (commit, step.node_id))
    return used


def _said(result: NodeComparison, state: State, what: str) -> NodeComparison:
    result.state, result.what = state, what
    return result


def _ran(step: StepView | None) -> bool:
    return step is not None and step.status != "skipped"


def _which(in_a: object) -> str:
    return "the second run" if in_a is None else "the first run"


def _facts(run: ExecutionView) -> RunFacts:
    given = {name: clip(value)[0] for name, value in list(run.input_data.items())[:50]}
    return RunFacts(**run.model_dump(include=set(_FACTS)), input_data=given)


def _step_facts(step: StepView | None) -> StepFacts | None:
    if step is None:
        return None
    return StepFacts(
        status=step.status, duration_ms=step.duration_ms, cached=step.cached,
        reason=step.reason, error=step.error, expired=step.truncated,
    )  # fmt: skip
