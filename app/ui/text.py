"""Numbers, sizes and times in words."""

from __future__ import annotations

from datetime import UTC, datetime

from app.services.languages import NAMES


def parse_time(iso: str) -> datetime | None:
    """Read an ISO time; times without a zone are UTC."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def ago(iso: str, now: datetime | None = None) -> str:
    """How long ago, in words: “just now”, “5 min ago”, “yesterday”, “3 Mar 2026”."""
    moment = parse_time(iso)
    if moment is None:
        return iso
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86400:
        return f"{round(seconds / 3600)} h ago"
    days = round(seconds / 86400)
    if days < 14:
        return "yesterday" if days == 1 else f"{days} days ago"
    return f"{moment.day} {moment:%b %Y}"


def size(number: int) -> str:
    """Bytes as kB, MB or GB."""
    if number < 1000:
        return f"{number} B"
    if number < 1_000_000:
        return f"{number / 1000:.0f} kB"
    if number < 1_000_000_000:
        return f"{number / 1_000_000:.1f} MB"
    return f"{number / 1_000_000_000:.1f} GB"


def count(number: int, one: str, many: str | None = None) -> str:
    """“1 chunk”, “12 chunks”, “1.2k chunks”."""
    word = one if number == 1 else (many or one + "s")
    return f"{short(number)} {word}"


def short(number: int) -> str:
    """1234 → 1.2k."""
    if abs(number) < 1000:
        return str(number)
    if abs(number) < 1_000_000:
        return f"{number / 1000:.1f}k".replace(".0k", "k")
    return f"{number / 1_000_000:.1f}M".replace(".0M", "M")


def duration(milliseconds: float | None) -> str:
    """Sensible rounding: “3 ms”, “0.42 s”, “12 s”, “2 min 5 s”."""
    if milliseconds is None:
        return ""
    if milliseconds < 1:
        return "<1 ms"
    if milliseconds < 100:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def score(value: float | None) -> str:
    """Two digits."""
    return "" if value is None else f"{value:.2f}"


def language(code: str | None) -> str:
    """“English” for “en”."""
    return NAMES.get(code or "", code or "")


def words(name: str) -> str:
    """A field or port name as words: `top_k` → “Top k”."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]
