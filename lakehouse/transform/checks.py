"""Rules as SQL: what a row must be, which rows break which rule, and what a table as a whole gives. NULL is never true."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from lakehouse.errors import QualityError
from lakehouse.layout import BATCH
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lakehouse.model.expectation import Expectation, ForeignKey, GoldExpectation, Value

BREAKS = "_breaks_"
"""What the column of a rule's verdict is called, before the rule's name."""
SEQ, HASH = "_seq", "_hash"
SHOWN_AT_MOST = 5


def condition(rule: Expectation | GoldExpectation) -> str:
    """The SQL condition of a rule that looks at one row."""
    if rule.that is not None:
        return f"({rule.that})"
    given = getattr(rule, "not_null", None)
    if given:
        return "(" + " and ".join(f"{quote(name)} is not null" for name in given) + ")"
    if found := getattr(rule, "in_set", None):
        return f"({quote(found.column)} in ({', '.join(map(literal, found.values))}))"
    if found := getattr(rule, "range", None):
        bounds = [(">=", found.min), ("<=", found.max)]
        return "(" + " and ".join(f"{quote(found.column)} {sign} {literal(bound)}" for sign, bound in bounds if bound is not None) + ")"
    found = getattr(rule, "pattern", None)
    assert found, rule  # noqa: S101  the other kinds look at more than a row
    return f"regexp_full_match(cast({quote(found.column)} as varchar), {literal(found.regex)})"


def literal(value: Value) -> str:
    """A value of the metadata in SQL.

    >>> literal("it's"), literal(2), literal(True)
    ("'it''s'", '2', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat()}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return repr(value) if isinstance(value, int | float) else "'" + value.replace("'", "''") + "'"


def broken(rule: Expectation | GoldExpectation) -> str:
    """SQL that is true where a row breaks the rule, and never NULL."""
    return f"(not coalesce({condition(rule)}, false))"


def verdicts(rules: Mapping[str, Expectation]) -> dict[str, str]:
    """The boolean columns of the rules that judge row versions: name and SQL."""
    return {f"{BREAKS}{name}": broken(rule) for name, rule in rules.items() if rule.judges_versions}


def failing_counts(table: str, rules: Mapping[str, Expectation] | Mapping[str, GoldExpectation]) -> str:
    """A query of one row: for each rule, the rows of `table` for which it is not true (NULL is not true)."""
    counts = ", ".join(f"count(*) filter (where {broken(rule)}) as {quote(name)}" for name, rule in rules.items())
    return f"select {counts} from {table}"


def masked(columns: Iterable[str]) -> str:
    """SQL for a text that shows of a key no more than its first and last sign: `id=1***5`."""
    parts = []
    for name in columns:
        text = f"cast({quote(name)} as varchar)"
        shown = (
            f"case when {text} is null then 'NULL' when length({text}) < 4 then '***' else left({text}, 1) || '***' || right({text}, 1) end"
        )
        parts.append(f"'{name}=' || {shown}")
    return " || ', ' || ".join(parts) or "''"


def samples(table: str, rule: str, keys: Sequence[str]) -> str:
    """A query for the masked keys of a few rows of `table` that break a rule, given as SQL; the same ones for the same rows."""
    order = ", ".join(quote(name) for name in keys)
    return f"select {masked(keys)} as sample from {table} where {rule} order by {order} limit {SHOWN_AT_MOST}"


def across(rules: Mapping[str, Expectation], table: str, parents: Mapping[str, str]) -> dict[str, str]:
    """The boolean columns of the rules that look at other rows of `table` or of parents, which are given by rule as SQL relations.

    Of rows that are not unique, the one with the smallest (sequence, batch, hash) breaks nothing.
    """
    found = {}
    for name, rule in rules.items():
        if rule.unique:
            columns = ", ".join(quote(column) for column in rule.unique)
            nulls = " or ".join(f"{quote(column)} is null" for column in rule.unique)
            order = ", ".join(quote(column) for column in (SEQ, BATCH, HASH))
            found[f"{BREAKS}{name}"] = f"({nulls} or row_number() over (partition by {columns} order by {order}) > 1)"
        if rule.foreign_key:
            found[f"{BREAKS}{name}"] = _orphan(rule.foreign_key, table, parents[name])
    return found


def _orphan(rule: ForeignKey, table: str, parent: str) -> str:
    pairs = zip(rule.columns, rule.to, strict=True)
    same = " and ".join(f"_parent.{quote(theirs)} = {table}.{quote(own)}" for own, theirs in pairs)
    return f"(not exists (select 1 from {parent} as _parent where {same}))"


def measures(rules: Mapping[str, Expectation]) -> dict[str, str]:
    """The aggregates of the rules that look at a table as a whole, by rule."""
    found = {}
    for name, rule in rules.items():
        if rule.freshness:
            found[name] = f"max({quote(rule.freshness.column)})"
        elif rule.row_count:
            found[name] = "count(*)"
        elif rule.complete:
            found[name] = f"count({quote(rule.complete.column)})"
        elif given := rule.metric or rule.drift:
            found[name] = f"cast(({given.sql}) as double)"
    return found


def require_no_stop(counts: Mapping[str, int], rules: Mapping[str, GoldExpectation], where: str) -> dict[str, int]:
    """The counts of the rules that some rows break.

    Raises:
        QualityError: A rule among them says `fail`.
    """
    failed = {name: int(count) for name, count in counts.items() if count}
    stops = [name for name in failed if rules[name].otherwise == "fail"]
    if stops:
        listed = "; ".join(f"{name}: {failed[name]} rows ({rules[name].that})" for name in stops)
        raise held_back(listed, where)
    return failed


def held_back(listed: str, where: str) -> QualityError:
    """The error of a commit that rules hold back, each told in `listed`."""
    return QualityError(
        f"the load is held back by {listed}",
        where=where,
        next_step="Correct the rows in the source, or change the rule; bronze keeps what came.",
    )
