"""The graph editor: operations, refusals with reasons, views, patches, stale results."""

from __future__ import annotations

import json
from typing import Any

import canvas_toys as toys
import pytest

from app.engine.graph import Graph, NodeSpec
from app.ui.canvas.editor import Change, GraphEditor, Refused


@pytest.fixture
def editor() -> GraphEditor:
    return GraphEditor(toys.answering(), toys.registry())


def connect(source: str, source_port: str, target: str, target_port: str) -> dict[str, Any]:
    return {
        "op": "connect",
        "source": source,
        "source_port": source_port,
        "target": target,
        "target_port": target_port,
    }


def ends(editor: GraphEditor) -> set[tuple[str, str, str, str]]:
    return {edge.ends for edge in editor.graph.edges}


def test_a_dropped_node_gets_an_id_of_its_own_and_is_selected(editor: GraphEditor) -> None:
    change = editor.apply([{"op": "add_node", "type": "retrieve", "x": 16, "y": 320}], origin="tab")
    assert editor.graph.nodes["retrieve-2"].position == (16.0, 320.0)
    assert change.patch["select"] == ["retrieve-2"]
    assert change.patch["origin"] == "tab"
    assert [view["id"] for view in change.patch["nodes"]] == ["retrieve-2"]
    assert change.label == "Add Retrieve"


def test_nodes_added_without_a_place_cover_no_other(editor: GraphEditor) -> None:
    kind = next(iter(editor.graph.nodes.values())).type
    for _ in range(3):
        editor.apply([{"op": "add_node", "type": kind, "x": 40, "y": 40, "free": True}])
    spots = [spec.position or (0, 0) for spec in editor.graph.nodes.values()][-3:]
    assert len({y for _, y in spots}) == 3
    for i, (x, y) in enumerate(spots):
        assert all(abs(x - a) >= 240 or abs(y - b) >= 160 for a, b in spots[:i])


def test_an_unknown_type_is_refused(editor: GraphEditor) -> None:
    with pytest.raises(Refused, match="no node type “mystery”"):
        editor.apply([{"op": "add_node", "type": "mystery", "x": 0, "y": 0}])


def test_wrong_type_is_refused_with_both_types_and_what_would_fit(editor: GraphEditor) -> None:
    before = editor.graph
    with pytest.raises(Refused) as refused:
        editor.apply([connect("retrieve", "chunks", "generate", "query")])
    assert refused.value.message == (
        "Chunks does not fit: “query” of “Generate answer” takes Query."
    )
    assert refused.value.fix == "Use its input “chunks”."
    assert editor.graph is before
    assert editor.undo_label is None


def test_a_loop_is_refused(editor: GraphEditor) -> None:
    editor.apply([{"op": "add_node", "type": "rerank", "x": 0, "y": 0}])
    editor.apply([connect("retrieve", "chunks", "rerank", "chunks")])
    editor.apply([{"op": "add_node", "type": "merge", "x": 0, "y": 0}])
    editor.apply([connect("rerank", "chunks", "merge", "values")])
    with pytest.raises(Refused, match="cannot feed itself"):
        editor.apply([connect("merge", "value", "merge", "values")])
    editor.apply([{"op": "disconnect", "edges": [["question", "query", "retrieve", "query"]]}])
    with pytest.raises(Refused, match="loop"):
        editor.apply([connect("merge", "value", "rerank", "chunks")])


def test_a_second_wire_takes_the_place_of_the_first_unless_the_port_takes_many(
    editor: GraphEditor,
) -> None:
    editor.apply([{"op": "add_node", "type": "retrieve", "x": 0, "y": 400}])
    editor.apply([connect("retrieve-2", "chunks", "generate", "chunks")])
    assert ("retrieve", "chunks", "generate", "chunks") not in ends(editor)
    assert ("retrieve-2", "chunks", "generate", "chunks") in ends(editor)
    editor.apply([{"op": "add_node", "type": "merge", "x": 0, "y": 400}])
    editor.apply([connect("retrieve", "chunks", "merge", "values")])
    editor.apply([connect("retrieve-2", "chunks", "merge", "values")])
    assert sum(edge.target == "merge" for edge in editor.graph.edges) == 2


def test_a_passed_on_value_keeps_its_type(editor: GraphEditor) -> None:
    editor.apply([{"op": "add_node", "type": "merge", "x": 0, "y": 0}])
    view = editor.node_view("merge")
    assert view is not None
    assert view["outputs"][0]["type"] == "Any"
    editor.apply([connect("retrieve", "chunks", "merge", "values")])
    view = editor.node_view("merge")
    assert view is not None
    assert view["outputs"][0]["type"] == "Chunks"
    with pytest.raises(Refused, match="Chunks does not fit"):
        editor.apply([connect("merge", "value", "generate", "query")])


def test_a_wire_dropped_on_nothing_is_connected_to_the_new_node(editor: GraphEditor) -> None:
    start = {"node": "retrieve", "port": "chunks", "side": "source", "type": "Chunks"}
    editor.apply([{"op": "add_node", "type": "rerank", "x": 0, "y": 0, "connect": start}])
    assert ("retrieve", "chunks", "rerank", "chunks") in ends(editor)
    back = {"node": "rerank", "port": "query", "side": "target", "type": "Query"}
    editor.apply([{"op": "add_node", "type": "question", "x": 0, "y": 0, "connect": back}])
    assert ("question-2", "query", "rerank", "query") in ends(editor)


def test_a_node_dropped_on_a_wire_goes_into_it(editor: GraphEditor) -> None:
    on = ["retrieve", "chunks", "generate", "chunks"]
    change = editor.apply([{"op": "add_node", "type": "rerank", "x": 0, "y": 0, "insert": on}])
    assert tuple(on) not in ends(editor)
    assert {
        ("retrieve", "chunks", "rerank", "chunks"),
        ("rerank", "chunks", "generate", "chunks"),
    } <= ends(editor)
    assert change.stale == {"rerank", "generate"}
    # The question it needs besides is the one that its neighbours take.
    assert ("question", "query", "rerank", "query") in ends(editor)


def test_what_goes_into_a_wire_covers_nothing(editor: GraphEditor) -> None:
    across = ["question", "query", "generate", "query"]
    editor.apply([{"op": "add_node", "type": "rerank", "x": 0, "y": 0, "insert": across}])
    assert "rerank" in editor.graph.nodes  # it takes no question in the place of passages
    editor.apply([{"op": "add_node", "type": "merge", "x": 0, "y": 0, "insert": across}])
    assert ("merge", "value", "generate", "query") in ends(editor)
    places = {id_: spec.position or (0, 0) for id_, spec in editor.graph.nodes.items()}
    (x, y), (other_x, other_y) = places["merge"], places["retrieve"]
    assert abs(x - other_x) >= 240 or abs(y - other_y) >= 160
    assert places["question"][0] + 240 <= x <= places["generate"][0] - 240


def test_compatible_lists_what_fits_a_port(editor: GraphEditor) -> None:
    assert editor.compatible("retrieve", "chunks", "source") == [
        ("rerank", "chunks"), ("generate", "chunks"), ("validate", "chunks"), ("merge", "values"),
    ]  # fmt: skip
    assert ("question", "query") in editor.compatible("generate", "query", "target")
    assert ("retrieve", "chunks") not in editor.compatible("generate", "query", "target")


def test_deleting_nodes_takes_their_wires_and_named_outputs(editor: GraphEditor) -> None:
    change = editor.apply([{"op": "delete", "nodes": ["generate"]}])
    assert set(editor.graph.nodes) == {"question", "retrieve"}
    assert ends(editor) == {("question", "query", "retrieve", "query")}
    assert editor.graph.outputs == {}
    assert change.patch["remove_nodes"] == ["generate"]
    assert len(change.patch["remove_edges"]) == 2
    editor.undo()
    assert editor.graph == toys.answering()


def test_moving_sends_places_only_and_makes_nothing_stale(editor: GraphEditor) -> None:
    change = editor.apply([{"op": "move_nodes", "positions": {"retrieve": [48, 96]}}])
    assert change.patch["moved"] == {"retrieve": [48.0, 96.0]}
    assert "nodes" not in change.patch
    assert change.stale == frozenset()


def test_a_changed_setting_makes_what_depends_on_it_stale(editor: GraphEditor) -> None:
    change = editor.apply([{"op": "set_config", "node": "retrieve", "config": {"k": 8}}])
    assert change.stale == {"retrieve", "generate"}
    view = editor.node_view("retrieve")
    assert view is not None
    assert view["summary"] == "top 8 by meaning"


def test_typing_into_one_field_is_one_step(editor: GraphEditor) -> None:
    for text in ("h", "he", "hel"):
        editor.apply([{"op": "set_config", "node": "retrieve", "config": {"k": 5, "note": text}}])
    editor.apply([{"op": "set_config", "node": "retrieve", "config": {"k": 6, "note": "hel"}}])
    editor.undo()
    assert editor.graph.nodes["retrieve"].config == {"k": 5, "note": "hel"}
    editor.undo()
    assert editor.graph.nodes["retrieve"].config == {"k": 5}
    assert editor.undo_label is None


def test_a_bad_setting_is_kept_and_reported(editor: GraphEditor) -> None:
    change = editor.apply([{"op": "set_config", "node": "retrieve", "config": {"k": 0}}])
    assert editor.graph.nodes["retrieve"].config == {"k": 0}
    assert any(problem.node == "retrieve" for problem in change.problems)
    (view,) = [view for view in change.patch["nodes"] if view["id"] == "retrieve"]
    assert view["problems"]


def test_copy_and_paste_work_across_editors(editor: GraphEditor) -> None:
    text = editor.copy(["retrieve", "generate"])
    assert Graph.parse(json.loads(text)).edges == [toys.wire("retrieve.chunks > generate.chunks")]
    other = GraphEditor(toys.answering(), toys.registry())
    change = other.paste(text, 100, 200)
    assert change.patch["select"] == ["retrieve-2", "generate-2"]
    assert other.graph.nodes["retrieve-2"].position == (100.0, 200.0)
    assert other.graph.nodes["generate-2"].position == (436.0, 200.0)
    assert ("retrieve-2", "chunks", "generate-2", "chunks") in ends(other)
    assert other.graph.nodes["retrieve-2"].config == {"k": 5}


@pytest.mark.parametrize(
    "text", ["hello", "{}", "[1]", '{"graph": {"format": "ragloom/9"}}', "[" * 9999]
)
def test_pasting_something_else_is_refused(editor: GraphEditor, text: str) -> None:
    with pytest.raises(Refused, match="holds no nodes"):
        editor.paste(text, 0, 0)


def test_duplicate_copies_the_wires_between_the_copies(editor: GraphEditor) -> None:
    editor.apply([{"op": "duplicate", "nodes": ["retrieve", "generate"]}])
    assert ("retrieve-2", "chunks", "generate-2", "chunks") in ends(editor)
    assert len(editor.graph.edges) == 4


def test_a_batch_is_refused_as_a_whole(editor: GraphEditor) -> None:
    before = editor.graph
    wires = [["retrieve", "chunks", "generate", "chunks"]]
    with pytest.raises(Refused):
        editor.apply(
            [
                {"op": "disconnect", "edges": wires},
                connect("retrieve", "chunks", "generate", "query"),
            ]
        )
    assert editor.graph is before


@pytest.mark.parametrize(
    "op",
    [
        {"op": "explode"},
        {"op": "move_nodes", "positions": {"retrieve": [float("nan"), 0]}},
        {"op": "move_nodes", "positions": {"retrieve": ["left", 0]}},
        {"op": "connect", "source": "question"},
        {"op": "rename", "node": "retrieve", "title": "x" * 300},
        {"op": "delete", "nodes": "retrieve"},
        "delete",
        None,
    ],
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(editor: GraphEditor, op: Any) -> None:
    before = editor.graph
    with pytest.raises(Refused, match="cannot be read"):
        editor.apply([op])
    assert editor.graph is before


def test_unknown_types_are_shown_with_the_ports_their_wires_mention() -> None:
    graph = toys.answering()
    graph.nodes["custom"] = NodeSpec("custom", "somebody.else", title="Custom", position=(0.0, 0.0))
    graph.edges += [
        toys.wire("retrieve.chunks > custom.things"),
        toys.wire("custom.more > generate.hint"),
    ]
    editor = GraphEditor(graph, toys.registry())
    view = editor.node_view("custom")
    assert view is not None
    assert view["unknown"]
    assert [port["name"] for port in view["inputs"]] == ["things"]
    assert [port["name"] for port in view["outputs"]] == ["more"]
    assert view["problems"]
    editor.apply([{"op": "move_nodes", "positions": {"custom": [10, 10]}}])
    assert Graph.parse(editor.dump()).nodes["custom"].type == "somebody.else"


def test_a_file_without_places_is_laid_out_in_layers() -> None:
    graph = toys.answering()
    for spec in graph.nodes.values():
        spec.position = None
    editor = GraphEditor(graph, toys.registry())
    xs = [editor.graph.nodes[id_].position for id_ in ("question", "retrieve", "generate")]
    assert all(place is not None for place in xs)
    columns = [place[0] for place in xs if place is not None]
    assert columns == sorted(set(columns))


def test_a_file_with_a_cycle_can_be_opened_and_mended() -> None:
    graph = toys.answering()
    graph.nodes["rerank"] = NodeSpec("rerank", "rerank")
    graph.nodes["rerank-2"] = NodeSpec("rerank-2", "rerank")
    graph.edges += [
        toys.wire("rerank.chunks > rerank-2.chunks"),
        toys.wire("rerank-2.chunks > rerank.chunks"),
    ]
    editor = GraphEditor(graph, toys.registry())
    assert any(problem.code == "cycle" for problem in editor.problems)
    editor.apply([{"op": "disconnect", "edges": [["rerank-2", "chunks", "rerank", "chunks"]]}])
    assert not any(problem.code == "cycle" for problem in editor.problems)


def test_every_viewer_hears_of_every_change(editor: GraphEditor) -> None:
    one: list[Change] = []
    two: list[Change] = []
    editor.subscribe(one.append)
    leave = editor.subscribe(two.append)
    editor.apply([{"op": "rename", "node": "retrieve", "title": "Look it up"}], origin="a")
    leave()
    editor.undo()
    assert [change.label for change in one] == ["Rename", "Undo: Rename"]
    assert [change.label for change in two] == ["Rename"]


def test_the_journal_is_written_before_anybody_sees_the_change() -> None:
    order: list[str] = []
    editor = GraphEditor(
        toys.answering(), toys.registry(), on_change=lambda graph: order.append("journal")
    )
    editor.subscribe(lambda change: order.append("viewer"))
    editor.apply([{"op": "delete", "nodes": ["generate"]}])
    editor.undo()
    assert order == ["journal", "viewer"] * 2


def test_nothing_happens_when_nothing_changes(editor: GraphEditor) -> None:
    seen: list[Change] = []
    editor.subscribe(seen.append)
    editor.apply([{"op": "rename", "node": "retrieve", "title": ""}])
    editor.apply([{"op": "move_nodes", "positions": {"retrieve": [336, 0]}}])
    editor.undo()
    editor.redo()
    assert seen == []


def test_disabled_and_policy_are_kept_in_the_file(editor: GraphEditor) -> None:
    editor.apply([{"op": "set_disabled", "nodes": ["retrieve"], "disabled": True}])
    editor.apply([{"op": "set_policy", "node": "retrieve", "retries": 2, "on_error": "skip"}])
    editor.apply([{"op": "set_policy", "node": "retrieve", "pinned": {"chunks": {"items": []}}}])
    spec = Graph.parse(editor.dump()).nodes["retrieve"]
    assert (spec.disabled, spec.retries, spec.on_error) == (True, 2, "skip")
    assert spec.pinned == {"chunks": {"items": []}}


def test_an_empty_workflow_does_not_replace_one_with_nodes(editor: GraphEditor) -> None:
    empty = Graph(name="empty").dump()
    with pytest.raises(Refused, match="empty workflow"):
        editor.apply([{"op": "replace_graph", "graph": empty}])
    editor.apply([{"op": "replace_graph", "graph": empty, "allow_empty": True}])
    assert editor.may_save


def test_only_nodes_deleted_by_hand_may_leave_nothing(editor: GraphEditor) -> None:
    editor.apply([{"op": "delete", "nodes": list(editor.graph.nodes)}])
    assert editor.may_save
    editor.undo()
    editor.adopt(Graph(), 2)
    assert editor.may_save  # what was read as empty may be saved as empty


def test_tidy_is_one_step(editor: GraphEditor) -> None:
    editor.apply([{"op": "move_nodes", "positions": {"generate": [0, 0]}}])
    editor.tidy()
    columns = [editor.graph.nodes[n].position for n in ("question", "retrieve", "generate")]
    assert [place[0] for place in columns if place] == sorted(
        place[0] for place in columns if place
    )
    editor.undo()
    assert editor.graph.nodes["generate"].position == (0.0, 0.0)
