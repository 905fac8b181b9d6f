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
    """The files that can hold one of the rows, by their bounds of each of the rows' columns; NULL may be anywhere."""
    for column in rows.columns:
        values = rows[column]
        if not values.null_count() and len(values):
            files = _around(files, column, values)
    return files


def has_order(kind: pl.DataType) -> bool:
    """Whether bounds and values of a type are surely ordered alike."""
    import polars as pl  # noqa: PLC0415  a run without changes does not load it

    return kind.is_integer() or kind == pl.String or kind.is_temporal()


def _around(files: list[LiveFile], column: str, values: pl.Series) -> list[LiveFile]:
    """The files between whose bounds of a column at least one of the values lies, and those without bounds."""
    import polars as pl  # noqa: PLC0415  a run without changes does not load it

    bounded = [file for file in files if column in file.least and column in file.greatest]
    if not has_order(values.dtype):
        low, high = values.min(), values.max()
        apart = {file.path for file in bounded if not (file.least[column] <= high and file.greatest[column] >= low)}
    else:
        ordered = values.unique().sort()
        least = pl.Series([file.least[column] for file in bounded], dtype=values.dtype)
        greatest = pl.Series([file.greatest[column] for file in bounded], dtype=values.dtype)
        none = ordered.search_sorted(least, side="left") == ordered.search_sorted(greatest, side="right")
        apart = {file.path for file, nothing in zip(bounded, none, strict=True) if nothing}
    return [file for file in files if file.path not in apart]
