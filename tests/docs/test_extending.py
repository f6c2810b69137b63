"""The worked example of an extension, installed as a package and used by a server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: A program with the package at hand: services over a new folder, and what the page asks of them.
PROGRAM = """
import asyncio, json, sys
from pathlib import Path

from app.services.container import Services
from app.services.ingestion.service import IncomingFile
from app.services.ingestion.processing_options import processing_options
from app.services.views import SearchConfig
from app.settings import load_settings


async def main():
    settings = load_settings(environ={}, data=Path(sys.argv[1]), demo=False, port=0)
    services = await Services.open(settings, background=False)
    try:
        config = json.loads(sys.argv[2])
        kb = (await services.knowledge.create("Recipes", config=config)).knowledge_base_id
        text = sys.argv[3].encode()
        job = await services.ingest.submit(kb, [IncomingFile("bread.recipe", data=text)])
        job = await services.ingest.wait(job.job_id, 60)
        (result,) = job.results
        assert result.status == "success", result
        chunks = (await services.knowledge.chunks(kb, result.document_id)).items
        found = await services.search.search(kb, "flour", SearchConfig(search_type="semantic"))
        options = processing_options()
        options.pop("config_schema")
        print(json.dumps({
            "chunks": [[c.content, c.metadata] for c in chunks],
            "found": len(found.results),
            "models": found.metadata["embedding_models"],
            "options": options,
        }))
    finally:
        await services.close()


asyncio.run(main())
"""


def example(language: str, number: int = 0) -> str:
    """A block of code of the page."""
    page = (ROOT / "docs" / "extending.md").read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)[number]


def install(folder: Path) -> None:
    """Put the package of the page, and one that is broken, where Python finds them."""
    project = tomllib.loads(example("toml"))["project"]
    groups = project["entry-points"] | {"ragloom.validators": {
        **project["entry-points"]["ragloom.validators"], "broken": "kitchen:missing"
    }}  # fmt: skip
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (folder / "kitchen.py").write_text(example("python"), "utf-8")
    info = folder / "kitchen-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kitchen\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_the_package_of_the_page_works(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(site)
    use = example("python", 1)
    config = re.search(r'"config": (\{.*?\}),\n    \}', use, re.S)
    text = re.search(r'b"(.*?)"', use)
    assert config
    assert text
    done = subprocess.run(
        [
            sys.executable, "-c", PROGRAM, str(tmp_path / "data"),
            re.sub(r",(\s*\})", r"\1", config[1]), text[1].replace("\\n", "\n"),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": f"{site}:{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    contents = [content for content, _ in told["chunks"]]
    assert contents == ["Bread", "Mix 500 g of flour with 5 g of salt.", "Bake for 40 minutes."]
    mended = told["chunks"][1][1]
    assert mended["step"] == 1
    assert mended["source_text"] == "Mix 500 g of flour with some salt."
    assert told["found"] == 3
    assert told["models"] == ["letters"]
    options = told["options"]
    (recipe,) = (e for e in options["extractors"] if e["added"])
    assert (recipe["media_type"], recipe["extensions"]) == ("text/x-recipe", [".recipe"])
    assert {"name": "steps", "description": "Make a chunk of each step, numbered."} in options[
        "chunkers"
    ]
    (amounts,) = (v for v in options["validators"] if v["name"] == "has_amounts")
    assert amounts["action"] == "repair"
    assert amounts["actions"] == ["flag", "drop", "repair"]
    assert {"name": "letters"} in options["embedders"]
    (problem,) = options["problems"]
    assert (problem["kind"], problem["name"]) == ("validator", "broken")
