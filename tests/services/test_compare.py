"""Two runs beside each other: the first place where they part is found, and named."""

from __future__ import annotations

import copy
from typing import Any

from app.services.runs.compare import MAX_DETAIL_CHARS, compare_runs
from app.services.runs.compare_values import MAX_CHUNKS, describe, value_diff
from app.services.views import ExecutionView, StepView
from app.services.workflows.json_diff import Change

GRAPH: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {"format": "ragloom/1", "name": "Ask", "outputs": {}},
    "nodes": [
        {"id": "answer", "type": "generate", "config": {}, "position": [900, 0]},
        {"id": "question", "type": "question", "config": {}, "position": [0, 0]},
        {"id": "retrieve", "type": "retrieve", "config": {"k": 3}, "position": [300, 0]},
        {"id": "clock", "type": "clock", "config": {}, "position": [300, 300]},
    ],
    "edges": [
        {"source": "question", "target": "retrieve", "key": "query>query"},
        {"source": "retrieve", "target": "answer", "key": "chunks>chunks"},
        {"source": "clock", "target": "answer", "key": "time>prompt"},
    ],
}


def passage(number: int, **parts: Any) -> dict[str, Any]:
    chunk = {"chunk_id": f"c{number}", "document_id": "d", "document_name": "notes.md"}
    return {**chunk, "content": f"Passage {number}.", "score": 1 / number, **parts}


def chunks(*numbers: int, commit: str = "c0ffee") -> dict[str, Any]:
    items = [passage(number) for number in numbers]
    return {"items": items, "knowledge_base_id": "kb_1", "commit": commit}


def query(text: str) -> dict[str, Any]:
    return {
        "text": text, "original": text, "language": None, "expansions": {}, "corrections": {},
        "entities": [], "filters": {},
    }  # fmt: skip


def run(question: str = "Why?", found: Any = None, answer: str = "So.", **parts: Any) -> Any:
    found = found or chunks(1, 2, 3)
    asked, said = {"query": query(question)}, {"text": {"text": answer}}
    steps = [
        step("question", {}, asked),
        step("retrieve", asked, {"chunks": found}),
        step("clock", {}, {"time": {"text": "noon"}}),
        step("answer", {"chunks": found, "prompt": {"text": "noon"}}, said),
    ]
    return ExecutionView(
        execution_id="run_1", workflow_id="wf_1", workflow_name="Ask", trigger="page",
        status="completed", input_data={"question": question}, outputs={},
        started_at="2026-01-01T00:00:00Z",
        **{"steps": steps, "graph": copy.deepcopy(GRAPH), **parts},
    )  # fmt: skip


def step(id_: str, inputs: Any, outputs: Any, **parts: Any) -> StepView:
    return StepView(
        **{
            "node_id": id_, "name": id_, "type": "x", "status": "completed", "duration_ms": 1.0,
            "inputs": inputs, "outputs": outputs, **parts,
        }
    )  # fmt: skip


def with_config(run: Any, node: str, **config: Any) -> Any:
    next(n for n in run.graph["nodes"] if n["id"] == node)["config"] = config
    return run


def test_equal_runs_part_nowhere() -> None:
    found = compare_runs(run(), run())
    assert found.equal
    assert found.first_difference is None
    assert set(found.nodes.values()) == {"same"}
    assert found.details == []
    # Sources first: the order in which data flows, not that of the file.
    order = list(found.nodes)
    assert order.index("question") < order.index("retrieve") < order.index("answer")
    assert [(use.a, use.b, use.same) for use in found.commits] == [("c0ffee", "c0ffee", True)]


def test_a_setting_is_where_they_part_and_the_rest_follows() -> None:
    after = with_config(run(found=chunks(2, 1), answer="No."), "retrieve", k=2)
    found = compare_runs(run(), after)
    assert found.first_difference is not None
    assert found.first_difference.model_dump() == {
        "node_id": "retrieve", "kind": "config", "what": "k 3 → 2",
    }  # fmt: skip
    assert found.nodes == {
        "question": "same", "retrieve": "config", "clock": "same", "answer": "input",
    }  # fmt: skip
    retrieved = found.details[0]
    assert retrieved.outputs[0].what == "3 → 2 passages, 1 gone, 2 moved"
    assert [(c.chunk_id, c.rank_a, c.rank_b) for c in retrieved.outputs[0].chunks] == [
        ("c2", 2, 1), ("c1", 1, 2), ("c3", 3, None),
    ]  # fmt: skip
    answered = found.details[1]
    assert [d.port for d in answered.inputs] == ["chunks"]
    assert [(p.op, p.text) for p in answered.outputs[0].text] == [
        ("removed", "So."), ("added", "No."),
    ]  # fmt: skip


def test_settings_that_one_run_was_given_count_as_its_own() -> None:
    options = {"config": {"retrieve": {"k": 9}}, "pin": {"clock": {"time": {"text": "noon"}}}}
    found = compare_runs(run(), run(options=options))
    assert (found.nodes["retrieve"], found.nodes["clock"]) == ("config", "config")
    assert found.graph.empty
    titled = run()
    titled.graph["nodes"][0]["title"] = "Another name"
    assert compare_runs(run(), titled).equal


def test_results_that_were_kept_are_the_same_as_those_they_were_kept_from() -> None:
    again = run(answer="Thus.", options={"start_from": "answer", "config": {"answer": {"n": 1}}})
    for kept in again.steps[:-1]:
        kept.cached, kept.reason, kept.inputs = True, "kept from an earlier run", {}
    for pair in ((run(), again), (again, run())):
        found = compare_runs(*pair)
        assert found.first_difference is not None
        assert (found.first_difference.node_id, found.first_difference.kind) == ("answer", "config")
        assert [found.nodes[n] for n in ("question", "retrieve", "clock")] == ["same"] * 3
    again.steps[1].outputs = {"chunks": chunks(1)}
    assert compare_runs(run(), again).nodes["retrieve"] == "output"


def test_another_question_is_an_input_and_another_commit_an_output() -> None:
    found = compare_runs(run(), run(question="How?"))
    assert found.first_difference is not None
    assert (found.first_difference.node_id, found.first_difference.kind) == ("question", "input")
    assert "“Why?” → “How?”" in found.first_difference.what
    assert [c.path for c in found.input] == ["question"]
    moved = compare_runs(run(), run(found=chunks(1, 2, 3, commit="beef")))
    assert moved.first_difference is not None
    assert (moved.first_difference.node_id, moved.first_difference.kind) == ("retrieve", "output")
    assert "another commit" in moved.first_difference.what
    assert [(use.a, use.b, use.same) for use in moved.commits] == [("c0ffee", "beef", False)]


def test_a_branch_that_was_not_taken_and_a_node_of_one_workflow_only() -> None:
    other = run()
    other.steps[3] = step("answer", {}, {}, status="skipped")
    assert compare_runs(run(), other).nodes["answer"] == "missing"
    fewer = run()
    fewer.graph["nodes"].pop()
    fewer.steps.pop(2)
    found = compare_runs(run(), fewer)
    assert found.nodes["clock"] == "missing"
    assert found.details[0].what == "it is in the workflow of the first run only"
    failed = run()
    failed.steps[3] = step(
        "answer", run().steps[3].inputs, {}, status="failed", error={"message": "No model."}
    )
    broken = compare_runs(run(), failed)
    assert (broken.nodes["answer"], broken.details[0].what) == ("output", "completed → failed")


def test_graphs_that_only_together_have_a_cycle_are_compared() -> None:
    turned = run()
    turned.graph["edges"][0] = {"source": "retrieve", "target": "question", "key": "a>b"}
    assert set(compare_runs(run(), turned).nodes) == {"question", "retrieve", "clock", "answer"}


def test_what_happened_inside_of_a_node_comes_after_it() -> None:
    before, after = run(), run()
    for made, said in ((before, "one"), (after, "two")):
        made.steps += [step("retrieve[0]/inner", {}, {"text": {"text": said}})]
    found = compare_runs(before, after)
    order = list(found.nodes)
    assert order[order.index("retrieve") + 1] == "retrieve[0]/inner"
    assert found.nodes["retrieve[0]/inner"] == "output"


def test_values_of_any_size_make_an_answer_of_bounded_size() -> None:
    rows = [[{"cell": f"{side}{i}" * 20} for i in range(4_000)] for side in "ab"]
    runs = [run(), run()]
    for made, data in zip(runs, rows, strict=True):
        for number in range(40):
            node = {"id": f"n{number}", "type": "x", "config": {}}
            made.graph["nodes"].append(node)
            made.steps.append(step(f"n{number}", {}, {"data": {"data": data}}))
    found = compare_runs(*runs)
    assert len(found.details) == 40
    assert len(found.model_dump_json()) < 3 * MAX_DETAIL_CHARS
    many = value_diff("chunks", chunks(*range(1, 200)), chunks(*range(200, 400)))
    assert many is not None
    assert (len(many.chunks), many.more) == (MAX_CHUNKS, True)


def test_scores_that_hardly_differ_and_usage_are_no_difference() -> None:
    a, b = chunks(1, 2), chunks(1, 2)
    b["items"][0]["score"] += 1e-9
    assert value_diff("chunks", a, b) is None
    b["items"][0]["score"] = 0.5
    other = value_diff("chunks", a, b)
    assert other is not None
    assert other.what == "other scores"
    b["items"][0] |= {"score": a["items"][0]["score"], "content": "Quite another text."}
    rewritten = value_diff("chunks", a, b)
    assert rewritten is not None
    assert rewritten.what == "1 with another text"
    assert {part.op for part in rewritten.chunks[0].text} >= {"added", "removed"}
    answer = {
        "text": "So.", "sentences": [], "citations": [], "abstained": False, "confidence": 1,
        "model": "m", "question": "", "usage": {"ms": 3},
    }  # fmt: skip
    assert value_diff("answer", answer, {**answer, "usage": {"ms": 9}}) is None


def test_values_that_are_not_kept_any_more_are_said_to_be_so() -> None:
    old = run()
    old.steps[1] = step("retrieve", {}, {}, truncated=True)
    found = compare_runs(old, run(found=chunks(3)))
    assert found.nodes["retrieve"] == "same"
    assert found.nodes["answer"] == "input"


def test_pins_are_told_in_words() -> None:
    pinned = {"chunks": chunks(1)}
    for before, after, words in (
        (None, pinned, "the output is pinned"),
        (pinned, None, "the output is no longer pinned"),
        (pinned, {"chunks": chunks(2)}, "the output is pinned to another value"),
    ):
        change = Change(path="pinned", kind="changed", before=before, after=after)
        assert describe(change) == words
