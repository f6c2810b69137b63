"""The workflow that takes the files of a knowledge base in: the standard one, or one of its own.

A stored workflow serves at a pinned revision. Each upload binds it: where files come from, and
which knowledge base and branch they go to. What the workflow does in between is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.engine.context import Workflows
from app.engine.graph import Graph, NodeSpec, migrate
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.engine.registry import Registry
from app.engine.validation import validate
from app.services.ingestion.pipeline import ingestion_graph
from app.services.ingestion.processing import PIPELINE_VERSION, KnowledgeConfig, Processing
from storage.tables import KnowledgeBase

#: Key of `config` of a knowledge base.
SETTING = "pipeline"
#: Key of a run's input that holds the file.
FILES = "files"
#: Nodes that wait for a person, whom a job has nobody to ask.
_PEOPLE = ("approval",)


async def graph_for(
    kb_row: KnowledgeBase,
    branch: str,
    processing: Processing,
    timeout_s: float | None = None,
    workflows: Workflows | None = None,
) -> Graph:
    """The workflow that a file goes through, bound to a knowledge base, branch and settings.

    It reads its file from the input `files` and its result is `report`. Settings of `processing`
    that differ from the knowledge base's own go before those of a stored workflow. Raises
    RagloomError “pipeline_missing”, InvalidWorkflow.
    """
    chosen = chosen_pipeline(kb_row)
    if chosen is None:
        model = str(kb_row.config.get("embedding_model", "default"))
        return ingestion_graph(kb_row.id, branch, processing, model=model, timeout_s=timeout_s)
    graph = await stored_graph(chosen, workflows, kb_row.name)
    bound = _bound(graph, kb_row, branch, processing)
    index = bound.nodes[bound.outputs["report"][0]]
    index.timeout_s = timeout_s if index.timeout_s is None else index.timeout_s
    return bound


def identity_of(kb_row: KnowledgeBase, processing: Processing) -> dict[str, Any]:
    """What decides which chunks a file becomes; kept with each version of a document."""
    chosen = chosen_pipeline(kb_row)
    if chosen is None:
        return processing.identity()
    return {
        "pipeline": PIPELINE_VERSION,
        "workflow_id": chosen["workflow_id"],
        "workflow_revision": chosen["revision"],
        **_asked(kb_row, processing),
    }


def chosen_pipeline(kb_row: KnowledgeBase) -> dict[str, Any] | None:
    """`{"workflow_id", "revision"}` of the workflow it uses; None for the standard one."""
    return kb_row.config.get(SETTING) or None


async def stored_graph(
    chosen: Mapping[str, Any], workflows: Workflows | None, kb_name: str = ""
) -> Graph:
    """The workflow at its pinned revision. Raises RagloomError “pipeline_missing”."""
    whose = f"The pipeline of “{kb_name}”" if kb_name else "The workflow of this pipeline"
    if workflows is None:
        raise RagloomError(f"{whose} cannot be read here.", code="pipeline_missing")
    try:
        data, _ = await workflows.graph(chosen["workflow_id"], chosen["revision"])
    except RagloomError as error:
        if error.code != "not_found":
            raise
        raise RagloomError(
            f"{whose} is not there any more.",
            code="pipeline_missing",
            fix="Bring the workflow back, use another one as its pipeline, or take the standard "
            "one in the knowledge base's settings.",
        ) from error
    return Graph.parse(data)


def check_pipeline(graph: Graph, registry: Registry) -> list[Problem]:
    """Why a workflow cannot be a pipeline, every reason at once; empty where it can."""
    found = list(_shape(graph))
    if found:
        return found
    bound = _bind_ends(graph, "it", "main", {})
    migrate(bound, registry)
    return [p for p in validate(bound, registry) if p.severity == "error"]


def _shape(graph: Graph) -> Iterable[Problem]:
    sources, sinks = of_type(graph, "files"), of_type(graph, "index")
    if not sources:
        yield Problem(
            code="no_files_node",
            message="It has no “Files” node, through which documents come in.",
            fix="Add a “Files” node and wire it into the step that reads text.",
        )
    if not sinks:
        yield Problem(
            code="no_index_node",
            message="It has no “Embed and index” node, which fills the knowledge base.",
            fix="Add an “Embed and index” node and wire documents and chunks into it.",
        )
    for nodes, word in ((sources, "Files"), (sinks, "Embed and index")):
        if len(nodes) > 1:
            yield Problem(
                code="too_many_nodes",
                message=f"It has {len(nodes)} “{word}” nodes; a pipeline has one.",
                fix="Remove or turn off all but one of them.",
                node=nodes[1].id,
                found=len(nodes),
                expected=1,
            )
    if len(sources) != 1 or len(sinks) != 1:
        return
    needed = graph.needed_for([sinks[0].id])
    if sources[0].id not in needed:
        yield Problem(
            code="index_not_reached",
            message="No way leads from the “Files” node to the “Embed and index” node.",
            fix="Wire Files → Extract text → Chunk → Embed and index.",
            node=sinks[0].id,
        )
    for node_id in needed:
        node = graph.nodes[node_id]
        if node.type in _PEOPLE and not node.disabled:
            yield Problem(
                code="needs_a_person",
                message=f"“{node.title or node.id}” waits for a person; nobody is asked while "
                "files come in.",
                fix="Remove the step, or turn it off.",
                node=node.id,
            )


def of_type(graph: Graph, kind: str) -> list[NodeSpec]:
    """Nodes of a type that are not turned off."""
    return [n for n in graph.nodes.values() if n.type == kind and not n.disabled]


def bind_files(graph: Graph) -> None:
    """Have the files node take what a run brings, and unreadable files stop the run."""
    for node in of_type(graph, "files"):
        node.config, node.pinned = {"name": FILES}, None
    for node in of_type(graph, "extract"):
        node.config = {**node.config, "on_error": "fail"}


def _bind_ends(graph: Graph, kb_id: str, branch: str, identity: Mapping[str, Any]) -> Graph:
    """A copy that takes its file from the run and puts it into a knowledge base, no more."""
    bound = graph.copy()
    bind_files(bound)
    (index,) = of_type(bound, "index")
    index.config = {"knowledge_base": kb_id, "ref": branch, "processing": dict(identity)}
    index.on_error, index.pinned = "fail", None
    needed = bound.needed_for([index.id])
    bound.nodes = {key: node for key, node in bound.nodes.items() if key in needed}
    bound.edges = [e for e in bound.edges if e.source in needed and e.target in needed]
    bound.outputs = {"report": (index.id, "report")}
    return bound


def _bound(graph: Graph, kb_row: KnowledgeBase, branch: str, processing: Processing) -> Graph:
    faults = list(_shape(graph))
    if faults:
        raise InvalidWorkflow(
            f"The pipeline of “{kb_row.name}” cannot take files in. {faults[0].message}",
            fix=faults[0].fix,
            problems=faults,
        )
    bound = _bind_ends(graph, kb_row.id, branch, identity_of(kb_row, processing))
    for kind, settings in _overrides(kb_row, branch, processing).items():
        for node in of_type(bound, kind):
            node.config = {**node.config, **settings}
    return bound


def _asked(kb_row: KnowledgeBase, processing: Processing) -> dict[str, Any]:
    """Settings of an upload that are not those of its knowledge base."""
    usual = KnowledgeConfig(**kb_row.config).processing().model_dump()
    return {key: value for key, value in processing.model_dump().items() if value != usual[key]}


def _overrides(
    kb_row: KnowledgeBase, branch: str, processing: Processing
) -> dict[str, dict[str, Any]]:
    """Node type -> settings that an upload asked for, as the standard pipeline would have them."""
    usual = KnowledgeConfig(**kb_row.config).processing()
    before = ingestion_graph(kb_row.id, branch, usual)
    after = ingestion_graph(kb_row.id, branch, processing)
    found: dict[str, dict[str, Any]] = {}
    for node in after.nodes.values():
        if node.type in ("files", "index"):
            continue
        old = before.nodes[node.id].config if node.id in before.nodes else {}
        changed = {k: v for k, v in node.config.items() if k not in old or old[k] != v}
        if changed:
            found[node.type] = changed
    return found


@dataclass(frozen=True, slots=True)
class PipelineChecks:
    """Reads and checks what somebody wants to use as the pipeline of a knowledge base."""

    workflows: Workflows
    registry: Registry

    async def checked(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """`{"workflow_id", "revision"}` of a workflow that can serve, its newest where none is set.

        Raises RagloomError “not_found”, InvalidWorkflow with every reason why it cannot.
        """
        data, revision = await self.workflows.graph(chosen["workflow_id"], chosen.get("revision"))
        graph = Graph.parse(data)
        faults = check_pipeline(graph, self.registry)
        if faults:
            name = graph.name or "This workflow"
            raise InvalidWorkflow(
                f"“{name}” cannot be a pipeline. " + " ".join(p.message for p in faults[:3]),
                code="invalid_pipeline",
                fix=" ".join(dict.fromkeys(p.fix for p in faults[:3] if p.fix)),
                problems=faults,
            )
        return {"workflow_id": chosen["workflow_id"], "revision": revision}
