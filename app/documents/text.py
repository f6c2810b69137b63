"""Plain-text helpers: cleaning, and sentences with exact offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

# Control and format characters without a reading: C0/C1 but tab and newline, soft hyphen, byte
# order mark, non-characters, lone surrogates.
_UNREADABLE = re.compile(
    "[\x00-\x08\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff]"
)
_LINE_ENDS = re.compile(r"\r\n|[\r\x0b\x85\u2028\u2029]")
_EMPTY_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SPACES = re.compile(r"[ \t\u00a0\u2000-\u200a\u202f\u205f\u3000]+")


def clean(text: str) -> str:
    """Return `text` with "\\n" line ends and without characters that cannot be read."""
    return _UNREADABLE.sub("", _LINE_ENDS.sub("\n", text))


def clean_block(text: str) -> str:
    """Return the text of a block: clean, trimmed, with no empty line inside."""
    return _EMPTY_LINES.sub("\n", clean(text)).strip()


def one_line(text: str) -> str:
    """Return `text` on one line, runs of white space as one space."""
    return " ".join(clean(text).split())


def squeeze(text: str) -> str:
    """Return `text` with runs of spaces as one space and trimmed lines; line ends stay."""
    return "\n".join(_SPACES.sub(" ", line).strip() for line in clean(text).split("\n"))


# --- sentences --------------------------------------------------------------------------------

# Words whose full stop does not end a sentence, lower case, without the stop.
_ABBREVIATION_LIST = """
    mr mrs ms dr prof sr jr st mt ft hon gen col capt lt sgt gov sen rep pres supt
    vs etc al cf eg ie viz ca approx est resp incl excl ed eds vol vols no nos nr p pp par para sec
    fig figs eq eqs ch chap art ref refs tab app dept univ inst assn bros corp co inc ltd ver rev
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun
    min max avg tel ext
    bzw usw ggf sog vgl evtl inkl zzgl abs str hr fr dipl ing
    m mme mlle bd av env sra srta dra ud uds pág núm
"""
ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())
#: Of those, the ones that also end sentences: a capital after them decides for a new sentence.
_OFTEN_LAST = frozenset({"etc", "co", "inc", "ltd", "corp", "al", "jr", "sr", "usw", "min", "max"})

_CJK_END = "。！？｡"
_CLOSERS = "\"'”’»)]}」』）】》"
# A candidate end: CJK end marks, or Western ones before white space; closers belong to the
# sentence. An empty line, and the line end before a list marker, always end one.
_END = re.compile(
    rf"(?P<cjk>[{_CJK_END}]+[{re.escape(_CLOSERS)}]*)"
    rf"|(?P<mark>[.!?…؟۔।]+)[{re.escape(_CLOSERS)}]*(?=\s)"
    r"|(?P<gap>\n[ \t]*\n|\n(?=[ \t]*(?:[-*•▪◦–] |\d{1,3}[.)] |\|)))"
)
_LAST_WORD = re.compile(r"(?:\w\.)*[\w'’-]+$")
_INITIALS = re.compile(r"^(?:\w\.)*\w$")


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Return the spans of the sentences in `text[start:end]`, in order, white space trimmed.

    Every character that is not white space is in exactly one span. Abbreviations, initials,
    decimals and ordinals do not end a sentence; CJK end marks do without a space after them; so do
    empty lines and the line ends before list items and table rows.
    """
    end = len(text) if end is None else end
    spans: list[Span] = []
    at = start
    for cut in _cuts(text, start, end):
        _append_trimmed(spans, text, at, cut)
        at = cut
    _append_trimmed(spans, text, at, end)
    return spans


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    for match in _END.finditer(text, start, end):
        if match["mark"] and not _ends_sentence(text, start, match, end):
            continue
        yield match.end()


def _ends_sentence(text: str, start: int, match: re.Match[str], end: int) -> bool:
    follower = text[match.end() : min(end, match.end() + 40)].lstrip().lstrip("\"'“‘«([")[:1]
    if match["mark"] != ".":
        # "Really?" he asked — goes on in lower case after a quote.
        return not (follower.islower() and match.end() > match.start() + 1)
    if not follower:
        return True
    word = _LAST_WORD.search(text[max(start, match.start() - 40) : match.start()])
    last = word.group() if word else ""
    if last.lower() in ABBREVIATIONS:
        return last.lower() in _OFTEN_LAST and follower.isupper()
    if _INITIALS.match(last) and not last.isdigit() and last != "I":
        # "J. Smith", "e.g. this", "the U.S. army"; but "vitamin C. The" and "plan B. It" are rare.
        return False
    if last.isdigit() and len(last) <= 2 and _line_begins(text, start, match.start() - len(last)):
        return False  # "1. First item"
    return not follower.islower()


def _line_begins(text: str, start: int, at: int) -> bool:
    line = text[max(start, text.rfind("\n", 0, at) + 1) : at]
    return not line.strip()


def _append_trimmed(spans: list[Span], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        offset = start + len(piece) - len(piece.lstrip())
        spans.append((offset, offset + len(stripped)))
