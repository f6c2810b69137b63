"""Workflows as files for elsewhere: nothing of a workflow escapes from where it stands."""

from __future__ import annotations

import ast
import copy
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.nodes import register_all
from app.services.exports.png import MAX_PIXELS, MAX_SIDE, png_of
from app.services.exports.python import inputs_of
from app.services.exports.service import ExportService
from app.services.exports.svg import svg_and_size
from app.services.exports.text import fit, note_height, note_lines, spans, width

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert(1)</script>"]; end %% """ \\ \u202e{}'
FILE: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {
        "format": "ragloom/1",
        "name": "Say it",
        "description": "Says what it is told.",
        "outputs": {"said": ["output", "value"]},
        "notes": [{"id": "n", "x": 0, "y": 200, "text": HOSTILE, "colour": "rose"}],
        "groups": [{"id": "g", "title": HOSTILE, "nodes": ["text", "gone"], "colour": "no"}],
    },
    "nodes": [
        {"id": "text", "type": "text_input", "title": HOSTILE, "config": {"default": "hello"},
         "position": [0, 0]},
        {"id": "output", "type": "output", "config": {}},
        {"id": "x", "type": "not_of_ours", "config": {}, "disabled": True},
    ],
    "edges": [
        {"source": "text", "target": "output", "key": "text>value"},
        {"source": "x", "target": "output", "key": "odd>value"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def registry() -> Registry:
    made = Registry()
    register_all(made)
    return made


@pytest.fixture
def exports(registry: Registry) -> ExportService:
    return ExportService(None, registry)  # type: ignore[arg-type]  # only graphs are exported


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


async def test_json_is_the_file_itself(exports: ExportService) -> None:
    made = await exports.export(FILE, "json")
    assert (made.media_type, made.filename) == ("application/json", "say-it.json")
    assert json.loads(made.content) == FILE


async def test_an_unknown_format_names_the_known_ones(exports: ExportService) -> None:
    with pytest.raises(RagloomError, match="no export format") as refused:
        await exports.export(FILE, "gif")
    assert "mermaid" in refused.value.fix


async def test_a_picture_shows_every_node_wire_and_note(
    exports: ExportService, registry: Registry
) -> None:
    svg = (await exports.export(FILE, "svg")).content.decode()
    drawing = ET.fromstring(svg)
    assert "<script" not in svg
    shown = texts(svg)
    for wanted in ("Output", "not_of_ours", "value", "odd", "off"):
        assert wanted in shown
    # A wire is a curve; the edges of cards have arcs, the lines in them neither.
    wires = [p for p in drawing.iter(f"{SVG}path") if "C" in p.attrib["d"]]
    assert len(wires) == 2
    assert len([r for r in drawing.iter(f"{SVG}rect") if r.get("rx") == "12"]) == 1
    dark = (await exports.export(FILE, "svg", theme="dark")).content.decode()
    assert dark != svg
    assert texts(dark) == shown
    left, top, wide, high = map(float, drawing.attrib["viewBox"].split())
    for card in drawing.iter(f"{SVG}rect"):
        x, y = float(card.attrib["x"]), float(card.attrib["y"])
        assert left <= x
        assert top <= y
        assert x + float(card.attrib["width"]) <= left + wide + 0.1
        assert y + float(card.attrib["height"]) <= top + high + 0.1


async def test_nodes_without_a_place_do_not_cover_each_other(registry: Registry) -> None:
    graph = copy.deepcopy(FILE)
    for node in graph["nodes"]:
        node.pop("position", None)
    svg, _, _ = svg_and_size(Graph.parse(graph), registry, "light")
    cards = [r for r in ET.fromstring(svg).iter(f"{SVG}rect") if r.get("width") == "240"]
    places = {(r.attrib["x"], r.attrib["y"]) for r in cards if r.get("rx") == "8"}
    assert len(places) >= 3


async def test_a_png_shows_the_same_picture(exports: ExportService) -> None:
    made = await exports.export(FILE, "png")
    image = Image.open(io.BytesIO(made.content)).convert("RGB")
    svg = ET.fromstring((await exports.export(FILE, "svg")).content)
    assert image.width == pytest.approx(2 * float(svg.attrib["width"]), abs=2)
    colours = image.getcolors(1 << 24)
    assert colours is not None
    # Text was drawn: many shades between the ink and the paper.
    assert len(colours) > 50


def test_a_large_picture_is_drawn_smaller_and_a_vast_one_refused() -> None:
    body = '<svg xmlns="http://www.w3.org/2000/svg" width="40000" height="9000"/>'
    image = Image.open(io.BytesIO(png_of(body, 40_000, 9_000)))
    assert max(image.size) <= MAX_SIDE
    assert image.width * image.height <= MAX_PIXELS
    with pytest.raises(RagloomError, match="too large for a picture"):
        png_of(body, 2_000_000, 500)


def test_lines_fit_their_room() -> None:
    assert fit("Retrieve", 200, 14) == "Retrieve"
    cut = fit("A title that is far too long for the card it stands on", 120, 14, 600)
    assert cut.endswith("…")
    assert width(cut, 14, 600) <= 120
    long = "one two three four five six seven\n\neight " + "x" * 400 + "大" * 40
    lines = note_lines(long, 60)
    assert all(width(line, 13, weight) <= 60 for line, weight in lines)
    assert "".join(line for line, _ in lines).replace(" ", "") == "".join(long.split())
    assert note_height(long, 84) > len(lines) * 18


def test_notes_lose_the_marks_of_their_words() -> None:
    text = "## A **bold** head\n- see [docs](https://a.example/b)\n* and `code`\n1. *so* 2 * 3\n\n**end**"
    assert note_lines(text, 400) == [
        ("A bold head", 600), ("• see docs", 400), ("• and code", 400), ("1. so 2 * 3", 400),
        ("", 400), ("end", 600),
    ]  # fmt: skip


def test_other_scripts_change_nothing_of_the_words_beside_them() -> None:
    assert spans("Grün & “quiet” …", 10, 13, 400) == "Grün &amp; “quiet” …"
    mixed = ET.fromstring(f"<text>{spans('ask → <大> it', 10, 13, 400)}</text>")
    assert "".join(mixed.itertext()) == "ask → <大> it"
    faces = [part.get("font-family") is not None for part in mixed]
    assert faces == [False, True, False, True, False]
    places = [float(part.attrib["x"]) for part in mixed]
    assert places[0] == 10
    assert places == sorted(places)


async def test_pictographs_are_left_out_where_no_typeface_may_have_them(registry: Registry) -> None:
    graph = copy.deepcopy(FILE)
    graph["nodes"][0]["title"] = "☝️ Read ✨ this ✓"
    for kept, title in ((True, "☝️ Read ✨ this ✓"), (False, "Read  this ✓")):
        svg, _, _ = svg_and_size(Graph.parse(graph), registry, "light", pictographs=kept)
        shown = {"".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text")}
        assert " ".join(title.split()) in shown


async def test_words_beside_an_arrow_look_as_they_do_alone(
    exports: ExportService, registry: Registry
) -> None:
    def drawn(text: str) -> Image.Image:
        note = {"id": "n", "x": 0, "y": 0, "width": 400, "height": 96, "text": text}
        graph = Graph(extra={"notes": [note]})
        picture = png_of(*svg_and_size(graph, registry, "light"))
        return Image.open(io.BytesIO(picture)).convert("RGB")

    words = (0, 0, 400, 200)  # left of the arrow, in a picture of twice the size
    alone, beside = (drawn(f"Words that stay upright{rest}") for rest in ("", " → and more"))
    assert alone.crop(words).tobytes() == beside.crop(words).tobytes()


async def test_mermaid_is_a_flowchart_whose_labels_are_only_text(exports: ExportService) -> None:
    chart = (await exports.export(FILE, "mermaid")).content.decode()
    lines = chart.splitlines()
    assert lines[:4] == ["---", 'title: "Say it"', "---", "flowchart LR"]
    label = r'"[^"<>\[\]{}|`]*(<br/>[^"<>\[\]{}|`]*)?"'
    known = (
        rf"subgraph g\d+\[{label}\]", "end", rf"n\d+\[{label}\]", rf"n\d+ -->\|{label}\| n\d+",
        rf"note\d+>{label}\]", r"classDef \w+ [\w:#, -]+", r"class (n\d+,?)+ \w+",
    )  # fmt: skip
    for line in lines[4:]:
        assert any(re.fullmatch(form, line.strip()) for form in known), line
    assert sum("-->" in line for line in lines) == 2
    assert sum(line.strip() == "end" for line in lines) == 1


async def test_a_program_holds_the_graph_and_nothing_of_it_as_code(
    exports: ExportService, registry: Registry
) -> None:
    source = (await exports.export(FILE, "python")).content.decode()
    tree = ast.parse(source)
    values = {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    names = {"true": True, "false": False, "null": None}
    graph = values["GRAPH"]
    assert graph is not None
    allowed = (ast.Dict, ast.List, ast.Constant, ast.Name, ast.Load, ast.UnaryOp, ast.USub)
    for part in ast.walk(graph):
        assert isinstance(part, allowed)
        if isinstance(part, ast.Name):
            assert part.id in names
    assert [given.flag for given in inputs_of(Graph.parse(FILE), registry)] == ["text"]
    assert "alert" not in (ast.get_docstring(tree) or "")


def test_every_input_has_a_flag_of_its_own(registry: Registry) -> None:
    graph = Graph.parse(FILE)
    for number, name in enumerate(("Data", "data!", "Größe", "%s", "json")):
        spec = Graph.parse(FILE).nodes["text"]
        spec.id, spec.config = f"t{number}", {"name": name}
        graph.nodes[spec.id] = spec
    inputs = inputs_of(graph, registry)
    flags = [given.flag for given in inputs]
    assert len(set(flags)) == len(flags) == 6
    assert not {"data", "json", "help"} & set(flags)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]*", flag) for flag in flags)


async def test_a_program_runs(exports: ExportService, tmp_path: Path) -> None:
    graph = copy.deepcopy(FILE)
    graph["nodes"].pop()
    graph["edges"].pop()
    program = tmp_path / "say it.py"
    program.write_bytes((await exports.export(graph, "python")).content)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAGLOOM_")}

    said = subprocess.run(
        [sys.executable, program, "--data", tmp_path / "data", "--text", "good morning", "--json"],
        check=False,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == {
        "status": "completed", "outputs": {"said": "good morning"}, "error": None,
    }  # fmt: skip
    assert "done     text" in said.stderr
    assert "--data names yours" not in said.stderr
    graph["nodes"].append({"id": "find", "type": "retrieve", "config": {"knowledge_base": "Tides"}})
    graph["nodes"].append({"id": "ask", "type": "question", "config": {"default": "When?"}})
    graph["edges"].append({"source": "ask", "target": "find", "key": "query>query"})
    program.write_bytes((await exports.export(graph, "python")).content)
    lost = subprocess.run(
        [sys.executable, program, "--data", tmp_path / "elsewhere"],
        check=False,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert lost.returncode == 1
    assert "no knowledge base" in lost.stderr
    assert "elsewhere is new and empty; --data names yours." in lost.stderr
    bare = subprocess.run(
        [sys.executable, "-I", "-S", program],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert bare.returncode == 1
    assert bare.stderr.endswith("This program needs Ragloom: pip install ragloom\n")
    assert "Traceback" not in bare.stderr


_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=60, deadline=None)
@given(title=_TEXT, note=_TEXT, name=_TEXT, port=_TEXT.filter(lambda p: ">" not in p and p))
def test_any_text_is_shown_as_text(title: str, note: str, name: str, port: str) -> None:
    data = copy.deepcopy(FILE)
    data["graph"] |= {"name": name, "description": note, "notes": [{"id": "n", "text": note}]}
    data["nodes"][0]["title"] = title
    data["edges"][0]["key"] = f"{port}>value"
    graph, bare = Graph.parse(data), Registry()
    svg, _, _ = svg_and_size(graph, bare, "light")
    allowed = {"svg", "title", "desc", "rect", "path", "circle", "g", "text", "tspan"}
    assert {e.tag.removeprefix(SVG) for e in ET.fromstring(svg).iter()} <= allowed
    service = ExportService(None, bare)  # type: ignore[arg-type]
    chart = service._export(data, "mermaid", "light").content.decode()
    assert sum("-->" in line for line in chart.splitlines()) == 2
    program = service._export(data, "python", "light").content.decode()
    made: dict[str, Any] = {"true": True, "false": False, "null": None}
    literal = program.split("GRAPH: dict[str, Any] = ")[1].split("\n\n\nasync def run(")[0]
    assert eval(literal, {"__builtins__": {}}, made) == graph.dump()
    compile(program, "program.py", "exec")
