"""Identifiers: random ones for things with a name, hashes for things that are their content."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any


def new_id(prefix: str) -> str:
    """Return a random identifier such as `kb_3f0c…` (80 random bits)."""
    return f"{prefix}_{secrets.token_hex(10)}"


def sha256_text(text: str) -> str:
    """SHA-256 of UTF-8 text, hex; lone surrogates are hashed as they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def content_id(value: Any) -> str:
    """SHA-256 of JSON data in canonical form (sorted keys, no spaces)."""
    return sha256_text(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def text_hash(text: str) -> str:
    """Key of a text in the table of vectors."""
    return sha256_text(text)


def config_hash(
    processing: Mapping[str, Any], embedding_model: str, edits: Sequence[Any] = ()
) -> str:
    """Hash of everything that decides what a content becomes: settings, embedding model, and
    what people corrected (JSON data)."""
    decisive = {"processing": dict(processing), "embedding_model": embedding_model}
    return content_id({**decisive, "edits": list(edits)} if edits else decisive)


def version_id(document_id: str, content_hash: str, config_hash: str) -> str:
    """Id of one processing of one content of a document."""
    return content_id([document_id, content_hash, config_hash])


def chunk_id(version: str, ordinal: int) -> str:
    """Id of the chunk at `ordinal` of a version: 32 hex digits."""
    return sha256_text(f"{version}:{ordinal}")[:32]
