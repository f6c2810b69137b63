"""What each kind of step becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.engine.values import Answer, Chunks, Documents, Query
from app.services.importers.branching import approval, branch, classify, merge
from app.services.importers.data import extract, http
from app.services.importers.draft import Out, Part
from app.services.importers.models import FALLBACK, model_name
from app.services.importers.placeholders import (
    placeholder,
    placeholder_input,
    placeholder_output,
    refs_of,
)
from app.services.importers.prompting import (
    Inputs,
    adopt,
    compose,
    joined,
    plain,
    refs_in,
    says_something,
)
from app.services.importers.repeating import holds_steps, repeat
from app.services.importers.source import QUESTION, VARIABLE, Ref, Step, Template

if TYPE_CHECKING:
    from app.services.importers.builder import Builder

__all__ = ["build", "history", "holds_steps", "placeholder_input", "placeholder_output", "refs_of"]


def build(b: Builder, step: Step) -> Part:
    """Make the nodes of a step; a placeholder where there is no equal."""
    if step.role in ("part", "nothing"):
        b.mapped += 1
        return Part()
    maker = MAKERS.get(step.role)
    before = set(b.graph.nodes)
    part = maker(b, step) if maker is not None else None
    if part is not None:
        # An output that the other system shows without a node for it is not one of its nodes.
        b.mapped += not step.settings.get("made")
        return part
    for node in set(b.graph.nodes) - before:
        if b.draft.owner.get(node) == step.id:
            b.draft.remove(node)
    return placeholder(b, step)


# -- inputs ------------------------------------------------------------------------------


def _start(b: Builder, step: Step) -> Part:
    part = Part()
    inputs: list[dict[str, Any]] = step.settings.get("inputs", [])
    asks = bool(step.settings.get("question", True))
    if asks or not any(i["type"] == "text" for i in inputs):
        config = {"default": step.settings.get("default", "")}
        node = b.draft.add("question", step.title or "Question", config, step.id, "question")
        if node is not None:
            part.main = b.draft.out(node, "query")
            b.set_question(part.main)
    for entry in inputs:
        out = _input(b, step, entry, first=part.main is None)
        if out is None:
            continue
        part.fields[entry["name"]] = out
        if part.main is None and out.value_type is Query:
            part.main = out
            b.set_question(out)
    return part


def _input(b: Builder, step: Step, entry: dict[str, Any], first: bool) -> Out | None:
    name = entry["name"][:64] or "text"
    title = (entry.get("label") or name)[:120]
    if entry["type"] == "file":
        node = b.draft.add("file_input", title, {"name": name}, step.id, name)
        return b.draft.out(node, "text") if node else None
    if first and entry["type"] == "text":
        config = {"name": name, "default": entry.get("default", ""), "max_length": 50_000}
        node = b.draft.add("question", title, config, step.id, name)
        return b.draft.out(node, "query") if node else None
    config = {
        "name": name,
        "default": entry.get("default", ""),
        "required": bool(entry.get("required")),
    }
    node = b.draft.add("text_input", title, config, step.id, name)
    return b.draft.out(node, "text") if node else None


def _text(b: Builder, step: Step) -> Part | None:
    config = {"name": step.settings.get("name") or "text", "default": plain(step.texts["text"])}
    node = b.draft.add("text_input", step.title, config, step.id)
    return Part(b.draft.out(node, "text")) if node else None


def _file(b: Builder, step: Step) -> Part | None:
    node = b.draft.add("file_input", step.title, {}, step.id)
    if node is None:
        return None
    text = b.draft.out(node, "text")
    return Part(text, {"documents": b.draft.out(node, "documents"), "text": text})


# -- text and answers --------------------------------------------------------------------


def _prompt(b: Builder, step: Step) -> Part | None:
    title = step.title or "Prompt"
    jinja = step.settings.get("jinja")
    if isinstance(jinja, str):
        out = adopt(b, step.id, jinja, step.settings.get("variables", {}), title)
    else:
        out = compose(b, step.id, step.texts["text"], title)
    return Part(out) if out is not None else None


def _language_model(b: Builder, step: Step) -> Part | None:
    """“Generate” where there are passages to answer from, else “Ask a model”."""
    system, user = step.texts.get("system", ()), step.texts.get("user", ())
    every = [*refs_in(step.texts.get("context", ())), *refs_in(system), *refs_in(user)]
    passages = b.passages(step, every)
    model = model_name(step.settings.get("model"), step.settings.get("provider"))
    config: dict[str, Any] = {"model": _usable(b, step, model, passages is not None)}
    for key in ("temperature", "max_tokens"):
        if step.settings.get(key) is not None:
            config[key] = step.settings[key]
    if not says_something(user):
        user = (Ref(QUESTION),)
    if passages is None:
        return _ask(b, step, config, system, user)
    return _generate(b, step, config, system, user, passages)


def _ask(
    b: Builder, step: Step, config: dict[str, Any], system: Template, user: Template
) -> Part | None:
    inputs = Inputs(b, step.id)
    config["system"] = b.redactor.text(inputs.written(system))
    config["prompt"] = b.redactor.text(inputs.written(user)) or " "
    inputs.hold(b.gate(step))
    config["inputs"] = inputs.specs()
    node = b.draft.add("ask_model", step.title or "Ask a model", config, step.id)
    if node is None:
        return None
    inputs.connect(node)
    return Part(b.draft.out(node, "text"))


def _generate(
    b: Builder,
    step: Step,
    config: dict[str, Any],
    system: Template,
    user: Template,
    passages: Out,
) -> Part | None:
    asks_only = all(
        _is(b, piece, Query) if isinstance(piece, Ref) else not piece.strip() for piece in user
    )
    fixed = all(not isinstance(piece, Ref) or _is(b, piece, Chunks) for piece in system)
    if fixed:
        said = "".join("(the passages)" if isinstance(p, Ref) else p for p in system)
        if said.strip():
            config["instructions"] = b.redactor.text(said.strip())
    prompt = None
    if not (fixed and asks_only):
        title = f"Prompt of {step.title or 'the model'}"
        prompt = compose(b, step.id, joined(() if fixed else system, user), title)
    node = b.draft.add("generate", step.title or "Generate", config, step.id)
    if node is None:
        return None
    b.draft.wire(b.query(step), node, "query")
    b.draft.wire(passages, node, "chunks")
    if prompt is not None:
        b.draft.wire(prompt, node, "prompt")
    return Part(b.draft.out(node, "answer"))


def _is(b: Builder, piece: str | Ref, value_type: type) -> bool:
    if not isinstance(piece, Ref) or piece.step == VARIABLE:
        return False
    out = b.resolve(piece)
    return out is not None and out.value_type is value_type


def _usable(b: Builder, step: Step, model: str, has_passages: bool) -> str:
    if model:
        return model
    title = step.title or step.kind
    if has_passages:
        b.remark(f"“{title}” names no model: it quotes the passages until you choose one.")
        return "extractive"
    b.remark(f"“{title}” names no model: it was set to {FALLBACK}. Choose the one you use.")
    return FALLBACK


def _retrieve(b: Builder, step: Step) -> Part | None:
    config = {
        key: value
        for key in ("k", "search_type", "semantic_weight", "score_threshold")
        if (value := step.settings.get(key)) is not None
    }
    node = b.draft.add("retrieve", step.title or "Retrieve", config, step.id)
    if node is None:
        return None
    asked = step.texts.get("query", ())
    refs = [ref for ref in refs_in(asked) if ref.step != VARIABLE]
    query = b.query(step)
    meant = b.resolve(refs[0]) if len(refs) == 1 else None
    if len(refs) > 1 or (refs and plain(asked).strip()):
        meant = compose(b, step.id, asked, f"What {step.title} searches for")
    if meant is not None and meant.value_type is not Query:
        if b.draft.wire(meant, node, "query"):
            query = b.draft.convert(meant, Query) or query
    elif meant is not None and meant.value_type is Query and b.gate(step) is None:
        query = meant
    b.draft.wire(query, node, "query")
    b.remark(
        f"Choose a knowledge base in “{step.title or 'Retrieve'}”: the one of the file is not here."
    )
    out = b.draft.out(node, "chunks")
    keep = step.settings.get("rerank")
    if keep:
        rerank = b.draft.add("rerank", f"Rerank for {step.title}", {"top_k": keep}, step.id)
        if rerank is not None:
            b.draft.wire(query, rerank, "query")
            b.draft.wire(out, rerank, "chunks")
            out = b.draft.out(rerank, "chunks")
    return Part(out)


def _output(b: Builder, step: Step) -> Part | None:
    part = Part()
    for name, template in step.texts.items():
        out = _written(b, step, name, template)
        if out is None:
            continue
        node_type, port = ("answer_output", "answer") if out.value_type is Answer else (
            "output", "value",
        )  # fmt: skip
        unique = _unique(name or "answer", b.graph.outputs)
        title = step.title or "Answer"
        node = b.draft.add(
            node_type, title if len(step.texts) == 1 else name, {"name": unique}, step.id, unique
        )
        if node is None or not b.draft.wire(out, node, port):
            continue
        b.graph.outputs[unique] = (node, port)
        part.main = part.main or Out(node, port, out.value_type)
        part.fields[name] = Out(node, port, out.value_type)
    return part if part.main is not None else None


def _written(b: Builder, step: Step, name: str, template: Template) -> Out | None:
    """What an output hands back: the value itself where the text is nothing else."""
    parts = [p for p in template if isinstance(p, Ref) or p.strip()]
    if len(parts) == 1 and isinstance(parts[0], Ref) and parts[0].step != VARIABLE:
        out = b.resolve_for(parts[0], step.id)
        if (
            out is not None
            and not out.path
            and (b.gate(step) is None or b.comes_with(out, step.id))
        ):
            return out
    if not parts:
        out = next((p.main for p in b.before(step) if p.main is not None), None)
        if out is not None:
            return out
    return compose(b, step.id, template, f"Text of {step.title or name}")


def _unique(name: str, taken: Any) -> str:
    base = re.sub(r"\W+", "_", name).strip("_")[:48] or "answer"
    free, number = base, 2
    while free in taken:
        free, number = f"{base}_{number}", number + 1
    return free


# -- documents ---------------------------------------------------------------------------


def _files(b: Builder, step: Step) -> Part | None:
    node = b.draft.add("files", step.title or "Files", {}, step.id)
    return Part(b.draft.out(node, "documents")) if node else None


def _read(b: Builder, step: Step) -> Part | None:
    return _after(b, step, "extract", {}, "documents", "documents")


def _chunk(b: Builder, step: Step) -> Part | None:
    config = {
        k: v for k in ("chunk_size", "chunk_overlap") if (v := step.settings.get(k)) is not None
    }
    if config.get("chunk_overlap", 0) >= config.get("chunk_size", 400):
        config.pop("chunk_overlap")
    return _after(b, step, "chunk", config, "documents", "chunks")


def _index(b: Builder, step: Step) -> Part | None:
    node = b.draft.add("index", step.title or "Index", {}, step.id)
    if node is None:
        return None
    for out in [p.main for p in b.before(step) if p.main is not None]:
        if b.draft.fits(out, node, "chunks"):
            b.draft.wire(out, node, "chunks")
    known = [p.main for p in b.parts.values() if p.main is not None]
    documents = [out for out in known if out.value_type is Documents]
    if documents:
        b.draft.wire(documents[-1], node, "documents")
    b.remark(f"Choose a knowledge base in “{step.title or 'Index'}”: it is filled by each run.")
    return Part(b.draft.out(node, "report"))


def _after(
    b: Builder, step: Step, node_type: str, config: dict[str, Any], into: str, out: str
) -> Part | None:
    node = b.draft.add(node_type, step.title or node_type, config, step.id)
    if node is None:
        return None
    came = False
    for part in b.before(step):
        if part.main is not None and b.draft.fits(part.main, node, into):
            came = b.draft.wire(part.main, node, into) or came
    return Part(b.draft.out(node, out)) if came or not step.settings.get("needs") else None


MAKERS: dict[str, Callable[[Builder, Step], Part | None]] = {
    "start": _start,
    "text": _text,
    "file": _file,
    "prompt": _prompt,
    "llm": _language_model,
    "retrieve": _retrieve,
    "output": _output,
    "files": _files,
    "read": _read,
    "chunk": _chunk,
    "index": _index,
    "branch": branch,
    "classify": classify,
    "merge": merge,
    "approval": approval,
    "extract": extract,
    "http": http,
    "map": repeat,
    "loop": repeat,
}


def history(b: Builder) -> Out | None:
    """The talk so far, as a value."""
    node = b.draft.add("chat_history", "Chat history", {}, "")
    return b.draft.out(node, "transcript") if node else None
