"""Workflows: read from any form, kept with their revisions, checked before they run."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from app.engine.graph import Graph, migrate
from app.engine.problems import InvalidWorkflow, Problem, RagloomError
from app.engine.registry import Registry
from app.engine.validation import validate
from app.services.clock import iso
from app.services.threads import call
from app.services.views import Page, WorkflowView
from app.services.workflows import seed_form
from app.services.workflows.model_problems import model_problems
from app.services.workflows.sub_workflows import SubWorkflows
from storage.errors import NotFound

if TYPE_CHECKING:
    from app.services.models import ModelService
    from storage.runs import RunRepository
    from storage.tables import Workflow
    from storage.workflows import WorkflowRepository

DEFAULT_MAX_BYTES = 10 * 1024 * 1024

# `list` names a method below.
Notes = list[str]
Problems = list[Problem]


class WorkflowService:
    """The use cases around workflows; stored graphs are always the file `ragloom/1`."""

    def __init__(
        self,
        workflows: WorkflowRepository,
        runs: RunRepository,
        registry: Registry,
        models: ModelService | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self._workflows = workflows
        self._runs = runs
        self._registry = registry
        self._models = models
        self._max_bytes = max_bytes
        self._told: list[Callable[[str, WorkflowView | None], None]] = []
        self._needed: list[Callable[[str], Awaitable[None]]] = []

    def on_change(self, tell: Callable[[str, WorkflowView | None], None]) -> None:
        """Call `tell` with the id of each workflow that changes, and what it is once that is stored.

        That is its new revision, None where it was deleted, and what was brought back.
        """
        self._told.append(tell)

    def _tell(self, workflow_id: str, view: WorkflowView | None) -> None:
        for tell in self._told:
            tell(workflow_id, view)

    def before_delete(self, check: Callable[[str], Awaitable[None]]) -> None:
        """Call `check` with the id of a workflow that is to go; it raises where it must stay."""
        self._needed.append(check)

    async def parse(self, data: bytes | str | Mapping[str, Any]) -> tuple[dict[str, Any], Notes]:
        """Read a workflow of any known form; return the graph and notes of what was changed.

        Raises InvalidWorkflow when it cannot be read (with every reason), and ModelUnavailable
        when a list of steps asks for a language model that cannot be had.
        """
        decoded = await call(self._decode, data) if isinstance(data, bytes | str) else data
        decoded = _unwrapped(decoded)
        if seed_form.is_seed_form(decoded):
            graph, notes = seed_form.convert(decoded, self._registry)
            await self._check_models(graph)
        else:
            graph, notes = await call(self._read_file, decoded)
        await SubWorkflows(self._registry, self.graph).complete(graph)
        return graph.dump(), notes

    async def create(self, definition: Mapping[str, Any], *, author: str = "") -> WorkflowView:
        """Keep a new workflow. One that cannot run yet is kept too; `validate` says why."""
        graph, notes = await self.parse(definition)
        name = graph["graph"]["name"] or "Untitled workflow"
        graph["graph"]["name"] = name
        workflow = await call(
            self._workflows.create, name, graph["graph"]["description"], graph, author
        )
        return _view(workflow, graph, warnings=notes)

    async def get(self, workflow_id: str, revision: int | None = None) -> WorkflowView:
        """A workflow with its graph, at its newest revision or an older one."""
        workflow, newest = await call(self._workflows.get, workflow_id)
        if revision is None or revision == newest.number:
            return _view(workflow, newest.graph)
        older = await call(self._workflows.revision, workflow_id, revision)
        view = _view(workflow, older.graph)
        return view.model_copy(update={"revision": older.number})

    async def list(self, limit: int = 50, offset: int = 0, text: str = "") -> Page[WorkflowView]:
        """Workflows, newest change first, each with its last run; graphs are left out."""
        return await call(self._list, limit, offset, text)

    async def save(
        self,
        workflow_id: str,
        graph: Mapping[str, Any],
        base_revision: int,
        author: str = "",
        message: str = "",
    ) -> WorkflowView:
        """Keep a new revision. Raises Conflict when `base_revision` is not the newest."""
        parsed, notes = await self.parse(graph)
        workflow = await call(
            self._workflows.save, workflow_id, parsed, base_revision, author, message
        )
        view = _view(workflow, parsed, warnings=notes)
        self._tell(workflow_id, view)
        return view

    async def delete(self, workflow_id: str) -> None:
        """Take a workflow away; it can be brought back for a while. Its runs stay in the history.

        Raises NotFound, RagloomError “workflow_in_use”.
        """
        for check in self._needed:
            await check(workflow_id)
        await call(self._workflows.delete, workflow_id)
        self._tell(workflow_id, None)

    async def bring_back(self, workflow_id: str) -> WorkflowView:
        """Undo a deletion: with its history, schedules and chats."""
        await call(self._workflows.bring_back, workflow_id)
        view = await self.get(workflow_id)
        self._tell(workflow_id, view)
        return view

    async def graph(
        self, workflow_id: str, revision: int | None = None
    ) -> tuple[dict[str, Any], int]:
        """The file of a workflow at a revision, or at its newest; and that revision's number.

        Raises RagloomError “not_found”.
        """
        try:
            view = await self.get(workflow_id, revision)
        except NotFound as error:
            raise RagloomError(error.message, code=error.code, fix=error.fix) from error
        return view.graph or {}, view.revision

    async def validate(self, workflow: str | Mapping[str, Any]) -> Problems:
        """All problems of a workflow (id) or a graph, warnings among them."""
        own = workflow if isinstance(workflow, str) else ""
        if isinstance(workflow, str):
            graph_data = (await self.get(workflow)).graph or {}
        else:
            graph_data, _ = await self.parse(workflow)
        graph = Graph.parse(graph_data)
        around = await self.problems_around(graph, own)
        return [*await call(validate, graph, self._registry), *around]

    async def problems_around(self, graph: Graph, own: str = "") -> Problems:
        """Problems that the graph itself does not tell: of workflows (`own` is its id) and models."""
        found = await SubWorkflows(self._registry, self.graph).problems(graph, own)
        if self._models is not None:
            found += await model_problems(graph, self._registry, self._models)
        return found

    def _read_file(self, data: Any) -> tuple[Graph, Notes]:
        graph = Graph.parse(data)
        return graph, [problem.message for problem in migrate(graph, self._registry)]

    def _decode(self, data: bytes | str) -> Any:
        if len(data) > self._max_bytes:
            raise InvalidWorkflow(
                f"The workflow file is larger than {self._max_bytes / 1_048_576:.4g} MiB.",
                code="too_large",
                fix="A workflow file holds nodes and settings only; put data into documents.",
            )
        try:
            return json.loads(data, parse_constant=_refuse_constant)
        except RecursionError:
            reason = "it is nested too deeply"
        except UnicodeDecodeError:
            reason = "it is not text in UTF-8"
        except json.JSONDecodeError as error:
            reason = f"line {error.lineno}, column {error.colno}: {error.msg}"
        except ValueError as error:
            reason = str(error)
        raise InvalidWorkflow(
            f"This is not a workflow file: {reason}.",
            code="not_json",
            fix="A workflow file is JSON; export one from the canvas to see its shape.",
        )

    async def _check_models(self, graph: Graph) -> None:
        if self._models is None:
            return
        for node in graph.nodes.values():
            model = node.config.get("model")
            if node.type == "generate" and isinstance(model, str):
                await self._models.check(model, "llm")

    def _list(self, limit: int, offset: int, text: str) -> Page[WorkflowView]:
        items, total = self._workflows.list(limit, offset, text)
        views = []
        for workflow, newest in items:
            runs, _ = self._runs.list(workflow_id=workflow.id, limit=1, offset=0)
            last = None
            if runs:
                last = {
                    "execution_id": runs[0].id,
                    "status": runs[0].status,
                    "started_at": iso(runs[0].started_at),
                    "duration_ms": runs[0].duration_ms,
                }
            view = _view(workflow, newest.graph)
            views.append(view.model_copy(update={"graph": None, "last_run": last}))
        return Page(items=views, total=total)


def _unwrapped(data: Any) -> Any:
    """The file where it comes as this server hands it out: under “graph”, with facts around it.

    A name or a description among these that is not that of the file is meant to be its new one.
    """
    inside = data.get("graph") if isinstance(data, dict) and not _is_file(data) else None
    if not (isinstance(inside, dict) and _is_file(inside)):
        return data
    head = inside.get("graph")
    given = {n: data[n] for n in ("name", "description") if isinstance(data.get(n), str)}
    return {**inside, "graph": {**head, **given}} if isinstance(head, dict) else inside


def _is_file(data: Mapping[str, Any]) -> bool:
    return "nodes" in data or "steps" in data


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is not JSON")


def _view(
    workflow: Workflow, graph: dict[str, Any], warnings: list[str] | None = None
) -> WorkflowView:
    return WorkflowView(
        workflow_id=workflow.id,
        name=workflow.name,
        description=workflow.description,
        revision=workflow.revision,
        created_at=iso(workflow.created_at),
        updated_at=iso(workflow.updated_at),
        node_count=len(graph.get("nodes", ())),
        graph=graph,
        warnings=warnings or [],
    )
