"""A gold model's SELECT, parsed: one plain query over `silver.x` and `gold.y`, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, TokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

READABLE = ("silver", "gold")
ONLY = "a model reads silver.<table> and gold.<model> only"
_GENERATORS = (exp.Unnest, exp.GenerateSeries, exp.GenerateDateArray)
_FORBIDDEN_FUNCTIONS = {
    "getenv",
    "query",
    "query_table",
    "read_text",
    "read_blob",
    "glob",
    "which_secret",
    "getvariable",
    "current_setting",
}
_NOT_REPEATABLE = {
    *("random", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "uuid7", "nextval", "currval"),
    *("now", "today", "get_current_time", "get_current_timestamp", "transaction_timestamp", "current_localtime", "current_localtimestamp"),
    *("txid_current", "localtime", "localtimestamp", "pg_backend_pid", "connection_id", "version"),
}
_CLOCKS = (
    *(exp.Rand, exp.Randn, exp.Uuid, exp.CurrentTimestamp, exp.CurrentDate),
    *(exp.CurrentTime, exp.CurrentDatetime, exp.Localtime, exp.Localtimestamp),
)
_IN_RULES = {"error", "current_user", "current_role", "session_user", "user", "current_schema", "current_schemas", "current_database"}
_IN_RULES |= {"current_catalog", "current_query"}
"""What no rule may ask besides: a value would stand in an error, or the answer is not the row's."""
_AT_THE_END = (
    ("order", "ORDER BY", "a table has no order; leave it out"),
    ("limit", "LIMIT", "a model holds all rows of its grain; filter them in WHERE or QUALIFY"),
    ("offset", "OFFSET", "a model holds all rows of its grain; filter them in WHERE or QUALIFY"),
)
_DEEP = "it is nested too deeply"


@dataclass(frozen=True, slots=True)
class Select:
    """A checked SELECT.

    Attributes:
        text: The query as its author wrote it, without a closing semicolon.
        reads: The tables it reads, as (layer, table), sorted.
        columns: Its output's names in order; empty where a star hides them.
    """

    text: str
    reads: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A check of the star.

    Attributes:
        select: Gives the rows that are wrong.
        otherwise: What becomes of the star when there are such: `fail` keeps the old one, `warn` only tells.
    """

    select: Select
    otherwise: Literal["fail", "warn"]

    @property
    def words(self) -> str:
        """All that says what it does."""
        return f"{self.otherwise}: {self.select.text}"


def parse_select(text: str) -> tuple[Select | None, list[tuple[int, str]]]:
    """The SELECT in `text`, or the faults as (line, what)."""
    try:
        statements = [statement for statement in sqlglot.parse(text, read="duckdb") if statement is not None]
    except RecursionError:
        return None, [(1, f"no SQL: {_DEEP}")]
    except (ParseError, TokenError) as exc:
        first = exc.errors[0] if isinstance(exc, ParseError) and exc.errors else {}
        return None, [(int(first.get("line") or 1), f"no SQL: {first.get('description') or str(exc).splitlines()[0]}")]
    if len(statements) != 1:
        return None, [(1, f"expected one SELECT, given {len(statements)} statements")]
    query = statements[0]
    if not isinstance(query, exp.Query):
        return None, [(1, f"expected one SELECT, given {query.key.upper()}")]
    reads, faults = _reads(query)
    faults += [(_line(node), f"{word} at the end: {why}") for key, word, why in _AT_THE_END if (node := query.args.get(key)) is not None]
    faults += [
        (1, f"{node.key.upper()} is not allowed inside a SELECT")
        for node in query.find_all(exp.DML, exp.DDL, exp.Command)
        if not isinstance(node, exp.Query)
    ]
    faults += [(_line(node), "a sample gives another result on every run") for node in query.find_all(exp.TableSample)]
    for function in query.find_all(exp.Func):
        name = function.name.lower() if isinstance(function, exp.Anonymous) else function.sql_name().lower()
        if name == "age" and len(list(function.iter_expressions())) == 1:
            faults.append((_line(function), "function age of one value depends on today: a model is a function of its tables"))
        elif name in _FORBIDDEN_FUNCTIONS or name.startswith(("read_", "duckdb_", "pragma_", "scan_")):
            faults.append((_line(function), f"function {name} is not allowed: {ONLY}"))
        elif name in _NOT_REPEATABLE or isinstance(function, _CLOCKS):
            faults.append((_line(function), f"function {name} gives another result on every run: a model is a function of its tables"))
    if faults:
        return None, faults
    names = query.named_selects
    return Select(text.strip().rstrip(";").strip(), tuple(sorted(set(reads))), () if "*" in names else tuple(names)), []


def _line(node: exp.Expr) -> int:
    return next((int(part.meta["line"]) for part in node.walk() if "line" in part.meta), 1)


def _reads(query: exp.Query) -> tuple[list[tuple[str, str]], list[tuple[int, str]]]:
    reads: list[tuple[str, str]] = []
    faults: list[tuple[int, str]] = []
    for table in query.find_all(exp.Table):
        layer, name = table.db.lower(), table.name
        if isinstance(table.this, exp.Func):
            if not isinstance(table.this, _GENERATORS) and table.this.name.lower() not in ("range", "generate_series", "unnest"):
                faults.append(
                    (
                        _line(table),
                        f"table function {table.sql(dialect='duckdb')[:60]} is not allowed: {ONLY}",
                    )
                )
        elif table.catalog or (not layer and not _names_a_cte(table)) or (layer and layer not in READABLE):
            shown = table.sql(dialect="duckdb")
            faults.append((_line(table), f"reads {shown[:60]}, expected silver.<table> or gold.<model>"))
        elif layer:
            reads.append((layer, name))
    return reads, faults


def _names_a_cte(table: exp.Table) -> bool:
    """Whether a query around the table defines a CTE of its name."""
    around = table.parent
    while around is not None:
        if isinstance(around, exp.Query) and any(cte.alias.lower() == table.name.lower() for cte in around.ctes):
            return True
        around = around.parent
    return False


def origins(select: Select) -> dict[str, str]:
    """The columns of the one table that a plain SELECT reads which it gives as they are: their names in the table -> in its output."""
    query = sqlglot.parse_one(select.text, read="duckdb")
    if not isinstance(query, exp.Select) or len(select.reads) != 1 or query.args.get("joins") or query.args.get("with_"):
        return {}
    given = {column.name: column.name for column in query.selects if isinstance(column, exp.Column)}
    renamed = {one.this.name: one.alias for one in query.selects if isinstance(one, exp.Alias) and isinstance(one.this, exp.Column)}
    return {**renamed, **given}


def sums(select: Select) -> list[tuple[str, str, int]]:
    """The columns of tables that a SELECT sums up over rows, each as (table as `layer.name`, column, line); where it is clear which."""
    query = sqlglot.parse_one(select.text, read="duckdb")
    names = {table.alias_or_name.lower(): f"{table.db.lower()}.{table.name}" for table in query.find_all(exp.Table) if table.db}
    found = []
    for node in query.find_all(exp.Sum):
        for column in node.find_all(exp.Column):
            table = names.get(column.table.lower()) if column.table else next(iter(names.values())) if len(names) == 1 else None
            if table:
                found.append((table, column.name, _line(column)))
    return found


def unknown_column(select: Select, columns: Mapping[tuple[str, str], Mapping[str, str]]) -> str | None:
    """What is wrong with the columns that a SELECT names, or None; `columns` has each read table's names and types."""
    from sqlglot.optimizer.qualify import qualify  # noqa: PLC0415  slow to load, needed by validate only

    schema: dict[str, object] = {}
    for (layer, table), types in columns.items():
        schema[layer] = {**cast("dict[str, object]", schema.get(layer, {})), table: dict(types)}
    try:
        qualify(sqlglot.parse_one(select.text, read="duckdb"), schema=schema, dialect="duckdb", validate_qualify_columns=True)
    except OptimizeError as exc:
        return str(exc).splitlines()[0]
    return None


_GATHERS = (exp.AggFunc, exp.Anonymous, exp.Filter, exp.WithinGroup)
"""What can make one value of many rows; a function that the parser does not know may, and the engine tells in the end."""


def check_condition(text: str) -> str | None:
    """What is wrong with a row-wise SQL condition, or None."""
    return _check_expression(
        text, "condition", (exp.Subquery, exp.Select, exp.Window, exp.AggFunc), "windows or aggregates", "over one row"
    )


def check_expression(text: str) -> str | None:
    """What is wrong with a row-wise SQL expression, or None."""
    return _check_expression(
        text, "expression", (exp.Subquery, exp.Select, exp.Window, exp.AggFunc), "windows or aggregates", "over one row"
    )


def check_aggregate(text: str) -> str | None:
    """What is wrong with an aggregate over the rows of one table, or None."""
    fault = _check_expression(text, "aggregate", (exp.Subquery, exp.Select, exp.Window), "windows", "over a table's rows")
    if fault:
        return fault
    node = sqlglot.parse_one(text, read="duckdb")
    one_by_one = [column.sql(dialect="duckdb") for column in node.find_all(exp.Column) if column.find_ancestor(*_GATHERS) is None]
    if one_by_one or node.find(*_GATHERS) is None:
        of = f", given {', '.join(one_by_one)} of each row" if one_by_one else ""
        return f"expected an aggregate over a table's rows{of}: write what makes one number of them all, such as avg(amount)"
    return None


def _check_expression(text: str, kind: str, without: tuple[type[exp.Expr], ...], named: str, over: str) -> str | None:
    try:
        statements = sqlglot.parse(text, read="duckdb")
    except RecursionError:
        return f"no SQL {kind}: {_DEEP}"
    except (ParseError, TokenError) as exc:
        return f"no SQL {kind}: {str(exc).splitlines()[0]}"
    node = statements[0] if len(statements) == 1 else None
    if node is None or text.rstrip().endswith(";") or any(part.comments for part in node.walk()):
        return f"expected one {kind}, without comments and without a semicolon"
    if isinstance(node, exp.Query | exp.DML | exp.DDL | exp.Command) or node.find(*without):
        return f"expected a{'n' * (kind != 'condition')} {kind} {over}, without queries, {named}"
    if node.find(exp.Columns) or (kind != "aggregate" and node.find(exp.Star)):
        return f"expected a{'n' * (kind != 'condition')} {kind} of named columns, given * or columns()"
    for function in node.find_all(exp.Func):
        name = function.name.lower() if isinstance(function, exp.Anonymous) else function.sql_name().lower()
        of_today = name == "age" and len(list(function.iter_expressions())) == 1
        if of_today or name in _FORBIDDEN_FUNCTIONS | _NOT_REPEATABLE | _IN_RULES or isinstance(function, _CLOCKS):
            return f"function {name} is not allowed in a rule"
    return None


def condition_columns(text: str) -> set[str]:
    """The columns that a checked condition names."""
    return {column.name for column in sqlglot.parse_one(text, read="duckdb").find_all(exp.Column)}
