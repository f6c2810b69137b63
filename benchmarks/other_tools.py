"""What other tools make of files: each runs in a Python environment of its own.

An environment variable names the Python of the environment a tool is installed in; without it the
tool is left out. `RAGLOOM_BENCH_MARKITDOWN`: `pip install "markitdown[all]"`.
`RAGLOOM_BENCH_DOCLING`: `pip install docling`; reading PDFs and images takes models that it
downloads on first use, and files of the other formats are read without any.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Converts the files on its command line, and prints a line of JSON for each: [name, text, error].
_LOOP = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
{setup}
for name in sys.argv[1:]:
    try:
        answer = [name, convert(name), ""]
    except Exception as error:
        answer = [name, None, f"{{type(error).__name__}}: {{error}}"]
    print(json.dumps(answer), flush=True)
"""
_MARKITDOWN = """
from markitdown import MarkItDown
tool = MarkItDown()
def convert(name):
    return tool.convert(name).text_content
"""
# Without its models every PDF would ask for them again, for minutes.
_DOCLING = """
from docling.document_converter import DocumentConverter
tool = DocumentConverter()
without_models = False
def convert(name):
    global without_models
    if not (without_models and name.endswith(".pdf")):
        try:
            return tool.convert(name).document.export_to_markdown()
        except Exception as error:
            if not type(error).__module__.startswith("huggingface_hub"):
                raise
            without_models = True
    raise RuntimeError("its models are not on this machine and could not be downloaded")
"""


@dataclass(slots=True)
class Answers:
    """What a tool made of files: their text, or why it did not read them."""

    texts: dict[Path, str] = field(default_factory=dict)
    errors: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """Another tool: its name, the variable that names its Python, and how it is called there."""

    name: str
    variable: str
    setup: str

    def read(self, paths: Iterable[Path]) -> Answers | None:
        """Return what it makes of the files; None where it is not at hand."""
        python = os.environ.get(self.variable)
        if not python:
            return None
        done = subprocess.run(
            [python, "-c", _LOOP.format(setup=self.setup), *map(str, paths)],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        answers = Answers()
        for line in done.stdout.splitlines():
            if line.startswith('["'):  # tools print things of their own
                name, text, error = json.loads(line)
                if text is None:
                    answers.errors[Path(name)] = error
                else:
                    answers.texts[Path(name)] = text
        return answers


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("markitdown", "RAGLOOM_BENCH_MARKITDOWN", _MARKITDOWN),
        Tool("docling", "RAGLOOM_BENCH_DOCLING", _DOCLING),
    )
}
