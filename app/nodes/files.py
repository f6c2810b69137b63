"""How files are named in node settings and in what a run is given."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.engine.problems import NodeFailed
from app.engine.unfit import unfit
from app.engine.values import Document


class FileRef(BaseModel):
    """A file that was uploaded: its name, and the hash under which its bytes are kept."""

    model_config = ConfigDict(extra="forbid")
    filename: str = Field(min_length=1, max_length=1_000, description="Name of the file.")
    blob: str = Field(min_length=1, max_length=128, description="SHA-256 of its bytes.")
    size: int = Field(0, ge=0, description="Size in bytes.")
    media_type: str = Field("", max_length=200, description="Media type, if known.")
    document_id: str = Field(
        "", max_length=128, description="Id of the document; its hash where empty."
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Kept with the document, for filters."
    )

    def document(self) -> Document:
        """The file as a document that is not read yet."""
        return Document(
            document_id=self.document_id or self.blob[:32],
            filename=self.filename,
            blob=self.blob,
            size=self.size,
            media_type=self.media_type,
            metadata=self.metadata,
        )


def read_files(value: Any, name: str) -> tuple[Document, ...]:
    """The files a run was given under `name`: documents, references, or a list of them."""
    items = value if isinstance(value, list | tuple) else [value]
    found = []
    for item in items:
        if isinstance(item, Document):
            found.append(item)
            continue
        try:
            found.append(FileRef.model_validate(item).document())
        except ValidationError as error:
            raise NodeFailed(
                f"The input “{name}” does not name uploaded files.",
                code="bad_input",
                fix='Send each as {"filename": "…", "blob": "<sha-256>"} of an uploaded file.',
                found=[f"{'.'.join(map(str, e['loc']))}: {unfit(e)}" for e in error.errors()],
            ) from None
    return tuple(found)
