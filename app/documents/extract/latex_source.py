"""LaTeX source made ready for reading: comments out, verbatim text set aside, macros expanded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial

#: Environments whose content is code, and those whose content nobody reads.
CODE = ("verbatim", "verbatim*", "Verbatim", "BVerbatim", "alltt", "lstlisting", "minted")
_UNREAD = ("comment", "filecontents", "filecontents*", "tikzpicture", "pgfpicture", "pspicture")
#: How often macros in macros are expanded, and how far a text may grow by that.
_PASSES = 5
_GROWTH = 2_000_000
#: Longest body and argument of a macro.
_ARGUMENT = 5_000

_SET_ASIDE = re.compile(
    # A comment takes the end of its line with it, and the indent of the next, but no empty line.
    r"(?P<comment>%[^\n]*(?:\n[ \t]*(?![ \t\n]))?)"
    rf"|\\begin\{{(?P<env>{'|'.join(map(re.escape, CODE + _UNREAD))})\}}"
    r"|\\(?:verb\*?|lstinline)(?P<quote>[^\sA-Za-z0-9*{\[])(?P<verb>[^\n]{0,500}?)(?P=quote)"
    # Addresses hold signs of per cent.
    r"|\\(?:url|href|nolinkurl|path)[ \t]*\{[^{}\n]{0,2000}\}"
    r"|(?P<iffalse>\\iffalse(?![A-Za-z]))"
    r"|\\.",
    re.DOTALL,
)
_DEFINITION = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand|DeclareRobustCommand)\*?[ \t]*"
    r"(?:\{[ \t]*\\(?P<braced>[A-Za-z]+)[ \t]*\}|\\(?P<bare>[A-Za-z]+))[ \t]*+"
    r"(?:\[(?P<count>\d)\][ \t]*+)?(?:\[(?P<default>[^\[\]{}\n]{0,200})\])?\s{0,9}(?=\{)"
    r"|\\def[ \t]*\\(?P<defined>[A-Za-z]+)(?P<parameters>(?:\#\d){0,9})[ \t]*(?=\{)"
    r"|\\DeclareMathOperator\*?[ \t]*\{[ \t]*\\(?P<operator>[A-Za-z]+)[ \t]*\}[ \t]*(?=\{)"
)
_COMMAND = re.compile(r"\\(?:([A-Za-z]+)|.)", re.DOTALL)
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_ENVIRONMENTS = re.compile(r"\\(begin|end)[ \t]*\{([A-Za-z]{1,40}\*?)\}|\\.", re.DOTALL)
_ENDS_IN_COMMAND = re.compile(r"\\[A-Za-z]+\Z")
_LANGUAGE = re.compile(r"language\s*=\s*\{?(?:\[[^\]]*\])?([\w+#-]{1,40})")
_CODE_OPTIONS = re.compile(r"[ \t]*\[([^\]]{0,2000})\]")
_MINTED = re.compile(r"\s*(?:\[[^\]\n]*\])?\{([\w+#-]{1,40})\}")
_PARAMETER = re.compile(r"#(\d)")


@dataclass(slots=True)
class Code:
    """Text that stands as it is: a block of an environment, or words within a line."""

    text: str
    environment: str = ""

    def listing(self) -> tuple[str, str]:
        """Return the text without the options before it, and the language that they name."""
        if self.environment == "minted":
            match = _MINTED.match(self.text)
            return (self.text[match.end() :], match[1]) if match else (self.text, "")
        match = _CODE_OPTIONS.match(self.text)
        if match is None:
            return self.text, ""
        known = _LANGUAGE.search(match[1])
        return self.text[match.end() :], known[1].lower() if known else ""


@dataclass(slots=True)
class _Macro:
    body: str
    arguments: int = 0
    default: str | None = None


@dataclass(slots=True)
class Source:
    """LaTeX without comments; where brackets and environments end is known."""

    text: str
    #: What `\\x00number\\x00` in the text stands for.
    code: list[Code] = field(default_factory=list)
    #: Place of an opening brace -> place of its closing one.
    braces: dict[int, int] = field(init=False)
    #: Place of a `\\begin` -> where its `\\end` begins and ends.
    ends: dict[int, tuple[int, int]] = field(init=False)
    #: Mark -> from where it was looked for, and where it was found.
    _found: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.braces, self.ends = _braces(self.text), {}
        begun: dict[str, list[int]] = {}
        for match in _ENVIRONMENTS.finditer(self.text):
            if match[1] == "begin":
                begun.setdefault(match[2], []).append(match.start())
            elif match[1] == "end" and begun.get(match[2]):
                self.ends[begun[match[2]].pop()] = match.span()

    def find(self, mark: str, start: int) -> int:
        """Return the next place of a mark that no backslash escapes, else the end of the text.

        What lies between a place and the mark found from there is not searched again.
        """
        since, found = self._found.get(mark, (0, -1))
        if not since <= start <= found:
            found = self.text.find(mark, start)
            while found >= 0 and _is_escaped(self.text, found):
                found = self.text.find(mark, found + 1)
            found = found if found >= 0 else len(self.text)
            self._found[mark] = start, found
        return found


def prepare(text: str) -> Source:
    """Return a file's text as a source that can be read in one go."""
    code: list[Code] = []
    text = _set_aside(text, code)
    text, macros = _definitions(text)
    for _ in range(_PASSES if macros else 0):
        expanded = _expanded(text, macros)
        if expanded == text or len(expanded) > len(text) + _GROWTH:
            break
        text = expanded
    return Source(text, code)


def _set_aside(text: str, code: list[Code]) -> str:
    """Return a text without what nobody reads, and with marks where its code was."""
    parts: list[str] = []
    without_end: set[str] = set()
    at = 0
    while match := _SET_ASIDE.search(text, at):
        parts.append(text[at : match.start()])
        at = match.end()
        found: Code | None = None
        if match["verb"] is not None:
            found = Code(match["verb"])
        elif end := "\\fi" if match["iffalse"] else match["env"] and f"\\end{{{match['env']}}}":
            until = -1 if end in without_end else text.find(end, at)
            if until < 0:  # looked for once only
                without_end.add(end)
                continue
            if match["env"] in CODE:
                found = Code(text[at:until], match["env"])
            at = until + len(end)
        elif match["comment"] is None:
            parts.append(match[0])
        if found is not None:
            code.append(found)
            parts.append(f"\x00{len(code) - 1}\x00")
    parts.append(text[at:])
    return "".join(parts)


def _definitions(text: str) -> tuple[str, dict[str, _Macro]]:
    """Return a text without the definitions of macros, and the macros."""
    macros: dict[str, _Macro] = {}
    parts: list[str] = []
    at, braces = 0, _braces(text)
    while match := _DEFINITION.search(text, at):
        parts.append(text[at : match.start()])
        end = _closing(braces, match.end())
        at = match.end() if end < 0 else end + 1
        if end < 0:
            continue
        body = text[match.end() + 1 : end]
        name = match["braced"] or match["bare"] or match["defined"] or match["operator"]
        if match["operator"]:
            macros[name] = _Macro(f"\\operatorname{{{body}}}")
        elif match["defined"]:
            macros[name] = _Macro(body, len(match["parameters"] or "") // 2)
        else:
            macros[name] = _Macro(body, int(match["count"] or 0), match["default"])
    parts.append(text[at:])
    return "".join(parts), macros


def _expanded(text: str, macros: dict[str, _Macro]) -> str:
    """Return a text with its macros replaced once, as far as it may grow."""
    parts: list[str] = []
    at, room, braces = 0, _GROWTH, _braces(text)
    while match := _COMMAND.search(text, at):
        parts.append(text[at : match.start()])
        at = match.end()
        macro = macros.get(match[1] or "")
        if macro is None:
            parts.append(match[0])
            continue
        arguments, end = _arguments(text, at, macro, braces)
        body = _PARAMETER.sub(partial(_argument, arguments), macro.body)
        # A long body of empty parameters costs time as well.
        room -= max(len(body), len(macro.body))
        if room < 0:
            parts.append(match[0])
            break
        # A command at its end must not run into the letter that follows.
        parts.append(f"{body}{{}}" if _ENDS_IN_COMMAND.search(body[-60:]) else body)
        at = end
    parts.append(text[at:])
    return "".join(parts)


def _argument(arguments: list[str], parameter: re.Match[str]) -> str:
    number = int(parameter[1])
    return arguments[number - 1] if 0 < number <= len(arguments) else ""


def _arguments(text: str, at: int, macro: _Macro, braces: dict[int, int]) -> tuple[list[str], int]:
    found: list[str] = []
    if macro.default is not None:
        end = text.find("]", at, at + 500) if text[at : at + 1] == "[" else -1
        found.append(text[at + 1 : end] if end >= 0 else macro.default)
        at = end + 1 if end >= 0 else at
    while len(found) < macro.arguments:
        start = at
        while text[start : start + 1] in (" ", "\t", "\n"):
            start += 1
        if text[start : start + 1] == "{" and (end := _closing(braces, start)) >= 0:
            found.append(text[start + 1 : end])
            at = end + 1
        else:
            found.append(text[start : start + 1])
            at = min(start + 1, len(text))
    return found, at


def _closing(braces: dict[int, int], start: int) -> int:
    """Return the place of the brace that closes the one at `start`, -1 where it is far away."""
    end = braces.get(start, -1)
    return end if end - start < _ARGUMENT else -1


def _braces(text: str) -> dict[int, int]:
    """Return the place of each opening brace -> that of its closing one."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACES.finditer(text):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            found[opened.pop()] = match.start()
    return found


def _is_escaped(text: str, at: int) -> bool:
    """Return whether the backslashes before a place are odd in number: two are a line break."""
    first = at
    while first and text[first - 1] == "\\":
        first -= 1
    return (at - first) % 2 == 1
