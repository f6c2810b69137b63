"""The look of every page: tokens, fonts and the little script, served from the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nicegui import app as nicegui_app
from nicegui import ui

STATIC = Path(__file__).parent / "static"
FONTS = Path(__file__).parent / "canvas" / "dist" / "fonts"
FAVICON = STATIC / "favicon.svg"


@cache
def _stamp() -> int:
    """Changes with the files, so that browsers may keep them for long."""
    return max(int(p.stat().st_mtime) for p in STATIC.iterdir())


def install() -> None:
    """Serve the static files and set how stock elements look; call once per process."""
    nicegui_app.add_static_files("/_ragloom/static", STATIC)
    if FONTS.is_dir():
        nicegui_app.add_static_files("/_ragloom/fonts", FONTS)
    ui.button.default_props("unelevated no-caps no-wrap :ripple=false")
    ui.input.default_props("outlined dense hide-bottom-space")
    ui.number.default_props("outlined dense hide-bottom-space")
    ui.textarea.default_props("outlined dense autogrow hide-bottom-space")
    ui.select.default_props(
        "outlined dense options-dense hide-bottom-space dropdown-icon=expand_more"
    )
    ui.tabs.default_props("dense no-caps align=left inline-label :breakpoint=0")
    ui.menu_item.default_props("role=menuitem")
    ui.tooltip.default_props("delay=400 transition-duration=100")


def head() -> None:
    """Add the style and the script to the page being built."""
    stamp = _stamp()
    ui.add_head_html(
        # Asked for before the style that names it, so that no text is drawn in another font first.
        '<link rel="preload" as="font" type="font/woff2" crossorigin'
        ' href="/_ragloom/fonts/inter-variable.woff2">'
        f'<script src="/_ragloom/static/ragloom.js?v={stamp}"></script>'
        f'<link rel="stylesheet" href="/_ragloom/fonts/fonts.css?v={stamp}">'
        f'<link rel="stylesheet" href="/_ragloom/static/theme.css?v={stamp}">'
        f'<link rel="stylesheet" href="/_ragloom/static/work.css?v={stamp}">'
        f'<link rel="stylesheet" href="/_ragloom/static/run.css?v={stamp}">'
        f'<link rel="stylesheet" href="/_ragloom/static/inspector.css?v={stamp}">'
        f'<link rel="stylesheet" href="/_ragloom/static/documents.css?v={stamp}">'
        f'<link rel="stylesheet" href="/_ragloom/static/begin.css?v={stamp}">'
        f'<link rel="stylesheet" href="/_ragloom/static/tour.css?v={stamp}">'
        f'<script src="/_ragloom/static/tour.js?v={stamp}"></script>'
    )
