"""What a careful hand-made script does: find the touched files by the key column alone, write them anew, commit once.

With `durable` it returns when all of that outlives a loss of power, as a script would on which people rely; it still checks no bytes.
"""

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

File = dict[str, Any]


def upsert(uri: str, changes: str, *, durable: bool = False) -> None:
    """Put each changed row in the place of the one with its key (SCD1)."""
    table, came = DeltaTable(uri), pl.read_parquet(changes).with_columns(_batch=pl.lit(2, pl.Int64))
    lost = came.select("id")
    touched = _touched(table, _files(table, lost["id"].min(), lost["id"].max()), lost)
    kept = pl.scan_parquet(_uris(table, touched)).join(lost.lazy(), on="id", how="anti")
    _commit(table, touched, {"": pl.concat([kept, came.lazy()])}, durable=durable)


def extend(uri: str, changes: str, *, durable: bool = False) -> None:
    """Close the open version of each changed key, and open the next (SCD2), where the changes are later than all versions."""
    table, came = DeltaTable(uri), pl.read_parquet(changes).with_columns(_batch=pl.lit(2, pl.Int64))
    opened = came.with_columns(valid_from="changed_at", valid_to=pl.lit(None, came.schema["changed_at"]), is_current=True)
    files = _files(table, came["id"].min(), came["id"].max())
    files = [file for file in files if file["null_count.valid_to"] != 0]
    touched = _touched(table, files, came.select("id"), pl.col("is_current"))
    rows = pl.scan_parquet(_uris(table, touched))
    ended = rows.filter("is_current").join(came.lazy().select("id", until="changed_at"), on="id").collect()
    lost = ended.select("id", "valid_from").lazy()
    closed = ended.with_columns(valid_to="until", is_current=False).select(rows.collect_schema().names())
    kept = rows.join(lost, on=["id", "valid_from"], how="anti")
    _commit(table, touched, {"closed": closed.lazy(), "open": pl.concat([kept, opened.select(closed.columns).lazy()])}, durable=durable)


def _files(table: DeltaTable, low: object, high: object) -> list[File]:
    actions = pl.DataFrame(table.get_add_actions(flatten=True))
    return actions.filter(pl.col("min.id") <= pl.lit(high), pl.col("max.id") >= pl.lit(low)).to_dicts()


def _uris(table: DeltaTable, files: list[File]) -> list[str]:
    return [f"{table.table_uri.removeprefix('file://').rstrip('/')}/{file['path']}" for file in files]


def _touched(table: DeltaTable, files: list[File], lost: pl.DataFrame, where: pl.Expr = pl.lit(value=True)) -> list[File]:  # noqa: B008
    rows = pl.scan_parquet(_uris(table, files), include_file_paths="path").filter(where).join(lost.lazy(), on="id", how="semi")
    paths = {path.rpartition("/")[2] for path in rows.select(pl.col("path").unique()).collect()["path"]}
    return [file for file in files if file["path"] in paths]


def _commit(table: DeltaTable, touched: list[File], parts: dict[str, pl.LazyFrame], *, durable: bool) -> None:
    stamp, folder, actions = int(time.time() * 1000), table.table_uri.removeprefix("file://").rstrip("/"), list[AddAction | RemoveAction]()
    for name, rows in parts.items():
        path = f"part-{name}{uuid.uuid4()}.parquet"
        rows.sink_parquet(f"{folder}/{path}", compression="snappy")
        facts = pl.scan_parquet(f"{folder}/{path}").select(pl.len(), low=pl.col("id").min(), high=pl.col("id").max()).collect().row(0)
        stats = {"numRecords": facts[0], "minValues": {"id": facts[1]}, "maxValues": {"id": facts[2]}, "nullCount": {"id": 0}}
        size = Path(folder, path).stat().st_size
        actions.append(AddAction(path, size, {}, stamp, True, json.dumps(stats)))
    actions += [RemoveAction(file["path"], True, stamp, file["size_bytes"], {}) for file in touched]
    if durable:
        _settle(*(f"{folder}/{action.path}" for action in actions if isinstance(action, AddAction)), folder)
    table.create_write_transaction(actions, "append", table.schema())
    if durable:
        _settle(*sorted(map(str, Path(folder, "_delta_log").glob("*.json")))[-1:], f"{folder}/_delta_log")


def _settle(*paths: str) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


if __name__ == "__main__":
    {"upsert": upsert, "extend": extend}[sys.argv[1]](*sys.argv[2:4], durable="durable" in sys.argv[4:])
