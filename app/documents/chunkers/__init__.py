"""Built-in chunkers: functions from a document to the spans of its chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.documents.chunkers.aware import document_aware, page, parent_child
from app.documents.chunkers.fixed import fixed
from app.documents.chunkers.packed import recursive, sentence
from app.documents.chunkers.rows import question_answer, table_rows
from app.documents.chunkers.semantic import semantic

if TYPE_CHECKING:
    from app.documents.chunk import Chunker

#: strategy name -> chunker
BUILTIN: dict[str, Chunker] = {
    "recursive": recursive,
    "fixed": fixed,
    "sentence": sentence,
    "semantic": semantic,
    "document_aware": document_aware,
    "parent_child": parent_child,
    "table_rows": table_rows,
    "question_answer": question_answer,
    "page": page,
}
