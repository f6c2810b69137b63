"""Checks of chunks before they are indexed: each finding is kept or drops its chunk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from pydantic import Field

from app.documents.language import detect_language
from app.documents.model import Frozen
from app.documents.plugins import Plugins


class QualityConfig(Frozen):
    """Which validators run, and what happens to a chunk that one of them finds fault with."""

    drop: tuple[str, ...] = Field(
        ("min_length", "duplicate", "encoding"),
        description="Validators whose findings leave the chunk out.",
    )
    flag: tuple[str, ...] = Field(
        ("max_length", "boilerplate", "language"),
        description="Validators whose findings are reported only.",
    )
    min_length: int = Field(3, ge=0, description="Fewest letters and digits of a chunk.")
    max_length: int = Field(20_000, ge=1, description="Most characters of a chunk.")
    languages: tuple[str, ...] = Field(
        (), description="Languages (ISO 639-1) chunks should be in; empty: any."
    )
    max_damage: float = Field(
        0.02, ge=0, le=1, description="Share of damaged characters above which text is unreadable."
    )


class Finding(Frozen):
    """What a validator found wrong with one chunk."""

    index: int
    validator: str
    reason: str
    dropped: bool


class QualityReport(Frozen):
    """Which chunks passed (by index) and what was found."""

    checked: int
    kept: tuple[int, ...]
    findings: tuple[Finding, ...] = ()


#: Yields (index, reason) for each text it finds fault with.
Validator = Callable[[Sequence[str], QualityConfig], Iterable[tuple[int, str]]]

_validators: Plugins[Validator] = Plugins("ragloom.validators")


def register_validator(name: str, validator: Validator) -> None:
    """Make `validator` available under `name`."""
    _validators.register(name, validator)


def validator_names() -> list[str]:
    """Return every validator, sorted."""
    return _validators.names()


def check(texts: Sequence[str], config: QualityConfig | None = None) -> QualityReport:
    """Check the chunks of one document, in order. Blocks (CPU).

    Raises:
        ValueError: a validator is unknown.
    """
    config = config or QualityConfig()
    findings: list[Finding] = []
    for names, dropped in ((config.drop, True), (config.flag, False)):
        for name in names:
            validator = _validators.get(name)
            if validator is None:
                known = ", ".join(validator_names())
                raise ValueError(f"unknown validator “{name}”; there are: {known}")
            findings += (
                Finding(index=index, validator=name, reason=reason, dropped=dropped)
                for index, reason in validator(texts, config)
            )
    gone = {finding.index for finding in findings if finding.dropped}
    return QualityReport(
        checked=len(texts),
        kept=tuple(i for i in range(len(texts)) if i not in gone),
        findings=tuple(sorted(findings, key=lambda f: (f.index, f.validator))),
    )


def min_length(texts: Sequence[str], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks with too few letters and digits to say anything."""
    for i, text in enumerate(texts):
        count = sum(map(str.isalnum, text))
        if count < config.min_length:
            yield i, f"{count} letters and digits, fewer than {config.min_length}"


def max_length(texts: Sequence[str], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that are too long."""
    for i, text in enumerate(texts):
        if len(text) > config.max_length:
            yield i, f"{len(text):,} characters, more than {config.max_length:,}"


def duplicate(texts: Sequence[str], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that say what an earlier one says, white space, case and marks aside."""
    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        key = "".join(filter(str.isalnum, text.casefold())) or text
        if first.setdefault(key, i) != i:
            yield i, f"same text as chunk {first[key] + 1}"


#: UTF-8 read as Windows-1252 ("Ã©", "â€™"), characters of fonts without a map, pdfminer's "(cid:7)".
_DAMAGE = re.compile(r"\ufffd|[ÃÂ][\x80-\xbf]|â€[\x80-\xbf™œ“”˜¦]|[\ue000-\uf8ff]|\(cid:\d+\)")


def encoding(texts: Sequence[str], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks whose characters were damaged on the way."""
    for i, text in enumerate(texts):
        damaged = sum(len(match) for match in _DAMAGE.findall(text))
        if damaged > config.max_damage * len(text):
            yield i, f"{damaged} of {len(text)} characters are damaged"


_BOILERPLATE = re.compile(
    r"all rights reserved|cookie (?:policy|settings|preferences)|privacy policy|terms of (?:use|service)"
    r"|subscribe to our|sign in|log in|skip to (?:main )?content|jump to content|follow us on"
    r"|this page (?:was )?intentionally (?:left )?blank|copyright ©|© ?\d{4}",
    re.IGNORECASE,
)


def boilerplate(texts: Sequence[str], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that look like menus or legal lines: phrases of those, or rows of short lines."""
    for i, text in enumerate(texts):
        phrases = {match.casefold() for match in _BOILERPLATE.findall(text)}
        if len(phrases) >= 2 or (phrases and len(text) < 200):
            yield i, f"reads like a notice or menu ({', '.join(sorted(phrases))})"
            continue
        lines = [line for line in text.split("\n") if line.strip()]
        short = sum(len(line.split()) <= 3 for line in lines)
        if len(lines) >= 12 and short > 0.9 * len(lines) and "|" not in text:
            yield i, f"{short} of {len(lines)} lines have three words or fewer, as in a menu"


def language(texts: Sequence[str], config: QualityConfig) -> Iterable[tuple[int, str]]:
    """Find chunks that are surely in a language other than those asked for."""
    if not config.languages:
        return
    for i, text in enumerate(texts):
        found = detect_language(text)
        if found is not None and found not in config.languages:
            yield i, f"language {found}, not {' or '.join(config.languages)}"


for _validator in (min_length, max_length, duplicate, encoding, boilerplate, language):
    register_validator(_validator.__name__, _validator)
