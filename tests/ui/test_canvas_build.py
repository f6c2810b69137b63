"""The front-end bundle: current, complete, licensed, and installable from any registry."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bundle_is_built_from_these_sources_and_the_lock_names_no_registry(
    hook: ModuleType,
) -> None:
    assert hook.check() == []


def test_a_changed_source_makes_the_bundle_stale(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frontend, dist = tmp_path / "frontend", tmp_path / "dist"
    (frontend / "src").mkdir(parents=True)
    dist.mkdir()
    source = frontend / "src" / "a.js"
    source.write_text("1")
    (dist / "index.js").write_text("built")
    monkeypatch.setattr(hook, "FRONTEND", frontend)
    monkeypatch.setattr(hook, "DIST", dist)
    monkeypatch.setattr(hook, "STAMP", dist / "sources.sha256")
    assert hook.is_stale()
    hook.STAMP.write_text(hook.sources_hash())
    assert not hook.is_stale()
    source.write_text("2")
    assert hook.is_stale()
    monkeypatch.setattr(hook, "FRONTEND", tmp_path / "not-packed")
    assert not hook.is_stale()


def test_pages_find_their_fonts_and_the_api_page_its_scripts(hook: ModuleType) -> None:
    fonts = (hook.DIST / "fonts" / "fonts.css").read_text()
    files = re.findall(r'url\("([^"]+)"\)', fonts)
    assert {"inter-variable.woff2", "mono-variable.woff2"} <= set(files)
    for name in (*files, "inter-LICENSE.txt", "mono-LICENSE.txt"):
        assert (hook.DIST / "fonts" / name).stat().st_size > 1000
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "LICENSE"):
        assert (hook.DIST / "swagger" / name).exists()
    assert "@vue-flow/core" in (hook.DIST / "LICENSES.md").read_text()
