"""Cleaning on the whole road: a real source, runs that go on, and the same silver from the beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import MetadataError
from tests.lakes import change_source, open_shop, require_success, write_project

FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    "metadata/tables/shop/people.yml": """\
from: people
mode: incremental
keys: [name, land]
cursor: at
history: scd2
normalize_keys: true
columns:
  name: {type: string, rename: person}
  land: {type: string, trim: true}
  born: {type: string, as: date, format: '%d.%m.%Y', rename: born_on}
  score: {type: string, nulls: ['', n/a], as: 'decimal(9,2)', default: 0}
  at: timestamp
derive:
  doubled: {sql: score * 2, type: 'decimal(12,2)'}
expect:
  scored: {that: score >= 0, else: quarantine}
""",
    "metadata/models/dim_person.yml": "kind: dimension\nkeys: [person, land]\nsurrogate_key: person_key\nhistory: scd2\n",
    "sql/gold/dim_person.sql": "select person, land, born_on, doubled, valid_from, valid_to, is_current from silver.people\n",
}
TABLE = "create table people (name text, land text, born text, score text, at datetime);"
ROWS = "select person, land, born_on, score, doubled, is_current from silver.people order by person, valid_from"


def test_what_is_written_otherwise_is_one_key_and_every_run_gives_what_a_rebuild_gives(tmp_path: Path) -> None:
    project = write_project(tmp_path, FILES)
    rows = [
        "('Ann ', 'PT', '01.02.1990', '1.50', '2024-01-01 00:00:00')",
        "('ann', 'pt ', '01.02.1990', '2.5', '2024-01-03 00:00:00'), ('Bo', 'SE', '30.02.1990', '1', '2024-01-03 00:00:00')",
        "('ANN', 'Pt', '01.02.1990', 'n/a', '2024-01-02 00:00:00'), ('Bo', 'SE', '28.02.1990', '-1', '2024-01-04 00:00:00')",
    ]
    change_source(project / "source.db", TABLE)
    for row in rows:
        change_source(project / "source.db", f"insert into people values {row}")
        require_success(open_shop(project))
    house = open_shop(project)
    found = [(row[0], row[1], str(row[2]), str(row[3]), str(row[4]), row[5]) for row in house.sql(ROWS).rows()]
    day, rows_before = "1990-02-01", house.sql(ROWS).rows()
    assert found[-1] == ("ann", "pt", day, "2.50", "5.00", True)
    assert {row[:2] for row in found} == {("ann", "pt")}
    reasons = house.sql("select reason, rules from rejects.people order by reason").rows()
    assert reasons == [("cast", "born_on"), ("rule", "scored")]
    assert house.sql("select count(*) as n from gold.dim_person where person_key <> -1").rows() == [(len(found),)]
    house.run(["people"], rebuild=["silver.people"])
    assert open_shop(project).sql(ROWS).rows() == rows_before
    assert open_shop(project).sql("select reason, rules from rejects.people order by reason").rows() == reasons


@pytest.mark.parametrize("name", ["born", "Born"])
def test_a_derived_column_that_the_source_has_too_is_told(tmp_path: Path, name: str) -> None:
    table = f"from: people\nmode: full\nkeys: name\nderive:\n  {name}: {{sql: upper(land), type: string}}\n"
    project = write_project(tmp_path, {"metadata/sources/shop.yml": "connection: shop\n", "metadata/tables/shop/people.yml": table})
    change_source(project / "source.db", TABLE)
    (error,) = [step.error for step in open_shop(project).run().steps if step.error]
    assert f"metadata/tables/shop/people.yml: derive.{name}: the source has a column {name} too" in str(error)


def test_a_derived_column_is_not_called_as_the_lakes_own(tmp_path: Path) -> None:
    table = "from: people\nmode: full\nkeys: name\nderive:\n  valid_to: {sql: upper(land), type: string}\n"
    project = write_project(tmp_path, {"metadata/sources/shop.yml": "connection: shop\n", "metadata/tables/shop/people.yml": table})
    with pytest.raises(MetadataError, match="derive: uses valid_to"):
        open_shop(project).run()
