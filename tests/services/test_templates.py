"""Every template that comes with the product, run on the demonstration's documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.demo import KNOWLEDGE_BASE, _references
from app.services.ingestion.uploads import IncomingFile
from app.services.workflows import templates
from app.settings import load_settings

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "app" / "demo" / "documents"
ALL = [template.id for template in templates.templates()]
#: Those that reach for something outside this machine are checked, not run.
RUN = [template.id for template in templates.templates() if not template.needs]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    folder = tmp_path_factory.mktemp("templates")
    settings = load_settings(environ={}, data=folder / "data", demo=False, port=0)
    services = await Services.open(settings, background=False)
    try:
        kb = await services.knowledge.create(KNOWLEDGE_BASE, "")
        names = ("getting-started.md", "faq.html", "node-guide.docx")
        files = [IncomingFile(filename=n, data=(DEMO / n).read_bytes()) for n in names]
        job = await services.ingest.submit(kb.knowledge_base_id, files, None, author="test")
        await services.ingest.wait(job.job_id, timeout_s=100)
        yield services
    finally:
        await services.close()


async def given(services: Services, template: templates.Template) -> dict[str, Any]:
    """The sample input, and files for those that ask for some."""
    data = dict(template.sample)
    if not template.files:
        return data
    made = [
        IncomingFile(filename="ada.txt", data=b"Name: Ada\nEmail: ada@example.com\nTotal: 12.5\n"),
        IncomingFile(filename="begin.md", data=(DEMO / "getting-started.md").read_bytes()),
    ]
    first, second = await _references(services, made)
    return {**data, "file": second, "files": [first, second], "first": first, "second": second}


async def run(services: Services, template_id: str, **changes: Any) -> dict[str, Any]:
    """The outputs of a template's run over the knowledge base; approvals are given."""
    template = templates.get(template_id)
    view = await services.workflows.create(templates.copy_of(template, [KNOWLEDGE_BASE]))
    data = {**await given(services, template), **changes}
    run_id = await services.runs.start(workflow_id=view.workflow_id, input_data=data)
    ended = await services.runs.wait(run_id, 100, or_asked=True)
    for step in ended.steps:
        if ended.status == "waiting" and step.status == "waiting":
            decision = {"approved": True, "comment": "fine", "by": "test"}
            await services.runs.decide(run_id, step.node_id, decision)
            ended = await services.runs.wait(run_id, 100)
    assert ended.status == "completed", ended.error
    return dict(ended.outputs)


def table(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(value["columns"], row, strict=True)) for row in value["rows"]]


async def test_there_are_enough_and_each_says_what_it_is() -> None:
    assert len(ALL) >= 14
    assert templates.templates()[0].id == templates.FIRST
    for template in templates.templates():
        assert template.name
        assert template.description.endswith(".")
        assert template.tags
        assert template.about(), template.id
        (note,) = template.graph["graph"]["notes"]
        assert note["text"].startswith(f"**{template.name}**")
        assert template.sample or template.files


@pytest.mark.parametrize("template_id", ALL)
async def test_every_template_is_a_workflow_without_problems(
    house: Services, template_id: str
) -> None:
    graph = templates.copy_of(templates.get(template_id), [KNOWLEDGE_BASE])
    assert "template" not in graph["graph"]
    problems = await house.workflows.validate(graph)
    # The host of the web service is not among those that may be asked, and it says so.
    allowed = {"host_not_allowed"} if template_id == "enrich-over-http" else set()
    assert {problem.code for problem in problems} <= allowed, problems


@pytest.mark.parametrize("template_id", [t for t in RUN if "answer" in (
    templates.get(t).graph["graph"]["outputs"])])  # fmt: skip
async def test_templates_that_answer_do_so_with_citations(
    house: Services, template_id: str
) -> None:
    outputs = await run(house, template_id)
    answer = outputs["answer"]
    assert not answer["abstained"], answer
    assert answer["citations"]
    assert answer["text"]
    if "comment" in outputs:
        assert outputs["comment"]["text"] == "fine"


async def test_a_summary_has_a_point_for_each_section(house: Services) -> None:
    outputs = await run(house, "summarise-document")
    lines = outputs["summary"]["text"].splitlines()
    assert lines
    assert all(line.startswith("- ") and len(line) > 10 for line in lines)


async def test_documents_become_rows(house: Services) -> None:
    outputs = await run(house, "documents-to-table")
    rows = table(outputs["table"])
    assert len(rows) == 2
    assert rows[0]["email"] == "ada@example.com"
    assert rows[0]["total"] == 12.5
    # A document without any of the fields is a row all the same.
    assert [row["document"] for row in rows] == ["ada.txt", "begin.md"]


async def test_two_documents_stand_side_by_side(house: Services) -> None:
    text = (await run(house, "compare-documents"))["comparison"]["text"]
    assert "**First document:**" in text
    assert "**Second document:**" in text


async def test_questions_become_a_page_and_a_table(house: Services) -> None:
    page = (await run(house, "faq-builder"))["page"]["text"]
    assert page.startswith("# Questions and answers")
    assert page.count("## ") == 3
    assert "*From " in page
    rows = table((await run(house, "batch-questions"))["answers"])
    assert next(row["question"] for row in rows) == "What is a knowledge base?"
    assert all(row["answered"] and row["source"] for row in rows[:2])


async def test_an_evaluation_tells_what_the_documents_do_not_answer(house: Services) -> None:
    outputs = await run(house, "evaluate-answers")
    rows = table(outputs["answers"])
    assert [row["passed"] for row in rows][-1] is False
    assert outputs["passed"]["value"] == sum(row["passed"] for row in rows) >= 1


async def test_another_language_takes_its_own_way(house: Services) -> None:
    question = "Was ist eine Wissensdatenbank, und wie kommen Dateien hinein?"
    template = templates.get("by-language")
    view = await house.workflows.create(templates.copy_of(template, [KNOWLEDGE_BASE]))
    run_id = await house.runs.start(workflow_id=view.workflow_id, input_data={"question": question})
    ended = await house.runs.wait(run_id, 100)
    ran = {step.node_id: step.status for step in ended.steps}
    assert (ran["search_other"], ran["search_en"], ran["rerank"]) == (
        "completed", "skipped", "skipped",
    )  # fmt: skip
    assert ended.status == "completed"


async def test_small_talk_is_turned_away(house: Services) -> None:
    outputs = await run(house, "only-what-belongs-here", question="Hi, how are you doing?")
    assert "our documents" in outputs["turned_away"]["text"]
    assert outputs["answer"] is None


async def test_files_fill_a_knowledge_base(house: Services) -> None:
    kb = await house.knowledge.create("Empty shelf", "")
    template = templates.get("fill-knowledge-base")
    view = await house.workflows.create(templates.copy_of(template, [kb.knowledge_base_id]))
    run_id = await house.runs.start(
        workflow_id=view.workflow_id, input_data=await given(house, template)
    )
    ended = await house.runs.wait(run_id, 100)
    assert ended.status == "completed", ended.error
    assert len(ended.outputs["report"]["rows"]) == 2
    assert (await house.knowledge.get(kb.knowledge_base_id)).document_count == 2


async def test_every_template_that_can_run_here_was_run() -> None:
    answers = {t for t in RUN if "answer" in templates.get(t).graph["graph"]["outputs"]}
    others = {
        "summarise-document", "documents-to-table", "compare-documents", "faq-builder",
        "batch-questions", "evaluate-answers",
    }  # fmt: skip
    # Those that fill a knowledge base are run beside this file.
    filling = {t.id for t in templates.templates() if "ingestion" in t.tags}
    assert answers | others | filling == set(RUN)
    assert set(ALL) - set(RUN) == {"enrich-over-http"}


async def test_knowledge_bases_go_where_they_are_asked_for() -> None:
    template = templates.get("two-knowledge-bases")
    graph = templates.copy_of(template, ["one", "two"], name="Mine")
    chosen = {n["id"]: n["config"].get("knowledge_base") for n in graph["nodes"]}
    assert (chosen["first"], chosen["neither"], chosen["second"]) == ("one", "one", "two")
    assert graph["graph"]["name"] == "Mine"
    assert graph["nodes"][0]["config"]["default"]
    open_ended = templates.copy_of(template, ["one"], sample=False)
    assert "default" not in open_ended["nodes"][0]["config"]
    inner = templates.copy_of(templates.get("faq-builder"), ["one"])
    nodes = next(n for n in inner["nodes"] if n["type"] == "map")["config"]["body"]["graph"]
    assert {n["config"].get("knowledge_base") for n in nodes["nodes"]} == {None, "one"}
    # The files stay as they are.
    assert "knowledge_base" not in template.graph["nodes"][2]["config"]


async def test_templates_are_found_by_words_and_tags() -> None:
    found = [t.id for t in templates.templates() if t.matches("TABLE questions")]
    assert found == ["batch-questions"] or "batch-questions" in found
    assert all("map" in t.tags for t in templates.templates() if t.matches("", "map"))
    assert templates.tags()[0] == "questions"
    with pytest.raises(RagloomError, match="no template"):
        templates.get("nothing")
