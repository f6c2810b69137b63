"""What each kind of step becomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from app.engine.values import Answer, Chunks, Query, Text
from app.services.importers.control import CONTROL, holds_steps
from app.services.importers.draft import Out
from app.services.importers.models import FALLBACK, model_name
from app.services.importers.prompting import adopt, compose, joined, plain, refs_in
from app.services.importers.source import QUESTION, VARIABLE, Ref, Step, Template

if TYPE_CHECKING:
    from app.services.importers.build import Builder, Part

__all__ = ["build", "holds_steps", "placeholder_input", "placeholder_output", "refs_of"]


def build(b: Builder, step: Step) -> Part:
    """Make the nodes of a step; a placeholder where there is no equal."""
    from app.services.importers.build import Part

    if step.role in ("part", "nothing"):
        b.mapped += 1
        return Part()
    maker = MAKERS.get(step.role)
    before = set(b.graph.nodes)
    part = maker(b, step) if maker is not None else None
    if part is not None:
        b.mapped += 1
        return part
    for node in set(b.graph.nodes) - before:
        if b.draft.owner.get(node) == step.id:
            b.draft.remove(node)
    return placeholder(b, step)


def refs_of(step: Step) -> Iterator[Ref]:
    """Every value of another step that a step reads."""
    for template in step.texts.values():
        yield from refs_in(template)
    for way in step.ways:
        for test in way.tests:
            yield test.left
            if isinstance(test.right, Ref):
                yield test.right
    yield from step.refs


# -- inputs ------------------------------------------------------------------------------


def _start(b: Builder, step: Step) -> Part:
    from app.services.importers.build import Part

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
    from app.services.importers.build import Part

    config = {"name": step.settings.get("name") or "text", "default": plain(step.texts["text"])}
    node = b.draft.add("text_input", step.title, config, step.id)
    return Part(b.draft.out(node, "text")) if node else None


def _file(b: Builder, step: Step) -> Part | None:
    from app.services.importers.build import Part

    node = b.draft.add("file_input", step.title, {}, step.id)
    if node is None:
        return None
    text = b.draft.out(node, "text")
    return Part(text, {"documents": b.draft.out(node, "documents"), "text": text})


# -- text and answers --------------------------------------------------------------------


def _prompt(b: Builder, step: Step) -> Part | None:
    from app.services.importers.build import Part

    title = step.title or "Prompt"
    gate = b.gate(step)
    jinja = step.settings.get("jinja")
    if isinstance(jinja, str):
        variables = step.settings.get("variables", {})
        node = adopt(b.draft, jinja, variables, b.resolve, title=title, owner=step.id, gate=gate)
    else:
        node = compose(
            b.draft, step.texts["text"], b.resolve, title=title, owner=step.id, gate=gate
        )
    return Part(Out(node, "prompt", Text)) if node else None


def _language_model(b: Builder, step: Step) -> Part | None:
    from app.services.importers.build import Part

    system, user = step.texts.get("system", ()), step.texts.get("user", ())
    context = step.texts.get("context", ())
    every = [*refs_in(context), *refs_in(system), *refs_in(user)]
    passages = b.passages(step, every)
    model = model_name(step.settings.get("model"), step.settings.get("provider"))
    model = _usable(b, step, model, passages is not None)
    config: dict[str, Any] = {"model": model}
    for key in ("temperature", "max_tokens"):
        if step.settings.get(key) is not None:
            config[key] = step.settings[key]
    asks_only = all(
        (not isinstance(piece, Ref) and not piece.strip()) or _is(b, piece, Query) for piece in user
    )
    fixed = all(not isinstance(piece, Ref) or _is(b, piece, Chunks) for piece in system)
    if fixed:
        instructions = "".join("(the passages)" if isinstance(p, Ref) else p for p in system)
        if instructions.strip():
            config["instructions"] = b.redactor.text(instructions.strip())
    gate = b.gate(step)
    prompt = None
    if not (fixed and asks_only and passages is not None):
        asked = user if any(isinstance(p, Ref) or p.strip() for p in user) else (Ref(QUESTION),)
        prompt = compose(
            b.draft,
            joined(() if fixed else system, asked),
            b.resolve,
            title=f"Prompt of {step.title or 'the model'}",
            owner=step.id,
            gate=gate,
        )
    node = b.draft.add("generate", step.title or "Generate", config, step.id)
    if node is None:
        return None
    b.draft.wire(b.query(step), node, "query")
    if passages is not None:
        b.draft.wire(passages, node, "chunks")
    if prompt is not None:
        b.draft.wire(Out(prompt, "prompt", Text), node, "prompt")
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
    from app.services.importers.build import Part

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
    if meant is not None and meant != b.question() and meant.value_type is not Query:
        if not b.draft.wire(meant, node, "query"):
            b.remark(
                f"“{step.title}” searches for the question itself; the text of "
                f"“{b.title(refs[0].step)}” cannot be searched for directly."
            )
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
    from app.services.importers.build import Part

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
    gate = b.gate(step)
    if len(parts) == 1 and isinstance(parts[0], Ref) and parts[0].step != VARIABLE:
        out = b.resolve(parts[0])
        if out is not None and not out.path and (gate is None or out.value_type is not Text):
            return out
    if not parts:
        out = next((p.main for p in b.before(step) if p.main is not None), None)
        if out is not None:
            return out
    title = f"Text of {step.title or name}"
    node = compose(b.draft, template, b.resolve, title=title, owner=step.id, gate=gate)
    if node is None:
        return None
    out = Out(node, "prompt", Text)
    if gate is None:
        return out
    # On a branch that is not taken the text is empty, and nothing is handed back.
    config = {"operator": "is_not_empty"}
    check = b.draft.add("condition", f"Is there {title.lower()}?"[:60], config, step.id)
    if check is None or not b.draft.wire(out, check, "value"):
        return out
    return Out(check, "yes", Text)


def _unique(name: str, taken: Any) -> str:
    base = re.sub(r"\W+", "_", name).strip("_")[:48] or "answer"
    free, number = base, 2
    while free in taken:
        free, number = f"{base}_{number}", number + 1
    return free


# -- documents ---------------------------------------------------------------------------


def _files(b: Builder, step: Step) -> Part | None:
    from app.services.importers.build import Part

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


def _after(
    b: Builder, step: Step, node_type: str, config: dict[str, Any], into: str, out: str
) -> Part | None:
    from app.services.importers.build import Part

    node = b.draft.add(node_type, step.title or node_type, config, step.id)
    if node is None:
        return None
    came = False
    for part in b.before(step):
        if part.main is not None and b.draft.fits(part.main, node, into):
            came = b.draft.wire(part.main, node, into) or came
    return Part(b.draft.out(node, out)) if came or not step.settings.get("needs") else None


# -- what has no equal -------------------------------------------------------------------


def placeholder(b: Builder, step: Step) -> Part:
    """A node that keeps what was there, with a port for everything it was wired to."""
    from app.services.importers.build import Part

    b.placeholders += 1
    title = step.title or step.kind or "Step"
    config = {
        "origin": b.source.format,
        "kind": step.kind[:200] or "unknown",
        "title": title[:200],
        "data": b.redactor.data(dict(step.data)),
        "inputs": [],
        "outputs": [],
        "advice": step.advice or ADVICE.get(step.role, ""),
    }
    node = _add_placeholder(b, title, config, step)
    part = Part(placeholder=node)
    for ref in refs_of(step):
        out = b.resolve(ref) if ref.step != VARIABLE else None
        if out is not None:
            placeholder_input(b, node, out, ref.field or b.title(ref.step))
    gate = b.gate(step)
    for link in b.incoming(step.id):
        came = b.parts.get(link.source)
        if came is None or came.ways:
            continue
        if not any(
            b.draft.owner.get(e.source) == link.source and e.target == node for e in b.graph.edges
        ):
            out = b.out(came, "")
            if out is not None:
                placeholder_input(b, node, out, link.into or b.title(link.source))
    if gate is not None:
        placeholder_input(b, node, gate, "question")
    for way in step.ways:
        port = placeholder_output(b, node, way.label or way.handle)
        part.ways[way.handle] = port
    if not step.ways:
        part.main = placeholder_output(b, node, step.settings.get("output") or "output")
    return part


def _add_placeholder(b: Builder, title: str, config: dict[str, Any], step: Step) -> str:
    node = b.draft.add("placeholder", title, config, step.id)
    if node is not None:
        return node
    from app.engine.graph import NodeSpec

    # A type that is not there yet: validation says so, and the data is kept all the same.
    node_id = b.draft._free_id(title, "placeholder")
    b.graph.nodes[node_id] = NodeSpec(node_id, "placeholder", 1, title[:120], config)
    b.draft.owner[node_id] = step.id
    return node_id


def placeholder_input(b: Builder, node: str, out: Out, name: str) -> bool:
    """Give a placeholder one more input, and wire it."""
    from app.engine.graph import EdgeSpec

    config = b.graph.nodes[node].config
    if len(config["inputs"]) >= 40 or out.node == node:
        return False
    port = _port(name, config["inputs"])
    config["inputs"].append(port)
    b.graph.edges.append(EdgeSpec(out.node, out.port, node, port))
    return True


def placeholder_output(b: Builder, node: str, name: str) -> Out:
    """An output of a placeholder, made when first asked for."""
    from app.engine.values import PortValue

    config = b.graph.nodes[node].config
    base = _slug(name) or "output"
    if base not in config["outputs"]:
        if len(config["outputs"]) >= 40:
            base = config["outputs"][0]
        else:
            config["outputs"].append(base)
    return Out(node, base, PortValue)


def _port(name: str, taken: list[str]) -> str:
    base = _slug(name) or "input"
    free, number = base, 2
    while free in taken:
        free, number = f"{base}_{number}", number + 1
    return free


def _slug(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return found if found[:1].isalpha() else f"port_{found}" if found else ""


ADVICE = {
    "code": "Code of other systems is not run here. Replace it with a prompt, an expression, "
    "or an HTTP request to a service of yours.",
    "tool": "Replace it with an HTTP request to the same service, or remove it.",
    "agent": "Agents choose their steps themselves. Draw the steps, or use a generate node.",
    "assign": "Values are not changed while a workflow runs. Wire the value to where it is used.",
}

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
    **CONTROL,
}


def history(b: Builder) -> Out | None:
    """The talk so far, as a value."""
    return None
