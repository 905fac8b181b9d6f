"""Where a person is in the lake: by key in the person's own table, by what tables declare to point there in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from lakehouse.catalog.select import origins
from lakehouse.errors import UsageError
from lakehouse.layout import BATCH, ROW_HASH
from lakehouse.model.erasing import Held
from lakehouse.quality.planned import planned
from lakehouse.storage.files import overlapping
from lakehouse.storage.rewriting import PATH
from lakehouse.transform.corrected import with_pointer
from lakehouse.transform.rowwise import Rowwise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.catalog import Catalog
    from lakehouse.lake import Lake
    from lakehouse.model.erasing import OnErase
    from lakehouse.model.table import Table as Metadata
    from lakehouse.storage.delta import Table
    from lakehouse.storage.files import LiveFile


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows of one table in bronze that are of a person, or point there.

    Attributes:
        table: The table.
        columns: Its columns that hold the key, as bronze calls them.
        on_erase: What becomes of the rows.
        keys: The keys: these columns, in bronze's types; distinct, none NULL.
    """

    table: str
    columns: tuple[str, ...]
    on_erase: OnErase
    keys: pl.DataFrame

    def hit(self, schema: pl.Schema) -> pl.Expr:
        """True of the rows, of such a schema, that have one of the keys."""
        if len(self.columns) == 1:
            return pl.col(self.columns[0]).is_in(self.keys[self.columns[0]].cast(schema[self.columns[0]]).implode()).fill_null(value=False)
        each = [
            pl.all_horizontal(pl.col(name) == pl.lit(value, schema[name]) for name, value in zip(self.columns, row, strict=True))
            for row in self.keys.rows()
        ]
        return pl.any_horizontal(each).fill_null(value=False)

    def without(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of bronze as the erasure leaves them."""
        schema = rows.collect_schema()
        if self.on_erase == "delete":
            return rows.filter(~self.hit(schema))
        hit = self.hit(schema)
        return rows.with_columns(pl.when(hit).then(None).otherwise(pl.col(name)).cast(schema[name]).alias(name) for name in self.columns)


def claims(lake: Lake, metadata: Metadata, key: dict[str, Any]) -> list[Claim]:
    """All rows of bronze that are of the person with this key, as silver writes it, or point there, table by table.

    Raises:
        UsageError: What a table declares to point there cannot be traced to bronze.
    """
    bronze = lake.table("bronze", metadata.name)
    assert bronze is not None  # noqa: S101  the caller's check
    found = [Claim(metadata.name, tuple(metadata.keys), "delete", _own(lake, metadata, bronze, key))]
    for claim in found:  # which grows: what points to rows that go is followed too
        if claim.on_erase == "delete":
            found += [each for each in _pointing(lake, claim) if not each.keys.is_empty() and not _is_in(each, found)]
    return found


def _is_in(claim: Claim, found: list[Claim]) -> bool:
    same = [each for each in found if (each.table, each.columns) == (claim.table, claim.columns)]
    return any(claim.keys.join(each.keys, on=list(claim.columns), how="anti").is_empty() for each in same)


def _own(lake: Lake, metadata: Metadata, bronze: Table, key: dict[str, Any]) -> pl.DataFrame:
    """The key as bronze has it: of keys that silver writes otherwise, all ways in which it does."""
    plan = Rowwise(metadata, bronze.schema.append(pa.field(ROW_HASH, pa.string())))
    names = {metadata.named(name): name for name in metadata.keys}
    kinds = pl.DataFrame(pl.from_arrow(bronze.schema.empty_table())).schema
    protection = lake.protection(metadata)
    sealed = protection is not None and bool(set(protection.sealed) & set(metadata.keys))
    if not sealed and (not plan.needed or plan.keeps_keys):
        return pl.DataFrame({names[name]: pl.Series([value]).cast(kinds[names[name]]) for name, value in key.items()})
    rows = with_pointer(bronze.scan())
    rows = planned(rows if protection is None else protection.opening(rows), plan, lake.engine)
    schema = rows.collect_schema()
    own = rows.filter([pl.col(name) == pl.lit(value).cast(schema[name]) for name, value in key.items()]).select(BATCH, ROW_HASH).collect()
    return with_pointer(bronze.scan()).join(own.lazy(), on=[BATCH, ROW_HASH], how="semi").select(metadata.keys).unique().collect()


def _pointing(lake: Lake, claim: Claim) -> Iterator[Claim]:
    """What points to the rows of a claim that go."""
    metadata, bronze = lake.catalog.tables[claim.table], lake.table("bronze", claim.table)
    rows = pl.DataFrame() if bronze is None else found_in(bronze, claim)
    for other, columns, to, on_erase in references(lake.catalog, metadata):
        there = lake.table("bronze", other.name)
        if there is None or bronze is None:
            continue
        named = {other.named(name): name for name in there.schema.names}
        theirs = {metadata.named(name): name for name in bronze.schema.names}
        if unknown := [name for name in columns if name not in named]:
            raise UsageError(
                f"{', '.join(unknown)} is not a column of bronze, so that nobody knows which rows point to a person of {claim.table}",
                where=f"metadata/tables/{other.source}/{other.name}.yml",
                next_step=f"Name columns that the source has: `erase: {{{claim.table}: {{columns: ...}}}}`.",
            )
        own = tuple(named[name] for name in columns)
        aim = [theirs[name] for name in to if name in theirs]
        held = [claim.keys] if set(aim) == set(claim.columns) else []
        keys = pl.concat([*(each.select(aim) for each in held), *([rows.select(aim)] if rows.width else [])]).unique()
        kinds = pl.DataFrame(pl.from_arrow(there.schema.empty_table())).schema
        keys = keys.select(pl.col(name).cast(kinds[mine], strict=False).alias(mine) for name, mine in zip(aim, own, strict=True))
        yield Claim(other.name, own, on_erase, keys.drop_nulls().unique())


def references(catalog: Catalog, metadata: Metadata) -> Iterator[tuple[Metadata, tuple[str, ...], tuple[str, ...], OnErase]]:
    """Who points to a table: the other table, its columns, the columns there that they name, all as silver calls them, and what becomes.

    Declared under `erase`, by a rule of kind foreign_key, or by a fact whose dimension is made of the table.
    """
    for other in catalog.tables.values():
        said = other.erase.get(metadata.name)
        aims: dict[tuple[str, ...], tuple[str, ...]] = {}
        if said is not None and said.columns:
            aims[said.columns] = metadata.silver_keys
        else:
            keys = [rule.foreign_key for rule in other.expect.values() if rule.foreign_key and rule.foreign_key.table == metadata.name]
            aims = {key.columns: key.to or metadata.silver_keys for key in keys}
            aims |= dict.fromkeys(_by_facts(catalog, metadata, other), metadata.silver_keys)
        for columns, to in aims.items():
            then: OnErase = "delete" if set(columns) & set(other.silver_keys) else "keep"
            yield other, columns, to, (said.on_erase if said is not None else None) or then


def _by_facts(catalog: Catalog, metadata: Metadata, other: Metadata) -> Iterator[tuple[str, ...]]:
    """The columns of a table by which a fact made of it finds members of a dimension made of another one."""
    for name, fact in sorted(catalog.models.items()):
        if ("silver", other.name) not in catalog.reads(name):
            continue
        mine = {given: column for column, given in origins(catalog.selects[name]).items()}
        for reference in fact.references.values():
            dimension = reference.dimension
            if reference.through or ("silver", metadata.name) not in catalog.reads(dimension):
                continue
            theirs = origins(catalog.selects[dimension])
            columns = [mine.get(reference.match.get(theirs.get(key, ""), "")) for key in metadata.silver_keys]
            if all(columns):
                yield tuple(str(column) for column in columns)


def touched_by(bronze: Table, claim: Claim) -> list[LiveFile]:
    """The files that can hold such rows, by their statistics."""
    return overlapping(bronze.files(claim.columns), claim.keys)


def found_in(bronze: Table, claim: Claim) -> pl.DataFrame:
    """The rows of a claim, with the name of each one's file as `_path`."""
    rows = bronze.scan(touched_by(bronze, claim), paths_as=PATH)
    return rows.filter(claim.hit(rows.collect_schema())).collect()


def places(lake: Lake, claims: list[Claim]) -> dict[tuple[str, str], list[tuple[tuple[str, ...], Claim]]]:
    """The columns of each table of the lake, as (layer, table), in which the keys of claims stand, each with its claim."""
    found: dict[tuple[str, str], list[tuple[tuple[str, ...], Claim]]] = {}
    catalog = lake.catalog
    for claim in claims:
        metadata = catalog.tables[claim.table]
        shown = tuple(metadata.named(name) for name in claim.columns)
        found.setdefault(("bronze", claim.table), []).append((claim.columns, claim))
        found.setdefault(("silver", claim.table), []).append((shown, claim))
        for name, model in catalog.models.items():
            if ("silver", claim.table) in catalog.reads(name):
                given = origins(catalog.selects[name])
                columns = tuple(given.get(column, column) for column in shown)
                found.setdefault(("gold", name), []).append((columns, claim))
                for reference in model.references.values():
                    if not reference.through and set(reference.match.values()) == set(columns):
                        aim = tuple(next(own for own, theirs in reference.match.items() if theirs == column) for column in columns)
                        found.setdefault(("gold", reference.dimension), []).append((aim, claim))
    return found


def held(lake: Lake, claims: list[Claim]) -> list[Held]:
    """What each table of the lake has of them, where it has anything."""
    found: dict[tuple[str, tuple[str, ...]], Held] = {}
    for (layer, name), places_ in places(lake, claims).items():
        table = lake.table(layer, name)
        for columns, claim in places_:
            if table is None or not set(columns) <= set(table.schema.names):
                continue
            kinds = pl.DataFrame(pl.from_arrow(table.schema.empty_table())).schema
            keys = claim.keys.rename(dict(zip(claim.columns, columns, strict=True)))
            keys = keys.select(pl.col(column).cast(kinds[column], strict=False) for column in columns).drop_nulls()
            rows = found_in(table, Claim(name, columns, claim.on_erase, keys)) if keys.height else pl.DataFrame()
            if rows.height:
                files = tuple(sorted({str(path).rsplit("/", 1)[-1] for path in rows[PATH]}))
                then: OnErase = "delete" if layer == "gold" and not set(columns) - set(lake.catalog.models[name].keys) else claim.on_erase
                found[f"{layer}.{name}", columns] = Held(f"{layer}.{name}", columns, then, rows.height, files)
    return list(found.values())


def pointers(bronze: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of bronze with `_row_hash`, which points to them."""
    return with_pointer(rows.select(bronze.schema.names).lazy()).collect()
