"""Draws one page of a PDF or a picture; run as a process of its own: files come from anybody.

`python -m app.services.knowledge.page_render SOURCE PAGE WIDTH TARGET`
"""

from __future__ import annotations

import resource
import sys

#: Exit codes.
NO_SUCH_PAGE, DAMAGED = 3, 4

_MEMORY = 1 << 30
_CPU_S = 15
_LARGEST_IMAGE = 64 * 1024 * 1024
#: Height is bounded too: a page can be a thousand times higher than wide.
_MAX_PIXELS = 16_000_000
_MOST_PIXELS_READ = 100_000_000
_PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")


def render(source: str, page: int, width: int, target: str) -> int:
    """Draw page `page` (from 1) into the PNG file `target`; returns an exit code."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(source)
    except pypdfium2.PdfiumError:
        return _picture(source, page, width, target)
    if not 1 <= page <= len(document):
        return NO_SUCH_PAGE
    shown = document[page - 1]
    across, down = shown.get_size()
    scale = min(width / across, (_MAX_PIXELS / (across * down)) ** 0.5)
    shown.render(scale=scale).to_pil().save(target, "PNG")
    return 0


def _picture(source: str, page: int, width: int, target: str) -> int:
    """Draw a picture, or a page of one that has several, the way up that it says."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS_READ
    try:
        with Image.open(source, formats=_PICTURES) as image:
            if page > getattr(image, "n_frames", 1):
                return NO_SUCH_PAGE
            image.seek(page - 1)
            shown = ImageOps.exif_transpose(image).convert("RGB")
            shown.thumbnail((width, _MAX_PIXELS // width))
            shown.save(target, "PNG")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return DAMAGED
    return 0


def _main() -> int:
    for limit, value in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_FSIZE, _LARGEST_IMAGE),
    ):
        resource.setrlimit(limit, (value, value))
    source, page, width, target = sys.argv[1:]
    return render(source, int(page), int(width), target)


if __name__ == "__main__":
    sys.exit(_main())
