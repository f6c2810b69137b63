"""Runs of a workflow inside a node: same run, world, cache and slots as the one around."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.engine.body import INLET, Body
from app.engine.cache import json_text
from app.engine.events import Event, NodeFailedEvent, NodeWaiting
from app.engine.graph import Graph
from app.engine.items import plain
from app.engine.plan import Fixed, Plan, make_plan
from app.engine.problems import InvalidWorkflow, NodeFailed, Problem, RagloomError
from app.engine.run import Run
from app.engine.run_context import RunContext
from app.engine.signature import digest
from app.engine.values import Documents, PortValue
from app.engine.visit import Visit

#: Workflows inside of each other.
MAX_DEPTH = 8
#: Runs of one body, by one visit, whose steps are told one by one.
TOLD_RUNS = 20
#: Plans kept during a run.
_MAX_PLANS = 256
#: Graphs above this many nodes are prepared in a thread, not on the event loop.
_LARGE_GRAPH = 200
_MAX_ITEM = 60


async def run_inside(
    visit: Visit,
    body: Body | Graph | Mapping[str, Any],
    inputs: Mapping[str, PortValue | None],
    item: str,
) -> dict[str, PortValue | None]:
    """Run a workflow inside the node of a visit; see `NodeContext.run_graph`."""
    outer = visit.context
    title = visit.node.title
    if outer.depth >= MAX_DEPTH:
        raise NodeFailed(
            f"“{title}” lies {MAX_DEPTH} workflows deep; no more may be inside of each other.",
            code="too_deep",
            fix="Put steps of the inner workflows side by side instead.",
        )
    plan = await _plan(visit, body)
    stored = body.workflow if isinstance(body, Body) and body.graph is None else ""
    visit.inner_runs += 1
    told = (
        outer.payloads
        and visit.inner_runs <= TOLD_RUNS
        and not getattr(outer.emit, "quiet", False)
        and outer.inner.steps >= len(plan.nodes)
    )
    if told:
        outer.inner.steps -= len(plan.nodes)
    part = re.sub(r"[\[\]/\s]+", "_", item)[:_MAX_ITEM]
    place = f"{visit.node.spec.id}[{part}]" if part else visit.node.spec.id
    given = _inlets(plan, inputs)
    names = {_inlet_name(plan, node_id) for node_id in given}
    context = replace(
        outer,
        emit=_Teller(outer, visit, plan, place, quiet=not told),
        input_data={
            **visit.data,
            **{n: _datum(v) for n, v in inputs.items() if v is not None and n not in names},
        },
        scope=f"{outer.scope}/{place}",
        variables={**outer.variables, **plan.variables},
        # Who asks for a node anew asks for what is inside it.
        fresh=frozenset(plan.nodes) if visit.node.spec.id in outer.fresh else plan.fresh,
        gate=None,
        payloads=told,
        outer=visit,
        prefix=f"{outer.prefix}{place}/",
        inside=(*outer.inside, stored) if stored else outer.inside,
        depth=outer.depth + 1,
    )
    run = Run(plan, context, given=given)
    with _noted(visit):
        async with visit.slot.away():
            problem = await run.walk()
    visit.inner_total += run.counted
    visit.inner_ran += run.ran
    if problem is not None:
        raise _failure(plan, problem)
    return run.values()


@contextmanager
def _noted(visit: Visit) -> Iterator[None]:
    """Let the visit know the task that waits for a run inside it."""
    task = asyncio.current_task()
    if task is None or task in visit.inner_tasks:
        yield
        return
    visit.inner_tasks.add(task)
    try:
        yield
    finally:
        visit.inner_tasks.discard(task)


class _Teller:
    """Passes events of an inner run on to the run around it, under names that say where."""

    def __init__(
        self, context: RunContext, visit: Visit, plan: Plan, place: str, *, quiet: bool
    ) -> None:
        self._context = context
        self._visit = visit
        self._plan = plan
        self._place = place
        self.quiet = quiet

    def __call__(self, event: Event) -> None:
        node_id = getattr(event, "node_id", None)
        if node_id is None or self._context.is_settled(self._visit.node.spec.id):
            return
        if self.quiet and not self._is_told(event):
            return
        changes: dict[str, Any] = {"node_id": f"{self._place}/{node_id}"}
        node = self._plan.nodes.get(node_id)
        if node is not None and hasattr(event, "title"):
            changes |= {"title": node.title, "type": node.spec.type}
        if isinstance(event, NodeFailedEvent):
            changes["problem"] = event.problem.model_copy(update={"node": changes["node_id"]})
        self._context.emit(event.model_copy(update=changes))

    def _is_told(self, event: Event) -> bool:
        """Of inner runs beyond the first ones, only what a person has to know."""
        if isinstance(event, NodeFailedEvent):
            # Counted once, by the innermost run.
            if "/" not in event.node_id:
                self._context.inner.failures -= 1
            return self._context.inner.failures >= 0
        return isinstance(event, NodeWaiting)


async def _plan(visit: Visit, body: Body | Graph | Mapping[str, Any]) -> Plan:
    """The plan of a body, made once per run."""
    inner = visit.context.inner
    source: Any = body.graph if isinstance(body, Body) else body
    known = inner.plans.get(id(source))
    if known is None:
        async with inner.planning:
            if isinstance(body, Body) and body.graph is None:
                source = await _stored(visit, body)
            known = inner.plans.get(id(source)) or await _make_plan(visit, source)
    return known[1]


async def _make_plan(visit: Visit, source: Any) -> tuple[object, Plan]:
    inner = visit.context.inner
    try:
        graph = source if isinstance(source, Graph) else Graph.parse(source)
        if len(graph.nodes) > _LARGE_GRAPH:
            plan = await asyncio.to_thread(make_plan, graph, visit.context.registry)
        else:
            plan = make_plan(graph, visit.context.registry)
    except InvalidWorkflow as error:
        raise NodeFailed(
            f"The workflow inside “{visit.node.title}” cannot run: "
            f"{error.message.removeprefix('The workflow cannot run: ')}",
            code=error.code,
            fix=error.fix,
            problems=error.problems,
        ) from error
    if len(inner.plans) >= _MAX_PLANS:
        inner.plans.clear()
    inner.plans[id(source)] = (source, plan)
    return source, plan


async def _stored(visit: Visit, body: Body) -> Mapping[str, Any]:
    context, title = visit.context, visit.node.title
    if not body.workflow:
        raise NodeFailed(
            f"“{title}” holds no workflow.",
            code="missing_workflow",
            fix="Choose one in its settings.",
        )
    if body.workflow in context.inside or body.workflow == context.scope.partition("/")[0]:
        raise NodeFailed(
            f"The workflow inside “{title}” contains itself.",
            code="recursive_workflow",
            fix="Choose another workflow in its settings.",
        )
    workflows = getattr(context.world, "workflows", None)
    if workflows is None:
        raise NodeFailed(
            f"“{title}” names a stored workflow, and none are at hand here.",
            code="missing_workflow",
            fix="Embed the workflow in the node instead.",
        )
    key = (body.workflow, body.revision)
    if key not in context.inner.stored:
        try:
            context.inner.stored[key] = await workflows.graph(body.workflow, body.revision)
        except RagloomError as error:
            if error.code != "not_found":
                raise
            raise NodeFailed(
                f"The workflow inside “{title}” is not there: {error.message.rstrip('.')}.",
                code="missing_workflow",
                fix="Choose another workflow or revision in its settings.",
            ) from error
    return context.inner.stored[key][0]


def _inlet_name(plan: Plan, node_id: str) -> str:
    return str(plan.nodes[node_id].spec.config.get("name", ""))


def _inlets(plan: Plan, inputs: Mapping[str, PortValue | None]) -> dict[str, Fixed]:
    """What the inlets of a body give."""
    given = {}
    for node_id, node in plan.nodes.items():
        if node.spec.type != INLET or node.fixed is not None or node.bypass is not None:
            continue
        name = _inlet_name(plan, node_id)
        if name not in inputs:
            continue  # it says itself what is missing
        value = inputs[name]
        if value is None:
            nothing = dict.fromkeys((port.name for port in node.output_ports), None)
            given[node_id] = Fixed(nothing, "nothing came in", skipped=True)
            continue
        key = digest("inlet", value.type_name, json_text(value).decode())
        outputs = {port.name: value for port in node.output_ports[:1]}
        given[node_id] = Fixed(outputs, "given by the node around it", key)
    return given


def _datum(value: PortValue) -> Any:
    """A value as an input node reads it from the input data of a run."""
    return list(value.items) if isinstance(value, Documents) else plain(value)


def _failure(plan: Plan, problem: Problem) -> NodeFailed:
    node = plan.nodes.get(problem.node or "")
    title = node.title if node is not None else problem.node or "a node"
    named = problem.message if f"“{title}”" in problem.message else f"“{title}”: {problem.message}"
    return NodeFailed(
        named,
        code=problem.code,
        fix=problem.fix,
        inner=problem.node,
        found=problem.found,
        expected=problem.expected,
    )
