"""The simulated source: repeatable, late, tied, and complete at the end of each day."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from lakehouse.demo.rows import KEYS_AND_CURSORS, TABLES
from lakehouse.demo.simulator import Day, Simulator
from lakehouse.demo.sqlite import SqliteStore

Rows = dict[str, dict[int, sqlite3.Row]]


def _query(path: Path, sql: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return db.execute(sql).fetchall()


def _rows(path: Path) -> Rows:
    return {table: {row[0]: row for row in _query(path, f"SELECT * FROM {table}")} for table in TABLES}


def _digest(path: Path) -> str:
    tables = (*TABLES, "sim_state")
    rows = [_query(path, f"SELECT * FROM {table} ORDER BY 1") for table in tables]
    return sha256(repr([[tuple(row) for row in each] for each in rows]).encode()).hexdigest()


def _live(path: Path, days: int, seed: int = 7) -> Day:
    simulator = Simulator(SqliteStore(path), streams=2_000, seed=seed)
    return [simulator.live_day() for _ in range(days)][-1]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    _live(tmp_path / "source.db", days=2)
    return tmp_path / "source.db"


def test_same_streams_and_seed_give_the_same_rows(tmp_path: Path, source: Path) -> None:
    _live(tmp_path / "again.db", days=2)
    _live(tmp_path / "other.db", days=2, seed=8)
    assert _digest(source) == _digest(tmp_path / "again.db")
    assert _digest(source) != _digest(tmp_path / "other.db")


def test_day_one_makes_the_promised_stock(tmp_path: Path) -> None:
    path = tmp_path / "new" / "source.db"
    day = _live(path, days=1)
    expected = {"DimUser": 200, "DimArtist": 100, "DimTrack": 400, "DimDate": 1461}
    assert day.inserted == {**expected, "FactStream": 2_000}
    assert {table: len(rows) for table, rows in _rows(path).items()} == day.inserted
    assert (day.number, day.on) == (1, date(2026, 1, 31))
    assert day.now == datetime(2026, 2, 1, tzinfo=UTC)


def test_reopened_source_goes_on_as_it_began(tmp_path: Path, source: Path) -> None:
    other = Simulator(SqliteStore(source), streams=5_000, seed=99)
    seen = [other.days_lived, other.live_day().number, other.days_lived]
    assert seen == [2, 3, 3]
    _live(tmp_path / "straight.db", days=3)
    assert _digest(source) == _digest(tmp_path / "straight.db")


def test_nothing_is_made_before_the_first_day(tmp_path: Path) -> None:
    assert Simulator(SqliteStore(tmp_path / "source.db")).days_lived == 0
    assert not (tmp_path / "source.db").exists()


def test_too_few_streams_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 100"):
        Simulator(SqliteStore(tmp_path / "source.db"), streams=99)


def test_day_counts_what_changed_and_all_of_it_is_recent(source: Path) -> None:
    for _ in range(12):
        before = _rows(source)
        day = Simulator(SqliteStore(source)).live_day()
        after = _rows(source)
        oldest = str(day.now.replace(tzinfo=None) - timedelta(days=25))
        late = 0
        for table, (_, cursor) in KEYS_AND_CURSORS.items():
            old, new = before[table], after[table]
            changed = [new[key] for key in old.keys() & new.keys() if old[key] != new[key]]
            born = [new[key] for key in new.keys() - old.keys()]
            gone = [old[key] for key in old.keys() - new.keys()]
            assert len(changed) == day.updated[table]
            assert len(born) == day.inserted[table]
            assert len(gone) == day.deleted[table]
            assert all(row[cursor] >= oldest for row in [*changed, *born, *gone])
            assert all(row[cursor] < str(day.now)[:19] for row in new.values())
            newest = max(row[cursor] for row in old.values())
            late += sum(row[cursor] < newest for row in changed)
        assert day.late == late > 0
        assert day.deleted["FactStream"] > 0
        assert day.deleted["DimUser"] == 0


def test_updates_come_out_of_order_and_without_any_change(tmp_path: Path) -> None:
    _live(tmp_path / "source.db", days=1)
    before = _rows(tmp_path / "source.db")
    _live(tmp_path / "source.db", days=1)
    after = _rows(tmp_path / "source.db")
    pairs = [(before["DimUser"][key], after["DimUser"][key]) for key in before["DimUser"]]
    changed = [(old, new) for old, new in pairs if old != new]
    assert any(new["updated_at"] < old["updated_at"] for old, new in changed)
    assert any(tuple(new)[:-1] == tuple(old)[:-1] for old, new in changed)
    facts = before["FactStream"].keys() & after["FactStream"].keys()
    assert any(
        before["FactStream"][key] != after["FactStream"][key] and before["FactStream"][key][-1] == after["FactStream"][key][-1]
        for key in facts
    )


def test_ties_sit_on_the_last_second_of_the_day(source: Path) -> None:
    day = Simulator(SqliteStore(source)).live_day()
    ties = 0
    for table, (_, cursor) in KEYS_AND_CURSORS.items():
        rows = _query(source, f"SELECT {cursor} FROM {table}")
        tied = [row for row in rows if row[0] == f"{day.on} 23:59:59"]
        assert len(tied) > 1
        ties += len(tied)
    assert day.ties == ties


def test_facts_precede_their_dimension_rows(source: Path) -> None:
    orphans = "SELECT user_id FROM FactStream EXCEPT SELECT user_id FROM DimUser"
    early = "SELECT 1 FROM FactStream JOIN DimUser USING (user_id) WHERE stream_timestamp < updated_at"
    waiting = {row[0] for row in _query(source, orphans)}
    Simulator(SqliteStore(source)).live_day()
    assert waiting
    assert waiting.isdisjoint(row[0] for row in _query(source, orphans))
    assert _query(source, early)
