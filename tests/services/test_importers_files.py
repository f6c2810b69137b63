"""Workflows of other systems: real ones, changed ones, and hostile ones."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from importing import START, dify, errors, load, node, registry

from app.engine.graph import Graph
from app.engine.problems import InvalidWorkflow, RagloomError
from app.engine.validation import validate
from app.services.exports.layout import WIDTH, lay_out
from app.services.importers.detect import decode, detect
from app.services.importers.read import convert, import_file
from app.services.importers.redact import REMOVED, Redactor, is_secret_name

EXPORTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "workflow-exports"
FILES = sorted(p for p in EXPORTS.glob("*/*") if p.suffix in (".json", ".yml"))
MIB = 1024 * 1024


@cache
def decoded(path: Path) -> Any:
    return decode(path.read_bytes(), 10 * MIB)


def test_all_real_files_are_there_or_it_is_said() -> None:
    if not FILES:
        pytest.skip(f"the exports of other systems are not at {EXPORTS}")
    assert len(FILES) == 76


def covered(graph: Graph) -> list[tuple[str, str]]:
    """Pairs of nodes and notes that lie on each other."""
    picture = lay_out(graph, registry())
    boxes = [(c.title, c.x, c.y, c.x + WIDTH, c.y + c.height) for c in picture.cards.values()]
    boxes += [(n.text, n.x, n.y, n.x + n.width, n.y + n.height) for n in picture.notes]
    return [
        (one[0], other[0])
        for one, other in itertools.combinations(boxes, 2)
        if one[1] < other[3] and other[1] < one[3] and one[2] < other[4] and other[2] < one[4]
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_real_file_becomes_a_valid_workflow(path: Path) -> None:
    data = decoded(path)
    assert detect(data) == path.parent.name
    graph, report = convert(data, path.parent.name, registry())
    assert nx.is_directed_acyclic_graph(graph.skeleton())
    assert errors(graph) == []
    for made in graph.nodes.values():
        assert made.position is not None
        inner = made.config.get("body", {}).get("graph") if made.type in ("map", "loop") else None
        assert inner is None or errors(Graph.parse(inner)) == []
    assert covered(graph) == []
    assert report.mapped + report.placeholders >= 2
    # The least is a chain whose model, memory and embeddings are settings of one node.
    assert report.edges_out >= 0.6 * report.edges_in, report
    placeholders = sum(n.type == "placeholder" for n in graph.nodes.values())
    assert placeholders <= report.placeholders
    assert all(note.endswith((".", "…")) for note in report.notes)
    text = json.dumps(graph.dump(), ensure_ascii=False)
    for secret in ("282608591251313024", "difyai123456", "infini_rag_flow", "YOUR_API_KEY (obt"):
        assert secret not in text


def test_what_is_made_for_a_step_stands_before_it() -> None:
    if not FILES:
        pytest.skip(f"the exports of other systems are not at {EXPORTS}")
    path = EXPORTS / "flowise" / "agentflowsv2__Iterations.json"
    graph, _ = convert(decoded(path), "flowise", registry())
    left = {made.title: (made.position or (0, 0))[0] for made in graph.nodes.values()}
    assert left["List of Iteration 0"] < left["List for Iteration 0"] < left["Iteration 0"]


def test_most_nodes_of_real_files_have_an_equal() -> None:
    if not FILES:
        pytest.skip(f"the exports of other systems are not at {EXPORTS}")
    mapped = placeholders = 0
    for path in FILES:
        _, report = convert(decoded(path), path.parent.name, registry())
        mapped += report.mapped
        placeholders += report.placeholders
    assert mapped >= 480
    assert placeholders <= 145


# -- hostile files -----------------------------------------------------------------------


def refused(data: str | bytes) -> InvalidWorkflow:
    with pytest.raises(InvalidWorkflow) as caught:
        load(data)
    assert caught.value.message.endswith(".")
    assert caught.value.fix
    return caught.value


def test_bombs_are_refused_with_a_sentence() -> None:
    assert refused("[" * 100_000).code == "too_deep"
    assert refused("{" * 3 + '"a":' * 2).code == "not_json"
    assert refused("a: " + "[" * 5_000).code in ("too_deep", "not_yaml")
    assert refused("- " * 3_000 + "x").code in ("too_deep", "not_yaml")
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert refused("\n".join(lines)).code == "too_large"
    assert refused("a: &a [*a]").code == "too_large"
    assert refused(b" " * (10 * MIB + 1)).code == "too_large"
    assert refused(b"\xff\xfe\x00").code == "not_text"
    assert refused("").code == "not_text"
    assert refused("!!python/object/apply:os.system ['ls']").code == "not_yaml"
    assert refused("just words").code == "unknown_format"
    assert refused("{}").code == "unknown_format"
    assert refused('{"app": {}, "workflow": {"graph": {}}}').code == "no_workflow"
    assert refused('{"nodes": [], "edges": []}').code == "empty_graph"
    assert refused('{"n": 1' + "0" * 6_000 + "}").code == "not_json"


def test_a_large_file_of_many_values_is_refused_before_it_is_built() -> None:
    data = json.dumps({"nodes": [[0] * 1_000] * 700, "edges": []})
    assert refused(data).code == "too_large"


def test_names_that_mean_something_elsewhere_are_only_names() -> None:
    evil = {
        "id": "__proto__", "type": "code", "title": "constructor", "code": "x",
        "__proto__": {"polluted": True}, "constructor": {"prototype": 1}, "__class__": "x",
    }  # fmt: skip
    graph, _ = load(dify([START, evil, {"id": "a", "type": "answer", "answer": "{{#__proto__.x#}}"}],
                         [("s", "__proto__"), ("__proto__", "a")]))  # fmt: skip
    kept = node(graph, "constructor")
    assert kept.config["data"]["__proto__"] == {"polluted": True}
    assert errors(graph) == []
    said = {"id": "a", "type": "answer", "title": "A", "answer": "{{ 7*7 }}{%"}
    data = yaml.safe_load(dify([START, said], [("s", "a")]))
    data["workflow"]["graph"]["nodes"][1]["data"]["title"] = "\ud800A\x00B"
    graph, _ = load(data)
    assert node(graph, "AB").type == "output"
    assert any('{{ "{" }}' in n.config.get("template", "") for n in graph.nodes.values())


JUNK: list[Any] = [
    None, True, 0, -1, 1e308, "", "x", "{{#a.b#}}", "{{ question }}", "{sys.query}", [], {}, [[]],
    [None], {"": {}}, {"x": [1, {"y": None}]}, "__proto__", "\ud800", "a" * 300, "{%", "<script>",
]  # fmt: skip


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of some data, without recursion."""
    stack = [data]
    while stack:
        value = stack.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            if isinstance(value[key], dict | list):
                stack.append(value[key])


def _small(path: Path) -> bool:
    return path.stat().st_size < 60_000


SAMPLES = [p for p in FILES if _small(p)]


@pytest.mark.skipif(not SAMPLES, reason="the exports of other systems are not here")
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_real_files_with_anything_changed_are_read_or_refused(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    path = chance.choice(SAMPLES)
    data = json.loads(json.dumps(decoded(path)))
    places = list(_places(data))
    for _ in range(changes):
        container, key = chance.choice(places)
        action = chance.random()
        try:
            if action < 0.2 and isinstance(container, dict):
                del container[key]
            elif action < 0.3:
                # The same thing twice: ids that are not unique, wires that circle.
                other, its_key = chance.choice(places)
                container[key] = other[its_key] if other[its_key] is not data else None
            else:
                container[key] = chance.choice(JUNK)
        except (KeyError, IndexError):
            continue
    try:
        text = json.dumps(data)
    except (ValueError, RecursionError):
        return  # it came to hold itself, which no file can
    try:
        decoded_again = decode(text, 10 * MIB)
        graph, report = convert(decoded_again, detect(decoded_again), registry())
    except RagloomError:
        return  # with a sentence, as all of these errors have
    assert nx.is_directed_acyclic_graph(graph.skeleton())
    assert report.notes is not None
    validate(graph, registry())


def test_secrets_are_known_by_name_and_by_shape() -> None:
    for name in ("api_key", "openAIApiKey", "password", "client-secret", "Authorization", "db_pwd"):
        assert is_secret_name(name), name
    for name in ("max_tokens", "token_count", "key", "memoryKey", "i18n_key", "chunk_token_num"):
        assert not is_secret_name(name), name
    redactor = Redactor()
    data = {"name": "api_key", "value": "abcdef", "nested": [{"token": 12345}], "ref": "{{#a.b#}}"}
    assert redactor.data(data) == {
        "name": "api_key", "value": REMOVED, "nested": [{"token": REMOVED}], "ref": "{{#a.b#}}",
    }  # fmt: skip
    assert redactor.removed == 2
    fields = {
        "api_key": {"type": "constant", "value": "hush"},
        "token": {"type": "variable", "value": ["start", "token"]},
        "secret": {"type": "mixed", "value": "{{#start.secret#}}"},
    }
    assert redactor.data(fields) == {**fields, "api_key": {"type": "constant", "value": REMOVED}}
    assert "abcdefgh" not in redactor.text("Authorization: Bearer abcdefgh12345678")
    assert redactor.text("a sentence about a token, no more") == "a sentence about a token, no more"


def test_a_workflow_without_a_name_is_called_as_its_file() -> None:
    flow = {"nodes": [{"id": "p", "type": "customNode", "data": {
        "name": "promptTemplate", "label": "Prompt", "inputs": {"template": "Hi {x}"},
        "inputAnchors": [], "inputParams": [], "outputAnchors": []}}], "edges": []}  # fmt: skip
    for called, name in (("Agentic  RAG", "Agentic RAG"), ("", "Workflow from Flowise")):
        graph, _ = import_file(json.dumps(flow), registry(), called=called)
        assert graph.name == name
