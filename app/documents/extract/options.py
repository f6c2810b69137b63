"""What an extraction may do and how far it may go."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from app.documents.errors import DocumentError
from app.documents.model import Frozen


class ExtractOptions(Frozen):
    """Options of one extraction; every bound ends in a clear error."""

    password: SecretStr | None = Field(
        None, description="Password of an encrypted PDF or office file."
    )
    tables: bool = Field(True, description="Look for tables in PDFs and keep their rows apart.")
    max_pages: int = Field(5_000, ge=1, le=1_000_000, description="Most pages, slides, sheets.")
    max_chars: int = Field(50_000_000, ge=1_000, description="Most characters of text.")
    max_unpacked: int = Field(2**30, ge=2**20, description="Most bytes an office file unpacks to.")
    table_seconds: float = Field(
        20.0, ge=0, description="Time for finding tables in one PDF; the rest stays as text."
    )
    ocr: Literal["off", "auto", "force"] = Field(
        "off",
        description="Text recognition: auto reads images and pages without a text layer, force "
        "reads every page as an image.",
    )
    ocr_seconds: float = Field(
        900.0,
        ge=0,
        le=3_600,
        description="Time for text recognition in one PDF; the pages left are listed.",
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Options of extractors from other packages."
    )

    def check_pages(self, count: int, whole: str, parts: str) -> None:
        """Refuse a document of too many pages: a “presentation” of so many “slides”.

        Raises:
            DocumentError: too_many_pages.
        """
        if count > self.max_pages:
            raise DocumentError(
                "too_many_pages",
                f"The {whole} has {count:,} {parts}; {self.max_pages:,} are allowed.",
                "Split it, or raise the limit on pages.",
            )
