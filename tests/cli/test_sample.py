"""A sample: the newest rows of each table in a lake of their own; the real lake and its watermarks stay as they are."""

from __future__ import annotations

import pytest

from tests.cli.project import Project
from tests.cli.test_bad_input import USAGE, require_one_error, require_refusal


def orders(project: Project, lake: str | None = None) -> list[int]:
    found = project.call("query", "select order_id from gold.fact_order order by 1", "-o", "json", LAKE=lake).json
    return [row["order_id"] for row in found]


def test_the_newest_rows_make_a_whole_star_elsewhere(project: Project) -> None:
    done = project.call("run", "--sample", "2", "-o", "json")
    assert done.code == 0, done.err
    assert "A sample: the newest 2 rows of each table" in done.err
    assert not (project.folder / "lake").exists()
    assert orders(project, "lake-sample") == [11, 12]
    assert {step["table"]: step["rows_in"] for step in done.json["steps"] if step["step"] == "bronze"} == {"users": 2, "orders": 2}


def test_the_real_lake_stays_as_it_is_and_reads_all_later(loaded: Project) -> None:
    before = loaded.tree(ledger=True)
    loaded.change("insert into Orders values (13, 1, 5, '2024-01-11 12:00:00'), (14, 1, 5, '2024-01-12 12:00:00')")
    assert loaded.call("run", "--sample", "1").code == 0
    assert loaded.tree(ledger=True) == before
    assert orders(loaded, "lake-sample") == [14]
    assert loaded.call("run").code == 0
    assert orders(loaded) == [10, 11, 12, 13, 14]


def test_a_share_of_each_table(project: Project) -> None:
    assert project.call("run", "--sample", "50%", SAMPLE_LAKE="small").code == 0
    assert orders(project, "small") == [11, 12]


def test_a_table_without_a_cursor_gives_its_first_keys(project: Project) -> None:
    project.replace(
        "metadata/tables/shop/orders.yml", "mode: incremental\nkeys: order_id\ncursor: ordered_at", "mode: full\nkeys: order_id"
    )
    assert project.call("run", "--sample", "2").code == 0
    assert orders(project, "lake-sample") == [10, 11]


def test_a_second_sample_adds_what_is_newer(project: Project) -> None:
    project.call("run", "--sample", "2")
    project.change("insert into Orders values (13, 1, 5, '2024-01-11 12:00:00')")
    assert project.call("run", "--sample", "2").code == 0
    assert orders(project, "lake-sample") == [11, 12, 13]


@pytest.mark.parametrize("sample", ["0", "-5", "many", "0%", "101%", "1.5", ""])
def test_what_is_no_sample(project: Project, sample: str) -> None:
    require_refusal(project, "--sample cannot be read", "1000", command=("run", f"--sample={sample}"))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"SAMPLE_LAKE": "lake"}, "the real lake"),
        ({"SAMPLE_LAKE": "lake/small"}, "the real lake"),
        ({"SAMPLE_LAKE": "."}, "the real lake"),
        ({"SAMPLE_LAKE": "elsewhere", "LAYER__GOLD": "elsewhere/gold"}, "the real gold"),
        ({"LAKE": "abfss://container@music.dfs.core.windows.net"}, "Set LAKEHOUSE_SAMPLE_LAKE"),
        ({"SAMPLE_LAKE": "s3://bucket"}, "LAKEHOUSE_SAMPLE_LAKE"),
    ],
)
def test_the_real_lake_is_never_the_sandbox(project: Project, settings: dict[str, str], word: str) -> None:
    require_one_error(project.call("run", "--sample", "5", **settings), USAGE, word)
    assert not (project.folder / "lake").exists()
