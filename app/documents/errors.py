"""What can go wrong with a document or a model, as something a person can act on."""

from __future__ import annotations


class DocumentsError(Exception):
    """Base of this toolkit's errors: a stable code, what happened, and what to do now."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def __reduce__(self) -> tuple[type[DocumentsError], tuple[str, str, str]]:
        return type(self), (self.code, self.message, self.fix)


class DocumentError(DocumentsError):
    """A file cannot be turned into text.

    Codes: empty, unsupported_type, wrong_type, damaged, encrypted, wrong_password, no_text,
    too_large, too_many_pages, unsafe, timeout, too_much_memory, crashed, ocr_off, ocr_missing.
    """


class EmbedderError(DocumentsError):
    """An embedding model cannot be had or does not answer.

    Codes: model_unavailable, model_damaged, model_failed.
    """
