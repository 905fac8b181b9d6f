"""How changed rows get into a table of files: which are written anew, in which order, and what the commit says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from lakehouse.layout import IS_CURRENT, VALID_TO
from lakehouse.storage.files import overlapping
from lakehouse.storage.frames import to_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from lakehouse.storage.files import LiveFile

PATH = "_path"
CHUNK = 131_072


class Table(Protocol):
    """What is asked of a table: its schema, files and their rows; `storage.delta.Table` is one."""

    @property
    def schema(self) -> pa.Schema: ...  # noqa: D102
    def files(self, bounds: Iterable[str] | None = None) -> list[LiveFile]: ...  # noqa: D102
    def scan(self, files: Iterable[LiveFile] | None = None, *, paths_as: str | None = None) -> pl.LazyFrame: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What an `apply` does to a table's files.

    Attributes:
        touched: The files that hold rows to take out; each is written anew without them.
        there: How many files the table has.
        found_by: How they were found: `lookup` (the step had read these rows), `keys` (these were read again), `nothing` to take out.
    """

    touched: list[LiveFile]
    there: int
    found_by: str

    @property
    def facts(self) -> dict[str, Any]:
        """As the commit tells it."""
        return {
            "strategy": "copy-on-write",
            "files_touched": len(self.touched),
            "files_there": self.there,
            "rows_rewritten": sum(file.rows for file in self.touched),
            "found_by": self.found_by,
        }


def look_up(table: Table, keys: pl.DataFrame, *, current: bool) -> pl.DataFrame:
    """The rows with one of these keys, of a history on request only those that are current, with the name of each one's file as `_path`.

    Files whose bounds leave no room for any of the keys are not read, nor are those that hold closed versions alone.
    """
    files = overlapping(table.files([*keys.columns, *([VALID_TO] if current else [])]), keys) if keys.height else []
    if current:
        files = [file for file in files if file.nulls.get(VALID_TO) != 0]
    rows = table.scan(files, paths_as=PATH)
    if len(keys.columns) == 1:
        name = keys.columns[0]
        rows = rows.filter(pl.col(name).is_in(keys[name].implode()))  # decodes the other columns of these rows only
    else:
        rows = rows.join(keys.lazy(), on=keys.columns, how="semi")
    return (rows.filter(pl.col(IS_CURRENT)) if current else rows).collect()


def plan(table: Table, lost: pl.DataFrame, found: Sequence[pl.DataFrame]) -> Rewriting:
    """The files that hold a row whose columns stand in `lost`; rows that were looked up are not searched again. NULL matches NULL."""
    files = table.files([*lost.columns, *([VALID_TO] if VALID_TO in table.schema.names else [])])
    if lost.is_empty():
        return Rewriting([], len(files), "nothing")
    if found:
        places = [rows.select(*lost.columns, PATH) for rows in found]
        known = pl.concat(places).join(lost, on=lost.columns, how="semi", nulls_equal=True)
        if known.select(lost.columns).n_unique() == lost.height:
            return Rewriting(_named(files, known[PATH]), len(files), "lookup")
    candidates = overlapping(files, lost)
    if not candidates:
        return Rewriting([], len(files), "keys")
    rows = table.scan(candidates, paths_as=PATH).join(lost.lazy(), on=lost.columns, how="semi", nulls_equal=True)
    return Rewriting(_named(candidates, rows.select(pl.col(PATH).unique()).collect()[PATH]), len(files), "keys")


def _named(files: Sequence[LiveFile], paths: pl.Series) -> list[LiveFile]:
    names = {str(path).rsplit("/", 1)[-1] for path in paths.unique()}
    return [file for file in files if file.path.rsplit("/", 1)[-1] in names]


def groups(table: Table, touched: list[LiveFile], lost: pl.DataFrame, came: pl.DataFrame) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows to write, a group of files each: all of them, or of a history the open versions apart from the closed ones.

    Closed versions are hardly ever written again: the next change finds files of open ones alone. Memory is the change, not the table.
    """
    kept = table.scan(touched).join(lost.lazy(), on=lost.columns, how="anti", nulls_equal=True) if touched else None
    if IS_CURRENT not in came.columns:
        yield _batches(table, kept, came)
        return
    opened = pl.col(IS_CURRENT).eq_missing(other=True)
    mixed = any(file.nulls.get(VALID_TO) != file.rows for file in touched)
    yield _batches(table, kept.filter(~opened) if kept is not None and mixed else None, came.filter(~opened))
    yield _batches(table, kept.filter(opened) if kept is not None and mixed else kept, came.filter(opened))


def _batches(table: Table, kept: pl.LazyFrame | None, came: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    schema = table.schema
    for part in () if kept is None else kept.collect_batches(chunk_size=CHUNK, maintain_order=True):
        yield from to_batches(part, schema)
    yield from to_batches(came, schema)
