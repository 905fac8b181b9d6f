"""Mode snapshot: whatever a table lives through, silver shows its rows after each run, bronze tells it all, quiet runs write nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.stages import bronze
from tests.lakes import change_source, content, copy_layer, open_shop, require_success, versions, write_project

State = dict[int, str | None]
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
states = st.lists(st.dictionaries(st.integers(1, 3), st.sampled_from(["a", "b", None]), max_size=3), min_size=1, max_size=5)
"""What the source shows at each run: rows come, change, go and come back in any order."""
FILES = {
    "metadata/sources/shop.yml": "connection: shop\n",
    **{
        f"metadata/tables/shop/{name}.yml": f"from: t\nmode: snapshot\nkeys: id\nhistory: {history}\ndeletes: {{empty: apply}}\n"
        for name, history in (("now", "scd1"), ("ever", "scd2"))
    },
}


def live(lived: list[State]) -> None:
    with tempfile.TemporaryDirectory() as place:
        project = write_project(Path(place), FILES)
        change_source(project / "source.db", "create table t (id integer primary key, v text); insert into t values (9, 'z')")
        require_success(open_shop(project, clock=None))
        last: dict[int, str | None] = {9: "z"}
        expected: list[tuple[int, str | None, str | None]] = [(9, "z", None)]
        house = open_shop(project)
        for state in lived:
            rows = "".join(f"insert into t values ({k}, {'null' if v is None else repr(v)});" for k, v in state.items())
            change_source(project / "source.db", f"delete from t; {rows}")
            before = versions(project / "lake")
            require_success(open_shop(project, clock=None))
            assert (versions(project / "lake") == before) is (state == last)
            house = open_shop(project)
            assert sorted(house.sql("select id, v from silver.now").rows()) == sorted(state.items())
            assert sorted(house.sql("select id, v from silver.ever where is_current").rows()) == sorted(state.items())
            expected += [(k, v, None) for k, v in state.items() if k not in last or last[k] != v]
            expected += [(k, v, "delete") for k, v in last.items() if k not in state]
            last = state
        assert sorted(house.sql("select id, v, _op from bronze.now").rows(), key=repr) == sorted(expected, key=repr)
        twice = "select count(*) as n from silver.ever a join silver.ever b on a.id = b.id and a.valid_from < b.valid_from"
        assert house.sql(f"{twice} where a.valid_to is null or a.valid_to > b.valid_from").item() == 0
        copy_layer("bronze", project / "lake", project / "again")
        require_success(open_shop(project, lake="again", clock=None))
        for table in ("silver.now", "silver.ever"):
            assert content(open_shop(project), table) == content(open_shop(project, lake="again"), table)


@settings(max_examples=6, deadline=None, suppress_health_check=CHECKS)
@given(states)
def test_silver_is_the_source(lived: list[State]) -> None:
    live(lived)


@pytest.mark.parametrize("few", [0, bronze.FEW_AGAIN])
def test_gone_back_changed_and_all_gone(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bronze, "FEW_AGAIN", few)  # 0: the SQL engine compares, few rows too
    live([{1: "a", 2: "b", 9: "z"}, {2: "a"}, {1: "a", 2: "b"}, {}, {}, {1: None, 2: "b"}, {1: None}])


@pytest.mark.long
@pytest.mark.parametrize("few", [0, bronze.FEW_AGAIN])
@settings(max_examples=150, deadline=None, suppress_health_check=CHECKS)
@given(lived=states)
def test_silver_is_the_source_long(few: int, monkeypatch: pytest.MonkeyPatch, lived: list[State]) -> None:
    monkeypatch.setattr(bronze, "FEW_AGAIN", few)
    live(lived)
