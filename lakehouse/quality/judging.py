"""The rules of one silver table at work: which row versions it takes, which rows it withholds, and whether its commit may be made."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.catalog.rules import rule_columns
from lakehouse.engines.judged import About, Judged, judge_rows
from lakehouse.layout import BATCH, DROPPED, IS_CURRENT, IS_DELETED, ROW_HASH, TAKEN, VALID_FROM
from lakehouse.model.expectation import ACROSS
from lakehouse.model.quality import Counts, Finding, counted
from lakehouse.storage.frames import to_batches
from lakehouse.transform.checks import BREAKS, SHOWN_AT_MOST, held_back
from lakehouse.transform.fold import HASH, SEQ, row_hash
from lakehouse.transform.names import quote
from lakehouse.transform.rejects import DROP, REASON, SCHEMA, UNCAST, facts, frame, listed, reason
from lakehouse.transform.versions import ordinal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from lakehouse.engines.duck import Session
    from lakehouse.lake import Lake
    from lakehouse.model.expectation import Expectation
    from lakehouse.model.table import Table as Metadata
    from lakehouse.storage.delta import Table
    from lakehouse.transform.versions import Versions


@dataclass(frozen=True, slots=True)
class World:
    """What rules look at beside the table's own rows.

    Attributes:
        engine: Opens a session of the SQL engine.
        tables: The metadata of the tables that foreign keys point to.
        parent: Shows a silver table in a session under a name, and gives its schema; None where there is no such table yet.
        past: The newest recorded values of a rule: (table, rule, how many at most).
        now: The run's clock.
    """

    engine: Callable[[], AbstractContextManager[Session]]
    tables: Mapping[str, Metadata]
    parent: Callable[[Session, str, str], pa.Schema | None]
    past: Callable[[str, str, int], list[float]]
    now: Callable[[], datetime]


def world_of(lake: Lake) -> World:
    """The world of an opened lake."""

    def past(table: str, rule: str, count: int) -> list[float]:
        mine = (pl.col("table") == table) & (pl.col("rule") == rule) & ~pl.col("held") & pl.col("value").is_not_null()
        recorded = lake.ledger.quality().filter(mine).select("ordinal", "value").collect()
        return [float(value) for value in recorded.sort("ordinal")["value"].tail(count)]

    def parent(session: Session, name: str, view: str) -> pa.Schema | None:
        table = lake.table("silver", name)
        if table is not None:
            session.table(view, table.schema, [file.uri for file in table.files()])
        return None if table is None else table.schema

    return World(lake.engine, lake.catalog.tables, parent, past, lake.now)


def no_parent(_session: Session, _name: str, _view: str) -> None:
    """There is no other table."""


def without_lake(
    engine: Callable[[], AbstractContextManager[Session]],
    tables: Mapping[str, Metadata] | None = None,
    parent: Callable[[Session, str, str], pa.Schema | None] = no_parent,
) -> World:
    """The world of tables in memory: no past, and the beginning of 1970; rules about a table that is not among `tables` are not judged."""
    return World(engine, tables or {}, parent, lambda *_: [], lambda: datetime(1970, 1, 1, tzinfo=UTC))


class Quality:
    """One table's rules during one fold. It opens a session of the SQL engine at its first need; a table without rules never has one.

    Attributes:
        rows: How many row versions were judged.
        rejected: How many of them are listed among the rejects.
        dropped: How many of them a rule left out.
        greatest: The greatest sequence of those that are taken, as a number, where it has one.
    """

    def __init__(self, metadata: Metadata, roles: Versions, world: World, only: Sequence[str] = ()) -> None:
        """Look at the rules, or at those of some kinds only; nothing is read."""
        self._metadata, self._roles, self._world = metadata, roles, world
        self.rules = {name: rule for name, rule in _resolved(metadata, world.tables).items() if not only or rule.kind in only}
        self._about = About(metadata.name, f"metadata/tables/{metadata.source}/{metadata.name}.yml", roles.keys, self.rules)
        self._published = {name: rule for name, rule in self.rules.items() if rule.row_wise and not rule.judges_versions}
        self.withholds = any(rule.withholds for rule in self.rules.values())
        self.judges_table = any(not rule.row_wise for rule in self.rules.values())
        self._counts: dict[str, Counts] = {}
        self._across: list[Finding] | None = None
        self._withheld = pl.DataFrame()
        self._before: int | None = None
        self._stack = ExitStack()
        self._session: Session | None = None
        self._judged: Judged | None = None
        self.rows, self.rejected, self.dropped = 0, 0, 0
        self.greatest: int | None = None

    def close(self) -> None:
        """End the session, if there was need of one."""
        self._stack.close()

    # --- versions, before the fold ---

    def reason(self, names: Sequence[str]) -> pl.Expr:
        """Why a row version is not taken, as `_reason`; NULL where it is."""
        return reason(names, self._roles.keys, self.rules)

    def count(self, versions: pl.LazyFrame) -> None:
        """Count new versions, with `_reason`, in one pass: how many there are, what is left out, what the rules found."""
        schema = versions.collect_schema()
        wanted = facts(schema.names(), self._roles.keys, self.rules) | {
            "greatest": ordinal(schema[SEQ]).filter(pl.col(REASON).is_null()).max()
        }
        found = versions.select(each.alias(name) for name, each in wanted.items()).collect(engine="streaming").row(0, named=True)
        self.rows += found["rows"]
        self.dropped += found["dropped"]
        self.rejected += found["left"] - found["dropped"]
        self.greatest = max((each for each in (self.greatest, found["greatest"]) if each is not None), default=None)
        verdicts = {name: f"{BREAKS}{name}" for name, rule in self.rules.items() if rule.judges_versions}
        self._add({name: (found[verdict], found["judged"], tuple(found[f"{verdict}!"])) for name, verdict in verdicts.items()})

    def _add(self, found: Mapping[str, Counts]) -> None:
        for name, (failed, judged, shown) in found.items():
            before = self._counts.get(name, (0, 0, ()))
            self._counts[name] = (before[0] + failed, before[1] + judged, (*before[2], *shown)[:SHOWN_AT_MOST])

    # --- rows, after the fold ---

    def publish(self, rows: pl.DataFrame) -> None:
        """Judge rows about to be published by the rules over one row that only count or stop; of a history those that would be current.

        Raises:
            ModelError: A rule names what is not there, or breaks at a value.
        """
        if not self._published:
            return
        judged = self._current(rows)
        if judged.is_empty():
            return
        schema = pa.schema([self._roles.schema.field(name) for name in self._roles.columns])
        with self._world.engine() as session:
            self._add(judge_rows(session, self._about, self._published, schema, to_batches(judged, schema)))

    def _current(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self._living(rows.lazy()).collect()

    def _living(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows that say what is, of a history and of deletes that are kept as rows; a source may have an `is_deleted` of its own."""
        rows = rows.filter(pl.col(IS_CURRENT)) if self._roles.history else rows
        return rows.filter(~pl.col(IS_DELETED)) if self._metadata.deletes.as_row else rows

    def show(self, rows: pl.DataFrame) -> None:
        """Let the rules over the whole table see rows that will be in it; of a history those that would be current."""
        if self.judges_table:
            self._table().add(to_batches(self._placed(self._current(rows)), self._judged_schema))

    def show_standing(self, silver: Table, gone: pl.DataFrame) -> None:
        """Let them see the rows that stand in silver, but those whose keys are in `gone`; without keys all."""
        if not self.judges_table:
            return
        rows = silver.scan()
        if self._roles.keys and not gone.is_empty():
            rows = rows.join(gone.select(self._roles.keys).lazy(), on=list(self._roles.keys), how="anti", nulls_equal=True)
        rows = self._living(rows)
        needed = [name for name in silver.schema.names if name in {*self._roles.columns, BATCH, VALID_FROM}]
        for part in rows.select(needed).collect_batches(chunk_size=131_072):
            self._table().add(to_batches(self._placed(part), self._judged_schema))

    def count_before(self, silver: Table) -> None:
        """Remember how many current rows there are, for rules about their change."""
        if any(rule.row_count for rule in self.rules.values()):
            rows = silver.scan()
            self._before = int(self._living(rows).select(pl.len()).collect().item())

    @property
    def _place(self) -> str | None:
        """The column of silver that says a row's place among the versions of its key."""
        return VALID_FROM if self._roles.history else self._roles.sequence if self._roles.stands else None

    def _placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        schema = rows.schema
        place = self._place
        own = pl.lit(None, dtype=pl.Int64) if place is None else pl.col(place)
        ordered = any(rule.unique for rule in self.rules.values())
        hashed = row_hash(schema, self._roles.columns) if ordered else pl.lit("").alias(HASH)
        return rows.with_columns(own.alias(SEQ), hashed)

    @property
    def _judged_schema(self) -> pa.Schema:
        roles = self._roles
        wanted = {name.lower() for rule in self.rules.values() if not rule.row_wise for name in rule_columns(rule)}
        for rule in self.rules.values():
            if rule.foreign_key and rule.foreign_key.table == self._metadata.name:
                wanted |= {name.lower() for name in rule.foreign_key.to}
        wanted |= {name.lower() for name in roles.keys}
        place = self._place
        kind = pa.int64() if place is None else roles.schema.field(place).type
        own = [roles.schema.field(name) for name in roles.columns if name.lower() in wanted]
        return pa.schema([*own, (SEQ, kind), (BATCH, pa.int64()), (HASH, pa.string())])

    def _table(self) -> Judged:
        if self._judged is None:
            self._judged = Judged(self._open(), self._about, self._judged_schema)
        return self._judged

    def _open(self) -> Session:
        if self._session is None:
            self._session = self._stack.enter_context(self._world.engine())
        return self._session

    def withheld(self) -> pl.DataFrame:
        """The keys whose current row is withheld for the sake of other rows, judged over all that was shown."""
        if self._across is None and self.judges_table:
            table = self._table()
            self._across, found = table.across(self._parents())
            self._withheld = pl.DataFrame(pl.from_arrow(found))
        return self._withheld

    def without_withheld(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Folded rows but the current ones of withheld keys."""
        if self._withheld.is_empty() or not self.withholds:
            return rows
        keys = self._withheld.select(self._roles.keys)
        current = rows.filter(pl.col(IS_CURRENT)) if self._roles.history else rows
        out = current.join(keys, on=list(self._roles.keys), how="semi", nulls_equal=True)
        return rows.join(out, on=rows.columns, how="anti", nulls_equal=True)

    def _parents(self) -> dict[str, str]:
        """The relation that each foreign key to another table points to: the current rows of silver."""
        found = {}
        for name, rule in self._about.of("foreign_key").items():
            key = rule.foreign_key
            if key is None or key.table == self._metadata.name:
                continue
            view = f"silver.{quote(key.table)}"
            schema = self._world.parent(self._open(), key.table, view)
            columns = ", ".join(quote(column) for column in key.to)
            if schema is None:
                own = ", ".join(f"{quote(mine)} as {quote(theirs)}" for mine, theirs in zip(key.columns, key.to, strict=True))
                found[name] = f"(select {own} from _judged where false)"
                continue
            metadata = self._world.tables[key.table]
            shown = [IS_CURRENT] * (metadata.history == "scd2") + [f"not {IS_DELETED}"] * metadata.deletes.as_row
            now = f" where {' and '.join(shown)}" if shown else ""
            found[name] = f"(select {columns} from {view}{now})"
        return found

    def findings(self) -> list[Finding]:
        """What all rules found, in the end."""
        self.withheld()
        name = self._metadata.name
        found = [counted(name, rule, self.rules[rule], self._counts[rule]) for rule in self.rules if rule in self._counts]
        found += self._across or []
        if self._judged is not None:
            found += self._judged.whole(self._world.now(), self._before, lambda rule, count: self._world.past(name, rule, count))
        return found

    def listed(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """The rejects among versions with `_reason` and what points to them, but for those that are withheld."""
        left = rows.filter(pl.col(REASON).is_not_null() & (pl.col(REASON) != DROP)).collect(engine="streaming")
        return listed(left, self._roles.keys, self._roles.sequence, self.rules)

    def pointers(self, rows: Callable[[Sequence[int]], pl.LazyFrame]) -> pl.DataFrame:
        """The rejects of withheld keys: each points to the last of its key's versions in the batch that its row names.

        Args:
            rows: Gives the versions of some batches with `_reason` and what points to them.
        """
        keys = list(self._roles.keys)
        if not self.withholds or self._withheld.is_empty():
            return frame(SCHEMA)
        wanted = self._withheld.lazy().rename({"reason": "_why", "rules": "_named"})
        among = rows(self._withheld[BATCH].unique().to_list()).filter(pl.col(REASON).is_null())
        found = among.join(wanted, on=[*keys, BATCH], how="inner").collect()
        last = found.sort(*keys, SEQ, ROW_HASH).unique(subset=keys, keep="last", maintain_order=True)
        shown = listed(last.with_columns(pl.col("_why").alias(REASON)), keys, "", {})
        return shown.with_columns(last["_named"].alias("rules"))

    def pointed(self, rejects: pl.DataFrame, rows: Callable[[Sequence[int]], pl.LazyFrame]) -> pl.DataFrame:
        """The keys that rejects of withheld rows point to; `rows` as above."""
        pointers = rejects.filter(pl.col("reason").is_in(ACROSS)).select(BATCH, ROW_HASH).unique()
        among = rows(pointers[BATCH].unique().to_list())
        return among.join(pointers.lazy(), on=[BATCH, ROW_HASH], how="semi").select(self._roles.keys).unique().collect()

    def newly_withheld(self, done: int) -> int:
        """How many of the rows that are withheld came with later batches."""
        return self._withheld.filter(pl.col(BATCH) > done).height if self.withholds and self._withheld.height else 0


def _resolved(metadata: Metadata, tables: Mapping[str, Metadata]) -> dict[str, Expectation]:
    """The rules, foreign keys with the columns that they point to; without those whose table is not known here."""
    found = {}
    for name, rule in metadata.expect.items():
        key = rule.foreign_key
        if key is None:
            found[name] = rule
        elif key.table in tables or key.table == metadata.name:
            to = key.to or (metadata if key.table == metadata.name else tables[key.table]).silver_keys
            found[name] = rule.model_copy(update={"foreign_key": key.model_copy(update={"to": to})})
    return found


def taken(versions: pl.LazyFrame) -> pl.LazyFrame:
    """The versions that have no reason against them, without what was needed to judge them."""
    judged = [name for name in versions.collect_schema().names() if name.startswith(BREAKS) or name in (REASON, UNCAST)]
    return versions.filter(pl.col(REASON).is_null()).drop(judged)


def failed(findings: Iterable[Finding]) -> dict[str, int]:
    """The rules that something breaks, with the rows that break them; a rule over the whole table counts as one."""
    return {finding.rule: finding.failed or 1 for finding in findings if finding.broken}


def require_none_stops(findings: Iterable[Finding], where: str) -> None:
    """Nothing, where no rule holds the commit back.

    Raises:
        QualityError: One does; all that do are told.
    """
    if stops := [finding for finding in findings if finding.stops]:
        raise held_back("; ".join(f"{finding.rule}: {finding.told}" for finding in stops), where)


def before_of(silver: Table | None, *, whole: bool) -> tuple[int | None, int | None]:
    """How many rows were taken and dropped so far; zero where all are judged again, NULL where nobody counted them."""
    return (0, 0) if whole or silver is None else (silver.number(TAKEN), silver.number(DROPPED))


def counts_after(silver: Table | None, quality: Quality, *, whole: bool) -> dict[str, int]:
    """The numbers for silver's commit: how many rows were taken and dropped in all; none where nobody counted the first ones."""
    taken_, dropped = before_of(silver, whole=whole)
    if taken_ is None or dropped is None:
        return {}
    return {TAKEN: taken_ + quality.rows - quality.rejected - quality.dropped, DROPPED: dropped + quality.dropped}
