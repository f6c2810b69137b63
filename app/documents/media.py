"""Media types this toolkit reads, and names for those it meets but does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"
HTML = "text/html"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
CSV = "text/csv"
RST = "text/x-rst"
NOTEBOOK = "application/x-ipynb+json"
JSON = "application/json"
JSON_LINES = "application/jsonl"
EPUB = "application/epub+zip"
EMAIL = "message/rfc822"
RTF = "application/rtf"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
VTT = "text/vtt"
LATEX = "text/x-tex"
SRT = "application/x-subrip"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
WEBP = "image/webp"
BMP = "image/bmp"
GIF = "image/gif"

#: What a file of each type is called in messages.
NAMES = {
    PDF: "a PDF",
    DOCX: "a Word document",
    PPTX: "a PowerPoint presentation",
    XLSX: "an Excel workbook",
    XLS: "an old Excel workbook",
    HTML: "an HTML page",
    MARKDOWN: "Markdown",
    TEXT: "plain text",
    CSV: "comma-separated values",
    RST: "reStructuredText",
    NOTEBOOK: "a Jupyter notebook",
    JSON: "JSON",
    JSON_LINES: "JSON lines",
    EPUB: "an EPUB book",
    EMAIL: "an e-mail",
    RTF: "a rich text (RTF) file",
    ODT: "an OpenDocument text",
    ODS: "an OpenDocument spreadsheet",
    ODP: "an OpenDocument presentation",
    LATEX: "a LaTeX document",
    VTT: "WebVTT subtitles",
    SRT: "SubRip subtitles",
    PNG: "a PNG image",
    JPEG: "a JPEG image",
    TIFF: "a TIFF image",
    WEBP: "a WebP image",
    BMP: "a bitmap image",
    GIF: "a GIF image",
}

#: Extension -> media type of the formats read here.
EXTENSIONS = {
    ".pdf": PDF,
    ".docx": DOCX, ".docm": DOCX, ".dotx": DOCX,
    ".pptx": PPTX, ".pptm": PPTX, ".ppsx": PPTX,
    ".xlsx": XLSX, ".xlsm": XLSX, ".xls": XLS,
    ".html": HTML, ".htm": HTML, ".xhtml": HTML,
    ".md": MARKDOWN, ".markdown": MARKDOWN, ".mdx": MARKDOWN,
    ".txt": TEXT, ".text": TEXT, ".log": TEXT,
    ".csv": CSV, ".tsv": CSV,
    ".rst": RST, ".rest": RST,
    ".ipynb": NOTEBOOK,
    ".json": JSON, ".jsonl": JSON_LINES, ".ndjson": JSON_LINES,
    ".epub": EPUB,
    ".eml": EMAIL,
    ".rtf": RTF,
    ".odt": ODT, ".ott": ODT, ".ods": ODS, ".odp": ODP,
    ".tex": LATEX, ".latex": LATEX, ".ltx": LATEX,
    ".vtt": VTT, ".srt": SRT,
    ".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".tif": TIFF, ".tiff": TIFF,
    ".webp": WEBP, ".bmp": BMP, ".gif": GIF,
}  # fmt: skip

#: Types whose pages can be drawn.
DRAWN = frozenset({PDF, PNG, JPEG, TIFF, WEBP, BMP, GIF})
#: What a page is called in documents that have others, by extension.
_PAGES = {
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".ppt", ".odp"), "slide"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "sheet"),
}

IMAGES = frozenset({PNG, JPEG, TIFF, WEBP, BMP, GIF})
#: Types that are zip containers, by the `mimetype` they hold.
MIMETYPES = {EPUB: EPUB, ODT: ODT, f"{ODT}-template": ODT, ODS: ODS, ODP: ODP}

#: Types whose content is binary: a text under such a name is a mistake, not a document.
BINARY = frozenset({PDF, DOCX, PPTX, XLSX, EPUB, ODT, ODS, ODP, *IMAGES})

#: For people who have files: what kinds can be read, and the types of each.
KINDS = {
    "PDF": (PDF,),
    "Office files": (DOCX, PPTX, XLSX, XLS, ODT, ODS, ODP, RTF),
    "HTML": (HTML,),
    "Markdown": (MARKDOWN, RST),
    "LaTeX": (LATEX,),
    "e-books": (EPUB,),
    "mails": (EMAIL,),
    "notebooks": (NOTEBOOK,),
    "subtitles": (VTT, SRT),
    "JSON": (JSON, JSON_LINES),
    "text": (TEXT, CSV),
    "images": tuple(sorted(IMAGES)),
}
KINDS_IN_WORDS = ", ".join(KINDS)

#: For messages: what can be read.
SUPPORTED = (
    "pdf, docx, pptx, xlsx, xls, odt, ods, odp, rtf, epub, html, md, rst, tex, ipynb, txt, csv, json, jsonl, "
    "eml, vtt, srt, images (png, jpg, tiff, webp, bmp, gif) and zip archives of these"
)

#: First bytes -> type, of formats that begin with them.
MAGIC = (
    (b"\x89PNG\r\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"{\\rtf", RTF),
)

#: First bytes -> what the file is, for files that are recognised and refused.
REFUSED_MAGIC = (
    (b"RIFF", "an audio or video file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio or video file"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"%!PS", "a PostScript file"),
)


def page_word(filename: str) -> str:
    """What people call a page of a file of this name: “page”, “slide” or “sheet”."""
    return _PAGES.get(PurePath(filename).suffix.lower(), "page")


def page_place(filename: str, page: int | None) -> str:
    """What people call this page of a file: “page 3”, “slide 3”, “sheet 3”; "" for none."""
    return f"{page_word(filename)} {page}" if page else ""


def time_of(facts: object) -> str:
    """The time at which a passage of subtitles begins, such as “00:12:34”; "" for others.

    `facts` are the metadata of a passage, or a citation.
    """
    time = facts.get("time") if isinstance(facts, Mapping) else None
    return time if isinstance(time, str) else ""


def drawable(filename: str) -> bool:
    """Whether pages of a file of this name can be drawn."""
    return EXTENSIONS.get(PurePath(filename).suffix.lower()) in DRAWN
