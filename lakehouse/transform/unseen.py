"""Which re-read rows bronze has not seen: the last-observation rule as one query (rule 1 of the design)."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from lakehouse.layout import BATCH
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.model.run import Cursor


def comes_several_times(keys: Sequence[str]) -> str:
    """A query over `incoming` that gives a row where a key stands in it more than once."""
    key = ", ".join(quote(name) for name in keys)
    return f"select 1 from incoming group by {key} having count(*) > 1 limit 1"


def unseen_rows(columns: Sequence[str], keys: Sequence[str], cursor: str | None, low: Cursor | None, *, feed: bool = False) -> str:
    """A query over `incoming` (what a window brought) and `bronze.seen` (the rows it may repeat), in DuckDB's dialect.

    With keys: the incoming rows that differ from the last observation of their key. Where the source shows several versions of
    a key at once, as a change feed does, there is no last one, and a row counts as seen when any observation equals it.
    Without: each distinct row as often as it comes more times than bronze holds it (within the window, where there is a cursor).

    Args:
        columns: The source's columns.
        keys: The columns that name a row; may be empty.
        cursor: The cursor's column, if any.
        low: Where the window starts.
        feed: Whether a key comes several times; costs a second look at what was seen.
    """
    names = ", ".join(quote(name) for name in columns)
    if not keys:
        where = f" where {quote(cursor)} >= {_literal(low)}" if cursor and low is not None else ""
        return f"select {names} from incoming except all select {names} from bronze.seen{where}"
    key = ", ".join(quote(name) for name in keys)
    same_row = " and ".join(f"i.{quote(name)} is not distinct from l.{quote(name)}" for name in columns)
    observed = f"select * from bronze.seen qualify {BATCH} = max({BATCH}) over (partition by {key})"
    if feed:
        same_key = " and ".join(f"s.{quote(name)} is not distinct from h.{quote(name)}" for name in keys)
        several = f"select {key} from incoming group by {key} having count(*) > 1"
        observed += f" union all select s.* from bronze.seen s semi join ({several}) h on {same_key}"
    return f"select {names} from incoming i anti join ({observed}) l on {same_row}"


def _literal(bound: Cursor | None) -> str:
    if isinstance(bound, datetime):
        return f"timestamptz '{bound.isoformat()}'"
    return f"date '{bound.isoformat()}'" if isinstance(bound, date) else str(bound)
