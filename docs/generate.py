"""Write the reference pages from the code: `python docs/generate.py [--check]`.

Nodes come from their classes, settings from their fields, REST from the routes. `--check` writes nothing
and fails when a page differs from what the code says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.engine.describe import node_type, port_types
from app.engine.registry import Registry
from app.nodes import register_all
from app.settings import ENV_PREFIX, Settings

OUT = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py from the code; edit that, then run `make docs`. -->\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _bounds(schema: dict[str, Any]) -> str:
    parts = [
        f"≥ {schema['minimum']}" if "minimum" in schema else "",
        f"≤ {schema['maximum']}" if "maximum" in schema else "",
        " · ".join(f"`{v}`" for v in schema.get("enum", [])),
    ]
    return ", ".join(p for p in parts if p)


def nodes() -> str:
    """The node reference, by family."""
    registry = Registry()
    register_all(registry)
    lines = [NOTE, "# Nodes", "", "## Port types", "", "| Type | What it carries |", "|---|---|"]
    lines += [f"| {t['name']} | {_cell(t['help'])} |" for t in port_types()]
    described = sorted((node_type(cls) for cls in registry.all()), key=lambda d: d["family"])
    family = ""
    for node in described:
        if node["family"] != family:
            family = node["family"]
            lines += ["", f"## {family.capitalize()}"]
        lines += [
            "",
            f"### {node['title']}",
            "",
            f"`{node['type']}`, version {node['version']}",
            "",
            node["description"],
        ]
        for title, ports in (("Inputs", node["inputs"]), ("Outputs", node["outputs"])):
            if ports:
                lines += ["", f"| {title} | Type | |", "|---|---|---|"]
                lines += [
                    f"| {p['name']} | {p['type']} | "
                    + ("" if p["required"] else "optional")
                    + (", takes many" if p.get("many") else "")
                    + " |"
                    for p in ports
                ]
        fields = node["config_schema"].get("properties", {})
        if fields:
            lines += ["", "| Setting | Default | Bounds | What it does |", "|---|---|---|---|"]
            lines += [
                f"| {name} | `{_cell(f.get('default', ''))}` | {_bounds(f)} | "
                f"{_cell(f.get('description', ''))} |"
                for name, f in fields.items()
            ]
    return "\n".join(lines) + "\n"


def settings() -> str:
    """Every setting with its variable and default."""
    lines = [
        NOTE,
        "# Settings",
        "",
        "Read from `ragloom.toml`, then variables, then flags of `ragloom serve`; a later one wins. "
        "Unknown names are errors.",
        "",
        "| Setting | Variable | Default | What it does |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "" if default is None or isinstance(default, SecretStr) else f"`{default}`"
        lines.append(
            f"| {name} | `{ENV_PREFIX}{name.upper()}` | {shown} | "
            f"{_cell(field.description or '')} |"
        )
    return "\n".join(lines) + "\n"


def rest() -> str:
    """Every route of the REST interface."""
    from app.main import create_app

    schema = create_app(Settings(), ui=False).openapi()
    lines = [
        NOTE,
        "# REST",
        "",
        "Send `Authorization: Bearer KEY`. Errors are "
        '`{"error": {"code", "message", "details"}}`. The same, with schemas and a form to try each '
        "call: `/docs` on your server.",
        "",
    ]
    for path, methods in sorted(schema["paths"].items()):
        for method, operation in methods.items():
            lines += [
                f"## {method.upper()} {path}",
                "",
                operation.get("description") or operation.get("summary", ""),
                "",
            ]
            answers = ", ".join(
                f"{code} {_cell(a.get('description', ''))}"
                for code, a in operation.get("responses", {}).items()
            )
            lines += [f"Answers: {answers}", ""]
    return "\n".join(lines)


def main() -> int:
    """Write or compare; returns the exit status."""
    pages = {"nodes.md": nodes(), "settings.md": settings(), "rest.md": rest()}
    stale = []
    for name, text in pages.items():
        path = OUT / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"Out of date: {', '.join(stale)}. Run `make docs` and commit the result.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
