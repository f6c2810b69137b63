"""One extraction inside a worker process: a request in, an answer as JSON out."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

from pydantic import TypeAdapter

from app.documents.errors import DocumentError
from app.documents.extract import read, register_reference
from app.documents.extract.options import ExtractOptions
from app.documents.model import Block, ExtractedDocument

_BLOCKS = TypeAdapter(tuple[Block, ...])
#: Blocks of one message.
BATCH = 500


def run(request: dict[str, Any], most_memory: int) -> tuple[list[bytes], bool]:
    """Return the messages to answer with, and whether this process is fit for another request.

    It is not where it holds more than `most_memory` bytes when it is through with this one.
    """
    go_on = True
    try:
        warnings.simplefilter("ignore")
        for media_type, (reference, extensions) in request["extractors"].items():
            register_reference(media_type, reference, tuple(extensions))
        document = read(
            request["path"],
            request["filename"],
            ExtractOptions.model_validate(request["options"]),
        )
        go_on = _resident() <= most_memory
        return _messages(document, go_on), go_on
    except DocumentError as error:
        failure = error
    except MemoryError:
        failure, go_on = too_much_memory(), False
    except RecursionError:
        failure, go_on = damaged("it is nested too deeply"), False
    except Exception as error:
        failure, go_on = damaged(f"{type(error).__name__}: {error}"[:200]), False
    body = {"code": failure.code, "message": failure.message, "fix": failure.fix}
    return [json.dumps({"error": body, "fit": go_on}).encode()], go_on


def _messages(document: ExtractedDocument, fit: bool) -> list[bytes]:
    batches = [document.blocks[i : i + BATCH] for i in range(0, len(document.blocks), BATCH)]
    rest = document.model_copy(update={"blocks": ()})
    return [
        *(b'{"blocks":' + _BLOCKS.dump_json(batch) + b"}" for batch in batches),
        b'{"document":' + rest.model_dump_json().encode() + f',"fit":{json.dumps(fit)}}}'.encode(),
    ]


def _resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as held:
            return int(held.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def damaged(reason: str) -> DocumentError:
    """Return the error for a file no parser understands."""
    return DocumentError(
        "damaged",
        f"The file is damaged and cannot be read ({reason}).",
        "Open it in the program that made it, save it anew and upload that.",
    )


def too_much_memory() -> DocumentError:
    """Return the error for a file that needs more memory than a parse may use."""
    return DocumentError(
        "too_much_memory",
        "Reading the file needs more memory than is allowed.",
        "Split the document, or raise the memory limit for parsing.",
    )
