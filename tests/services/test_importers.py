"""Workflows of other systems: small ones that show each rule."""

from __future__ import annotations

import json
from typing import Any

import networkx as nx
import pytest
from importing import START, dify, errors, kinds, load, node, said, wires

from app.engine.graph import Graph
from app.services.importers.build import ImportReport
from app.services.importers.models import model_name
from app.services.importers.redact import REMOVED

# -- Dify --------------------------------------------------------------------------------


MODEL = {
    "name": "claude-sonnet", "provider": "langgenius/anthropic/anthropic",
    "completion_params": {"temperature": 5, "max_tokens": 100},
}  # fmt: skip


def test_a_dify_chatflow_over_a_knowledge_base_answers_with_citations() -> None:
    graph, report = load(
        dify(
            [
                START,
                {"id": "k", "type": "knowledge-retrieval", "title": "Search",
                 "query_variable_selector": ["sys", "query"], "multiple_retrieval_config": {
                     "top_k": 4, "reranking_enable": True, "reranking_mode": "reranking_model"}},
                {"id": "m", "type": "llm", "title": "Answer it", "model": MODEL,
                 "context": {"enabled": True, "variable_selector": ["k", "result"]},
                 "prompt_template": [{"role": "system", "text": "Be kind.\n{{#context#}}"},
                                     {"role": "user", "text": "{{#sys.query#}}"}]},
                {"id": "a", "type": "answer", "title": "Reply", "answer": "{{#m.text#}}"},
            ],
            [("s", "k"), ("k", "m"), ("m", "a")],
        )
    )  # fmt: skip
    assert (report.format, report.mapped, report.placeholders) == ("dify", 4, 0)
    assert report.edges_in == 3
    assert errors(graph) == []
    assert (graph.name, graph.description) == ("Mine", "Words")
    generate = node(graph, "Answer it")
    assert generate.type == "generate"
    assert generate.config["model"] == "anthropic/claude-sonnet"
    assert generate.config["instructions"].startswith("Be kind.")
    # A temperature past the bound is set to it.
    assert generate.config["temperature"] == 2
    assert node(graph, "Search").config["k"] == 16
    assert node(graph, "Rerank for Search").config["top_k"] == 4
    assert "Answer it answer>answer Reply" in wires(graph)
    assert any("knowledge base" in note for note in report.notes)


def test_a_model_answers_from_the_passages_of_all_searches() -> None:
    search = {"type": "knowledge-retrieval", "query_variable_selector": ["sys", "query"]}
    graph, report = load(
        dify(
            [
                START,
                {"id": "k", "title": "Here", **search},
                {"id": "l", "title": "There", **search},
                {"id": "m", "type": "llm", "title": "Say", "model": MODEL,
                 "context": {"enabled": True, "variable_selector": ["k", "result"]},
                 "prompt_template": [{"role": "user", "text": "{{#sys.query#}}"}]},
                {"id": "a", "type": "answer", "title": "Reply", "answer": "{{#m.text#}}"},
            ],
            [("s", "k"), ("s", "l"), ("k", "m"), ("l", "m"), ("m", "a")],
        )
    )  # fmt: skip
    assert errors(graph) == []
    assert node(graph, "Passages for Say").config["mode"] == "concatenate"
    for wire in (
        "Here chunks>values Passages for Say",
        "There chunks>values Passages for Say",
        "Passages for Say value>chunks Say",
    ):
        assert wire in wires(graph)
    assert not any("runs first" in note for note in report.notes)


def test_values_in_texts_become_wires_and_names() -> None:
    graph, _ = load(
        dify(
            [
                {**START, "variables": [
                    {"variable": "topic", "label": "Topic", "type": "paragraph", "required": True},
                    {"variable": "tone", "type": "select", "default": "warm"}]},
                {"id": "m", "type": "llm", "title": "Draft", "model": MODEL, "prompt_template": [
                    {"role": "user", "text": "Write on {{#s.topic#}}, {{#s.tone#}}. {{ raw }}"}]},
                {"id": "t", "type": "template-transform", "title": "Frame",
                 "template": "<b>{{ body | upper }}</b>",
                 "variables": [{"variable": "body", "value_selector": ["m", "text"]}]},
                {"id": "e", "type": "end", "title": "End",
                 "outputs": [{"variable": "page", "value_selector": ["t", "output"]}]},
            ],
            [("s", "m"), ("m", "t"), ("t", "e")],
            mode="workflow",
        )
    )  # fmt: skip
    draft = node(graph, "Draft")
    assert draft.type == "ask_model"
    assert draft.config["prompt"] == 'Write on {{ asked }}, {{ tone }}. {{ "{" }}{ raw }}'
    assert {i["name"] for i in draft.config["inputs"]} == {"asked", "tone"}
    assert wires(graph) == {
        "Topic query>asked Draft", "tone text>tone Draft", "Draft text>draft Frame",
        "Frame prompt>value End",
    }  # fmt: skip
    assert graph.outputs == {"page": ("page", "value")}
    assert errors(graph) == []


def asked(selector: list[str], operator: str, value: str) -> dict[str, Any]:
    return {"variable_selector": selector, "comparison_operator": operator, "value": value}


async def test_branches_take_one_way_and_the_other_stays_empty() -> None:
    cases = [
        {"case_id": "c1", "logical_operator": "and",
         "conditions": [asked(["sys", "query"], "contains", "tide"),
                        asked(["sys", "query"], "not contains", "moon")]},
        {"case_id": "c2", "logical_operator": "or",
         "conditions": [asked(["sys", "query"], "start with", "x"),
                        asked(["sys", "query"], "is", "Bread?")]},
    ]  # fmt: skip
    graph, report = load(
        dify(
            [
                START,
                {"id": "i", "type": "if-else", "title": "Which", "cases": cases},
                {"id": "a", "type": "answer", "title": "Tides", "answer": "About tides."},
                {"id": "b", "type": "answer", "title": "Bread", "answer": "On {{#sys.query#}}"},
                {"id": "c", "type": "answer", "title": "Else", "answer": "Something else."},
            ],
            [("s", "i"), ("i", "a", "c1"), ("i", "b", "c2"), ("i", "c", "false")],
        )
    )
    assert errors(graph) == []
    assert report.placeholders == 0
    assert await said(graph, "When is the tide?") == {"answer": "About tides."}
    assert await said(graph, "Bread?") == {"answer_2": "On Bread?"}
    assert await said(graph, "xylophone") == {"answer_2": "On xylophone"}
    assert await said(graph, "tide and moon") == {"answer_3": "Something else."}


def compared(operator: str, value: str, *more: dict[str, Any]) -> tuple[Graph, ImportReport]:
    case = {"case_id": "c1", "logical_operator": "or",
            "conditions": [asked(["sys", "query"], operator, value), *more]}  # fmt: skip
    start = {**START, "variables": [{"variable": "sign", "type": "paragraph"}]}
    nodes = [
        start,
        {"id": "i", "type": "if-else", "title": "Which", "cases": [case]},
        {"id": "a", "type": "answer", "title": "Yes", "answer": "Yes."},
        {"id": "b", "type": "answer", "title": "No", "answer": "No."},
    ]
    return load(dify(nodes, [("s", "i"), ("i", "a", "c1"), ("i", "b", "false")]))


@pytest.mark.parametrize("form", ["condition", "switch"])
@pytest.mark.parametrize(
    ("operator", "words", "like", "unlike"),
    [
        ("start with", "[INFO]", "[INFO] all is well", "I am well"),
        ("start with", "*?", "*? is a pattern", "so is this"),
        ("end with", "*", "five stars *", "five stars"),
        ("end with", "😀", "done 😀", "done 😁"),
        ("end with", "so.", "I think so.", "so. I think"),
        ("start with", "So", "So I think", "so I think"),
        ("contains", "Tide", "High Tide at noon", "high tide at noon"),
        ("not contains", "Tide", "high tide", "High Tide"),
        ("is", "Stop", "Stop", "stop"),
        ("is not", "Stop", "STOP", "Stop"),
    ],
)
async def test_words_are_compared_sign_by_sign(
    form: str, operator: str, words: str, like: str, unlike: str
) -> None:
    more = [] if form == "condition" else [asked(["sys", "query"], "is", "never asked")]
    graph, report = compared(operator, words, *more)
    assert node(graph, "Which").type == form
    assert (report.placeholders, errors(graph)) == (0, [])
    assert list((await said(graph, like)).values()) == ["Yes."]
    assert list((await said(graph, unlike)).values()) == ["No."]


@pytest.mark.parametrize(
    ("operator", "like", "unlike"),
    [("start with", "!stop", "stop!"), ("end with", "stop!", "!stop")],
)
async def test_a_beginning_or_ending_may_be_a_value(operator: str, like: str, unlike: str) -> None:
    graph, report = compared(operator, "{{#s.sign#}}")
    assert (report.placeholders, errors(graph)) == (0, [])
    for question, sign, answer in (
        (like, "!", "Yes."), (unlike, "!", "No."), (like, f"!{like}!", "No."),
    ):  # fmt: skip
        assert list((await said(graph, question, sign=sign)).values()) == [answer], sign
    # Words around the value have no equal.
    graph, report = compared(operator, "<{{#s.sign#}}>")
    assert report.placeholders == 1
    assert any("“Which”" in note for note in report.notes)


def test_an_iteration_becomes_a_map_with_its_steps_inside() -> None:
    graph, report = load(
        dify(
            [
                START,
                {"id": "m", "type": "llm", "title": "List topics", "model": MODEL,
                 "prompt_template": [{"role": "user", "text": "{{#sys.query#}}"}]},
                {"id": "it", "type": "iteration", "title": "Each topic", "is_parallel": True,
                 "parallel_nums": 7, "iterator_selector": ["m", "text"],
                 "output_selector": ["w", "text"], "error_handle_mode": "remove-abnormal-output"},
                {"id": "its", "type": "iteration-start", "inside": "it"},
                {"id": "w", "type": "llm", "title": "Write", "inside": "it", "model": MODEL,
                 "prompt_template": [
                     {"role": "user", "text": "{{#it.item#}} for {{#sys.query#}}"}]},
                {"id": "a", "type": "answer", "title": "Reply", "answer": "{{#it.output#}}"},
            ],
            [("s", "m"), ("m", "it"), ("its", "w"), ("it", "a")],
        )
    )  # fmt: skip
    made = node(graph, "Each topic")
    assert made.type == "map"
    assert (made.config["concurrency"], made.config["on_failure"]) == (7, "skip")
    inner = Graph.parse(made.config["body"]["graph"])
    assert kinds(inner) == {"Item": "inlet", "Question": "inlet", "Write": "ask_model"}
    assert errors(inner) == [] == errors(graph)
    assert report.placeholders == 0
    assert "List for Each topic data>items Each topic" in wires(graph)


def test_what_has_no_equal_keeps_its_data_and_its_wires_but_no_secret() -> None:
    graph, report = load(
        dify(
            [
                START,
                {"id": "c", "type": "code", "title": "<script>alert(1)</script>",
                 "code": "def main(): return open('/etc/passwd')", "variables": [
                     {"variable": "x", "value_selector": ["sys", "query"]}],
                 "settings": {"api_key": "abc", "token_limit": 5, "max_tokens": 7,
                              "url": "https://me:pw123456@x.org/?api_key=abcdef123456"}},
                {"id": "h", "type": "http-request", "title": "Post", "method": "post",
                 "url": "https://api.example.com/{{#c.result#}}", "headers":
                     "Authorization:Bearer sk-abcdefghijklmnopqrstuvwxyz\nX-Kind:a",
                 "authorization": {"type": "api-key", "config": {"api_key": "s3cret-value"}},
                 "body": {"type": "json", "data": "{\"q\": \"{{#sys.query#}}\"}"}},
                {"id": "a", "type": "answer", "title": "Reply", "answer": "{{#h.body#}}"},
            ],
            [("s", "c"), ("c", "h"), ("h", "a")],
            environment_variables=[
                {"name": "KEY", "value": "hush", "value_type": "secret"},
                {"name": "limit", "value": 3, "value_type": "number"}],
        )
    )  # fmt: skip
    kept = node(graph, "<script>alert(1)</script>")
    assert kept.type == "placeholder"
    assert kept.config["origin"] == "dify"
    assert kept.config["kind"] == "code"
    assert kept.config["data"]["code"].startswith("def main()")
    assert kept.config["data"]["settings"]["api_key"] == REMOVED
    assert kept.config["data"]["settings"]["token_limit"] == 5
    assert "not run here" in kept.config["advice"]
    assert kept.config["outputs"] == ["result"]
    post = node(graph, "Post")
    assert post.type == "http_request"
    assert post.config["headers"] == {"X-Kind": "a"}
    assert "asked.text" in post.config["body"]
    text = json.dumps(graph.dump())
    for secret in ("hush", "sk-abc", "s3cret", "pw123456", "abcdef123456", '"abc"'):
        assert secret not in text, secret
    assert graph.extra["variables"] == {"KEY": "", "limit": 3}
    assert any("not imported" in note for note in report.notes)
    assert report.placeholders == 1
    assert any("keeps its data: “<script>alert(1)</script>”." in note for note in report.notes)


def test_notes_become_sticky_notes() -> None:
    words = {
        "root": {"children": [{"type": "paragraph", "children": [{"text": "Read <b>me</b>"}]}]}
    }
    note = {"id": "n", "type": "", "theme": "blue", "text": json.dumps(words), "width": 240}
    graph, report = load(dify([START, note], []))
    (made,) = graph.extra["notes"]
    assert made["text"] == "Read <b>me</b>"
    assert made["colour"] == "blue"
    assert report.mapped == 1


# -- the others --------------------------------------------------------------------------


def test_a_ragflow_agent_with_branches_and_tools() -> None:
    def component(name: str, down: list[str], **params: Any) -> dict[str, Any]:
        return {"obj": {"component_name": name, "params": params}, "downstream": down}

    graph, report = load(
        {
            "title": {"en": "Help desk", "de": "Hilfe"},
            "dsl": {
                "components": {
                    "begin": component("Begin", ["Categorize:A"]),
                    "Categorize:A": component(
                        "Categorize", [], llm_id="qwen-max@Tongyi-Qianwen",
                        category_description={
                            "product": {"description": "About it.", "to": ["Agent:B"]},
                            "rest": {"description": "Others.", "to": ["Message:C"]}}),
                    "Agent:B": component(
                        "Agent", ["Message:D"], sys_prompt="Answer {sys.query}.",
                        llm_id="deepseek-chat", tools=[
                            {"component_name": "Retrieval", "id": "Retrieval:K", "name": "Docs",
                             "params": {"top_n": 6, "keywords_similarity_weight": 0.3}},
                            {"component_name": "Tavily", "params": {"api_key": "tvly-1234567890"}}]),
                    "Message:C": component("Message", [], content=["Sorry, {sys.query}?"]),
                    "Message:D": component("Message", [], content=["{Agent:B@content}"]),
                }
            },
        }
    )  # fmt: skip
    assert report.format == "ragflow"
    assert graph.name == "Help desk"
    types = kinds(graph)
    assert types["Categorize"] == "classify"
    assert types["Docs"] == "retrieve"
    assert types["Tools: Tavily"] == "placeholder"
    assert types["Agent"] == "generate"
    assert node(graph, "Docs").config["semantic_weight"] == 0.7
    assert node(graph, "Agent").config["model"] == "deepseek/deepseek-chat"
    assert node(graph, "Categorize").config["model"] == "dashscope/qwen-max"
    assert {"Docs chunks>chunks Agent", "Categorize product>query Agent"} <= wires(graph)
    assert "tvly" not in json.dumps(graph.dump())
    assert errors(graph) == []


def test_a_file_of_nothing_but_wires_is_read_as_far_as_anybody_draws() -> None:
    steps = [{"id": f"m{n}", "type": "answer", "title": "A", "answer": "."} for n in range(100)]
    wires = [(f"m{n % 99}", f"m{n % 99 + 1}") for n in range(9_000)]
    graph, report = load(dify([START, *steps], wires))
    assert report.edges_in == 9_000
    assert "The file has 9,000 wires; the first 8,000 were read." in report.notes
    assert errors(graph) == []


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize(
    ("operator", "like", "unlike"),
    [
        ("contains", "high TIDE", "the moon"),
        ("start with", "TIDES", "the tides"),
        ("=", "Tide", "TIDE"),
    ],
)
async def test_ragflow_looks_for_parts_of_texts_in_any_case(
    operator: str, like: str, unlike: str, more: bool
) -> None:
    asked = [{"cpn_id": "sys.query", "operator": operator, "value": "Tide"}]
    asked += [{"cpn_id": "sys.query", "operator": "=", "value": "never"}] * more
    cases = [{"logical_operator": "or", "items": asked, "to": ["Message:Y"]}]

    def component(name: str, down: list[str], **params: Any) -> dict[str, Any]:
        return {"obj": {"component_name": name, "params": params}, "downstream": down}

    graph, report = load(
        {
            "dsl": {
                "components": {
                    "begin": component("Begin", ["Switch:A"]),
                    "Switch:A": component(
                        "Switch", ["Message:Y", "Message:N"],
                        conditions=cases, end_cpn_ids=["Message:N"]),
                    "Message:Y": component("Message", [], content=["Yes."]),
                    "Message:N": component("Message", [], content=["No."]),
                }
            }
        }
    )  # fmt: skip
    assert (report.placeholders, errors(graph)) == (0, [])
    assert list((await said(graph, like)).values()) == ["Yes."]
    assert list((await said(graph, unlike)).values()) == ["No."]


def test_what_a_ragflow_agent_posts_is_the_body_of_the_request() -> None:
    variables = [{"key": "ask", "ref": "sys.query"}, {"key": "lang", "value": "de"}]
    params = {"url": "https://example.com/x", "method": "post", "variables": variables}
    graph, report = load(
        {
            "components": {
                "begin": {"obj": {"component_name": "Begin"}, "downstream": ["Invoke:A"]},
                "Invoke:A": {
                    "obj": {"component_name": "Invoke", "params": params},
                    "downstream": ["Message:B"],
                },
                "Message:B": {
                    "obj": {
                        "component_name": "Message",
                        "params": {"content": ["{Invoke:A@result}"]},
                    }
                },
            }
        }
    )
    request = node(graph, "Invoke")
    assert (request.type, request.config["method"]) == ("http_request", "POST")
    assert request.config["body"] == '{"ask": {{ (asked.text) | tojson }}, "lang": "de"}'
    assert errors(graph) == []
    assert report.placeholders == 0


def test_circles_are_cut_where_they_lead_back_and_it_is_said() -> None:
    def component(name: str, down: list[str]) -> dict[str, Any]:
        return {"obj": {"component_name": name, "params": {}}, "downstream": down}

    graph, report = load(
        {
            "components": {
                "begin": component("Begin", ["Answer:0"]),
                "Answer:0": component("Answer", ["ExeSQL:0"]),
                "ExeSQL:0": component("ExeSQL", ["Answer:0"]),
            }
        }
    )
    assert nx.is_directed_acyclic_graph(graph.skeleton())
    assert any("led back to" in note for note in report.notes)
    assert report.edges_in == 3


def test_names_of_models() -> None:
    assert model_name("gpt-4o", "openai") == "gpt-4o"
    assert model_name("kimi-k2@Moonshot") == "moonshot/kimi-k2"
    assert model_name("claude-3", "") == "anthropic/claude-3"
    assert model_name("my-model", "openai_api_compatible") == "openai/my-model"
    assert model_name("", "openai") == "" == model_name(None, [])


# -- real files --------------------------------------------------------------------------
