"""A row's life: the reads that brought it, what silver made of each of its versions, what gold has of it, and SQL to check it by."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import polars as pl

from lakehouse.catalog.select import origins
from lakehouse.errors import UsageError
from lakehouse.layout import BATCH, DELETE, EXTRACTED_AT, OP, REJECT, RUN_ID, VALID_FROM, consumed
from lakehouse.model.life import Life, Observation
from lakehouse.model.value import literal, typed
from lakehouse.pipeline.stars import Shown
from lakehouse.quality.corrections import Corrections, source
from lakehouse.quality.planned import planned
from lakehouse.storage.frames import to_batches
from lakehouse.transform.arrow import lake_type
from lakehouse.transform.cleaning import normalized
from lakehouse.transform.fold import HASH, SEQ, row_hash
from lakehouse.transform.life import became
from lakehouse.transform.names import quote
from lakehouse.transform.respelled import without_respelled
from lakehouse.transform.rowwise import Rowwise
from lakehouse.transform.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.lake import Lake
    from lakehouse.model.star import Model
    from lakehouse.model.table import Table as Metadata
    from lakehouse.storage.delta import Table

REJECTS, ROW_HASH = "rejects", "_row_hash"
TECHNICAL = (BATCH, RUN_ID, EXTRACTED_AT, OP)
LAYERS = ("bronze", "silver")
_AT = "_at"


def why(lake: Lake, name: str, words: Sequence[str]) -> Life:
    """The life of the row of `silver.<table>` (or `<table>`) whose keys have these values, in the order of the table's `keys`.

    Raises:
        UsageError: There is no such table, it has no keys or no rows yet, or the words are no values of its keys.
    """
    metadata = keyed_table(lake, name)
    bronze = lake.table("bronze", metadata.name)
    if bronze is None:
        raise UsageError(
            "no row of it has been read yet",
            where=f"silver.{metadata.name}",
            next_step=f"`lakehouse run --select {metadata.name}` reads it.",
        )
    row = _Row(lake, metadata, bronze, words)
    life = Life(f"silver.{metadata.name}", row.key)
    row.tell(life)
    life.gold = _gold(lake, metadata, row.key)
    life.runs = _runs(lake, life)
    life.sql += [{"layer": f"gold.{model['model']}", "sql": model.pop("sql")} for model in life.gold]
    return life


def key_of(lake: Lake, metadata: Metadata, bronze: Table, words: Sequence[str]) -> dict[str, Any]:
    """The values of a table's keys that these words name, by the columns of silver, as silver writes them.

    Raises:
        UsageError: The words are no values of its keys.
    """
    return _Row(lake, metadata, bronze, words).key


def keyed_table(lake: Lake, name: str) -> Metadata:
    """The table that `silver.<table>` or `<table>` names.

    Raises:
        UsageError: There is none, or it has no keys.
    """
    layer, dot, bare = name.rpartition(".")
    tables = lake.catalog.tables
    if bare in tables and (not dot or layer in LAYERS):
        if not tables[bare].keys:
            raise UsageError(
                "it has no `keys`, so that none of its rows has a name",
                where=f"silver.{bare}",
                next_step=f'Look at its rows with `lakehouse query "select * from bronze.{bare} limit 20"`, or declare its keys.',
            )
        return tables[bare]
    close = difflib.get_close_matches(bare, sorted(tables), n=1)
    hint = f"Did you mean silver.{close[0]}?" if close else f"There are: {', '.join(f'silver.{table}' for table in sorted(tables))}."
    if bare in lake.catalog.models:
        reads = [f"silver.{table}" for kind, table in sorted(lake.catalog.reads(bare)) if kind == "silver"]
        hint = f"It is made of {', '.join(reads)}: ask for a row there." if reads else hint
    raise UsageError(f"there is no silver table {name!r}", next_step=hint)


class _Row:
    """The rows of one key in bronze, silver and the rejects."""

    def __init__(self, lake: Lake, metadata: Metadata, bronze: Table, words: Sequence[str]) -> None:
        self._lake, self._metadata, self._bronze = lake, metadata, bronze
        self._plan, self._protection = Rowwise(metadata, bronze.schema), lake.protection(metadata)
        self._roles = Versions(metadata, self._plan)
        self._silver = lake.table("silver", metadata.name)
        self._corrections = Corrections(lake, metadata.name, bronze, self._silver)
        self.key = self._typed(words)

    def _typed(self, words: Sequence[str]) -> dict[str, Any]:
        keys, where = self._roles.keys, f"silver.{self._metadata.name}"
        if len(words) != len(keys):
            raise UsageError(
                f"a row has {len(keys)} key{'s' * (len(keys) > 1)}",
                where=where,
                expected=" ".join(f"<{name}>" for name in keys),
                given=" ".join(words) or "nothing",
                next_step=f"Call `lakehouse why {where} {' '.join(f'<{name}>' for name in keys)}`.",
            )
        found = {}
        for name, word in zip(keys, words, strict=True):
            kind = lake_type(self._plan.schema.field(name).type)
            try:
                found[name] = word if kind is None else typed(word, kind)
            except ValueError as exc:
                raise UsageError(f"the value of {name} cannot be one: {exc}", where=where) from exc
        return self._as_silver_writes(self._protected(found))

    def _protected(self, key: dict[str, Any]) -> dict[str, Any]:
        """The key with tokens for personal data, so that a row may be asked for by what the source has, which is shown nowhere."""
        guards = {} if self._protection is None else {self._metadata.named(guard.name): guard for guard in self._protection.guards}
        return {name: guards[name].token_of(value) if name in guards else value for name, value in key.items()}

    def _as_silver_writes(self, key: dict[str, Any]) -> dict[str, Any]:
        """The key whose texts are written as silver writes keys (`normalize_keys`), so that it may be asked for as the source has it."""
        how, personal = self._metadata.normalize_keys, {self._metadata.named(name) for name in self._metadata.personal}
        texts = {name: normalized(literal(value), how) for name, value in key.items() if isinstance(value, str) and name not in personal}
        if not texts or not how.changes:
            return key
        with self._lake.engine() as engine:
            (row,) = engine.rows("select " + ", ".join(f"{sql} as {quote(name)}" for name, sql in texts.items())).to_pylist()
        return {**key, **row}

    @property
    def _condition(self) -> str:
        return " and ".join(f"{quote(name)} = {literal(value)}" for name, value in self.key.items())

    def _own(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """The rows of the key, of a table that has its columns; statistics of files and row groups leave out most of them."""
        schema = rows.collect_schema()
        return rows.filter([pl.col(name) == pl.lit(value).cast(schema[name]) for name, value in self.key.items()]).collect()

    def _seen(self) -> pl.DataFrame:
        """The key's rows of bronze as corrections leave them and the row-wise plan gives them, those of batches taken back among them."""
        sealed = () if self._protection is None else self._protection.sealed
        rows = self._bronze.scan()
        if self._corrections.numbers:
            out = source(self._bronze)(0, None).filter(pl.col(BATCH).is_in(sorted(self._corrections.now.undone)))
            rows = pl.concat([self._corrections.rows.above(), out])
        if sealed:
            if self._plan.keeps_keys and not set(sealed) & set(self._metadata.keys):
                columns = dict(zip(self._metadata.keys, self._roles.keys, strict=True))
                rows = rows.filter([pl.col(name) == pl.lit(self.key[silver]) for name, silver in columns.items()])
            return self._own(self._planned(rows.collect()).lazy())
        if self._corrections.numbers:
            return self._own(planned(rows, self._plan, self._lake.engine))
        if not self._plan.needed:
            return self._own(self._bronze.scan())
        with self._lake.engine() as engine:
            engine.table("bronze._seen", self._bronze.schema, [file.uri for file in self._bronze.files(())])
            rows = engine.rows(f"select * from ({self._plan.query('bronze._seen')}) where {self._condition}")
        return pl.DataFrame(pl.from_arrow(rows))

    def tell(self, life: Life) -> None:
        """Fill in what bronze, silver and the rejects have of the key."""
        seen, roles, silver = self._seen(), self._roles, self._silver
        standing = pl.DataFrame() if silver is None else self._own(silver.scan())
        if roles.history and VALID_FROM in standing.columns:
            standing = standing.sort(VALID_FROM)
        life.silver, life.silver_version = standing.to_dicts(), None if silver is None else silver.version
        seen = seen.with_columns(row_hash(seen.schema, roles.columns)).with_row_index(_AT)
        kept = set(without_respelled(seen.lazy(), roles.keys).collect()[_AT]) if self._plan.respells else set(seen[_AT])
        order = roles.of(seen.lazy()).select(BATCH, HASH, SEQ).unique(maintain_order=True).collect()
        ordered = seen.join(order, on=[BATCH, HASH], how="left", maintain_order="left").sort(SEQ, BATCH, HASH, maintain_order=True)
        versions = ordered.to_dicts()
        reads, came = _commits(self._bronze), {} if silver is None else _commits(silver)
        pointers = self._rejects(sorted({version[BATCH] for version in versions}))
        life.rejects = [reject for _, reject in pointers]
        undone = self._corrections.now.undone
        living = [version for version in versions if version[BATCH] not in undone]
        done = 0 if silver is None else silver.number(consumed("bronze", self._metadata.name)) or 0
        taken = sorted((entry["numbers"].get(consumed("bronze", self._metadata.name), 0), version) for version, entry in came.items())
        for version in versions:
            broken = [reject for hashed, reject in pointers if (reject["batch"], hashed) == (version[BATCH], version[HASH])]
            word, text = became(version, living, life.silver, consumed=done, history=roles.history, refused=_told(broken))
            if version[BATCH] in undone:
                word, text = "undone", "its run is taken back (`lakehouse undo`)"
            if version[_AT] not in kept and word == "end":
                word, text = "no change", "the source shows the key in another way still"
            by = next((number for reach, number in taken if reach >= version[BATCH]), None)
            read = next((entry for entry in reads.values() if entry["batch"] == version[BATCH]), {})
            life.bronze.append(
                Observation(
                    sequence=version[SEQ],
                    batch=version[BATCH],
                    run_id=version[RUN_ID],
                    extracted_at=version[EXTRACTED_AT],
                    what="delete" if version.get(OP) == DELETE else "reject" if version.get(OP) == REJECT else "row",
                    window=_window(read),
                    became=word,
                    why=text,
                    silver_version=by,
                    silver_run_id=None if by is None else came[by]["run_id"],
                    row={name: version[name] for name in roles.columns},
                )
            )
        life.sql = self._sql()

    def _rejects(self, batches: list[int]) -> list[tuple[str, dict[str, Any]]]:
        """The rejects that point to rows of the key in these batches of bronze, each with the hash of that row as silver sees it."""
        there = self._lake.table(REJECTS, self._metadata.name) if REJECTS in self._lake.layers else None
        if there is None or not batches:
            return []
        listed = there.scan().filter(pl.col(BATCH).is_in(batches)).collect()
        if listed.is_empty():
            return []
        own = [name for name in self._bronze.schema.names if name not in TECHNICAL]
        raw = self._bronze.scan().filter(pl.col(BATCH).is_in(listed[BATCH].unique().to_list()))
        raw = raw.with_columns(row_hash(raw.collect_schema(), own).alias(ROW_HASH)).join(
            listed.lazy().select(BATCH, ROW_HASH).unique(), on=[BATCH, ROW_HASH], how="semi"
        )
        found = []
        for pointer in raw.collect().partition_by(BATCH, ROW_HASH):
            planned = self._own(self._planned(pointer).lazy())
            if not planned.is_empty():
                here = listed.filter((pl.col(BATCH) == pointer[BATCH][0]) & (pl.col(ROW_HASH) == pointer[ROW_HASH][0]))
                hashed = planned.select(row_hash(planned.schema, self._roles.columns))[HASH][0]
                told = here.select("reason", "rules", pl.col(BATCH).alias("batch"), pl.col(ROW_HASH).alias("row_hash"))
                found += [(hashed, reject) for reject in told.to_dicts()]
        return sorted(found, key=lambda each: (each[1]["batch"], each[1]["reason"]))

    def _planned(self, rows: pl.DataFrame) -> pl.DataFrame:
        rows = rows if self._protection is None else self._protection.opened(rows)
        if not self._plan.needed:
            return rows
        with self._lake.engine() as engine:
            engine.stream("rows_of_bronze", self._bronze.schema, iter(to_batches(rows, self._bronze.schema)))
            return pl.DataFrame(pl.from_arrow(engine.rows(self._plan.query("rows_of_bronze"))))

    def _sql(self) -> list[dict[str, str]]:
        name, keys, columns = self._metadata.name, self._metadata.keys, self._metadata.columns
        plain = not self._metadata.normalize_keys.changes
        plain = plain and not (self._protection and set(self._protection.sealed) & set(keys))
        plain = plain and not any(key in columns and (columns[key].cleans or columns[key].rename) for key in keys)
        order = quote(VALID_FROM) if self._roles.history else quote(BATCH)
        here = [{"layer": f"silver.{name}", "sql": f"select * from silver.{name} where {self._condition} order by {order}"}]
        if plain:
            by = f"{quote(self._metadata.sequence or EXTRACTED_AT)}, {BATCH}"
            here.insert(0, {"layer": f"bronze.{name}", "sql": f"select * from bronze.{name} where {self._condition} order by {by}"})
        return here


def _told(broken: list[dict[str, Any]]) -> str | None:
    if not broken:
        return None
    return "; ".join(f"it stands among the rejects: {each['reason']}" + f" ({each['rules']})" * bool(each["rules"]) for each in broken)


def _commits(table: Table) -> dict[int, dict[str, Any]]:
    """The records of a table's own commits, by version, as far as its log has them."""
    entries = sorted((int(entry["version"]), json.loads(entry["lakehouse"])) for entry in table.history() if "lakehouse" in entry)
    return {version: record for version, record in entries if "batch" in record}


def _window(read: dict[str, Any]) -> dict[str, Any]:
    if not read:
        return {}
    span = read.get("window") or {}
    return {"step": read["step"], "reads": read.get("reads"), "mode": read.get("mode"), "from": span.get("from"), "to": span.get("to")}


def _gold(lake: Lake, metadata: Metadata, key: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of each model that is keyed by the table's own keys, and how many rows of facts point to them."""
    found = []
    shown = Shown(lake)
    for name, model in sorted(lake.catalog.models.items()):
        if ("silver", metadata.name) not in lake.catalog.reads(name) or model.kind == "aggregate":
            continue
        given = origins(lake.catalog.selects[name])
        own = {given[column]: value for column, value in key.items() if column in given}
        gold = shown.table("gold", name)
        if gold is None or set(own) != set(model.keys):
            continue
        schema = gold.scan().collect_schema()
        rows = gold.scan().filter([pl.col(column) == pl.lit(value).cast(schema[column]) for column, value in own.items()]).collect()
        rows = rows.sort(VALID_FROM, nulls_last=False) if model.history == "scd2" else rows
        condition = " and ".join(f"{quote(column)} = {literal(value)}" for column, value in own.items())
        sql = f"select * from gold.{name} where {condition}" + (f" order by {VALID_FROM}" if model.history == "scd2" else "")
        found.append({"model": name, "rows": rows.to_dicts(), "used_by": _used_by(lake, shown, model, rows), "sql": sql})
    return found


def _used_by(lake: Lake, shown: Shown, model: Model, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """How many rows of each fact point to each of these rows of a dimension."""
    found = []
    for fact, column in lake.catalog.referencing(model.name) if model.surrogate_key and not rows.is_empty() else ():
        table = shown.table("gold", fact)
        if table is not None:
            keys = rows[model.surrogate_key or ""].to_list()
            counts = table.scan().filter(pl.col(column).is_in(keys)).group_by(column).len().collect()
            per = dict(counts.iter_rows())
            found.append({"fact": fact, "column": column, "rows": sum(per.values()), "by_key": {str(key): per.get(key, 0) for key in keys}})
    return found


def _runs(lake: Lake, life: Life) -> list[dict[str, Any]]:
    """What the ledger knows of the runs that read the row or brought it into silver, the oldest first."""
    ids = {seen.run_id for seen in life.bronze} | {seen.silver_run_id for seen in life.bronze if seen.silver_run_id}
    columns = {"run_id": "run_id", "run_status": "status", "run_started_at": "started_at", "run_seconds": "seconds"}
    steps = lake.ledger.steps().filter(pl.col("run_id").is_in(sorted(ids)))
    told = steps.group_by("run_id").agg(pl.col(name).drop_nulls().first() for name in columns if name != "run_id").collect()
    return told.sort("run_started_at", "run_id").select(pl.col(name).alias(alias) for name, alias in columns.items()).to_dicts()


def nowhere(life: Life, keys: Sequence[str]) -> str:
    """What to say of a key that is nowhere in the lake, with what to do next."""
    named = ", ".join(f"{name}={value}" for name, value in life.key.items())
    table = life.table.partition(".")[2]
    look = f"select {', '.join(keys)} from silver.{table} limit 20"
    return (
        f"no row of {table} has {named}, neither in bronze nor in silver. If the source has it, `lakehouse run --select {table}` or "
        f'`lakehouse reconcile {table}` brings it; `lakehouse query "{look}"` shows keys that are there.'
    )
