"""The tables that a model is made of, in the engine: whole, their changed rows alone, or narrowed to some keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from lakehouse.catalog.restriction import Changed, named, restricting
from lakehouse.layout import IS_INFERRED, VALID_FROM, consumed, seen
from lakehouse.stages.gold import versions
from lakehouse.storage.files import overlapping
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.catalog import Catalog
    from lakehouse.catalog.restriction import Pair
    from lakehouse.catalog.select import Select
    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.star import Model
    from lakehouse.storage.delta import Table
    from lakehouse.storage.files import LiveFile


_KEY = "_key_"


class Whole(Exception):  # noqa: N818  it turns a refresh into a build, and never leaves the stage
    """Why a model is built in full."""


class Inputs:
    """The inputs of one model, shown to one session of the engine.

    Attributes:
        changed: The tables that moved on since the model was built and of which rows differ, with the relations that show them.
    """

    def __init__(self, lake: Lake, engine: Session, model: Model, tables: dict[Pair, Table]) -> None:
        """Show all tables, whole."""
        self._lake, self._engine, self._model, self._tables = lake, engine, model, tables
        self.changed: dict[Pair, Changed] = {}
        for pair in tables:
            self.show(pair)

    def show(self, pair: Pair, files: Sequence[LiveFile] | None = None, name: str | None = None) -> None:
        """Make a table readable under its own name, or another one; whole, or some of its files."""
        table = self._tables[pair]
        there = table.files(()) if files is None else files
        self._engine.table(name or f"{pair[0]}.{quote(pair[1])}", table.schema, [file.uri for file in there])

    def compare(self, gold: Table) -> None:
        """Find the rows that changed since the model was built, in the columns that it reads.

        Raises:
            Whole: What an input was then cannot be told any more.
        """
        for number, (pair, table) in enumerate(sorted(self._tables.items())):
            before = gold.number(seen(*pair))
            if before is not None and gold.number(consumed(*pair)) == table.batch:
                continue
            found = None if before is None else versions.since(self._lake, *pair, before)
            if found is None:
                raise Whole(f"the version of {'.'.join(pair)} that it was built from is not there any more")
            columns = ", ".join(quote(name) for name in _used(self._lake.catalog, self._model, pair, table.schema.names))
            self.show(pair, found.came, f"_came_{number}")
            self.show(pair, found.gone, f"_gone_{number}")
            rows = f"select {columns}, 1 as _n from _came_{number}"
            if found.gone:
                both = f"{rows} union all select {columns}, -1 from _gone_{number}"
                rows = f"select {columns}, sum(_n)::bigint as _n from ({both}) group by all having sum(_n) <> 0"
            self._engine.execute(f"create temp table _changed_{number} as {rows}")
            if self._engine.rows(f"select 1 from _changed_{number} limit 1").num_rows:
                whole = f"select {columns} from {pair[0]}.{quote(pair[1])}"
                gone = f"select {columns} from _changed_{number} where _n < 0"
                self._engine.execute(f"create view _both_{number} as {whole} union all {gone}")
                self.changed[pair] = Changed(f"_changed_{number}", f"_both_{number}")

    def of(self, select: Select) -> dict[Pair, Changed]:
        """The changed tables that a SELECT reads."""
        return {pair: self.changed[pair] for pair in select.reads if pair in self.changed}

    def narrowed(self, name: str, select: Select, keys: tuple[str, ...], wanted: str, where: str) -> None:
        """Keep the rows of a fit SELECT whose keys stand in the relation `wanted` (columns named as the keys) as table `name`."""
        narrow = restricting(select, keys)
        wanted = f"(select {', '.join(f'{quote(key)} as {quote(_KEY + key)}' for key in keys)} from {wanted})"
        for number, (pair, (alias, own)) in enumerate(narrow.items()):
            plain = {column: key for key, (_, column) in own.items() if column}
            self.show(pair, self._overlapping(pair, plain, wanted), f"_base_{number}")
            same = " and ".join(f"({sql}) is not distinct from _w.{quote(_KEY + key)}" for key, (sql, _) in own.items())
            rows = f"select {alias}.* from _base_{number} as {alias} semi join {wanted} as _w on {same}"
            self._engine.execute(f"create or replace view {pair[0]}.{quote(pair[1])} as {rows}")
        same = " and ".join(f"_s.{quote(key)} is not distinct from _w.{quote(_KEY + key)}" for key in keys)
        self._engine.model(name, f"select _s.* from ({select.text}\n) as _s semi join {wanted} as _w on {same}", where)
        for pair in narrow:
            self.show(pair)

    def of_changed(self, name: str, select: Select, pair: Pair, rows: str, where: str) -> None:
        """Keep the rows that a SELECT over one table makes of the relation `rows` alone as table `name`."""
        self._engine.execute(f"create or replace view {pair[0]}.{quote(pair[1])} as select * from {rows}")
        self._engine.model(name, select.text, where)
        self.show(pair)

    def _overlapping(self, pair: Pair, plain: dict[str, str], wanted: str) -> list[LiveFile]:
        """The files of a table that can hold one of the wanted keys, by the bounds of the columns that are keys."""
        table = self._tables[pair]
        names = {name.lower(): name for name in table.schema.names}
        plain = {names[column.lower()]: key for column, key in plain.items() if column.lower() in names}
        files = table.files(plain) if plain else table.files(())
        for column, key in plain.items():
            found = self._engine.rows(f"select distinct {quote(_KEY + key)} as {quote(column)} from {wanted}")
            files = overlapping(files, pl.DataFrame(pl.from_arrow(found)))
        return files


def _used(catalog: Catalog, model: Model, pair: Pair, columns: Sequence[str]) -> list[str]:
    """The columns of an input that the model reads: in its SELECT, in those of the facts that name its members, or by a reference."""
    wanted: set[str] = set()
    selects = [catalog.selects[name] for name in (model.name, *(fact for fact, _ in pointing(catalog, model))) if name in catalog.selects]
    for select in selects:
        if pair in select.reads:
            found = named(select)
            if found is None:
                return list(columns)
            wanted |= found
    for name, key in [*((model.name, key) for key in model.references), *pointing(catalog, model)]:
        pointer = catalog.models[name]
        for each in (key, pointer.references[key].through):
            target = catalog.models[pointer.references[each].dimension] if each else None
            if target is not None and pair == ("gold", target.name):
                through = [c for ref in pointer.references.values() if ref.through == each for c in ref.match.values()]
                wanted |= {word.lower() for word in (*target.keys, target.surrogate_key or "", VALID_FROM, IS_INFERRED, *through)}
    used = [name for name in columns if name.lower() in wanted]
    return used or list(columns[:1])


def pointing(catalog: Catalog, model: Model) -> list[tuple[str, str]]:
    """The references that point to a dimension whose members come of its SELECT, as (fact, key column)."""
    return catalog.referencing(model.name) if model.kind == "dimension" and not model.calendar else []
