"""What the fields of the canvas page offer and take in: knowledge bases, models, branches, files."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.uploads import IncomingFile, UploadLimits, store
from app.ui.expecting import Expecting
from app.ui.forms import Choices
from app.ui.pages.canvas.runbar import RunInput


async def keep_file(services: Services, filename: str, data: bytes) -> dict[str, Any]:
    """Keep an uploaded file; return its reference for settings and inputs."""
    settings = services.settings
    limits = UploadLimits(settings.max_upload_bytes, settings.max_request_bytes, 1)
    kept = await store(IncomingFile(filename, data=data), services.folder.blobs, limits)
    if kept.error:
        raise RagloomError(kept.error["message"], fix=kept.error.get("fix", ""))
    return {"filename": kept.filename, "blob": kept.blob, "size": kept.size}


async def branches_of(services: Services, kb: str) -> list[str]:
    """The branches of a knowledge base; of one that is not here, the one every base has."""
    with Expecting("not_found"):
        return list(await services.knowledge.branches(kb))
    return ["main"]


async def picker_choices(services: Services) -> Choices:
    """What the pickers of the inspector offer."""
    from app.documents.chunk import chunker_names
    from app.documents.quality import repairable, validator_names

    mending = set(repairable())
    bases = await services.knowledge.list(limit=200, offset=0)
    models: dict[str, dict[str, str]] = {}
    for model in await services.models.available():
        words = str(model["name"]) if model["ready"] else f"{model['name']} (needs setting up)"
        models.setdefault(str(model["kind"]), {})[str(model["name"])] = words
    return Choices(
        knowledge_bases={kb.name: kb.name for kb in bases.items},
        models=models,
        chunkers=chunker_names(),
        validators={
            name: ("flag", "drop", "repair") if name in mending else ("flag", "drop")
            for name in validator_names()
        },
        branches=partial(branches_of, services),
        keep_file=partial(keep_file, services),
    )


def run_inputs(graph: Graph) -> list[RunInput]:
    """The values a run of this graph asks for, from its input nodes."""
    found: dict[str, RunInput] = {}
    for node in graph.nodes.values():
        if node.type not in _INPUTS or node.disabled:
            continue
        name, title, kind = _INPUTS[node.type]
        name = str(node.config.get("name") or name)
        default = str(node.config.get("default") or "")
        found.setdefault(name, RunInput(name, node.title or title, default, kind))
    return list(found.values())


#: Type of an input node -> usual name of its value, words for it, how it is given.
_INPUTS = {
    "question": ("question", "Ask a question", "text"),
    "text_input": ("text", "Text", "text"),
    "file_input": ("file", "File", "files"),
    "files": ("files", "Files", "files"),
    "inlet": ("value", "Value", "text"),
}
