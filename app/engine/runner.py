"""Runs workflows made of the nodes of one registry: checked once, run any number of times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from app.engine.cache import ResultCache
from app.engine.context import Approvals, World
from app.engine.events import Event, RunFinished
from app.engine.graph import Graph
from app.engine.options import RunOptions
from app.engine.plan import Plan, make_plan
from app.engine.registry import Registry
from app.engine.run import Run
from app.engine.run_context import RunContext, Watch

#: Nodes of one run that may work at the same time.
DEFAULT_CONCURRENCY = 16
#: Graphs above this many nodes are prepared in a thread, not on the event loop.
_LARGE_GRAPH = 200


class Runner:
    """Runs workflows made of the nodes of one registry."""

    def __init__(
        self,
        registry: Registry,
        world: World,
        cache: ResultCache | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        payloads: bool = True,
        approvals: Approvals | None = None,
        max_output_mb: float = 64,
        watch: Watch | None = None,
    ) -> None:
        """Take `cache` None to reuse nothing, `payloads` False to keep values out of events.

        `approvals` asks a person; without it, a node that waits for one fails. An output above
        `max_output_mb` (of JSON text, about) is the failure of its node. `watch` is told which
        nodes work, and may stop one.
        """
        self.registry = registry
        self.world = world
        self.cache = cache
        self.concurrency = concurrency
        self.payloads = payloads
        self.approvals = approvals
        self.max_output_mb = max_output_mb
        self.watch = watch

    def prepare(
        self,
        graph: Graph,
        options: RunOptions | Collection[str] | None = None,
        *,
        targets: Collection[str] | None = None,
    ) -> Plan:
        """Check a workflow once for many runs. Raises InvalidWorkflow with every problem."""
        return make_plan(graph, self.registry, options, targets=targets)

    async def run(
        self,
        graph: Graph | Plan,
        input_data: Mapping[str, Any],
        run_id: str,
        emit: Callable[[Event], None],
        *,
        options: RunOptions | None = None,
        targets: Collection[str] | None = None,
        scope: str = "",
        gate: Callable[[str], Awaitable[None]] | None = None,
    ) -> RunFinished:
        """Run a workflow, or the part of it that `options` say (a plan has its own options).

        `emit` gets every event on the event loop, in order: exactly one of finished, skipped
        and failed for each node, and `RunFinished` last. A failed node ends in
        `RunFinished(status="failed")`, not in an exception. To cancel, cancel the task: it
        ends within a second, after `RunFinished(status="cancelled")`. `scope` (a workflow's
        id) tells apart nodes of the same id when saying why one ran again. `gate` is awaited
        before each node that would run, with its id: whoever steps through a run opens it.

        Raises InvalidWorkflow before the first event when the workflow cannot run.
        """
        if isinstance(graph, Plan):
            plan = graph
        elif len(graph.nodes) > _LARGE_GRAPH:
            plan = await asyncio.to_thread(self.prepare, graph, options, targets=targets)
        else:
            plan = self.prepare(graph, options, targets=targets)
        context = RunContext(
            run_id=run_id,
            world=self.world,
            registry=self.registry,
            input_data=input_data,
            cache=self.cache,
            scope=scope,
            slots=asyncio.Semaphore(self.concurrency),
            emit=emit,
            variables=plan.variables,
            types=self.registry.value_types(),
            fresh=plan.fresh,
            approvals=self.approvals,
            gate=gate,
            watch=self.watch,
            max_output=int(self.max_output_mb * 1024 * 1024),
            payloads=self.payloads,
        )
        return await Run(plan, context).execute()
