"""Links between the pages of the documentation: each file and each heading they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")],
    key=lambda page: page.as_posix(),
)
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.S | re.M)


def prose(page: Path) -> str:
    """A page without its blocks and spans of code, where brackets mean other things."""
    return re.sub(r"`[^`\n]*`", "``", _FENCE.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them; a repeated one gets a number."""
    found: dict[str, int] = {}
    names: set[str] = set()
    text = _FENCE.sub("", page.read_text("utf-8"))
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = found.get(name, 0)
        found[name] = number + 1
        names.add(f"{name}-{number}" if number else name)
    return names


def internal(page: Path) -> Iterator[str]:
    """Links of a page to other pages, pictures, folders or headings."""
    for target in _LINK.findall(prose(page)):
        if not re.match(r"[a-z][a-z0-9+.-]*:", target, re.I):
            yield unquote(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    """Every link leads to something inside the repository, and to a heading that is there."""
    wrong = []
    for link in internal(page):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            wrong.append(f"{link}: there is no such file")
        elif heading and (target.suffix != ".md" or heading not in anchors(target)):
            wrong.append(f"{link}: there is no such heading")
    assert not wrong, "\n".join(wrong)


def test_paths_in_the_documents_exist() -> None:
    """What stands as a path of the repository's folders leads to a file or folder."""
    wrong = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in PAGES
        if page.name != "CHANGELOG.md"  # tells of what was, too
        for path in re.findall(
            r"`((?:app|storage|benchmarks|deploy)/[\w/.-]+)`", page.read_text("utf-8")
        )
        if not (ROOT / path).exists()
    ]
    assert not wrong, "\n".join(wrong)


def test_headings_have_the_anchors_that_github_gives_them(tmp_path: Path) -> None:
    """What the test above relies on: words, dashes, code, repeated headings, headings in code."""
    page = tmp_path / "page.md"
    page.write_text("# What, why?\n## `code` & more\n## Twice\n## Twice\n```\n# not one\n```\n")
    assert anchors(page) == {"what-why", "code--more", "twice", "twice-1"}


def test_every_decision_is_numbered_once() -> None:
    """Decisions are numbered from 1 without gaps, and their title has the number of the file."""
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(file.name[:4]) for file in files]
    assert numbers == list(range(1, len(files) + 1))
    for number, file in zip(numbers, files, strict=True):
        assert file.read_text("utf-8").startswith(f"# {number}. "), file.name
