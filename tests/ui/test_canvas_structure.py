"""Notes, groups, and nodes that hold nodes, as the editor keeps them in the file."""

from __future__ import annotations

import json
from typing import Any

import canvas_toys as toys
import pytest

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.registry import Registry
from app.nodes import register_all
from app.ui.canvas import structure
from app.ui.canvas.editor import GraphEditor, Refused
from app.ui.canvas.layout import NODE_HEIGHT, NODE_WIDTH
from app.ui.canvas.variables import variables_of


@pytest.fixture
def editor() -> GraphEditor:
    return GraphEditor(toys.answering(), toys.registry())


def note(editor: GraphEditor, **more: Any) -> str:
    editor.apply([{"op": "add_note", "x": 16, "y": 320, "text": "why", **more}])
    return next(reversed(structure.notes_of(editor.graph)))


def group(editor: GraphEditor, nodes: list[str], notes: list[str] | None = None) -> str:
    editor.apply([{"op": "group", "nodes": nodes, "notes": notes or [], "title": "Find"}])
    return next(reversed(structure.groups_of(editor.graph)))


def test_a_note_is_kept_in_the_file_and_comes_back_from_it(editor: GraphEditor) -> None:
    change = editor.apply([{"op": "add_note", "x": 16, "y": 320}], origin="tab")
    assert change.patch["notes"][0]["text"] == ""
    assert (change.patch["select_notes"], change.patch["open"]) == (["note"], "note")
    assert change.stale == frozenset()
    editor.apply([{"op": "edit_note", "note": "note", "text": "**why**", "colour": "rose"}])
    editor.apply([{"op": "edit_note", "note": "note", "width": 320, "height": 200}])
    read = Graph.parse(json.loads(json.dumps(editor.dump())))
    assert structure.notes_of(read)["note"] == {
        "id": "note", "x": 16.0, "y": 320.0, "width": 320.0, "height": 200.0,
        "text": "**why**", "colour": "rose",
    }  # fmt: skip
    for _ in range(3):
        editor.undo()
    assert editor.dump() == toys.answering().dump()
    for _ in range(3):
        editor.redo()
    assert editor.graph == read


def test_what_others_wrote_into_notes_and_groups_is_kept(editor: GraphEditor) -> None:
    data = toys.answering().dump()
    data["graph"]["notes"] = [
        {"id": "a", "x": 0, "y": 0, "text": "one", "font": "large"},
        {"id": "b", "x": "left", "y": None, "text": 7, "width": 1e9, "colour": "url(x)"},
        {"text": "no id"},
        "words",
    ]
    data["graph"]["groups"] = [
        {"id": "g", "title": "T", "nodes": ["retrieve", "gone", 3], "collapsed": True, "kind": "x"},
        {"id": "empty", "nodes": ["gone"]},
    ]
    editor = GraphEditor(Graph.parse(data), toys.registry())
    assert editor.dump()["graph"] == data["graph"]
    notes = structure.notes_of(editor.graph)
    assert list(notes) == ["a", "b"]
    assert notes["b"]["colour"] == "amber"
    assert notes["b"]["width"] == structure.NOTE_WIDTH
    assert list(structure.groups_of(editor.graph)) == ["g"]
    editor.apply([{"op": "edit_note", "note": "a", "text": "two"}])
    editor.apply([{"op": "set_group", "group": "g", "title": "New"}])
    head = editor.dump()["graph"]
    assert head["notes"][0] == {"id": "a", "x": 0, "y": 0, "text": "two", "font": "large"}
    assert head["notes"][2:] == [{"text": "no id"}, "words"]
    assert head["groups"][0]["kind"] == "x"
    assert head["groups"][0]["nodes"] == ["retrieve", "gone", 3]


@pytest.mark.parametrize("junk", [None, 7, "x", {"a": 1}, [[]], [{"id": 3}]])
def test_a_file_with_nonsense_for_notes_is_shown_without_them(junk: Any) -> None:
    data = toys.answering().dump()
    data["graph"] |= {"notes": junk, "groups": junk}
    editor = GraphEditor(Graph.parse(data), toys.registry())
    assert editor.load_payload()["graph"]["notes"] == []
    editor.apply([{"op": "add_note", "x": 0, "y": 0}])
    assert len(structure.notes_of(editor.graph)) == 1


def test_nodes_and_notes_move_and_go_together(editor: GraphEditor) -> None:
    note(editor)
    editor.apply(
        [{"op": "move_nodes", "positions": {"retrieve": [400, 0]}, "notes": {"note": [32, 336]}}]
    )
    assert structure.notes_of(editor.graph)["note"]["x"] == 32
    change = editor.apply([{"op": "delete", "nodes": ["retrieve"], "notes": ["note"]}])
    assert change.patch["remove_notes"] == ["note"]
    editor.undo()
    assert "retrieve" in editor.graph.nodes
    assert "note" in structure.notes_of(editor.graph)


def test_groups_hold_each_node_once_and_go_when_they_are_empty(editor: GraphEditor) -> None:
    first = group(editor, ["question", "retrieve"], [note(editor)])
    second = group(editor, ["retrieve"])
    groups = structure.groups_of(editor.graph)
    assert (groups[first]["nodes"], groups[second]["nodes"]) == (["question"], ["retrieve"])
    assert groups[first]["notes"] == ["note"]
    editor.apply([{"op": "set_group", "group": second, "nodes": ["retrieve", "question"]}])
    assert structure.groups_of(editor.graph)[first]["nodes"] == []
    change = editor.apply([{"op": "delete", "nodes": ["retrieve", "question"], "notes": ["note"]}])
    assert set(change.patch["remove_groups"]) == {first, second}
    assert "groups" not in editor.dump()["graph"] or editor.dump()["graph"]["groups"] == []
    editor.undo()
    editor.apply([{"op": "leave_group", "nodes": ["retrieve"]}])
    assert structure.groups_of(editor.graph)[second]["nodes"] == ["question"]
    editor.apply([{"op": "ungroup", "groups": [second]}])
    assert list(structure.groups_of(editor.graph)) == [first]
    with pytest.raises(Refused, match="Nothing is selected"):
        editor.apply([{"op": "group", "nodes": ["nobody"]}])


def test_copies_take_notes_and_whole_groups_along(editor: GraphEditor) -> None:
    group(editor, ["retrieve"], [note(editor)])
    change = editor.apply([{"op": "duplicate", "nodes": ["retrieve"], "notes": ["note"]}])
    assert change.patch["select_notes"] == ["note-2"]
    copy = structure.groups_of(editor.graph)["group-2"]
    assert (copy["nodes"], copy["notes"]) == (["retrieve-2"], ["note-2"])
    text = editor.copy(["retrieve", "question"], ["note"])
    other = GraphEditor(Graph(), toys.registry())
    other.paste(text, 0, 0)
    assert set(other.graph.nodes) == {"retrieve", "question"}
    assert structure.notes_of(other.graph)["note"]["text"] == "why"
    assert structure.groups_of(other.graph)["group"]["title"] == "Find"
    # Half a group is no group.
    text = editor.copy(["retrieve"])
    other.paste(text, 0, 0)
    assert len(structure.groups_of(other.graph)) == 1


def test_notes_alone_can_be_pasted(editor: GraphEditor) -> None:
    note(editor)
    text = editor.copy([], ["note"])
    editor.paste(text, 160, 320)
    notes = structure.notes_of(editor.graph)
    assert (notes["note-2"]["x"], notes["note-2"]["y"]) == (160, 320)


def test_there_is_an_end_to_notes_and_to_their_texts(editor: GraphEditor) -> None:
    with pytest.raises(Refused):
        editor.apply([{"op": "add_note", "x": 0, "y": 0, "text": "x" * 10_001}])
    with pytest.raises(Refused):
        editor.apply([{"op": "add_note", "x": 0, "y": 0, "width": 1e6}])
    many = [{"op": "add_note", "x": 0, "y": 0}] * structure.MAX_ENTRIES
    editor.apply(many)
    with pytest.raises(Refused, match="at most 500 notes"):
        editor.apply(many[:1])


def test_typing_into_a_note_is_one_step(editor: GraphEditor) -> None:
    note(editor)
    for text in ("a", "ab", "abc"):
        editor.apply([{"op": "edit_note", "note": "note", "text": text}])
    assert editor.undo_label == "Edit note"
    editor.undo()
    assert structure.notes_of(editor.graph)["note"]["text"] == "why"


@pytest.fixture
def real() -> GraphEditor:
    """A small workflow of nodes that ship with the app: input → chain of templates."""
    registry = Registry()
    register_all(registry)
    graph = Graph(
        name="real",
        nodes={
            "text": NodeSpec("text", "text_input", position=(0.0, 0.0)),
            **{
                name: NodeSpec(
                    name, "template", config={"template": "{{ text }}"}, position=(320.0 * i, 0.0)
                )
                for i, name in enumerate(("first", "second", "last"), 1)
            },
        },
        edges=[
            EdgeSpec("text", "text", "first", "values"),
            EdgeSpec("first", "text", "second", "values"),
            EdgeSpec("second", "text", "last", "values"),
        ],
    )
    return GraphEditor(graph, registry)


def test_a_group_becomes_one_node_and_comes_back_with_its_notes(real: GraphEditor) -> None:
    real.apply([{"op": "add_note", "x": 320, "y": 240, "text": "why", "colour": "rose"}])
    real.apply([{"op": "move_nodes", "positions": {"second": (640, 16)}}])  # no middle on the grid
    inside = {"nodes": ["first", "second"], "notes": ["note"]}
    real.apply([{"op": "group", **inside, "title": "Shape", "colour": "green"}])
    before = real.graph
    change = real.apply([{"op": "collapse", **inside, "title": "Shape"}])
    (made,) = change.patch["select"]
    assert set(real.graph.nodes) == {"text", "last", made}
    assert real.graph.nodes[made].title == "Shape"
    assert real.node_view(made)["holds"] is True  # type: ignore[index]
    assert structure.notes_of(real.graph) == {} == structure.groups_of(real.graph)
    assert real.graph.nodes["last"] is before.nodes["last"]  # shared: undo stays small

    read = GraphEditor(Graph.parse(json.loads(json.dumps(real.dump()))), real.registry)
    read.apply([{"op": "expand", "node": made}])
    assert set(read.graph.nodes) == set(before.nodes)
    assert {e.ends for e in read.graph.edges} == {e.ends for e in before.edges}
    (group,) = structure.groups_of(read.graph).values()
    assert (group["title"], group["colour"]) == ("Shape", "green")
    assert group["nodes"] == ["first", "second"]
    (note,) = structure.notes_of(read.graph).values()
    assert (note["text"], note["colour"]) == ("why", "rose")
    for node in ("first", "second"):  # not a step off where they stood
        assert read.graph.nodes[node].position == before.nodes[node].position
    assert (note["x"], note["y"]) == (320, 240)

    real.undo()
    assert real.graph == before


def test_a_part_of_a_group_stays_in_it_as_one_node_and_comes_back_into_it(
    real: GraphEditor,
) -> None:
    real.apply([{"op": "group", "nodes": ["first", "second", "last"], "title": "G"}])
    change = real.apply([{"op": "collapse", "nodes": ["second"]}])
    (made,) = change.patch["select"]
    assert set(structure.groups_of(real.graph)["group"]["nodes"]) == {"first", "last", made}
    real.apply([{"op": "expand", "node": made}])
    assert set(structure.groups_of(real.graph)["group"]["nodes"]) == {"first", "last", "second"}


def test_what_cannot_be_collapsed_is_refused_with_the_reason(real: GraphEditor) -> None:
    with pytest.raises(Refused, match="lies between"):
        real.apply([{"op": "collapse", "nodes": ["first", "last"]}])
    with pytest.raises(Refused, match="holds no workflow"):
        real.apply([{"op": "expand", "node": "first"}])
    with pytest.raises(Refused, match="any more"):
        real.apply([{"op": "expand", "node": "gone"}])


def everything() -> Registry:
    registry = Registry()
    register_all(registry)
    return registry


def shared() -> GraphEditor:
    """One node reads the variable, one names it in an expression, one in neither way."""
    graph = Graph(
        nodes={
            "mark": NodeSpec("mark", "variable", config={"name": "mark"}),
            "other": NodeSpec("other", "variable", config={"name": "other"}),
            "note": NodeSpec(
                "note", "question", config={"default": {"$expr": "variables.mark | upper"}}
            ),
            "plain": NodeSpec("plain", "question", config={"default": "mark"}),
        },
    )
    return GraphEditor(graph, everything())


def test_variables_are_set_renamed_and_taken_away_one_undo_each() -> None:
    editor = shared()
    change = editor.apply([{"op": "set_variable", "name": "mark", "value": "blue"}])
    assert change.stale == {"mark", "note"}
    editor.apply([{"op": "set_variable", "name": "limit", "value": {"top": [1, 2.5, None]}}])
    editor.apply([{"op": "set_variable", "name": "sign", "was": "mark", "value": "blue"}])
    read = Graph.parse(json.loads(json.dumps(editor.dump())))
    # A renamed one keeps its place.
    assert list(variables_of(read).items()) == [
        ("sign", "blue"), ("limit", {"top": [1, 2.5, None]}),
    ]  # fmt: skip
    editor.apply([{"op": "remove_variable", "name": "sign"}])
    editor.apply([{"op": "remove_variable", "name": "limit"}])
    assert "variables" not in editor.graph.extra
    for _ in range(2):
        editor.undo()
    assert set(variables_of(editor.graph)) == {"sign", "limit"}
    while editor.undo_label:
        editor.undo()
    assert editor.dump() == shared().dump()


@pytest.mark.parametrize(
    "op",
    [
        {"op": "set_variable", "name": "two words", "value": 1},
        {"op": "set_variable", "name": "__proto__".replace("_", "-"), "value": 1},
        {"op": "set_variable", "name": "taken", "was": "mark", "value": 1},
        {"op": "set_variable", "name": "mark", "was": "mark", "value": "x" * 100_001},
        {"op": "set_variable", "name": "mark", "was": "mark", "value": float("nan")},
    ],
)
def test_a_variable_that_cannot_be_is_refused(op: dict[str, Any]) -> None:
    editor = shared()
    for name in ("mark", "taken"):
        editor.apply([{"op": "set_variable", "name": name, "value": 1}])
    before = editor.dump()
    with pytest.raises(Refused):
        editor.apply([op])
    assert editor.dump() == before


def test_a_card_says_an_expression_in_words() -> None:
    graph = Graph(nodes={"find": NodeSpec("find", "retrieve", config={"k": {"$expr": "1 +  2"}})})
    editor = GraphEditor(graph, everything())
    card = editor.node_view("find")
    assert card is not None
    assert "ƒ 1 + 2" in card["summary"]
    assert "$expr" not in card["summary"]


def test_a_note_to_be_typed_into_begins_below_the_cards(editor: GraphEditor) -> None:
    x, y = next(iter(editor.graph.nodes.values())).position or (0.0, 0.0)
    editor.apply([{"op": "add_note", "x": x + 40, "y": y + 24}])
    (note,) = structure.notes_of(editor.graph).values()
    for spec in editor.graph.nodes.values():
        left, top = spec.position or (0.0, 0.0)
        beside = left + NODE_WIDTH <= note["x"] or note["x"] + note["width"] <= left
        assert beside or top + NODE_HEIGHT <= note["y"] or note["y"] + note["height"] <= top
    # One that comes with its words is where it was put.
    editor.apply([{"op": "add_note", "x": x + 40, "y": y + 24, "text": "why"}])
    assert structure.notes_of(editor.graph)["note-2"]["y"] == y + 24
