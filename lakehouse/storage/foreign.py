"""Parquet files and Delta tables that others wrote, read as they are."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from lakehouse.errors import StorageError, UsageError
from lakehouse.layout import folder_of, is_azure
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from lakehouse.storage.place import Place, Places

BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Foreign:
    """Rows that others wrote.

    Attributes:
        uri: Where they are.
        parts: Their files, or the one Delta table, each as a lazy frame with its columns.
    """

    uri: str
    parts: Sequence[pl.LazyFrame]

    def schemas(self) -> list[pa.Schema]:
        """The columns of each part.

        Raises:
            StorageError: A file cannot be read.
        """
        return [_read(self.uri, lambda part=part: _arrow(part.collect_schema().to_frame()).schema) for part in self.parts]

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows with these columns, part by part in their order; a column that a part lacks is not in its batches.

        Raises:
            StorageError: A file cannot be read.
        """
        for part in self.parts:
            there = set(_read(self.uri, part.collect_schema).names())
            frames = part.select([name for name in names if name in there]).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
            while (frame := _read(self.uri, lambda frames=frames: next(frames, None))) is not None:
                yield from _arrow(frame).to_batches(max_chunksize=BATCH_ROWS)


def open_foreign(places: Places, uri: str) -> Foreign:
    """What is at a URI of `layout.lake_uri`: a Delta table, a Parquet file, a folder of them, or on this machine a pattern.

    Raises:
        UsageError: There is nothing of that kind.
        StorageError: It cannot be read.
    """
    import polars as pl  # noqa: PLC0415  only who reads rows loads it

    place = places.at(uri)
    try:
        if _is_delta(place):
            table = DeltaTable(uri, storage_options=place.options() or None)
            return Foreign(uri, [pl.scan_delta(table)])
        files = _azure_files(place) if is_azure(uri) else _local_files(Path(folder_of(uri)))
    except (DeltaError, BaseError, OSError, pl.exceptions.PolarsError) as exc:
        raise StorageError(f"it cannot be read: {reason(exc)}", where=uri, next_step="See that it is whole and may be read.") from exc
    if not files:
        raise UsageError(
            "there is no Parquet file and no Delta table",
            where=uri,
            expected="a .parquet file, a folder with such files, a Delta table, or a quoted pattern such as 'history/*.parquet'",
            next_step="Correct the path.",
        )
    return Foreign(uri, [pl.scan_parquet(file, glob=False, hive_partitioning=False, **place.scanning()) for file in files])


def _is_delta(place: Place) -> bool:
    if not is_azure(place.uri):
        return (Path(place.path) / "_delta_log").is_dir()
    place.require_there()
    return not place.path.endswith(".parquet") and DeltaTable.is_deltatable(place.uri, place.options() or None)


def _local_files(path: Path) -> list[str]:
    if path.is_file():
        return [str(path)]
    if path.is_dir():
        return sorted(str(file) for file in path.rglob("*.parquet") if file.is_file())
    return sorted(file for file in glob.glob(str(path), recursive=True) if Path(file).is_file())  # noqa: PTH207  a pattern with its root


def _azure_files(place: Place) -> list[str]:
    if place.path.endswith(".parquet"):
        return [place.path]
    names = (str(found["path"]) for found in obstore.list(place.store()).collect())
    return sorted(f"{place.path}/{name}" for name in names if name.endswith(".parquet"))


def _read(uri: str, look: Any) -> Any:  # noqa: ANN401  whatever the look gives
    import polars as pl  # noqa: PLC0415  as above

    try:
        return look()
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise StorageError(f"it cannot be read: {reason(exc)}", where=uri, next_step="See that it is whole and may be read.") from exc


def _arrow(frame: pl.DataFrame) -> pa.Table:
    import polars as pl  # noqa: PLC0415  as above

    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
