"""Lineage: what each table and each column comes from, read from the metadata and the parsed SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakehouse.catalog.select import condition_columns
from lakehouse.layout import IS_CURRENT, IS_DELETED, IS_INFERRED, VALID_FROM, VALID_TO
from lakehouse.model.lineage import AS_IT_IS, ColumnEdge, Lineage, TableEdge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lakehouse.catalog.catalog import Catalog
    from lakehouse.model.star import Model
    from lakehouse.model.table import Table

Shapes = dict[str, list[str]]
"""The columns of each table of the lake whose columns are known, by `layer.table`."""
Root = tuple[list[tuple[str, str]], str]
"""What an output column comes from, as (table, column), and the expression that makes it."""
_SPANS = (VALID_FROM, VALID_TO, IS_CURRENT)
_LONGEST = 80


def lineage(catalog: Catalog, found: Mapping[str, Iterable[str]]) -> Lineage:
    """The lineage of all that a project declares.

    Args:
        catalog: What the project declares.
        found: The columns of those tables of the lake that are there, by `layer.table`; of the others the metadata tells them, if it does.
    """
    shapes: Shapes = {name: [column for column in columns if not column.startswith("_")] for name, columns in found.items()}
    tables: list[TableEdge] = []
    columns: list[ColumnEdge] = []
    unknown: dict[str, str] = {}
    for table in catalog.tables.values():
        tables += _table_edges(catalog, table)
        columns += _table_columns(table, shapes)
    for name in (node for node in catalog.graph.order() if node in catalog.models):
        tables += _model_edges(catalog, name)
        try:
            columns += _model_columns(catalog, catalog.models[name], shapes)
        except SqlglotError as exc:
            unknown[f"gold.{name}"] = str(exc).splitlines()[0]
    return Lineage(tuple(sorted(set(tables))), tuple(sorted(set(columns))), unknown)


def origin(table: Table) -> str:
    """What a table is read from, as lineage calls it: `source.<source>.<its table>`."""
    return f"source.{table.source}.{table.object or table.name}"


def _table_edges(catalog: Catalog, table: Table) -> Iterator[TableEdge]:
    yield TableEdge(origin(table), f"bronze.{table.name}", "extract")
    yield TableEdge(f"bronze.{table.name}", f"silver.{table.name}", "silver")
    for layer, other in catalog.above_silver(table.name):
        yield TableEdge(f"{layer}.{other}", f"silver.{table.name}", "rule")


def _model_edges(catalog: Catalog, name: str) -> Iterator[TableEdge]:
    model = catalog.models[name]
    hows = dict.fromkeys(catalog.inputs(name), "members")
    hows |= {("gold", reference.dimension): "key" for reference in model.references.values()}
    hows |= dict.fromkeys(catalog.reads(name), "select")
    for (layer, table), how in hows.items():
        yield TableEdge(f"{layer}.{table}", f"gold.{name}", how)


def _table_columns(table: Table, shapes: Shapes) -> Iterator[ColumnEdge]:
    bronze, silver = f"bronze.{table.name}", f"silver.{table.name}"
    own = shapes.setdefault(bronze, list(table.columns))
    for name in own:
        yield ColumnEdge(origin(table), name, bronze, name, AS_IT_IS)
    spans = [*(_SPANS if table.history == "scd2" else ()), *([IS_DELETED] if table.deletes.as_row else ())]
    known = [table.named(name) for name in own if name not in table.exclude] + list(table.derive) + spans if own else []
    shown = shapes.setdefault(silver, known)
    given = {table.named(name): name for name in own}
    for name in shown:
        if name in table.derive:
            made = table.derive[name]
            for used in sorted(condition_columns(made.sql)):
                if used in given:
                    yield ColumnEdge(bronze, given[used], silver, name, _short(made.sql))
        elif name in spans and table.sequence and name != IS_DELETED:
            yield ColumnEdge(bronze, table.sequence, silver, name, "history: when the version was valid")
        elif name in given:
            yield ColumnEdge(bronze, given[name], silver, name, _cleaning(table, given[name]))


def _cleaning(table: Table, name: str) -> str:
    """What silver makes of a column, in the words of the table's file."""
    shape = table.columns.get(name)
    words = (
        []
        if shape is None
        else [
            *(["trim"] if shape.trim else []),
            *([shape.case] if shape.case else []),
            *([shape.unicode] if shape.unicode else []),
            *(["nulls"] if shape.nulls else []),
            *(["map"] if shape.map else []),
            *([f"as {shape.as_}"] if shape.as_ is not None else []),
            *(["default"] if shape.default is not None else []),
        ]
    )
    words += ["normalize_keys"] if name in table.keys and table.normalize_keys.changes else []
    return ", ".join(words) or (AS_IT_IS if table.named(name) == name else "renamed")


def _model_columns(catalog: Catalog, model: Model, shapes: Shapes) -> Iterator[ColumnEdge]:
    own = f"gold.{model.name}"
    select = catalog.selects.get(model.name)
    if select is None:  # a calendar comes of nothing
        return
    roots = _roots(select.text, [*select.reads], shapes)
    there = shapes.setdefault(own, [])
    there += [name for name in [model.surrogate_key, *model.references, *roots] if name and name not in there]
    there += [IS_INFERRED] if model.kind == "dimension" and IS_INFERRED not in there else []
    for column, (leaves, how) in roots.items():
        for table, name in leaves:
            yield ColumnEdge(table, name, own, column, how)
    if model.surrogate_key:
        for key in (*model.keys, *([VALID_FROM] if model.history == "scd2" else ())):
            for table, name in roots.get(key, ([], ""))[0]:
                yield ColumnEdge(table, name, own, model.surrogate_key, "surrogate key")
    yield from _references(catalog, model, roots)


def _references(catalog: Catalog, model: Model, roots: Mapping[str, Root]) -> Iterator[ColumnEdge]:
    """What a fact's surrogate keys are looked up by: the dimension's key, and the columns that name its member and its version."""
    own = f"gold.{model.name}"
    for column, reference in model.references.items():
        target = catalog.models[reference.dimension].surrogate_key or ""
        yield ColumnEdge(f"gold.{reference.dimension}", target, own, column, "looked up")
        named: list[tuple[str, str]] = []
        if reference.through:
            via = f"gold.{model.references[reference.through].dimension}"
            named += [(via, theirs) for theirs in reference.match.values()]
        for name in () if reference.through else reference.match.values():
            named += roots.get(name, ([], ""))[0]
        named += roots.get(model.as_of or "", ([], ""))[0]
        for table, name in named:
            yield ColumnEdge(table, name, own, column, "looked up")


def _roots(text: str, reads: Iterable[tuple[str, str]], shapes: Shapes) -> dict[str, Root]:
    """Each output column of a SELECT: the columns of the lake that it comes from, as (table, column), and its expression.

    Raises:
        SqlglotError: A column belongs to no table that it can be told from.
    """
    from sqlglot.lineage import lineage as trace  # noqa: PLC0415  slow to load, needed here only
    from sqlglot.optimizer.qualify import qualify  # noqa: PLC0415  as above

    schema: dict[str, object] = {}
    for layer, table in reads:
        if known := shapes.get(f"{layer}.{table}"):
            schema[layer] = {**cast("dict[str, object]", schema.get(layer, {})), table: dict.fromkeys(known, "varchar")}
    query = cast(
        "exp.Query", qualify(sqlglot.parse_one(text, read="duckdb"), schema=schema, dialect="duckdb", validate_qualify_columns=False)
    )
    found: dict[str, Root] = {}
    for shown in query.selects:
        name = shown.alias_or_name
        leaves = set()
        for node in trace(name, query.copy(), schema=schema, dialect="duckdb").walk():
            if not node.downstream and isinstance(node.source, exp.Table) and node.source.db:
                leaves.add((f"{node.source.db}.{node.source.name}", node.name.rpartition(".")[2].strip('"')))
        inner = shown.this if isinstance(shown, exp.Alias) else shown
        plain = isinstance(inner, exp.Column)
        how = AS_IT_IS if plain and inner.name == name else "renamed" if plain else _short(_unqualified(inner))
        found[name] = (sorted(leaves), how)
    return found


def _unqualified(node: exp.Expr) -> str:
    shown = node.copy()
    for part in shown.find_all(exp.Identifier):
        part.set("quoted", False)  # noqa: FBT003  sqlglot takes it by place
    return shown.sql(dialect="duckdb")


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
