"""How values of each port type are shown, from their JSON data. Everything is plain text."""

from app.ui.viewers.panel import PortPanel
from app.ui.viewers.passages import chunk_card, chunks, condensed
from app.ui.viewers.tables import table
from app.ui.viewers.texts import DiffView, diff, long_text
from app.ui.viewers.trees import tree
from app.ui.viewers.values import facts, show, usage, verdict
from app.ui.viewers.view import View

__all__ = [
    "DiffView",
    "PortPanel",
    "View",
    "chunk_card",
    "chunks",
    "condensed",
    "diff",
    "facts",
    "long_text",
    "show",
    "table",
    "tree",
    "usage",
    "verdict",
]
