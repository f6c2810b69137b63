"""What a run used and saved, in words with units; “—” where it is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.ui import text

UNKNOWN = "—"

Usage = Mapping[str, float]


def add(usages: Iterable[Usage]) -> dict[str, float]:
    """The sum of several, by key; a key is there when any of them has it."""
    total: dict[str, float] = {}
    for usage in usages:
        for name, value in usage.items():
            total[name] = total.get(name, 0.0) + float(value)
    return total


def tokens(usage: Usage) -> str:
    """“1.2k in, 340 out”."""
    if "prompt_tokens" not in usage and "completion_tokens" not in usage:
        return UNKNOWN
    taken, given = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    return f"{text.short(round(taken))} in, {text.short(round(given))} out"


def cost(usage: Usage) -> str:
    """US dollars: “$0.0042”, “$1.20”."""
    value = usage.get("cost_usd")
    return UNKNOWN if value is None else dollars(value)


def dollars(value: float) -> str:
    """An amount in US dollars, with the digits that say something."""
    if value == 0:
        return "$0"
    if value < 0.0001:
        return "<$0.0001"
    return f"${value:.4f}" if value < 0.1 else f"${value:,.2f}"


def calls(usage: Usage) -> str:
    """“3 calls”."""
    value = usage.get("calls")
    return UNKNOWN if value is None else text.count(round(value), "call")


def saved(usage: Usage) -> str:
    """What reused results spared: “1.2 s, 3.4k tokens, $0.0042”; empty where nothing."""
    parts = []
    if usage.get("ms", 0) >= 1:
        parts.append(text.duration(usage["ms"]))
    spared = round(usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0))
    if spared:
        parts.append(f"{text.short(spared)} tokens")
    if usage.get("cost_usd", 0) > 0:
        parts.append(dollars(usage["cost_usd"]))
    return ", ".join(parts)
