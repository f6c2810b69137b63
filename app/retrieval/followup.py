"""Follow-up questions made findable: the topic words of earlier questions, added where needed.

The idea of historical query expansion (Yang et al., “Query and answer expansion from conversation
history”, TREC CAsT 2019), by rules: a question that points back or says little takes over names and
content words of the latest question that stood on its own. English. `benchmarks.followups` measures
what it gains, and what it costs where the topic has changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.retrieval.entities import find_entities
from app.retrieval.words import word_set

#: Words that stand for something said before.
_POINTERS = word_set(
    """it its itself they them their theirs this that these those he him his she her hers there then
    one ones former latter same such both either neither else another others"""
)
#: Pointers that mean a name in front of them, where the question itself has one.
_PRONOUNS = word_set("it its itself they them their theirs he him his she her hers")
_POINTING = re.compile(
    r"\b(?:this|these|the latter|the others|which ones?|(?:these|those|other|new) ones)\b"
    r"|\b(?:about|of|like|after|before|than|is|was|does|did|do|can|for|with|from|by|in|to)\s+"
    r"(?:that|those)\b"
    r"|\b(?:that|those|there|then|one|another)\s*[?.!]*$"
    r"|^\s*(?:that|those)\b",
    re.IGNORECASE,
)
#: “How long does it take”, “is it possible”: here “it” points nowhere.
_EMPTY_IT = re.compile(
    r"\bit\s+(?:takes?|took|possible|true|necessary|common|known|called|said)\b", re.IGNORECASE
)
_OPENERS = re.compile(
    r"^\s*(?:and|but|or|so|then|also|ok(?:ay)?|what about|how about|what else|why not|how so|"
    r"how come|more|for example|in that case)\b",
    re.IGNORECASE,
)
_EMPTY = word_set(
    """a about all also am an and any are as ask at be because been before being but by can could did
    do does doing done during each else ever every explain find for from further get give given go
    had has have having help here how i if in instead into is just know let like long make many
    may me mean might more most much must my need new no not now of off often on only or other our
    out over please really same say should show so some still such take tell than that the then
    there they thing things to too two up us use used using very want was way we well were what
    when where whether which while who whom whose why will with work works would yes yet you your"""
)
_MAX_TERMS = 8
#: A question with fewer content words than this does not stand on its own.
_ENOUGH = 2


def complete_question(question: str, asked: Sequence[str], answer: str = "") -> str:
    """The question, with the topic of earlier ones in brackets where it needs them.

    `asked` are the earlier questions, oldest first; `answer` is the last reply.
    """
    if not asked or not needs_context(question):
        return question
    own = set(_stems(question))
    terms: list[str] = []
    for earlier in reversed(asked):
        terms += [t for t in topic(earlier) if not set(_stems(t)) <= own]
        # One that itself points back hands on what it pointed to.
        if not needs_context(earlier):
            break
    if not terms and answer:
        terms = [
            t for t in topic(answer.split("\n", maxsplit=1)[0][:300]) if not set(_stems(t)) <= own
        ]
    chosen: list[str] = []
    for term in terms:
        if set(_stems(term)) - own:
            chosen.append(term)
            own.update(_stems(term))
        if len(chosen) == _MAX_TERMS:
            break
    return f"{question.rstrip()} ({', '.join(chosen)})" if chosen else question


def needs_context(question: str) -> bool:
    """Whether a question points back, or says too little by itself."""
    text = _EMPTY_IT.sub(" ", question)
    if _OPENERS.match(text) or _POINTING.search(text):
        return True
    for match in re.finditer(r"\w+", text.lower()):
        if match.group() in _PRONOUNS:
            front = find_entities(text[: match.start()])
            return not any(entity.kind in ("name", "term", "code") for entity in front)
    content = [word for word in re.findall(r"[\w'’]+", text.lower()) if word not in _EMPTY]
    return len(content) < _ENOUGH


def topic(text: str) -> list[str]:
    """Names, quoted terms and content words of a text, in reading order."""
    spans = [
        (e.start, e.end, e.text) for e in find_entities(text) if e.kind in ("name", "term", "code")
    ]
    covered = {i for start, end, _ in spans for i in range(start, end)}
    for match in re.finditer(r"[\w’'-]+", text):
        word = match.group().lower().removesuffix("'s").removesuffix("’s")
        if match.start() in covered or len(word) < 2 or word in _EMPTY or word in _POINTERS:
            continue
        spans.append((match.start(), match.end(), match.group()))
    return list(dict.fromkeys(text for _, _, text in sorted(spans)))


def _stems(text: str) -> list[str]:
    """Lower-case words without the endings that most often differ."""
    words = re.findall(r"\w+", text.lower())
    return [re.sub(r"(?<=\w{3})(?:ies|es|s|ing|ed)$", "", word) for word in words]
