"""Draws an SVG; run as a process of its own, because drawing holds the interpreter for seconds.

`python -m app.services.exports.png_render SCALE < picture.svg > picture.png`
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_FONTS = Path(__file__).parent / "fonts"
_MEMORY = 2 << 30
_CPU_S = 60


def render(svg: str, scale: float) -> bytes:
    """The picture as PNG, in the typeface of the pages."""
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


def _main() -> int:
    for limit, value in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _CPU_S)):
        resource.setrlimit(limit, (value, value))
    picture = render(sys.stdin.buffer.read().decode(), float(sys.argv[1]))
    sys.stdout.buffer.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
