"""Judges a star before it is published: what must hold of any star, and the project's own checks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from lakehouse.catalog.checks import FOLDER
from lakehouse.errors import QualityError
from lakehouse.model.manifest import Judgement
from lakehouse.model.types import DataType
from lakehouse.storage.stars import version_of
from lakehouse.transform.integrity import Rule, counts, integrity
from lakehouse.transform.names import quote
from lakehouse.transform.personal import personal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lakehouse.catalog import Catalog
    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.manifest import Manifest, TableVersion
    from lakehouse.storage.delta import Table

SHOWN_AT_MOST = 5

Tables = dict[tuple[str, str], "Table"]
"""The tables of a star, and those of silver that checks compare it with, by (layer, name)."""


def rules_of(catalog: Catalog, within: Iterable[str]) -> list[Rule]:
    """What is to be judged of a star of these models: integrity, totals where they are declared, and the project's checks.

    A check that reads a model which the star does not have waits until it does.
    """
    models = set(within)
    rules = integrity(catalog.models, models)
    for name, check in catalog.checks.items():
        if {table for layer, table in check.select.reads if layer == "gold"} <= models:
            says = f"`{FOLDER}/{name}.sql` gives rows"
            rules.append(Rule(name, check.select.text, check.select.reads, says, check.otherwise))
    return rules


def judge(lake: Lake, rules: Iterable[Rule], tables: Tables, standing: Manifest | None) -> tuple[Judgement, ...]:
    """What each rule says of these versions of the tables; where the same rule held of the standing star, over the same gold, that.

    Raises:
        QualityError: Rows break a rule that says `fail`; the rules and a few of the rows are named.
        ModelError: A check cannot be run as it is written.
    """
    rules = list(rules)
    said = {(judged.check, judged.by): judged for judged in standing.checks if not judged.rows} if standing else {}
    read = {rule.name: _read(rule, tables) for rule in rules}
    known = {rule.name: there for rule in rules if (there := said.get((rule.name, rule.digest))) and _is_of(there, read[rule.name])}
    new = [rule for rule in rules if rule.name not in known]
    broken: dict[str, int] = {}
    if new:
        with lake.engine() as engine:
            _show(engine, tables, new)
            broken = _counted(engine, new)
            stops = [rule for rule in new if broken[rule.name] and rule.otherwise == "fail"]
            if stops:
                raise _held_back([(rule, broken[rule.name], _samples(engine, rule)) for rule in stops])
    found = [
        known.get(rule.name) or Judgement(rule.name, rule.digest, broken[rule.name], rule.otherwise, read[rule.name]) for rule in rules
    ]
    return tuple(found)


def _read(rule: Rule, tables: Tables) -> Mapping[str, TableVersion]:
    return {f"{layer}.{name}": version_of(tables[layer, name]) for layer, name in rule.reads}


def _is_of(there: Judgement, read: Mapping[str, TableVersion]) -> bool:
    """Whether a judgement is over the same tables: where gold did not move, neither did what it is built from."""
    gold = {name: version for name, version in read.items() if name.startswith("gold.")}
    return {name: there.read.get(name) for name in gold} == gold and (bool(gold) or there.read == read)


def _show(engine: Session, tables: Tables, rules: Iterable[Rule]) -> None:
    for layer, name in sorted({pair for rule in rules for pair in rule.reads}):
        table = tables[layer, name]
        engine.table(f"{layer}.{quote(name)}", table.schema, [file.uri for file in table.files(())])


def _counted(engine: Session, rules: list[Rule]) -> dict[str, int]:
    """The rows that break each rule: those of any star by one query, each of the project's by one of its own."""
    found: dict[str, int] = {}
    ours = [rule for rule in rules if "." in rule.name]
    if ours:
        found = {row["name"]: int(row["rows"]) for row in engine.rows(counts(ours)).to_pylist()}
    for number, rule in enumerate(rule for rule in rules if "." not in rule.name):
        engine.model(f"_check_{number}", counts([rule]), f"{FOLDER}/{rule.name}.sql", "the check")
        found[rule.name] = int(engine.rows(f"select rows from _check_{number}").column("rows")[0].as_py())
    return found


def _samples(engine: Session, rule: Rule) -> list[str]:
    rows = engine.rows(f"select * from ({rule.bad}\n) order by all limit {SHOWN_AT_MOST}").to_pylist()
    return [", ".join(f"{name}={shown(name, value)}" for name, value in row.items()) for row in rows]


def shown(column: str, value: object) -> str:
    """A value of a bad row for people: numbers, dates and truth values as they are unless the column's name says that it tells of people.

    >>> shown("order_id", 12), shown("amount", None), shown("city", "Rome"), shown("phone", 5550100)
    ('12', 'NULL', 'R***e', '5***0')
    """
    if value is None:
        return "NULL"
    kind = DataType("date") if isinstance(value, date) else DataType("bigint") if isinstance(value, int | float | Decimal) else None
    if isinstance(value, bool) or (kind is not None and personal("", column, kind, ()) is None):
        return str(value)
    text = str(value)
    return "***" if len(text) < 4 else f"{text[0]}***{text[-1]}"  # noqa: PLR2004  as in `transform.checks.masked`


def _held_back(stops: list[tuple[Rule, int, list[str]]]) -> QualityError:
    listed = "; ".join(f"{rule.name}: {rule.says} ({rows} row{'s' * (rows != 1)}: {' | '.join(rows_)})" for rule, rows, rows_ in stops)
    first = stops[0][0].name
    see = (
        f'`lakehouse query --staged "$(cat {FOLDER}/{first}.sql)"` shows all' if "." not in first else "`lakehouse query --staged` shows it"
    )
    return QualityError(
        f"the new star is held back, readers keep the old one: {listed}",
        where="star",
        next_step=f"{see}. Correct the rows in the source, the model or the check, and run again, or `lakehouse publish`.",
    )
