"""Which rows of a batch a window holds, and which are odd: exact, where a database's own condition may bring a few more."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import OP, REJECT
from lakehouse.model.cursor import TIMES
from lakehouse.transform import kernels
from lakehouse.transform.zone import FIRST, day_of, midnight

if TYPE_CHECKING:
    from lakehouse.model.run import Cursor, Odd, Window
    from lakehouse.model.table import Table


def cut(batch: pa.RecordBatch, cursor: str | None, window: Window) -> pa.RecordBatch:
    """The rows that are really inside the window, and the odd ones where it wants them."""
    if cursor is None:
        return batch
    column = _comparable(batch.column(cursor))
    if window.odd is not None:
        kept = kernels.either(odd_rows(batch.column(cursor), window.odd), kernels.filled(_inside(column, window), value=False))
        return batch if kept.true_count == len(kept) else kernels.where(batch, kept)
    low, high = kernels.ends(column)
    below = window.from_ is not None and (column.null_count or low < window.from_)
    above = window.to is not None and (column.null_count or high >= window.to)
    return kernels.where(batch, _inside(column, window)) if below or above else batch


def first_of(odd: Odd) -> Cursor | None:
    """What the cursor of a row is that was infinitely long ago; None where it is no time."""
    return None if odd.ahead is None else FIRST if isinstance(odd.ahead, datetime) else date.min


def odd_from(now: datetime, kind: str, zone: str | None) -> Cursor | None:
    """From where on a cursor is odd: the midnight after next by the clock that is ahead, more than a day away; None where it is no time.

    A midnight, since all databases compare with one exactly, however they write their times.
    """
    if kind not in TIMES:
        return None
    day = day_of(max(now, datetime.now(UTC)), zone)
    day = day + timedelta(days=2) if day < date.max - timedelta(days=2) else date.max
    return day if kind == "date" else midnight(day, zone)


def sorted_out(batch: pa.RecordBatch, table: Table, odd: Odd | None) -> tuple[pa.Array, pa.RecordBatch]:
    """The cursor's values that may move the watermark, and the batch, in which the odd rows are marked where they are rejected."""
    column = batch.column(table.cursor)
    if odd is None:
        return column, batch
    strange = odd_rows(column, odd)
    if table.odd_cursors == "reject":
        batch = batch.append_column(OP, kernels.choose(strange, REJECT, pa.scalar(None, pa.string())))
    return kernels.where(column, kernels.opposite(strange)), batch


def odd_rows(column: pa.Array | pa.ChunkedArray, odd: Odd) -> pa.BooleanArray | pa.ChunkedArray:
    """True for the rows whose cursor no window holds; never NULL."""
    found = kernels.is_null(column)
    if odd.ahead is not None:
        first = pa.scalar(first_of(odd), column.type)
        for far in (kernels.greater_equal(column, pa.scalar(odd.ahead, column.type)), kernels.equal(column, first)):
            found = kernels.either(found, kernels.filled(far, value=False))
    return found


def _inside(column: pa.Array, window: Window) -> pa.BooleanArray:
    inside = kernels.is_valid(column)
    if window.from_ is not None:
        inside = kernels.both(inside, kernels.greater_equal(column, pa.scalar(window.from_, column.type)))
    if window.to is not None:
        inside = kernels.both(inside, kernels.less(column, pa.scalar(window.to, column.type)))
    return inside


def _comparable(column: pa.Array) -> pa.Array:
    """Integers as wide as any bound: a bound may lie beyond a narrow type."""
    return kernels.cast(column, pa.int64()) if pa.types.is_integer(column.type) else column
