"""Built-in chunkers: functions from a document to the spans of its chunks."""

from app.documents.chunkers.fixed import fixed
from app.documents.chunkers.packed import recursive, sentence
from app.documents.chunkers.semantic import semantic

#: strategy name -> chunker
BUILTIN = {"recursive": recursive, "fixed": fixed, "sentence": sentence, "semantic": semantic}
