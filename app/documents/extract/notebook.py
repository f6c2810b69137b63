"""Jupyter notebooks: text cells as Markdown, code with its language, what it printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.html import add_html
from app.documents.extract.json_data import load
from app.documents.extract.markdown import add_markdown
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.extract.plain import add_plain
from app.documents.model import ExtractedDocument

#: Characters of one output that are kept, and outputs of one cell: logs of trainings are long.
MAX_OUTPUT = 20_000
MAX_OUTPUTS = 50
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the cells in order, with text outputs up to `MAX_OUTPUT` characters each.

    Raises:
        DocumentError: damaged, too_large.
    """
    notebook = _current(load(decode(path.read_bytes())[0]))
    about = _dict(notebook.get("metadata"))
    kernel, info = _dict(about.get("kernelspec")), _dict(about.get("language_info"))
    language = _text(info.get("name") or kernel.get("language")) or "python"
    blocks = Blocks(options.max_chars)
    for cell in notebook.get("cells") or ():
        if isinstance(cell, dict):
            _add_cell(blocks, cell, language)
    authors = about.get("authors")
    names = [_text(_dict(a).get("name")) for a in authors] if isinstance(authors, list) else []
    return ExtractedDocument(
        media_type=media.NOTEBOOK,
        title=_text(about.get("title")),
        metadata=metadata(
            {
                "author": ", ".join(filter(None, names)),
                "created": _text(about.get("date")),
                "keywords": about.get("keywords"),
                "code_language": language,
            }
        ),
        blocks=tuple(blocks.items),
    )


def _current(data: Any) -> dict[str, Any]:
    """Return a notebook in format 4, whatever format it was saved in."""
    if not isinstance(data, dict) or not isinstance(data.get("nbformat"), int):
        raise _no_notebook()
    if data["nbformat"] >= 4:
        return data
    import warnings

    from nbformat.converter import convert
    from nbformat.reader import reads
    from nbformat.warnings import MissingIDFieldWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingIDFieldWarning)
            import json

            return dict(convert(reads(json.dumps(data)), 4))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _no_notebook() from error


def _add_cell(blocks: Blocks, cell: Mapping[str, Any], language: str) -> None:
    source, kind = _text(cell.get("source")), cell.get("cell_type")
    if kind == "markdown":
        add_markdown(blocks, source)
    elif kind == "code":
        magic = re.match(r"%%(\w+)", source)
        blocks.add("code", source, info=_MAGICS.get(magic[1], language) if magic else language)
        outputs = cell.get("outputs")
        for output in outputs[:MAX_OUTPUTS] if isinstance(outputs, list) else ():
            _add_output(blocks, _dict(output))
    else:
        add_plain(blocks, source)


#: First lines of cells in another language -> its name.
_MAGICS = {
    "bash": "bash", "sh": "bash", "html": "html", "javascript": "javascript", "js": "javascript",
    "latex": "latex", "markdown": "markdown", "sql": "sql", "R": "r", "perl": "perl",
    "ruby": "ruby", "writefile": "text", "cython": "cython",
}  # fmt: skip


def _add_output(blocks: Blocks, output: Mapping[str, Any]) -> None:
    """Add what a cell printed or showed; tables are taken from their HTML."""
    kind = output.get("output_type")
    if kind == "stream":
        _add_printed(blocks, _text(output.get("text")))
        return
    if kind == "error":
        _add_printed(blocks, f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}")
        return
    data = _dict(output.get("data"))
    html, markdown = _text(data.get("text/html")), _text(data.get("text/markdown"))
    if "<table" in html and len(html) <= MAX_OUTPUT * 10:
        add_html(blocks, html)
    elif markdown:
        add_markdown(blocks, markdown[:MAX_OUTPUT])
    elif not any(name.startswith("image/") for name in data):
        _add_printed(blocks, _text(data.get("text/plain")))


def _add_printed(blocks: Blocks, text: str) -> None:
    text = _ANSI.sub("", text)
    if len(text) > MAX_OUTPUT:
        text = text[:MAX_OUTPUT].rpartition("\n")[0] or text[:MAX_OUTPUT]
    # A line that a progress bar wrote again and again: what it said last.
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    blocks.add("code", "\n".join(lines), info="text")


def _text(value: Any) -> str:
    """Return a text that may be stored as a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _no_notebook() -> DocumentError:
    return DocumentError(
        "damaged",
        "The file is no Jupyter notebook: its format or its cells are missing.",
        "Open it in Jupyter, save it anew and upload that.",
    )
