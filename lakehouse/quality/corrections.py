"""People's corrections: one table for the whole lake, `bronze._corrections`, which silver reads as it reads bronze."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from lakehouse.layout import BATCH, CORRECTIONS, EXTRACTED_AT, REJECTS, ROW_HASH, RUN_ID, consumed, corrected
from lakehouse.model.correction import Correction, Pointer, standing
from lakehouse.model.expectation import ACROSS
from lakehouse.model.run import Commit
from lakehouse.storage.frames import to_batches
from lakehouse.transform.corrected import POINTERS, Corrected, Moved, Rows
from lakehouse.transform.rejects import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakehouse.lake import Lake
    from lakehouse.storage.delta import Table

SCHEMA = pa.schema(
    [
        ("_correction", pa.string()),
        ("kind", pa.string()),
        ("table", pa.string()),
        ("run_id", pa.string()),
        ("batch", pa.int64()),
        ("row_hash", pa.string()),
        ("key_hash", pa.string()),
        ("value", pa.binary()),
        ("by", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("why", pa.string()),
        ("supersedes", pa.string()),
        (BATCH, pa.int64()),
        (RUN_ID, pa.string()),
        (EXTRACTED_AT, pa.timestamp("us", "UTC")),
    ]
)
"""`bronze._corrections`, see `model.correction.Correction`. `value` is JSON in UTF-8; as bytes, since it holds values of rows, and of bytes
no log keeps bounds. `_run_id` is the act, `_batch` the ordinal of its commit."""


def record(lake: Lake, said: Sequence[Correction]) -> None:
    """Add the corrections of one act, in one commit, upon the state that the lake's handle shows.

    Raises:
        ConflictError: Somebody else corrected something meanwhile; what this act was decided by has to be looked at again.
    """
    table = lake.corrections() or lake.make_table("bronze", CORRECTIONS, SCHEMA)
    batch, now = table.batch + 1, lake.now()
    own = {BATCH: batch, RUN_ID: lake.run_id, EXTRACTED_AT: now}
    rows = [{**_row(each), **own} for each in said]
    kinds = sorted({each.kind for each in said})
    numbers = {corrected(each.table): batch for each in said if each.kind != "assign"}  # who looks after a row changes no table
    facts = {"rows": len(rows), "by": said[0].by, "kinds": kinds}
    table.append(
        to_batches(pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(rows, SCHEMA))), SCHEMA),
        lambda: Commit(lake.run_id, kinds[0], numbers, facts),
    )


def _row(said: Correction) -> dict[str, object]:
    own = {name: getattr(said, name) for name in SCHEMA.names if name in Correction.__slots__}
    value = json.dumps(said.value, ensure_ascii=False, sort_keys=True).encode() if said.value else None
    return {**own, "_correction": said.id, "value": value}


def read(table: Table | None, name: str | None = None) -> list[Correction]:
    """The corrections of one table or of all, in the order in which they came."""
    if table is None:
        return []
    rows = table.scan()
    rows = rows if name is None else rows.filter(pl.col("table") == name)
    found = rows.collect().sort(BATCH, "_correction").to_dicts()
    return [
        Correction(
            **{each: row[each] for each in SCHEMA.names if each in Correction.__slots__ and each != "value"},
            value=json.loads(row["value"]) if row["value"] else {},
            id=row["_correction"],
            batch_of=row[BATCH],
            act=row[RUN_ID],
        )
        for row in found
    ]


def undone(lake: Lake, name: str) -> frozenset[int]:
    """The batches of a table that are taken back."""
    if not lake.corrected(name):
        return frozenset()
    return _taken_back(standing(read(lake.corrections(), name)))


def _taken_back(held: Iterable[Correction]) -> frozenset[int]:
    return frozenset(each.batch for each in held if each.kind == "undo" and each.row_hash is None and each.batch is not None)


def counts(lake: Lake, name: str) -> tuple[int, int, int]:
    """Of the rows that a silver table has consumed: those that people dropped, those taken back, those fixed that are withheld again."""
    bronze, silver, rejects = lake.table("bronze", name), lake.table("silver", name), lake.table(REJECTS, name)
    if bronze is None or silver is None:
        return 0, 0, 0
    done, upto = silver.number(consumed("bronze", name)) or 0, silver.number(corrected(name)) or 0
    held = standing(each for each in read(lake.corrections(), name) if each.batch_of <= upto)
    out = sorted(_taken_back(held))
    there = [each for each in held if each.batch not in out and (each.batch or 0) <= done]
    dropped = sum(int(each.value.get("copies", 1)) for each in there if each.kind == "drop")
    undone = int(source(bronze)(0, done).filter(pl.col(BATCH).is_in(out)).select(pl.len()).collect().item()) if out else 0
    fixed = {each.pointer for each in there if each.kind == "fix"}
    withheld = [] if rejects is None or not fixed else rejects.scan().filter(pl.col("reason").is_in(ACROSS)).collect().to_dicts()
    return dropped, undone, sum((row[BATCH], row[ROW_HASH]) in fixed for row in withheld)


def lives(lake: Lake, name: str, rows: pl.LazyFrame) -> list[dict[str, Any]]:
    """Open rejects, and those that people repaired or dropped, each with its state, owner, age and who did it."""
    held = standing(read(lake.corrections(), name)) if lake.corrections() is not None else ()
    owners = {each.pointer: each.value.get("owner") for each in held if each.kind == "assign"}
    out = _taken_back(held)
    mended = {each.pointer: each for each in held if each.kind in ("fix", "drop") and each.batch not in out}
    found = [{**row, "state": "open"} for row in rows.collect().iter_rows(named=True)]
    listed = {(row[BATCH], row[ROW_HASH]) for row in found}
    bronze = lake.table("bronze", name)
    came = {} if bronze is None else _came(bronze, [each for each in mended if each is not None and each not in listed])
    for pointer, each in mended.items():
        if pointer is not None and pointer not in listed:
            row = {**each.value.get("reject", {}), BATCH: pointer[0], ROW_HASH: pointer[1], **came.get(pointer[0], {})}
            found.append({**row, "state": "repaired" if each.kind == "fix" else "dropped"})
    told = []
    for row in found:
        pointer = Pointer(row[BATCH], row[ROW_HASH])
        by = mended.get(pointer)
        at = row.get(EXTRACTED_AT)
        life = {
            "table": name,
            **row,
            EXTRACTED_AT: None if at is None else at.isoformat(),
            "owner": owners.get(pointer) or lake.catalog.tables[name].owner,
            "age_seconds": None if at is None else round((lake.now() - at).total_seconds()),
        }
        who = {} if by is None else {"by": by.by, "at": by.at.isoformat(), "why": by.why, "act": by.act}
        told.append(life | who)
    return told


def _came(bronze: Table, mended: Sequence[Pointer]) -> dict[int, dict[str, Any]]:
    """The run and the time of extraction of batches."""
    batches = sorted({pointer.batch for pointer in mended})
    if not batches:
        return {}
    rows = source(bronze)(batches[0] - 1, batches[-1]).filter(pl.col(BATCH).is_in(batches)).select(BATCH, RUN_ID, EXTRACTED_AT)
    return {row.pop(BATCH): row for row in rows.unique(BATCH).collect().to_dicts()}


def held_batches(lake: Lake, name: str) -> set[int]:
    """The batches of bronze that must be kept whatever a table's retention: of open rejects, and of rows and batches that corrections name.

    Whoever cleans bronze asks here.
    """
    rejects = lake.table(REJECTS, name)
    open_ = set() if rejects is None else set(rejects.scan().select(BATCH).unique().collect()[BATCH].to_list())
    return open_ | {each.batch for each in standing(read(lake.corrections(), name)) if each.batch is not None and each.kind != "assign"}


class Corrections:
    """The corrections of one table: as they stand, and as its silver table has consumed them.

    Attributes:
        numbers: What silver's commit says that it has consumed of them.
        now: What they make of bronze's rows.
        moved: The rows that silver has consumed and of which it does not say yet what they say.
        proposed: The rows that the proposed ones speak of.
    """

    def __init__(self, lake: Lake, name: str, bronze: Table, silver: Table | None, proposed: Sequence[Correction] = ()) -> None:
        """Read them, where there are any; those that are proposed count as if they had come last."""
        table = lake.corrections()
        number = 0 if table is None else table.number(corrected(name)) or 0
        done = 0 if silver is None else silver.number(corrected(name)) or 0
        said = read(table, name) if number else []
        said += [replace(each, batch_of=number + 1) for each in proposed]
        self.numbers = {corrected(name): number} if number else {}
        self.now = Corrected.by(said, bronze.schema)
        self._before = (
            Corrected.by([each for each in said if each.batch_of <= done], bronze.schema) if done < number or proposed else self.now
        )
        self.moved = Moved.between(self._before, self.now, 0 if silver is None else silver.number(consumed("bronze", name)) or 0)
        self.proposed = pl.DataFrame([each.pointer for each in proposed], schema=frame(POINTERS).schema, orient="row")
        self._bronze = bronze
        pending = {each.value.get("erasure") for each in said if each.batch_of > done}
        erasure, condition = lake.spoken_of.get(name, ("", None))
        self._narrow = condition if pending == {erasure} else None

    @property
    def rows(self) -> Rows:
        """Bronze's rows as they leave them."""
        return Rows(source(self._bronze), self.now)

    @property
    def states(self) -> tuple[pl.LazyFrame, pl.LazyFrame]:
        """The rows that moved, as silver has consumed them and as they are now, with `_row_hash`."""
        rows, narrow = source(self._bronze), self._narrow
        some = rows if narrow is None else lambda above, upto: rows(above, upto).filter(narrow)
        before, now = (self.moved.among(Rows(some, state).of_batches(self.moved.all_batches)) for state in (self._before, self.now))
        return before, now


def source(bronze: Table) -> Callable[[int, int | None], pl.LazyFrame]:
    """Gives a table's rows with a batch above one number and, where it is given, up to another; files are chosen by their statistics."""

    def above(batch: int, upto: int | None) -> pl.LazyFrame:
        files = [file for file in bronze.files([BATCH]) if file.greatest.get(BATCH, batch + 1) > batch]
        if upto is None:
            return bronze.scan(files).filter(pl.col(BATCH) > batch)
        files = [file for file in files if file.least.get(BATCH, upto) <= upto]
        return bronze.scan(files).filter((pl.col(BATCH) > batch) & (pl.col(BATCH) <= upto))

    return above
