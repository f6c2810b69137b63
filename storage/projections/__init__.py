"""Search indexes that can always be rebuilt from SQL: Chroma for vectors, tantivy for words."""

from storage.projections.keywords import KeywordIndex
from storage.projections.projector import Projector
from storage.projections.vectors import VectorIndex

__all__ = ["KeywordIndex", "Projector", "VectorIndex"]
