"""Rules as SQL over the engine, and the distance of a number from its past."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from lakehouse.model.expectation import Expectation
from lakehouse.transform.checks import across, broken, masked, samples
from lakehouse.transform.drift import robust_z
from lakehouse.transform.rejects import masked as masked_here
from tests.lakes import sql_session

ROWS = pa.table({"k": [1, 22, 333, 4444, None], "t": ["tool", "it's", "toy", None, "tool"], "n": [1, 5, None, 9, -1]})


@pytest.mark.parametrize(
    ("rule", "breaks"),
    [
        ({"that": "n > 0"}, [3, 5]),
        ({"not_null": ["t", "n"]}, [3, 4]),
        ({"in_set": {"column": "t", "values": ["tool", "it's"]}}, [3, 4]),
        ({"in_set": {"column": "n", "values": [1, 5]}}, [3, 4, 5]),
        ({"range": {"column": "n", "min": 1, "max": 8}}, [3, 4, 5]),
        ({"pattern": {"column": "t", "regex": "to+l?"}}, [2, 3, 4]),
    ],
)
def test_a_rule_over_one_row_is_broken_by_null_too(rule: dict[str, Any], breaks: list[int]) -> None:
    with sql_session() as session:
        session.stream(
            "t",
            ROWS.append_column("place", pa.array(range(1, 6))).schema,
            iter(ROWS.append_column("place", pa.array(range(1, 6))).to_batches()),
        )
        found = session.rows(f"select place from t where {broken(Expectation.model_validate(rule))} order by place")
    assert found.column("place").to_pylist() == breaks


def test_of_equal_rows_the_smallest_sequence_batch_and_hash_stays() -> None:
    rows = pa.table({"u": ["a", "a", "a", "b", None], "_seq": [2, 1, 1, 1, 1], "_batch": [1, 2, 1, 1, 1], "_hash": list("zyxwv")})
    with sql_session() as session:
        session.keep("t", rows.schema, iter(rows.to_batches()))
        sql = across({"one": Expectation.model_validate({"unique": "u"})}, "t", {})["_breaks_one"]
        assert session.rows(f"select _hash from (select *, {sql} as b from t) where b order by 1").column(0).to_pylist() == ["v", "y", "z"]


def test_a_masked_key_is_the_same_in_both_engines() -> None:
    with sql_session() as session:
        session.keep("t", ROWS.schema, iter(ROWS.to_batches()))
        there = session.rows(f"select {masked(['k', 't'])} as key from t").column("key").to_pylist()
        few = session.rows(samples("t", "true", ["k"])).column("sample").to_pylist()
    frame = pl.DataFrame(pl.from_arrow(ROWS))
    assert frame.select(masked_here(["k", "t"]).alias("key"))["key"].to_list() == there
    assert there[3:] == ["k=4***4, t=NULL", "k=NULL, t=t***l"]
    assert few == ["k=***", "k=***", "k=***", "k=4***4", "k=NULL"]


@pytest.mark.parametrize(
    ("value", "past", "z"),
    [(10, [1, 2, 3, 4], None), (3, [1, 2, 3, 4, 5], 0.0), (7, [5] * 6, math.inf), (6, [5, 5, 5, 5, 6], 1 / (0.2 * 1.253314))],
)
def test_a_distance_is_measured_by_what_is_usual(value: float, past: list[float], z: float | None) -> None:
    assert robust_z(value, past) == (z if z is None else pytest.approx(z))
