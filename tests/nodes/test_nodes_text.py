"""Questions tidied, prompts written, branches chosen."""

from __future__ import annotations

from typing import Any

import pytest
from nodes_world import SmallWorld, chunk

from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import (
    Answer,
    Chunks,
    Flag,
    Json,
    Number,
    PortValue,
    Query,
    Text,
    Verdict,
)
from app.nodes.inputs import Question, TextInput
from app.nodes.logic import Condition, Merge
from app.nodes.outputs import AnswerOutput, Output
from app.nodes.template import render
from app.nodes.text import Preprocess, Prompt


def ask(text: str) -> Query:
    return Query(text=text, original=text)


async def test_the_question_of_the_run_beats_the_default(world: SmallWorld) -> None:
    node = Question(Question.Config(default="Default?"))
    assert (await node.run(world.context(question=" Asked? "))).query.text == "Asked?"
    assert (await node.run(world.context(query="Alias?"))).query.text == "Alias?"
    assert (await node.run(world.context())).query.text == "Default?"
    assert Question.reads(node.config) == ("question", "query")


@pytest.mark.parametrize(
    ("given", "code"), [({}, "missing_input"), ({"question": 5}, "bad_input"),
                        ({"question": "x" * 5_000}, "input_too_long")],
)  # fmt: skip
async def test_a_question_that_cannot_be_asked(
    world: SmallWorld, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(NodeFailed) as raised:
        await Question(Question.Config()).run(world.context(**given))
    assert raised.value.code == code
    assert raised.value.fix


async def test_a_text_may_be_empty_unless_required(world: SmallWorld) -> None:
    assert (await TextInput(TextInput.Config()).run(world.context())).text.text == ""
    with pytest.raises(NodeFailed, match="no text"):
        await TextInput(TextInput.Config(required=True)).run(world.context())
    named = TextInput(TextInput.Config(name="tone"))
    assert (await named.run(world.context(tone="dry"))).text.text == "dry"


async def test_preprocessing_uses_the_words_of_the_documents(filled: SmallWorld) -> None:
    node = Preprocess(Preprocess.Config(knowledge_base="kb"))
    question = "How does the  Raglom KB congigure “hybrid serch” in Ghent?"
    query = (await node.run(ask(question), filled.context())).query
    assert query.text == (
        'How does the Raglom KB (knowledge base) configure "hybrid serch" in Ghent?'
    )
    assert query.original == question
    assert query.expansions == {"KB": "knowledge base"}
    assert query.corrections == {"congigure": "configure"}
    assert query.language == "en"
    assert ("hybrid serch", "term") in {(e.text, e.kind) for e in query.entities}
    assert "commit-" in await node.fingerprint(filled)


async def test_preprocessing_leaves_other_languages_alone(filled: SmallWorld) -> None:
    question = "Welche Aufgabe hat der Vorstand dieser Gesellschaft im Geschäftsjahr?"
    query = (await Preprocess(Preprocess.Config()).run(ask(question), filled.context())).query
    assert query.text == question
    assert query.language == "de"


async def test_steps_can_be_switched_off(world: SmallWorld) -> None:
    config = Preprocess.Config(
        normalise=False, correct_spelling=False, extract_entities=False, detect_language=False
    )
    question = "Teh  “answr”"
    assert (await Preprocess(config).run(ask(question), world.context())).query == ask(question)
    assert Preprocess.summary(config.model_dump()) == "acronyms"


async def test_an_unknown_knowledge_base_is_named(world: SmallWorld) -> None:
    with pytest.raises(RagloomError, match="“nope”"):
        await Preprocess(Preprocess.Config(knowledge_base="nope")).fingerprint(world)


async def test_a_prompt_is_written_from_what_is_wired(world: SmallWorld) -> None:
    out = await Prompt(Prompt.Config()).run(
        world.context(),
        query=ask("Why?"),
        chunks=Chunks(
            items=(
                chunk(0, "Because.", page=2),
                chunk(1, "So.", page=3, document_name="talk.pptx"),
                chunk(2, "Or so."),
            )
        ),
    )
    assert "[1] file0.md, page 2\nBecause." in out.prompt.text
    assert "[2] talk.pptx, slide 3\nSo." in out.prompt.text
    assert "[3] file2.md\nOr so." in out.prompt.text
    assert out.prompt.text.endswith("Question: Why?")


async def test_every_kind_of_variable(world: SmallWorld) -> None:
    template = "{{ text }}|{{ texts[1] }}|{{ answer }}|{{ data.tags | join('+') }}"
    out = await Prompt(Prompt.Config(template=template)).run(
        world.context(),
        texts=[Text(text="a"), Text(text="b")],
        answer=Answer(text="yes"),
        data=Json(data={"tags": ["x", "y"]}),
    )
    assert out.prompt.text == "a|b|yes|x+y"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ text.format(1) }}",
        "{{ cycler('a') }}",
        "{% set x = text ~ text %}",
        "{{ text * 1000000 }}",
        "{{ '%999999999d' % 1 }}",
        "{% macro f() %}{% endmacro %}",
        "{% include 'x' %}",
        "{{ text | attr('__class__') }}",
        "{{ text | center(999999999) }}",
        "{{ __each__ }}",
        "{{ unclosed",
        "{% set ns = namespace(x=1) %}",
    ],
)
async def test_templates_cannot_reach_out_or_grow(template: str) -> None:
    with pytest.raises(NodeFailed):
        render(template, {"text": "abc"})


def test_a_bad_template_is_refused_as_a_setting() -> None:
    with pytest.raises(ValueError, match="line 2"):
        Prompt.Config(template="fine\n{% for x in %}")


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
        "{% for a in text %}{% for b in text %}{{ text }}{% endfor %}{% endfor %}",
        "{% for a in range(99999999) %}x{% endfor %}",
        "{{ text + text }}",
        "{{ nothing }}",
    ],
)
def test_loops_and_output_are_limited(template: str) -> None:
    with pytest.raises(NodeFailed) as raised:
        render(template, {"text": "abc" * 200})
    assert raised.value.fix


def test_ordinary_templates_work() -> None:
    text = render(
        "{% for c in chunks %}{{ loop.index + 1 }}{{ c.x | upper }}"
        "{% if not loop.last %}, {% endif %}{% endfor %}{% set n = 3 %} {{ n - 1 }}",
        {"chunks": [{"x": "a"}, {"x": "b"}]},
    )
    assert text == "2A, 3B 2"


VERDICT = Verdict(passed=False, confidence=0.4, reasons=("unsupported",))


@pytest.mark.parametrize(
    ("subject", "field", "operator", "value", "holds"),
    [
        (VERDICT, "passed", "is_true", None, False),
        (VERDICT, "passed", "is_false", None, True),
        (VERDICT, "confidence", "greater_or_equal", 0.4, True),
        (VERDICT, "confidence", "less", "0.4", False),
        (VERDICT, "reasons", "contains", "unsupported", True),
        (VERDICT, "reasons.length", "equals", 1, True),
        (VERDICT, "reasons.0", "matches", "un*", True),
        (VERDICT, "reasons.5", "is_empty", None, True),
        (Chunks(), "items", "is_empty", None, True),
        (Chunks(items=(chunk(0, "x"),)), "items", "greater", 0, True),
        (Chunks(items=(chunk(0, "x"),)), "items.0.document_name", "equals", "FILE0.md", True),
        (Number(value=3), "", "greater", 2, True),
        (Flag(value=False), "", "is_true", None, False),
        (Text(text="no"), "", "is_true", None, False),
        (Text(text="en"), "", "in", ["de", "en"], True),
        (Text(text="en"), "", "in", "de, fr", False),
        (Text(text="Hello"), "text", "not_contains", "ell", False),
        (Json(data={"a": {"b": [1, 2]}}), "data.a.b.1", "equals", 2, True),
        (Json(data={"a": 1}), "data", "contains", "a", True),
    ],
)
async def test_conditions(
    world: SmallWorld, subject: PortValue, field: str, operator: str, value: Any, holds: bool
) -> None:
    node = Condition(Condition.Config(field=field, operator=operator, value=value))
    passed = Text(text="passed on")
    out = await node.run(passed, world.context(), subject=subject)
    assert (out.yes, out.no) == ((passed, None) if holds else (None, passed))
    assert (await node.run(subject, world.context())).yes == (subject if holds else None)


@pytest.mark.parametrize(
    ("subject", "operator", "value"),
    [
        (Text(text="Hello"), "equals", "hello"),
        (Text(text="Hello"), "contains", "hell"),
        (Text(text="Hello"), "matches", "hell*"),
        (Text(text="EN"), "in", ["de", "en"]),
        (Json(data=["A", "b"]), "contains", "a"),
    ],
)
async def test_capital_and_small_letters_differ_where_that_is_asked_for(
    world: SmallWorld, subject: PortValue, operator: Any, value: Any
) -> None:
    for match_case in (False, True):
        config = Condition.Config(operator=operator, value=value, match_case=match_case)
        out = await Condition(config).run(subject, world.context())
        assert (out.yes is None) == match_case
    exact = Condition.Config(operator="equals", value=True, match_case=True)
    assert (await Condition(exact).run(Flag(value=True), world.context())).yes


async def test_a_field_that_is_not_there_names_those_that_are(world: SmallWorld) -> None:
    node = Condition(Condition.Config(field="pased"))
    with pytest.raises(NodeFailed, match="no field “pased” in Verdict") as raised:
        await node.run(VERDICT, world.context())
    assert "passed" in raised.value.fix
    words = Condition(Condition.Config(field="reasons.0", operator="greater", value=1))
    with pytest.raises(NodeFailed, match="not a number"):
        await words.run(VERDICT, world.context())


async def test_wildcards_cannot_be_made_to_run_for_ever(world: SmallWorld) -> None:
    node = Condition(Condition.Config(field="text", operator="matches", value="*a" * 30 + "b"))
    assert (await node.run(Text(text="a" * 10_000), world.context())).no


async def test_merging(world: SmallWorld) -> None:
    ctx = world.context()
    a = Chunks(items=(chunk(1, "x"), chunk(2, "y")), knowledge_base_id="kb", commit="c")
    b = Chunks(items=(chunk(3, "z"), chunk(1, "x")), knowledge_base_id="kb", commit="c")
    assert (await Merge(Merge.Config()).run([a, b], ctx)).value is a
    joined = (await Merge(Merge.Config(mode="concatenate")).run([a, b], ctx)).value
    assert isinstance(joined, Chunks)
    assert [c.chunk_id for c in joined.items] == ["c1", "c3", "c2"]
    assert joined.knowledge_base_id == "kb"
    with pytest.raises(NodeFailed, match="Text"):
        await Merge(Merge.Config(mode="concatenate")).run([a, Text(text="t")], ctx)
    with pytest.raises(NodeFailed, match="None of the branches"):
        await Merge(Merge.Config()).run([], ctx)


async def test_outputs_pass_on(world: SmallWorld) -> None:
    answer = Answer(text="yes")
    out = await AnswerOutput(AnswerOutput.Config()).run(answer, world.context(), verdict=VERDICT)
    assert (out.answer, out.chunks, out.verdict) == (answer, None, VERDICT)
    assert (await Output(Output.Config()).run(answer, world.context())).value is answer
