"""Adopting a history: it becomes the table's first batch, and runs go on from its watermark; bad input is refused whole."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import obstore
import polars as pl
import pytest
from deltalake import write_deltalake

from lakehouse.settings import Azure as AzureSettings
from lakehouse.storage.place import Places
from tests.cli.project import ROWS, Project
from tests.cli.test_bad_input import FAILED, QUALITY, USAGE, require_one_error
from tests.servers import Azurite
from tests.stores import make_container


def orders(*numbers: int) -> pl.DataFrame:
    """Some of the source's orders, as an older tool may have kept them: wide types, other names' case, columns of its own."""
    known = {10: (1, "9.99", 3), 11: (2, "0.10", 4), 12: (3, "-1.00", 5), 9: (1, "5.00", 2)}
    return pl.DataFrame(
        [
            {
                "ORDER_ID": number,
                "user_id": known[number][0],
                "amount": Decimal(known[number][1]),
                "ordered_at": datetime(2024, 1, known[number][2], 12),  # noqa: DTZ001  naive, as many tools write
                "loaded_by": "old tool",
            }
            for number in numbers
        ],
        schema_overrides={"amount": pl.Decimal(38, 10), "ORDER_ID": pl.Int64},
    )


def rows(project: Project, table: str = "bronze.orders") -> list[int]:
    return [row["order_id"] for row in project.call("query", f"select order_id from {table} order by 1", "-o", "json").json]


def adopt(project: Project, place: Path | str, *more: str) -> None:
    done = project.call("adopt", "orders", str(place), "-o", "json", *more)
    assert done.code == 0, done.err
    (step,) = done.json["steps"]
    assert (step["step"], step["table"], step["status"]) == ("bronze", "orders", "success")


def test_a_file_becomes_the_first_batch_and_runs_go_on_from_it(project: Project) -> None:
    orders(9, 10, 11).write_parquet(project.folder / "old.parquet")
    adopt(project, "old.parquet")
    assert rows(project) == [9, 10, 11]
    (status,) = [row for row in project.call("status", "-o", "json").json if (row["layer"], row["table"]) == ("bronze", "orders")]
    assert status["watermark"].startswith("2024-01-04 12:00:00")
    done = project.call("run", "-o", "json")
    assert done.code == 0, done.err
    (read,) = [step for step in done.json["steps"] if (step["step"], step["table"]) == ("bronze", "orders")]
    assert (read["rows_in"], read["rows_out"]) == (2, 1)  # the tie is read again, and known
    assert rows(project) == rows(project, "silver.orders") == [9, 10, 11, 12]
    assert project.call("run", "-o", "json").json["status"] == "unchanged"


def test_the_whole_history_leaves_nothing_to_read(project: Project) -> None:
    orders(10, 11, 12).write_parquet(project.folder / "old.parquet")
    adopt(project, "old.parquet")
    project.call("run")
    for table, count in ROWS.items():
        assert project.call("query", f"select count(*) as n from {table}", "-o", "json").json == [{"n": count}]
    (commit,) = project.call("query", "select distinct reads from ledger.steps where step = 'bronze' and rows_out = 3", "-o", "json").json
    assert commit == {"reads": "adoption"}


def test_a_lower_watermark_reads_more_again_and_nothing_twice(project: Project) -> None:
    orders(10, 11).write_parquet(project.folder / "old.parquet")
    adopt(project, "old.parquet", "--watermark", "2024-01-03")
    (read,) = [step for step in project.call("run", "-o", "json").json["steps"] if (step["step"], step["table"]) == ("bronze", "orders")]
    assert (read["rows_in"], read["rows_out"]) == (3, 1)


def test_a_delta_table_a_folder_and_a_pattern(project: Project, tmp_path: Path) -> None:
    write_deltalake(tmp_path / "delta", orders(9, 10).to_arrow(compat_level=pl.CompatLevel.oldest()))
    write_deltalake(tmp_path / "delta", orders(11).to_arrow(compat_level=pl.CompatLevel.oldest()), mode="append")
    (tmp_path / "files/2023").mkdir(parents=True)
    orders(9).drop("user_id").write_parquet(tmp_path / "files/2023/a.parquet")
    orders(10, 11).write_parquet(tmp_path / "files/b.parquet")
    for number, place in enumerate(
        (tmp_path / "delta", (tmp_path / "delta").as_uri(), tmp_path / "files", tmp_path / "files/**/*.parquet")
    ):
        done = project.call("adopt", "orders", str(place), LAKE=f"lake{number}")
        assert done.code == 0, done.err
        query = "select order_id, amount::varchar as amount, ordered_at from bronze.orders order by 1"
        found = project.call("query", query, "-o", "json", LAKE=f"lake{number}").json
        assert [(row["order_id"], row["amount"]) for row in found] == [(9, "5.00"), (10, "9.99"), (11, "0.10")]
        assert found[0]["ordered_at"] == datetime(2024, 1, 2, 12, tzinfo=UTC).isoformat()


def commits(project: Project) -> set[str]:
    """Every commit of a table of the lake but its first, which makes it empty."""
    return {name for name in project.tree() if "_delta_log" in name and not name.endswith(f"{0:020}.json")}


def require_refused(project: Project, code: int, *words: str, command: tuple[str, ...] = ("adopt", "orders", "old.parquet")) -> None:
    before = commits(project)
    require_one_error(project.call(*command), code, *words)
    assert commits(project) == before


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (orders(10).drop("amount"), ("amount decimal128(12, 2): missing",)),
        (orders(10).with_columns(amount=pl.lit([1])), ("amount decimal128(12, 2): given", "list")),
        (orders(10).drop("amount").with_columns(user_id=pl.struct("user_id")), ("amount", "missing", "user_id int32: given struct")),
        (orders(10).with_columns(order_id=pl.lit(1), Order_Id=pl.lit(2)).drop("ORDER_ID").rename({"order_id": "oRDER_iD"}), ("several",)),
    ],
    ids=["missing", "other type", "two faults", "two names"],
)
def test_columns_that_do_not_fit_are_all_named(project: Project, frame: pl.DataFrame, words: tuple[str, ...]) -> None:
    frame.write_parquet(project.folder / "old.parquet")
    require_refused(project, FAILED, "do not fit", *words)


def test_a_value_that_does_not_fit_keeps_nothing(project: Project) -> None:
    orders(9, 10).with_columns(amount=pl.lit("0.125").cast(pl.Decimal(38, 10))).write_parquet(project.folder / "old.parquet")
    require_refused(project, FAILED, "column amount")
    orders(10).with_columns(ORDER_ID=pl.lit(None, pl.Int64)).write_parquet(project.folder / "old.parquet")
    require_refused(project, QUALITY, "order_id is NULL in 1 row")
    orders(10).with_columns(ordered_at=datetime(9999, 1, 1, tzinfo=UTC)).write_parquet(project.folder / "old.parquet")
    require_refused(project, QUALITY, "more than a day ahead")
    orders(10).write_parquet(project.folder / "old.parquet")
    adopt(project, "old.parquet")


def test_a_table_that_has_rows_adopts_nothing(loaded: Project) -> None:
    orders(9).write_parquet(loaded.folder / "old.parquet")
    require_refused(loaded, USAGE, "bronze has 3 rows of it already")


def odd(number: int, at: datetime | None) -> pl.DataFrame:
    return orders(9).with_columns(ORDER_ID=pl.lit(number, pl.Int64), ordered_at=pl.lit(at, pl.Datetime))


def watermark(project: Project) -> str:
    (status,) = [row for row in project.call("status", "-o", "json").json if (row["layer"], row["table"]) == ("bronze", "orders")]
    return str(status["watermark"])


def test_the_watermark_keeps_the_lag(project: Project) -> None:
    project.replace("metadata/tables/shop/orders.yml", "cursor: ordered_at", "cursor: ordered_at\nlag: 1d")
    orders(10, 12).write_parquet(project.folder / "old.parquet")
    assert project.call("adopt", "orders", "old.parquet", CLOCK="2024-01-05T13:00:00Z").code == 0
    assert watermark(project).startswith("2024-01-04 13:00:00")
    project.change("insert into Orders values (13, 1, 1, '2024-01-05 09:00:00')")  # committed late, within the lag
    assert project.call("run", CLOCK="2024-01-08T13:00:00Z").code == 0
    assert 13 in rows(project)


@pytest.mark.parametrize(("policy", "silver"), [("reject", [10, 11, 12]), ("read_once", [9, 10, 11, 12, 13])])
def test_odd_cursors_are_taken_as_the_table_says(project: Project, policy: str, silver: list[int]) -> None:
    history = pl.concat([orders(10, 11), odd(9, None), odd(13, datetime(9998, 1, 1))])  # noqa: DTZ001  naive, as many tools write
    history.write_parquet(project.folder / "old.parquet", row_group_size=1)
    project.replace("metadata/tables/shop/orders.yml", "cursor: ordered_at", f"cursor: ordered_at\nodd_cursors: {policy}")
    adopt(project, "old.parquet")
    assert rows(project) == [9, 10, 11, 13]
    assert watermark(project).startswith("2024-01-04 12:00:00")
    assert project.call("run").code == 0
    assert rows(project, "silver.orders") == silver


def test_a_cursor_that_orders_no_versions_is_not_missing_either(project: Project) -> None:
    project.replace("metadata/tables/shop/orders.yml", "cursor: ordered_at", "cursor: ordered_at\nsequence_by: user_id")
    for number in range(2):
        (orders(10) if number == 0 else odd(9, None)).write_parquet(project.folder / f"old{number}.parquet")
    require_refused(project, QUALITY, "ordered_at is NULL in 1 row", command=("adopt", "orders", "old*.parquet"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("adopt", "ordres", "old.parquet"), ("is no table", "orders, users")),
        (("adopt", "orders", "nowhere"), ("no Parquet file and no Delta table",)),
        (("adopt", "orders", "*.nothing"), ("no Parquet file and no Delta table",)),
        (("adopt", "orders", "s3://bucket/old"), ("PATH_OR_URI",)),
        (("adopt", "orders", "old.parquet", "--watermark", "soon"), ("--watermark cannot be read",)),
        (("adopt", "orders", "old.parquet", "--watermark", "17"), ("no watermark such as 17",)),
        (("adopt", "orders", "old.parquet", "--watermark", "2024-01-20"), ("lies above every row",)),
    ],
)
def test_misuse(project: Project, command: tuple[str, ...], words: tuple[str, ...]) -> None:
    orders(10).write_parquet(project.folder / "old.parquet")
    require_refused(project, USAGE, *words, command=command)


def test_a_file_that_is_no_parquet(project: Project) -> None:
    project.write("old.parquet", "PAR1 but no more")
    require_refused(project, FAILED, "cannot be read")


def test_versions_that_nothing_orders_are_refused(project: Project) -> None:
    project.replace(
        "metadata/tables/shop/orders.yml", "mode: incremental\nkeys: order_id\ncursor: ordered_at", "mode: full\nkeys: order_id"
    )
    pl.concat([orders(10, 11), orders(10)]).rename({"ORDER_ID": "order_id"}).write_parquet(project.folder / "old.parquet")
    require_refused(project, FAILED, "1 key comes more than once")


@pytest.mark.long
def test_histories_in_a_container(project: Project, azurite: Azurite) -> None:
    container = make_container(azurite.url)
    at, settings = f"abfss://{container}", {"AZURE__EMULATOR": azurite.url}
    options = Places(AzureSettings(emulator=azurite.url)).at(at).options()
    store = Places(AzureSettings(emulator=azurite.url)).at(at).store()
    for name, some in (("files/a.parquet", orders(9)), ("files/more/b.parquet", orders(10, 11))):
        some.write_parquet(content := BytesIO())
        obstore.put(store, name, content.getvalue())
    write_deltalake(f"{at}/delta", orders(9, 10, 11).to_arrow(compat_level=pl.CompatLevel.oldest()), storage_options=options)
    for number, place in enumerate((f"{at}/files", f"{at}/delta", f"{at}/files/a.parquet")):
        there = settings | {"LAKE": f"{at}/lake{number}"}
        done = project.call("adopt", "orders", place, **there)
        assert done.code == 0, done.err
        found = project.call("query", "select order_id from bronze.orders order by 1", "-o", "json", **there).json
        assert [row["order_id"] for row in found] == ([9] if place.endswith(".parquet") else [9, 10, 11])
    require_one_error(project.call("adopt", "orders", f"{at}/nothing", **settings), USAGE, "no Parquet file and no Delta table")
