"""Gold: build a model from its SELECT, compare it with what stands, and write only what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.errors import ModelError, QualityError
from lakehouse.layout import DEFINITION, FAILED_CHECKS, UNKNOWN_MEMBER, consumed, key_of
from lakehouse.model.personal import CHECK_BITS
from lakehouse.model.quality import Finding
from lakehouse.model.run import Commit, Step
from lakehouse.transform.checks import broken, failing_counts, require_no_stop, samples
from lakehouse.transform.custody import key_marks
from lakehouse.transform.names import quote
from lakehouse.transform.star import calendar, dimension, fact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lakehouse.catalog import Catalog
    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.star import Model
    from lakehouse.storage.delta import Table

_WIDER = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.decimal128(20, 0)}
REPLACE_ABOVE = 0.5
"""The share of changed rows above which a table is written anew instead of file by file."""


def build(lake: Lake, model: Model) -> Step:
    """Bring one gold table to what its inputs say; untouched where none of them moved.

    Raises:
        ModelError: The SELECT cannot be run, or two members have one key.
        QualityError: The grain is not unique, or a rule says `fail`.
    """
    step = Step("gold", model.name, "unchanged")
    gold = lake.table("gold", model.name)
    step.version = None if gold is None else gold.version
    if lake.behind("gold", model.name) is None:
        return step
    inputs = lake.inputs("gold", model.name)
    if missing := [".".join(pair) for pair, table in inputs.items() if table is None]:
        raise ModelError(
            f"{', '.join(missing)} has no rows yet", where=f"gold.{model.name}", next_step="Run it first, or load rows into its source."
        )
    keys = _require_one_version(lake.catalog, model, inputs)
    numbers = {consumed(*pair): table.batch for pair, table in inputs.items() if table is not None}
    numbers |= key_marks(keys, lake.catalog.keys, gold)
    numbers[DEFINITION] = lake.catalog.definition(model.name)
    with lake.engine() as engine:
        for (layer, name), table in inputs.items():
            if table is not None:
                engine.table(f"{layer}.{quote(name)}", table.schema, [file.uri for file in table.files()])
        _stage(lake.catalog, engine, model)
        step.rows_in = _count(engine, "_staged")
        _require_sound(engine, model)
        found = lake.findings[model.name] = []
        step.failed_checks = _check(engine, model, found)
        numbers[FAILED_CHECKS] = len(step.failed_checks)
        commit = Commit(lake.run_id, "gold", numbers, {"rows": step.rows_in, "failed_checks": step.failed_checks})
        step.rows_out, gold = _write(lake, engine, model, gold, commit)
    step.status, step.version = "success", gold.version
    return step


def _require_one_version(catalog: Catalog, model: Model, inputs: Mapping[tuple[str, str], Table | None]) -> dict[str, int]:
    """The keys of the tokens in a model's inputs, each with its one version.

    Raises:
        ModelError: Two inputs have tokens of two versions of one key, so that one person would be two.
    """
    found: dict[str, dict[int, str]] = {}
    for pair, table in inputs.items():
        for name in catalog.keys:
            number = table.number(key_of(name)) if table is not None else None
            if number:
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


def build_in_memory(catalog: Catalog, engine: Session, model: Model, source: str | None = None) -> pa.Table:
    """The model's rows over what a new session of the engine shows as `silver.x` and `gold.y`, by the very path that a run takes.

    Args:
        catalog: What the project declares.
        engine: The session; it shows all that `catalog.inputs` names, or what `source` reads.
        model: The model.
        source: A query whose rows stand for those of the model's own SELECT; members that only facts know are then left out.

    Raises:
        ModelError: The SELECT cannot be run, or two members have one key.
        QualityError: The grain is not unique, or a rule says `fail`.
    """
    _stage(catalog, engine, model, source)
    _require_sound(engine, model)
    _check(engine, model, [])
    schema = _delta_schema(_shape(engine, "_staged"), model)
    return pa.Table.from_batches(_cast(engine.reader("select * from _staged"), schema), schema)


def _stage(catalog: Catalog, engine: Session, model: Model, source: str | None = None) -> None:
    """Leave the model's rows in `_staged`."""
    where = f"sql/gold/{model.name}.sql"
    if model.calendar:
        engine.model("_staged", calendar(model.calendar, model.surrogate_key or ""), f"metadata/models/{model.name}.yml")
        return
    engine.model("_source", source or catalog.selects[model.name].text, where)
    schema = _shape(engine, "_source")
    wanted = {*model.keys, *((model.as_of,) if model.as_of else ())}
    for reference in model.references.values():
        wanted |= set() if reference.through else set(reference.match.values())
    if missing := sorted(wanted - set(schema.names)):
        raise ModelError(
            f"the SELECT has no column {', '.join(missing)}",
            where=where,
            given=", ".join(schema.names),
            next_step="Select it, or correct the model's file.",
        )
    if model.kind == "dimension":
        query = dimension(model, schema, [] if source else _members(catalog, model))
    elif model.kind == "fact":
        query = fact(model, catalog.models, schema.names)
    else:
        query = "select * from _source"
    engine.model("_staged", query, where)


def _members(catalog: Catalog, model: Model) -> list[str]:
    """Queries for the natural keys that facts name, so that a member which came later than its facts is there already."""
    queries = []
    for fact_name, key in catalog.referencing(model.name):
        pointing = catalog.models[fact_name]
        reference = pointing.references[key]
        columns = ", ".join(f"{quote(theirs)} as {quote(own)}" for own, theirs in reference.match.items())
        if reference.through:
            via = f"gold.{quote(pointing.references[reference.through].dimension)}"
        else:
            via = f"({catalog.selects[fact_name].text})"
        queries.append(f"select distinct {columns} from {via}")
    return queries


def _shape(engine: Session, table: str) -> pa.Schema:
    return engine.rows(f"select * from {table} limit 0").schema


def _count(engine: Session, query: str) -> int:
    return int(engine.rows(f"select count(*) as n from {query}").column("n")[0].as_py())


def _require_sound(engine: Session, model: Model) -> None:
    keys = ", ".join(quote(name) for name in model.keys)
    own = quote(model.surrogate_key or "")
    if model.kind != "dimension":
        twins = engine.rows(f"select {keys}, count(*) as n from _staged group by {keys} having count(*) > 1 limit 3").to_pylist()
        if twins:
            raise QualityError(
                f"the grain {keys} is not unique",
                where=f"gold.{model.name}",
                given="; ".join(", ".join(f"{name}={value}" for name, value in twin.items()) for twin in twins),
                next_step=f"Correct sql/gold/{model.name}.sql or `keys`; the table stays as it was.",
            )
        return
    twins = engine.rows(f"select {own} from _staged group by {own} having count(*) > 1 limit 3").to_pylist()
    if twins:
        raise ModelError(
            f"surrogate key {own} is not unique ({', '.join(str(twin) for twin in twins)}): a version comes twice, or two keys collide",
            where=f"gold.{model.name}",
            next_step=f"Correct sql/gold/{model.name}.sql or `keys`; the table stays as it was.",
        )


def _check(engine: Session, model: Model, found: list[Finding]) -> dict[str, int]:
    """The counts of the rules that some rows break; what each rule found is added to `found`."""
    if not model.expect:
        return {}
    known = (
        "_staged" if model.kind != "dimension" else f"(select * from _staged where {quote(model.surrogate_key or '')} <> {UNKNOWN_MEMBER})"
    )
    engine.model("_counts", failing_counts(known, model.expect), f"metadata/models/{model.name}.yml: expect", "a rule")
    counts, rows = engine.rows("select * from _counts").to_pylist()[0], _count(engine, known)
    for name, rule in model.expect.items():
        failed, told = int(counts[name]), f"{counts[name]} of {rows} rows ({rule.that})"
        shown = engine.rows(samples(known, broken(rule), model.keys)).column("sample").to_pylist() if failed else []
        stops = bool(failed) and rule.otherwise == "fail"
        found.append(
            Finding(model.name, name, "that", rule.otherwise, rows - failed, failed, None, bool(failed), stops, tuple(shown), told)
        )
    return require_no_stop(counts, model.expect, f"gold.{model.name}")


def _write(lake: Lake, engine: Session, model: Model, gold: Table | None, commit: Commit) -> tuple[int, Table]:
    """Write what differs in one commit; (rows that came, the handle)."""
    schema = _delta_schema(_shape(engine, "_staged"), model)
    if gold is None:
        gold = lake.make_table("gold", model.name, schema)
    columns = ", ".join(quote(field.name) for field in schema)
    identity = [model.surrogate_key] if model.surrogate_key else list(model.keys)
    order = ", ".join(quote(name) for name in identity)
    if not gold.files() or not schema.equals(gold.schema):
        rows = gold.replace(_cast(engine.reader(f"select {columns} from _staged order by {order}"), schema), lambda: commit, schema)
        return rows, gold
    gold.describe(schema, Commit(lake.run_id, "gold"))
    engine.table("gold._standing", gold.schema, [file.uri for file in gold.files()])
    engine.execute(f"create temp table _came as select {columns} from _staged except select {columns} from gold._standing")
    engine.execute(f"create temp table _gone as select {columns} from gold._standing except select {columns} from _staged")
    came, gone = _count(engine, "_came"), _count(engine, "_gone")
    if not came and not gone:
        gold.mark(commit)
    elif max(came, gone) > REPLACE_ABOVE * gold.rows() or gold.number(DEFINITION) != commit.numbers[DEFINITION]:
        gold.replace(_cast(engine.reader(f"select {columns} from _staged order by {order}"), schema), lambda: commit)
    else:
        lost, found = (pl.DataFrame(pl.from_arrow(engine.rows(f"select * from {table}"))) for table in ("_gone", "_came"))
        gold.apply(lost, found, [name for name in identity if name], commit)
    return came, gold


def _delta_schema(shape: pa.Schema, model: Model) -> pa.Schema:
    """The staged columns with types that every Delta reader knows, and with their descriptions."""
    fields = []
    for field in shape:
        kind = _plain_type(field, f"sql/gold/{model.name}.sql")
        description = model.columns.get(field.name) or (model.measures[field.name].description if field.name in model.measures else None)
        fields.append(pa.field(field.name, kind, metadata={"comment": description} if description else None))
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


def _cast(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_arrays(
            [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)], schema=schema
        )
