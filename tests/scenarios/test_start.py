"""Where a table begins: `start_at` without a zone is a time of the cursor's own zone, for reads and for comparisons."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse import Lakehouse
from tests.lakes import CLOCK, change_source, require_success, write_project


@pytest.mark.parametrize(
    ("kind", "zone", "start", "below", "first"),
    [
        ("timestamp", "Europe/Berlin", "2024-05-01T00:00", "2024-04-30 23:30:00", "2024-05-01 00:30:00"),
        ("timestamp", "America/New_York", "2024-05-01T22:00", "2024-05-01 21:30:00", "2024-05-01 22:30:00"),
        ("timestamp", "Asia/Kolkata", "0001-01-01T00:00", None, "2024-05-01 00:30:00"),
        ("date", "America/New_York", "2024-05-01T22:00", "2024-04-30", "2024-05-01"),
        ("date", "Asia/Kolkata", "2024-05-01T00:00", "2024-04-30", "2024-05-01"),
        ("date", "Asia/Kolkata", "2024-04-30T20:00Z", "2024-04-30", "2024-05-01"),
    ],
)
def test_a_start_without_a_zone_is_local(tmp_path: Path, kind: str, zone: str, start: str, below: str | None, first: str) -> None:
    table = f"from: things\nmode: incremental\nkeys: id\ncursor: at\ncursor_zone: {zone}\nstart_at: {start}\n"
    table += f"columns: {{id: bigint, at: {kind}}}\n"
    made = write_project(tmp_path, {"metadata/sources/files.yml": "connection: files\n", "metadata/tables/files/things.yml": table})
    rows = [(1, below), (2, first), (3, "2024-06-01" if kind == "date" else "2024-06-01 00:00:00")]
    values = ", ".join(f"({number}, '{at}')" for number, at in rows if at)
    change_source(made / "source.db", f"create table things (id integer primary key, at {kind}); insert into things values {values}")
    house = Lakehouse.open(made, clock=CLOCK, connection={"files": f"sqlite:///{made / 'source.db'}"})
    require_success(house)
    assert [row[0] for row in house.sql("select id from bronze.things order by 1").rows()] == [2, 3]
    assert not house.reconcile().tables[0].differing
