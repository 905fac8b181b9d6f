"""Which words of a table's file go together: modes, deletes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from lakehouse.model.table import Table


def define(**words: object) -> Table:
    return Table.model_validate({"name": "t", "source": "shop", "from": "t", **words})


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
    ],
)
def test_words_that_do(words: dict[str, object], marked: bool) -> None:
    assert define(**words).marked is marked


def test_a_sweep_is_said_in_short() -> None:
    short = define(mode="append", keys="id", deletes="sweep")
    assert short.deletes == define(mode="append", keys="id", deletes={"detect": "sweep"}).deletes
    assert define(mode="append", keys="id", deletes={"detect": "sweep", "every": "12h"}).deletes.every == timedelta(hours=12)
