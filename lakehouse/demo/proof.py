"""The proof that the lake holds what the source shows: every row of every table, compared in all its columns."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from lakehouse.catalog import load
from lakehouse.demo.rows import TABLES
from lakehouse.layout import BATCH, IS_CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lakehouse.api import Lakehouse
    from lakehouse.demo.store import Row, Session, Store
    from lakehouse.model.table import Table

_KEYS_AT_ONCE = 100_000
_LAKE, _SEEN = "_in_lake", "_as_seen"


@dataclass(frozen=True)
class Compared:
    """A table of the source beside the lake: the last observation of each key in bronze, and its current row in silver.

    Attributes:
        table: Its name in the lake.
        source: Rows of the source.
        lake: Current rows of silver.
        missing: Rows of the source that the lake has not.
        stale: Rows whose last observation differs from the source, or whose current row does though it is not newer.
        superseded: Rows of the source that are older than what it showed before, so that silver keeps the newer one.
        surplus: Rows that the source has deleted; a cursor does not see that.
    """

    table: str
    source: int
    lake: int
    missing: int
    stale: int
    superseded: int
    surplus: int

    @property
    def equal(self) -> bool:
        """Whether the lake has seen every row as the source shows it, and shows it too unless it was superseded."""
        return self.missing == self.stale == 0

    def facts(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return {**asdict(self), "equal": self.equal}


def compare(house: Lakehouse, store: Store) -> list[Compared]:
    """Each of the simulator's tables that the project describes, beside the lake's; in pieces of bounded size."""
    tables = [table for table in load(house.project).tables.values() if table.object in TABLES]
    with store.open() as session:
        return [_compare(house, session, table) for table in tables]


def _compare(house: Lakehouse, session: Session, table: Table) -> Compared:
    key = table.keys[0]
    bronze, silver = (house.scan(f"{layer}.{table.name}") for layer in ("bronze", "silver"))
    silver = silver.filter(IS_CURRENT) if table.history == "scd2" else silver
    kinds = {name: kind for name, kind in silver.collect_schema().items() if name in table.columns}
    total = Counter[str]()
    for low, high in _pieces(session, silver, table.object, key):
        query = f"SELECT {', '.join(kinds)} FROM {table.object} WHERE {key} >= :low AND {key} < :high"
        source = _typed(session.rows(query, low=low, high=high), kinds)
        within = pl.col(key).is_between(low, high, closed="left")
        seen = bronze.filter(within).sort(BATCH).unique(key, keep="last", maintain_order=True).select(list(kinds)).collect()
        current = silver.filter(within).select(list(kinds)).collect()
        total.update(_difference(table, source, seen, current))
    return Compared(table.name, **{name: total[name] for name in ("source", "lake", "missing", "stale", "superseded", "surplus")})


def _pieces(session: Session, silver: pl.LazyFrame, name: str, key: str) -> Iterator[tuple[int, int]]:
    """Ranges that hold every key of both sides."""
    (there,) = session.rows(f"SELECT min({key}), max({key}) FROM {name}")
    here = silver.select(least=pl.col(key).min(), most=pl.col(key).max()).collect().row(0)
    keys = [int(value) for value in (*there, *here) if value is not None]
    for low in range(min(keys, default=0), max(keys, default=-1) + 1, _KEYS_AT_ONCE):
        yield low, low + _KEYS_AT_ONCE


def _typed(rows: list[Row], kinds: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The source's rows in the lake's types."""
    frame = pl.DataFrame(rows, {name: pl.Int64 if kind.is_integer() else pl.String for name, kind in kinds.items()}, orient="row")
    return frame.with_columns(_as(pl.col(name), kind) for name, kind in kinds.items())


def _as(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        return column.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", time_zone="UTC")
    return column.str.to_date("%Y-%m-%d") if isinstance(kind, pl.Date) else column.cast(kind)


def _difference(table: Table, source: pl.DataFrame, seen: pl.DataFrame, current: pl.DataFrame) -> dict[str, int]:
    """How rows of the source differ from the last observations of their keys, and from their current rows."""
    key, cursor = table.keys[0], table.cursor
    # In a history, a version that changes nothing but its time makes no row.
    content = [name for name in source.columns if table.history == "scd1" or name != cursor]
    rows = source.join(current, on=key, how="full", suffix=_LAKE).join(seen, on=key, how="left", suffix=_SEEN, coalesce=False)
    surplus, missing = (
        pl.col(key).is_null(),
        pl.col(key).is_not_null() & pl.any_horizontal(pl.col(key + end).is_null() for end in (_LAKE, _SEEN)),
    )
    older = pl.col(cursor) < pl.col(cursor + _LAKE) if cursor else pl.lit(value=False)
    unseen = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name + _SEEN)) for name in source.columns)
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name + _LAKE)) for name in content)
    there = ~surplus & ~missing
    counts = rows.select(
        missing=missing.sum(),
        surplus=surplus.sum(),
        stale=(there & (unseen | (differs & ~older))).sum(),
        superseded=(there & older).sum(),
    )
    return {"source": source.height, "lake": current.height, **counts.row(0, named=True)}
