"""Rules in metadata: one kind each, with what may become of what breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakehouse.model.expectation import Expectation, parse_limit, parse_share
from lakehouse.model.quality import counted


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "expected one kind of rule, given none"),
        ({"that": "a > 0", "unique": "b"}, "given that, unique"),
        ({"unique": "a", "else": "drop"}, "a rule of kind unique cannot drop; allowed: warn, quarantine, fail"),
        ({"metric": {"sql": "sum(a)", "min": 1}, "else": "quarantine"}, "a rule of kind metric cannot quarantine"),
        ({"row_count": {"min": 1}, "max": "2%"}, "counts no rows; it has bounds of its own"),
        ({"range": {"column": "a"}}, "needs `min`, `max` or both"),
        ({"pattern": {"column": "a", "regex": "(?=b)"}}, "is no RE2 expression"),
        ({"pattern": {"column": "a", "regex": "("}}, "is no regular expression"),
        ({"that": "a > 0", "max": "200%"}, "is no limit; allowed: a number of rows such as 10, or a share such as 2%"),
        ({"not_null": []}, "at least 1 item"),
        ({"that": "a > 0", "elze": "warn"}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_go_together_is_told(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=r".") as caught:
        Expectation.model_validate(given)
    assert says in str(caught.value)


def test_limits_are_rows_or_shares() -> None:
    assert (parse_limit(3), parse_limit("3%"), parse_limit(0.5), parse_share("100 %")) == (3, 0.03, 0.5, 1.0)


@pytest.mark.parametrize(
    ("limit", "otherwise", "failed", "stops"),
    [
        (None, "warn", 100, False),
        (None, "fail", 1, True),
        (None, "fail", 0, False),
        ("2%", "warn", 2, False),
        ("2%", "warn", 3, True),
        (2, "fail", 2, False),
        (0, "quarantine", 1, True),
    ],
)
def test_a_limit_decides_alone_whether_a_commit_is_held_back(limit: Any, otherwise: str, failed: int, stops: bool) -> None:  # noqa: ANN401  a limit
    rule = Expectation.model_validate(
        {"that": "a > 0", "else": otherwise, "max": limit} if limit is not None else {"that": "a", "else": otherwise}
    )
    assert counted("t", "r", rule, (failed, 100, ())).stops is stops


def test_a_plain_rule_keeps_the_definition_that_it_had() -> None:
    assert Expectation.model_validate({"that": "a > 0"}).words() == ["a > 0", "warn"]
    assert Expectation.model_validate({"that": "a > 0", "else": "drop"}).words() == [{"that": "a > 0", "else": "drop"}]
