"""Brings one model up to its inputs: from their changes, or by its SELECT in full; what differs is written in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.catalog.restriction import restricting, rowwise
from lakehouse.errors import ModelError
from lakehouse.layout import DEFINITION, FAILED_CHECKS, consumed, failing, seen
from lakehouse.model.run import Commit, Step
from lakehouse.stages.gold import versions
from lakehouse.stages.gold.inputs import Inputs, Whole
from lakehouse.stages.gold.refresh import refresh, why_full
from lakehouse.stages.gold.rules import check, check_changes, told
from lakehouse.stages.gold.shape import cast, count, delta_schema, require_one_version, require_sound, shape
from lakehouse.storage.difference import later
from lakehouse.transform.checks import broken
from lakehouse.transform.custody import key_marks
from lakehouse.transform.names import quote
from lakehouse.transform.star import calendar, dimension, fact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.catalog import Catalog
    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.star import Model
    from lakehouse.storage.delta import Table

REPLACE_ABOVE = 0.5
"""The share of changed rows above which a table is written anew instead of file by file."""
_BREAKS = "_breaks_"


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
    tables = lake.inputs("gold", model.name)
    if missing := [".".join(pair) for pair, table in tables.items() if table is None]:
        raise ModelError(
            f"{', '.join(missing)} has no rows yet", where=f"gold.{model.name}", next_step="Run it first, or load rows into its source."
        )
    return _Build(lake, model, {pair: table for pair, table in tables.items() if table is not None}, gold, step).run()


def why_in_full(lake: Lake, model: Model) -> str | None:
    """Why a model that is behind its inputs will be built in full, as far as that is known before; None where it follows the changes."""
    gold = lake.table("gold", model.name)
    if gold is None or not gold.batch:
        return "there is no gold table yet"
    if gold.number(DEFINITION) != lake.catalog.definition(model.name):
        return "its definition changed"
    return why_full(lake.catalog, model)


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
    require_sound(engine, model)
    check(engine, model, [])
    schema = delta_schema(shape(engine, "_staged"), model)
    return pa.Table.from_batches(cast(engine.reader("select * from _staged"), schema), schema)


class _Build:
    """One step of a run."""

    def __init__(self, lake: Lake, model: Model, tables: dict[tuple[str, str], Table], gold: Table | None, step: Step) -> None:
        self._lake, self._model, self._tables, self._gold, self._step = lake, model, tables, gold, step
        self._found = lake.findings[model.name] = []
        self._numbers = {consumed(*pair): table.batch for pair, table in tables.items()}
        self._numbers[DEFINITION] = lake.catalog.definition(model.name)
        self._numbers |= key_marks(require_one_version(lake.catalog, model, tables), lake.catalog.keys, gold)

    def run(self) -> Step:
        lake, model, step = self._lake, self._model, self._step
        why = why_in_full(lake, model)
        if why is None:
            step.built = "changes"
            try:
                with lake.engine() as engine:
                    self._refresh(engine)
            except Whole as exc:
                why = str(exc)
        if why is not None:
            step.built, step.why_in_full = "full", why
            with lake.engine() as engine:
                for (layer, name), table in self._tables.items():
                    self._numbers[seen(layer, name)] = versions.seen(lake, layer, name)
                    engine.table(f"{layer}.{quote(name)}", table.schema, [file.uri for file in table.files(())])
                self._whole(engine)
        step.status, step.version = "success", None if self._gold is None else self._gold.version
        return step

    def _commit(self, counts: dict[str, int]) -> Commit:
        step = self._step
        step.failed_checks = {name: value for name, value in counts.items() if value}
        numbers = {FAILED_CHECKS: len(step.failed_checks), **{failing(name): counts.get(name, 0) for name in self._model.expect}}
        facts = {"rows": step.rows_in, "failed_checks": step.failed_checks, "built": step.built, "why_in_full": step.why_in_full}
        return Commit(self._lake.run_id, "gold", {**self._numbers, **numbers}, facts)

    def _refresh(self, engine: Session) -> None:
        """Write what changed rows of the inputs change.

        Raises:
            Whole: The model has to be built in full.
        """
        gold, model = self._gold, self._model
        assert gold is not None  # noqa: S101  else it was never built
        inputs = Inputs(self._lake, engine, model, self._tables)
        inputs.compare(gold)
        for pair, table in self._tables.items():
            self._numbers[seen(*pair)] = later(gold.number(seen(*pair)) or 0, table.version)
        found = refresh(self._lake.catalog, engine, model, inputs, gold)
        if found is None:
            gold.mark(Commit(self._lake.run_id, "gold", self._numbers, {"rows": 0, "built": "changes"}))
            return
        self._step.rows_in = found.rows
        counts = check_changes(engine, model, self._found, gold)
        self._step.rows_out = self._apply(engine, gold, self._commit(counts))

    def _whole(self, engine: Session) -> None:
        """Write what the SELECT gives in full."""
        lake, model, gold = self._lake, self._model, self._gold
        if (gold is None or not gold.files(())) and model.kind == "fact":
            self._stream(engine)
            return
        _stage(lake.catalog, engine, model)
        self._step.rows_in = count(engine, "_staged")
        require_sound(engine, model)
        counts = dict.fromkeys(model.expect, 0) | check(engine, model, self._found)
        commit = self._commit(counts)
        schema = delta_schema(shape(engine, "_staged"), model)
        gold = self._gold = gold or lake.make_table("gold", model.name, schema)
        columns = ", ".join(quote(field.name) for field in schema)
        ordered = f"select {columns} from _staged order by {', '.join(quote(name) for name in self._identity)}"
        if not gold.files(()) or not schema.equals(gold.schema):
            self._step.rows_out = gold.replace(cast(engine.reader(ordered), schema), lambda: commit, schema)
            return
        gold.describe(schema, Commit(lake.run_id, "gold"))
        engine.table("gold._standing", gold.schema, [file.uri for file in gold.files(())])
        engine.execute(f"create temp table _came as select {columns} from _staged except select {columns} from gold._standing")
        engine.execute(f"create temp table _gone as select {columns} from gold._standing except select {columns} from _staged")
        self._step.rows_out = came = count(engine, "_came")
        gone = count(engine, "_gone")
        redefined = gold.number(DEFINITION) != commit.numbers[DEFINITION]
        if (came or gone) and (max(came, gone) > REPLACE_ABOVE * gold.rows() or redefined):
            gold.replace(cast(engine.reader(ordered), schema), lambda: commit)
        else:
            self._apply(engine, gold, commit)

    @property
    def _identity(self) -> list[str]:
        return [self._model.surrogate_key] if self._model.surrogate_key else list(self._model.keys)

    def _apply(self, engine: Session, gold: Table, commit: Commit) -> int:
        """Write `_came` for `_gone`; how many came."""
        lost, found = (pl.DataFrame(pl.from_arrow(engine.rows(f"select * from {table}"))) for table in ("_gone", "_came"))
        if lost.is_empty() and found.is_empty():
            gold.mark(commit)
        else:
            gold.apply(lost, found, self._identity, commit)
        return found.height

    def _stream(self, engine: Session) -> None:
        """Write all rows of a fact as they are computed: no more of them is held than goes into a few files."""
        lake, model = self._lake, self._model
        where, select = f"sql/gold/{model.name}.sql", lake.catalog.selects[model.name]
        engine.model("_source", select.text, where, view=True)
        names = shape(engine, "_source").names
        _require_columns(model, names, where)
        engine.model("_staged", fact(model, lake.catalog.models, names), where, view=True)
        pair = rowwise(select, model.keys)
        if not self._is_proven(pair):
            require_sound(engine, model, "_source")
        schema = delta_schema(shape(engine, "_staged"), model)
        gold = self._gold = self._gold or lake.make_table("gold", model.name, schema)
        judged = [f"({broken(rule)}) as {quote(_BREAKS + name)}" for name, rule in model.expect.items()]
        order = "" if pair else f" order by {', '.join(quote(name) for name in model.keys)}"
        listed = ", ".join([*(quote(field.name) for field in schema), *judged])
        counts, rows = dict.fromkeys(model.expect, 0), [0]

        def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                rows[0] += batch.num_rows
                for name in model.expect:
                    counts[name] += batch.column(_BREAKS + name).true_count
                yield batch.select(schema.names)

        def commit() -> Commit:
            self._step.rows_in = rows[0]
            told(engine, model, self._found, counts=counts, rows=rows[0], known="_staged")
            return self._commit(counts)

        stream = engine.reader(f"select {listed} from _staged{order}", where=where)
        self._step.rows_out = gold.replace(cast(counted(stream), schema), commit, schema)

    def _is_proven(self, pair: tuple[str, str] | None) -> bool:
        """Whether the grain is unique because the model's keys are those of the one silver table that it reads, which has one row each."""
        table = self._lake.catalog.tables.get(pair[1]) if pair and pair[0] == "silver" else None
        if pair is None or table is None or table.history != "scd1" or not table.keys:
            return False
        _, own = restricting(self._lake.catalog.selects[self._model.name], self._model.keys).get(pair, ("", {}))
        return {column for _, column in own.values()} >= set(table.keys) and len(own) == len(self._model.keys)


def _stage(catalog: Catalog, engine: Session, model: Model, source: str | None = None) -> None:
    """Leave the model's rows in `_staged`."""
    where = f"sql/gold/{model.name}.sql"
    if model.calendar:
        engine.model("_staged", calendar(model.calendar, model.surrogate_key or ""), f"metadata/models/{model.name}.yml")
        return
    engine.model("_source", source or catalog.selects[model.name].text, where)
    columns = shape(engine, "_source")
    _require_columns(model, columns.names, where)
    if model.kind == "dimension":
        query = dimension(model, columns, [] if source else _members(catalog, model))
    elif model.kind == "fact":
        query = fact(model, catalog.models, columns.names)
    else:
        query = "select * from _source"
    engine.model("_staged", query, where)


def _require_columns(model: Model, names: list[str], where: str) -> None:
    wanted = {*model.keys, *model.scd1, *((model.as_of,) if model.as_of else ())}
    for reference in model.references.values():
        wanted |= set() if reference.through else set(reference.match.values())
    if missing := sorted(wanted - set(names)):
        raise ModelError(
            f"the SELECT has no column {', '.join(missing)}",
            where=where,
            given=", ".join(names),
            next_step="Select it, or correct the model's file.",
        )


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
            via = f"({catalog.selects[fact_name].text}\n)"
        queries.append(f"select distinct {columns} from {via}")
    return queries
