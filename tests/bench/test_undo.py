"""W7: a run of 10 thousand rows is taken back out of a table of a million, and brought back: the cost follows its keys."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import polars as pl
import pytest

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.layout import BATCH
from lakehouse.pipeline.undo import undo
from tests.bench.folds import SLICE, State, changed, orders

pytestmark = pytest.mark.bench

ROWS, CHANGED = int(os.environ.get("UNDO_ROWS", "1000000")), 10_000


def _told(house: Lakehouse) -> dict[str, int]:
    """What the newest commit of silver rewrote."""
    with Lake.open(house.project, house.settings) as lake:
        silver = lake.table("silver", "orders")
        assert silver is not None
        return dict(json.loads(silver.history(1)[0]["lakehouse"])["rewriting"])


@pytest.mark.parametrize("kind", ["recent", "uniform"])
def test_a_run_is_taken_back_at_the_cost_of_its_keys(tmp_path: Path, kind: str) -> None:
    ids = pl.Series("id", range(1, ROWS + 1), dtype=pl.Int64)
    state = State.make(tmp_path, "orders", [orders(ids[at : at + SLICE]) for at in range(0, ROWS, SLICE)])
    house = Lakehouse.open(state.project, lake=str(state.folder))
    before = house.scan("silver.orders").sort("id").collect()
    state.load([orders(changed(kind, ROWS, CHANGED), turn=1)], 2, run_id="wrong")
    state.fold()
    last = "wrong"
    for what in ("undo", "redo"):
        with Lake.open(house.project, house.settings) as lake:
            begun, cpu = time.monotonic(), time.process_time()
            done = undo(lake, last)
            taken = (time.monotonic() - begun, time.process_time() - cpu)
        assert done.run is not None
        last = done.run.run_id
        told = _told(house)
        print(f"\n{what} of {CHANGED} {kind} rows of {ROWS}: {taken[0]:.2f} s, {taken[1]:.2f} s of processor; {told}")
        if what == "undo":
            assert house.scan("silver.orders").sort("id").collect().equals(before)
    assert house.scan("silver.orders").filter(pl.col(BATCH) == 2).select(pl.len()).collect().item() == CHANGED
