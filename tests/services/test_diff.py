"""What changed between two workflows: everything that did, and nothing else."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.graph import Graph, NodeSpec
from app.services.workflows.diff import GraphDiff, diff_graphs, edge_id, union
from app.services.workflows.json_diff import MAX_VALUE_CHARS, changes, clip, equal, text_diff
from app.ui.canvas.view import edge_id as canvas_edge_id

FILE: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {
        "format": "ragloom/1",
        "name": "Ask",
        "description": "",
        "outputs": {"answer": ["generate", "answer"]},
        "notes": [{"id": "n1", "x": 0, "y": 0, "text": "Why so?", "colour": "sand"}],
        "groups": [{"id": "g1", "title": "Search", "nodes": ["retrieve"]}],
    },
    "nodes": [
        {"id": "question", "type": "question", "config": {}, "position": [0, 0]},
        {"id": "retrieve", "type": "retrieve", "config": {"k": 5, "filters": {"lang": "en"}},
         "position": [300, 0]},
        {"id": "generate", "type": "generate", "config": {"instructions": "Be brief."},
         "position": [600, 0]},
    ],
    "edges": [
        {"source": "question", "target": "retrieve", "key": "query>query"},
        {"source": "question", "target": "generate", "key": "query>query"},
        {"source": "retrieve", "target": "generate", "key": "chunks>chunks"},
    ],
}  # fmt: skip


def graph(**parts: Any) -> Graph:
    return Graph.parse({**copy.deepcopy(FILE), **parts})


def edited(**configs: dict[str, Any]) -> Graph:
    made = graph()
    for node, config in configs.items():
        made.nodes[node].config = config
    return made


def test_settings_are_named_by_their_path() -> None:
    diff = diff_graphs(
        graph(), edited(retrieve={"k": 8, "filters": {"lang": "de", "year": 2020}, "rerank": True})
    )
    (node,) = diff.nodes
    assert (node.node_id, node.change, node.moved) == ("retrieve", "changed", None)
    assert [(c.path, c.kind, c.before, c.after) for c in node.changes] == [
        ("config.k", "changed", 5, 8),
        ("config.filters.lang", "changed", "en", "de"),
        ("config.filters.year", "added", None, 2020),
        ("config.rerank", "added", None, True),
    ]
    assert diff.counts() == {"changed": 1}


def test_a_move_is_no_change_of_a_setting() -> None:
    after = graph()
    after.nodes["retrieve"].position = (320.0, 80.0)
    after.extra["notes"][0]["x"] = 40
    diff = diff_graphs(graph(), after)
    assert [(n.node_id, n.change, n.moved) for n in diff.nodes] == [
        ("retrieve", "moved", [[300, 0], [320.0, 80.0]])
    ]
    assert [(d.kind, d.id, d.change) for d in diff.drawn] == [("note", "n1", "moved")]
    assert diff.info == []


def test_nodes_wires_notes_groups_and_facts_that_come_and_go() -> None:
    after = graph()
    del after.nodes["retrieve"]
    after.edges = [edge for edge in after.edges if "retrieve" not in (edge.source, edge.target)]
    after.extra["groups"] = []
    after.extra["notes"].append({"id": "n2", "text": "New"})
    after.outputs["sources"] = ("generate", "chunks")
    diff = diff_graphs(graph(), after)
    assert diff.marks()["nodes"] == {"retrieve": "removed"}
    assert diff.marks()["edges"] == {
        "question|query|retrieve|query": "removed",
        "retrieve|chunks|generate|chunks": "removed",
    }
    assert [(d.kind, d.id, d.change) for d in diff.drawn] == [
        ("note", "n2", "added"), ("group", "g1", "removed"),
    ]  # fmt: skip
    assert [(c.path, c.kind) for c in diff.info] == [("outputs.sources", "added")]
    both = union(graph(), after)
    assert set(both.nodes) == {"question", "retrieve", "generate"}
    assert len(both.edges) == 3


def test_what_was_removed_covers_nothing_that_stands_there_now() -> None:
    before, after = graph(), graph()
    for node in ("question", "retrieve", "generate"):
        before.nodes[node].position = (0, 0)
    after.nodes = {"new": NodeSpec("new", "generate", position=(100, 40))}
    after.edges = []
    both = union(before, after)
    assert both.nodes["new"].position == (100, 40)
    lost = [both.nodes[node].position or (-1, -1) for node in ("question", "retrieve", "generate")]
    assert [x for x, _ in lost] == [0, 0, 0]
    stand = sorted([40, *(y for _, y in lost)])
    assert all(low - high >= 200 for high, low in pairwise(stand))
    # What nothing stands in the way of stays where it was.
    after.nodes["new"].position = (300, 0)
    assert union(before, after).nodes["question"].position == (0, 0)


def test_the_order_of_wires_into_one_port_is_a_change_of_the_node() -> None:
    wires = [
        {"source": "question", "target": "generate", "key": "query>many"},
        {"source": "retrieve", "target": "generate", "key": "chunks>many"},
    ]
    diff = diff_graphs(graph(edges=wires), graph(edges=wires[::-1]))
    assert diff.edges == []
    assert [(n.node_id, [c.path for c in n.changes]) for n in diff.nodes] == [
        ("generate", ["inputs.many.order"])
    ]


def test_long_texts_say_which_words_changed() -> None:
    before = "Answer in one sentence, and cite the passages that you used for it."
    parts = text_diff(before, before.replace("one sentence", "two sentences"))
    assert [(p.op, p.text) for p in parts if p.op != "same"] == [
        ("removed", "one sentence,"), ("added", "two sentences,"),
    ]  # fmt: skip
    assert "".join(p.text for p in parts if p.op != "added") == before
    diff = diff_graphs(
        edited(generate={"instructions": before}),
        edited(generate={"instructions": before + " Be kind."}),
    )
    assert [p.text for p in diff.nodes[0].changes[0].text if p.op == "added"] == [" Be kind."]


@pytest.mark.parametrize(
    "pair",
    [
        ("a b " * 3_000, "b a " * 3_000),
        ("x" * 1_000_000, "y" * 1_000_000),
        ("\n".join(str(i) for i in range(9_000)), "\n".join(str(i) for i in range(1, 9_000))),
        ("", "z" * 500_000),
    ],
)
def test_texts_of_any_size_give_a_difference_of_bounded_size(pair: tuple[str, str]) -> None:
    parts = text_diff(*pair)
    assert any(part.op != "same" for part in parts)
    assert sum(len(part.text) for part in parts) <= 210_000


def test_values_of_any_size_are_clipped_and_their_number_is_bounded() -> None:
    large = {"rows": [{"cell": "x" * 50} for _ in range(5_000)]}
    shown, cut = clip(large)
    assert cut
    assert len(shown) <= MAX_VALUE_CHARS + 2
    other = {"rows": [{"cell": "y" * 50} for _ in range(5_000)]}
    assert len(changes(large, other, limit=25)) == 25


def test_items_with_ids_are_compared_under_their_ids() -> None:
    before = [{"id": "a", "v": 1}, {"id": "b", "v": 2}]
    after = [{"id": "b", "v": 3}, {"id": "a", "v": 1}]
    assert [(c.path, c.before, c.after) for c in changes(before, after, "nodes")] == [
        ("nodes[b].v", 2, 3),
        ("nodes.order", ["a", "b"], ["b", "a"]),
    ]


def test_numbers_that_hardly_differ_are_equal_where_that_is_asked_for() -> None:
    assert not equal({"score": 0.1 + 0.2}, {"score": 0.3})
    assert equal({"score": 0.1 + 0.2}, {"score": 0.3}, tolerance=1e-6)
    assert not equal({"on": True}, {"on": 1})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
_IDS = ("a", "b", "c", "end|")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    ids = draw(st.lists(st.sampled_from(_IDS), unique=True))
    nodes = [
        {
            "id": id_,
            "type": draw(st.sampled_from(("one", "two"))),
            "config": draw(st.dictionaries(st.text("kc", max_size=2), _JSON, max_size=2)),
            "position": [draw(st.integers(0, 2)), 0],
            "disabled": draw(st.booleans()),
        }
        for id_ in ids
    ]
    ends = st.tuples(st.sampled_from(_IDS), st.sampled_from(_IDS), st.sampled_from(("o>i", "p>i")))
    edges = [
        {"source": s, "target": t, "key": key}
        for s, t, key in draw(st.lists(ends, unique=True, max_size=4))
    ]
    notes = draw(st.lists(st.sampled_from(("x", "y")), unique=True))
    head = {
        "format": "ragloom/1",
        "name": draw(st.sampled_from(("", "n"))),
        "notes": [{"id": note, "text": draw(st.text("tu", max_size=2))} for note in notes],
        "variables": draw(_JSON),
    }
    return Graph.parse(
        {"directed": True, "multigraph": True, "graph": head, "nodes": nodes, "edges": edges}
    )


def _meaning(graph: Graph) -> str:
    data = graph.dump()
    data["nodes"].sort(key=lambda node: node["id"])
    data["graph"]["notes"].sort(key=lambda note: note["id"])
    # Of wires, the order matters only within one port.
    data["edges"].sort(key=lambda edge: (edge["target"], edge["key"].split(">")[1]))
    return json.dumps(data, sort_keys=True)


@settings(max_examples=150, deadline=None)
@given(graphs(), graphs())
def test_there_is_a_difference_exactly_where_the_graphs_differ(a: Graph, b: Graph) -> None:
    assert diff_graphs(a, a.copy()).empty
    forth, back = diff_graphs(a, b), diff_graphs(b, a)
    assert forth.empty == (_meaning(a) == _meaning(b))
    swapped = {"added": "removed", "removed": "added"}
    assert {n.node_id: swapped.get(n.change, n.change) for n in back.nodes} == {
        n.node_id: n.change for n in forth.nodes
    }
    assert {e.ends: swapped.get(e.change, e.change) for e in back.edges} == {
        e.ends: e.change for e in forth.edges
    }
    # What is left of `a` without the removed, with the added, are the nodes and wires of `b`.
    nodes, edges = set(a.nodes), {e.ends for e in a.edges}
    for node in forth.nodes:
        (nodes.add if node.change == "added" else nodes.discard)(node.node_id) if (
            node.change in swapped
        ) else None
    for edge in forth.edges:
        (edges.add if edge.change == "added" else edges.discard)(edge.ends) if (
            edge.change in swapped
        ) else None
    assert nodes == set(b.nodes)
    assert edges == {e.ends for e in b.edges}
    both = union(a, b)
    assert set(both.nodes) == set(a.nodes) | set(b.nodes)
    assert GraphDiff.model_validate_json(forth.model_dump_json()) == forth


@settings(deadline=None)
@given(st.lists(st.text(max_size=6), min_size=4, max_size=4))
def test_wires_have_the_ids_of_the_canvas(ends: list[str]) -> None:
    assert edge_id(ends) == canvas_edge_id(ends)
