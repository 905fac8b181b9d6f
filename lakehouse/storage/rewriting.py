"""How changed rows get into a table of files: which are written anew, in which order, and what the commit says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
import pyarrow as pa

from lakehouse.layout import IS_CURRENT, VALID_TO
from lakehouse.storage.files import LiveFile, has_order, overlapping
from lakehouse.storage.frames import to_batches
from lakehouse.storage.parquet import BYTES_A_GROUP, ROWS_A_GROUP, Groups, row_groups
from lakehouse.transform import kernels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


PATH, ROW = "_path", "_row"
PLACED = (PATH, ROW)
"""Where a row stands: its file, and the how-manieth of it, where the file was read as a whole, else NULL."""
CHUNK, HELD = 131_072, 2
"""Rows at once of a large file; how many small files a lookup reads as a whole, since the change that follows does so anyhow."""
MOST_ROWS, MOST_BYTES = ROWS_A_GROUP * 3 // 2, BYTES_A_GROUP * 3 // 2
"""What a file may grow to before it is cut."""
LOOSE = 8
"""How many files may be less than half full before they are put together: each change of a history leaves one of closed versions."""
_PLACE, _OPEN = "_place", pl.col(IS_CURRENT).eq_missing(other=True)


class Table(Protocol):
    """What is asked of a table: its schema, files and their rows; `storage.delta.Table` is one."""

    @property
    def schema(self) -> pa.Schema: ...  # noqa: D102
    def files(self, bounds: Iterable[str] | None = None) -> list[LiveFile]: ...  # noqa: D102
    def scan(self, files: Iterable[LiveFile] | None = None, *, paths_as: str | None = None) -> pl.LazyFrame: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Found:
    """What was looked up.

    Attributes:
        rows: They, `PLACED`.
        held: All rows of the files that were read as a whole, by their paths.
    """

    rows: pl.DataFrame
    held: Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What an `apply` does to a table's files.

    Attributes:
        lost: What names the rows to take out.
        touched: The files that hold such rows; each is written anew without them.
        files: All files of the table, with their bounds of the columns that name rows.
        held: All rows of some of them, and which of them go.
        found_by: How they were found: `lookup` (the step had read these rows), `keys` (these were read again), `nothing` to take out.
    """

    lost: pl.DataFrame
    touched: list[LiveFile]
    files: list[LiveFile]
    found_by: str
    held: Mapping[str, tuple[pl.DataFrame, pl.Series]] = field(default_factory=dict)

    @property
    def loose(self) -> list[list[LiveFile]]:
        """Files to put together, each list for itself: the smallest, where many are less than half full; of a history those of one kind."""
        touched = {file.path for file in self.touched}
        small = [file for file in self.files if file.rows < ROWS_A_GROUP // 2 and file.path not in touched]
        kinds = [[file for file in small if (file.nulls.get(VALID_TO) == 0) is closed] for closed in (False, True)]
        return [sorted(kind, key=lambda file: file.rows)[: 2 * LOOSE] for kind in kinds if len(kind) > LOOSE]

    @property
    def removed(self) -> list[LiveFile]:
        """The files that other ones take the place of."""
        return [*self.touched, *(file for files in self.loose for file in files)]

    @property
    def facts(self) -> dict[str, Any]:
        """As the commit tells it."""
        return {
            "strategy": "copy-on-write",
            "files_touched": len(self.touched),
            "files_there": len(self.files),
            "rows_rewritten": sum(file.rows for file in self.touched),
            "found_by": self.found_by,
            "files_put_together": len(self.removed) - len(self.touched),
        }


def is_history(schema: pa.Schema) -> bool:
    """Whether the rows say which of them are open; a source may call a column of its own so."""
    return {IS_CURRENT, VALID_TO} <= set(schema.names) and pa.types.is_boolean(schema.field(IS_CURRENT).type)


def apart(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """All rows of a table, in tables of a file each; of a history the open versions apart from the closed ones."""
    if not is_history(schema):
        yield from row_groups(schema, batches)
        return
    opened, closed = Groups(schema), Groups(schema)
    for batch in batches:
        which = kernels.filled(batch.column(IS_CURRENT), value=True)
        yield from closed.add(kernels.where(batch, kernels.opposite(which)))
        yield from opened.add(kernels.where(batch, which))
    yield from (*closed.rest(), *opened.rest())


def look_up(table: Table, keys: pl.DataFrame, columns: Sequence[str] | None = None, *, current: bool) -> Found:
    """The rows with one of these keys, some or all of their columns; of a history on request only those that are current.

    Files whose bounds leave no room for any of the keys are not read, nor are those that hold closed versions alone.
    """
    files = overlapping(table.files([*keys.columns, *([VALID_TO] if current else [])]), keys) if keys.height else []
    if current:
        files = [file for file in files if file.nulls.get(VALID_TO) != 0]
    held = {file.path: table.scan([file]).collect() for file in files} if len(files) <= HELD and all(map(_is_small, files)) else {}
    parts = [rows.lazy().with_row_index(ROW).with_columns(pl.lit(path).alias(PATH)) for path, rows in held.items()]
    rows = pl.concat(parts) if parts else table.scan(files, paths_as=PATH).with_columns(pl.lit(None, pl.get_index_type()).alias(ROW))
    if len(keys.columns) == 1:
        name = keys.columns[0]
        rows = rows.filter(pl.col(name).is_in(keys[name].implode()))  # decodes the other columns of these rows only
    else:
        rows = rows.join(keys.lazy(), on=keys.columns, how="semi")
    rows = rows.filter(pl.col(IS_CURRENT)) if current else rows
    return Found((rows if columns is None else rows.select(*columns, *PLACED)).collect(), held)


def plan(table: Table, gone: pl.DataFrame, match: Sequence[str], found: Sequence[Found]) -> Rewriting:
    """The files that hold a row whose `match` columns stand in `gone`, NULL matching NULL; what was looked up is not searched again."""
    files = table.files([*match, *([VALID_TO] if VALID_TO in table.schema.names else [])])
    lost = gone.select(match)
    if lost.is_empty():
        return Rewriting(lost, [], files, "nothing")
    known = gone if PATH in gone.columns else _known(lost, found)
    if known is not None:
        places: dict[str, list[pl.Series]] = {}
        for (path,), rows in known.select(PLACED).partition_by(PATH, as_dict=True).items():
            places.setdefault(_name(path), []).append(rows[ROW])  # one file may have been read in part and as a whole
        touched = [file for file in files if _name(file.path) in places]
        if len(touched) == len(places):  # else some were found in files that are no more
            held = {_name(path): rows for each in found for path, rows in each.held.items()}
            rows_of = {file.path: pl.concat(places[_name(file.path)]) for file in touched if _name(file.path) in held}
            whole = {path: (held[_name(path)], rows) for path, rows in rows_of.items() if not rows.null_count()}
            return Rewriting(lost, touched, files, "lookup", whole)
    candidates = overlapping(files, lost)
    if not candidates:
        return Rewriting(lost, [], files, "keys")
    there = table.scan(candidates, paths_as=PATH).join(lost.lazy(), on=lost.columns, how="semi", nulls_equal=True)
    names = {_name(path) for path in there.select(pl.col(PATH).unique()).collect()[PATH]}
    return Rewriting(lost, [file for file in candidates if _name(file.path) in names], files, "keys")


def _known(lost: pl.DataFrame, found: Sequence[Found]) -> pl.DataFrame | None:
    """Where the lost rows stand, if all of them were looked up."""
    whole = [each.rows.select(*lost.columns, *PLACED) for each in found if set(lost.columns) <= set(each.rows.columns)]
    if not whole:
        return None
    known = pl.concat(whole).join(lost, on=lost.columns, how="semi", nulls_equal=True)
    return known if known.select(lost.columns).n_unique() == lost.n_unique() else None


def _name(path: object) -> str:
    """A file's own name, which is the same for the log and for who read it."""
    return str(path).rpartition("/")[2]


def sections(table: Table, chosen: Rewriting, came: pl.DataFrame) -> Iterator[pa.Table]:
    """The rows to write, a file each: those that stay of each touched file, with what came between its first key and the next file's.

    So files whose keys lie apart stay apart, and the next change touches few. What came between the keys of other files gets its own.
    Of a history the open versions are kept apart from the closed ones, which are hardly ever written again.
    Memory is a file or two, not the table.
    """
    order, schema = chosen.lost.columns, table.schema
    closed, mixed = came.clear(), list[LiveFile]()
    if is_history(schema):
        came, closed = came.filter(_OPEN), came.filter(~_OPEN)
        mixed = [file for file in chosen.touched if file.nulls.get(VALID_TO) != file.rows]
    shares = _shares(chosen, came, order, history=is_history(schema))
    for file in chosen.touched:
        own = [shares.pop(file.path)] if file.path in shares else []
        yield from _packed(own, _kept(table, chosen, file, _OPEN if file in mixed else None), order, schema)
    for file in mixed:
        yield from _packed([], _kept(table, chosen, file, ~_OPEN), order, schema)
    for rest in (closed, *shares.values()):
        yield from _packed([rest], [], order, schema)
    for files in chosen.loose:
        yield from _packed([], table.scan(files).collect_batches(chunk_size=CHUNK, maintain_order=True), order, schema)


def _shares(chosen: Rewriting, came: pl.DataFrame, order: Sequence[str], *, history: bool) -> dict[str, pl.DataFrame]:
    """The rows that came, by the path of the touched file that they go to; under no path those that go to none."""
    there = [file for file in chosen.files if not history or file.nulls.get(VALID_TO) != 0]
    if not chosen.touched or not there:
        return {"": came}
    column, kind = order[0], came.schema[order[0]]
    if not (has_order(kind) and all(column in file.least for file in there)):
        return {chosen.touched[-1].path: came}
    there.sort(key=lambda file: file.least[column])
    firsts = pl.Series([file.least[column] for file in there], dtype=kind)
    places = (firsts.search_sorted(came[column], side="right").cast(pl.Int64) - 1).clip(0)
    touched = {file.path for file in chosen.touched}
    if places.n_unique() == 1:
        shares = {(places[0],): came}
    else:
        shares = came.with_columns(places.alias(_PLACE)).partition_by(_PLACE, include_key=False, as_dict=True)
    found: dict[str, list[pl.DataFrame]] = {}
    for (place,), rows in shares.items():
        path = there[int(place)].path
        found.setdefault(path if path in touched else "", []).append(rows)
    return {path: pl.concat(rows) for path, rows in found.items()}


def _kept(table: Table, chosen: Rewriting, file: LiveFile, which: pl.Expr | None) -> Iterable[pl.DataFrame]:
    """The rows of a file that stay, or some of them; of a large file chunk by chunk."""
    if file.path in chosen.held:
        whole, places = chosen.held[file.path]
        stays = pl.repeat(value=True, n=whole.height, eager=True).scatter(places, values=False)
        return [whole.filter(stays if which is None else which & stays)]
    rows, lost = table.scan([file]), chosen.lost
    if len(lost.columns) == 1:
        name = lost.columns[0]
        rows = rows.filter(~pl.col(name).is_in(lost[name].implode(), nulls_equal=True))
    else:
        rows = rows.join(lost.lazy(), on=lost.columns, how="anti", nulls_equal=True)
    rows = rows if which is None else rows.filter(which)
    return [rows.collect()] if _is_small(file) else rows.collect_batches(chunk_size=CHUNK, maintain_order=True)


def _is_small(file: LiveFile) -> bool:
    return file.rows <= MOST_ROWS and file.size <= BYTES_A_GROUP // 2  # compressed: it may become several times as many


def _packed(first: list[pl.DataFrame], others: Iterable[pl.DataFrame], order: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of a file each, cut by their order where they are too many for one."""
    waiting = first
    for rows in others:
        waiting.append(rows)
        if sum(each.height for each in waiting) > MOST_ROWS:
            yield from _cut(pl.concat(waiting), order, schema)
            waiting = []
    if waiting:
        yield from _cut(pl.concat(waiting), order, schema)


def _cut(rows: pl.DataFrame, order: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    whole = pa.Table.from_batches(to_batches(rows, schema), schema)
    if whole.num_rows <= MOST_ROWS and whole.nbytes <= MOST_BYTES:
        yield from [whole] if whole.num_rows else []
        return
    count = ceil(max(whole.num_rows / ROWS_A_GROUP, whole.nbytes / BYTES_A_GROUP))
    ordered = pa.Table.from_batches(to_batches(rows.sort(order), schema), schema)
    each = ceil(whole.num_rows / count)
    yield from (ordered.slice(at, each) for at in range(0, whole.num_rows, each))
