"""A model brought up to its inputs from their changed rows alone: equal to a build in full, at the price of the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from lakehouse.catalog.restriction import rowwise, touched, why_whole
from lakehouse.layout import IS_INFERRED, UNKNOWN_MEMBER
from lakehouse.stages.gold.inputs import Whole, pointing
from lakehouse.stages.gold.shape import count, delta_schema, require_sound, shape
from lakehouse.transform.names import quote
from lakehouse.transform.star import affected, dimension, fact, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from lakehouse.catalog import Catalog
    from lakehouse.engines.duck import Session
    from lakehouse.model.star import Model
    from lakehouse.stages.gold.inputs import Inputs
    from lakehouse.storage.delta import Table

MOST, FEW = 0.5, 10_000
"""The share of a table's keys above which building it in full is cheaper; below so many it does not matter."""


def why_full(catalog: Catalog, model: Model) -> str | None:
    """Why a model is built in full whenever an input changes; None where it follows the changed rows."""
    if model.calendar:
        return "it is generated"
    found = why_whole(catalog.selects[model.name], model.keys)
    if found:
        return f"sql/gold/{model.name}.sql: {found}"
    for name, key in pointing(catalog, model):
        reference = catalog.models[name].references[key]
        theirs = tuple(reference.match.values())
        if len(set(theirs)) < len(theirs):
            return f"{name}.{key} matches two of its keys by one column"
        if not reference.through and (found := why_whole(catalog.selects[name], theirs)):
            return f"sql/gold/{name}.sql, which names its members: {found}"
    return None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh found, beside the tables `_staged`, `_came` and `_gone` of its session.

    Attributes:
        rows: How many rows were computed again.
    """

    rows: int


def refresh(catalog: Catalog, engine: Session, model: Model, inputs: Inputs, gold: Table) -> Refreshed | None:
    """Compute the rows again that changed inputs touch, compare them with those that stand, and leave `_came` and `_gone`.

    None where no row that the model reads has changed.

    Raises:
        Whole: The model has to be built in full.
        ModelError: The SELECT breaks at a value, or two members have one key.
        QualityError: The grain is not unique.
    """
    if not inputs.changed:
        return None
    return _Refresh(catalog, engine, model, inputs, gold).run()


class _Refresh:
    def __init__(self, catalog: Catalog, engine: Session, model: Model, inputs: Inputs, gold: Table) -> None:
        self._catalog, self._engine, self._model, self._inputs, self._gold = catalog, engine, model, inputs, gold
        self._select, self._keys = catalog.selects[model.name], list(model.keys)
        self._where = f"sql/gold/{model.name}.sql"
        self._listed = ", ".join(quote(name) for name in self._keys)

    def run(self) -> Refreshed | None:
        engine, model = self._engine, self._model
        engine.table("gold._standing", self._gold.schema, [file.uri for file in self._gold.files(())])
        if model.kind == "dimension":
            self._dimension()
        elif model.kind == "fact":
            self._fact()
        else:
            self._touch()
            self._require_few()
            self._inputs.narrowed("_staged", self._select, model.keys, "_keys", self._where)
        schema = delta_schema(shape(engine, "_staged"), model)
        if not schema.equals(self._gold.schema, check_metadata=False):
            raise Whole("its columns are of other types than before")
        require_sound(engine, model)
        self._difference(schema)
        return Refreshed(count(engine, "_staged"))

    def _touch(self) -> None:
        """Leave the keys that changed rows of what the SELECT reads touch in `_keys`."""
        query = touched(self._select, self._model.keys, self._inputs.of(self._select))
        empty = f"select {self._listed} from gold._standing limit 0"
        self._engine.execute(f"create temp table _keys as {f'select distinct * from ({query})' if query else empty}")

    def _require_few(self, tables: Sequence[str] = ("_keys",)) -> None:
        found, there = sum(count(self._engine, table) for table in tables), self._gold.rows()
        if found > max(FEW, MOST * there):
            raise Whole(f"the changes touch {found} keys, and the table has {there} rows")

    def _same(self, one: str, other: str, names: Iterable[str] | None = None) -> str:
        return " and ".join(f"{one}.{quote(name)} is not distinct from {other}.{quote(name)}" for name in names or self._keys)

    def _dimension(self) -> None:
        engine, model = self._engine, self._model
        self._touch()
        own = f"{quote(model.surrogate_key or '')} <> {UNKNOWN_MEMBER}"
        if queries := list(self._members_touched()):
            real = f"select {self._listed} from gold._standing where {own} and not {IS_INFERRED}"
            whole = " and ".join(f"n.{quote(name)} is not null" for name in self._keys)
            found = f"select distinct n.* from ({' union all '.join(queries)}) n anti join _keys k on {self._same('n', 'k')}"
            engine.execute(f"insert into _keys select n.* from ({found}) n anti join ({real}) r on {self._same('n', 'r')} where {whole}")
        self._require_few()
        self._inputs.narrowed("_source", self._select, model.keys, "_keys", self._where)
        known = self._same("k", "s")
        whole = " and ".join(f"k.{quote(name)} is not null" for name in self._keys)
        engine.execute(f"create temp table _missing as select k.* from _keys k anti join _source s on {known} where {whole}")
        members = self._members_missing() if count(engine, "_missing") else []
        engine.model("_staged", dimension(model, shape(engine, "_source"), members, unknown=False), self._where)

    def _members_touched(self) -> Iterable[str]:
        """Queries for the natural keys that changed rows name or named."""
        for name, key in pointing(self._catalog, self._model):
            pointer = self._catalog.models[name]
            reference = pointer.references[key]
            shown = ", ".join(f"{quote(theirs)} as {quote(own)}" for own, theirs in reference.match.items())
            listed = ", ".join(quote(own) for own in self._keys)
            if reference.through:
                changed = self._inputs.changed.get(("gold", pointer.references[reference.through].dimension))
                found = None if changed is None else f"select * from {changed.rows}"
            else:
                select = self._catalog.selects[name]
                found = touched(select, tuple(reference.match.values()), self._inputs.of(select))
            if found:
                yield f"select {listed} from (select {shown} from ({found}))"

    def _members_missing(self) -> list[str]:
        """Queries for those of `_missing` that facts name."""
        queries = []
        for number, (name, key) in enumerate(pointing(self._catalog, self._model)):
            pointer = self._catalog.models[name]
            reference = pointer.references[key]
            shown = ", ".join(f"{quote(theirs)} as {quote(own)}" for own, theirs in reference.match.items())
            if reference.through:
                via = pointer.references[reference.through].dimension
                same = " and ".join(f"v.{quote(theirs)} = m.{quote(own)}" for own, theirs in reference.match.items())
                queries.append(f"select distinct {shown} from gold.{quote(via)} v semi join _missing m on {same}")
                continue
            wanted = ", ".join(f"{quote(own)} as {quote(theirs)}" for own, theirs in reference.match.items())
            self._engine.execute(f"create temp table _wanted_{number} as select {wanted} from _missing")
            select, theirs = self._catalog.selects[name], tuple(reference.match.values())
            self._inputs.narrowed(f"_naming_{number}", select, theirs, f"_wanted_{number}", f"sql/gold/{name}.sql")
            queries.append(f"select distinct {shown} from _naming_{number}")
        return queries

    def _fact(self) -> None:
        engine, model = self._engine, self._model
        self._fresh()
        names = shape(engine, "_fresh").names
        engine.execute(f"create temp table _moved as {self._moved_facts()}")
        self._require_few(("_keys", "_moved"))
        listed = ", ".join(quote(name) for name in names)
        again = f"select {listed} from gold._standing f semi join _moved m on {self._same('f', 'm')}"
        engine.execute(f"create temp table _source as select * from _fresh union all by name {again}")
        engine.model("_staged", fact(model, self._catalog.models, names, narrow=True), self._where)

    def _fresh(self) -> None:
        """Leave the SELECT's rows of all keys that changed rows touch in `_fresh`, and the keys in `_keys`."""
        engine, model = self._engine, self._model
        pair, changed = rowwise(self._select, model.keys), self._inputs.of(self._select)
        if not changed:
            self._touch()
            engine.execute(f"create temp table _fresh as select * from ({self._select.text}\n) limit 0")
            return
        if pair is None or count(engine, f"{changed[pair].rows} where _n > 1"):
            self._touch()
            self._require_few()
            self._inputs.narrowed("_fresh", self._select, model.keys, "_keys", self._where)
            return
        for name, sign in (("_fresh", ">"), ("_old", "<")):
            self._inputs.of_changed(name, self._select, pair, f"{changed[pair].rows} where _n {sign} 0", self._where)
        engine.execute(f"create temp table _keys as select {self._listed} from _fresh union select {self._listed} from _old")
        self._require_few()
        new = f"select {self._listed} from _fresh n anti join _old o on {self._same('n', 'o')}"
        if count(engine, f"(select 1 from gold._standing f semi join ({new}) n on {self._same('f', 'n')} limit 1)"):
            raise Whole("a new row has the key of another one")

    def _moved_facts(self) -> str:
        """The query of the keys of the facts that stand, beside those of `_keys`, whose members' versions changed at their time."""
        model, found = self._model, []
        for number, (name, reference) in enumerate(model.references.items()):
            changed = self._inputs.changed.get(("gold", reference.dimension))
            if changed is None:
                continue
            target = self._catalog.models[reference.dimension]
            through = [column for ref in model.references.values() if ref.through == name for column in ref.match.values()]
            columns = [*target.keys, target.surrogate_key or "", *through]
            self._engine.execute(f"create temp table _spans_{number} as {moved(target, columns, changed.rows)}")
            found.append(affected(model, name, self._catalog.models, f"_spans_{number}"))
        keys = " union ".join(found) or f"select {self._listed} from gold._standing limit 0"
        return f"select f.* from ({keys}) f anti join _keys k on {self._same('f', 'k')}"

    def _difference(self, schema: pa.Schema) -> None:
        """Leave what came and what went in `_came` and `_gone`."""
        engine, model, gold = self._engine, self._model, self._gold
        columns = ", ".join(quote(field.name) for field in schema)
        tables = ("_keys", "_moved") if model.kind == "fact" else ("_keys",)
        wanted = " union all ".join(f"select {self._listed} from {table}" for table in tables)
        keys = pl.DataFrame(pl.from_arrow(engine.rows(wanted)))
        if any(keys[name].null_count() for name in keys.columns):
            same = self._same("s", "k")
            real = f"where {quote(model.surrogate_key or '')} <> {UNKNOWN_MEMBER}" if model.kind == "dimension" else ""
            engine.execute(f"create temp table _were as select s.* from gold._standing s semi join ({wanted}) k on {same} {real}")
        else:
            engine.show("_were", gold.lookup(keys).to_arrow(compat_level=pl.CompatLevel.oldest()))
        engine.execute(f"create temp table _came as select {columns} from _staged except select {columns} from _were")
        engine.execute(f"create temp table _gone as select {columns} from _were except select {columns} from _staged")
        if model.kind == "dimension":
            own = quote(model.surrogate_key or "")
            other = f"select {own}, {self._listed} from gold._standing"
            twins = f"(select 1 from _came c join ({other}) s on c.{own} = s.{own} anti join _keys k on {self._same('s', 'k')} limit 1)"
            if count(engine, twins):
                raise Whole("a new member has the key of another one")
