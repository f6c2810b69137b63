"""Tables of batches: rows checked, CSV read, results written as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.engine.problems import RagloomError
from storage.automation_tables import BatchRow

MAX_ROWS = 10_000
MAX_COLUMNS = 100
MAX_CSV_CHARS = 10_000_000

Inputs = list[dict[str, Any]]


def check_rows(rows: Sequence[Mapping[str, Any]]) -> Inputs:
    """Rows as they are kept. Raises RagloomError “bad_table”, “too_large”."""
    if not rows:
        raise RagloomError(
            "The table has no rows.", code="bad_table", fix="Give at least one row of inputs."
        )
    if len(rows) > MAX_ROWS:
        raise RagloomError(
            f"The table has {len(rows):,} rows; a batch takes {MAX_ROWS:,}.",
            code="too_large",
            fix="Divide it into several batches.",
        )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise RagloomError(
                f"Row {number} is no object of inputs.",
                code="bad_table",
                fix='Write each row as {"question": "…"}.',
            )
        if len(row) > MAX_COLUMNS:
            raise RagloomError(
                f"Row {number} has {len(row):,} inputs; at most {MAX_COLUMNS} are possible.",
                code="too_large",
                fix="Leave out columns that the workflow does not read.",
            )
    return [{str(name): value for name, value in row.items()} for row in rows]


def read_csv(text: str) -> Inputs:
    """Rows of CSV text whose first line names the inputs; “,”, “;” and tabs may divide.

    Raises RagloomError “bad_table”, “too_large”.
    """
    if len(text) > MAX_CSV_CHARS:
        raise RagloomError(
            f"The table is longer than {MAX_CSV_CHARS:,} characters.",
            code="too_large",
            fix="Divide it into several batches.",
        )
    text = text.removeprefix("\ufeff")
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        table = [
            row
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise RagloomError(
            f"The table cannot be read: {error}.",
            code="bad_table",
            fix="Put texts with commas, quotes or line breaks into double quotes.",
        ) from None
    names = [name.strip() for name in table[0]] if table else []
    if not names or not all(names) or len(set(names)) < len(names):
        raise RagloomError(
            "The first line of the table must name each column once.",
            code="bad_table",
            fix="Begin with a line such as: question",
        )
    for number, row in enumerate(table[1:], 2):
        if len(row) > len(names):
            raise RagloomError(
                f"Line {number} has {len(row)} cells under {len(names)} names.",
                code="bad_table",
                fix="Put texts that hold the divider into double quotes.",
            )
    return check_rows([dict(zip(names, row, strict=False)) for row in table[1:]])


#: Columns after the results: what is known of the run of a row.
_ABOUT = ("error", "seconds", "cost_usd", "execution_id")


def write_csv(columns: Sequence[str], rows: Iterable[BatchRow]) -> str:
    """A batch as CSV text. Cells that a spreadsheet would run as a formula are made text."""
    rows = list(rows)
    outputs = list(dict.fromkeys(name for row in rows for name in row.outputs))
    taken = {*columns, "status", *_ABOUT}
    heads = [name if name not in taken else f"output {name}" for name in outputs]
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([_cell(h) for h in (*columns, "status", *heads, *_ABOUT)])
    for row in rows:
        cells = [
            *(row.input_data.get(name) for name in columns),
            row.status,
            *(row.outputs.get(name) for name in outputs),
            (row.error or {}).get("message"),
            None if row.duration_ms is None else round(row.duration_ms / 1000, 3),
            row.usage.get("cost_usd"),
            row.run_id,
        ]
        writer.writerow([_cell(value) for value in cells])
    return file.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
