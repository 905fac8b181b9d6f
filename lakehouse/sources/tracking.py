"""SQL Server's Change Tracking: which changes the server can still tell, and the T-SQL that reads them.

The server keeps, for each changed key, the number of the last transaction that changed it (its manual, "Work with change tracking").
The number is read before the rows are, so that what happens meanwhile is listed again by the next read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sqlglot import exp

from lakehouse.errors import ContractError, SourceError, UsageError
from lakehouse.layout import DELETE, OP
from lakehouse.sources.relation import read_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.model.table import Table
    from lakehouse.model.types import DataType
    from lakehouse.sources.dialect import Dialect, SourceColumn, SourceTable

CHANGED = "changed"


class Described(Protocol):
    """A table of the lake beside the source's table behind it, as `database.Described` has them."""

    @property
    def table(self) -> Table: ...  # noqa: D102  as there
    @property
    def source(self) -> SourceTable: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, tuple[SourceColumn, DataType]]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Tracked:
    """What the server can tell of a table's changes.

    Attributes:
        current: The number of the database's last committed change.
        least: The changes since any number from this one on are still known.
    """

    current: int
    least: int

    def covers(self, since: int) -> bool:
        """Whether all changes since a number can be told; a number above the current one is of another life of the database."""
        return self.least <= since <= self.current

    def is_worn(self, since: int) -> bool:
        """Whether a number is nearer to being forgotten than to the present: a table without changes must move it on from time to time."""
        return since < self.current and 2 * since < self.least + self.current


def tracked(dialect: Dialect, what: Described) -> Tracked:
    """What the server can tell now.

    Raises:
        UsageError: The database is no SQL Server.
        SourceError: Change Tracking is off, for the database or for the table.
        ContractError: The table's `keys` are not its primary key.
    """
    where = f"{what.table.source}.{what.table.name}"
    if dialect.sql != "tsql":
        raise UsageError(
            "mode change_tracking needs SQL Server, which this database is not",
            where=where,
            next_step="Use `mode: incremental` with a cursor, or `mode: snapshot`.",
        )
    name = _spelled(what)
    current = dialect.value(exp.select(exp.Anonymous(this="CHANGE_TRACKING_CURRENT_VERSION")))
    least = dialect.value(exp.select(exp.Anonymous(this="CHANGE_TRACKING_MIN_VALID_VERSION", expressions=[_object_id(name)])))
    if current is None or least is None:
        of = "the database" if current is None else f"table {name}"
        raise SourceError(
            f"Change Tracking is off for {of}, or may not be seen",
            where=where,
            next_step=f"Switch it on (alter table {name} enable change_tracking), or grant VIEW CHANGE TRACKING on the table.",
        )
    _require_primary_key(dialect, what, name)
    return Tracked(int(str(current)), int(str(least)))


def _require_primary_key(dialect: Dialect, what: Described, name: str) -> None:
    listed = exp.select(exp.Count(this=exp.Star())).from_(_key_columns(name))
    own = exp.column("name", quoted=True).isin(*[column.name for column in _key_columns_of(what)])
    if (dialect.value(listed), dialect.value(listed.where(own))) != (len(what.table.keys), len(what.table.keys)):
        raise ContractError(
            "mode change_tracking needs the table's primary key as `keys`",
            where=f"metadata/tables/{what.table.source}/{what.table.name}.yml",
            given=", ".join(what.table.keys),
            next_step="Correct `keys`.",
        )


def _key_columns(name: str) -> exp.Subquery:
    """The columns of a table's primary key, as `name`."""
    place = exp.and_(
        exp.column("object_id", "x", quoted=True).eq(exp.column("object_id", "i", quoted=True)),
        exp.column("index_id", "x", quoted=True).eq(exp.column("index_id", "i", quoted=True)),
    )
    column = exp.and_(
        exp.column("object_id", "c", quoted=True).eq(exp.column("object_id", "x", quoted=True)),
        exp.column("column_id", "c", quoted=True).eq(exp.column("column_id", "x", quoted=True)),
    )
    query = (
        exp.select(exp.column("name", "c", quoted=True))
        .from_(exp.table_("indexes", db="sys", alias="i"))
        .join(exp.table_("index_columns", db="sys", alias="x"), on=place)
        .join(exp.table_("columns", db="sys", alias="c"), on=column)
        .where(exp.column("is_primary_key", "i", quoted=True).eq(1), exp.column("object_id", "i", quoted=True).eq(_object_id(name)))
    )
    return query.subquery("k")


def changes(what: Described, since: int) -> exp.Subquery:
    """The rows that changed after a number as they are now, and `_op`: `delete` for keys that are gone, of which only the keys are there.

    A key that was deleted while it was read is left out, since the next read lists it. Where a condition keeps rows out (`where`), a
    changed row that it does not keep is gone.
    """
    keys = _key_columns_of(what)
    listing = exp.Anonymous(this="CHANGETABLE", expressions=[exp.Var(this=f"CHANGES {_spelled(what)}"), exp.Literal.number(since)])
    same = exp.and_(*[exp.column(key.name, "t", quoted=True).eq(exp.column(key.name, "c", quoted=True)) for key in keys])
    missing = exp.column(keys[0].name, "t", quoted=True).is_(exp.null())
    shown = [
        exp.alias_(exp.column(column.name, "c" if column in keys else "t", quoted=True), column.name, quoted=True)
        for column, _ in what.columns.values()
    ]
    own = read_from(what.table, what.source.parts)
    query = (
        exp.select(*shown, exp.alias_(exp.Case().when(missing, exp.National(this=DELETE)), OP, quoted=True))
        .from_(exp.Table(this=listing, alias=exp.TableAlias(this=exp.to_identifier("c", quoted=True))))
        .join(exp.alias_(own, "t", table=True, quoted=True), on=same, join_type="left")
    )
    if not what.table.where:
        deleted = exp.column("SYS_CHANGE_OPERATION", "c", quoted=True).eq(exp.Literal.string("D"))
        query = query.where(exp.or_(exp.not_(missing.copy()), deleted))
    return query.subquery(CHANGED)


def _key_columns_of(what: Described) -> list[SourceColumn]:
    return [what.columns[name][0] for name in what.table.keys]


def _object_id(name: str) -> exp.Expr:
    return exp.Anonymous(this="OBJECT_ID", expressions=[exp.Literal.string(name)])


def _spelled(what: Described) -> str:
    return exp.table_(what.source.parts[-1], db=what.source.parts[-2] if len(what.source.parts) > 1 else None, quoted=True).sql("tsql")
