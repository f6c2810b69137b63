"""E-mails (.eml): who wrote what to whom and when, the text, and the text of attachments."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import formataddr, getaddresses
from pathlib import Path, PurePath
from typing import Any

from app.documents import media
from app.documents.encoding import decode
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.html import add_html
from app.documents.extract.metadata import iso_date, metadata
from app.documents.extract.options import ExtractOptions
from app.documents.extract.plain import add_plain
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

#: Parts of a mail that are looked at.
MAX_PARTS = 2_000
#: Attachments that are read; the names of all are kept.
MAX_READ = 50
#: Mails attached to mails attached to …: read this deep.
MAX_DEPTH = 3
_MAX_HEADER = 20_000
#: How deep a mail is inside others, handed on in `ExtractOptions.extra`.
_DEPTH = "mail_depth"


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read a mail; its HTML is preferred to its plain text, attachments follow under their names.

    Metadata: sender, recipients, sent, subject, `attachments` (names) and `unread_attachments`
    (names of those that cannot be read, with the reason).

    Raises:
        DocumentError: unsafe (nested too deeply), too_large.
    """
    try:
        return _read(path, options)
    except RecursionError:
        raise DocumentError(
            "unsafe",
            "The parts of the mail are nested too deeply to be read.",
            "Check where it comes from; no mail program writes such files.",
        ) from None


def _read(path: Path, options: ExtractOptions) -> ExtractedDocument:
    from email import message_from_bytes

    mail = message_from_bytes(path.read_bytes())
    html, plain, attachments = _sort_parts(mail)
    blocks = Blocks(options.max_chars)
    subject = _header(mail, "Subject")
    blocks.heading(subject, 1)
    about = _about(mail)
    blocks.add("paragraph", _envelope(about))
    before = len(blocks.items)
    for part in html:
        add_html(blocks, _part_text(part, html=True))
    if len(blocks.items) == before:
        for part in plain:
            add_plain(blocks, _part_text(part))
    names = [_filename(part, number) for number, part in enumerate(attachments, 1)]
    unread = list(_read_attachments(blocks, zip(names, attachments, strict=True), options))
    return ExtractedDocument(
        media_type=media.EMAIL,
        title=subject,
        metadata=metadata(
            {**about, "subject": subject, "attachments": names[:200], "unread_attachments": unread}
        ),
        blocks=tuple(blocks.items),
    )


def _sort_parts(mail: Message) -> tuple[list[Message], list[Message], list[Message]]:
    """Return the HTML parts, the plain ones and the attachments, each in order."""
    html: list[Message] = []
    plain: list[Message] = []
    attachments: list[Message] = []
    stack = [mail]
    seen = 0
    while stack and seen < MAX_PARTS:
        part = stack.pop()
        seen += 1
        kind = part.get_content_type()
        if kind == "message/rfc822" or part.get_filename() or _is_attached(part):
            attachments.append(part)
        elif part.is_multipart():
            stack += [p for p in reversed(part.get_payload()) if isinstance(p, Message)]  # type: ignore[arg-type]
        elif kind == "text/html":
            html.append(part)
        elif kind.startswith("text/"):
            plain.append(part)
    return html, plain, attachments


def _is_attached(part: Message) -> bool:
    return str(part.get("Content-Disposition", "")).strip().lower().startswith("attachment")


def _about(mail: Message) -> dict[str, Any]:
    senders, recipients = _addresses(mail, "From"), _addresses(mail, "To", "Cc", "Bcc")
    return {
        "sender": ", ".join(senders),
        "recipients": recipients,
        "sent": iso_date(_header(mail, "Date")),
        "keywords": _header(mail, "Keywords"),
    }


def _envelope(about: dict[str, Any]) -> str:
    lines = {
        "From": about["sender"],
        "To": ", ".join(about["recipients"]),
        "Date": about["sent"],
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items() if value)


def _addresses(mail: Message, *names: str) -> list[str]:
    values = [_header(mail, name) for name in names]
    pairs = getaddresses([value for value in values if value])
    found = []
    for name, address in pairs:
        try:
            found.append(formataddr((name, address)) if name.isascii() else f"{name} <{address}>")
        except UnicodeError:  # an address that is not ASCII
            found.append(f"{name} <{address}>".strip())
    return [item for item in dict.fromkeys(found) if item and item != "<>"]


def _header(mail: Message, name: str) -> str:
    """Return a header's text; encoded words in unknown or wrong encodings do no harm."""
    value = mail.get(name)
    if value is None:
        return ""
    try:
        parts = decode_header(value if not isinstance(value, str) else value[:_MAX_HEADER])
    except (HeaderParseError, ValueError):
        return one_line(str(value))
    words = []
    for text, charset in parts:
        data = text.encode("ascii", "surrogateescape") if isinstance(text, str) else text
        try:
            words.append(data.decode(charset or "utf-8"))
        except (LookupError, UnicodeDecodeError):
            words.append(decode(data)[0])
    return one_line("".join(words))[:_MAX_HEADER]


def _part_text(part: Message, *, html: bool = False) -> str:
    data = _payload(part)
    charset = part.get_content_charset()
    if charset and charset not in ("us-ascii", "ascii"):
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(data, html=html)[0]


def _payload(part: Message) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        return inner[0].as_bytes() if isinstance(inner, list) and inner else b""  # type: ignore[union-attr]
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _filename(part: Message, number: int) -> str:
    name = PurePath(one_line(part.get_filename() or "").replace("\\", "/")).name[-200:]
    if not name and part.get_content_type() == "message/rfc822":
        return f"message {number}.eml"
    return name or f"attachment {number}"


def _read_attachments(
    blocks: Blocks, attachments: Iterator[tuple[str, Message]], options: ExtractOptions
) -> Iterator[str]:
    """Add the blocks of attachments that are documents; yield why others are none."""
    from app.documents.extract import extract as extract_file

    depth = int(options.extra.get(_DEPTH, 0)) + 1
    inner = options.model_copy(update={"extra": {**options.extra, _DEPTH: depth}})
    for number, (name, part) in enumerate(attachments):
        if number >= MAX_READ or depth > MAX_DEPTH:
            yield f"{name}: too many attachments, or too deep"
            continue
        with tempfile.TemporaryDirectory(prefix="ragloom-") as folder:
            copy = Path(folder) / "attachment"
            try:
                copy.write_bytes(_payload(part))
                found = extract_file(copy, name, inner)
            except DocumentError as error:
                if error.code == "too_large":
                    raise
                yield f"{name}: {error.message}"
                continue
        blocks.heading(name, 1)
        for block in found.blocks:
            # Pages and places are those of the attachment, not of the mail.
            blocks.add(
                block.kind,
                block.text,
                level=None if block.level is None else block.level + 1,
                cells=block.cells,
                info=block.info,
            )
