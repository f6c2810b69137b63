"""What the engine costs per node: a chain of 20 nodes that do nothing, side by side.

    python benchmarks/engine_overhead.py [--peers /path/to/venv/bin/python] [--json]

Events, type checks, timeouts, signatures and the result cache are on; every run starts with an
empty cache, so that nothing is reused. `--peers`, or BENCH_PEERS, names a Python that has
`haystack-ai` and `langgraph` installed; without it they are measured only if this Python has them.
"""

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NODES = 20
RUNS = 300
#: Runs before measuring.
WARM_UP = 30

Run = Callable[[], Awaitable[Any]]


async def per_node(run: Run) -> dict[str, float]:
    """Microseconds per node: the median and the fastest of many runs."""
    for _ in range(WARM_UP):
        await run()
    gc.collect()
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        await run()
        taken.append((time.perf_counter() - start) / NODES * 1e6)
    return {"median": statistics.median(taken), "fastest": min(taken)}


def bare_loop() -> Run:
    """Coroutines awaited one after the other in topological order; nothing else."""
    import networkx as nx

    graph = nx.DiGraph((i, i + 1) for i in range(NODES - 1))

    async def node(text: str) -> str:
        return text

    async def run() -> str:
        text = "x"
        for _ in nx.topological_sort(graph):
            text = await asyncio.create_task(node(text))
        return text

    return run


def ragloom() -> dict[str, Run]:
    """The engine over a prepared workflow, and with checking and preparing it in every run."""
    sys.path.insert(0, str(ROOT))
    from app.engine.cache import MemoryCache
    from app.engine.graph import EdgeSpec, Graph, NodeSpec
    from app.engine.node import Node, NodeConfig, NodeOutputs
    from app.engine.registry import Registry
    from app.engine.runner import Runner
    from app.engine.values import Text

    class Given(Node[NodeConfig]):
        type, title, family, icon = "given", "Given", "inputs", "x"

        class Outputs(NodeOutputs):
            text: Text

        async def run(self) -> Outputs:
            return self.Outputs(text=Text(text="x"))

    class Same(Node[NodeConfig]):
        type, title, family, icon = "same", "Same", "text", "x"
        Outputs = Given.Outputs

        async def run(self, text: Text) -> NodeOutputs:
            return self.Outputs(text=text)

    registry = Registry()
    for cls in (Given, Same):
        registry.register(cls)
    graph = Graph(outputs={"text": (f"n{NODES - 1}", "text")})
    for i in range(NODES):
        graph.nodes[f"n{i}"] = NodeSpec(id=f"n{i}", type="same" if i else "given")
    graph.edges = [EdgeSpec(f"n{i}", "text", f"n{i + 1}", "text") for i in range(NODES - 1)]
    events: list[Any] = []

    def runner() -> Runner:
        events.clear()
        return Runner(registry, None, MemoryCache())  # type: ignore[arg-type]  # no-ops use none

    plan = runner().prepare(graph)

    async def prepared() -> None:
        last = await runner().run(plan, {}, "run", events.append)
        assert last.outputs == {"text": {"text": "x"}}
        assert len(events) == 2 * NODES + 2

    async def whole() -> None:
        await runner().run(graph, {}, "run", events.append)

    return {"Ragloom": prepared, "Ragloom, checked and planned anew": whole}


def haystack() -> dict[str, Run]:
    """A Haystack pipeline of components, run synchronously, which is its fastest way."""
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    from haystack import Pipeline, component

    @component
    class Same:
        @component.output_types(text=str)
        def run(self, text: str) -> dict[str, str]:
            return {"text": text}

    def chain(pipeline: Any) -> Any:
        for i in range(NODES):
            pipeline.add_component(f"n{i}", Same())
        for i in range(NODES - 1):
            pipeline.connect(f"n{i}.text", f"n{i + 1}.text")
        return pipeline

    pipeline = chain(Pipeline())

    async def run() -> None:
        result = pipeline.run({"n0": {"text": "x"}})
        assert result == {f"n{NODES - 1}": {"text": "x"}}

    return {"Haystack": run}


def langgraph() -> dict[str, Run]:
    """A compiled LangGraph state graph."""
    from langgraph.graph import END, START, StateGraph
    from typing_extensions import TypedDict

    class State(TypedDict):
        text: str

    async def same(values: Any) -> dict[str, str]:
        return {"text": values["text"]}

    builder = StateGraph(State)
    names = [f"n{i}" for i in range(NODES)]
    for name in names:
        builder.add_node(name, same)
    for source, target in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(source, target)
    compiled = builder.compile()

    async def run() -> None:
        result = await compiled.ainvoke({"text": "x"}, {"recursion_limit": NODES + 5})
        assert result == {"text": "x"}

    return {"LangGraph": run}


PEERS: dict[str, Callable[[], dict[str, Run]]] = {"haystack": haystack, "langgraph": langgraph}


def measure(runs: dict[str, Run]) -> dict[str, dict[str, float]]:
    return {name: asyncio.run(per_node(run)) for name, run in runs.items()}


def measure_peer(name: str, python: str | None) -> dict[str, dict[str, float]]:
    """Measure a peer in a process of its own; empty where it is not installed."""
    if python is None and importlib.util.find_spec(name) is None:
        return {}
    done = subprocess.run(
        [python or sys.executable, __file__, "--peer", name],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"{name} was not measured: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        default=os.environ.get("BENCH_PEERS"),
        help="a Python that has the peers",
    )
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(measure(PEERS[options.peer]())))
        return
    found = measure({"bare asyncio loop": bare_loop(), **ragloom()})
    for name in PEERS:
        found |= measure_peer(name, options.peers)
    if options.json:
        print(json.dumps(found))
        return
    print(f"µs per no-op node, chain of {NODES}, {RUNS} runs {'median':>16} {'fastest':>9}")
    for name, values in found.items():
        print(f"  {name:<48} {values['median']:>9.1f} {values['fastest']:>9.1f}")
    if "Haystack" in found:
        share = found["Ragloom"]["median"] / found["Haystack"]["median"]
        print(f"Ragloom takes {share:.0%} of Haystack's time per node.")


if __name__ == "__main__":
    main()
