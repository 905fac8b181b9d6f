"""The data files of one version of a table, as its log describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.storage.parquet import has_no_bounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A data file of a table's version, with the bounds that its statistics give.

    Attributes:
        path: As the log names it.
        uri: Where it is.
        rows: How many.
        size: Bytes.
        least: The least value of each column that has one.
        greatest: The greatest value of each column that has one.
        nulls: How many NULLs each column has, where that is known.
    """

    path: str
    uri: str
    rows: int
    size: int
    least: Mapping[str, Any]
    greatest: Mapping[str, Any]
    nulls: Mapping[str, int]


def live_files(actions: pa.Table, place: str, bounded: Iterable[pa.Field]) -> list[LiveFile]:
    """The files of a log's add actions (flattened), each with the bounds of these columns, where they have exact ones."""
    columns = [field.name for field in bounded if not has_no_bounds(field.type)]
    places = range(actions.num_rows)

    def limits(which: str) -> list[dict[str, Any]]:
        names = [name for name in columns if f"{which}.{name}" in actions.column_names]
        values = [actions.column(f"{which}.{name}").to_pylist() for name in names]
        return [{name: column[row] for name, column in zip(names, values, strict=True) if column[row] is not None} for row in places]

    about = [actions.column(name).to_pylist() for name in ("path", "num_records", "size_bytes")]
    return [
        LiveFile(path, f"{place}/{path}", rows, size, least, greatest, nulls)
        for path, rows, size, least, greatest, nulls in zip(*about, limits("min"), limits("max"), limits("null_count"), strict=True)
    ]


def overlapping(files: list[LiveFile], rows: pl.DataFrame) -> list[LiveFile]:
    """The files that can hold one of the rows, by their bounds of the rows' columns; NULL may be anywhere."""
    for column in rows.columns:
        low, high = rows[column].min(), rows[column].max()
        if not rows[column].null_count() and low is not None:
            files = [file for file in files if column not in file.least or (file.least[column] <= high and file.greatest[column] >= low)]
    return files
