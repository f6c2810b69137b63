"""Rich text (RTF): paragraphs, headings, lists, tables and properties from its control words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.documents import media
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,9})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)"
)
#: Groups inside groups that are told apart; deeper ones share the state of their parent.
_MAX_GROUPS = 500
#: Destinations whose text is no text of the document.
_IGNORED_LIST = """
    info colortbl datastore themedata colorschememapping latentstyles listtable listoverridetable pict
    object objdata header headerl headerr headerf footer footerl footerr footerf xmlnstbl rsidtbl
    generator fldinst filetbl revtbl mmathPr pgdsctbl bkmkstart bkmkend atnid atnauthor atrfstart
    atrfend atndate annotation nonshppict private shpinst sp sn sv
"""
_IGNORED = frozenset(_IGNORED_LIST.split())
#: Destinations marked as optional whose text is read all the same.
_READ_OPTIONAL = frozenset({"shptxt", "listtext", "pntext", "footnote", "fldrslt", "shppict"})
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ",
    "nestcell": " ", "softline": "\n",
}  # fmt: skip
_SYMBOLS = {b"~": " ", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}
#: Character sets of fonts -> code page.
_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "cp950",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
    204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
_HEADING = re.compile(r"(?:heading|überschrift|titre|título|titolo)\s*(\d)", re.IGNORECASE)
_INFO = {
    "title": "title", "author": "author", "subject": "subject", "keywords": "keywords",
    "doccomm": "description",
}  # fmt: skip
_MOMENTS = {"creatim": "created", "revtim": "modified"}


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read an RTF file; fields are read as what they show, pictures are left out.

    Raises:
        DocumentError: too_large.
    """
    reader = _Reader(Blocks(options.max_chars))
    reader.read(path.read_bytes())
    title = reader.about.pop("title", "")
    return ExtractedDocument(
        media_type=media.RTF,
        title=title,
        metadata=metadata(reader.about),
        blocks=tuple(reader.blocks.items),
    )


@dataclass(slots=True)
class _Group:
    """What holds until a group's end."""

    destination: str = ""
    #: Characters after \\u that stand in for it in older programs.
    fallback: int = 1
    code_page: str = ""
    #: Hidden text and deleted text.
    hidden: bool = False


@dataclass(slots=True)
class _Paragraph:
    """Properties of the paragraph that is being read."""

    level: int | None = None
    in_table: bool = False
    depth: int = 0
    marker: str = ""


@dataclass(slots=True)
class _Reader:
    """Goes over the control words once."""

    blocks: Blocks
    about: dict[str, str] = field(default_factory=dict)
    _group: _Group = field(default_factory=_Group)
    _groups: list[_Group] = field(default_factory=list)
    _too_deep: int = 0
    _page: str = "cp1252"
    _fonts: dict[int, str] = field(default_factory=dict)
    _font: int = 0
    _styles: dict[int, str] = field(default_factory=dict)
    _style: int = 0
    _text: list[str] = field(default_factory=list)
    _bytes: bytearray = field(default_factory=bytearray)
    _side: list[str] = field(default_factory=list)
    _skip: int = 0
    _optional: bool = False
    _paragraph: _Paragraph = field(default_factory=_Paragraph)
    _items: list[str] = field(default_factory=list)
    _cells: list[str] = field(default_factory=list)
    _rows: list[list[str]] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)

    def read(self, data: bytes) -> None:
        """Add the blocks of a file."""
        at = 0
        while match := _TOKEN.search(data, at):
            at = match.end()
            word, number, byte, symbol, brace, text = match.groups()
            if brace:
                self._brace(brace)
            elif byte:
                self._put(bytes.fromhex(byte.decode()))
            elif text:
                self._put(text)
            elif symbol:
                self._on_symbol(symbol)
            elif word == b"bin":
                at += max(0, int(number or 0))
            else:
                self._word(word.decode(), int(number) if number else None)
        self._decode()
        self._end_paragraph()
        self._end_table()
        self._end_list()
        for note in self._notes:
            self.blocks.add("paragraph", note)

    def _brace(self, brace: bytes) -> None:
        self._decode()
        if brace == b"{":
            if len(self._groups) < _MAX_GROUPS:
                self._groups.append(self._group)
                self._group = replace(self._group)
            else:
                self._too_deep += 1
        elif self._too_deep:
            self._too_deep -= 1
        elif self._groups:
            ended, self._group = self._group, self._groups.pop()
            if ended.destination != self._group.destination:
                self._end_destination(ended.destination)
        self._optional = False

    def _end_destination(self, name: str) -> None:
        text = "".join(self._side).strip()
        self._side.clear()
        if name in _INFO:
            self.about.setdefault(_INFO[name], text)
        elif name in _MOMENTS:
            parts = dict(re.findall(r"(yr|mo|dy|hr|min)(\d+)", text))
            year, month, day, hour, minute = (
                int(parts.get(p, 0)) for p in ("yr", "mo", "dy", "hr", "min")
            )
            self.about[_MOMENTS[name]] = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00"
        elif name == "style":
            self._styles[self._style] = text.rstrip("; ")
        elif name in ("listtext", "pntext"):
            self._paragraph.marker = f"{text} " if any(map(str.isalnum, text)) else "- "
        elif name == "footnote":
            self._notes.append(text)

    def _on_symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._optional = True
        elif symbol in (b"\n", b"\r"):
            self._word("par", None)
        else:
            self._add(_SYMBOLS.get(symbol, ""))

    def _word(self, word: str, number: int | None) -> None:
        optional, self._optional = self._optional, False
        if word == "u" and number is not None:
            self._decode()
            self._add(chr(number % 65536))
            self._skip = self._group.fallback
            return
        if word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        elif (handler := _HANDLERS.get(word)) is not None:
            self._decode()
            handler(self, word, number)
        elif word in _IGNORED or (optional and word not in _READ_OPTIONAL):
            self._decode()
            self._group.destination = "ignored"
        elif self._group.destination in _MOMENTS:
            self._side.append(f"{word}{number or 0} ")

    def _put(self, data: bytes) -> None:
        """Take bytes of text in the code page of the font."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._bytes += data

    def _decode(self) -> None:
        self._skip = 0
        if not self._bytes:
            return
        page = self._fonts.get(self._font, "") or self._page
        if not self._wanted():
            self._bytes.clear()
            return
        try:
            text = self._bytes.decode(page, "replace")
        except LookupError:
            text = self._bytes.decode("cp1252", "replace")
        self._bytes.clear()
        self._put_text(text)

    def _add(self, text: str) -> None:
        self._decode()
        if self._wanted():
            self._put_text(text)

    def _wanted(self) -> bool:
        return self._group.destination != "ignored" and not self._group.hidden

    def _put_text(self, text: str) -> None:
        destination = self._group.destination
        if not destination:
            self._text.append(text)
        elif destination not in _MOMENTS:
            self._side.append(text)

    # --- control words ------------------------------------------------------------------------

    def _on_par(self, word: str, number: int | None) -> None:
        if self._group.destination:
            self._side.append("\n")
            return
        if self._paragraph.in_table:
            self._text.append("\n")
        else:
            self._end_paragraph()

    def _on_pard(self, word: str, number: int | None) -> None:
        marker = self._paragraph.marker if not self._paragraph.in_table else ""
        self._paragraph = _Paragraph(marker=marker)

    def _on_cell(self, word: str, number: int | None) -> None:
        self._cells.append(self._taken())
        self._paragraph.marker = ""

    def _on_row(self, word: str, number: int | None) -> None:
        if self._cells:
            self._end_list()
            self._rows.append(self._cells)
            self._cells = []

    def _on_intbl(self, word: str, number: int | None) -> None:
        self._paragraph.in_table = True

    def _on_outline(self, word: str, number: int | None) -> None:
        if number is not None and 0 <= number < 9:
            self._paragraph.level = number + 1

    def _on_depth(self, word: str, number: int | None) -> None:
        self._paragraph.depth = max(0, min(number or 0, 8))

    def _on_style(self, word: str, number: int | None) -> None:
        self._style = number or 0
        if self._group.destination in ("stylesheet", "style"):
            self._group.destination = "style"
        elif match := _HEADING.match(self._styles.get(self._style, "")):
            self._paragraph.level = int(match[1])

    def _on_font(self, word: str, number: int | None) -> None:
        self._font = number or 0

    def _on_charset(self, word: str, number: int | None) -> None:
        if self._group.destination == "fonttbl":
            self._fonts[self._font] = _CHARSETS.get(number or 0, "")

    def _on_code_page(self, word: str, number: int | None) -> None:
        self._page = f"cp{number}" if number not in (None, 0, 10000) else "mac_roman"

    def _on_fallback(self, word: str, number: int | None) -> None:
        self._group.fallback = min(max(number or 0, 0), 16)

    def _on_hidden(self, word: str, number: int | None) -> None:
        self._group.hidden = number != 0

    def _on_destination(self, word: str, number: int | None) -> None:
        self._group.destination = word

    def _taken(self) -> str:
        """Return the text so far, pairs of halves as one character."""
        text = "".join(self._text)
        self._text.clear()
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _end_paragraph(self) -> None:
        text, paragraph = self._taken(), self._paragraph
        if not text.strip():
            return
        self._end_table()
        if paragraph.level is not None:
            self._end_list()
            number = paragraph.marker if paragraph.marker != "- " else ""
            self.blocks.heading(number + text, paragraph.level)
        elif paragraph.marker:
            line = " ".join(text.split())
            self._items.append("  " * paragraph.depth + paragraph.marker + line)
        else:
            self._end_list()
            self.blocks.add("paragraph", text)
        paragraph.marker = ""

    def _end_list(self) -> None:
        self.blocks.add("list", "\n".join(self._items))
        self._items.clear()

    def _end_table(self) -> None:
        if self._cells:
            self._rows.append(self._cells)
            self._cells = []
        self.blocks.table(self._rows)
        self._rows = []


_Handler = Callable[[_Reader, str, "int | None"], None]
_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(("par", "sect", "page"), _Reader._on_par),
    "pard": _Reader._on_pard, "cell": _Reader._on_cell, "row": _Reader._on_row,
    "intbl": _Reader._on_intbl, "outlinelevel": _Reader._on_outline, "ilvl": _Reader._on_depth,
    "s": _Reader._on_style, "f": _Reader._on_font, "fcharset": _Reader._on_charset,
    "ansicpg": _Reader._on_code_page, "mac": _Reader._on_code_page, "uc": _Reader._on_fallback,
    **dict.fromkeys(("v", "deleted"), _Reader._on_hidden),
    **dict.fromkeys(
        ("fonttbl", "stylesheet", "listtext", "pntext", "footnote", *_INFO, *_MOMENTS),
        _Reader._on_destination,
    ),
}  # fmt: skip
