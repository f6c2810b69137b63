"""The workflow file: read, refused, kept loss-free, migrated."""

from __future__ import annotations

import copy
import json
import math

import jsonschema
import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_nodes import make_graph, toy_registry

from app.engine import schema
from app.engine.graph import JSON_SCHEMA, EdgeSpec, Graph, migrate
from app.engine.problems import InvalidWorkflow

VALIDATOR = jsonschema.Draft202012Validator(JSON_SCHEMA)
FILE = {
    "directed": True,
    "multigraph": True,
    "graph": {
        "format": "ragloom/1",
        "name": "Shout",
        "description": "Says it loud.",
        "outputs": {"loud": ["up", "text"]},
        "author": "somebody",
    },
    "nodes": [
        {"id": "in", "type": "say", "version": 1, "title": "", "config": {}, "position": [0, 20.5]},
        {
            "id": "up",
            "type": "upper",
            "version": 2,
            "title": "Loud",
            "config": {"times": 2},
            "disabled": True,
            "retries": 3,
            "on_error": {"fallback": {"text": {"text": "…"}}},
            "colour": "red",
        },
        {"id": "alien", "type": "from_elsewhere", "version": 9, "title": "", "config": {"x": [1]}},
    ],
    "edges": [
        {"source": "in", "target": "up", "key": "text>text", "note": {"bend": 0.5}},
        {"source": "up", "target": "alien", "key": "text>anything"},
    ],
    "tool": {"name": "other"},
}


def problems_of(data) -> list:
    with pytest.raises(InvalidWorkflow) as caught:
        Graph.parse(data)
    assert caught.value.problems
    assert all(p.message and p.fix for p in caught.value.problems)
    return list(caught.value.problems)


def changed(path: str, value) -> dict:
    data = copy.deepcopy(FILE)
    *parents, last = (int(p) if p.isdigit() else p for p in path.split("."))
    place = data
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data


def test_the_round_trip_keeps_everything():
    assert Graph.parse(FILE).dump() == FILE


def test_the_copy_shares_nothing_with_its_original():
    graph = Graph.parse(FILE)
    twin = graph.copy()
    assert twin == graph
    twin.nodes["alien"].config["x"].append(2)
    assert graph.dump() == FILE
    dumped = graph.dump()
    dumped["nodes"][2]["config"]["x"].append(3)
    assert graph.dump() == FILE


def test_networkx_reads_the_file():
    graph = nx.node_link_graph(json.loads(json.dumps(FILE)), edges="edges")
    assert isinstance(graph, nx.MultiDiGraph)
    assert nx.is_directed_acyclic_graph(graph)
    assert list(nx.topological_sort(graph)) == ["in", "up", "alien"]
    assert graph.nodes["up"]["config"] == {"times": 2}
    assert graph.graph["outputs"] == {"loud": ["up", "text"]}
    assert next(iter(graph.edges(keys=True))) == ("in", "up", "text>text")
    ours = Graph.parse(FILE).to_networkx()
    assert nx.utils.graphs_equal(ours, graph)
    assert nx.node_link_data(ours, edges="edges")["edges"] == [{**edge} for edge in FILE["edges"]]


def test_the_published_schema_is_valid_and_describes_the_file():
    jsonschema.Draft202012Validator.check_schema(JSON_SCHEMA)
    jsonschema.validate(FILE, JSON_SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("directed", False),
        ("multigraph", ...),
        ("nodes", {}),
        ("nodes.0", 5),
        ("nodes.0.id", ""),
        ("nodes.0.id", 5),
        ("nodes.0.type", ...),
        ("nodes.1.version", 0),
        ("nodes.1.version", "2"),
        ("nodes.1.config", []),
        ("nodes.0.position", [1]),
        ("nodes.0.position", "left"),
        ("nodes.1.retries", 99),
        ("nodes.1.timeout_s", 0),
        ("nodes.1.disabled", "yes"),
        ("nodes.1.on_error", "explode"),
        ("nodes.1.pinned", [1]),
        ("edges", ...),
        ("edges.0.key", "text"),
        ("edges.0.key", "a>b>c"),
        ("edges.0.key", 0),
        ("edges.0.target", ...),
        ("graph.outputs", {"x": ["up"]}),
        ("graph.name", None),
    ],
)
def test_what_the_schema_refuses_is_refused_with_its_place(path, value):
    data = changed(path, value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, JSON_SCHEMA)
    problems = problems_of(data)
    parts = path.split(".")
    assert all(part in (problems[0].field or "") for part in parts if not part.isdigit())
    if parts[0] == "nodes" and len(parts) == 3 and parts[2] != "id":
        assert problems[0].node == FILE["nodes"][int(parts[1])]["id"]


def test_all_faults_of_a_file_are_told_at_once():
    data = changed("nodes.0.type", ...)
    data["nodes"][1]["retries"] = -1
    data["edges"][1]["key"] = "?"
    assert len(problems_of(data)) == 3


@pytest.mark.parametrize(
    ("found", "code", "says"),
    [
        ("ragloom/2", "newer_format", "Update Ragloom"),
        ("ragloom/999999999", "newer_format", "Update Ragloom"),
        ("ragloom/0", "unknown_format", "ragloom/1"),
        ("comfy/1", "unknown_format", "ragloom/1"),
        (1, "unknown_format", "ragloom/1"),
        (..., "unknown_format", "ragloom/1"),
    ],
)
def test_another_format_is_refused_with_what_to_do(found, code, says):
    (problem,) = problems_of(changed("graph.format", found))
    assert problem.code == code
    assert says in problem.fix


@pytest.mark.parametrize("junk", [None, 5, "text", [], {}, {"graph": []}, {"graph": {}}, [FILE]])
def test_junk_is_refused(junk):
    assert problems_of(junk)[0].code == "unknown_format"


def test_limits():
    node = {"id": "n", "type": "say"}
    many = changed("nodes", [node] * (schema.MAX_NODES + 1))
    assert problems_of(many)[0].code == "too_large"
    edge = {"source": "a", "target": "b", "key": "c>d"}
    assert problems_of(changed("edges", [edge] * (schema.MAX_EDGES + 1)))[0].code == "too_large"
    deep: dict = {}
    for _ in range(100_000):
        deep = {"d": deep}
    data = changed("nodes.0.config", {})
    data["nodes"][0]["config"] = deep
    assert problems_of(data)[0].code == "too_deep"


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, "half \ud800", {1: 2}, {"\udfff": 1}, object()]
)
def test_what_json_cannot_carry_is_refused(value):
    assert problems_of(changed("nodes.0.config", {"x": [value]}))[0].code == "not_json"


def test_two_nodes_of_one_id_are_refused():
    (problem,) = problems_of(changed("nodes.1.id", "in"))
    assert (problem.code, problem.node) == ("duplicate_node", "in")


def test_wires_to_nowhere_are_kept():
    data = changed("edges.0.source", "ghost")
    graph = Graph.parse(data)
    assert graph.dump() == data
    assert "ghost" not in graph.skeleton()


def test_ports_of_the_last_nodes_are_the_results_where_none_are_named():
    registry = toy_registry()
    graph = make_graph({"a": "say", "m": "measure", "u": "upper"}, "a.text>m.text a.text>u.text")
    assert graph.named_outputs(registry) == {
        "length": ("m", "length"),
        "long": ("m", "long"),
        "text": ("u", "text"),
    }
    graph.nodes["w"] = make_graph({"w": "work"}).nodes["w"]
    assert set(graph.named_outputs(registry)) == {"length", "long", "u.text", "w.text"}
    graph.outputs = {"mine": ("a", "text")}
    assert graph.named_outputs(registry) == {"mine": ("a", "text")}


def test_what_a_node_needs_stops_behind_given_nodes():
    graph = make_graph(
        {"a": "say", "b": "upper", "c": "upper", "d": "upper"},
        "a.text>b.text b.text>c.text c.text>d.text",
    )
    assert graph.needed_for(["c"]) == {"a", "b", "c"}
    assert graph.needed_for(["d"], stop_at=["c"]) == {"c", "d"}


def test_nodes_of_older_versions_are_migrated_and_said_so():
    graph = make_graph({"u": {"type": "upper", "version": 1, "config": {"repeat": "3"}}})
    (note,) = migrate(graph, toy_registry())
    assert (note.code, note.node, note.severity) == ("migrated", "u", "warning")
    assert graph.nodes["u"].config == {"times": 3}
    assert graph.nodes["u"].version == 2
    assert migrate(graph, toy_registry()) == []


def test_settings_that_cannot_be_migrated_stay_as_they_are():
    graph = make_graph({"u": {"type": "upper", "version": 1, "config": {"repeat": "many"}}})
    assert migrate(graph, toy_registry()) == []
    assert graph.nodes["u"].config == {"repeat": "many"}


# -- properties ---------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=">"), min_size=1, max_size=8
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def extras(known: set[str]):
    return st.dictionaries(texts.filter(lambda k: k not in known), json_values, max_size=2)


@st.composite
def workflow_files(draw):
    ids = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    known = set(schema.NodeEntry.model_fields)
    policy = {
        "disabled": st.just(True),
        "retries": st.integers(1, 10),
        "timeout_s": st.floats(0.1, 1000),
        "on_error": st.just("skip")
        | st.builds(lambda d: {"fallback": d}, st.dictionaries(texts, json_values, max_size=2)),
        "pinned": st.dictionaries(texts, json_values, max_size=2),
        "position": st.lists(st.integers(-999, 999) | st.floats(-999, 999), min_size=2, max_size=2),
    }
    nodes = [
        {
            "id": node_id,
            "type": draw(names),
            "version": draw(st.integers(1, 99)),
            "title": draw(texts),
            "config": draw(st.dictionaries(texts, json_values, max_size=3)),
            **draw(st.fixed_dictionaries({}, optional=policy)),
            **draw(extras(known)),
        }
        for node_id in ids
    ]
    edge = st.fixed_dictionaries(
        {
            "source": st.sampled_from(ids) | names,
            "target": st.sampled_from(ids) | names,
            "key": st.builds("{}>{}".format, names, names),
        }
    )
    edges = [
        {**e, **draw(extras({"source", "target", "key"}))} for e in draw(st.lists(edge, max_size=8))
    ]
    head = {
        "format": "ragloom/1",
        "name": draw(texts),
        "description": draw(texts),
        "outputs": draw(
            st.dictionaries(names, st.lists(names, min_size=2, max_size=2), max_size=2)
        ),
    }
    return {
        "directed": True,
        "multigraph": True,
        "graph": {**head, **draw(extras({*head}))},
        "nodes": nodes,
        "edges": edges,
        **draw(extras({"directed", "multigraph", "graph", "nodes", "edges"})),
    }


@given(workflow_files())
@settings(max_examples=100, deadline=None)
def test_any_file_survives_the_round_trip(data):
    before = copy.deepcopy(data)
    graph = Graph.parse(data)
    assert graph.dump() == before
    assert data == before
    assert Graph.parse(json.loads(json.dumps(graph.dump()))) == graph


@given(workflow_files(), st.data())
@settings(max_examples=100, deadline=None)
def test_schema_and_reader_agree_on_any_change(data, choice):
    place = choice.draw(st.sampled_from([data, data["graph"], data["nodes"][0], *data["edges"]]))
    key = choice.draw(st.sampled_from(sorted(place)))
    place[key] = choice.draw(json_values)
    # JSON Schema takes 1.0 for an integer and does not know of unique ids or older formats.
    fits = VALIDATOR.is_valid(data)
    try:
        Graph.parse(data)
        read = True
    except InvalidWorkflow as error:
        read = False
        if {p.code for p in error.problems} == {"duplicate_node"}:
            return
    if key == "version" and isinstance(place[key], float):
        return
    assert fits == read


def test_an_edge_knows_its_key_and_ends():
    edge = EdgeSpec("a", "out", "b", "in")
    assert edge.key == "out>in"
    assert edge.ends == ("a", "out", "b", "in")
