"""38 questions over 17 real documents: how often the passage is found and the answer holds the string.

hit@5: one of the first five chunks is from the right file and holds every expected string (any of
them where the question says so). Needs the folder `../shared/data`; prints why where it is absent.
Scanned files are counted apart: they are read by text recognition (`--ocr off`: not at all), which
needs the extra `ocr`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from app.services.container import Services
from app.services.ingestion.uploads import IncomingFile
from app.services.views import SearchConfig
from app.settings import load_settings
from benchmarks.formats import DATA


def plain(text: str) -> str:
    """Lower case, single spaces, no commas in numbers: how expected strings are compared."""
    return re.sub(r"\s+", " ", text.replace(",", "")).lower()


def holds(text: str, question: dict[str, Any]) -> bool:
    """Whether `text` holds the expected strings."""
    found = [plain(answer) in plain(text) for answer in question["answers"]]
    return any(found) if question["match"] == "any" else all(found)


def graph(kb: str, rerank: bool) -> dict[str, Any]:
    """Question → retrieve → (rerank) → generate → answer."""

    def node(name: str, kind: str, **config: Any) -> dict[str, Any]:
        return {
            "id": name,
            "type": kind,
            "version": 1,
            "title": name,
            "config": config,
            "position": [0, 0],
        }

    def edge(source: str, target: str, key: str) -> dict[str, str]:
        return {"source": source, "target": target, "key": key}

    nodes = [
        node("question", "question"),
        node("retrieve", "retrieve", knowledge_base=kb, k=20 if rerank else 8),
        node("generate", "generate"),
        node("answer", "answer_output"),
    ]
    edges = [
        edge("question", "retrieve", "query>query"),
        edge("question", "generate", "query>query"),
        edge("generate", "answer", "answer>answer"),
    ]
    if rerank:
        nodes.append(node("rerank", "rerank", top_k=5))
        edges += [
            edge("question", "rerank", "query>query"),
            edge("retrieve", "rerank", "chunks>chunks"),
            edge("rerank", "generate", "chunks>chunks"),
        ]
    else:
        edges.append(edge("retrieve", "generate", "chunks>chunks"))
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            "format": "ragloom/1",
            "name": "doc-qa",
            "description": "",
            "outputs": {"answer": ["answer", "answer"]},
        },
        "nodes": nodes,
        "edges": edges,
    }


async def measure(ocr: str, verbose: bool) -> None:
    """Ingest, ask, print."""
    questions = [
        json.loads(line) for line in (DATA / "doc-qa" / "qa.jsonl").read_text().splitlines()
    ]
    files = (DATA / "doc-qa" / "files.txt").read_text().split()
    with tempfile.TemporaryDirectory() as folder:
        services = await Services.open(load_settings(environ={}, data=Path(folder), demo=False))
        try:
            await services.ready.wait()
            kb = (await services.knowledge.create("doc-qa")).knowledge_base_id
            started = time.perf_counter()
            job = await services.ingest.submit(
                kb, [IncomingFile(filename=name, path=DATA / name) for name in files], {"ocr": ocr}
            )
            done = await services.ingest.wait(job.job_id)
            took = time.perf_counter() - started
            chunks = sum(r.chunks_created for r in done.results)
            print(f"{len(files)} files, {chunks} chunks in {took:.1f} s, text recognition: {ocr}")
            unread = {r.filename: r.error_message for r in done.results if r.status != "success"}
            for name, why in unread.items():
                print(f"  not read: {name}: {why}")
            await _ask(services, kb, questions, verbose)
        finally:
            await services.close()


async def _ask(services: Services, kb: str, questions: list[dict[str, Any]], verbose: bool) -> None:
    answerable = [q for q in questions if not q["unanswerable"]]
    scanned = {q["_id"] for q in answerable if "scan" in q["kind"] or "ocr" in q["kind"]}
    for search_type in ("semantic", "keyword", "hybrid"):
        hits = Counter()
        for question in answerable:
            found = await services.search.search(
                kb, question["text"], SearchConfig(search_type=search_type, k=5)
            )
            hit = any(
                c.document_name == question["file"] and holds(c.content, question)
                for c in found.results
            )
            hits[question["_id"] in scanned] += hit
        print(
            f"hit@5 {search_type:9} {hits[False]:2} of {len(answerable) - len(scanned)} with a text "
            f"layer, {hits[True]} of {len(scanned)} scanned"
        )
    for rerank in (False, True):
        await _answers(services, graph(kb, rerank), questions, scanned, rerank, verbose)


async def _answers(
    services: Services,
    workflow: dict[str, Any],
    questions: list[dict[str, Any]],
    scanned: set[str],
    rerank: bool,
    verbose: bool,
) -> None:
    count = Counter()
    started = time.perf_counter()
    for question in questions:
        run = await services.runs.start(
            graph=workflow, input_data={"question": question["text"]}, trigger="cli"
        )
        result = await services.runs.wait(run)
        answer = result.outputs.get("answer")
        text = answer["text"] if isinstance(answer, dict) else str(answer)
        abstained = bool(answer.get("abstained")) if isinstance(answer, dict) else False
        kind = (
            "unanswerable"
            if question["unanswerable"]
            else "scanned"
            if question["_id"] in scanned
            else "text"
        )
        right = abstained if question["unanswerable"] else holds(text, question)
        count[kind, right] += 1
        if verbose and not right:
            print(
                f"  [{kind}] {question['text']}\n    expected {question['answers']} in "
                f"{question['file']}\n    got: {text[:300]!r}"
            )
    took = (time.perf_counter() - started) / len(questions)
    name = "with rerank" if rerank else "plain"
    print(
        f"answers {name:11} hold the expected string: {count['text', True]} of "
        f"{count['text', True] + count['text', False]} with a text layer, "
        f"{count['scanned', True]} of {len(scanned)} scanned; abstained rightly: "
        f"{count['unanswerable', True]} of "
        f"{count['unanswerable', True] + count['unanswerable', False]}; {took:.2f} s a question"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", "--verbose", action="store_true", help="print what was missed")
    parser.add_argument(
        "--ocr", choices=["off", "auto"], default="auto", help="text recognition of scanned files"
    )
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"skipped: the shared data is not at {DATA}")
    else:
        asyncio.run(measure(options.ocr, options.verbose))
