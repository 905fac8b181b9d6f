"""Files beside a Delta log: read back as they were written, in the encodings that pay, with the checksum of their bytes."""

from __future__ import annotations

import gc
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from lakehouse.storage.effects import Effects
from lakehouse.storage.folder import Folder
from lakehouse.storage.parquet import WrittenFile, read_file, write_files

ROWS = 20_000
COLUMNS = {
    "number": pa.array(range(ROWS)),
    "city": pa.array(["Rome", "Oslo", None, "Lima"] * (ROWS // 4)),
    "sentence": pa.array([f"the same words again and again, and the number {i}" for i in range(ROWS)]),
    "digest": pa.array([xxhash.xxh3_128_hexdigest(str(i).encode()) for i in range(ROWS)]),
    "scattered": pa.array([xxhash.xxh3_64_intdigest(str(i).encode()) >> 1 for i in range(ROWS)]),
    "flag": pa.array([True, False] * (ROWS // 2)),
    "nothing": pa.nulls(ROWS, pa.string()),
}


@pytest.fixture
def rows() -> pa.Table:
    return pa.table(COLUMNS)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path.as_uri())


def write(folder: Folder, rows: pa.Table) -> WrittenFile:
    (written,) = write_files(folder, rows.schema, rows.to_batches(max_chunksize=3000), Effects(), "bronze.tested")
    return written


def test_rows_come_back(folder: Folder, rows: pa.Table) -> None:
    written = write(folder, rows)
    assert written.rows == ROWS
    assert read_file(folder.store(), written.path, rows.schema) == rows


def test_a_column_that_the_file_lacks_is_null(folder: Folder, rows: pa.Table) -> None:
    wider = pa.schema([("new", pa.date32()), *rows.schema])
    found = read_file(folder.store(), write(folder, rows).path, wider)
    assert found.column("new").null_count == ROWS
    assert found.drop_columns("new") == rows


def test_size_and_checksum_are_those_of_the_bytes(folder: Folder, rows: pa.Table) -> None:
    written = write(folder, rows)
    content = bytes(obstore.get(folder.store(), written.path).bytes())
    assert (written.size, written.checksum) == (len(content), xxhash.xxh3_128_hexdigest(content))


def test_dictionaries_and_compression_stand_where_they_pay(folder: Folder, rows: pa.Table) -> None:
    group = pq.ParquetFile(Path(folder.path) / write(folder, rows).path).metadata.row_group(0)
    columns = [group.column(place) for place in range(len(COLUMNS))]
    assert [column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings] == ["city", "nothing"]
    assert [column.path_in_schema for column in columns if column.compression == "UNCOMPRESSED"] == ["digest", "scattered"]


def test_rows_that_break_off_leave_a_file_that_nobody_holds_open(folder: Folder, rows: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):  # an open handle would be a warning, and so an error
        write(folder, rows)
    gc.collect()
