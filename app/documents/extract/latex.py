"""LaTeX: headings, paragraphs, lists, tables, captions, code; formulas as they stand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.extract.builder import Blocks
from app.documents.extract.latex_cursor import TOKEN, Cursor
from app.documents.extract.latex_names import (
    ACCENTS,
    CITES,
    FORMULAS,
    LEVELS,
    LISTS,
    MARKS,
    SIGNS,
    TABLES,
    UNREAD,
    WRAPPERS,
    accented,
)
from app.documents.extract.latex_source import Code, Source, prepare
from app.documents.extract.latex_table import table_rows
from app.documents.extract.metadata import iso_date, metadata
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import clean, one_line

#: Arguments inside arguments; what is deeper is left out.
MAX_DEPTH = 12

#: Options of environments that say where and how, not what.
_LAYOUT = re.compile(r"[!htbpHlrcsmXf]+|.*[=\\].*", re.DOTALL)
_UNITS = re.compile(r"[^\W\d_]+")
_LABEL = re.compile(r"\\label[ \t]*\{[^{}]{0,500}\}")


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read LaTeX; what other files hold that it includes is not there.

    Raises:
        DocumentError: too_large.
    """
    text, encoding = decode(path.read_bytes())
    source = prepare(clean(text))
    begin = source.text.find("\\begin{document}")
    reader = _Reader(source, options.max_chars, _levels(source.text))
    if begin >= 0:
        # What comes before is not printed, but says title and author.
        reader.within().read(0, begin)
    reader.read(max(0, begin), source.ends.get(begin, (len(source.text), 0))[0])
    reader.head(at_start=True)
    return ExtractedDocument(
        media_type=media.LATEX,
        title=one_line(reader.fact("title")),
        metadata=metadata(
            {
                "encoding": encoding,
                "author": reader.fact("author").replace("\n", ", "),
                "created": iso_date(reader.fact("date")),
            }
        ),
        blocks=tuple(reader.blocks.items),
    )


def _levels(text: str) -> dict[str, int]:
    """Return the level of each kind of heading below the title; without chapters none is left out."""
    without = not re.search(r"\\(?:part|chapter)\*?[ \t\[{]", text)
    return {name: max(1, level - without) for name, level in LEVELS.items()}


class _Reader(Cursor):
    """Walks through a source once; arguments are read by readers of their own."""

    def __init__(self, source: Source, max_chars: int, levels: dict[str, int]) -> None:
        super().__init__(source, 0, 0)
        self.blocks = Blocks(max_chars)
        self._max_chars = max_chars
        #: What stands at the top: title, author and so on, as they are printed.
        self.facts: dict[str, list[str]] = {}
        #: Environment -> what is printed before its text.
        self.theorems: dict[str, str] = {"proof": "Proof"}
        self._levels, self._depth = levels, 0
        #: Whether quotes and dashes are meant as they stand.
        self._typewriter = False
        self._words: list[str] = []
        self._notes: list[str] = []
        self._image = False
        #: Of each open list its kind and the number of items.
        self._lists: list[tuple[str, int]] = []
        self._items: list[str] = []
        self._marker = ""
        self._head_given = False

    def read(self, start: int, end: int) -> None:
        """Add the blocks of the source between two places."""
        self.at, self.end = start, end
        text = self.source.text
        while self.at < end:
            token = TOKEN.search(text, self.at, end)
            if token is None:
                self._words.append(text[self.at : end])
                break
            self._words.append(text[self.at : token.start()])
            self.at = token.end()
            self._token(token)
        self._flush()
        self._close_lists()
        self.at = end

    def within(self, source: Source | None = None) -> _Reader:
        """Return a reader that knows what this one does, for a part of the source."""
        inner = _Reader(source or self.source, self._max_chars, {})
        inner.facts, inner.theorems, inner._notes = self.facts, self.theorems, self._notes
        inner._depth, inner._typewriter = self._depth + 1, self._typewriter
        return inner

    def head(self, *, at_start: bool = False) -> None:
        """Add title, author and date, as `\\maketitle` does, unless it was done."""
        if self._head_given:
            return
        self._head_given = True
        before = len(self.blocks.items)
        self.blocks.heading(self.fact("title"), 1)
        for name in self.facts:
            if name != "title":
                self.blocks.add("paragraph", self.fact(name))
        if at_start:
            items = self.blocks.items
            items[:] = items[before:] + items[:before]

    def fact(self, name: str) -> str:
        """Return what stands at the top under a name, on lines."""
        return "\n".join(filter(None, self.facts.get(name, ())))

    def _token(self, token: re.Match[str]) -> None:
        kind = token.lastgroup
        if kind == "gap":
            self._flush()
        elif kind == "code":
            self._code(self.source.code[int(token["code"])])
        elif kind == "math":
            self._dollars(token["math"])
        elif kind == "mark":
            mark = token["mark"]
            literal = self._typewriter and mark[0] in "-`'"
            self._words.append(mark if literal else MARKS[mark])
            if mark == "}" and self.source.text[self.at : self.at + 1] == "{":
                self._words.append(" ")  # arguments of a command that is not known
        elif kind == "sign":
            self._sign(token["sign"])
        else:
            self._command(token["name"], token.start())

    def _sign(self, sign: str) -> None:
        if sign in "([":
            end = self.source.find("\\)" if sign == "(" else "\\]", self.at)
            if end + 2 <= self.end:
                self._formula(self.source.text[self.at : end], shown=sign == "[")
                self.at = end + 2
        elif sign in ACCENTS:
            self._words.append(accented(sign, self._argument(letter=True)))
        else:
            self._words.append(SIGNS.get(sign, ""))
            if sign == "\\":
                self.option()

    def _command(self, name: str, start: int) -> None:
        if (handler := _HANDLERS.get(name)) is not None:
            handler(self, start)
        elif name in SIGNS:
            self._words.append(SIGNS[name])
            if name == "hspace":
                self.skip(1)
        elif name in ACCENTS:
            self._words.append(accented(name, self._argument(letter=True)))
        elif name in self._levels:
            self.option()
            title = self._argument()
            self._flush()
            self._close_lists()
            self.blocks.heading(title.replace("\n", " "), self._levels[name])
        elif name in UNREAD:
            self.skip(UNREAD[name])
        elif CITES.match(name):
            self._cite()
        else:  # the words in its arguments are read, what it does to them is not known
            self.option()

    def _cite(self) -> None:
        options = [option for option in (self.option(), self.option()) if option]
        keys = ", ".join(key.strip() for key in self.raw_argument().split(","))
        self._words.append(f"[{', '.join(filter(None, [keys, *options])).replace('~', ' ')}]")

    def _argument(self, *, letter: bool = False) -> str:
        """Return the words of an argument; without braces (of an accent) the next letter."""
        if group := self.group():
            return self._inside(*group)
        if not letter:
            return ""
        self.at = self.blank(self.at)
        token = TOKEN.match(self.source.text, self.at, self.end)
        if token is not None and token["name"]:
            self.at = token.end()
            return SIGNS.get(token["name"], "")
        found = self.source.text[self.at : min(self.at + 1, self.end)]
        self.at += len(found)
        return found

    def _inside(self, start: int, end: int) -> str:
        """Return the words between two places, lines between its blocks."""
        if self._depth >= MAX_DEPTH:
            return ""
        inner = self.within()
        inner.read(start, end)
        return "\n".join(block.text for block in inner.blocks.items)

    # --- text ---

    def _flush(self) -> None:
        """End the paragraph."""
        text = "\n".join(filter(None, map(one_line, "".join(self._words).split("\x01"))))
        self._words = []
        self._add("image" if self._image else "paragraph", text)
        self._image = False
        if not self._depth:
            for note in self._notes:
                self._add("paragraph", note)
            self._notes.clear()

    def _add(self, kind: Any, text: str) -> None:
        if not text:
            return
        if not self._lists:
            self.blocks.add(kind, text)
            return
        indent = "  " * min(len(self._lists) - 1, MAX_DEPTH)
        self._items.append(indent + (self._marker or "  ") + " ".join(text.split()))
        self._marker = ""

    def _close_lists(self) -> None:
        self.blocks.add("list", "\n".join(self._items))
        self._items = []

    def _code(self, code: Code) -> None:
        if not code.environment:
            self._words.append(code.text)
            return
        self._flush()
        self._close_lists()
        text, info = code.listing()
        self.blocks.add("code", text.strip("\n"), info=info)

    def _dollars(self, mark: str) -> None:
        end = self.source.find(mark, self.at)
        # A formula does not reach over an empty line.
        if end + len(mark) > self.end or self.source.find("\n\n", self.at) < end:
            self._words.append(mark)
            return
        self._formula(self.source.text[self.at : end], shown=len(mark) == 2)
        self.at = end + len(mark)

    def _formula(self, text: str, *, shown: bool) -> None:
        text = one_line(_LABEL.sub("", text))
        if not shown:
            self._words.append(f"${text}$" if text else "")
            return
        self._flush()
        self._add("paragraph", f"$${text}$$" if text else "")

    # --- commands ---

    def _on_begin(self, start: int) -> None:
        name = self.raw_argument()
        plain = name.rstrip("*")
        inside = self.source.ends.get(start)
        if inside is not None and inside[0] > self.end:
            inside = None
        if plain in FORMULAS and inside is not None:
            if plain == "alignat":
                self.skip(1)
            self._formula(self.source.text[self.at : inside[0]], shown=plain != "math")
            self.at = inside[1]
        elif name in TABLES and inside is not None:
            self._table(name, inside)
        elif plain in LISTS or plain == "thebibliography":
            self._open_list(plain)
        else:
            self._environment(plain)

    def _open_list(self, name: str) -> None:
        self._flush()
        if name == "thebibliography":
            self._close_lists()
            self.blocks.heading("References", self._levels.get("section", 1))
        self.skip(WRAPPERS.get(name, 0))
        self._lists.append((name, 0))

    def _environment(self, name: str) -> None:
        if name not in ("math", "document"):
            self._flush()
        if name == "abstract":
            self.blocks.heading("Abstract", self._levels.get("section", 1))
        elif name in self.theorems:
            said = self.option()
            self._words.append(f"{self.theorems[name]}{f' ({said})' if said else ''}. ")
        elif name == "frame":
            self.option()
            if group := self.group():
                self.blocks.heading(self._inside(*group), self._levels.get("frametitle", 1))
        else:
            at = self.at
            if not _LAYOUT.fullmatch(self.option()):
                self.at = at  # it may be text
            self.skip(WRAPPERS.get(name, 0))

    def _on_end(self, start: int) -> None:
        name = self.raw_argument().rstrip("*")
        if name != "document":
            self._flush()
        if (name in LISTS or name == "thebibliography") and self._lists:
            self._lists.pop()
            self._marker = ""
            if not self._lists:
                self._close_lists()

    def _on_item(self, start: int) -> None:
        self._flush()
        label = self.option()
        if not self._lists:
            return
        kind, number = self._lists[-1]
        self._lists[-1] = kind, number + 1
        self._marker = f"{number + 1}. " if kind.endswith(("enumerate", "enum")) else "- "
        if label and kind == "description":
            self._words.append(f"{self._written(label)}: ")
        elif label:
            self._marker = f"{self._written(label)} "

    def _written(self, label: str) -> str:
        """Return the words of an option."""
        inner = self.within(Source(label, self.source.code))
        if self._depth < MAX_DEPTH:
            inner.read(0, len(label))
        return " ".join(block.text for block in inner.blocks.items)

    def _on_bibitem(self, start: int) -> None:
        self._flush()
        self.option()
        self._marker = "- "
        self._words.append(f"[{self.raw_argument()}] ")

    def _on_title(self, start: int) -> None:
        name = TOKEN.match(self.source.text, start)
        before = len(self._notes)
        self.option()
        text = self._argument()
        if name is not None and "\\today" not in self.source.text[start : self.at]:
            self.facts.setdefault(name["name"], []).append(text)
        if notes := self._notes[before:]:
            self.facts.setdefault("thanks", []).extend(notes)
            del self._notes[before:]

    def _on_and(self, start: int) -> None:
        self._words.append("\x01")

    def _on_maketitle(self, start: int) -> None:
        self._flush()
        self.head()

    def _on_note(self, start: int) -> None:
        self.option()
        if note := self._argument():
            self._notes.append(note)

    def _on_caption(self, start: int) -> None:
        self._flush()
        self.option()
        self._words.append(self._argument())
        self._image = True
        self._flush()

    def _on_href(self, start: int) -> None:
        self.skip(1)
        self._words.append(self._argument())

    def _on_url(self, start: int) -> None:
        self._words.append(self.raw_argument().replace("\\", ""))

    def _on_par(self, start: int) -> None:
        self._flush()

    def _on_quantity(self, start: int) -> None:
        self.option()
        self._words.append(f"{self._argument()} ")
        self._on_unit(start)

    def _on_unit(self, start: int) -> None:
        self.option()
        self._words.append(" ".join(_UNITS.findall(self.raw_argument())))  # \kilo\gram

    def _on_typewriter(self, start: int) -> None:
        before, self._typewriter = self._typewriter, True
        self._words.append(self._argument())
        self._typewriter = before

    def _on_newtheorem(self, start: int) -> None:
        name = self.raw_argument()
        self.option()
        self.theorems[name] = self._argument()
        self.option()

    def _table(self, name: str, inside: tuple[int, int]) -> None:
        self._flush()
        self._close_lists()
        self.option()
        for _ in range(2 if name in ("tabular*", "tabularx", "tabulary") else 1):
            self.group()
        rows = table_rows(self.source, self.at, inside[0], self._inside)
        self.at = inside[1]
        if self._depth:  # a table in a cell or a caption
            self._words.append("\x01".join(" ".join(filter(None, row)) for row in rows))
        else:
            self.blocks.table(rows)


_HANDLERS: dict[str, Callable[[_Reader, int], None]] = {
    name: getattr(_Reader, f"_on_{handler}")
    for handler, names in {
        "begin": "begin", "end": "end", "item": "item", "bibitem": "bibitem",
        "title": "title subtitle author affil affiliation institute address date keywords",
        "maketitle": "maketitle", "caption": "caption",
        "note": "footnote thanks footnotetext", "href": "href", "url": "url nolinkurl path",
        "par": "par newpage clearpage", "typewriter": "texttt",
        "quantity": "SI qty", "unit": "si unit",
        "newtheorem": "newtheorem", "and": "and And AND",
    }.items()
    for name in names.split()
}  # fmt: skip
