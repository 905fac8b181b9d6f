"""Keys that silver writes otherwise than the source, where the lake finds out which keys are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lakes import change_source, open_shop, require_success, write_project

PEOPLE = """\
from: people
mode: snapshot
keys: name
history: {history}
normalize_keys: true
deletes: {{at_most: 1.0, empty: apply}}
columns: {{name: string, city: string}}
"""


def shown(folder: Path, *scripts: str) -> list[tuple[str, ...]]:
    """The living rows of silver after a run for each state of the source; a rebuild gives the same."""
    for script in scripts:
        change_source(folder / "source.db", script)
        require_success(open_shop(folder))
    sql = "select name, city from silver.people where is_current order by name"
    house = open_shop(folder)
    if "is_current" not in house.scan("silver.people").collect_schema().names():
        sql = sql.replace("where is_current ", "")
    found = house.sql(sql).rows()
    house.run(rebuild=["silver.people"])
    assert house.sql(sql).rows() == found
    return found


@pytest.fixture(params=["scd1", "scd2"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    table = PEOPLE.format(history=request.param)
    return write_project(tmp_path, {"metadata/sources/shop.yml": "connection: shop\n", "metadata/tables/shop/people.yml": table})


FIRST = "create table people (name text, city text);"
FIRST += "insert into people values ('ann', 'Turin'), ('bo', 'Lyon'), ('cy', 'Bodo'), ('di', 'Bari')"


def test_a_key_that_the_source_writes_anew_goes_on(folder: Path) -> None:
    found = shown(folder, FIRST, "update people set name = upper(name)", "update people set name = ' ' || lower(name) || ' '")
    assert found == [("ann", "Turin"), ("bo", "Lyon"), ("cy", "Bodo"), ("di", "Bari")]


def test_a_key_ends_when_the_source_shows_it_in_no_way(folder: Path) -> None:
    twins = FIRST + "; insert into people values ('ANN', 'Turin'), ('BO', 'Lyon')"
    assert shown(folder, twins, "delete from people where name in ('ANN', 'bo')") == [
        ("ann", "Turin"),
        ("bo", "Lyon"),
        ("cy", "Bodo"),
        ("di", "Bari"),
    ]
    assert shown(folder, "delete from people where name in ('ann', 'cy')") == [("bo", "Lyon"), ("di", "Bari")]
    assert shown(folder, "delete from people", "insert into people values ('Ann', 'Porto')") == [("ann", "Porto")]
