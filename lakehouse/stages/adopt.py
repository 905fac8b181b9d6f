"""Adopt: rows that somebody else loaded before become a table's first rows, through the same door as the source's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import ContractError, QualityError, SourceDataError, UsageError
from lakehouse.model.extraction import Extraction
from lakehouse.model.run import Cursor, Odd, Window
from lakehouse.transform import kernels
from lakehouse.transform.arrow import arrow_schema, cast_batch
from lakehouse.transform.custody import marks
from lakehouse.transform.cut import odd_from, sorted_out
from lakehouse.transform.zone import day_of, zoned_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.lake import Lake
    from lakehouse.model.table import Table
    from lakehouse.storage.foreign import Foreign

AHEAD = timedelta(days=1)


def adopt(lake: Lake, table: Table, foreign: Foreign, watermark: Cursor | None = None) -> Extraction:
    """All foreign rows as a first read of the table, as a stream that has not begun; its greatest cursor becomes the watermark.

    Args:
        lake: The opened lake.
        table: What they become.
        foreign: The rows.
        watermark: Where the next run goes on, in the place of the greatest cursor; never above it.

    Raises:
        UsageError: Bronze has rows of the table already, or the table has no such watermark.
        ContractError: A column is missing, too much, or of a type that cannot become the table's own; all are named.
    """
    _require_empty(lake, table)
    protection = lake.protection(table)
    given = {name: shape.type for name, shape in table.columns.items() if name in table.stored}
    given = given or lake.database(table.source).describe(table).types
    schema, types = arrow_schema(given), {**given, **table.stored}
    names = _matched(table, schema, foreign)
    _require_watermark(table, schema, watermark)
    odd = None
    if table.cursor and table.odd_cursors != "stop":
        odd = Odd(odd_from(lake.now(), types[table.cursor].name, table.cursor_zone))
    extraction = Extraction(table, types, Window(odd=odd), lake.now(), iter(()), adopted=foreign.uri)
    where = f"{table.source}.{table.name}"
    rows = iter(_at_the_door(batch, names, schema, table, where) for batch in foreign.batches(list(names)))
    if protection is not None:
        rows = (protection.door(batch) for batch in rows)
        extraction.numbers |= marks(protection)
    extraction.stream = _observed(lake.while_on(rows), extraction, lake.now(), watermark)
    lake.extractions[table.name] = extraction
    return extraction


def _require_empty(lake: Lake, table: Table) -> None:
    bronze = lake.table("bronze", table.name)
    rows = 0 if bronze is None else bronze.rows()
    if bronze is not None and rows:
        raise UsageError(
            f"bronze has {rows} row{'s' * (rows != 1)} of it already, and only an empty table can adopt",
            where=f"bronze.{table.name}",
            next_step=f"Adopt into a new lake (LAKEHOUSE_LAKE), or remove {bronze.uri} and what is built on it.",
        )


def _matched(table: Table, schema: pa.Schema, foreign: Foreign) -> dict[str, str]:
    """The table's name of each foreign column that is taken; an exact name wins, else the only one that differs in case.

    Raises:
        ContractError: With every column that does not fit.
    """
    there: dict[str, set[pa.DataType]] = {}
    for part in foreign.schemas():
        for field in part:
            there.setdefault(field.name, set()).add(field.type)
    found: dict[str, str] = {}
    faults: list[str] = []
    for field in schema:
        like = [field.name] if field.name in there else [name for name in there if name.lower() == field.name.lower()]
        if len(like) != 1:
            faults.append(f"{field.name} {field.type}: {'there are several' if like else 'missing'}")
            continue
        found[like[0]] = field.name
        faults += [f"{field.name} {field.type}: given {kind}" for kind in sorted(there[like[0]], key=str) if not _fits(field, kind)]
    if not table.columns:
        faults += [f"{name}: not in the source" for name in there if name not in found]
    if faults:
        raise ContractError(
            f"the columns do not fit: {'; '.join(faults)}",
            where=foreign.uri,
            next_step=f"Correct them there, or declare in metadata/tables/{table.source}/{table.name}.yml which `columns` to take.",
        )
    return found


def _fits(field: pa.Field, kind: pa.DataType) -> bool:
    """Whether a type can become the field's own at all; each value is looked at when it comes."""
    try:
        cast_batch(pa.RecordBatch.from_arrays([pa.array([], kind)], [field.name]), pa.schema([field]), "")
    except SourceDataError:
        return False
    return True


def _require_watermark(table: Table, schema: pa.Schema, watermark: Cursor | None) -> None:
    if watermark is None:
        return
    kind = schema.field(table.cursor).type if table.cursor else None
    fits = kind is not None and (
        isinstance(watermark, int) if pa.types.is_integer(kind) else pa.types.is_temporal(kind) and not isinstance(watermark, int)
    )
    if not fits:
        raise UsageError(
            f"the table has no watermark such as {watermark}",
            where=f"metadata/tables/{table.source}/{table.name}.yml",
            given="no cursor" if kind is None else f"cursor {table.cursor}, {kind}",
            next_step="Leave --watermark out, or write it as the cursor's values are.",
        )


def _at_the_door(batch: pa.RecordBatch, names: dict[str, str], schema: pa.Schema, table: Table, where: str) -> pa.RecordBatch:
    """The batch as the source's own rows come: exactly the table's columns and types; those that a file lacks are NULL."""
    taken = {names[name]: batch.column(name) for name in batch.schema.names}
    columns = [taken.get(field.name, pa.nulls(batch.num_rows, field.type)) for field in schema]
    given = pa.RecordBatch.from_arrays(columns, schema.names)
    cursor = None if table.cursor is None else given.column(table.cursor)
    if cursor is not None and pa.types.is_timestamp(cursor.type) and cursor.type.tz is not None:
        return cast_batch(given, schema, where, table.personal)  # instants, whatever the zone of the source's own values
    return zoned_batch(given, schema, table.cursor, table.cursor_zone, where, hidden=table.personal)


def _observed(rows: Iterator[pa.RecordBatch], extraction: Extraction, now: datetime, watermark: Cursor | None) -> Iterator[pa.RecordBatch]:
    table, odd = extraction.table, extraction.window.odd
    required = {*table.keys, table.sequence, table.cursor} - {None, table.cursor if odd else None}
    try:
        for batch in rows:
            extraction.rows += batch.num_rows
            for name in sorted(str(column) for column in required):
                _require_filled(extraction, name, batch.column(name).null_count)
            if table.cursor:
                moving, batch = sorted_out(batch, table, odd)  # noqa: PLW2901  the batch with its marks
                _, greatest = kernels.ends(moving)
                if greatest is not None and (extraction.greatest is None or greatest > extraction.greatest):
                    extraction.greatest = greatest.astimezone(UTC) if isinstance(greatest, datetime) else greatest
            yield batch
        extraction.greatest = _mark(extraction, now, watermark)
    except BaseException as exc:
        extraction.error = exc
        raise


def _require_filled(extraction: Extraction, name: str, nulls: int) -> None:
    if nulls:
        raise QualityError(
            f"{name} is NULL in {nulls} row{'s' * (nulls != 1)}: without it a row has no place among the versions of a key",
            where=extraction.adopted,
            next_step="Leave these rows out; nothing was kept.",
        )


def _mark(extraction: Extraction, now: datetime, watermark: Cursor | None) -> Cursor | None:
    """The watermark: never above what was adopted, nor above the clock, less the table's lag, so that the next window begins low enough.

    Raises:
        UsageError: The given one lies above all rows, so that those between would be lost.
        QualityError: A cursor lies more than a day ahead, as no window would bring it.
    """
    greatest = extraction.greatest
    if greatest is None or isinstance(greatest, str):
        return greatest
    lag = extraction.table.lag
    if isinstance(greatest, int):
        greatest -= lag if isinstance(lag, int) else 0
    else:
        here = now if isinstance(greatest, datetime) else now.date()
        if extraction.window.odd is None and greatest > here + AHEAD:
            raise QualityError(
                f"cursor {extraction.table.cursor} reaches to {greatest}, more than a day ahead of the clock",
                where=extraction.adopted,
                next_step="Leave these rows out; nothing was kept.",
            )
        safe = now - lag if isinstance(lag, timedelta) else now
        greatest = min(greatest, safe if isinstance(greatest, datetime) else day_of(safe, extraction.table.cursor_zone))
    if watermark is None:
        return greatest
    if isinstance(watermark, date) and isinstance(greatest, datetime) and not isinstance(watermark, datetime):
        watermark = datetime.combine(watermark, time(), UTC)
    elif isinstance(watermark, datetime) and not isinstance(greatest, datetime):
        watermark = watermark.date()
    if watermark > greatest:  # type: ignore[operator]  # both are of the cursor's kind now
        raise UsageError(
            f"the watermark {watermark} lies above every row, so that those between would never be read",
            where=extraction.adopted,
            expected=f"{greatest} or less",
            next_step="Leave --watermark out, or lower it.",
        )
    return watermark
