"""Checks of chunks before they are indexed: what is found is flagged, repaired, or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from app.documents.model import Frozen
from app.documents.plugins import Plugins, first_line

Action = Literal["flag", "drop", "repair"]

#: What runs unless something else is asked for.
DEFAULT_ACTIONS: dict[str, Action] = {
    "min_length": "drop",
    "duplicate": "drop",
    "near_duplicate": "flag",
    "encoding": "repair",
    "boilerplate": "flag",
}


class QualityConfig(Frozen):
    """Which validators run, and what happens to a chunk that one of them finds fault with.

    “flag” reports; “drop” leaves the chunk out; “repair” mends its text, and leaves it out where
    that does not help.
    """

    validators: dict[str, Action] = Field(
        default_factory=lambda: dict(DEFAULT_ACTIONS), description="Validator -> what it leads to."
    )
    min_chunk_length: int = Field(1, ge=0, description="Fewest characters of a chunk.")
    max_chunk_length: int = Field(20_000, ge=1, description="Most characters of a chunk.")
    min_letters: int = Field(3, ge=0, description="Fewest letters and digits of a chunk.")
    languages: tuple[str, ...] = Field(
        (), description="Languages (ISO 639-1) chunks should be in; empty: any."
    )
    max_damage: float = Field(
        0.02, ge=0, le=1, description="Share of damaged characters above which text is unreadable."
    )


@dataclass(frozen=True, slots=True)
class CodeSpan:
    """A code block, or a part of one, inside a passage."""

    start: int
    end: int
    #: The language's name as the source gives it.
    info: str = ""
    #: False where the chunk holds only a part of the block.
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Passage:
    """The text of a chunk, and what is known about it."""

    text: str
    language: str | None = None
    #: Kinds of the blocks it was cut from.
    kinds: tuple[str, ...] = ()
    code: tuple[CodeSpan, ...] = ()


class Finding(Frozen):
    """What a validator found wrong with one chunk, and what came of it."""

    index: int
    validator: str
    reason: str
    action: Action


class QualityReport(Frozen):
    """Which chunks passed (by index), their texts where repaired, and what was found."""

    checked: int
    kept: tuple[int, ...]
    findings: tuple[Finding, ...] = ()
    repaired: dict[int, str] = Field(default_factory=dict)


#: Yields (index, reason) for each passage it finds fault with.
Validator = Callable[[Sequence[Passage], QualityConfig], Iterable[tuple[int, str]]]
#: Returns the mended text and what was mended, None where there is nothing to mend.
Repair = Callable[[Passage, QualityConfig], tuple[str, str] | None]


@dataclass(frozen=True, slots=True)
class Registered:
    """A validator by name, and how it mends what it finds, if it can."""

    validator: Validator
    repair: Repair | None = None
    #: What a list of names without actions means.
    action: Action = "flag"


_validators: Plugins[Registered | Validator] = Plugins("ragloom.validators")


def register_validator(
    name: str, validator: Validator, *, repair: Repair | None = None, action: Action = "flag"
) -> None:
    """Make `validator` available under `name`; `action` is its usual one.

    Raises:
        ValueError: the usual action is “repair” and there is no `repair`.
    """
    if action == "repair" and repair is None:
        raise ValueError(f"the validator “{name}” says it repairs, but has no way to")
    _validators.register(name, Registered(validator, repair, action))


def validator_names() -> list[str]:
    """Return every validator, sorted."""
    _load_builtin()
    return _validators.names()


def repairable() -> list[str]:
    """Return the validators that can mend what they find, sorted."""
    return [name for name in validator_names() if _get(name).repair is not None]


def usual_action(name: str) -> Action:
    """Return what a validator leads to where nothing is said; of an unknown one, “flag”."""
    _load_builtin()
    found = _validators.get(name)
    return found.action if isinstance(found, Registered) else "flag"


def validator_help() -> dict[str, str]:
    """Return what each validator finds, in one line (the first of its docstring), by name."""
    return {name: first_line(_get(name).validator) for name in validator_names()}


def failed_validators() -> dict[str, str]:
    """Return the entry points of validators that could not be loaded, and why."""
    return dict(_validators.failed)


def check(texts: Sequence[str | Passage], config: QualityConfig | None = None) -> QualityReport:
    """Check the chunks of one document, in order. Blocks (CPU).

    Repairs come first, so that the other validators see the mended texts.

    Raises:
        ValueError: a validator is unknown, or is to repair what it cannot.
    """
    config = config or QualityConfig()
    passages = [Passage(text) if isinstance(text, str) else text for text in texts]
    findings: list[Finding] = []
    repaired: dict[int, str] = {}
    for name, action in sorted(config.validators.items(), key=lambda item: item[1] != "repair"):
        entry = _get(name)
        if action == "repair":
            findings += _mend(name, entry, passages, config, repaired)
        # What is still found after mending could not be mended.
        outcome: Action = "drop" if action == "repair" else action
        findings += (
            Finding(index=index, validator=name, reason=reason, action=outcome)
            for index, reason in entry.validator(passages, config)
        )
    gone = {finding.index for finding in findings if finding.action == "drop"}
    return QualityReport(
        checked=len(passages),
        kept=tuple(i for i in range(len(passages)) if i not in gone),
        findings=tuple(sorted(findings, key=lambda f: (f.index, f.validator))),
        repaired={index: text for index, text in repaired.items() if index not in gone},
    )


def summary(
    report: QualityReport, starts: Sequence[int | None], limit: int = 100
) -> dict[str, Any]:
    """Return a report as it is kept with a document.

    `{"checked", "kept", "counts": {validator: n}, "findings": [{"validator", "action", "reason",
    "start", "count"}]}`: findings that say the same are one, with the offset of the first (from
    `starts`, one a chunk); at most `limit` of them.
    """
    counts: dict[str, int] = {}
    grouped: dict[tuple[str, str, str], dict[str, Any]] = {}
    for finding in report.findings:
        counts[finding.validator] = counts.get(finding.validator, 0) + 1
        key = (finding.validator, finding.action, finding.reason)
        entry = grouped.setdefault(
            key,
            {
                "validator": finding.validator,
                "action": finding.action,
                "reason": finding.reason,
                "start": starts[finding.index],
                "count": 0,
            },
        )
        entry["count"] += 1
    return {
        "checked": report.checked,
        "kept": len(report.kept),
        "counts": counts,
        "findings": list(grouped.values())[:limit],
    }


def _mend(
    name: str,
    entry: Registered,
    passages: list[Passage],
    config: QualityConfig,
    repaired: dict[int, str],
) -> Iterable[Finding]:
    if entry.repair is None:
        raise ValueError(f"the validator “{name}” finds what nothing can repair")
    for index, passage in enumerate(passages):
        mended = entry.repair(passage, config)
        if mended is None or not mended[0].strip() or mended[0] == passage.text:
            continue
        # Places of code no longer fit the text.
        passages[index] = replace(passage, text=mended[0], code=())
        repaired[index] = mended[0]
        yield Finding(index=index, validator=name, reason=mended[1], action="repair")


def _get(name: str) -> Registered:
    _load_builtin()
    found = _validators.get(name)
    if found is None:
        known = ", ".join(validator_names())
        raise ValueError(f"unknown validator “{name}”; there are: {known}")
    # An entry point may name the bare function.
    return found if isinstance(found, Registered) else Registered(found)


def _load_builtin() -> None:
    from app.documents.validators import BUILTIN

    builtin: Mapping[str, Registered] = BUILTIN
    for name, entry in builtin.items():
        if not _validators.has(name):
            _validators.register(name, entry)
