"""Forms made from the JSON Schema of a node's settings."""

from app.ui.forms._old import Choices, SchemaForm, filter_rows, filters_of

__all__ = ["Choices", "SchemaForm", "filter_rows", "filters_of"]
