"""Text in images, by RapidOCR's PP-OCR models: they lie in its package, nothing is downloaded.

One engine a process, loaded at first use. Run it in a worker process: it takes about a second to
load, 950 MB of address space at most, and one to three seconds a page on one core.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.documents.errors import DocumentError

#: Lines the recogniser is less sure of are left out: noise, pictures, scribbles.
MIN_CONFIDENCE = 0.5
#: Pixels of an image that is looked at, as in Pillow's own guard against bombs.
MAX_PIXELS = 100_000_000
#: Longer side an image is shrunk to before it is read: A4 at 200 dpi.
MAX_SIDE = 2_400
#: Longer side at which lines are found (they are read at full size): type of 6 points on A4 is
#: still seen. Memory grows with its square, and at 1,120 a line alone on a page is overlooked.
DETECTION_SIDE = 960
#: Text lines read of one image.
MAX_LINES = 1_000
#: Lines of one call: between calls the time is looked at.
_BATCH = 24
#: Lines of a column of prose at least, its width and the space beside it in shares of the image's.
_COLUMN_LINES, _COLUMN_WIDTH, _COLUMN_GAP = 5, 0.2, 0.004
#: Difference in grey (of 255) between letters and their ground, and pixels left around letters.
_INK, _MARGIN = 60, 24
#: Lines read both ways up to tell which is right.
_SAMPLE = 4

#: left, top, right, bottom: fractions of an image's width and height, unless it says pixels.
Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: how sure the recogniser is (0..1) and where it stands in the image."""

    text: str
    confidence: float
    box: Corners


@dataclass(frozen=True, slots=True)
class Reading:
    """What an image says. Places are those of the image turned upright."""

    lines: list[Line]
    #: Quarter turns to the left that make the image upright.
    turns: int = 0
    #: False where the time ran out before the last line.
    complete: bool = True


def read_image(image: Any, *, seconds: float | None = None) -> list[Line]:
    """Return the lines of an image from top to bottom, with their places in it as it is given.

    Args:
        image: a file's path or bytes, a Pillow image, or an array (height, width[, 3]) of bytes.
        seconds: time after which no more lines are read.

    Raises:
        DocumentError: ocr_missing, too_large, damaged.
    """
    reading = recognise(to_array(image), seconds=seconds)
    return [
        Line(line.text, line.confidence, turned(line.box, -reading.turns)) for line in reading.lines
    ]


def available() -> bool:
    """Whether text recognition is installed, without loading it."""
    from importlib.util import find_spec

    return find_spec("rapidocr") is not None


def turned(box: Corners, turns: int) -> Corners:
    """Return a place after so many quarter turns of its image to the left."""
    for _ in range(turns % 4):
        x0, y0, x1, y1 = box
        box = y0, 1 - x1, y1, 1 - x0
    return box


def to_array(image: Any) -> Any:
    """Return an image as an array (height, width, 3), shrunk to `MAX_SIDE`.

    Raises:
        DocumentError: too_large, damaged.
    """
    import numpy as np
    from PIL import Image, ImageOps

    if isinstance(image, np.ndarray):
        _check_size(image.shape[1], image.shape[0])
        image = Image.fromarray(image if image.ndim == 2 else image[..., :3])
    try:
        if isinstance(image, bytes):
            image = Image.open(io.BytesIO(image))
        elif isinstance(image, Path):
            image = Image.open(image)
        _check_size(*image.size)
        image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # a JPEG is decoded at a fraction of its size
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            paper = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(paper, image)
        image = image.convert("RGB")
        image.thumbnail((MAX_SIDE, MAX_SIDE))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DocumentError(
            "damaged",
            f"The image cannot be read ({type(error).__name__}).",
            "Open it in an image viewer, save it anew and upload that.",
        ) from error
    return np.asarray(image)


def recognise(image: Any, *, seconds: float | None = None) -> Reading:
    """Read an array (height, width, 3) as `to_array` returns it.

    Raises:
        DocumentError: ocr_missing.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    engine = _engine()
    boxes, crops = _find_lines(engine, image)
    if not crops and (inked := _inked(image)) is not None:
        # A line alone on a large page is overlooked: look at it alone.
        x0, y0, x1, y1 = inked
        boxes, crops = _find_lines(engine, image[y0:y1, x0:x1])
        boxes = [(a + x0, b + y0, c + x0, d + y0) for a, b, c, d in boxes]
    if not crops:
        return Reading([])
    height, width = image.shape[:2]
    tall = [_is_tall(box) for box in boxes]
    sideways = sum(box[3] - box[1] for box, t in zip(boxes, tall, strict=True) if t) > sum(
        box[2] - box[0] for box, t in zip(boxes, tall, strict=True) if not t
    )
    # The crop of a tall box is turned to the left already.
    main = [crop for crop, t in zip(crops, tall, strict=True) if t == sideways]
    flipped = _upside_down(engine, main, suspected=sideways)
    turns = (1 if sideways else 0) + (2 if flipped else 0)
    if flipped:
        crops = [crop[::-1, ::-1] for crop in crops]
    lines: list[Line] = []
    complete = True
    for start in range(0, len(crops), _BATCH):
        if deadline is not None and time.monotonic() > deadline:
            complete = False
            break
        texts = _read(engine, crops[start : start + _BATCH])
        for box, (text, confidence) in zip(boxes[start : start + _BATCH], texts, strict=True):
            if confidence >= MIN_CONFIDENCE and text.strip():
                share = box[0] / width, box[1] / height, box[2] / width, box[3] / height
                lines.append(Line(text.strip(), confidence, turned(share, turns)))
    return Reading(in_order(lines), turns, complete)


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Return lines as they are read: columns of prose one after the other, else row by row."""
    gap = _between_columns(lines)
    if gap is None:
        return _in_rows(lines)
    ordered: list[Line] = []
    left: list[Line] = []
    right: list[Line] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3]):
        if line.box[2] <= gap:
            left.append(line)
        elif line.box[0] >= gap:
            right.append(line)
        else:  # a title, say: what is above it comes first
            ordered += [*_in_rows(left), *in_order(right), line]
            left, right = [], []
    return [*ordered, *_in_rows(left), *in_order(right)]


def _between_columns(lines: Sequence[Line]) -> float | None:
    """Return where a column of prose ends and the next begins, if the lines stand in such."""
    if len(lines) < 2 * _COLUMN_LINES:
        return None
    for gap in sorted({line.box[2] + _COLUMN_GAP / 2 for line in lines}):
        sides = (
            [line for line in lines if line.box[2] <= gap],
            [line for line in lines if line.box[0] >= gap + _COLUMN_GAP / 2],
        )
        across = len(lines) - sum(map(len, sides))
        if across > 0.25 * len(lines) or min(map(len, sides)) < _COLUMN_LINES:
            continue
        if all(_is_column(side) for side in sides):
            return gap
    return None


def _is_column(lines: Sequence[Line]) -> bool:
    """Whether most lines fill the width that they share, as prose does and cells do not."""
    width = max(line.box[2] for line in lines) - min(line.box[0] for line in lines)
    full = sum(line.box[2] - line.box[0] > 0.75 * width for line in lines)
    return width >= _COLUMN_WIDTH and (
        full >= 0.5 * len(lines) or _between_columns(lines) is not None
    )


def _in_rows(lines: Sequence[Line]) -> list[Line]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3]):
        middle = (line.box[1] + line.box[3]) / 2
        if rows and middle < sum(item.box[3] for item in rows[-1]) / len(rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box[0])]


@cache
def _engine() -> Any:
    try:
        import rapidocr
    except ImportError as error:
        raise _missing("is not installed") from error
    models = Path(rapidocr.__file__).parent / "models"
    params: dict[str, Any] = {
        "Global.log_level": "critical",
        "Global.max_side_len": MAX_SIDE,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        # A batch is as wide as its longest line: one by one is faster on one core, and smaller.
        "Rec.rec_batch_num": 1,
        "Det.limit_type": "max",
        "Det.limit_side_len": DETECTION_SIDE,
        "Det.max_candidates": MAX_LINES,
    }
    for part, pattern in (
        ("Det", "*_det_*.onnx"),
        ("Cls", "*_cls_*.onnx"),
        ("Rec", "*_rec_*.onnx"),
    ):
        found = sorted(models.glob(pattern))
        if not found:  # RapidOCR would go and fetch it
            raise _missing("lacks its models")
        params[f"{part}.model_path"] = str(found[-1])
    return rapidocr.RapidOCR(params=params)


def _missing(what: str) -> DocumentError:
    return DocumentError(
        "ocr_missing",
        f"Text recognition {what}, and this file needs it.",
        'Install it (pip install "ragloom[ocr]"), or switch text recognition off.',
    )


def _find_lines(engine: Any, image: Any) -> tuple[list[Corners], list[Any]]:
    """Return the places (pixels) of lines and their images, turned level."""
    import numpy as np
    from rapidocr.main import RapidOCRError

    array = np.ascontiguousarray(image[..., ::-1])
    operations: dict[str, Any] = {}
    try:
        crops, found = engine.detect_and_crop(array, operations)
    except RapidOCRError:  # its way to say that there is nothing
        return [], []
    # A narrow strip was given a margin at its top.
    top = float(operations["padding_1"]["top"])
    boxes: list[Corners] = []
    for corners in found.boxes:
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        boxes.append((float(x0), y0 - top, float(x1), y1 - top))
    return boxes[:MAX_LINES], crops[:MAX_LINES]


def _inked(image: Any) -> tuple[int, int, int, int] | None:
    """Return the part of an image (pixels) that is not of the colour of its ground."""
    import numpy as np

    grey = image.mean(axis=2)
    marks = np.abs(grey - np.median(grey)) > _INK
    rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
    if not len(rows):
        return None
    return (
        max(0, int(columns[0]) - _MARGIN),
        max(0, int(rows[0]) - _MARGIN),
        int(columns[-1]) + _MARGIN,
        int(rows[-1]) + _MARGIN,
    )


def _is_tall(box: Sequence[float]) -> bool:
    """As RapidOCR decides to turn a crop."""
    return box[3] - box[1] >= 1.5 * (box[2] - box[0])


def _upside_down(engine: Any, crops: Sequence[Any], *, suspected: bool) -> bool:
    """Whether the lines are to be read the other way up, by the longest of them."""
    sample = sorted(crops, key=lambda crop: -crop.shape[1] / crop.shape[0])[:_SAMPLE]
    if not suspected:
        # Costs 2 ms; what it says of every single line is too often wrong.
        _, found = engine.cls_and_rotate(list(sample))
        votes = [label for label, _ in found.cls_res]
        if sum("180" in vote for vote in votes) * 2 < len(votes):
            return False
    as_is = sum(confidence for _, confidence in _read(engine, sample))
    turned_over = sum(
        confidence for _, confidence in _read(engine, [crop[::-1, ::-1] for crop in sample])
    )
    return turned_over > as_is


def _read(engine: Any, crops: Sequence[Any]) -> list[tuple[str, float]]:
    import numpy as np
    from rapidocr.main import RapidOCRError

    try:
        result = engine.recognize_txt([np.ascontiguousarray(crop) for crop in crops])
    except RapidOCRError:
        return [("", 0.0)] * len(crops)
    return [(text, float(score)) for text, score in zip(result.txts, result.scores, strict=True)]


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DocumentError(
            "too_large",
            f"The image has {width:,} × {height:,} pixels; "
            f"{MAX_PIXELS // 1_000_000} million are allowed.",
            "Scale it down and upload that.",
        )
