"""Checks the rules of tables and models: what they name is there, and their SQL is what it may be."""

from __future__ import annotations

import difflib
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.catalog.select import check_aggregate, check_condition, condition_columns
from lakehouse.model.cleaning import NUMBERS, TIMES
from lakehouse.model.value import typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lakehouse.catalog.catalog import Catalog
    from lakehouse.model.expectation import Expectation
    from lakehouse.model.types import DataType

Found = tuple[tuple[str, ...], str, str]
"""A key below `expect`, what is wrong there, and a hint."""


def rule_faults(catalog: Catalog, table: str, columns: Iterable[str], known: Iterable[str]) -> Iterator[Found]:
    """The faults of a table's rules.

    Args:
        catalog: What is declared.
        table: The table's name.
        columns: The columns that its rules may name; none where they are not declared.
        known: The names of all tables, of those with faults too.
    """
    seen = list(columns)
    kept = [column for column in seen if column not in catalog.tables[table].exclude]
    for name, rule in catalog.tables[table].expect.items():
        there = seen if rule.judges_versions else kept
        at = (name, rule.kind)
        if rule.that is not None:
            yield from ((at, what, "") for what in _sql(check_condition(rule.that), rule.that, there))
        elif rule.metric or rule.drift:
            text = getattr(rule, rule.kind).sql
            yield from (((*at, "sql"), what, "") for what in _sql(check_aggregate(text), text, there))
        else:
            unknown = [column for column in _named(rule) if there and column not in there]
            for column in unknown:
                close = difflib.get_close_matches(column, there, n=1)
                yield at, f"names {column!r}; there are: {', '.join(there)}", f"did you mean {close[0]!r}?" if close else ""
        yield from ((at, what, "") for what in _mistyped(rule, catalog.tables[table].shown))
        if rule.foreign_key:
            yield from _pointing(catalog, rule, (*at,), set(known))


def _sql(fault: str | None, text: str, columns: list[str]) -> list[str]:
    if fault or not columns:
        return [fault] if fault else []
    unknown = sorted(name for name in condition_columns(text) if name.lower() not in {column.lower() for column in columns})
    return [f"names {', '.join(unknown)}; there are: {', '.join(columns)}"] if unknown else []


def _mistyped(rule: Expectation, shown: Mapping[str, DataType]) -> Iterator[str]:
    """What cannot be compared with the column, whose type is declared."""
    given = rule.in_set or rule.range or rule.freshness
    kind = None if given is None else shown.get(given.column)
    if given is None or kind is None:
        return
    if rule.freshness:
        if kind.name not in TIMES:
            yield f"{given.column} is a {kind}, which is no time"
        return
    values = rule.in_set.values if rule.in_set else (rule.range.min, rule.range.max) if rule.range else ()
    for value in values:
        try:
            typed(value.isoformat() if isinstance(value, date) else value, kind)
        except ValueError as exc:
            if not (kind.name in NUMBERS and isinstance(value, int | float) and not isinstance(value, bool)):
                yield f"{given.column} is compared with what it cannot be: {exc}"


def _named(rule: Expectation) -> tuple[str, ...]:
    """The columns that a rule names, beside those in its SQL."""
    if rule.foreign_key:
        return rule.foreign_key.columns
    if given := rule.not_null or rule.unique:
        return given
    given = getattr(rule, rule.kind)
    return (given.column,) if hasattr(given, "column") else ()


def rule_columns(rule: Expectation) -> set[str]:
    """The columns of its own table that a checked rule names, in its SQL too."""
    text = rule.that or (rule.metric.sql if rule.metric else rule.drift.sql if rule.drift else None)
    return set(_named(rule)) if text is None else condition_columns(text)


def _pointing(catalog: Catalog, rule: Expectation, at: tuple[str, ...], known: set[str]) -> Iterator[Found]:
    key = rule.foreign_key
    assert key is not None  # noqa: S101  the caller looked
    target = catalog.tables.get(key.table)
    if target is None:
        if key.table not in known:
            close = difflib.get_close_matches(key.table, sorted(catalog.tables), n=1)
            yield (*at, "table"), f"{key.table!r} is no silver table", f"did you mean {close[0]!r}?" if close else ""
        return
    to = key.to or target.keys
    if not to:
        yield (*at, "to"), f"{key.table} has no keys: name its columns here", ""
    elif len(to) != len(key.columns):
        yield (*at, "to"), f"expected {len(key.columns)} columns of {key.table}, given {', '.join(to)}", ""
    elif target.shown and (unknown := [column for column in key.to if column not in target.shown or column in target.exclude]):
        yield (*at, "to"), f"names {', '.join(unknown)}; {key.table} has: {', '.join(target.shown)}", ""
