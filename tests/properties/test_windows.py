"""However a source is cut into windows, past and live, overlapping and in any order, the star is the one of a single run."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lakes import SHOP, SHOP_TABLES, change_source, content, open_shop, require_success, write_project
from tests.properties.test_whole_road import Change, Order, changes, instant, orders, upserts

TABLES = ("silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
Window = tuple[int, int] | None
"""Days of a backfill; None is a live run."""
windows = st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 6), st.integers(1, 4))), max_size=5)
NARROW = {name: text.replace("lookback: 9999d", "lookback: 1d") for name, text in SHOP.items()}


def cut(customers: list[Change], sold: list[Order], pieces: list[Window]) -> None:
    """Read one source by pieces and by one run, and compare."""
    filled = SHOP_TABLES + upserts([(1, 3, "Bonn"), *customers], [(1, 1, 3), *sold])
    with tempfile.TemporaryDirectory() as place:
        project = write_project(Path(place), NARROW)
        change_source(project / "source.db", filled)
        pieced, whole = open_shop(project), open_shop(project, lake="whole")
        for piece in pieces:
            if piece is None:
                require_success(pieced)
            else:
                pieced.backfill(from_=instant(piece[0]), to=instant(piece[0]) + timedelta(days=piece[1]))
        require_success(pieced)
        require_success(whole)
        for table in TABLES:
            assert content(pieced, table, ("_batch", "_run_id")) == content(whole, table, ("_batch", "_run_id")), table
        for table in ("bronze.customers", "bronze.orders"):
            assert sum(content(pieced, table).values()) == sum(content(whole, table).values()), table


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(changes, max_size=3), st.lists(orders, max_size=4), windows)
def test_any_cut_gives_the_same_star(customers: list[Change], sold: list[Order], pieces: list[Window]) -> None:
    cut(customers, sold, pieces)


@pytest.mark.long
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(changes, max_size=3), st.lists(orders, max_size=4), windows)
def test_any_cut_gives_the_same_star_long(customers: list[Change], sold: list[Order], pieces: list[Window]) -> None:
    cut(customers, sold, pieces)


def test_a_run_between_two_halves_of_the_past() -> None:
    cut([(2, 1, "Rome"), (3, 5, "Oslo")], [(2, 2, 0), (3, 3, 6)], [(4, 2), None, (0, 2), (1, 4), None, (0, 4)])
