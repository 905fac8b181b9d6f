"""The place of a row among the versions of its key where its cursor gives none."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from lakehouse.layout import EXTRACTED_AT
from lakehouse.transform.zone import FIRST

AHEAD = timedelta(days=1)


def cursor_or_extraction(cursor: str, kind: pl.DataType, zone: str | None) -> pl.Expr:
    """The cursor of a row of bronze, or the time of its extraction, as an instant or a day, where the cursor is odd.

    Odd is NULL, the first time that there is (which stands for minus infinity), and what is more than a day ahead of the extraction:
    a function of the row alone, so that every order of arrival gives the same versions.
    """
    own, seen = pl.col(cursor), pl.col(EXTRACTED_AT)
    first: pl.Expr = pl.lit(FIRST)
    limit = seen + AHEAD
    if kind == pl.Date:
        seen = (seen if zone is None else seen.dt.convert_time_zone(zone)).dt.date()
        first, limit = pl.lit(date.min), seen + AHEAD
    return pl.when(own.is_null() | (own > limit) | (own == first)).then(seen).otherwise(own)
