"""The file in which a person edits rejected rows: CSV or JSON, all values as texts."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.layout import BATCH, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KINDS = (".csv", ".json")


def write_rows(file: Path, rows: Sequence[Mapping[str, str | None]]) -> None:
    """Write rows to a new file that its owner alone may read; in CSV an empty cell is NULL.

    Raises:
        UsageError: The file is there already, cannot be written, or is of another kind.
    """
    _require_kind(file)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="") as out:
            if file.suffix == ".json":
                out.write(json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n")
                return
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except FileExistsError:
        raise UsageError("there is such a file already", where=str(file), next_step="Name another one.") from None
    except OSError as exc:
        raise UsageError(f"it cannot be written: {exc.strerror}", where=str(file), next_step="Name another place.") from exc


def read_rows(file: Path) -> list[dict[str, str | None]]:
    """The rows of an edited file; columns that begin with `_` but for the pointer are not looked at.

    Raises:
        UsageError: The file cannot be read as such, or a row has no pointer.
    """
    _require_kind(file)
    try:
        text = file.read_text(encoding="utf-8")
        rows = json.loads(text) if file.suffix == ".json" else list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error) as exc:
        what = exc.strerror if isinstance(exc, OSError) else "it is not what its name says"
        raise UsageError(f"it cannot be read: {what}", where=str(file), next_step="See `lakehouse rejects export --help`.") from exc
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and None not in row for row in rows):
        raise UsageError("it has no rows of named values", where=str(file), next_step="See `lakehouse rejects export --help`.")
    for number, row in enumerate(rows, 1):
        if not str(row.get(BATCH) or "").isdecimal() or not row.get(ROW_HASH):
            raise UsageError(
                f"row {number} has no {BATCH} and {ROW_HASH}", where=str(file), next_step="Keep these two columns as `export` wrote them."
            )
    return [{name: _text(value or None if file.suffix == ".csv" else value) for name, value in row.items()} for row in rows]


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _require_kind(file: Path) -> None:
    if file.suffix not in KINDS:
        raise UsageError("a file of this kind cannot be edited here", where=str(file), expected=" or ".join(KINDS), next_step="Name it so.")
