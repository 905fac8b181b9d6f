"""Writes Parquet files beside a Delta log, with the statistics that the log keeps of each."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from obstore.exceptions import BaseError

from lakehouse.errors import StorageError
from lakehouse.storage.refusal import reason
from lakehouse.transform import kernels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from concurrent.futures import Future

    from obstore.store import ObjectStore

    from lakehouse.storage.effects import Effects
    from lakehouse.storage.place import Place

ROWS_A_FILE = 2_000_000
ROWS_A_GROUP, BYTES_A_GROUP = 262_144, 64 * 1024**2
MAX_STATISTIC_TEXT = 64
MAX_EXACT_DIGITS = 15
WRITTEN_AT_ONCE = 2
SAMPLE_ROWS, SAMPLE_BYTES, FEW_VALUES = 4096, 65_536, 512
CHECKSUM = "xxh3_128"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A Parquet file that no commit names yet.

    Attributes:
        path: Relative to the table.
        size: Bytes.
        rows: How many.
        statistics: Delta's `stats` as JSON (Delta protocol, "Per-file Statistics").
        checksum: Of the bytes by `CHECKSUM`, in hex: against bits that flip, not against people.
    """

    path: str
    size: int
    rows: int
    statistics: str
    checksum: str


class _Sink:
    """A file object over a place's writer that counts and checks the bytes."""

    def __init__(self, place: Place, path: str) -> None:
        with _refused():
            self._writer = place.writer(path)
        self._hash = xxhash.xxh3_128()
        self.size = 0
        self.closed = False
        self.refused: StorageError | None = None

    def write(self, data: Any) -> int:  # noqa: ANN401  pyarrow hands over its own buffer objects
        view = memoryview(data)
        self._hash.update(view)
        try:
            with _refused():
                self._writer.write(view)
        except StorageError as exc:
            self.refused = exc
            raise
        self.size += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        """Nothing is held back here."""

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            with _refused():
                self._writer.close()

    def checksum(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def _refused() -> Iterator[None]:
    """What the store refuses, as an error of ours; an error of the rows' source passes."""
    try:
        yield
    except (BaseError, OSError) as exc:
        raise StorageError(
            f"a file cannot be written: {reason(exc)}", next_step="See that the lake can be written, then run again."
        ) from exc


def checksum_of(checksums: Iterable[str]) -> str | None:
    """One checksum for several files, in the order in which they were written; None for no file.

    >>> checksum_of(["06b05ab6733a618578af5f94892f3950"])
    '06b05ab6733a618578af5f94892f3950'
    """
    each = list(checksums)
    return xxhash.xxh3_128("".join(each).encode()).hexdigest() if len(each) > 1 else each[0] if each else None


def write_files(
    place: Place, schema: pa.Schema, batches: Iterable[pa.RecordBatch], effects: Effects, where: str, *, hidden: Collection[str] = ()
) -> list[WrittenFile]:
    """The files that hold all rows of `batches`, in order, each of about `ROWS_A_FILE` rows; none for no rows.

    Of `hidden` columns neither a file's footer nor its statistics tell a value.

    Memory is one row group, whatever the number of rows. The bytes outlive a loss of power; their names do when the place settles them.

    Raises:
        StorageError: The place takes no file.
    """
    files: list[WrittenFile] = []
    groups = row_groups(schema, batches)
    while (first := next(groups, None)) is not None:
        files.append(effects.do(f"write {where}", partial(_write_file, place, first, groups, hidden), whole=False))
    return files


def write_each(
    place: Place, tables: Iterable[pa.Table], effects: Effects, where: str, *, hidden: Collection[str] = ()
) -> list[WrittenFile]:
    """A file for each table, in their order; for rows that change, since a change writes whole files anew.

    Two are written while the next table is made, so memory is three of them. They last as those of `write_files` do.

    Raises:
        StorageError: The place takes no file.
    """
    files: list[Future[WrittenFile]] = []
    with ThreadPoolExecutor(WRITTEN_AT_ONCE, "files") as writers:
        for table in tables:
            if len(files) >= WRITTEN_AT_ONCE:
                files[-WRITTEN_AT_ONCE].result()
            write = partial(_write_file, place, table, iter(()), hidden)
            files.append(writers.submit(effects.do, f"write {where}", write, whole=False))
    return [file.result() for file in files]


def row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows of `batches`, in order, in tables of at most `ROWS_A_GROUP` rows, or of about `BYTES_A_GROUP`."""
    groups = Groups(schema)
    for batch in batches:
        yield from groups.add(batch)
    yield from groups.rest()


class Groups:
    """Rows that wait until they are enough for a row group."""

    def __init__(self, schema: pa.Schema) -> None:
        """Begin with none."""
        self._schema, self._waiting = schema, list[pa.RecordBatch]()
        self._rows = self._size = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.Table]:
        """The groups that these rows fill."""
        at = 0
        while at < batch.num_rows:
            piece = batch.slice(at, ROWS_A_GROUP - self._rows)
            self._waiting.append(piece)
            at, self._rows, self._size = at + piece.num_rows, self._rows + piece.num_rows, self._size + piece.nbytes
            if self._rows >= ROWS_A_GROUP or self._size >= BYTES_A_GROUP:
                yield from self.rest()

    def rest(self) -> Iterator[pa.Table]:
        """What waits, as a last group."""
        waiting, self._waiting = self._waiting, []
        self._rows = self._size = 0
        if waiting:
            yield pa.Table.from_batches(waiting, self._schema)


def _write_file(place: Place, first: pa.Table, groups: Iterator[pa.Table], hidden: Collection[str]) -> WrittenFile:
    """One file with a table's rows, and those of as many after it as there is room for."""
    path = f"part-{uuid.uuid4()}.parquet"
    sink = _Sink(place, path)
    footers: list[pq.FileMetaData] = []
    schema: pa.Schema = first.schema
    group: pa.Table | None = first
    rows = 0
    repetitive = _repetitive(first)
    codecs = {name: "none" if name not in repetitive and _is_dense(first, name) else "snappy" for name in schema.names}
    shown: bool | list[str] = [name for name in schema.names if name not in hidden] if hidden else True
    written = {"compression": codecs, "use_dictionary": repetitive, "write_statistics": shown, "metadata_collector": footers}
    try:
        with pq.ParquetWriter(sink, schema, **written) as writer:
            while group is not None:
                writer.write_table(group, row_group_size=ROWS_A_GROUP)
                rows += group.num_rows
                group = next(groups, None) if rows < ROWS_A_FILE else None
    except RuntimeError as exc:  # Arrow's writer hides what broke it by an error of its own end
        raise sink.refused or exc from None
    sink.close()
    place.settle(path)
    return WrittenFile(path, sink.size, rows, _statistics(footers[0], schema), sink.checksum())


def read_file(store: ObjectStore, path: str, schema: pa.Schema) -> pa.Table:
    """A file's rows with the columns of `schema`; those that it was written without are NULL. Memory is the file."""
    rows = pq.ParquetFile(pa.py_buffer(obstore.get(store, path).bytes())).read(use_threads=False)
    columns = [
        kernels.cast(rows.column(f.name), f.type) if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _repetitive(group: pa.Table) -> list[str]:
    """The columns that a dictionary makes smaller; for others one would be built and thrown away, which doubles the price of the file."""
    sample = group.slice(0, max(256, min(SAMPLE_ROWS, group.num_rows // 16)))
    few = max(1, min(FEW_VALUES, sample.num_rows // 8))
    kinds = [field for field in group.schema if not pa.types.is_boolean(field.type)]
    return [field.name for field in kinds if kernels.distinct(sample.column(field.name)) <= few]


def _is_dense(group: pa.Table, name: str) -> bool:
    """Whether a column's values are such that compression takes long and saves less than a quarter: hashes, ids, instants, pictures."""
    kind = group.schema.field(name).type
    sample = kernels.there(group.column(name).slice(0, SAMPLE_ROWS // 4))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        text = b"".join(kernels.cast(sample, pa.binary()).to_pylist())[:SAMPLE_BYTES]
    elif pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        text = b"".join(_plain_bytes(chunk) for chunk in sample.chunks)
    else:
        return False
    return bool(text) and len(pa.compress(text, codec="snappy")) > len(text) * 3 // 4


def _plain_bytes(values: pa.Array) -> bytes:
    """Values of fixed width without NULL, as they lie in memory."""
    width = values.type.bit_width // 8
    whole = values.buffers()[1]
    return b"" if whole is None else whole.slice(values.offset * width, len(values) * width).to_pybytes()


def _statistics(footer: pq.FileMetaData, schema: pa.Schema) -> str:
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for index, field in enumerate(schema):
        columns = [footer.row_group(group).column(index) for group in range(footer.num_row_groups)]
        if any(column.statistics is None or column.statistics.null_count is None for column in columns):
            continue
        nulls[field.name] = sum(column.statistics.null_count for column in columns)
        filled = [column.statistics for column in columns if column.statistics.null_count < column.num_values]
        if has_no_bounds(field.type) or not filled or not all(statistics.has_min_max for statistics in filled):
            continue
        low, high = min(statistics.min for statistics in filled), max(statistics.max for statistics in filled)
        if isinstance(low, str) and max(len(low), len(high)) > MAX_STATISTIC_TEXT:
            continue
        least[field.name], greatest[field.name] = _plain(low), _plain(high)
    return json.dumps({"numRecords": footer.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls})


def has_no_bounds(kind: pa.DataType) -> bool:
    """Types whose bounds JSON cannot hold exactly (wide decimals), or that mislead (NaN), or serve nobody."""
    wide = pa.types.is_decimal(kind) and kind.precision > MAX_EXACT_DIGITS
    return wide or any(test(kind) for test in (pa.types.is_boolean, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_floating))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
