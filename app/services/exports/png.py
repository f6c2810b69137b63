"""Pictures as PNG, in the typeface of the pages."""

from __future__ import annotations

import subprocess
import sys
import threading
from math import sqrt
from pathlib import Path

from app.engine.problems import RagloomError

#: Longest side and number of pixels of a picture; larger ones are drawn smaller.
MAX_SIDE = 8_192
MAX_PIXELS = 24_000_000
#: Past this a picture would show nothing but specks.
_SMALLEST = 0.05
_TIMEOUT_S = 90.0
#: A picture may take some hundred megabytes while it is drawn.
_SLOTS = threading.BoundedSemaphore(2)


def png_of(svg: str, width: float, height: float, *, scale: float = 2.0) -> bytes:
    """Draw an SVG of this size in pixels; `scale` is lowered until the picture has a sane size.

    Raises RagloomError “too_large”. Blocks for seconds: not to be called on the event loop.
    """
    scale = min(scale, MAX_SIDE / width, MAX_SIDE / height, sqrt(MAX_PIXELS / (width * height)))
    if scale < _SMALLEST:
        raise _too_large(f"{width:,.0f} by {height:,.0f} pixels large")
    try:
        # Our own interpreter, our own module, and a number: nothing of the workflow is in it.
        with _SLOTS:
            drawn = subprocess.run(  # noqa: S603
                [sys.executable, "-m", "app.services.exports.png_render", f"{scale:.6f}"],
                input=svg.encode(),
                capture_output=True,
                check=False,
                timeout=_TIMEOUT_S,
                cwd=Path(__file__).parents[3],
            )
    except subprocess.TimeoutExpired:
        raise _too_large("too much to draw in time") from None
    if drawn.returncode or not drawn.stdout.startswith(b"\x89PNG"):
        raise _too_large("too much to draw within the limits of time and memory")
    return drawn.stdout


def _too_large(what: str) -> RagloomError:
    return RagloomError(
        f"The workflow is {what}: too large for a picture.",
        code="too_large",
        fix="Tidy it up so that nodes stand closer, or export it as SVG.",
    )
