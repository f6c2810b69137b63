"""Flows of Langflow and Flowise: small ones that show each rule."""

from __future__ import annotations

import json
from typing import Any

from importing import errors, load, node, said, wires


def test_a_langflow_flow() -> None:
    def made(kind: str, id_: str, title: str, **fields: Any) -> dict[str, Any]:
        template = {name: {"value": value} for name, value in fields.items()}
        data = {"type": kind, "id": id_, "node": {"display_name": title, "template": template}}
        return {"id": id_, "type": "genericNode", "data": data, "position": {"x": 0, "y": 0}}

    def link(source: str, out: str, target: str, into: str) -> dict[str, Any]:
        ends = {"sourceHandle": {"name": out}, "targetHandle": {"fieldName": into}}
        return {"source": source, "target": target, "data": ends}

    graph, report = load(
        {
            "name": "RAG",
            "data": {
                "nodes": [
                    made("ChatInput", "i", "Chat Input", input_value="Hello?"),
                    made("Knowledge", "k", "Knowledge", mode="Retrieve", top_k=3),
                    made("Prompt", "p", "Prompt", template="{context} -- {question} {{x}}"),
                    made("LanguageModelComponent", "m", "Model", api_key="sk-" + "a" * 30,
                         model=[{"name": "gpt-4o", "provider": "OpenAI"}]),
                    made("ChatOutput", "o", "Chat Output"),
                    {"id": "n", "type": "noteNode", "position": {"x": 9, "y": 9},
                     "data": {"node": {"description": "# Hi", "template": {}}}},
                ],
                "edges": [
                    link("i", "message", "k", "search_query"),
                    link("k", "retrieve_data", "p", "context"),
                    link("i", "message", "p", "question"),
                    link("p", "prompt", "m", "input_value"),
                    link("m", "text_output", "o", "input_value"),
                ],
            },
        }
    )  # fmt: skip
    assert (report.format, report.mapped, report.placeholders) == ("langflow", 5, 0)
    assert node(graph, "Prompt").config["template"] == "{{ knowledge }} -- {{ asked }} {x}"
    assert node(graph, "Model").config["model"] == "gpt-4o"
    assert node(graph, "Chat Input").config["default"] == "Hello?"
    assert graph.extra["notes"][0]["text"] == "# Hi"
    assert "sk-aaa" not in json.dumps(graph.dump())
    assert errors(graph) == []


def test_a_flowise_chatflow_and_an_agentflow() -> None:
    def made(id_: str, name: str, category: str, **inputs: Any) -> dict[str, Any]:
        data = {"id": id_, "name": name, "label": name, "category": category, "inputs": inputs}
        return {"id": id_, "type": "customNode", "data": data, "position": {"x": 0, "y": 0}}

    def link(source: str, target: str, into: str) -> dict[str, Any]:
        return {"source": source, "target": target,
                "sourceHandle": f"{source}-output-{source}-X",
                "targetHandle": f"{target}-input-{into}-Y"}  # fmt: skip

    graph, report = load(
        {
            "nodes": [
                made("m", "chatOpenAI", "Chat Models", modelName="gpt-4o", temperature="0.2"),
                made("f", "faiss", "Vector Stores", topK="4"),
                made("c", "conversationalRetrievalQAChain", "Chains",
                     responsePrompt="Use {context}."),
            ],
            "edges": [link("m", "c", "model"), link("f", "c", "vectorStoreRetriever")],
        }
    )  # fmt: skip
    assert (report.format, report.mapped) == ("flowise", 3)
    chain = node(graph, "conversationalRetrievalQAChain")
    assert (chain.type, chain.config["model"]) == ("generate", "gpt-4o")
    assert chain.config["temperature"] == 0.2
    assert node(graph, "faiss").config["k"] == 4
    assert any("setting" in note for note in report.notes)
    assert errors(graph) == []

    span = '<span class="variable" data-id="llmAgentflow_0">{{ llmAgentflow_0 }}</span>'
    nodes = [
        made("startAgentflow_0", "startAgentflow", "Agent Flows"),
        made("llmAgentflow_0", "llmAgentflow", "Agent Flows", llmModel="chatAnthropic",
             llmModelConfig={"modelName": "claude-x"},
             llmMessages=[{"role": "user", "content": "<p>Say {{ question }}</p>"}]),
        made("humanInputAgentflow_0", "humanInputAgentflow", "Agent Flows",
             humanInputDescription="<p>Fine?</p>"),
        made("directReplyAgentflow_0", "directReplyAgentflow", "Agent Flows",
             directReplyMessage=f"<p>It is {span}</p>"),
    ]  # fmt: skip
    edges = [
        {"source": a, "target": b, "sourceHandle": f"{a}-output-{out}", "targetHandle": b}
        for a, b, out in [
            ("startAgentflow_0", "llmAgentflow_0", "startAgentflow"),
            ("llmAgentflow_0", "humanInputAgentflow_0", "llmAgentflow"),
            ("humanInputAgentflow_0", "directReplyAgentflow_0", "0"),
        ]
    ]
    graph, report = load({"nodes": nodes, "edges": edges})
    assert report.placeholders == 0
    assert node(graph, "humanInputAgentflow").config["message"] == "Fine?"
    assert node(graph, "llmAgentflow").config["model"] == "anthropic/claude-x"
    assert node(graph, "llmAgentflow").config["prompt"] == "Say {{ asked }}"
    assert "humanInputAgentflow approved" in " ".join(wires(graph))
    assert errors(graph) == []

    begins = {"value1": "{{ question }}", "operation": "startsWith", "value2": "[a]"}
    which = made("conditionAgentflow_0", "conditionAgentflow", "Agent Flows", conditions=[begins])
    edges = [{"source": nodes[0]["id"], "target": which["id"],
              "sourceHandle": "startAgentflow_0-output-startAgentflow",
              "targetHandle": which["id"]}]  # fmt: skip
    graph, _ = load({"nodes": [nodes[0], which], "edges": edges})
    condition = node(graph, "conditionAgentflow").config
    assert (condition["operator"], condition["value"]) == ("matches", "[[]a]*")


async def test_a_flowise_condition_compares_with_a_variable() -> None:
    def made(id_: str, name: str, **inputs: Any) -> dict[str, Any]:
        data = {"id": id_, "name": name, "label": name, "category": "Agent Flows",
                "inputs": inputs}  # fmt: skip
        return {"id": id_, "data": data, "position": {"x": 0, "y": 0}}

    def flow(right: str) -> dict[str, Any]:
        test = {"value1": "{{ $form.said }}", "operation": "equal", "value2": right}
        entries = [{"name": name, "label": name, "type": "string"} for name in ("said", "word")]
        which = "conditionAgentflow_0"
        return {
            "nodes": [
                made("startAgentflow_0", "startAgentflow", startInputType="formInput",
                     formInputTypes=entries),
                made(which, "conditionAgentflow", conditions=[test]),
                made("a", "directReplyAgentflow", directReplyMessage="Yes."),
                made("b", "directReplyAgentflow", directReplyMessage="No."),
            ],
            "edges": [
                {"source": source, "target": target, "sourceHandle": f"{source}-output-{out}",
                 "targetHandle": target}
                for source, target, out in (
                    ("startAgentflow_0", which, "startAgentflow"), (which, "a", 0), (which, "b", 1),
                )
            ],
        }  # fmt: skip

    graph, report = load(flow("<p>{{ $form.word }}</p>"))
    assert (report.placeholders, errors(graph)) == (0, [])
    for word, answer in (("tide", "Yes."), ("Tide", "No."), ("{{ $form.word }}", "No.")):
        found = await said(graph, "", said="tide", word=word)
        assert list(found.values()) == [answer]
    # Words around the variable have no equal.
    _, report = load(flow("not {{ $form.word }}"))
    assert report.placeholders == 1
