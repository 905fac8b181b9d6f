"""Runs, deaths, backfills and refreshes over a source that changes in every way, in any order: bronze is what the windows' rules say."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from lakehouse import Lakehouse
from lakehouse.errors import StorageError
from lakehouse.lake import Lake
from lakehouse.model.run import Cursor
from tests.dying import DiedError, mortal
from tests.lakes import change_source, open_shop, require_success, versions, write_project
from tests.properties import model
from tests.properties.model import Version
from tests.properties.observed import Bronze, Read, Row

FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/customers.yml": "from: customers\nmode: incremental\nkeys: id\ncursor: day\nlookback: 2d\nhistory: scd2\n"
    "deletes: {detect: sweep, empty: apply}\n",
    "metadata/tables/shop/visits.yml": "from: visits\nmode: incremental\ncursor: day\nlookback: 2d\n",
}
SOURCE = """
create table customers (id integer primary key, city text, day timestamp);
create table visits (id integer, city text, day timestamp);
"""
TABLES = ("customers", "visits")
LOOKBACK, FIRST_DAY = 2, datetime(2026, 1, 1, tzinfo=UTC)

ids, cities, days = st.integers(1, 3), st.sampled_from(["Rome", "Oslo", None]), st.integers(0, 9)
deaths = st.tuples(st.sampled_from(["before", "after", "error"]), st.integers(1, 14))


def instant(day: int) -> datetime:
    return FIRST_DAY + timedelta(days=day)


def day_of(at: Cursor | None) -> int | None:
    assert at is None or isinstance(at, datetime)
    return None if at is None else (at - FIRST_DAY).days


def literal(value: object) -> str:
    return "null" if value is None else f"'{instant(value):%Y-%m-%d %H:%M:%S}'" if isinstance(value, int) else f"'{value}'"


class Life(RuleBasedStateMachine):
    """A source, the lake that follows it, and what the lake should hold."""

    @initialize()
    def begin(self) -> None:
        self.folder = write_project(Path(tempfile.mkdtemp(prefix="lakehouse-life-")), FILES)
        self.today, self.has_note, self.settled, self.unrecorded = 5, False, False, 0
        self.source: dict[str, list[Row]] = {name: [] for name in TABLES}
        self.bronze = {"customers": Bronze(keyed=True), "visits": Bronze(keyed=False)}
        self._change(SOURCE)
        self.upsert(1, "Rome", 3, noted=False)

    def _change(self, script: str) -> None:
        change_source(self.folder / "source.db", script)
        self.settled = False

    def _open(self, fault: str = "") -> Lakehouse:
        return open_shop(self.folder, clock=instant(self.today).isoformat(), fault=fault)

    def _insert(self, table: str, row: Row) -> None:
        columns = "id, city, day" + ", note" * self.has_note
        values = f"{row.key}, {literal(row.city)}, {literal(row.day)}" + f", {literal(row.note)}" * self.has_note
        self._change(f"insert or replace into {table} ({columns}) values ({values})")

    @rule(key=ids, city=cities, day=days, noted=st.booleans())
    def upsert(self, key: int, city: str | None, day: int, noted: bool) -> None:
        """An insert, an update in its order, a late one, a tie, or no change at all."""
        row = Row(key, city, day, "x" if noted and self.has_note else None)
        self.source["customers"] = [other for other in self.source["customers"] if other.key != key] + [row]
        self._insert("customers", row)

    @rule(city=cities, back=st.booleans())
    def correct(self, city: str | None, back: bool) -> None:
        """An update that moves no cursor, seen by a run, and perhaps the way back."""
        before = self.source["customers"]
        self.source["customers"] = [row._replace(city=city) for row in before]
        self._change(f"update customers set city = {literal(city)}")
        if back:
            self.run()
            self.source["customers"] = before
            self._change("".join(f"update customers set city = {literal(row.city)} where id = {row.key};" for row in before))
        self.run()

    @rule(key=ids)
    def delete(self, key: int) -> None:
        """A customer goes; another `upsert` brings it back."""
        self.source["customers"] = [row for row in self.source["customers"] if row.key != key]
        self._change(f"delete from customers where id = {key}")

    @rule(key=ids, day=days, times=st.integers(1, 2))
    def visit(self, key: int, day: int, times: int) -> None:
        for _ in range(times):
            self.source["visits"].append(row := Row(key, "Rome", day))
            self._insert("visits", row)

    @precondition(lambda self: not self.has_note)
    @rule()
    def widen(self) -> None:
        """The source's tables get a column."""
        self.has_note = True
        self._change("alter table customers add column note text; alter table visits add column note text;")

    @rule(more=st.integers(1, 3))
    def time_passes(self, more: int) -> None:
        self.today += more
        self.settled = False

    def _live(self, name: str, *, anew: bool = False) -> Read:
        mark = self.bronze[name].watermark
        return Read(None if anew or mark is None else mark - LOOKBACK, self.today, anew=anew)

    def _expect(self, reads: dict[str, Read]) -> dict[str, Bronze]:
        return {name: self.bronze[name].after(self.source[name], read) for name, read in reads.items()}

    def _swept(self, expected: dict[str, Bronze]) -> dict[str, Bronze]:
        return {**expected, "customers": expected["customers"].swept(self.source["customers"])}

    @rule()
    def run(self) -> None:
        expected = self._expect({name: self._live(name) for name in TABLES})
        require_success(self._open())
        self.bronze, self.settled = self._swept(expected), True
        self._require_silver()

    @rule()
    def refresh(self) -> None:
        expected = self._expect({name: self._live(name, anew=True) for name in TABLES})
        require_success(self._open(), full_refresh=True)
        self.bronze, self.settled = self._swept(expected), False
        self._require_silver()

    @rule(low=st.integers(0, 4), span=st.integers(1, 6))
    def backfill(self, low: int, span: int) -> None:
        expected = self._expect(dict.fromkeys(TABLES, Read(low, min(low + span, self.today), past=True)))
        done = self._open().backfill(from_=instant(low), to=instant(low + span))
        assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
        self.bronze, self.settled = expected, False
        self._require_silver()

    @rule(death=deaths, anew=st.booleans())
    def die(self, death: tuple[str, int], anew: bool) -> None:
        """Every table is as it was before the run, or after its read, or after its sweep: whole, its watermark with its rows."""
        expected = self._expect({name: self._live(name, anew=anew) for name in TABLES})
        self.unrecorded += 1
        with mortal(), suppress(DiedError, StorageError):
            done = self._open(":".join(map(str, death))).run(full_refresh=anew)
            self.unrecorded -= all(step.step != "ledger" for step in done.steps)
        for name in TABLES:
            found = self._look(name)
            assert found in (self.bronze[name], expected[name], self._swept(expected)[name]), (name, found)
            self.bronze[name] = found
        self.settled = False

    @precondition(lambda self: self.settled)
    @rule()
    def again(self) -> None:
        """A run that finds nothing new makes no version (I6)."""
        stands = versions(self.folder / "lake")
        require_success(self._open())
        assert versions(self.folder / "lake") == stands

    def _look(self, name: str) -> Bronze:
        """The bronze table as it is, its batches counted from 1."""
        house = self._open()
        with Lake.open(house.project, house.settings) as lake:
            table, mark = lake.table("bronze", name), lake.watermark(name)
            rows = [] if table is None else table.scan().sort("_batch").collect().to_dicts()
        numbers = {batch: number for number, batch in enumerate(sorted({row["_batch"] for row in rows}), 1)}
        assert len({(row["_batch"], row["_run_id"], row["_extracted_at"]) for row in rows}) == len(numbers), "two runs share a batch"
        found = [
            (Row(row["id"], row["city"], day_of(row["day"]) or 0, row.get("note"), row.get("_op") == "delete"), numbers[row["_batch"]])
            for row in rows
        ]
        found.sort(key=lambda pair: (pair[1], str(pair[0])))
        return Bronze(self.bronze[name].keyed, tuple(found), day_of(mark))

    @invariant()
    def bronze_is_what_was_shown(self) -> None:
        """Each observation is there once (I1), and the watermark is the greatest value below the bound (I5)."""
        for name in TABLES:
            found = self._look(name)
            assert found == self.bronze[name]
            reached = [row.day for row, _ in found.rows]
            assert found.watermark is None or found.watermark <= max(reached) < self.today

    @invariant()
    def the_ledger_tells_what_is(self) -> None:
        """A step that the ledger calls a success is a commit of that run in its table, and the other way round (I8)."""
        house = self._open()
        told = [row for row in house.history(1000) if row["step"] in ("bronze", "sweep") and row["status"] == "success"]
        recorded = {(row["run_id"], row["table"]) for row in told}
        committed = set()
        with Lake.open(house.project, house.settings) as lake:
            for name in TABLES:
                table = lake.table("bronze", name)
                rows = [] if table is None else table.scan().select("_run_id").unique().collect()["_run_id"].to_list()
                committed |= {(run_id, name) for run_id in rows}
        assert recorded <= committed
        assert len({run_id for run_id, _ in committed - recorded}) <= self.unrecorded

    def _require_silver(self) -> None:
        house, rows = self._open(), self.bronze["customers"].rows
        ever_gone = {row.key for row, _ in rows if row.is_gone}
        seen = [Version(row.key, instant(row.day), f"{row.city}|{row.note}", batch) for row, batch in rows if row.key not in ever_gone]
        wanted = {row[:2] + row[3:] for row in model.history(seen, {version.seq: "" for version in seen})}
        silver = house.scan("silver.customers").collect().to_dicts() if rows else []
        found = [(r["id"], f"{r['city']}|{r.get('note')}", r["valid_from"], r["valid_to"], r["is_current"]) for r in silver]
        assert Counter(row for row in found if row[0] not in ever_gone) == Counter(wanted)
        last = {row.key: row for row, batch in sorted(rows, key=lambda pair: (pair[0].day, pair[1]))}
        current = {row.key: f"{row.city}|{row.note}" for row in last.values() if not row.is_gone}
        assert {row[0]: row[1] for row in found if row[4]} == current
        assert sum(row[4] for row in found) == len(current)
        for key in ever_gone:
            require_intervals(sorted((row[2], row[3]) for row in found if row[0] == key))
        kept = self.bronze["visits"].rows
        visits = house.scan("silver.visits").collect().to_dicts() if kept else []
        assert Counter((r["id"], day_of(r["day"])) for r in visits) == Counter((row.key, row.day) for row, _ in kept)

    def teardown(self) -> None:
        """Whatever happened, one run more brings all that its window shows, and the next one nothing."""
        if hasattr(self, "folder"):
            try:
                self.run()
                self.bronze_is_what_was_shown()
                self.again()
            finally:
                shutil.rmtree(self.folder)


def live(examples: int, steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Life, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks)
    )


def require_intervals(ordered: list[tuple[datetime, datetime | None]]) -> None:
    """Half open, none inside another, at most the last one open (I3)."""
    for (start, end), (following, _) in pairwise(ordered):
        assert end is not None
        assert start <= end <= following
    assert all(end is None or start <= end for start, end in ordered)


def test_a_life() -> None:
    live(5, 12)


@pytest.mark.long
@pytest.mark.parametrize("tenth", range(10))
def test_many_lives(tenth: int) -> None:
    live(100 + tenth, 20)
