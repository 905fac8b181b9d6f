"""Bronze: append what a read brought, less what bronze has already seen last, with the window's state in the same commit."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import LakehouseError
from lakehouse.layout import (
    BATCH,
    DELETE,
    EXTRACTED_AT,
    OP,
    REJECT,
    RUN_ID,
    SNAPSHOT,
    SNAPSHOT_ROWS,
    backfilled,
    watermark,
    watermark_batch,
)
from lakehouse.model.run import Commit, Step, cursor_to_number
from lakehouse.storage.reach import CUT, newest, recent
from lakehouse.storage.widen import widen
from lakehouse.transform import kernels
from lakehouse.transform.arrow import arrow_schema, stamped
from lakehouse.transform.contract import FEW_NAMED, agree, refusal
from lakehouse.transform.names import quote
from lakehouse.transform.tombstones import Tombstones, shown
from lakehouse.transform.unseen import Unseen
from lakehouse.transform.vanished import require_plausible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.extraction import Extraction
    from lakehouse.model.table import Table as Metadata
    from lakehouse.storage.delta import Table
    from lakehouse.storage.files import LiveFile
    from lakehouse.transform.contract import Agreement

HELD_BATCHES = 4
FEW_AGAIN, FEW_SEEN, FEW_BYTES = 2_048, 65_536, 32 * 1024**2
"""Up to so many rows that bronze may have, among so many that it has, are compared here; more by the SQL engine, which is slow to start."""

MARK = pa.field(OP, pa.string())
TECHNICAL = pa.schema([(BATCH, pa.int64()), (RUN_ID, pa.string()), (EXTRACTED_AT, pa.timestamp("us", "UTC"))])


def append(lake: Lake, extraction: Extraction) -> Step:
    """Append the extraction's unseen rows to bronze, with tombstones of the keys that it tells are gone, in one commit; if any.

    Raises:
        ContractError: The table's contract refuses what the source's columns have become.
        QualityError: A complete read shows too few of the keys that there were.
        ConflictError: Another run wrote the table meanwhile.
    """
    name = extraction.table.name
    step = Step("bronze", name, window=extraction.window.facts())
    table = lake.table("bronze", name)
    source_schema = arrow_schema(extraction.types)
    if extraction.table.marked or (table is not None and OP in table.schema.names):
        source_schema = source_schema.append(MARK)
        extraction.stream = stamped(extraction.stream, source_schema, {})
    agreed = None if table is None or extraction.anew else _agree(lake, table, extraction, source_schema)
    step.columns = extraction.columns
    try:
        undone = extraction.undone = _undone(lake, name)
        anew = table is None or (extraction.whole and extraction.table.keys and not _tells_deletes(extraction) and not undone)
        files = [] if table is None or anew else table.files([BATCH, extraction.table.cursor or BATCH])
        if table is not None and extraction.anew:
            step.rows_out = _begin_anew(lake, table, extraction, source_schema)
        elif table is None or agreed is None:
            step.rows_out, table = _write(lake, table, extraction, source_schema, map(shown, extraction.stream))
        elif not files:
            step.rows_out, table = _append_all(lake, table, extraction, agreed)
        else:
            step.rows_out, table = _append_unseen(lake, table, extraction, agreed, files)
    except Exception as exc:
        if extraction.error is not None and extraction.error is not exc:
            raise extraction.error from None
        raise
    step.rows_in, step.rejected = extraction.rows, extraction.rejected
    step.version = None if table is None else table.version
    step.status = "success" if step.rows_out else "unchanged"
    return step


def bury(lake: Lake, metadata: Metadata, keys: pa.Table, name: str = "sweep", *, include_undone: bool = False) -> Step:
    """End these keys: one commit of a tombstone for each, with its last values; those that are buried or were never observed are left out.

    Args:
        lake: The opened lake.
        metadata: The table, which has `keys`.
        keys: Its key columns, in bronze's types; other columns are not looked at.
        name: The step that buries, such as `heal`.
        include_undone: Bury again what only batches that are taken back buried.

    Raises:
        ConflictError: Another run wrote the table meanwhile.
    """
    step = Step(name, metadata.name, "unchanged", rows_in=keys.num_rows)
    table = lake.table("bronze", metadata.name)
    if table is None or not keys.num_rows:
        return step
    shown = table.schema if OP in table.schema.names else table.schema.append(MARK)
    files = table.files([EXTRACTED_AT])
    latest = max((file.greatest[EXTRACTED_AT] for file in files if EXTRACTED_AT in file.greatest), default=lake.now())
    seen_at = lake.now() if lake.now() >= latest else latest + CUT  # clocks step back, and nothing else may order the versions
    undone = _undone(lake, metadata.name)
    with lake.engine() as engine:
        engine.table("bronze.seen", shown, [file.uri for file in files], undone if include_undone else ())
        engine.keep("gone", keys.schema, iter(keys.to_batches()))
        rows = engine.reader(_tombstones(shown, metadata, undone).rows("gone"))
        first = next((batch for batch in rows if batch.num_rows), None)
        if first is not None:
            if OP not in table.schema.names:
                table.add_columns([MARK], Commit(lake.run_id, name))
            stamps = {BATCH: table.batch + 1, RUN_ID: lake.run_id, EXTRACTED_AT: seen_at}
            facts = {"buried": True, "definition": lake.catalog.definition(metadata.name)}
            step.rows_out = table.append(
                stamped(chain([first], rows), table.schema, stamps), lambda: Commit(lake.run_id, name, facts=facts)
            )
            step.status = "success"
    step.version = table.version
    return step


def _tells_deletes(extraction: Extraction) -> bool:
    return extraction.complete or extraction.table.mode == "change_tracking" or bool(extraction.replaces)


def _begin_anew(lake: Lake, table: Table, extraction: Extraction, source: pa.Schema) -> int:
    """Put the extraction's rows in the place of all that bronze has."""
    schema = _bronze_schema(source)
    stamps = {BATCH: table.batch + 1, RUN_ID: lake.run_id, EXTRACTED_AT: extraction.extracted_at}
    rows = _counted(stamped(map(shown, extraction.stream), schema, stamps), extraction)
    return table.replace(rows, lambda: _commit(lake, table, extraction), schema)


def _append_all(lake: Lake, table: Table, extraction: Extraction, agreed: Agreement) -> tuple[int, Table | None]:
    if not agreed.rescued:
        return _write(lake, table, extraction, agreed.shown, map(shown, extraction.stream))
    with lake.engine() as engine:
        engine.stream("came", agreed.source, map(shown, extraction.stream))
        rows = engine.reader(agreed.packed(f"({agreed.incoming('came')})"))
        return _write(lake, table, extraction, agreed.shown, rows)


def _undone(lake: Lake, name: str) -> frozenset[int]:
    """The batches that are taken back; their rows were observed, so that they stay out when they are read again."""
    if not lake.corrected(name):
        return frozenset()
    from lakehouse.quality.corrections import undone  # noqa: PLC0415  a run without corrections does not load Polars

    return undone(lake, name)


def _append_unseen(lake: Lake, table: Table, extraction: Extraction, agreed: Agreement, files: list[LiveFile]) -> tuple[int, Table | None]:
    undone = extraction.undone
    low, cursor, odd, source = extraction.window.from_, extraction.table.cursor, extraction.window.odd, agreed.shown
    rule = Unseen(source.names, extraction.table.keys, cursor, low if cursor else None, newest(files, cursor), odd)
    ends = _tombstones(table.schema, extraction.table, undone) if _tells_deletes(extraction) else None
    near = files if extraction.replaces else recent(files, cursor, low, odd)
    held = list(islice(extraction.stream, HELD_BATCHES))
    small = sum(file.rows for file in near) <= FEW_SEEN and sum(file.size for file in near) <= FEW_BYTES
    small = small and not (undone and (extraction.whole or extraction.include_undone))
    if small and len(held) < HELD_BATCHES and not extraction.replaces and not agreed.by_query:
        arrived = pa.Table.from_batches(held, source)
        again = kernels.total(rule.again(arrived))
        if again <= FEW_AGAIN:
            looked_up = bool(again) or extraction.complete
            return _write(lake, table, extraction, source, _among(rule, ends, arrived, table.read(near if looked_up else []), extraction))
    with lake.engine() as engine:
        engine.table("bronze.seen", table.schema, [file.uri for file in near], undone if extraction.include_undone else ())
        arrived_as = "arrived" if ends else "incoming"
        if agreed.by_query:
            rule = replace(rule, seen="_seen")
            engine.execute(f"create temp view _seen as {replace(agreed, there=table.schema).seen('bronze.seen')}")
            engine.keep("came", agreed.source if agreed.rescued else source, chain(held, extraction.stream))
            engine.execute(f"create temp view {arrived_as} as {agreed.incoming('came') if agreed.rescued else 'select * from came'}")
        else:
            engine.keep(arrived_as, source, chain(held, extraction.stream))
        if ends:
            engine.execute(f"create temp view incoming as select * from arrived where {OP} is distinct from '{DELETE}'")
        feed = bool(rule.keys) and not extraction.whole and engine.rows(rule.several()).num_rows > 0
        by_hand = extraction.whole and rule.keys
        unseen = agreed.packed(f"({rule.all_but(undone) if by_hand else rule.rows(feed=feed)})")
        if ends:
            told = f"select * from arrived where {OP} = '{DELETE}'"
            buried = ends.rows(f"({ends.absent() if extraction.complete else told})")
            held_keys = ends.living()
            if extraction.replaces:
                buried, held_keys = ends.replaced(extraction.replaces), ends.held(extraction.replaces)
            if extraction.complete or extraction.replaces:
                gone = _count(engine, buried)
                require_plausible(extraction.table, shown=extraction.rows, gone=gone, held=lambda: _count(engine, held_keys))
            unseen = f"select * from ({unseen}) union all by name select * from ({buried})"
        return _write(lake, table, extraction, source, engine.reader(unseen))


def _count(engine: Session, query: str) -> int:
    return int(engine.rows(f"select count(*) as n from ({query})").column("n")[0].as_py())


def _tombstones(there: pa.Schema, metadata: Metadata, undone: frozenset[int]) -> Tombstones:
    columns = [name for name in there.names if name not in (*TECHNICAL.names, OP)]
    return Tombstones(columns, metadata.keys, metadata.sequence or EXTRACTED_AT, metadata.then, undone)


def _among(rule: Unseen, ends: Tombstones | None, arrived: pa.Table, seen: pa.Table, extraction: Extraction) -> Iterator[pa.RecordBatch]:
    """The unseen rows and the tombstones, for few rows, without the SQL engine."""
    if ends is None:
        return iter(rule.among(arrived, seen).to_batches())
    gone = kernels.filled(kernels.equal(arrived.column(OP), DELETE), value=False)
    incoming = kernels.where(arrived, kernels.opposite(gone))
    buried = ends.among(seen, incoming=incoming) if extraction.complete else ends.among(seen, gone=kernels.where(arrived, gone))
    if extraction.complete:
        require_plausible(extraction.table, shown=extraction.rows, gone=buried.num_rows, held=lambda: ends.living_among(seen))
    unseen = incoming if extraction.whole else rule.among(incoming, seen)
    return chain(unseen.to_batches(), buried.to_batches())


def _agree(lake: Lake, table: Table, extraction: Extraction, source: pa.Schema) -> Agreement:
    """Let bronze have the columns that the table's contract gives it for this read.

    Raises:
        ContractError: The contract refuses what the source's columns have become; bronze stays as it is.
    """
    agreed = agree(extraction.table, source, table.schema)
    if agreed.refused:
        raise refusal(extraction.table, agreed, _unfit(lake, extraction, agreed))
    extraction.columns = agreed.facts
    commit = Commit(lake.run_id, extraction.step, facts={"columns": agreed.facts})
    if agreed.widened:
        widen(table, agreed.needs, commit)
    elif agreed.new:
        table.add_columns(agreed.new, commit)
    if not agreed.rescued and agreed.shown != source:
        extraction.stream = stamped(extraction.stream, agreed.shown, {})
    return agreed


def _unfit(lake: Lake, extraction: Extraction, agreed: Agreement) -> dict[str, pa.Table]:
    """Of each refused column the keys of the first rows that the contract has no place for, among the first that come."""
    try:
        held = list(islice(extraction.stream, HELD_BATCHES))
    except LakehouseError:  # what cannot be read either is told when the columns are mended
        return {}
    keys = ", ".join(quote(name) for name in extraction.table.keys)
    with lake.engine() as engine:
        engine.keep("came", agreed.source, iter(held))
        return {
            change.column: engine.rows(f"select {keys} from came where {change.is_bad} limit {FEW_NAMED}")
            for change in agreed.refused
            if change.is_bad and keys
        }


def _write(
    lake: Lake, table: Table | None, extraction: Extraction, source: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> tuple[int, Table | None]:
    first = next((batch for batch in batches if batch.num_rows), None)
    if table is None:
        table = lake.make_table("bronze", extraction.table.name, _bronze_schema(source))
    if first is None:
        _mark(lake, table, extraction)
        return 0, table
    stamps = {BATCH: table.batch + 1, RUN_ID: lake.run_id, EXTRACTED_AT: extraction.extracted_at}
    rows = _counted(stamped(chain([first], batches), table.schema, stamps), extraction)
    return table.append(rows, lambda: _commit(lake, table, extraction)), table


def _counted(batches: Iterator[pa.RecordBatch], extraction: Extraction) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if OP in batch.schema.names:
            extraction.rejected += kernels.total(kernels.equal(batch.column(OP), REJECT))
        yield batch


def _bronze_schema(source: pa.Schema) -> pa.Schema:
    return pa.schema([*(field for field in source if field.name != OP), *TECHNICAL, *([MARK] if OP in source.names else [])])


def _mark(lake: Lake, table: Table, extraction: Extraction) -> None:
    """Move the watermark where a window's rows came by a backfill before it: else the next window would begin as low as this one.

    Numbers that would be too old one day are moved too.
    """
    if extraction.overdue:
        table.mark(_commit(lake, table, extraction))
        return
    if extraction.past or extraction.greatest is None or isinstance(extraction.greatest, str):
        return
    before = table.number(watermark(extraction.table.cursor or "", extraction.table.cursor_zone))
    if before is None or before < cursor_to_number(extraction.greatest):
        table.mark(_commit(lake, table, extraction))


def _commit(lake: Lake, table: Table, extraction: Extraction) -> Commit:
    numbers = dict(extraction.numbers)
    if extraction.complete:
        numbers |= {SNAPSHOT: table.batch + 1, SNAPSHOT_ROWS: extraction.rows}
    if extraction.past:
        low, high = (None if bound is None else cursor_to_number(bound) for bound in (extraction.window.from_, extraction.window.to))
        numbers[backfilled(extraction.table.cursor or "", low, high)] = table.batch + 1
    elif isinstance(extraction.greatest, str):
        mark = lake.watermark(extraction.table.name)
        if not isinstance(mark, str) or extraction.greatest > mark:  # its rows are in this batch
            numbers[watermark_batch(extraction.table.cursor or "")] = table.batch + 1
    elif extraction.greatest is not None:
        app_id, greatest = watermark(extraction.table.cursor or "", extraction.table.cursor_zone), cursor_to_number(extraction.greatest)
        before = table.number(app_id)
        numbers[app_id] = greatest if before is None else max(greatest, before)
    facts = {
        "window": extraction.window.facts(),
        "backfill": extraction.past,
        **({"adopted": extraction.adopted} if extraction.adopted else {}),
        "rows_read": extraction.rows,
        "definition": lake.catalog.definition(extraction.table.name),
        "reads": "backfill" if extraction.past else "refresh" if extraction.whole else "window",
        "mode": extraction.table.mode,
        "extracted_at": extraction.extracted_at.isoformat(),
        **({} if extraction.keys is None else {"keys": extraction.keys}),
        **({"columns": extraction.columns} if extraction.columns else {}),
    }
    return Commit(lake.run_id, extraction.step, numbers, facts)
