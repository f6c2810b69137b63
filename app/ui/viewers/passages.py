"""Passages as cards: their scores at each stage, how their rank changed, and their page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from app.documents.media import drawable
from app.ui import answer, parts, passage_parts, text
from app.ui.viewers.view import View

#: Passages shown at first, and with every “Show more”.
FIRST, MORE = 10, 40
MAX_BOXES = 80
STAGES = {
    "semantic": "meaning",
    "keyword": "words",
    "hybrid": "both",
    "rerank": "reranked",
    "support": "support",
}


@dataclass(frozen=True)
class Move:
    """How a passage's rank changed; `before` is None where it was not there."""

    before: int | None
    after: int

    @property
    def words(self) -> str:
        """“up 3 from 5”, “down 1 from 2”, “still 1”, “new”."""
        if self.before is None:
            return "new"
        by = self.before - self.after
        if by == 0:
            return f"still {self.after}"
        return f"{'up' if by > 0 else 'down'} {abs(by)} from {self.before}"

    @property
    def sign(self) -> str:
        """▲, ▼, = or ＋."""
        if self.before is None:
            return "+"
        return "▲" if self.before > self.after else "▼" if self.before < self.after else "="

    @property
    def tone(self) -> str:
        """Class of the tone."""
        return {"▲": "rl-ok", "▼": "rl-warn"}.get(self.sign, "rl-muted")


def moves(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Move], list[Mapping[str, Any]]]:
    """Chunk id -> how its rank changed, and the passages that were left out, best first."""
    ranks = {str(c.get("chunk_id")): rank for rank, c in reversed(list(enumerate(before, 1)))}
    found = {
        str(c.get("chunk_id")): Move(ranks.get(str(c.get("chunk_id"))), rank)
        for rank, c in reversed(list(enumerate(after, 1)))
    }
    return found, [c for c in before if str(c.get("chunk_id")) not in found]


def stage_ranks(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Chunk id -> stage -> its rank among these passages by the score of that stage."""
    stages: dict[str, list[tuple[float, str]]] = {}
    for chunk in items:
        for stage, score in dict(chunk.get("scores") or {}).items():
            if isinstance(score, int | float):
                stages.setdefault(str(stage), []).append((score, str(chunk.get("chunk_id"))))
    ranks: dict[str, dict[str, int]] = {}
    for stage, scored in stages.items():
        for rank, (_, chunk_id) in enumerate(sorted(scored, key=lambda s: -s[0]), 1):
            ranks.setdefault(chunk_id, {})[stage] = rank
    return ranks


def chunks(
    items: Sequence[Mapping[str, Any]],
    kb: str | None,
    *,
    limit: int = FIRST,
    view: View | None = None,
    commit: str | None = None,
) -> None:
    """Passages as cards, best first."""
    view = view or View()
    scores = [float(c["score"]) for c in items if isinstance(c.get("score"), int | float)]
    top = max(1.0, *scores) if scores else None
    moved, left_out = moves(view.before, items) if view.before else ({}, [])
    ranks = stage_ranks(items) if len(items) <= 2_000 else {}
    if view.before:
        _compared(view, moved, left_out)
    room = parts.div("rl-col")
    shown = 0

    def add(count: int) -> None:
        nonlocal shown
        with room:
            for rank, chunk in enumerate(items[shown : shown + count], shown + 1):
                chunk_id = str(chunk.get("chunk_id"))
                chunk_card(
                    chunk, rank, kb, top, move=moved.get(chunk_id), ranks=ranks.get(chunk_id),
                    commit=commit, details=True,
                )  # fmt: skip
        shown = min(len(items), shown + count)

    add(limit)
    if shown < len(items):
        more = parts.tag("button", f"Show all {len(items)}", "rl-more")
        if len(items) > limit + MORE:
            more.text = f"Show {MORE} more of {text.short(len(items))}"

        def rest() -> None:
            add(MORE)
            if shown >= len(items):
                more.delete()

        more.on("click", rest)
    if left_out:
        _left_out(left_out, view, kb, top)


def _left_out(
    left_out: Sequence[Mapping[str, Any]], view: View, kb: str | None, top: float | None
) -> None:
    with parts.tag("details", "", "rl-more-panel"):
        parts.tag("summary", f"{text.count(len(left_out), 'passage')} left out")
        with parts.div("rl-col"):
            for chunk in left_out[:FIRST]:
                chunk_card(chunk, list(view.before).index(chunk) + 1, kb, top)
            if len(left_out) > FIRST:
                parts.label(f"and {len(left_out) - FIRST} more", "rl-muted rl-small")


def _compared(view: View, moved: Mapping[str, Move], left_out: Sequence[Any]) -> None:
    up = sum(1 for move in moved.values() if move.sign == "▲")
    down = sum(1 for move in moved.values() if move.sign == "▼")
    new = sum(1 for move in moved.values() if move.before is None)
    words = [f"▲ {up} up"] if up else []
    words += [f"▼ {down} down"] if down else []
    words += [f"{new} new"] if new else []
    words += [f"{len(left_out)} left out"] if left_out else []
    name = f", compared with {view.before_name}" if view.before_name else ""
    parts.label(f"{' · '.join(words) or 'The same order'}{name}", "rl-muted rl-small")


def condensed(content: str) -> str:
    """A passage without empty lines, for a card that shows its beginning."""
    return "\n".join(line for line in content.splitlines() if line.strip())[:900]


def chunk_card(
    chunk: Mapping[str, Any],
    rank: int | None,
    kb: str | None,
    top: float | None = None,
    *,
    move: Move | None = None,
    ranks: Mapping[str, int] | None = None,
    commit: str | None = None,
    details: bool = False,
) -> ui.element:
    """One passage: rank, source, page, score, text; with `details` its scores and its page."""
    href = None
    if kb and chunk.get("document_id"):
        path = f"/knowledge/{quote(str(kb))}/documents/{quote(str(chunk['document_id']))}"
        href = f"{path}?chunk={quote(str(chunk.get('chunk_id', '')))}"
    with parts.div("rl-chunk") as card:
        card.props["data-rl-chunk"] = str(chunk.get("chunk_id", ""))
        with parts.div("rl-row"):
            if rank is not None:
                parts.label(str(rank), "rl-rank")
            if move is not None:
                mark = parts.tag("span", move.sign, f"rl-move {move.tone}")
                mark.props["aria-label"] = move.words
                with mark:
                    ui.tooltip(move.words)
            name = str(chunk.get("document_name") or "")
            with parts.link(href) if href else parts.div() as source:
                source.classes("rl-strong rl-small rl-ellipsis")
                parts.tag("span", name)
            parts.label(answer.place(dict(chunk)), "rl-muted rl-small rl-ellipsis rl-grow")
            with parts.div():
                parts.score(_number(chunk.get("score")), top)
                if chunk.get("scores") and not details:
                    ui.tooltip(
                        " · ".join(
                            f"{k} {text.score(_number(v))}"
                            for k, v in dict(chunk["scores"]).items()
                        )
                    )
        if details:
            _stages(chunk, move, ranks or {})
            _told(chunk)
        _body(chunk)
        if details and kb and href:
            _page(chunk, str(kb), commit)
    return card


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _stages(chunk: Mapping[str, Any], move: Move | None, ranks: Mapping[str, int]) -> None:
    scores = dict(chunk.get("scores") or {})
    if not scores and move is None:
        return
    with parts.div("rl-row rl-wrap rl-stages-of"):
        if move is not None:
            parts.tag("span", move.words, f"rl-small {move.tone}")
        known = [s for s in STAGES if s in scores] + [s for s in scores if s not in STAGES][:6]
        for stage in known:
            value = _number(scores[stage])
            words = f"{STAGES.get(stage, stage)} {text.score(value)}"
            rank = ranks.get(stage)
            tag = parts.tag("span", words, "rl-stage-score")
            with tag:
                place = f", number {rank} by it" if rank else ""
                ui.tooltip(f"Score by {stage}{place}")


def _told(chunk: Mapping[str, Any]) -> None:
    """Its place in the document, its language, what was found wrong with it, what was added."""
    metadata = chunk.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    start, end = chunk.get("start"), chunk.get("end")
    words = []
    # Passages that a search found are read for what they say, not for where they were cut.
    if chunk.get("score") is None and isinstance(start, int) and isinstance(end, int):
        words.append(f"characters {start:,} to {end:,}")
        words.append(text.language(chunk.get("language")))
    findings = [str(f) for f in listed(metadata.get("quality"))[:5]]
    if any(words) or findings:
        with parts.div("rl-row rl-wrap rl-gap-4"):
            parts.label(" · ".join(w for w in words if w), "rl-muted rl-small")
            for finding in findings:
                parts.badge(finding, "warn", "rule")
    for name in ("summary", "questions", "keywords"):
        added = metadata.get(name)
        if added and isinstance(added, str | list):
            said = added if isinstance(added, str) else " · ".join(map(str, added))
            with parts.div("rl-added"):
                parts.tag("span", f"{name.capitalize()}: ", "rl-muted")
                parts.tag("span", said[:600])


def listed(value: Any) -> list[Any]:
    """A list, or nothing."""
    return value if isinstance(value, list) else []


def _body(chunk: Mapping[str, Any]) -> None:
    content = str(chunk.get("content", ""))[:50_000]
    folded = len(content) > 320
    metadata, headings = chunk.get("metadata"), chunk.get("headings")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    # Where a person changed the text, its places in the document say nothing.
    start = None if metadata.get("edited") or metadata.get("source_text") else chunk.get("start")
    found = passage_parts.parts_of(content, metadata, listed(headings), start)
    rich = any(part["kind"] != "text" for part in found)
    style = "rl-chunk-text" + (" is-rich" if rich else "") + (" rl-folded" if folded else "")
    if rich:
        body: ui.element = ui.html(passage_parts.markup(found), sanitize=False).classes(style)
    else:
        body = parts.label(condensed(content) if folded else content, style)
    if not folded:
        return
    more = parts.tag("button", "Show all", "rl-more")

    def unfold() -> None:
        if isinstance(body, TextElement):
            body.text = content
        body.classes(remove="rl-folded")
        more.delete()

    more.on("click", unfold)


def _page(chunk: Mapping[str, Any], kb: str, commit: str | None) -> None:
    """A button that shows the page of a PDF with the passage marked on it."""
    boxes = [b for b in chunk.get("boxes") or () if isinstance(b, Mapping)]
    page = chunk.get("page") or (boxes[0].get("page") if boxes else None)
    if not boxes or not isinstance(page, int) or not drawable(str(chunk.get("document_name"))):
        return
    room = parts.div()
    button = parts.tag("button", f"Show page {page}", "rl-more")

    def show() -> None:
        from app.ui.pages.knowledge.files import page_href

        button.delete()
        with room:
            href = page_href(kb, str(chunk["document_id"]), page, commit or "")
            sheet(href, page, boxes)

    button.on("click", show)


def sheet(href: str, page: int, boxes: Sequence[Mapping[str, Any]]) -> None:
    """The picture of a page with boxes (fractions of its size) marked on it."""
    with parts.div("rl-sheet"):
        image = ui.element("img").props("loading=lazy")
        image.props["src"] = href
        image.props["alt"] = f"Page {page}"
        image.style("min-height: 160px")
        for box in [b for b in boxes if b.get("page") == page][:MAX_BOXES]:
            ends = [_number(box.get(k)) for k in ("x0", "y0", "x1", "y1")]
            if any(end is None for end in ends):
                continue
            x0, y0, x1, y1 = (min(1.0, max(0.0, end or 0.0)) for end in ends)
            parts.div("rl-box rl-on").style(
                f"left:{x0 * 100:.2f}%;top:{y0 * 100:.2f}%;"
                f"width:{(x1 - x0) * 100:.2f}%;height:{(y1 - y0) * 100:.2f}%"
            )
