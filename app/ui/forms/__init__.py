"""Forms made from the JSON Schema of a node's settings."""

from app.ui.forms.base import Choices, FormContext, Names, Slot, WorkflowFacts
from app.ui.forms.checks import config_errors
from app.ui.forms.filters import filter_rows, filters_of
from app.ui.forms.form import SchemaForm

__all__ = [
    "Choices",
    "FormContext",
    "Names",
    "SchemaForm",
    "Slot",
    "WorkflowFacts",
    "config_errors",
    "filter_rows",
    "filters_of",
]
