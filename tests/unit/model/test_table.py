"""Which words of a table's file go together: modes, deletes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from lakehouse.model.table import Table


def define(**words: object) -> Table:
    return Table.model_validate({"name": "t", "source": "shop", "from": "t", **words})


SCD2 = {"mode": "full", "keys": "id", "sequence_by": "n", "history": "scd2"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"mode": "snapshot"}, "mode snapshot needs `keys`"),
        ({"mode": "snapshot", "keys": "id", "cursor": "at"}, "mode snapshot takes no `cursor`"),
        ({"mode": "full", "lookback": "1d"}, "mode full takes no `cursor`"),
        ({"mode": "change_tracking"}, "mode change_tracking needs `keys`"),
        ({"mode": "change_tracking", "keys": "id", "cursor": "at"}, "mode change_tracking takes no `cursor`"),
        ({"mode": "change_tracking", "keys": "id", "lookback": "1d"}, "a `lookback` in versions"),
        ({"mode": "append", "keys": "id", "history": "scd2"}, "have no history"),
        ({"mode": "append", "lookback": "1d"}, "without a `cursor`"),
        ({"mode": "full", "keys": "id", "tracking_gap": "resync"}, "speaks of mode change_tracking"),
        ({"mode": "append", "deletes": "sweep"}, "deletes are found by `keys`"),
        ({"mode": "full", "keys": "id", "deletes": "sweep"}, "use `snapshot`"),
        ({"mode": "full", "keys": "id", "deletes": "column"}, "need each other"),
        ({"mode": "full", "keys": "id", "apply_as_deletes": "gone"}, "need each other"),
        ({"mode": "snapshot", "keys": "id", "deletes": "tracking"}, "`tracking` needs mode change_tracking"),
        ({"mode": "snapshot", "keys": "id", "deletes": {"every": "1d"}}, "`every` is a sweep's"),
        ({"mode": "append", "keys": "id", "deletes": {"detect": "sweep", "every": "0d"}}, "no span of time above zero"),
        ({"mode": "full", "keys": "id", "deletes": {"empty": "apply"}}, "`empty` is for"),
        ({"mode": "full", "order_by": "a"}, "speaks of the versions of a key"),
        ({"mode": "full", "apply_as_truncates": "a"}, "speaks of the versions of a key"),
        ({"mode": "full", "keys": "id", "order_by": "a up"}, "String should match pattern"),
        ({"mode": "full", "keys": "id", "sequence_by": ["a", "a"]}, "name a column twice"),
        ({"mode": "full", "keys": "id", "sequence_by": "a", "order_by": ["b", "b desc"]}, "name a column twice"),
        ({"mode": "full", "keys": "id", "sequence_by": "a", "order_by": "a desc"}, "name a column twice"),
        ({"mode": "full", "keys": "id", "track": "a"}, "without `history: scd2` there is none"),
        ({**SCD2, "track": {}}, "expected a list of columns, or `except`"),
        ({**SCD2, "track": {"only": "a", "except": "b"}}, "expected a list of columns, or `except`"),
        ({**SCD2, "track": "id"}, "names 'id', which is a key or orders the versions"),
        ({**SCD2, "ignore_null_updates": "n"}, "names 'n', which is a key or orders the versions"),
        ({**SCD2, "exclude": "id"}, "names 'id', which is a key"),
        ({**SCD2, "exclude": "a", "track": "a"}, "which silver does not keep"),
        ({**SCD2, "track": "b", "columns": {"id": "bigint", "n": "bigint", "a": "string"}}, "names 'b', which `columns` does not declare"),
        ({**SCD2, "deletes": {"as_row": True}}, "nothing shows which keys are deleted"),
        ({**SCD2, "snapshot_column": "day"}, "the `snapshot_column` orders the versions"),
        ({"mode": "full", "keys": "id", "absence": "unchanged"}, "speaks of a `snapshot_column`"),
        ({"mode": "snapshot", "keys": "id", "snapshot_column": "day"}, "shows by itself which keys are gone"),
        ({"mode": "full", "keys": "id", "snapshot_column": "day", "apply_as_truncates": "a"}, "shows by itself which keys are gone"),
        ({"mode": "full", "keys": "id", "snapshot_column": "day", "ignore_null_updates": True}, "a snapshot is whole"),
        ({"mode": "full", "replace_partitions": "day"}, "speaks of the versions of a key"),
        ({"mode": "snapshot", "keys": "id", "replace_partitions": "day"}, "replaces no partitions"),
        ({"mode": "incremental", "keys": "id", "cursor": "n", "replace_partitions": "day"}, "a window shows whole partitions only where"),
    ],
)
def test_words_that_do_not_go_together(words: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        define(**words)


@pytest.mark.parametrize(
    ("words", "marked"),
    [
        ({"mode": "full"}, False),
        ({"mode": "append"}, False),
        ({"mode": "append", "keys": "id", "cursor": "at", "lookback": "1d"}, False),
        ({"mode": "append", "keys": "id", "deletes": {"detect": "sweep", "every": "1d"}}, True),
        ({"mode": "incremental", "keys": "id", "cursor": "at", "deletes": "sweep"}, True),
        ({"mode": "incremental", "keys": "id", "cursor": "at", "deletes": "column", "apply_as_deletes": "gone"}, False),
        ({"mode": "snapshot", "keys": "id", "deletes": {"empty": "apply"}}, True),
        ({"mode": "snapshot", "keys": "id", "deletes": "column", "apply_as_deletes": "gone"}, True),
        ({"mode": "change_tracking", "keys": "id", "deletes": "tracking", "lookback": 100, "tracking_gap": "resync"}, True),
        ({**SCD2, "track": {"except": ["a"]}, "ignore_null_updates": True, "order_by": ["b", "c desc"], "exclude": "e"}, False),
        ({**SCD2, "apply_as_truncates": "a", "deletes": {"as_row": True}}, False),
        ({"mode": "full", "keys": "id", "snapshot_column": "day", "deletes": {"as_row": True}}, False),
        ({"mode": "full", "keys": "id", "replace_partitions": ["day", "shop"]}, True),
        ({"mode": "incremental", "keys": "id", "cursor": "day", "replace_partitions": "day", "deletes": {"as_row": True}}, True),
    ],
)
def test_words_that_do(words: dict[str, object], marked: bool) -> None:
    assert define(**words).marked is marked


def test_a_sweep_is_said_in_short() -> None:
    short = define(mode="append", keys="id", deletes="sweep")
    assert short.deletes == define(mode="append", keys="id", deletes={"detect": "sweep"}).deletes
    assert define(mode="append", keys="id", deletes={"detect": "sweep", "every": "12h"}).deletes.every == timedelta(hours=12)


def test_what_orders_the_versions_of_one_instant() -> None:
    table = define(**{**SCD2, "sequence_by": ["n", "m"], "order_by": ["a", "b desc"]})
    assert (table.sequence, table.then) == ("n", [("m", False), ("a", False), ("b", True)])


def test_only_words_that_change_silver_are_part_of_its_definition() -> None:
    plain = define(mode="full", keys="id", sequence_by="n", replace_partitions="day")
    assert plain.applied == {}
    assert define(**{**SCD2, "track": "a"}).applied == {"track": {"only": ["a"]}}
    assert define(**{**SCD2, "sequence_by": ["n", "m"]}).applied == {"sequence_by": ["n", "m"]}
