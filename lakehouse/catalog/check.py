"""Checks the files of a catalogue against each other; faults are noted, never raised."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakehouse.catalog.personal import key_faults
from lakehouse.catalog.rules import rule_faults
from lakehouse.catalog.select import check_condition, check_expression, condition_columns, sums, unknown_column
from lakehouse.catalog.source_sql import condition_fault, query_fault
from lakehouse.errors import Fault
from lakehouse.layout import IS_CURRENT, IS_DELETED, VALID_FROM, VALID_TO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lakehouse.catalog.catalog import Catalog
    from lakehouse.catalog.document import Document
    from lakehouse.model.star import Model
    from lakehouse.model.table import Table

_HISTORY = {VALID_FROM: "timestamp", VALID_TO: "timestamp", IS_CURRENT: "boolean"}


@dataclass(slots=True)
class Reading:
    """What has been read so far, with the file of everything for the faults of later checks."""

    project: Path
    faults: list[Fault] = field(default_factory=list)
    files: dict[str, Document] = field(default_factory=dict)

    def fault(self, label: str, key: tuple[str, ...], what: str, hint: str = "") -> None:
        """Note a fault in the file that `label` (such as `Table:users`) was read from."""
        document = self.files[label]
        document.fault(key, what, hint)
        self.faults.append(document.faults.pop())


def check_tables(reading: Reading, catalog: Catalog) -> None:
    """Every table has a source, and its rules name its columns."""
    for name, table in catalog.tables.items():
        if f"Source:{table.source}" not in reading.files:
            reading.fault(
                f"Table:{name}",
                (),
                f"the folder names source {table.source!r}, but metadata/sources/{table.source}.yml does not exist",
            )
        known = {label.removeprefix("Table:") for label in reading.files if label.startswith("Table:")}
        for key, what, hint in rule_faults(catalog, name, table.shown, known):
            reading.fault(f"Table:{name}", ("expect", *key), what, hint)
        for people in table.erase.keys() - known:
            close = difflib.get_close_matches(people, sorted(known), n=1)
            reading.fault(f"Table:{name}", ("erase", people), f"{people!r} is no table", f"did you mean {close[0]!r}?" if close else "")
        for word, condition in (("apply_as_deletes", table.apply_as_deletes), ("apply_as_truncates", table.apply_as_truncates)):
            if condition:
                _check_rule(reading, f"Table:{name}", (word,), condition, table.shown)
        check_derived(reading, name, table)
    for name, key, what in key_faults(catalog):
        reading.fault(f"Table:{name}", key, what)


def check_derived(reading: Reading, name: str, table: Table) -> None:
    """Columns that are made of others are expressions over columns that are there, and not over each other."""
    there = [column for column in table.shown if column not in table.derive]
    for column, made in table.derive.items():
        what = check_expression(made.sql)
        if not what and there and (unknown := sorted(condition_columns(made.sql) - set(there))):
            what = f"names {', '.join(unknown)}; there are: {', '.join(there)}"
        if what:
            reading.fault(f"Table:{name}", ("derive", column, "sql"), what)


def check_source_sql(reading: Reading, catalog: Catalog, dialects: Mapping[str, str | None]) -> None:
    """Every `query` and `where` is SQL of its source's dialect, or of any one where the connection is not known here."""
    for name, table in catalog.tables.items():
        source = catalog.sources.get(table.source)
        dialect = dialects.get(source.connection) if source else None
        for key, text, fault in (("query", table.query, query_fault), ("where", table.where, condition_fault)):
            if text and (what := fault(text, dialect)):
                reading.fault(f"Table:{name}", (key,), what)
        if table.query and dialect == "sqlite" and not table.columns:
            reading.fault(f"Table:{name}", ("query",), "SQLite does not tell the types of a query's columns: declare them under `columns`")


def _check_rule(reading: Reading, label: str, key: tuple[str, ...], text: str, columns: Iterable[str]) -> None:
    what = check_condition(text)
    if not what and columns:
        unknown = sorted(condition_columns(text) - set(columns))
        what = f"names {', '.join(unknown)}; there are: {', '.join(columns)}" if unknown else None
    if what:
        reading.fault(label, key, what)


def check_models(reading: Reading, catalog: Catalog) -> None:
    """Every model reads, references and describes what there is."""
    for name, model in catalog.models.items():
        for layer, table in sorted(catalog.reads(name)):
            there = catalog.tables if layer == "silver" else catalog.models
            if table not in there and f"{'Table' if layer == 'silver' else 'Model'}:{table}" not in reading.files:
                close = difflib.get_close_matches(table, sorted(there), n=1)
                hint = f"did you mean {layer}.{close[0]}?" if close else ""
                reading.faults.append(
                    Fault(f"sql/gold/{name}.sql", 1, "", f"reads {layer}.{table}, which no metadata file describes", hint)
                )
        _check_references(reading, catalog, model)
        _check_sums(reading, catalog, model)
        _check_names(reading, catalog, model)


def _check_sums(reading: Reading, catalog: Catalog, model: Model) -> None:
    """What is not additive is not summed up, what is semi-additive only within one period of its fact."""
    select = catalog.selects.get(model.name)
    facts = [table for layer, table in select.reads if layer == "gold" and catalog.models.get(table)] if select else []
    if select is None or not any(catalog.models[fact].measures for fact in facts):
        return
    for table, column, line in sums(select):
        fact = catalog.models.get(table.removeprefix("gold."))
        measure = None if fact is None or not table.startswith("gold.") else fact.measures.get(column)
        if fact is None or measure is None or measure.additivity == "additive":
            continue
        if measure.additivity == "non-additive":
            what = f"sums {column} of {table}, which is not additive"
            reading.faults.append(Fault(f"sql/gold/{model.name}.sql", line, "", what, "sum up what it is computed of"))
        elif fact.period and fact.period not in model.keys:
            what = f"sums {column} of {table} over several {fact.period}, over which it is not additive"
            reading.faults.append(Fault(f"sql/gold/{model.name}.sql", line, "", what, f"group by {fact.period} and name it in `keys`"))


def _check_names(reading: Reading, catalog: Catalog, model: Model) -> None:
    """The columns that a model's file names are columns that its SELECT gives, as far as the text tells them."""
    name, label = model.name, f"Model:{model.name}"
    columns = catalog.selects[name].columns if name in catalog.selects else ()
    if columns:
        needed = {"keys": model.keys, "as_of": (model.as_of,) if model.as_of else (), "scd1": model.scd1}
        if model.history == "scd2":
            needed["history"] = tuple(_HISTORY)
        for key, names in needed.items():
            for missing in [column for column in names if column not in columns]:
                reading.fault(
                    label,
                    (key,),
                    f"names {missing!r}, which sql/gold/{name}.sql does not select; it selects {', '.join(columns)}",
                )
        for added in {model.surrogate_key, *model.references} & set(columns):
            reading.fault(label, (), f"sql/gold/{name}.sql selects {added!r}, which is added to it as a surrogate key; rename it")
        known = {*columns, *model.references, *((model.surrogate_key,) if model.surrogate_key else ())}
        for measure in sorted(set(model.measures) - known):
            reading.fault(label, ("measures", measure), f"is no column of this model; it has {', '.join(sorted(known))}")
        for column in sorted(set(model.columns) - known):
            reading.fault(label, ("columns", column), f"is no column of this model; it has {', '.join(sorted(known))}")
    else:
        known = set()
    for rule, expectation in model.expect.items():
        _check_rule(reading, label, ("expect", rule, "that"), expectation.that, sorted(known))


def _check_references(reading: Reading, catalog: Catalog, model: Model) -> None:
    label = f"Model:{model.name}"
    columns = catalog.selects[model.name].columns if model.name in catalog.selects else ()
    for key, reference in model.references.items():
        at = ("references", key)
        target = catalog.models.get(reference.dimension)
        if target is None or target.kind != "dimension":
            if f"Model:{reference.dimension}" not in reading.files or target is not None:
                close = difflib.get_close_matches(
                    reference.dimension, sorted(n for n, m in catalog.models.items() if m.kind == "dimension"), n=1
                )
                reading.fault(
                    label,
                    (*at, "dimension"),
                    f"{reference.dimension!r} is no dimension",
                    f"did you mean {close[0]!r}?" if close else "",
                )
            continue
        if set(reference.match) != set(target.keys):
            reading.fault(
                label,
                (*at, "match"),
                f"expected the keys of {target.name}: {', '.join(target.keys)}; given {', '.join(reference.match)}",
            )
        if target.history == "scd2" and not model.as_of:
            reading.fault(label, at, f"{target.name} has versions, so the fact needs `as_of`")
        if reference.through is None and columns:
            for column in sorted(set(reference.match.values()) - set(columns)):
                reading.fault(
                    label,
                    (*at, "match"),
                    f"names {column!r}, which sql/gold/{model.name}.sql does not select; it selects {', '.join(columns)}",
                )


def check_circles(reading: Reading, catalog: Catalog) -> None:
    """Nothing waits for itself."""
    circle = catalog.graph.circle()
    if circle:
        named = next((node for node in circle if node in catalog.models), None)
        if named is None:
            reading.fault(f"Table:{circle[0]}", ("expect",), f"the foreign keys form a circle: {' -> '.join(circle)}")
        else:
            reading.fault(f"Model:{named}", (), f"the models form a circle: {' -> '.join(circle)}")
    for name, model in catalog.models.items():
        seen: list[str] = []
        for start in model.references:
            at: str | None = start
            seen = []
            while at is not None and at not in seen:
                seen.append(at)
                at = model.references[at].through
            if at is not None:
                reading.fault(
                    f"Model:{name}", ("references", start, "through"), f"the references form a circle: {' -> '.join([*seen, at])}"
                )
                break


def check_columns(reading: Reading, catalog: Catalog) -> None:
    """Every column that a SELECT names is there, as far as the tables declare theirs."""
    texts = {f"sql/gold/{name}.sql": select for name, select in catalog.selects.items()}
    for file, select in {**texts, **{f"sql/checks/{name}.sql": check.select for name, check in catalog.checks.items()}}.items():
        columns: dict[tuple[str, str], dict[str, str]] = {}
        for layer, table in select.reads:
            if layer == "silver" and table in catalog.tables and catalog.tables[table].columns:
                about = catalog.tables[table]
                declared = {column: str(kind) for column, kind in about.shown.items() if column not in about.exclude}
                deleted = {IS_DELETED: "boolean"} if about.deletes.as_row else {}
                columns[layer, table] = {**declared, **deleted, **(_HISTORY if about.history == "scd2" else {})}
            elif layer == "gold" and table in catalog.models and table in catalog.selects and catalog.selects[table].columns:
                model = catalog.models[table]
                names = [
                    *catalog.selects[table].columns,
                    *model.references,
                    *([model.surrogate_key] if model.surrogate_key else []),
                    "is_inferred",
                ]
                columns[layer, table] = dict.fromkeys(names, "unknown")
        if len(columns) == len(select.reads) and (what := unknown_column(select, columns)):
            reading.faults.append(Fault(file, 1, "", what))
