"""Media types this toolkit reads, and names for those it meets but does not."""

from __future__ import annotations

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML = "text/html"
MARKDOWN = "text/markdown"
TEXT = "text/plain"
CSV = "text/csv"

#: What a file of each type is called in messages.
NAMES = {
    PDF: "a PDF",
    DOCX: "a Word document",
    PPTX: "a PowerPoint presentation",
    XLSX: "an Excel workbook",
    HTML: "an HTML page",
    MARKDOWN: "Markdown",
    TEXT: "plain text",
    CSV: "comma-separated values",
}

#: Extension -> media type of the formats read here.
EXTENSIONS = {
    ".pdf": PDF,
    ".docx": DOCX, ".docm": DOCX, ".dotx": DOCX,
    ".pptx": PPTX, ".pptm": PPTX, ".ppsx": PPTX,
    ".xlsx": XLSX, ".xlsm": XLSX,
    ".html": HTML, ".htm": HTML, ".xhtml": HTML,
    ".md": MARKDOWN, ".markdown": MARKDOWN, ".mdx": MARKDOWN,
    ".txt": TEXT, ".text": TEXT, ".log": TEXT,
    ".csv": CSV, ".tsv": CSV,
}  # fmt: skip

#: Types whose content is binary: a text under such a name is a mistake, not a document.
BINARY = frozenset({PDF, DOCX, PPTX, XLSX})

#: For messages: what can be read.
SUPPORTED = "pdf, docx, pptx, xlsx, html, md, txt and csv"

#: First bytes -> what the file is, for files that are recognised and refused.
REFUSED_MAGIC = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"BM", "a bitmap image"),
    (b"RIFF", "an audio, video or WebP file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"{\\rtf", "a rich text (RTF) file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio or video file"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"%!PS", "a PostScript file"),
)
