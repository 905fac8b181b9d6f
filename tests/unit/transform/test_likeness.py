"""Rows are compared in any order, by the columns that are expected, and what differs is told as narrowly as it can be."""

from lakehouse.transform.likeness import paired


def test_equal_rows_in_any_order() -> None:
    assert paired([{"a": 1}, {"a": 2}], [{"a": 2, "b": 0}, {"a": 1, "b": 9}], ["a"]) == ([], [], [])


def test_a_vague_row_leaves_the_row_that_another_needs() -> None:
    assert paired([{"b": 1}, {"a": 1, "b": 1}], [{"a": 1, "b": 1}, {"a": 2, "b": 1}], ["a"]) == ([], [], [])


def test_the_same_row_twice_counts_twice() -> None:
    assert paired([{"a": 1}], [{"a": 1}, {"a": 1}], []) == ([], [], [{"a": 1}])
    assert paired([{"a": 1}, {"a": 1}], [{"a": 1}], []) == ([], [{"a": 1}], [])


def test_rows_of_one_key_differ_and_others_are_missing() -> None:
    differing, missing, unexpected = paired([{"id": 1, "x": 5}, {"id": 2, "x": 5}], [{"id": 1, "x": 6}, {"id": 3, "x": 5}], ["id"])
    assert differing == [({"id": 1, "x": 5}, {"id": 1, "x": 6})]
    assert (missing, unexpected) == ([{"id": 2, "x": 5}], [{"id": 3, "x": 5}])


def test_null_is_a_value_and_floats_are_near() -> None:
    assert paired([{"a": None, "b": 0.1 + 0.2}], [{"a": None, "b": 0.3}], []) == ([], [], [])
    assert paired([{"a": None}], [{"a": 0}], [])[1] == [{"a": None}]
