"""Subtitles (WebVTT, SubRip): what is said, by whom, in paragraphs; times beside them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.extract.builder import Blocks
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.model import ExtractedDocument
from app.documents.text import clean, one_line

#: Seconds without a word after which a new paragraph begins.
PAUSE = 4.0
#: Characters after which a paragraph ends with its sentence, and after which it ends anyway.
_LONG, _LONGEST = 600, 1_500
_MAX_SPEAKERS = 200

_GAP = re.compile(r"\n[ \t]*\n")
_CLOCK = r"(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}")
#: Blocks of WebVTT that nobody hears or reads.
_ASIDE = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t\n]|$)")
#: Marks of WebVTT and SubRip; what else stands between < and > is text.
_TAG = re.compile(r"<(/?)(v|c|i|b|u|s|ruby|rt|lang|font)((?:[.\s][^<>]*)?)>", re.IGNORECASE)
#: Words that appear one after the other within a cue; where they do, cues repeat the line before.
_WORD_TIME = re.compile(r"<\d[\d:.]*>")
_STYLE = re.compile(r"\{\\[^{}\n]{0,80}\}")
#: Numbers of characters that there are not; converting long ones fails.
_NO_CHARACTER = re.compile(r"&#(?:\d{8,}|[xX][0-9a-fA-F]{7,});?")
_CLASSES = re.compile(r"^(?:\.[^\s.]+)*\s*")
_SENTENCE_END = (".", "!", "?", "…", "。", "！", "？", ".”", "!”", "?”", '."', '!"', '?"')
_DASHES = ("- ", "– ", "— ", "-", "–")


@dataclass(slots=True)
class _Cue:
    start: float
    end: float
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Turn:
    """What one speaker says without a long pause."""

    speaker: str
    start: float
    end: float
    text: str


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the words of subtitles, without the cues' numbers.

    A paragraph ends where the speaker changes, after a pause, and when it grows long; it begins
    with the speaker's name where the file says it, and its `info` is the time at which it begins.

    Raises:
        DocumentError: too_large.
    """
    text, encoding = decode(path.read_bytes())
    text = clean(text).lstrip("\n")
    is_vtt = text.startswith("WEBVTT")
    head: dict[str, str] = {}
    if is_vtt:
        top, _, text = text.partition("\n\n")
        head = _head(top)
        if any(map(_TIMES.match, top.split("\n"))):  # no empty line below the first
            text = f"{top.partition(chr(10))[2]}\n\n{text}"
    cues = list(_cues(text, is_vtt))
    blocks = Blocks(options.max_chars)
    speakers: dict[str, None] = {}
    for turn in _turns(cues):
        said = f"{turn.speaker}: {turn.text}" if turn.speaker else turn.text
        blocks.add("paragraph", said, info=_clock(turn.start))
        if turn.speaker and len(speakers) < _MAX_SPEAKERS:
            speakers[turn.speaker] = None
    facts: dict[str, Any] = {
        "encoding": encoding,
        "declared_language": head.get("language", ""),
        "speakers": list(speakers),
    }
    if cues:
        facts["duration"] = _clock(max(cue.end for cue in cues))
    return ExtractedDocument(
        media_type=media.VTT if is_vtt else media.SRT,
        title=head.get("title", ""),
        metadata=metadata(facts),
        blocks=tuple(blocks.items),
    )


def _head(top: str) -> dict[str, str]:
    """Return what the lines above the first cue say: a title behind the signature, fields."""
    first, *rest = top.split("\n")
    found = {"title": one_line(first.removeprefix("WEBVTT").strip(" \t-–:"))}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon and "-->" not in line:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _cues(text: str, is_vtt: bool) -> Iterator[_Cue]:
    """Yield the cues in the file's order; lines that belong to none go to the one before."""
    cue: _Cue | None = None
    for part in _GAP.split(text):
        lines = part.strip("\n").split("\n")
        timed = {i for i, line in enumerate(lines) if _TIMES.match(line)}
        if not timed and is_vtt and _ASIDE.match(part.lstrip("\n")):
            continue
        for i, line in enumerate(lines):
            if i in timed:
                if cue is not None:
                    yield cue
                cue = _timed(line)
            elif i + 1 in timed and (i == 0 or line.strip().isdigit()):
                continue  # the number or name of the cue below
            elif line.strip():
                cue = cue or _Cue(0.0, 0.0)
                cue.lines.append(line)
    if cue is not None:
        yield cue


def _timed(line: str) -> _Cue:
    match = _TIMES.match(line)
    parts = match.groups() if match else (None,) * 8
    start, end = (
        int(h or 0) * 3600 + int(m or 0) * 60 + int(s or 0) + float(f"0.{fraction or 0}")
        for h, m, s, fraction in (parts[:4], parts[4:])
    )
    return _Cue(start, max(start, end))


def _turns(cues: list[_Cue]) -> Iterator[_Turn]:
    """Yield what is said, cues of one speaker that follow each other together."""
    rolling = any(_WORD_TIME.search(line) for cue in cues for line in cue.lines)
    turn: _Turn | None = None
    last = ""
    for cue in cues:
        for speaker, line in _spoken(cue):
            if rolling and line == last:
                continue
            last = line
            if turn is None or speaker != turn.speaker or _is_over(turn, cue.start):
                if turn is not None:
                    yield turn
                turn = _Turn(speaker, cue.start, cue.end, line)
            else:
                between = "\n" if line.startswith(_DASHES) else " "
                turn.text += between + line
                turn.end = max(turn.end, cue.end)
    if turn is not None:
        yield turn


def _is_over(turn: _Turn, start: float) -> bool:
    if start - turn.end >= PAUSE or len(turn.text) >= _LONGEST:
        return True
    return len(turn.text) >= _LONG and turn.text.endswith(_SENTENCE_END)


def _spoken(cue: _Cue) -> Iterator[tuple[str, str]]:
    """Yield (speaker, words) of each line of a cue; a line with two speakers gives two."""
    speaker = ""
    for raw in cue.lines:
        line = _STYLE.sub("", _WORD_TIME.sub("", raw))
        parts: list[str] = []
        at = 0
        for tag in _TAG.finditer(line):
            parts.append(line[at : tag.start()])
            at = tag.end()
            name, closing = tag[2].lower(), bool(tag[1])
            if name == "rt":  # how the characters before it are read
                parts.append(")" if closing else "(")
            elif name == "v" and not closing:
                if words := _words(parts):
                    yield speaker, words
                parts = []
                # Behind its end a speaker's cue goes on with sounds and the like.
                speaker = _words([_CLASSES.sub("", tag[3], count=1)])
        parts.append(line[at:])
        if words := _words(parts):
            yield speaker, words


def _words(parts: list[str]) -> str:
    return one_line(html.unescape(_NO_CHARACTER.sub("", "".join(parts))))


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
