"""Whether a SELECT can be computed for some of its keys alone, and the SQL that finds the keys which changed rows of its tables touch.

A key is the values of the columns that name a row of the model. A SELECT is fit where each of its rows comes from input rows that lead to
the row's own key: then the rows of a key are the SELECT's rows over the inputs of that key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lakehouse.catalog.select import Select

Pair = tuple[str, str]
_FIT = {"expressions", "from_", "joins", "where", "group", "having", "qualify", "distinct", "order"}
_WORDS = {"with_": "a WITH clause", "limit": "LIMIT", "offset": "OFFSET", "laterals": "a LATERAL join", "windows": "a named window"}


class _Unfit(Exception):  # noqa: N818  it says why, and never leaves this module
    """Why a SELECT is not fit."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The relations that stand for a table of which rows changed.

    Attributes:
        rows: The changed rows, as they were and as they are.
        both: All rows, those that went among them.
    """

    rows: str
    both: str


@dataclass(frozen=True, slots=True)
class _Occurrence:
    pair: Pair
    alias: str
    loose: bool
    """Whether a row may stand without one of its own: it is joined by LEFT JOIN, or by what such a one gives."""


class _Branch:
    """One SELECT of a query, which may be a UNION of several."""

    def __init__(self, query: exp.Query, keys: Mapping[str, int | None]) -> None:
        self.query = _plain(query)
        self.occurrences = list(self._occurrences())
        self.keys = {name: self._key(name, place) for name, place in keys.items()}
        for window in self.query.find_all(exp.Window):
            parts = {_spelled(part) for part in window.args.get("partition_by") or []}
            if not {_spelled(key) for key in self.keys.values()} <= parts:
                raise _Unfit("it has a window that is not partitioned by the model's keys")
        self._require_no_name_twice()

    def _require_no_name_twice(self) -> None:
        """No condition or key names a column that the SELECT itself makes: alone it would mean another one."""
        aliases = {one.alias.lower(): one.this for one in self.query.selects if isinstance(one, exp.Alias)}
        where = self.query.args.get("where")
        for node in [*self.keys.values(), *([where] if where else []), *(self.query.args.get("joins") or [])]:
            for column in node.find_all(exp.Column):
                own = aliases.get(column.name.lower())
                if own is not None and not column.table and not (isinstance(own, exp.Column) and own.name.lower() == column.name.lower()):
                    raise _Unfit(f"it names its own column {column.name} again")

    def _occurrences(self) -> Iterator[_Occurrence]:
        loose: set[str] = set()
        source = self.query.args.get("from_")
        if source is None:
            return
        joins = self.query.args.get("joins") or []
        for node, join in [(source.this, None), *((join.this, join) for join in joins)]:
            if not isinstance(node, exp.Table) or isinstance(node.this, exp.Func) or not node.db:
                raise _Unfit("it reads what is no table")
            if join is not None:
                kind = " ".join(word for word in (join.method, join.side, join.kind) if word)
                if kind not in ("", "INNER", "CROSS", "LEFT", "LEFT OUTER"):
                    raise _Unfit(f"it has {kind} JOIN")
                on = join.args.get("on")
                told = {column.table.lower() for column in on.find_all(exp.Column)} if on else {""} if join.args.get("using") else set()
                if join.side == "LEFT" or (loose and (told & loose or "" in told)):
                    loose.add(node.alias_or_name.lower())
            yield _Occurrence((node.db.lower(), node.name), node.alias_or_name, node.alias_or_name.lower() in loose)

    def _key(self, name: str, place: int | None) -> exp.Expr:
        outputs = self.query.selects
        if any(one.is_star for one in outputs):
            stars = [one for one in outputs if one.is_star]
            if len(self.occurrences) > 1 or any(one.args.get(w) for one in stars for w in ("except_", "replace", "rename")):
                raise _Unfit("it has *")
            if place is not None:
                raise _Unfit("it has * in a UNION")
        found = outputs[place] if place is not None else next((one for one in outputs if one.alias_or_name.lower() == name.lower()), None)
        if found is None:
            if not any(one.is_star for one in outputs):
                raise _Unfit(f"it does not select {name}")
            return exp.column(name, quoted=True)
        key: exp.Expr = found.unalias()
        if key.find(exp.Window, exp.Query) or list(_aggregates(key)):
            raise _Unfit(f"its key {name} is computed of several rows")
        if any(self._is_loose(column) for column in key.find_all(exp.Column)):
            raise _Unfit(f"its key {name} is of a table that may have no row")
        return key

    def _is_loose(self, column: exp.Column) -> bool:
        loose = {each.alias.lower() for each in self.occurrences if each.loose}
        return bool(loose) and (not column.table or column.table.lower() in loose)

    def touched(self, changed: Mapping[Pair, Changed]) -> Iterator[str]:
        """A query for each place at which a changed table stands, with the keys as columns."""
        for at, occurrence in enumerate(self.occurrences):
            if occurrence.pair not in changed:
                continue
            query = self.query.copy()
            for word in ("group", "having", "qualify", "order", "distinct"):
                query.set(word, None)
            query.set("expressions", [exp.alias_(key.copy(), name, quoted=True) for name, key in self.keys.items()])
            where = query.args.get("where")
            if where:
                kept = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
                kept = [part for part in kept if not any(self._is_loose(column) for column in part.find_all(exp.Column))]
                query.set("where", exp.Where(this=exp.and_(*kept)) if kept else None)
            joins = query.args.get("joins") or []
            for place, (node, other) in enumerate(zip([query.args["from_"].this, *(j.this for j in joins)], self.occurrences, strict=True)):
                if place == at and place:
                    joins[place - 1].set("side", None)
                if other.pair in changed:
                    stands = changed[other.pair].rows if place == at else changed[other.pair].both
                    node.replace(exp.alias_(exp.to_table(stands), other.alias, table=True))
            yield _sql(query)


def _plain(query: exp.Query) -> exp.Select:
    """The query, where it has nothing that looks at more rows than those of a group."""
    if not isinstance(query, exp.Select):
        raise _Unfit(f"it has {query.key.upper()}")
    for word, value in query.args.items():
        if value and word not in _FIT:
            raise _Unfit(f"it has {_WORDS.get(word, word.rstrip('_').upper())}")
    group, distinct = query.args.get("group"), query.args.get("distinct")
    refused = {
        "it has a subquery": any(node is not query for node in query.find_all(exp.Query)),
        "it unnests a list": query.find(exp.Unnest, exp.Explode),
        "it has DISTINCT ON": isinstance(distinct, exp.Distinct) and distinct.args.get("on"),
        "it has grouping sets": group and group.find(exp.GroupingSets, exp.Rollup, exp.Cube),
        "it aggregates all rows into one": group is None and any(_aggregates(query)),
    }
    for why, given in refused.items():
        if given:
            raise _Unfit(why)
    return query


@lru_cache(maxsize=256)
def _branches(text: str, keys: tuple[str, ...]) -> tuple[_Branch, ...] | str:
    query = sqlglot.parse_one(text, read="duckdb")
    try:
        return tuple(_Branch(*each) for each in _parts(query, keys))
    except _Unfit as exc:
        return str(exc)


def _parts(query: exp.Expr, keys: tuple[str, ...]) -> Iterator[tuple[exp.Query, dict[str, int | None]]]:
    if not isinstance(query, exp.Union):
        yield query, dict.fromkeys(keys)  # type: ignore[misc]  # a checked SELECT is a query
        return
    names = [name.lower() for name in query.named_selects]
    if missing := [name for name in keys if name.lower() not in names]:
        raise _Unfit(f"it does not select {missing[0]}")
    for word, value in query.args.items():
        if value and word not in ("this", "expression", "distinct", "by_name", "order"):
            raise _Unfit(f"it has {_WORDS.get(word, word.rstrip('_').upper())}")
    for side in (query.this, query.expression):
        for part, _ in _parts(side.unnest() if isinstance(side, exp.Subquery) else side, keys):
            yield part, dict.fromkeys(keys) if query.args.get("by_name") else {name: names.index(name.lower()) for name in keys}


def _aggregates(node: exp.Expr) -> Iterator[exp.Expr]:
    for found in node.find_all(exp.AggFunc):
        above = found.parent
        while isinstance(above, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
            above = above.parent
        if not isinstance(above, exp.Window):
            yield found


def _spelled(node: exp.Expr) -> str:
    return f"{node.table}.{node.name}".lower() if isinstance(node, exp.Column) else node.sql(dialect="duckdb")


def _sql(node: exp.Expr) -> str:
    copy = node.copy()
    for column in copy.find_all(exp.Column):
        column.set("db", None)
    return copy.sql(dialect="duckdb")


def why_whole(select: Select, keys: tuple[str, ...]) -> str | None:
    """Why a SELECT cannot be computed for some keys alone; None where it can."""
    found = _branches(select.text, keys)
    return found if isinstance(found, str) else None


def touched(select: Select, keys: tuple[str, ...], changed: Mapping[Pair, Changed]) -> str | None:
    """The query of the keys of all rows that changed rows of its tables can change, in columns of the keys' names; None where none can.

    Only for a SELECT that is fit.
    """
    return " union ".join(query for branch in _fit(select, keys) for query in branch.touched(changed)) or None


def restricting(select: Select, keys: tuple[str, ...]) -> dict[Pair, tuple[str, dict[str, tuple[str, str | None]]]]:
    """The tables that stand once in a fit SELECT and give keys: the name there, and for each key its SQL and the column it is, if one."""
    branches = _fit(select, keys)
    places = [(branch, occurrence) for branch in branches for occurrence in branch.occurrences]
    found: dict[Pair, tuple[str, dict[str, tuple[str, str | None]]]] = {}
    for branch, occurrence in places:
        if sum(other.pair == occurrence.pair for _, other in places) > 1:
            continue
        own: dict[str, tuple[str, str | None]] = {}
        for name, key in branch.keys.items():
            columns = list(key.find_all(exp.Column))
            alone = len(branch.occurrences) == 1
            if columns and all(alone if not c.table else c.table.lower() == occurrence.alias.lower() for c in columns):
                own[name] = (_sql(key), key.name if isinstance(key, exp.Column) else None)
        if own:
            found[occurrence.pair] = (exp.to_identifier(occurrence.alias, quoted=True).sql(dialect="duckdb"), own)
    return found


def rowwise(select: Select, keys: tuple[str, ...]) -> Pair | None:
    """The table each of whose rows gives at most one row of the SELECT, by itself alone; None where it is not so."""
    found = _branches(select.text, keys)
    if isinstance(found, str) or len(found) != 1 or len(found[0].occurrences) != 1:
        return None
    query = found[0].query
    many = query.args.get("distinct") or query.args.get("group") or query.find(exp.AggFunc, exp.Window)
    return None if many else found[0].occurrences[0].pair


def named(select: Select) -> set[str] | None:
    """The names of all columns that a SELECT may read, in lower case; None where * or a macro of columns reads all."""
    query = sqlglot.parse_one(select.text, read="duckdb")
    if any(star for star in query.find_all(exp.Star) if not isinstance(star.parent, exp.Count)) or query.find(exp.Columns):
        return None
    found = {column.name.lower() for column in query.find_all(exp.Column)}
    return found | {name.name.lower() for join in query.find_all(exp.Join) for name in join.args.get("using") or []}


def _fit(select: Select, keys: tuple[str, ...]) -> tuple[_Branch, ...]:
    found = _branches(select.text, keys)
    if isinstance(found, str):
        raise TypeError(found)  # the caller asked why_whole first
    return found
