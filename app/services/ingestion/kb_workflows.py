"""Pipelines of knowledge bases as workflows on the canvas: drawn, opened, put to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.services.exports.layout import lay_out
from app.services.ingestion.kb_pipeline import SETTING, chosen_pipeline, stored_graph
from app.services.ingestion.pipeline import ingestion_graph
from app.services.ingestion.processing import KnowledgeConfig
from app.services.knowledge.service import KnowledgeService
from app.services.threads import call
from app.services.views import KnowledgeBaseView, WorkflowView
from app.services.workflows.service import WorkflowService
from storage.errors import NotFound
from storage.knowledge import KnowledgeRepository
from storage.tables import KnowledgeBase

_ALL = 10_000
#: Room under the cards of a row, in pixels.
_LOWER = 168.0


@dataclass(frozen=True, slots=True)
class UsedPipeline:
    """The workflow that a knowledge base uses."""

    workflow_id: str
    revision: int
    name: str
    #: Its newest revision; None where the workflow is not there any more.
    newest: int | None


class PipelineService:
    """The way from a knowledge base to the workflow that fills it, and back."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        knowledge: KnowledgeService,
        workflows: WorkflowService,
        registry: Registry,
    ) -> None:
        self._repository = repository
        self._knowledge = knowledge
        self._workflows = workflows
        self._registry = registry
        workflows.before_delete(self._check_unused)

    async def draw(self, kb: str, author: str = "") -> WorkflowView:
        """Make a workflow that does what uploads to `kb` go through now; nothing uses it yet."""
        row = await call(self._repository.find, kb)
        return await self._workflows.create((await self._drawn(row)).dump(), author=author)

    async def used(self, kb: str) -> UsedPipeline | None:
        """The workflow that files of `kb` go through; None for the standard one."""
        row = await call(self._repository.find, kb)
        chosen = chosen_pipeline(row)
        if chosen is None:
            return None
        try:
            view = await self._workflows.get(chosen["workflow_id"])
        except NotFound:
            return UsedPipeline(chosen["workflow_id"], chosen["revision"], "", None)
        return UsedPipeline(view.workflow_id, chosen["revision"], view.name, view.revision)

    async def use(
        self, kb: str, workflow_id: str, revision: int | None = None
    ) -> KnowledgeBaseView:
        """Have files of `kb` go through a workflow from now on, at its newest revision or this one.

        Raises NotFound, InvalidWorkflow with every reason why it cannot serve.
        """
        chosen = {"workflow_id": workflow_id, "revision": revision}
        return await self._knowledge.update(kb, config={SETTING: chosen})

    async def use_standard(self, kb: str) -> KnowledgeBaseView:
        """Have files of `kb` go through the standard pipeline again."""
        return await self._knowledge.update(kb, config={SETTING: None})

    async def users_of(self, workflow_id: str) -> dict[str, int]:
        """Id of each knowledge base that a workflow fills -> the revision it uses."""
        return {row.id: used["revision"] for row, used in await self._filled_by(workflow_id)}

    async def _filled_by(self, workflow_id: str) -> list[tuple[KnowledgeBase, dict[str, Any]]]:
        rows, _ = await call(self._repository.list, _ALL, 0)
        pairs = ((row, chosen_pipeline(row)) for row in rows)
        return [(row, used) for row, used in pairs if used and used["workflow_id"] == workflow_id]

    async def _check_unused(self, workflow_id: str) -> None:
        """Files of a knowledge base go through it: without it, none could come in."""
        names = [row.name for row, _ in await self._filled_by(workflow_id)]
        if not names:
            return
        listed = ", ".join(f"“{name}”" for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise RagloomError(
            f"Files of {listed}{more} go through this workflow.",
            code="workflow_in_use",
            fix="Choose another pipeline for "
            + ("it" if len(names) == 1 else "them")
            + " first, or the standard one, under Settings of the knowledge base.",
            knowledge_bases=names,
        )

    async def _drawn(self, row: KnowledgeBase) -> Graph:
        chosen = chosen_pipeline(row)
        if chosen is None:
            config = KnowledgeConfig(**row.config)
            model = config.embedding_model
            graph = ingestion_graph(row.id, "main", config.processing(), model=model)
        else:
            graph = await stored_graph(chosen, self._workflows, row.name)
        for node in graph.nodes.values():
            if node.type == "index":
                # By its name: that is what a person reads on the card.
                node.config = {"knowledge_base": row.name, "ref": "main"}
        graph.name = f"Pipeline of {row.name}"
        graph.description = f"What files go through on their way into {row.name}."
        if chosen is None:
            self._place(graph)
        return graph

    def _place(self, graph: Graph) -> None:
        """From left to right; what a wire leads past stands lower, so that the wire is seen."""
        cards = lay_out(graph, self._registry).cards
        spans = [(cards[e.source].x, cards[e.target].x) for e in graph.edges]
        for node in graph.nodes.values():
            x, y = cards[node.id].x, cards[node.id].y
            past = any(start < x < end for start, end in spans)
            node.position = (x, y + (_LOWER if past else 0.0))
