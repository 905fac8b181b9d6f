"""Bronze: append what a read brought, less what bronze has already seen last, with the window's state in the same commit."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import ContractError
from lakehouse.layout import BATCH, EXTRACTED_AT, RUN_ID, backfilled, watermark
from lakehouse.model.run import Commit, Step, cursor_to_number
from lakehouse.transform.arrow import arrow_schema
from lakehouse.transform.unseen import comes_several_times, unseen_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.lake import Lake
    from lakehouse.model.extraction import Extraction
    from lakehouse.storage.delta import LiveFile, Table

TECHNICAL = pa.schema([(BATCH, pa.int64()), (RUN_ID, pa.string()), (EXTRACTED_AT, pa.timestamp("us", "UTC"))])


def append(lake: Lake, extraction: Extraction) -> Step:
    """Append the extraction's unseen rows to bronze in one commit; without any, nothing is written.

    Raises:
        ContractError: The source's columns contradict those that bronze has.
        ConflictError: Another run wrote the table meanwhile.
    """
    name = extraction.table.name
    step = Step("bronze", name, window=extraction.window.facts())
    table = lake.table("bronze", name)
    source_schema = arrow_schema(extraction.types)
    if table is not None:
        _agree(lake, table, extraction, source_schema)
    try:
        if table is None or (extraction.whole and extraction.table.keys) or not table.files():
            step.rows_out, table = _write(lake, table, extraction, source_schema, extraction.stream)
        else:
            with lake.engine() as engine:
                engine.table("bronze.seen", table.schema, [file.uri for file in _recent(table, extraction)])
                engine.keep("incoming", source_schema, extraction.stream)
                cursor_from = extraction.window.from_ if extraction.table.cursor else None
                keys = extraction.table.keys
                feed = bool(keys) and engine.rows(comes_several_times(keys)).num_rows > 0
                query = unseen_rows(source_schema.names, keys, extraction.table.cursor, cursor_from, feed=feed)
                step.rows_out, table = _write(lake, table, extraction, source_schema, engine.reader(query))
    except Exception as exc:
        if extraction.error is not None and extraction.error is not exc:
            raise extraction.error from None
        raise
    step.rows_in = extraction.rows
    step.version = None if table is None else table.version
    step.status = "success" if step.rows_out else "unchanged"
    return step


def _agree(lake: Lake, table: Table, extraction: Extraction, incoming: pa.Schema) -> None:
    """Widen bronze by new columns; refuse what would lose or cast something silently."""
    where = f"bronze.{extraction.table.name}"
    there = table.schema
    for field in incoming:
        if field.name in there.names and there.field(field.name).type != field.type:
            raise ContractError(
                f"column {field.name} changed its type",
                where=where,
                expected=str(there.field(field.name).type),
                given=str(field.type),
                next_step="Declare the column with its old type in the table's file, or load the table under a new name.",
            )
    gone = [name for name in there.names if name not in incoming.names and name not in TECHNICAL.names]
    if gone and not extraction.table.columns:
        raise ContractError(
            f"the source no longer has column {', '.join(gone)}",
            where=where,
            next_step="Bring it back in the source, or declare in `columns` which columns to read.",
        )
    new = [field for field in incoming if field.name not in there.names]
    if new:
        table.add_columns(new, Commit(lake.run_id, "bronze"))


def _recent(table: Table, extraction: Extraction) -> list[LiveFile]:
    """The files that can hold a last observation equal to a row of the window, by their statistics.

    An equal row has a cursor in the window, so its batch is at or above the first batch with such a cursor;
    so is every later observation of its key.
    """
    files = table.files()
    low, cursor = extraction.window.from_, extraction.table.cursor
    if cursor is None or low is None:
        return files
    near = [file for file in files if cursor not in file.greatest or file.greatest[cursor] >= low]
    first = min((file.least.get(BATCH, 0) for file in near), default=None)
    return [] if first is None else [file for file in files if file.greatest.get(BATCH, first) >= first]


def _write(
    lake: Lake, table: Table | None, extraction: Extraction, source: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> tuple[int, Table | None]:
    first = next((batch for batch in batches if batch.num_rows), None)
    if table is None:
        table = lake.make_table("bronze", extraction.table.name, pa.schema([*source, *TECHNICAL]))
    if first is None:
        return 0, table
    schema, batch_number = table.schema, table.batch + 1
    rows = (_stamped(batch, schema, batch_number, lake.run_id, extraction) for batch in chain([first], batches))
    return table.append(rows, lambda: _commit(lake, table, extraction)), table


def _stamped(batch: pa.RecordBatch, schema: pa.Schema, number: int, run_id: str, extraction: Extraction) -> pa.RecordBatch:
    constants = {BATCH: number, RUN_ID: run_id, EXTRACTED_AT: extraction.extracted_at}
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.repeat(pa.scalar(constants.get(field.name), field.type), batch.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _commit(lake: Lake, table: Table, extraction: Extraction) -> Commit:
    numbers: dict[str, int] = {}
    if extraction.past:
        low, high = (None if bound is None else cursor_to_number(bound) for bound in (extraction.window.from_, extraction.window.to))
        numbers[backfilled(extraction.table.cursor or "", low, high)] = table.batch + 1
    elif extraction.greatest is not None:
        app_id, greatest = watermark(extraction.table.cursor or ""), cursor_to_number(extraction.greatest)
        before = table.number(app_id)
        numbers[app_id] = greatest if before is None else max(greatest, before)
    facts = {
        "window": extraction.window.facts(),
        "backfill": extraction.past,
        "rows_read": extraction.rows,
        "definition": lake.catalog.definition(extraction.table.name),
    }
    return Commit(lake.run_id, "bronze", numbers, facts)
