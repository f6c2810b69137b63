"""A table of inputs, as somebody pastes, uploads or types it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engine.problems import RagloomError

MAX_ROWS = 10_000
MAX_CHARS = 20_000_000
_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class InputTable:
    """Inputs of many runs: one mapping each, by the names of the workflow's inputs.

    What else a row holds, such as a number or the expected answer, is found beside its results.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()
    #: What the workflow has no use for, in sentences.
    notes: tuple[str, ...] = field(default=())


def read_table(content: str, inputs: Sequence[str]) -> InputTable:
    """Read CSV, text with tabs or semicolons, JSON, JSON lines, or a plain list, one a line.

    The first line names the inputs; where it names none of them, every line is one value of the
    first input. Raises RagloomError “bad_table”.
    """
    content = content.lstrip("\ufeff").strip("\r\n")
    if not content.strip():
        raise _bad("The table is empty.", "Give at least one line.")
    if len(content) > MAX_CHARS:
        raise _bad(
            f"The table has {len(content):,} characters.", f"At most {MAX_CHARS:,} are taken."
        )
    if not inputs:
        raise _bad(
            "This workflow asks for nothing, so there is nothing to put in.",
            "Add a Question or a Text input node to it.",
        )
    if content.lstrip()[:1] in "[{":
        return _limited(*_from_json(content, inputs))
    return _limited(*_from_lines(content, inputs))


def _from_json(content: str, inputs: Sequence[str]) -> tuple[list[dict[str, Any]], set[str]]:
    try:
        if content.lstrip().startswith("["):
            items = json.loads(content)
        else:
            items = [json.loads(line) for line in content.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise _bad(
            f"The table begins like JSON and is none: {error}.",
            "Give a list of objects, or one object a line.",
        ) from error
    rows, unknown = [], set()
    for item in items:
        if not isinstance(item, Mapping):
            rows.append({inputs[0]: item if isinstance(item, str) else json.dumps(item)})
            continue
        row = {str(name): value for name, value in item.items() if value not in (None, "")}
        if any(name in row for name in inputs):
            rows.append(row)
        unknown |= {str(name) for name in item} - set(inputs)
    return rows, unknown


def _from_lines(content: str, inputs: Sequence[str]) -> tuple[list[dict[str, Any]], set[str]]:
    first = content.splitlines()[0]
    separator = max(_SEPARATORS, key=first.count)
    known = {name.casefold(): name for name in inputs}
    head = [name.strip().strip('"').casefold() for name in first.split(separator)]
    if not any(name in known for name in head):
        if "\t" in first and len(inputs) > 1:
            lines = csv.reader(io.StringIO(content), delimiter="\t")
            pairs = [dict(zip(inputs, line, strict=False)) for line in lines if any(line)]
            return [{k: v for k, v in row.items() if v} for row in pairs], set()
        return [{inputs[0]: line.strip()} for line in content.splitlines() if line.strip()], set()
    csv.field_size_limit(MAX_CHARS)
    lines = csv.reader(io.StringIO(content), delimiter=separator)
    heads = [name.strip() for name in next(lines)]
    names = [known.get(name.casefold(), name) for name in heads]
    unknown = {name for name in names if name and name not in inputs}
    rows = []
    for line in lines:
        row = {name: v for name, v in zip(names, line, strict=False) if name and v.strip()}
        if any(name in row for name in inputs):
            rows.append(row)
    return rows, unknown


def _limited(rows: list[dict[str, Any]], unknown: set[str]) -> InputTable:
    if not rows:
        raise _bad("The table has a head and no rows.", "Give at least one row below it.")
    if len(rows) > MAX_ROWS:
        raise _bad(f"The table has {len(rows):,} rows.", f"At most {MAX_ROWS:,} run in one batch.")
    notes = []
    if unknown:
        listed = ", ".join(f"“{name}”" for name in sorted(unknown)[:5])
        notes.append(f"The workflow does not ask for {listed}; that stays beside the results.")
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return InputTable(columns, tuple(rows), tuple(notes))


def _bad(message: str, fix: str) -> RagloomError:
    return RagloomError(message, code="bad_table", fix=fix)
