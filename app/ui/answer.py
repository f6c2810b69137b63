"""An answer whose sentences, citation numbers, passages and nodes light up together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from nicegui import ui

from app.documents.media import page_word, time_of
from app.ui import parts


def passage_href(citation: dict[str, Any]) -> str | None:
    """Address of the cited passage in its document."""
    base = citation.get("knowledge_base_id")
    if not base or not citation.get("document_id"):
        return None
    path = f"/knowledge/{quote(str(base))}/documents/{quote(str(citation['document_id']))}"
    return f"{path}?chunk={quote(str(citation.get('chunk_id', '')))}"


def place(item: dict[str, Any]) -> str:
    """Where a passage stands: “page 3 · Retrieval › Hybrid search”, “00:12:34”."""
    word = page_word(str(item.get("document_name", "")))
    where = [f"{word} {item['page']}"] if item.get("page") else []
    if time := time_of(item) or time_of(item.get("metadata")):
        where.append(time)
    headings = [str(h) for h in item.get("headings") or ()]
    if headings:
        where.append(" › ".join(headings[-2:]))
    return " · ".join(where)


def _lit(
    element: ui.element, numbers: list[int], nodes: list[str], chunks: list[str]
) -> ui.element:
    """Mark what lights up with these citations, nodes and passages."""
    element.props["data-rl-cites"] = " ".join(str(n) for n in numbers)
    if nodes:
        element.props["data-rl-nodes"] = " ".join(nodes)
    if chunks:
        element.props["data-rl-chunks"] = " ".join(chunks)
    return element


def show(
    answer: dict[str, Any],
    found_by: dict[str, list[str]] | None = None,
    *,
    sources: bool = True,
    on_node: Callable[[str], Any] | None = None,
) -> None:
    """Show an answer; hovering a sentence, a number or a passage lights what belongs to it."""
    found = found_by or {}
    citations = {int(c["number"]): c for c in answer.get("citations") or ()}

    def nodes_of(numbers: list[int]) -> list[str]:
        first = [
            found.get(str(citations[n]["chunk_id"]), [])[:1] for n in numbers if n in citations
        ]
        return sorted({node for nodes in first for node in nodes})

    def chunks_of(numbers: list[int]) -> list[str]:
        return [str(citations[n].get("chunk_id", "")) for n in numbers if n in citations]

    with parts.div("rl-answer").props("data-rl-answer"):
        if answer.get("abstained"):
            parts.badge("No answer in the passages", "warn", "do_not_disturb_on")
        with parts.tag("p", "", "rl-answer-text rl-prose").props("aria-live=polite"):
            sentences = answer.get("sentences") or [{"text": answer.get("text", "")}]
            for sentence in sentences:
                numbers = [int(n) for n in sentence.get("citations") or ()]
                span = ui.element("span").classes("rl-sentence")
                _lit(span, numbers, nodes_of(numbers), chunks_of(numbers))
                with span:
                    parts.tag("span", str(sentence.get("text", "")).strip())
                    for number in numbers:
                        _number(citations.get(number), number, nodes_of([number]))
        if sources and citations:
            with parts.div("rl-sources"):
                for number, citation in sorted(citations.items()):
                    _source(number, citation, nodes_of([number]), on_node)


def _number(citation: dict[str, Any] | None, number: int, nodes: list[str]) -> None:
    href = passage_href(citation) if citation else None
    element = ui.element("a" if href else "span").classes("rl-cite")
    if href:
        element.props["href"] = href
    chunk = str(citation.get("chunk_id") or "") if citation else ""
    _lit(element, [number], nodes, [chunk] if chunk else [])
    with element:
        parts.tag("span", str(number))
        if citation:
            ui.tooltip(f"{citation.get('document_name', '')} {place(citation)}".strip())


def _source(
    number: int,
    citation: dict[str, Any],
    nodes: list[str],
    on_node: Callable[[str], Any] | None,
) -> None:
    href = passage_href(citation)
    element = ui.element("a" if href else "div").classes("rl-source")
    if href:
        element.props["href"] = href
    chunk = str(citation.get("chunk_id") or "") if citation else ""
    _lit(element, [number], nodes, [chunk] if chunk else [])
    with element:
        parts.tag("span", str(number), "rl-rank")
        with parts.div("rl-col rl-grow").style("gap: 2px"):
            with parts.div("rl-row"):
                parts.label(
                    str(citation.get("document_name", "")), "rl-strong rl-small rl-ellipsis"
                )
                parts.label(place(citation), "rl-muted rl-small rl-ellipsis rl-grow")
                if nodes and on_node:
                    button = parts.tag("button", nodes[0], "rl-more rl-mono")
                    button.on("click.stop.prevent", lambda: on_node(nodes[0]))
            parts.label(str(citation.get("quote", "")), "rl-source-quote")
