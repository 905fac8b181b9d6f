"""Expectations as SQL: how many rows break each rule, and whether that stops the load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import QualityError
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.model.table import Expectation


def failing_counts(table: str, rules: Mapping[str, Expectation]) -> str:
    """A query of one row: for each rule, the rows of `table` for which it is not true (NULL is not true)."""
    counts = ", ".join(f"count(*) filter (where not coalesce(({rule.that}), false)) as {quote(name)}" for name, rule in rules.items())
    return f"select {counts} from {table}"


def require_no_stop(counts: Mapping[str, int], rules: Mapping[str, Expectation], where: str) -> dict[str, int]:
    """The counts of the rules that some rows break.

    Raises:
        QualityError: A rule among them says `fail`.
    """
    failed = {name: int(count) for name, count in counts.items() if count}
    stops = [name for name in failed if rules[name].otherwise == "fail"]
    if stops:
        listed = "; ".join(f"{name}: {failed[name]} rows ({rules[name].that})" for name in stops)
        raise QualityError(
            f"the load is held back by {listed}",
            where=where,
            next_step="Correct the rows in the source, or change the rule; bronze keeps what came.",
        )
    return failed
