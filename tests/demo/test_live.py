"""The writer of the present and the proof that the lake followed it, apart from any terminal."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from lakehouse.cli.screen import Line, Seen
from lakehouse.demo.live import Writer, settle
from lakehouse.demo.proof import compare
from lakehouse.demo.simulator import Simulator
from lakehouse.demo.source import Source
from lakehouse.demo.sqlite import SqliteStore
from lakehouse.demo.store import Kind
from lakehouse.errors import SourceError
from lakehouse.model.run import Run, Step
from tests.demo.folder import Demo
from tests.lakes import require_success


@pytest.fixture
def source(tmp_path: Path) -> Source:
    made = Source(Kind.SQLITE, SqliteStore(tmp_path / "source.db"), tmp_path)
    Simulator(made.store, streams=500).live_day()
    return made


def change(source: Source, *statements: str) -> None:
    with closing(sqlite3.connect(source.folder / "source.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_the_writer_changes_the_source_now_and_counts_what_it_did(source: Source) -> None:
    begun = str(datetime.now(UTC).replace(tzinfo=None))
    with Writer(source.store) as writer:
        time.sleep(1.5)
        writer.stop()
    made = writer.made
    with source.store.open() as session:
        new = session.rows(
            "SELECT count(*), max(stream_timestamp), min(date_key) FROM FactStream WHERE stream_timestamp >= :begun", begun=begun
        )
        moved = int(str(session.rows("SELECT count(*) FROM DimUser WHERE updated_at >= :begun", begun=begun)[0][0]))
    assert (made.transactions > 1, new[0][0]) == (True, made.streams)
    assert begun < str(new[0][1]) <= str(datetime.now(UTC).replace(tzinfo=None))
    assert str(new[0][2]) == begun[:10].replace("-", "")
    assert 0 < moved <= made.users or made.users == 0
    assert settle(source.store, source.folder)


def test_a_writer_that_breaks_says_so_when_it_is_stopped(source: Source) -> None:
    change(source, "CREATE TRIGGER no BEFORE INSERT ON FactStream BEGIN SELECT raise(ABORT, 'closed for today'); END")
    with Writer(source.store) as writer:
        end = time.monotonic() + 20
        while not writer.is_broken and time.monotonic() < end:
            time.sleep(0.02)
        with pytest.raises(SourceError, match="closed for today"):
            writer.stop()
    assert writer.made.transactions == 0


def test_the_proof_finds_every_kind_of_difference(source: Source) -> None:
    project = Demo(source.folder / "project").folder
    house = source.house(project, datetime(2026, 2, 1, tzinfo=UTC))
    require_success(house)
    assert all(each.equal and each.source == each.lake and not each.surplus + each.superseded for each in compare(house, source.store))
    change(source, "UPDATE DimUser SET country = 'Nowhere', updated_at = '2026-01-30 00:00:00' WHERE user_id IN (50, 100)")
    require_success(house)
    found = {each.table: each for each in compare(house, source.store)}
    assert (found["users"].superseded, found["users"].stale, found["users"].equal) == (2, 0, True)
    change(
        source,
        "INSERT INTO DimUser SELECT 9001, user_name, country, subscription_type, start_date, end_date, updated_at FROM DimUser LIMIT 1",
        "UPDATE DimTrack SET album_name = NULL WHERE track_id < 4",
        "UPDATE FactStream SET listen_duration = listen_duration + 1 WHERE stream_id = 7",
        "DELETE FROM FactStream WHERE stream_id < 3",
    )
    found = {each.table: each for each in compare(house, source.store)}
    assert {name for name, each in found.items() if not each.equal} == {"users", "tracks", "streams"}
    assert (found["users"].missing, found["users"].source, found["users"].lake) == (1, 201, 200)
    assert (found["tracks"].stale, found["streams"].stale, found["streams"].surplus) == (3, 1, 2)


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_fits_a_terminal(width: int) -> None:
    seen = Seen(60, "127.0.0.1:5432/postgres", lambda: dict.fromkeys(("transactions", "streams", "users", "corrections", "late"), 1234))
    seen.tables = {"users": Line(), "dates": Line()}
    report = Run("run", "failed", datetime.now(UTC), 0.5, [Step("bronze", "users", rows_out=1_234_567)])
    report.steps.append(Step("bronze", "dates", "failed", error={"message": "the source went away"}))
    seen.add(report)
    seen.tables["users"].watermark = datetime.now(UTC) - timedelta(seconds=2)
    seen.tables["dates"].watermark = datetime.now(UTC) - timedelta(days=40, hours=1)
    seen.plays = [{"country": "United Kingdom", "plays": 99}] * 5
    console = Console(width=width)
    with console.capture() as captured:
        console.print(seen.screen())
    shown = captured.get()
    assert max(map(len, shown.splitlines())) <= width
    assert all(text in shown for text in ("1,234,567", "2.0 s", "40 d", "1 failed", "United Kingdom 99", "the source went away"))
