"""Which re-read rows bronze has not seen: the last-observation rule as one query (rule 1 of the design)."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from lakehouse.layout import BATCH
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.model.run import Cursor


def unseen_rows(columns: Sequence[str], keys: Sequence[str], cursor: str | None, low: Cursor | None) -> str:
    """A query over `incoming` (what a window brought) and `bronze.seen` (the rows it may repeat), in DuckDB's dialect.

    With keys: the incoming rows that differ from the last observation of their key. Where the source shows several versions of
    a key at once, as a change feed does, there is no last one, and a row counts as seen when any observation equals it.
    Without: each distinct row as often as it comes more times than bronze holds it (within the window, where there is a cursor).
    """
    names = ", ".join(quote(name) for name in columns)
    if not keys:
        where = f" where {quote(cursor)} >= {_literal(low)}" if cursor and low is not None else ""
        return f"select {names} from incoming except all select {names} from bronze.seen{where}"
    key = ", ".join(quote(name) for name in keys)
    same_key = " and ".join(f"s.{quote(name)} is not distinct from m.{quote(name)}" for name in keys)
    same_shown = " and ".join(f"s.{quote(name)} is not distinct from h.{quote(name)}" for name in keys)
    same_row = " and ".join(f"i.{quote(name)} is not distinct from l.{quote(name)}" for name in columns)
    return f"""
        with newest as (select {key}, max({BATCH}) as _newest from bronze.seen group by {key}),
        several as (select {key} from incoming group by {key} having count(*) > 1),
        observed as (
            select s.* from bronze.seen s join newest m on {same_key} and s.{BATCH} = m._newest
            union all select s.* from bronze.seen s semi join several h on {same_shown}
        )
        select {names} from incoming i anti join observed l on {same_row}
    """


def _literal(bound: Cursor | None) -> str:
    if isinstance(bound, datetime):
        return f"timestamptz '{bound.isoformat()}'"
    return f"date '{bound.isoformat()}'" if isinstance(bound, date) else str(bound)
