"""What the staged rows of a model look like in Delta, and whether they may stand there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import ModelError, QualityError
from lakehouse.layout import key_of
from lakehouse.model.personal import CHECK_BITS
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lakehouse.catalog import Catalog
    from lakehouse.engines.duck import Session
    from lakehouse.model.star import Model
    from lakehouse.storage.delta import Table

_WIDER = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.decimal128(20, 0)}


def shape(engine: Session, table: str) -> pa.Schema:
    """The columns of a relation of the engine, as it types them."""
    return engine.rows(f"select * from {table} limit 0").schema


def count(engine: Session, query: str) -> int:
    """How many rows a relation has."""
    return int(engine.rows(f"select count(*) as n from {query}").column("n")[0].as_py())


def require_sound(engine: Session, model: Model, table: str = "_staged") -> None:
    """Nothing, where the rows of a relation are named apart.

    Raises:
        ModelError: Two versions of a dimension have one surrogate key.
        QualityError: The grain of another model is not unique.
    """
    keys = ", ".join(quote(name) for name in model.keys)
    own = quote(model.surrogate_key or "")
    if model.kind != "dimension":
        twins = engine.rows(f"select {keys}, count(*) as n from {table} group by {keys} having count(*) > 1 limit 3").to_pylist()
        if twins:
            raise QualityError(
                f"the grain {keys} is not unique",
                where=f"gold.{model.name}",
                given="; ".join(", ".join(f"{name}={value}" for name, value in twin.items()) for twin in twins),
                next_step=f"Correct sql/gold/{model.name}.sql or `keys`; the table stays as it was.",
            )
        return
    twins = engine.rows(f"select {own} from {table} group by {own} having count(*) > 1 limit 3").to_pylist()
    if twins:
        raise ModelError(
            f"surrogate key {own} is not unique ({', '.join(str(twin) for twin in twins)}): a version comes twice, or two keys collide",
            where=f"gold.{model.name}",
            next_step=f"Correct sql/gold/{model.name}.sql or `keys`; the table stays as it was.",
        )


def require_one_version(catalog: Catalog, model: Model, inputs: Mapping[tuple[str, str], Table]) -> dict[str, int]:
    """The keys of the tokens in a model's inputs, each with its one version.

    Raises:
        ModelError: Two inputs have tokens of two versions of one key, so that one person would be two.
    """
    found: dict[str, dict[int, str]] = {}
    for pair, table in inputs.items():
        for name in catalog.keys:
            if number := table.number(key_of(name)):
                found.setdefault(name, {})[number] = ".".join(pair)
    for name, versions in found.items():
        if len(versions) > 1:
            told = " and ".join(f"version {number >> CHECK_BITS} in {table}" for number, table in sorted(versions.items()))
            raise ModelError(
                f"its tables have tokens of several versions of key {name}: {told}",
                where=f"gold.{model.name}",
                next_step="Run all tables that share the key together: `lakehouse run`.",
            )
    return {name: next(iter(versions)) for name, versions in found.items()}


def delta_schema(staged: pa.Schema, model: Model) -> pa.Schema:
    """The staged columns with types that every Delta reader knows, with descriptions, and of measures `unit` and `additivity`.

    Raises:
        ModelError: A column has a type that Delta does not have.
    """
    fields = []
    for field in staged:
        kind = _plain_type(field, f"sql/gold/{model.name}.sql")
        measure = model.measures.get(field.name)
        description = model.columns.get(field.name) or (measure.description if measure else None)
        told = {"comment": description, "unit": measure.unit if measure else None, "additivity": measure.additivity if measure else None}
        fields.append(pa.field(field.name, kind, metadata={word: text for word, text in told.items() if text} or None))
    return pa.schema(fields)


def _plain_type(field: pa.Field, where: str) -> pa.DataType:
    """The type that a column gets in Delta: the same, or the next that holds all of its values and that every reader knows."""
    kind = field.type
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if kind in _WIDER:
        return _WIDER[kind]
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp("us", "UTC")
    if pa.types.is_timestamp(kind):
        raise ModelError(
            f"column {field.name} is a timestamp without a zone", where=where, next_step="Make it an instant: `... at time zone 'UTC'`."
        )
    if any(test(kind) for test in (pa.types.is_time, pa.types.is_duration, pa.types.is_interval, pa.types.is_null)):
        raise ModelError(f"column {field.name} is a {kind}, which Delta does not have", where=where, next_step="Cast it to another type.")
    return kind


def cast(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches in the types of `schema`, which has their columns in their order."""
    for batch in batches:
        yield pa.RecordBatch.from_arrays(
            [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)], schema=schema
        )
