"""From where each table and each column comes, as edges between them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class TableEdge:
    """One table is made from another, among others.

    Attributes:
        from_: `source.<source>.<its table>`, or `layer.table` of the lake.
        to: `layer.table`.
        how: `extract`, `silver`, `rule` (a rule looks at it), `select`, `key` (surrogate keys are looked up in it) or
            `members` (it names members that a dimension has to know).
    """

    from_: str
    to: str
    how: str


@dataclass(frozen=True, slots=True, order=True)
class ColumnEdge:
    """The values of one column are made from another's, among others.

    Attributes:
        from_: The table of the column that it is made from.
        from_column: That column.
        to: The table.
        to_column: The column.
        how: What is done on the way, in words or in SQL; `as it is` where nothing is.
    """

    from_: str
    from_column: str
    to: str
    to_column: str
    how: str


AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True)
class Lineage:
    """What comes from what.

    Attributes:
        tables: The edges between tables.
        columns: The edges between columns.
        unknown: Models of which the columns cannot be told, with the reason.
    """

    tables: tuple[TableEdge, ...]
    columns: tuple[ColumnEdge, ...]
    unknown: dict[str, str]

    def facts(self) -> dict[str, Any]:
        """As `lineage -o json` prints it (keys are stable): `tables`, `columns`, `unknown`; `from_` is `from`."""
        named = [
            [{name.rstrip("_"): value for name, value in asdict(edge).items()} for edge in edges] for edges in (self.tables, self.columns)
        ]
        return {"tables": named[0], "columns": named[1], "unknown": dict(self.unknown)}

    def names(self) -> list[str]:
        """All tables, each after those that it comes from where it has an edge at all."""
        return sorted({name for edge in self.tables for name in (edge.from_, edge.to)})

    def around(self, table: str, column: str | None = None) -> Lineage:
        """What a table or one of its columns comes from, directly or not, and what comes of it."""
        if column is None:
            flows = [((edge.from_,), (edge.to,)) for edge in self.tables]
            near = _reached(flows, (table,), up=True) | _reached(flows, (table,), up=False)
            tables = tuple(edge for edge, flow in zip(self.tables, flows, strict=True) if flow in near)
            kept = {(edge.from_, edge.to) for edge in tables}
            return Lineage(tables, tuple(edge for edge in self.columns if (edge.from_, edge.to) in kept), self.unknown)
        ways = [((edge.from_, edge.from_column), (edge.to, edge.to_column)) for edge in self.columns]
        near = _reached(ways, (table, column), up=True) | _reached(ways, (table, column), up=False)
        columns = tuple(edge for edge, way in zip(self.columns, ways, strict=True) if way in near)
        kept = {(edge.from_, edge.to) for edge in columns}
        return Lineage(tuple(edge for edge in self.tables if (edge.from_, edge.to) in kept), columns, self.unknown)


_Place = tuple[str, ...]


def _reached(edges: Iterable[tuple[_Place, _Place]], start: _Place, *, up: bool) -> set[tuple[_Place, _Place]]:
    """The edges that lead to (up) or away from a place."""
    by: dict[_Place, list[tuple[_Place, _Place]]] = {}
    for edge in edges:
        by.setdefault(edge[1] if up else edge[0], []).append(edge)
    found: set[tuple[_Place, _Place]] = set()
    todo = [start]
    while todo:
        for edge in by.get(todo.pop(), []):
            if edge not in found:
                found.add(edge)
                todo.append(edge[0] if up else edge[1])
    return found
