"""A workflow as a Python program that runs it with the engine."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from app.engine.graph import Graph
from app.engine.registry import Registry

_TAKEN = {"data", "json", "help", "fresh"}


@dataclass(frozen=True, slots=True)
class ProgramInput:
    """Something a run is given: its key in `input_data`, its flag, and what it is."""

    name: str
    flag: str
    is_file: bool
    help: str


def inputs_of(graph: Graph, registry: Registry) -> list[ProgramInput]:
    """What a workflow can be given, from its input nodes; each key once."""
    found: dict[str, ProgramInput] = {}
    flags = set(_TAKEN)
    for spec in graph.nodes.values():
        cls = registry.get(spec.type)
        if cls is None or cls.family != "inputs" or "name" not in cls.Config.model_fields:
            continue
        name = spec.config.get("name", cls.Config.model_fields["name"].default)
        if not isinstance(name, str) or not name or name in found:
            continue
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "input"
        flag = next(
            f for n in range(len(flags) + 1) if (f := f"{base}-{n}" if n else base) not in flags
        )
        flags.add(flag)
        title = spec.title or cls.title
        found[name] = ProgramInput(name, flag, "file" in cls.Config.model_fields, title)
    return list(found.values())


def python_of(graph: Graph, registry: Registry) -> str:
    """The text of a program that holds the workflow and runs it.

    Whatever the workflow says stands in it as a literal: nothing of it is ever code.
    """
    inputs = inputs_of(graph, registry)
    example = " ".join(f"--{given.flag} {'FILE' if given.is_file else '…'}" for given in inputs)
    literal: list[Any] = [
        {
            "key": g.name,
            "flag": f"--{g.flag}",
            "is_file": g.is_file,
            "help": g.help.replace("%", "%%"),
        }
        for g in inputs
    ]
    return _PROGRAM.format(
        title=_comment(graph.name or "Workflow"),
        description=_comment(graph.description or "A workflow of Ragloom as a program."),
        example=f"python program.py {example}".rstrip(),
        inputs=_literal(literal),
        graph=_literal(graph.dump()),
    )


def _literal(value: Any) -> str:
    """JSON text that is Python as well, with true, false and null defined.

    What cannot be seen (marks that turn the direction of text, among others) is escaped. JSON
    would do that with pairs of surrogates, which are two characters to Python.
    """
    written = json.dumps(value, ensure_ascii=False, indent=4)
    return "".join(
        char if char == "\n" or char.isprintable() else f"\\U{ord(char):08x}" for char in written
    )


def _comment(text: str) -> str:
    """Text that cannot end the docstring it stands in."""
    line = " ".join(text.split())[:300]
    return "".join(c if c.isprintable() and c not in "\\\"'" else " " for c in line)


_PROGRAM = '''#!/usr/bin/env python3
"""{title}

{description}

    {example}

Needs Ragloom (pip install ragloom). Knowledge bases, models and files come from a data folder:
--data, RAGLOOM_DATA or ./data. Where a server holds that folder, the server runs the workflow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mimetypes
import sys
from pathlib import Path
from typing import Any

try:
    from app.commands.backend import open_backend
    from app.engine.events import Event, NodeFailedEvent, NodeFinished, NodeSkipped
    from app.engine.graph import Graph
    from app.engine.runner import Runner
    from app.services.container import Services
    from app.services.neighbour import find_neighbour
    from app.services.runs.outputs import shape_outputs
    from app.services.problems import explain
    from app.settings import Settings, load_settings
    from storage.folder import DataFolder
except ModuleNotFoundError as error:
    sys.exit(f"{{error}}. This program needs Ragloom: pip install ragloom")

# JSON as it stands in the workflow's file; with these names it is Python as well.
true, false, null = True, False, None

INPUTS: list[dict[str, Any]] = {inputs}

GRAPH: dict[str, Any] = {graph}


async def run(inputs: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Run the workflow; returns its status, its outputs by name, and its error if it failed."""
    if find_neighbour(settings) is not None:
        return await run_on_server(inputs, settings)
    services = await Services.open(settings)
    try:
        runner = Runner(services.registry, services.world)
        ended = await runner.run(Graph.parse(GRAPH), inputs, "program", show)
    finally:
        await services.close()
    error = ended.problem.model_dump(include={{"code", "message", "fix"}}) if ended.problem else None
    outputs = shape_outputs(ended.outputs, GRAPH)
    return {{"status": ended.status, "outputs": outputs, "error": error}}


async def run_on_server(inputs: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The same, by the server that holds the data folder."""
    async with open_backend(settings) as backend:
        run_id = ""
        async for event in backend.execute(GRAPH, inputs, use_cache=True):
            run_id = event.run_id
            show(event)
        ended = await backend.execution(run_id)
    return {{name: ended[name] for name in ("status", "outputs", "error")}}


def show(event: Event) -> None:
    """Say on stderr how a step ended."""
    if isinstance(event, NodeFinished):
        print(f"done     {{event.node_id}} ({{event.duration_ms:.0f}} ms)", file=sys.stderr)
    elif isinstance(event, NodeFailedEvent):
        print(f"failed   {{event.node_id}}: {{event.problem.message}}", file=sys.stderr)
    elif isinstance(event, NodeSkipped):
        print(f"skipped  {{event.node_id}}: {{event.reason}}", file=sys.stderr)


def keep_file(path: Path, settings: Settings) -> dict[str, Any]:
    """Put a file where nodes can read it; returns how a run names it."""
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or ""
    blob = DataFolder(settings.data).blobs.put_bytes(content)
    return {{"filename": path.name, "blob": blob, "size": len(content), "media_type": kind}}


def main() -> int:
    """Read the flags, run, print the outputs; 0 when the run completed."""
    parser = argparse.ArgumentParser(description="Run a workflow of Ragloom.")
    for given in INPUTS:
        kind = Path if given["is_file"] else str
        parser.add_argument(
            given["flag"], dest=given["flag"], metavar="VALUE", type=kind, help=given["help"]
        )
    parser.add_argument("--data", type=Path, help="data folder (RAGLOOM_DATA, else ./data)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    flags = vars(parser.parse_args())
    try:
        settings = load_settings(data=flags["data"], demo=False)
        was_there = settings.data.exists()
        inputs = {{
            given["key"]: keep_file(value, settings) if given["is_file"] else value
            for given in INPUTS
            if (value := flags[given["flag"]]) is not None
        }}
        ended = asyncio.run(run(inputs, settings))
    except Exception as error:
        report = explain(error)
        print(f"{{report.message}} {{report.fix}}".strip(), file=sys.stderr)
        return 1
    if flags["json"]:
        print(json.dumps(ended, ensure_ascii=False, indent=2))
    else:
        for name, value in ended["outputs"].items():
            written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            print(f"{{name}}: {{written}}")
        if ended["error"]:
            print(f"{{ended['error']['message']}} {{ended['error'].get('fix', '')}}", file=sys.stderr)
    if ended["error"] and not was_there:
        print(f"The folder {{settings.data}} is new and empty; --data names yours.", file=sys.stderr)
    return 0 if ended["status"] == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())
'''
