"""Properties of the editor: undo and redo are exact, patches are enough, edits keep a DAG."""

from __future__ import annotations

from typing import Any

import canvas_toys as toys
import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.graph import Graph
from app.ui.canvas.editor import GraphEditor, Refused
from app.ui.canvas.view import graph_view

IDS = [
    f"{stem}{n}"
    for stem in ("question", "retrieve", "generate", "rerank", "merge")
    for n in ("", "-2", "-3")
]
TYPES = ["question", "retrieve", "rerank", "generate", "validate", "merge", "unknown"]
PORTS = ["query", "chunks", "answer", "values", "value", "hint"]

ids = st.sampled_from(IDS)
notes = st.sampled_from(["note", "note-2"])
groups = st.sampled_from(["group", "group-2"])
numbers = st.integers(-2000, 2000).map(float)
wires = st.tuples(ids, st.sampled_from(PORTS), ids, st.sampled_from(PORTS))

operations = st.one_of(
    st.builds(
        lambda t, x, y, into: {"op": "add_node", "type": t, "x": x, "y": y, "insert": into},
        st.sampled_from(TYPES), numbers, numbers, st.none() | wires,
    ),
    st.builds(
        lambda ends: dict(zip(("source", "source_port", "target", "target_port"), ends, strict=True), op="connect"),
        wires,
    ),
    st.builds(lambda e: {"op": "disconnect", "edges": e}, st.lists(wires, max_size=3)),
    st.builds(
        lambda n, e: {"op": "delete", "nodes": n, "edges": e},
        st.lists(ids, max_size=2), st.lists(wires, max_size=2),
    ),
    st.builds(
        lambda p: {"op": "move_nodes", "positions": p},
        st.dictionaries(ids, st.tuples(numbers, numbers), max_size=3),
    ),
    st.builds(lambda n: {"op": "duplicate", "nodes": n}, st.lists(ids, max_size=2)),
    st.builds(lambda n, k: {"op": "set_config", "node": n, "config": {"k": k}}, ids, st.integers(0, 5)),
    st.builds(lambda n, t: {"op": "rename", "node": n, "title": t}, ids, st.text(max_size=5)),
    st.builds(
        lambda n, d: {"op": "set_disabled", "nodes": n, "disabled": d},
        st.lists(ids, max_size=2), st.booleans(),
    ),
    st.builds(lambda x, t: {"op": "add_note", "x": x, "y": x, "text": t}, numbers, st.text(max_size=5)),
    st.builds(lambda n, t: {"op": "edit_note", "note": n, "text": t}, notes, st.text(max_size=5)),
    st.builds(
        lambda n, m: {"op": "group", "nodes": n, "notes": m},
        st.lists(ids, max_size=3), st.lists(notes, max_size=1),
    ),
    st.builds(lambda g: {"op": "ungroup", "groups": [g]}, groups),
    st.builds(lambda g, n: {"op": "set_group", "group": g, "nodes": n}, groups, st.lists(ids, max_size=3)),
    st.builds(lambda n, m: {"op": "delete", "nodes": n, "notes": m}, st.lists(ids, max_size=1), st.lists(notes, max_size=1)),
    st.builds(
        lambda n, e: {"op": "insert", "node": n, "wire": e}, ids, wires,
    ),
)  # fmt: skip


def do(editor: GraphEditor, op: dict[str, Any]) -> bool:
    before = editor.graph
    try:
        editor.apply([op])
    except Refused:
        assert editor.graph is before
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(st.lists(operations, max_size=25))
def test_undoing_everything_gives_the_original_and_redoing_everything_the_result(
    ops: list[dict[str, Any]],
) -> None:
    editor = GraphEditor(toys.answering(), toys.registry())
    original = editor.dump()
    for op in ops:
        do(editor, op)
    result = editor.dump()
    steps = 0
    while editor.undo_label is not None:
        editor.undo()
        steps += 1
    assert editor.dump() == original
    for _ in range(steps):
        editor.redo()
    assert editor.redo_label is None
    assert editor.dump() == result


@settings(max_examples=60, deadline=None)
@given(st.lists(operations | st.sampled_from(["undo", "redo"]), max_size=25))
def test_patches_alone_keep_a_viewer_up_to_date(ops: list[Any]) -> None:
    editor = GraphEditor(toys.answering(), toys.registry())
    shown = editor.load_payload()["graph"]
    kinds = ("nodes", "edges", "notes", "groups")
    seen = {kind: {view["id"]: view for view in shown[kind]} for kind in kinds}

    def follow(change: Any) -> None:
        patch = change.patch
        for kind in kinds:
            for id_ in patch.get(f"remove_{kind}", []):
                del seen[kind][id_]
            seen[kind].update({view["id"]: view for view in patch.get(kind, [])})
        for id_, (x, y) in patch.get("moved", {}).items():
            seen["nodes"][id_] = {**seen["nodes"][id_], "x": x, "y": y}

    editor.subscribe(follow)
    for op in ops:
        if op == "undo":
            editor.undo()
        elif op == "redo":
            editor.redo()
        else:
            do(editor, op)
    # What was drawn before and taken over is what would be drawn anew.
    truth = graph_view(editor.graph, editor.registry, editor.problems).dump()
    assert editor.load_payload()["graph"] == truth
    for kind in kinds:
        assert seen[kind] == {view["id"]: view for view in truth[kind]}


@settings(max_examples=60, deadline=None)
@given(st.lists(operations, max_size=30))
def test_no_edit_makes_a_cycle_a_dangling_wire_or_a_file_that_cannot_be_read(
    ops: list[dict[str, Any]],
) -> None:
    editor = GraphEditor(toys.answering(), toys.registry())
    for op in ops:
        do(editor, op)
    graph = editor.graph
    assert nx.is_directed_acyclic_graph(graph.skeleton())
    assert all(e.source in graph.nodes and e.target in graph.nodes for e in graph.edges)
    assert len({e.ends for e in graph.edges}) == len(graph.edges)
    assert Graph.parse(editor.dump()) == graph
    codes = {problem.code for problem in editor.problems}
    assert not codes & {"cycle", "type_mismatch"}
