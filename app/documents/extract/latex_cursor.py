"""A place in LaTeX source, and what is passed over from there: options, arguments."""

from __future__ import annotations

import re

from app.documents.extract.latex_source import Source
from app.documents.text import one_line

#: Characters in which the end of an option is looked for.
_MAX_OPTION = 500

TOKEN = re.compile(
    r"(?P<gap>\n[ \t]*\n\s*)"
    r"|\x00(?P<code>\d+)\x00"
    # \\item<1-> of slides: when it is shown.
    r"|\\(?P<name>[A-Za-z@]+)\*?(?:<[\d,+ -]{1,20}>)?[ \t]*(?:\n(?![ \t]*\n))?"
    r"|\\(?P<sign>.)"
    r"|(?P<math>\$\$?)"
    r"|(?P<mark>[{}~&]|---?|``|''|`)",
    re.DOTALL,
)


class Cursor:
    """A place in a source, and the end of what is read of it."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source, self.at, self.end = source, start, end

    def option(self) -> str:
        """Pass over what stands in square brackets here, if anything; return it."""
        text = self.source.text
        at = self.blank(self.at)
        if at >= self.end or text[at] != "[":
            return ""
        end = at + 1
        while end < min(self.end, at + _MAX_OPTION) and text[end] != "]":
            end = self.source.braces.get(end, end) + 1
        if text[end : end + 1] != "]" or end >= self.end:
            return ""
        self.at = end + 1
        return one_line(text[at + 1 : end])

    def group(self) -> tuple[int, int] | None:
        """Pass over a group in braces here; return where its content is."""
        at = self.blank(self.at)
        end = self.source.braces.get(at)
        if end is None or end >= self.end:
            return None
        self.at = end + 1
        return at + 1, end

    def blank(self, at: int) -> int:
        """Return the place behind blanks and at most one end of a line."""
        text, newline = self.source.text, False
        while at < self.end and (text[at] in " \t" or (text[at] == "\n" and not newline)):
            newline = newline or text[at] == "\n"
            at += 1
        return at

    def skip(self, count: int) -> None:
        """Pass over so many groups, and the options before, between and behind them."""
        self.option()
        for _ in range(count):
            if self.group() is None:
                return
            self.option()

    def raw_argument(self) -> str:
        """Pass over a group; return its source on one line."""
        group = self.group()
        return one_line(self.source.text[slice(*group)]) if group else ""
