"""Workflows as files for elsewhere: data, pictures, diagrams, and programs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.services.threads import call

if TYPE_CHECKING:
    from app.services.exports.svg import Theme
    from app.services.workflows.service import WorkflowService

Format = Literal["json", "mermaid", "svg", "png", "python"]
FORMATS: tuple[Format, ...] = get_args(Format)

#: Media type and ending by format.
_KINDS = {
    "json": ("application/json", "json"),
    "mermaid": ("text/vnd.mermaid; charset=utf-8", "mmd"),
    "svg": ("image/svg+xml", "svg"),
    "png": ("image/png", "png"),
    "python": ("text/x-python; charset=utf-8", "py"),
}


@dataclass(frozen=True, slots=True)
class Export:
    """A file: its bytes, media type and name."""

    content: bytes
    media_type: str
    filename: str


class ExportService:
    """Every export is made from the stored graph alone; none needs a browser."""

    def __init__(self, workflows: WorkflowService, registry: Registry) -> None:
        self._workflows = workflows
        self._registry = registry

    async def export(
        self,
        workflow: str | Mapping[str, Any],
        format: str,
        *,
        revision: int | None = None,
        theme: Theme = "light",
    ) -> Export:
        """Export a stored workflow (by id, at a revision or the newest) or a graph.

        Raises RagloomError “unknown_format”, NotFound, InvalidWorkflow, and “too_large” for a
        picture beyond all sizes.
        """
        if format not in FORMATS:
            raise RagloomError(
                f"There is no export format “{format[:60]}”.",
                code="unknown_format",
                fix=f"Use one of {', '.join(FORMATS)}.",
            )
        if isinstance(workflow, str):
            data, _ = await self._workflows.graph(workflow, revision)
        else:
            data = dict(workflow)
        return await call(self._export, data, format, theme)

    def _export(self, data: dict[str, Any], format: str, theme: Theme) -> Export:
        graph = Graph.parse(data)
        content = self._content(graph, data, format, theme)
        media_type, ending = _KINDS[format]
        return Export(content, media_type, f"{_file_name(graph.name)}.{ending}")

    def _content(self, graph: Graph, data: dict[str, Any], format: str, theme: Theme) -> bytes:
        if format == "json":
            return (json.dumps(data, ensure_ascii=False, indent=2) + "\n").encode()
        if format == "mermaid":
            from app.services.exports.mermaid import mermaid_of

            return mermaid_of(graph, self._registry).encode()
        if format == "python":
            from app.services.exports.python import python_of

            return python_of(graph, self._registry).encode()
        from app.services.exports.svg import svg_and_size

        svg, width, height = svg_and_size(graph, self._registry, theme, pictographs=format == "svg")
        if format == "svg":
            return svg.encode()
        from app.services.exports.png import png_of

        return png_of(svg, width, height)


def _file_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80].strip("-")
    return plain or "workflow"
