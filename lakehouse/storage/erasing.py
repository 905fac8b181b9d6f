"""Files written anew without some rows, and tables of which the newest version alone is left: the one exception to append-only."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from lakehouse.errors import StorageError
from lakehouse.storage.frames import to_batches
from lakehouse.storage.leases import FOLDER as LEASE
from lakehouse.storage.parquet import CHECKSUM, WRITTEN_AT_ONCE, write_files
from lakehouse.storage.refusal import reason
from lakehouse.storage.rewriting import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl

    from lakehouse.model.run import Commit
    from lakehouse.storage.delta import Table
    from lakehouse.storage.effects import Effects
    from lakehouse.storage.files import LiveFile
    from lakehouse.storage.leases import Turn
    from lakehouse.storage.parquet import WrittenFile
    from lakehouse.storage.place import Place

LOG = "_delta_log"


def rewrite(table: Table, touched: Sequence[LiveFile], change: Callable[[pl.LazyFrame], pl.LazyFrame], commit: Commit) -> None:
    """Write these files anew with their rows changed, each for itself and in its order, in one commit that says `erase`.

    The commit's facts name the old files with the checksums of their bytes. Memory is a row group for each of two files.

    Raises:
        ConflictError: Another run wrote the table since this handle read it.
    """
    table._take_turn()  # noqa: SLF001  a verb of the table, apart from those that everybody may call
    place, effects = table._home, table._effects  # noqa: SLF001  as above

    def write(file: LiveFile) -> tuple[dict[str, object], list[WrittenFile]]:
        about = {"path": file.path, "rows": file.rows, "size": file.size, CHECKSUM: checksum(place, file.path)}
        return about, write_files(place, table.schema, _batches(change(table.scan([file])), table.schema), effects, table.name)

    with ThreadPoolExecutor(WRITTEN_AT_ONCE, "files") as pool:
        done = list(pool.map(write, touched))
    written = [file for _, files in done for file in files]
    commit = replace(commit, facts={**commit.facts, "erased": [about for about, _ in done]})
    table._commit(commit, written, touched, "erase")  # noqa: SLF001  as above


def _batches(rows: pl.LazyFrame, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for part in rows.collect_batches(chunk_size=CHUNK, maintain_order=True):
        yield from to_batches(part, schema)


def checksum(place: Place, path: str) -> str:
    """The checksum of a file's bytes, as commits keep it."""
    return str(xxhash.xxh3_128(bytes(obstore.get(place.store(), path).bytes())).hexdigest())


@dataclass(frozen=True, slots=True)
class Retired:
    """What was removed of a table: log entries below its newest version, and files that this version does not name."""

    version: int
    entries: int
    files: tuple[str, ...]


def retire(place: Place, name: str, effects: Effects, turn: Turn | None) -> Retired | None:
    """Leave the newest version of a table alone, under its lease: a fresh checkpoint, no older log entry, no file that is not its own.

    What the table is stays the same. Older versions, and the values that their entries keep as bounds of files, are gone for good.
    None where there is no such table. Without a `turn` files that no entry ever named stay: somebody may be about to.

    Raises:
        BusyError: Another run went on writing the table.
        StorageError: Something cannot be read or removed; a second call goes on.
    """
    if not any(path.startswith(f"{LOG}/") for path in listed(place)):
        return None
    if turn is not None:
        turn.take()
    try:
        table = DeltaTable(place.uri, storage_options=place.options() or None)
        version = table.version()
        live = {unquote(path) for path in table.get_add_actions(flatten=True).column("path").to_pylist()}
        paths = listed(place)
        old = [path for path in paths if path.startswith(f"{LOG}/") and (number := _version(path)) is not None and number < version]
        loose = [path for path in paths if not path.startswith((f"{LOG}/", f"{LEASE}/")) and unquote(path) not in live]
        if turn is None:
            named = {unquote(path) for entry in log_entries(place, old) if (path := entry.get("add", {}).get("path"))}
            loose = [path for path in loose if unquote(path) in named]
        if loose:
            effects.do(f"vacuum {name}", partial(_delete, place, loose))
        if old:
            effects.do(f"checkpoint {name}", partial(_checkpoint, table, place))
            effects.do(f"clean log {name}", partial(_delete, place, old))
    except (BaseError, DeltaError, OSError) as exc:
        raise StorageError(
            f"older versions cannot be removed: {reason(exc)}", where=name, next_step="See that the lake can be written, then go on."
        ) from exc
    finally:
        if turn is not None:
            turn.give_back()
    return Retired(version, len(old), tuple(loose))


def _checkpoint(table: DeltaTable, place: Place) -> None:
    table.create_checkpoint()
    place.settle_commit(table.version())


def _delete(place: Place, paths: list[str]) -> None:
    obstore.delete(place.store(), paths)


def _version(path: str) -> int | None:
    number = path.rsplit("/", 1)[-1].partition(".")[0]
    return int(number) if number.isdecimal() else None


def listed(place: Place) -> list[str]:
    """The paths of all files below a place, in order; none where it is not there.

    Raises:
        StorageError: The place cannot be listed.
    """
    try:
        return sorted(part["path"] for page in obstore.list(place.store()) for part in page)
    except FileNotFoundError:
        return []
    except (BaseError, OSError) as exc:
        raise StorageError(
            f"the folder cannot be listed: {reason(exc)}", where=place.uri, next_step="See that the lake can be read, then run again."
        ) from exc


def read_bytes(place: Place, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Files with their bytes, one after the other; those that are gone meanwhile are left out."""
    for path in paths:
        try:
            yield path, bytes(obstore.get(place.store(), path).bytes())
        except FileNotFoundError:
            continue


def log_entries(place: Place, paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The actions of log entries, and of checkpoints, among these files, each as a dictionary of one."""
    for path, body in read_bytes(place, paths):
        if path.endswith(".json"):
            yield from (json.loads(line) for line in body.splitlines() if line.strip())
        elif path.endswith(".parquet"):
            yield from ({name: value for name, value in row.items() if value} for row in pq.read_table(pa.py_buffer(body)).to_pylist())
