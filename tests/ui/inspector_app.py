"""A page with nothing but an inspector, for the browser tests: `inspector_app.py FD`.

`/?node=ID` shows a node of a small workflow whose run is made up; `/state` tells its settings.
"""

from __future__ import annotations

import sys
from typing import Any

from nicegui import app, ui

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.registry import Registry
from app.nodes import register_all
from app.services.views import StepView
from app.ui import parts, theme
from app.ui.forms import Choices
from app.ui.pages.canvas.inspector import Inspector
from app.ui.pages.canvas.inspector_facts import Actions, NodeFacts
from app.ui.run_state import RunState

NASTY = "<img src=x onerror=\"document.title='owned'\">"
REGISTRY = Registry()
register_all(REGISTRY)


def chunk(number: int, text: str) -> dict[str, Any]:
    return {
        "chunk_id": f"c{number}", "document_id": "d", "document_name": f"{NASTY}.md",
        "content": text, "score": 1 / number, "scores": {"rerank": 1 / number},
    }  # fmt: skip


CHUNKS = {"items": [chunk(1, f"The tide is high. {NASTY}"), chunk(2, "Prices of tea.")]}
QUERY = {"text": "when high tide", "original": "When is high tide?"}
ANSWER = {
    "text": "The tide is high.",
    "sentences": [{"text": "The tide is high.", "citations": [1]}],
    "citations": [
        {
            "number": 1, "chunk_id": "c1", "document_id": "d", "document_name": "tides.md",
            "quote": "The tide is high.",
        }
    ],
}  # fmt: skip
BIG = {"rows": [{"number": n, "text": "x" * 1_000} for n in range(30_000)], NASTY: NASTY}
GRAPH = Graph(
    nodes={
        "question": NodeSpec("question", "question"),
        "retrieve": NodeSpec("retrieve", "retrieve"),
        "rerank": NodeSpec("rerank", "rerank"),
        "prompt": NodeSpec("prompt", "prompt", config={"template": "Hello"}),
        "generate": NodeSpec("generate", "generate"),
        "compute": NodeSpec(
            "compute", "compute", config={"results": [{"name": "n", "expression": "value"}]}
        ),
    },
    edges=[
        EdgeSpec("question", "query", "rerank", "query"),
        EdgeSpec("retrieve", "chunks", "rerank", "chunks"),
        EdgeSpec("question", "query", "prompt", "query"),
        EdgeSpec("rerank", "chunks", "generate", "chunks"),
    ],
)


def step(node: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> StepView:
    return StepView(
        node_id=node, name=node, type=GRAPH.nodes[node].type, status="completed",
        duration_ms=3.0, inputs=inputs, outputs=outputs,
    )  # fmt: skip


RUN = RunState(
    run_id="r", status="completed", input_data={"limit": 3, "name": NASTY},
    steps={
        "rerank": step("rerank", {"query": QUERY, "chunks": CHUNKS}, {"chunks": CHUNKS}),
        "prompt": step("prompt", {"query": QUERY}, {"prompt": {"text": "Hello"}}),
        "generate": step("generate", {"query": QUERY, "chunks": CHUNKS}, {"answer": ANSWER}),
        "compute": step("compute", {}, {"n": {"data": BIG}}),
    },
    order=["rerank", "prompt", "generate", "compute"],
)  # fmt: skip


@ui.page("/")
def page(node: str) -> None:
    """The inspector at the right edge."""
    theme.head()

    def facts() -> NodeFacts:
        spec = GRAPH.nodes[node]
        return NodeFacts(
            node_id=node, type=spec.type, title=node, config=spec.config,
            step=RUN.steps.get(node), spec=spec, graph=GRAPH, run=RUN,
        )  # fmt: skip

    def set_config(name: str, config: dict[str, Any]) -> None:
        GRAPH.nodes[name].config = config
        inspector.show(facts(), found_by=RUN.found_by())

    def nothing(*_: Any) -> None:
        pass

    with (
        parts.div("rl-work").style("height: 100vh"),
        ui.element("aside").classes("rl-inspector").style("margin-left: auto"),
    ):
        inspector = Inspector(
            REGISTRY, Actions(set_config, nothing, nothing, nothing), Choices(), lambda: None
        )
        inspector.show(facts(), found_by=RUN.found_by())
    ui.add_css("html[data-inspector] .rl-inspector { display: flex !important; width: 420px }")


@app.get("/state")
def state() -> dict[str, Any]:
    """The settings of every node."""
    return {name: spec.config for name, spec in GRAPH.nodes.items()}


if __name__ in {"__main__", "__mp_main__"}:
    theme.install()
    ui.run(
        host="127.0.0.1",
        fd=int(sys.argv[1]),
        show=False,
        reload=False,
        reconnect_timeout=30,
        show_welcome_message=False,
    )
