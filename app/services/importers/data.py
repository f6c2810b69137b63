"""Steps that take data out of texts, and those that ask other servers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from app.engine.values import Json, Text
from app.services.importers.draft import Out, Part
from app.services.importers.models import model_name
from app.services.importers.prompting import Inputs, plain, refs_in
from app.services.importers.source import Step, Template

if TYPE_CHECKING:
    from app.services.importers.builder import Builder


def extract(b: Builder, step: Step) -> Part | None:
    """Fields as a JSON Schema."""
    properties = {f["name"]: _property(f) for f in step.settings.get("fields", ())}
    if not properties:
        return None
    required = [f["name"] for f in step.settings["fields"] if f["required"]]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    model = model_name(step.settings.get("model"), step.settings.get("provider"))
    config: dict[str, Any] = {
        "json_schema": schema,
        "instructions": plain(step.texts.get("instructions", ())),
    }
    if model:
        config["model"] = model
    node = b.draft.add("extract_data", step.title or "Extract data", config, step.id)
    if node is None:
        return None
    refs = refs_in(step.texts.get("text", ()))
    out = b.resolve_for(refs[0], step.id) if refs else b.query(step)
    if out is not None and out.path:
        out = b.draft.convert(out, Text)
    b.draft.wire(out or b.query(step), node, "text")
    data = b.draft.out(node, "data")
    fields = {name: Out(node, "data", Json, name) for name in properties if name.isidentifier()}
    return Part(data, fields)


def _property(entry: dict[str, Any]) -> dict[str, Any]:
    kind = entry["type"].lower()
    if "array" in kind:
        item = "number" if "number" in kind else "object" if "object" in kind else "string"
        found: dict[str, Any] = {"type": "array", "items": {"type": item}}
    else:
        known = {"number": "number", "boolean": "boolean", "bool": "boolean", "object": "object"}
        found = {"type": known.get(kind, "string")}
    if entry["description"]:
        found["description"] = entry["description"]
    return found


def http(b: Builder, step: Step) -> Part | None:
    """A request; keys are left out and go into a secret of the server."""
    inputs = Inputs(b, step.id, whole=True)
    method = step.settings.get("method", "GET")
    config: dict[str, Any] = {
        "method": method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD") else "GET",
        "url": b.redactor.text(inputs.written(step.texts.get("url", ())).strip()),
        "parameters": _pairs(b, inputs, step.texts.get("params", ())),
        "headers": _pairs(b, inputs, step.texts.get("headers", ())),
        "fail_on_error": False,
    }
    body = step.texts.get("body", ())
    if method in ("POST", "PUT", "PATCH"):
        config["body"] = b.redactor.text(inputs.written(body).strip())
        if form := _pairs(b, inputs, step.texts.get("form", ())):
            config["body"] = _json_object(form)
        if "form" in step.settings.get("body_type", ""):
            config["content_type"] = "application/x-www-form-urlencoded"
        elif "raw" in step.settings.get("body_type", ""):
            config["content_type"] = "text/plain"
    inputs.hold(b.gate(step))
    config["inputs"] = inputs.specs()
    node = b.draft.add("http_request", step.title or "HTTP request", config, step.id)
    if node is None or "url" not in b.graph.nodes[node].config:
        return None
    inputs.connect(node)
    if step.settings.get("authorised"):
        b.remark(
            f"“{step.title}” sent a key, which was not imported: name it {{{{ secret.NAME }}}} in a "
            "header and set RAGLOOM_SECRET_NAME for the server."
        )
    b.remark(f"Allow the host of “{step.title}” in the settings of the server (http_allow).")
    text = b.draft.out(node, "text")
    return Part(
        text,
        {
            "body": text,
            "status_code": b.draft.out(node, "status"),
            "headers": b.draft.out(node, "headers"),
            "json": b.draft.out(node, "data"),
        },
    )


def _pairs(b: Builder, inputs: Inputs, template: Template) -> dict[str, str]:
    """Lines of “name: value”."""
    found: dict[str, str] = {}
    for line in inputs.written(template).splitlines()[:40]:
        name, _, value = line.partition(":")
        name = name.strip()[:100]
        if not name or not re.fullmatch(r"[\w.\-\[\]]+", name):
            continue
        kept = b.redactor.data({name: value.strip()})[name]
        if kept and kept != "(removed)":
            found[name] = kept
    return found


def _json_object(members: dict[str, str]) -> str:
    """A template of an object: values that are one expression keep their type."""
    written = []
    for name, value in members.items():
        only = re.fullmatch(r"\{\{ ([^{}]*) \}\}", value)
        said = f"{{{{ ({only[1]}) | tojson }}}}" if only else json.dumps(value)
        written.append(f"{json.dumps(name)}: {said}")
    return "{" + ", ".join(written) + "}"
