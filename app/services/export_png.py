"""Pictures as PNG, in the typeface of the pages."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

from app.engine.problems import RagloomError

_FONTS = Path(__file__).parent / "fonts"
#: Longest side and number of pixels of a picture; larger ones are drawn smaller.
MAX_SIDE = 8_192
MAX_PIXELS = 24_000_000
#: Past this a picture would show nothing but specks.
_SMALLEST = 0.05


def png_of(svg: str, width: float, height: float, *, scale: float = 2.0) -> bytes:
    """Draw an SVG of this size in pixels; `scale` is lowered until the picture has a sane size.

    Raises RagloomError “too_large”. Takes tenths of a second; do not call it on the event loop.
    """
    scale = min(scale, MAX_SIDE / width, MAX_SIDE / height, sqrt(MAX_PIXELS / (width * height)))
    if scale < _SMALLEST:
        raise RagloomError(
            f"The workflow is {width:,.0f} by {height:,.0f} pixels large: too large for a picture.",
            code="too_large",
            fix="Tidy it up so that nodes stand closer, or export it as SVG.",
        )
    import resvg_py

    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            zoom=scale,
            # Those of the system stand in for scripts that the shipped typeface lacks.
            font_files=[str(path) for path in sorted(_FONTS.glob("*.ttf"))],
            font_family="Inter",
            sans_serif_family="Inter",
        )
    )
