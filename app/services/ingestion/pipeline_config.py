"""Settings of processing as other platforms write them: other names, nested sections, lists.

`flatten` turns them into keys of `Processing` and `KnowledgeConfig`, and says what of them means
something else here, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Keys under which a whole configuration may stand.
_WRAPPERS = ("custom_pipeline", "processing_pipeline", "pipeline_config", "processing_config")
#: Keys of a pipeline that name it and change nothing.
_LABELS = ("name", "description")
_SECTIONS: dict[str, Mapping[str, str]] = {
    "extraction": {"strategy": "extraction_strategy"},
    "chunking": {
        "strategy": "chunking_strategy",
        "size": "chunk_size",
        "preserve_headings": "heading_context",
    },
    "embedding": {"model": "embedding_model", "batch_size": "embedding_batch_size"},
    "quality_control": {},
}
ALIASES = {
    "overlap": "chunk_overlap",
    "chunker": "chunking_strategy",
    "strategy": "chunking_strategy",
    "extractor": "extraction_strategy",
    "embedder": "embedding_model",
    "batch_size": "embedding_batch_size",
    "min_chunk_size": "min_chunk_length",
    "max_chunk_size": "max_chunk_length",
    "use_ocr": "ocr",
    "parent_chunk_size": "parent_size",
}
_STRUCTURE = "headings, lists, tables and code keep their form; fonts and colours are not kept."
#: Switches of other platforms -> what to say when they are on, when they are off ("": as asked).
_SWITCHES: dict[str, tuple[str, str]] = {
    "extract_code_blocks": ("", "code blocks are always told from text."),
    "preserve_formatting": (_STRUCTURE, _STRUCTURE),
    "extract_tables": ("", "tables in PDF files are read as text; other files keep theirs."),
    "extract_images": (
        "captions and descriptions of images are kept; to read the text in them, set ocr to "
        "“auto”.",
        "captions and descriptions of images are kept all the same.",
    ),
}


def flatten(
    config: Mapping[str, Any], known: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return `config` with one level of keys under the names used here, and warnings.

    `known` are the keys that mean something; others stay, for the caller to complain of.
    """
    values: dict[str, Any] = {}
    warnings: list[str] = []
    _merge(config, known, values, warnings)
    return values, warnings


def _merge(
    config: Mapping[str, Any],
    known: Mapping[str, Any],
    values: dict[str, Any],
    warnings: list[str],
) -> None:
    nested = any(isinstance(config.get(section), Mapping) for section in _SECTIONS)
    # Sections last: they are more telling than keys that were there before.
    outer = (*_WRAPPERS, *_SECTIONS, "pipeline")
    for key, value in sorted(config.items(), key=lambda item: item[0] in outer):
        if isinstance(value, Mapping) and (key in _WRAPPERS or _is_pipeline(key, value)):
            _merge(value, known, values, warnings)
        elif key in _SECTIONS and isinstance(value, Mapping):
            names = _SECTIONS[key]
            inner = {names.get(name, name): item for name, item in value.items()}
            if key == "quality_control":
                values["quality_control"] = bool(inner.pop("enabled", True))
            _merge(inner, known, values, warnings)
        elif not (nested and key in _LABELS):
            _put(key, value, known, values, warnings)


def _is_pipeline(key: str, value: Mapping[str, Any]) -> bool:
    """“pipeline” may also be a stored workflow, which is no section of settings."""
    return key == "pipeline" and bool(value.keys() & _SECTIONS.keys())


def _put(
    key: str,
    value: Any,
    known: Mapping[str, Any],
    values: dict[str, Any],
    warnings: list[str],
) -> None:
    name = key if key in known else ALIASES.get(key, key)
    if value is None:
        return
    if key in _SWITCHES and isinstance(value, bool):
        said = _SWITCHES[key][0 if value else 1]
        if said:
            warnings.append(f"{key}: {said}")
        if key == "extract_tables":
            values.setdefault("extraction_strategy", "comprehensive" if value else "fast")
    elif name == "embedding_batch_size" and name not in known:
        warnings.append("batch_size: a knowledge base has one for all its documents.")
    elif key == "file_types" and key not in known:
        warnings.append("file_types: every file that can be read is taken, of whichever type.")
    elif name == "embedding_model" and name not in known:
        warnings.append(
            f"{key} “{value}”: a knowledge base has one for all its documents; its own is used."
        )
    elif name == "ocr" and isinstance(value, bool):
        values["ocr"] = "auto" if value else "off"
    else:
        values[name] = value
