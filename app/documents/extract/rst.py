"""reStructuredText, by docutils: nothing is included, fetched or passed through raw."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.extract.plain import add_plain
from app.documents.extract.rst_parts import PASSED_OVER, inline, list_lines, pairs, table_rows
from app.documents.model import ExtractedDocument
from app.documents.text import clean, one_line

_SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "halt_level": 5,
    "report_level": 5,
    "warning_stream": "",
    "syntax_highlight": "none",
    "smart_quotes": False,
    "input_encoding": "unicode",
    "embed_stylesheet": False,
    "pep_references": False,
    "rfc_references": False,
}
#: docutils refuses texts with longer lines (and substitutions that grow longer).
_MAX_LINE = 10_000
#: Widths of indentation in one text: each may be a quote in a quote.
_MAX_INDENTS = 100
#: Directives that Sphinx knows and docutils does not are read as text this deep.
_MAX_NESTING = 5
#: Directives whose body is no text: lists of files, settings, code to import.
_SILENT_LIST = """
    toctree include literalinclude raw contents index currentmodule module highlight default-domain
    automodule autoclass autofunction automethod autodata autosummary autoexception bibliography
    tabularcolumns plantuml graphviz mermaid ifconfig
"""
_SILENT = frozenset(_SILENT_LIST.split())
_DIRECTIVE = re.compile(r"\.\. +(?:\|[^|]*\| +)?([\w:.+-]+?)::[ \t]*(.*)")
_CODE_DIRECTIVES = frozenset(
    {"code-block", "sourcecode", "ipython", "prompt", "testcode", "doctest"}
)
_SUBSTITUTION = re.compile(
    r"^[ \t]*\.\. +\|([^|\n]+)\| +replace::(.*(?:\n[ \t]+\S.*)*)", re.MULTILINE
)
_SUBSTITUTED = re.compile(r"\|([^|\s](?:[^|]*[^|\s])?)\|")
#: Substitutions inside substitutions inside …
_MAX_SUBSTITUTED = 12
_OPTION = re.compile(r"[ \t]*:[\w-]+:.*")
_DOCINFO = {
    "author": "author", "authors": "author", "date": "created", "revision": "revision",
    "version": "version", "organization": "organization", "status": "status",
    "keywords": "keywords", "description": "description", "tags": "keywords",
}  # fmt: skip


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read reStructuredText; the fields at its start become metadata.

    Raises:
        DocumentError: too_large.
    """
    text = clean(decode(path.read_bytes())[0])
    blocks = Blocks(options.max_chars)
    title, found = "", {}
    if _is_too_much(text) or _explodes(text):
        add_plain(blocks, text)
    else:
        document = _parse(text)
        title = one_line(document.get("title", ""))
        reader = _Reader(blocks)
        reader.children(document, 1)
        found = metadata(reader.fields)
    return ExtractedDocument(
        media_type=media.RST, title=title, metadata=found, blocks=tuple(blocks.items)
    )


def _is_too_much(text: str) -> bool:
    """Whether lines are longer, or indented in more ways, than docutils can take."""
    lines = text.split("\n")
    indents = {len(line) - len(line.lstrip()) for line in lines if line.strip()}
    return len(indents) > _MAX_INDENTS or max(map(len, lines)) >= _MAX_LINE


def _explodes(text: str) -> bool:
    """Whether substitutions made of substitutions grow beyond what a text needs."""
    texts = {_name(name): body for name, body in _SUBSTITUTION.findall(text)}
    sizes: dict[str, int] = {}
    for _ in range(_MAX_SUBSTITUTED):
        before = dict(sizes)
        for name, body in texts.items():
            inner = (_name(ref) for ref in _SUBSTITUTED.findall(body))
            sizes[name] = len(body) + sum(before.get(ref, 0) for ref in inner)
        if sizes == before:
            return False
        if sum(sizes.values()) > _MAX_LINE * 10:
            return True
    return True  # a circle, or a very long chain


def _name(text: str) -> str:
    return " ".join(text.lower().split())


def _parse(text: str) -> Any:
    from docutils.core import publish_doctree

    return publish_doctree(text, settings_overrides=_SETTINGS)


class _Reader:
    """Walks the tree; what docutils does not know is read as the text it holds."""

    def __init__(self, blocks: Blocks, nesting: int = 0) -> None:
        self._blocks = blocks
        self._nesting = nesting
        self.fields: dict[str, str] = {}

    def children(self, node: Any, level: int) -> None:
        """Add what stands below a node; `level` is that of headings in it."""
        for child in node.children:
            handler: Callable[[Any, int], None] | None = getattr(
                self, f"_on_{type(child).__name__}", None
            )
            if handler is not None:
                handler(child, level)
            elif type(child).__name__ in PASSED_OVER:
                continue
            elif child.children:
                self.children(child, level)

    def _on_section(self, node: Any, level: int) -> None:
        # Where the document has a title of its own, sections stand below it.
        self.children(node, level + 1)

    def _on_title(self, node: Any, level: int) -> None:
        kind = type(node.parent).__name__
        if kind in ("document", "section"):
            self._blocks.heading(inline(node), max(1, level - self._shift(node)))
        else:
            self._blocks.add("paragraph", inline(node))

    @staticmethod
    def _shift(node: Any) -> int:
        """1 where sections are the top: no title stands above them."""
        document = node.document
        titled = document is not None and any(
            type(child).__name__ == "title" for child in document.children
        )
        return 0 if titled else 1

    def _on_subtitle(self, node: Any, level: int) -> None:
        self._blocks.heading(inline(node), 2)

    def _on_paragraph(self, node: Any, level: int) -> None:
        self._blocks.add("paragraph", inline(node))

    _on_rubric = _on_attribution = _on_caption = _on_term = _on_paragraph

    def _on_topic(self, node: Any, level: int) -> None:
        if "contents" not in node.get("classes", ()):
            self.children(node, level)

    def _on_admonition(self, node: Any, level: int) -> None:
        name = type(node).__name__
        if name != "admonition":
            self._blocks.add("paragraph", name.capitalize())
        self.children(node, level)

    _on_note = _on_tip = _on_warning = _on_hint = _on_important = _on_admonition
    _on_attention = _on_caution = _on_danger = _on_error = _on_admonition

    def _on_literal_block(self, node: Any, level: int) -> None:
        classes = [name for name in node.get("classes", ()) if name != "code"]
        self._blocks.add("code", node.astext(), info=classes[0] if classes else "")

    def _on_doctest_block(self, node: Any, level: int) -> None:
        self._blocks.add("code", node.astext(), info="python")

    def _on_math_block(self, node: Any, level: int) -> None:
        self._blocks.add("code", node.astext(), info="latex")

    def _on_line_block(self, node: Any, level: int) -> None:
        lines = (inline(line) for line in node.findall() if type(line).__name__ == "line")
        self._blocks.add("paragraph", "\n".join(lines))

    def _on_image(self, node: Any, level: int) -> None:
        self._blocks.add("image", node.get("alt", ""))

    def _on_figure(self, node: Any, level: int) -> None:
        lines = []
        for part in node.findall():
            name = type(part).__name__
            if name == "image":
                lines.append(part.get("alt", ""))
            elif name == "caption" or (name == "paragraph" and _in_legend(part)):
                lines.insert(0 if name == "caption" else len(lines), inline(part))
        self._blocks.add("image", "\n".join(filter(None, lines)))

    def _on_bullet_list(self, node: Any, level: int) -> None:
        self._blocks.add("list", "\n".join(list_lines(node, 0)))

    _on_enumerated_list = _on_bullet_list

    def _on_option_list(self, node: Any, level: int) -> None:
        self._blocks.add("list", "\n".join(pairs(node, "option_group", "description")))

    def _on_field_list(self, node: Any, level: int) -> None:
        self._blocks.add("list", "\n".join(pairs(node, "field_name", "field_body")))

    def _on_definition_list(self, node: Any, level: int) -> None:
        for item in node.children:
            terms = [inline(c) for c in item.children if type(c).__name__ in ("term", "classifier")]
            self._blocks.add("paragraph", " : ".join(terms))
            for part in item.children:
                if type(part).__name__ == "definition":
                    self.children(part, level)

    def _on_footnote(self, node: Any, level: int) -> None:
        label, *rest = node.children
        self._blocks.add("paragraph", f"[{label.astext()}] " + " ".join(map(inline, rest)))

    _on_citation = _on_footnote

    def _on_docinfo(self, node: Any, level: int) -> None:
        for child in node.children:
            name = type(child).__name__
            if name == "field":
                name, body = child.children[0].astext().lower(), child.children[1].astext()
            else:
                body = child.astext()
            if name == "authors":
                body = ", ".join(author.astext() for author in child.children)
            self.fields.setdefault(_DOCINFO.get(name, name), body)

    def _on_table(self, node: Any, level: int) -> None:
        for child in node.children:
            if type(child).__name__ == "title":
                self._blocks.add("paragraph", inline(child))
        self._blocks.table(table_rows(node))

    def _on_system_message(self, node: Any, level: int) -> None:
        """What docutils objects to, among it directives of other programs: their text is kept."""
        for child in node.children:
            if type(child).__name__ == "literal_block" and self._nesting < _MAX_NESTING:
                self._unknown(child.astext())

    def _unknown(self, source: str) -> None:
        match = _DIRECTIVE.match(source)
        if match is None or match[1].rpartition(":")[2] in _SILENT:
            return
        lines = source.split("\n")[1:]
        while lines and (_OPTION.fullmatch(lines[0]) or not lines[0].strip()):
            lines.pop(0)
        body = _dedent(lines)
        if match[1] in _CODE_DIRECTIVES:
            self._blocks.add("code", body, info=match[2])
            return
        versions = match[1].startswith(("version", "deprecated"))
        self._blocks.add("paragraph", f"{match[1]}: {match[2]}" if versions else match[2])
        if body.strip() and body.strip() != source.strip():
            _Reader(self._blocks, self._nesting + 1).children(_parse(body), 6)


def _in_legend(node: Any) -> bool:
    return type(node.parent).__name__ == "legend"


def _dedent(lines: list[str]) -> str:
    from textwrap import dedent

    return dedent("\n".join(lines))
