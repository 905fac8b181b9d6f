"""People's corrections: one table for the whole lake, `bronze._corrections`, which silver reads as it reads bronze."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.layout import BATCH, CORRECTIONS, EXTRACTED_AT, RUN_ID, consumed, corrected
from lakehouse.model.correction import Correction, standing
from lakehouse.model.run import Commit
from lakehouse.storage.frames import to_batches
from lakehouse.transform.corrected import Corrected, Moved, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    numbers = {corrected(name): batch for name in {each.table for each in said}}
    facts = {"rows": len(rows), "by": said[0].by, "kinds": kinds}
    table.append(
        to_batches(pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(rows, SCHEMA))), SCHEMA),
        lambda: Commit(lake.run_id, kinds[0], numbers, facts),
    )


def _row(said: Correction) -> dict[str, object]:
    own = {name: getattr(said, name) for name in SCHEMA.names if name in Correction.__slots__}
    value = json.dumps(said.value, ensure_ascii=False, sort_keys=True).encode() if said.value else None
    return {**own, "_correction": said.id, "value": value}


def read(table: Table | None, name: str | None = None, act: str | None = None) -> list[Correction]:
    """The corrections of one table or of all, of one act or of all, in the order in which they came."""
    if table is None:
        return []
    rows = table.scan()
    rows = rows if name is None else rows.filter(pl.col("table") == name)
    rows = rows if act is None else rows.filter(pl.col(RUN_ID) == act)
    found = rows.collect().sort(BATCH, "_correction").to_dicts()
    return [
        Correction(
            **{each: row[each] for each in SCHEMA.names if each in Correction.__slots__ and each != "value"},
            value=json.loads(row["value"]) if row["value"] else {},
            id=row["_correction"],
            batch_of=row[BATCH],
        )
        for row in found
    ]


def undone(lake: Lake, name: str) -> frozenset[int]:
    """The batches of a table that are taken back."""
    if not lake.corrected(name):
        return frozenset()
    held = standing(read(lake.corrections(), name))
    return frozenset(each.batch for each in held if each.kind == "undo" and each.row_hash is None and each.batch is not None)


class Corrections:
    """The corrections of one table: as they stand, and as its silver table has consumed them.

    Attributes:
        numbers: What silver's commit says that it has consumed of them.
        now: What they make of bronze's rows.
        moved: The rows that silver has consumed and of which it does not say yet what they say.
    """

    def __init__(self, lake: Lake, name: str, bronze: Table, silver: Table | None) -> None:
        """Read them, where there are any."""
        table = lake.corrections()
        number = 0 if table is None else table.number(corrected(name)) or 0
        done = 0 if silver is None else silver.number(corrected(name)) or 0
        said = read(table, name) if number else []
        self.numbers = {corrected(name): number} if number else {}
        self.now = Corrected.by(said, bronze.schema)
        self._before = Corrected.by([each for each in said if each.batch_of <= done], bronze.schema) if done < number else self.now
        self.moved = Moved.between(self._before, self.now, 0 if silver is None else silver.number(consumed("bronze", name)) or 0)
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
