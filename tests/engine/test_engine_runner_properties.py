"""Any graph: its nodes run in topological order, and a cancelled run tells the end of each."""

from __future__ import annotations

import asyncio

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_nodes import Bench

from app.engine.graph import EdgeSpec, Graph, NodeSpec


@st.composite
def random_dags(draw):
    """Joins over wires that lead from lower to higher numbers, and policies here and there."""
    count = draw(st.integers(1, 10))
    graph = Graph()
    for i in range(count):
        node_id = f"n{i}"
        sources = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        fields = {"type": "join"} if sources else {"type": "say"}
        if draw(st.integers(0, 5)) == 0:
            fields = {"type": "work", "config": {"failures": 1}, "on_error": "skip"}
            sources = set(list(sources)[:1])
        graph.nodes[node_id] = NodeSpec(id=node_id, disabled=draw(st.integers(0, 7)) == 0, **fields)
        port = "text" if fields["type"] == "work" else "texts"
        graph.edges += [EdgeSpec(f"n{s}", "text", node_id, port) for s in sorted(sources)]
    return graph


@given(random_dags(), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_any_dag_runs_in_topological_order(graph, concurrency):
    bench = Bench(concurrency=concurrency)
    last = asyncio.run(bench.run(graph, text="x"))
    assert last.status == "completed"
    ended = {
        e.node_id: i
        for i, e in enumerate(bench.events)
        if e.kind in ("node_finished", "node_skipped", "node_failed")
    }
    started = {e.node_id: i for i, e in enumerate(bench.events) if e.kind == "node_started"}
    assert set(ended) == set(graph.nodes)
    for source, target in graph.skeleton().edges:
        assert ended[source] < started.get(target, ended[target])
    order = sorted(graph.nodes, key=ended.__getitem__)
    rank = {node: i for i, node in enumerate(order)}
    assert all(rank[a] < rank[b] for a, b in graph.skeleton().edges)
    assert nx.is_directed_acyclic_graph(graph.skeleton())


@given(random_dags(), st.floats(0, 0.02))
@settings(max_examples=30, deadline=None)
def test_a_run_cancelled_at_any_moment_tells_the_end_of_every_node(graph, after):
    for node in graph.nodes.values():
        if node.type == "work":
            node.config["seconds"] = 0.01

    async def check():
        bench = Bench()
        task = asyncio.create_task(bench.run(graph, text="x"))
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.wait([task])
        if bench.events:
            assert bench.events[-1].kind == "run_finished"
            assert set(bench.events.ended()) == set(graph.nodes)

    asyncio.run(check())
