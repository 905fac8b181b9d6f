"""What ran and what happened, in one Delta table of the lake: a row for each step, which also tells its run and the window it read.

One table, so that a run is recorded in one commit, whole or not at all, and one without changes costs no more than that.
`ledger.runs` and `ledger.windows` are views over it. The lake never depends on it: windows, watermarks and counts of what was committed
travel in the tables' own commits, from which `rebuild` restores them.
A second table has what rules found.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakehouse.errors import ConflictError
from lakehouse.layout import AUDITED, AUDITED_HASH, table_uri
from lakehouse.model.run import Commit
from lakehouse.storage.opening import create_table, open_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import polars as pl

    from lakehouse.model.quality import Finding
    from lakehouse.model.run import Run, Step
    from lakehouse.storage.delta import Table
    from lakehouse.storage.effects import Effects
    from lakehouse.storage.place import Place, Places

ATTEMPTS = 20
STEPS = pa.schema(
    [
        ("run_id", pa.string()),
        ("run_status", pa.string()),
        ("run_started_at", pa.timestamp("us", "UTC")),
        ("run_seconds", pa.float64()),
        ("step", pa.string()),
        ("table", pa.string()),
        ("status", pa.string()),
        ("rows_in", pa.int64()),
        ("rows_out", pa.int64()),
        ("rejected", pa.int64()),
        ("seconds", pa.float64()),
        ("version", pa.int64()),
        ("window", pa.string()),
        ("failed_checks", pa.string()),
        ("error", pa.string()),
        ("reads", pa.string()),
        ("mode", pa.string()),
        ("extracted_at", pa.timestamp("us", "UTC")),
        ("bytes", pa.int64()),
        ("checksum", pa.string()),
        ("definition", pa.int64()),
        ("version_before", pa.int64()),
        ("run_metadata", pa.string()),
        ("rebuilt", pa.bool_()),
        ("dropped", pa.int64()),
        ("suppressed", pa.int64()),
    ]
)
"""`rebuilt` rows were read from commits: of their runs nobody knows how they ended."""
COMMITS = pa.schema(
    [
        ("table", pa.string()),
        ("version", pa.int64()),
        ("committed_at", pa.timestamp("us", "UTC")),
        ("record", pa.string()),
    ]
)
"""The commits' own records, kept where the tables' logs no longer have them; `record` is JSON, as the commit carried it."""
QUALITY = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("run_id", pa.string()),
        ("table", pa.string()),
        ("rule", pa.string()),
        ("kind", pa.string()),
        ("judged_at", pa.timestamp("us", "UTC")),
        ("passed", pa.int64()),
        ("failed", pa.int64()),
        ("share", pa.float64()),
        ("value", pa.float64()),
        ("otherwise", pa.string()),
        ("broken", pa.bool_()),
        ("held", pa.bool_()),
        ("samples", pa.string()),
        ("told", pa.string()),
    ]
)
"""What each rule found in each run. `ordinal` counts the commits, since clocks may be set; `share` is that of the judged rows which
broke it; `held` says that the table's commit was held back; `samples` is a JSON list of at most 5 masked keys."""
_WORDS = ("error", "failed_checks", "samples", "told")
"""The columns of both tables that may hold words of rows."""
VIEWS = {
    "runs": """
select run_id, any_value(run_status) as status, min(run_started_at) as started_at, max(run_seconds) as seconds,
    count(step)::bigint as steps, (count(*) filter (where status = 'failed'))::bigint as failed,
    any_value(run_metadata) as metadata, coalesce(bool_or(rebuilt), false) as rebuilt
from ledger.steps group by run_id
""",
    "windows": """
select run_id, "table", status, reads, mode, "window"->>'from' as window_from, "window"->>'to' as window_to, extracted_at,
    rows_in as rows_read, rows_out as rows_new, bytes, checksum, seconds, definition, version_before, version,
    error->>'message' as error, coalesce(rebuilt, false) as rebuilt
from ledger.steps where step = 'bronze' and status <> 'skipped'
""",
}
"""What the SQL engine shows beside `ledger.steps`, which is the table itself."""


class Ledger:
    """The ledger of one lake."""

    def __init__(self, folder: str, commits: str, places: Places, effects: Effects) -> None:
        """Name the ledger in its folder, and the table of kept commits; nothing is opened yet."""
        self._place, self._kept, self._effects = places.at(table_uri(folder, "steps")), places.at(commits), effects
        self._quality = places.at(table_uri(folder, "quality"))

    @property
    def place(self) -> Place:
        """Where the table of steps is."""
        return self._place

    def record(self, run: Run) -> None:
        """Add a run with its steps, in one commit that is tried again while other runs write theirs.

        A run without steps has one row whose step is NULL.
        """
        steps: list[Step | None] = [*run.steps] or [None]
        about = {"run_id": run.run_id, "run_status": run.status, "run_started_at": run.started_at, "run_seconds": run.seconds}
        about["run_metadata"] = run.metadata
        self._append(self._place, "ledger.steps", STEPS, run.run_id, [{**about, **_row(step)} for step in steps])

    def judge(self, run_id: str, judged_at: datetime, findings: Iterable[Finding]) -> None:
        """Add what rules found, in one commit; none makes none. `held` are the findings of a table of which one stops the commit."""
        found = list(findings)
        held = {finding.table for finding in found if finding.stops}
        rows = [
            {
                **{name: getattr(finding, name, None) for name in QUALITY.names},
                "run_id": run_id,
                "judged_at": judged_at,
                "held": finding.table in held,
                "samples": json.dumps(finding.samples),
            }
            for finding in found
        ]
        if rows:
            self._append(self._quality, "ledger.quality", QUALITY, run_id, rows)

    def know_of_audit(self, run_id: str, count: int, head: int) -> None:
        """Keep how many lines the audit has, and what the last one is known by, in a commit without rows."""
        numbers = {AUDITED: count, AUDITED_HASH: head}
        for attempt in range(ATTEMPTS):
            try:
                table = self.table() or create_table(self._place, "ledger.steps", STEPS, self._effects)
                if (table.number(AUDITED) or 0) < count:  # else another act was told meanwhile
                    table.mark(Commit(run_id, "ledger", numbers))
            except ConflictError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    def knows_of_audit(self) -> tuple[int, int] | None:
        """How many lines the audit had at least, and what the last one of them is known by; None where nothing is known."""
        table = self.table()
        count = None if table is None else table.number(AUDITED)
        return None if table is None or count is None else (count, table.number(AUDITED_HASH) or 0)

    def quality_table(self) -> Table | None:
        """The handle on the table of what rules found, or None where nothing is recorded yet."""
        return open_table(self._quality, "ledger.quality", self._effects)

    def quality(self) -> pl.LazyFrame:
        """All that rules found, with the columns of `QUALITY`; lazy, in no promised order."""
        return _whole(self.quality_table(), QUALITY)

    def blank(self, texts: Sequence[str], run_id: str) -> int:
        """Put `***` in the place of these texts wherever steps and findings have them, in one commit each; how many rows had some."""
        import polars as pl  # noqa: PLC0415  as in `_whole`

        from lakehouse.storage.frames import to_batches  # noqa: PLC0415  as above

        count = 0
        for place, name in ((self._place, "ledger.steps"), (self._quality, "ledger.quality")):
            for attempt in range(ATTEMPTS):
                table = open_table(place, name, self._effects)
                rows = None if table is None else table.scan().collect()
                if table is None or rows is None:
                    break
                blanked = rows.with_columns(
                    pl.col([each for each in _WORDS if each in rows.columns]).str.replace_many(list(texts), ["***"])
                )
                changed = blanked.filter(blanked.hash_rows() != rows.hash_rows()).height
                if not changed:
                    break
                try:
                    table.replace(to_batches(blanked, table.schema), lambda: Commit(run_id, "erase"))
                except ConflictError:
                    if attempt == ATTEMPTS - 1:
                        raise
                else:
                    count += changed
                    break
        return count

    def retire(self) -> list[str]:
        """Leave the newest version alone of the tables of steps and findings; which these are."""
        from lakehouse.storage.erasing import retire  # noqa: PLC0415  done in an erasure

        tables = ((self._place, "ledger.steps"), (self._quality, "ledger.quality"))
        there = [(place, name) for place, name in tables if open_table(place, name, self._effects) is not None]
        return [name for place, name in there if retire(place, name, self._effects, None) is not None]

    def restore(self, steps: Iterable[dict[str, Any]], run_id: str) -> int:
        """Add steps that commits tell of and that are not recorded yet; how many were added."""
        recorded = self.steps().select("run_id", "step", "table").collect().rows()
        known = set(recorded)
        new = [step for step in steps if (step["run_id"], step["step"], step["table"]) not in known]
        if new:
            self._append(self._place, "ledger.steps", STEPS, run_id, new)
        return len(new)

    def keep(self, commits: Iterable[dict[str, Any]], run_id: str) -> int:
        """Keep records of commits, as `COMMITS` has them, that are not kept yet; how many were added."""
        known = {(row["table"], row["version"], row["record"]) for row in self.kept()}
        new = [row for row in commits if (row["table"], row["version"], row["record"]) not in known]
        if new:
            self._append(self._kept, "_commits", COMMITS, run_id, new)
        return len(new)

    def kept(self) -> list[dict[str, Any]]:
        """The records of commits that were kept, in no promised order."""
        table = open_table(self._kept, "_commits", self._effects)
        return [] if table is None else table.scan().collect().to_dicts()

    def _append(self, place: Place, name: str, schema: pa.Schema, run_id: str, rows: list[dict[str, Any]]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                table = open_table(place, name, self._effects) or create_table(place, name, schema, self._effects)
                self._widen(table, schema, run_id)
                numbered = [{**row, "ordinal": table.batch + 1} for row in rows] if "ordinal" in schema.names else rows
                batches = pa.Table.from_pylist(numbered, schema).to_batches()
                table.append([_shaped(batch, table.schema) for batch in batches], lambda: Commit(run_id, "ledger"))
            except ConflictError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    @staticmethod
    def _widen(table: Table, schema: pa.Schema, run_id: str) -> None:
        """Give a table that an earlier release made the columns of this one."""
        there = set(table.schema.names)
        if missing := [field for field in schema if field.name not in there]:
            table.add_columns(missing, Commit(run_id, "ledger"))

    def table(self) -> Table | None:
        """The handle on the table of steps, or None where nothing is recorded yet."""
        return open_table(self._place, "ledger.steps", self._effects)

    def steps(self) -> pl.LazyFrame:
        """All recorded steps, with the columns of `STEPS`; lazy, in no promised order."""
        return _whole(self.table(), STEPS)

    def last_runs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The newest step of each (step, table)."""
        recorded = self.steps().drop_nulls("step").sort("run_started_at")
        newest = recorded.unique(["step", "table"], keep="last", maintain_order=True).collect()
        return {(row["step"], row["table"]): row for row in newest.iter_rows(named=True)}


def _whole(table: Table | None, schema: pa.Schema) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415  a run without changes does not load it

    empty = pl.DataFrame(pl.from_arrow(schema.empty_table()))
    return empty.lazy() if table is None else pl.concat([empty.lazy(), table.scan()], how="diagonal").select(empty.columns)


def _shaped(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the order of a table's columns; those that a later release added are NULL."""
    names = batch.schema.names
    columns = [batch.column(field.name) if field.name in names else pa.nulls(batch.num_rows, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _row(step: Step | None) -> dict[str, Any]:
    if step is None:
        return {}
    filled = {name: value for name, value in asdict(step).items() if value not in (None, {})}
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in filled.items()}
