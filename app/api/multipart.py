"""Multipart uploads read as they arrive: files go to disk piece by piece, limits hold on the way."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import IO, Any

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.engine.problems import RagloomError
from app.services.threads import call

_MAX_FIELD = 1_000_000
_MAX_HEADERS = 16_384
_MAX_BOUNDARY = 200


@dataclass(slots=True)
class Part:
    """A file of the form; of one past the limit, only a little more than the limit is kept."""

    filename: str
    media_type: str
    path: Path
    size: int = 0


@dataclass(slots=True)
class Form:
    """What was sent: files in order, and text fields."""

    files: list[Part] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def discard(self) -> None:
        """Remove the files from disk."""
        for part in self.files:
            part.path.unlink(missing_ok=True)


async def read_form(request: Request, folder: Path, *, file_bytes: int, max_files: int) -> Form:
    """Read a multipart body into `folder`.

    A body labelled as something else is taken by the boundary in its first line. Raises
    RagloomError “bad_upload”, “too_many_files”.
    """
    stream = request.stream()
    head = b""
    async for piece in stream:
        head += piece
        if b"\n" in head or len(head) > _MAX_BOUNDARY + 4:
            break
    boundary = _boundary(request.headers.get("content-type", ""), head)
    await call(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    sink = _Sink(folder, boundary, file_bytes, max_files)
    try:
        await call(sink.write, head)
        async for piece in stream:
            await call(sink.write, piece)
        await call(sink.finish)
    except BaseException:
        await call(sink.abandon)
        raise
    return sink.form


def _boundary(content_type: str, head: bytes) -> bytes:
    kind, options = parse_options_header(content_type)
    declared = options.get(b"boundary")
    if kind == b"multipart/form-data" and declared:
        return declared
    line, newline, _ = head.partition(b"\r\n")
    if newline and line.startswith(b"--") and 2 < len(line) <= _MAX_BOUNDARY:
        return line[2:]
    raise _bad("The body is not a multipart form.")


def _bad(message: str) -> RagloomError:
    return RagloomError(
        message,
        code="bad_upload",
        fix="Send the files as multipart/form-data in the field “files”.",
    )


class _Sink:
    """Writes parts to disk as the parser finds them. Blocks; used from one thread at a time."""

    def __init__(self, folder: Path, boundary: bytes, file_bytes: int, max_files: int) -> None:
        self.form = Form()
        self._folder = folder
        self._file_bytes = file_bytes
        self._max_files = max_files
        self._headers: dict[str, str] = {}
        self._name = self._value = b""
        self._header_bytes = 0
        self._field: str | None = None
        self._text = bytearray()
        self._part: Part | None = None
        self._file: IO[bytes] | None = None
        self._ended = False
        callbacks: Any = {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except MultipartParseError as error:
            raise _bad(f"The form cannot be read: {error}.") from error

    def write(self, data: bytes) -> None:
        """Take the next piece of the body."""
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise _bad(f"The form cannot be read: {error}.") from error

    def finish(self) -> None:
        """Check that the form came to its end."""
        if not self._ended:
            raise _bad("The upload was cut off before its end.")

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            self._file.close()
        self.form.discard()

    def _part_begin(self) -> None:
        self._headers, self._header_bytes = {}, 0
        self._field = self._part = None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count_header(end - start)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count_header(end - start)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADERS:
            raise _bad("A part of the form has too long headers.")

    def _header_end(self) -> None:
        name = self._name.decode("latin-1").lower()
        self._headers[name] = self._value.decode("utf-8", "replace")
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        message = Message()
        message["content-disposition"] = self._headers.get("content-disposition", "")
        name = message.get_param("name", header="content-disposition")
        filename = message.get_filename()
        if filename is None:
            self._field, self._text = str(name or ""), bytearray()
            return
        if len(self.form.files) >= self._max_files:
            raise RagloomError(
                f"The upload holds more than {self._max_files:,} files.",
                code="too_many_files",
                fix="Send them in several uploads, or raise max_files.",
            )
        path = self._folder / f"upload-{secrets.token_hex(8)}"
        self._part = Part(filename, self._headers.get("content-type", ""), path)
        self.form.files.append(self._part)
        self._file = path.open("xb")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        part = self._part
        if part is None:
            if len(self._text) + size > _MAX_FIELD:
                raise _bad(f"The field “{self._field}” is too long.")
            self._text += data[start:end]
            return
        part.size += size
        if self._file is not None:
            self._file.write(data[start:end])
            if part.size > self._file_bytes:
                # Read on for the sake of the other files, but keep no more of this one.
                self._file.close()
                self._file = None

    def _part_end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._part is None and self._field is not None:
            self.form.fields[self._field] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True
