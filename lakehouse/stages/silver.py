"""Silver: fold the bronze batches that are new into one row a key, or into each key's history."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

import polars as pl
import pyarrow as pa

from lakehouse.layout import DEFINITION, EXTRACTED_AT, FAILED_CHECKS, OP, REPAIRED, ROW_HASH, RUN_ID, TRUNCATE, consumed
from lakehouse.model.run import Commit, Step
from lakehouse.quality.corrections import Corrections, source
from lakehouse.quality.deviations import require_as_declared
from lakehouse.quality.judging import Quality, counts_after, failed, require_none_stops, taken, world_of
from lakehouse.quality.planned import planned
from lakehouse.quality.rejects import OutOfStepError, Rejects
from lakehouse.storage.frames import to_batches
from lakehouse.storage.rewriting import PLACED
from lakehouse.transform.corrected import POINTERS, Rows
from lakehouse.transform.custody import silver_marks
from lakehouse.transform.fold import difference
from lakehouse.transform.rejects import SCHEMA, dropped, frame
from lakehouse.transform.rowwise import Rowwise
from lakehouse.transform.spans import Spans
from lakehouse.transform.touched import Touched
from lakehouse.transform.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lakehouse.lake import Lake
    from lakehouse.model.correction import Correction
    from lakehouse.model.table import Table as Metadata
    from lakehouse.quality.judging import World
    from lakehouse.storage.delta import Table
    from lakehouse.transform.protection import Protection

_BYTES_A_VALUE = 24
_FOLD_COPIES = 6
NONE = frame(SCHEMA)


def fold(lake: Lake, metadata: Metadata, *, rebuild: bool = False) -> Step:
    """Bring one silver table to what all of bronze says, from the batches it has not consumed.

    Columns: the table's own, for SCD2 `valid_from`, `valid_to`, `is_current`, and `_batch`, the bronze batch a row came with.
    Unique: the keys (SCD1), or the keys and `valid_from` (SCD2).

    Raises:
        QualityError: A rule holds the commit back; nothing is written, neither to silver nor to its rejects.
        ModelError: A condition of the table names what is not there, or breaks at a value.
    """
    try:
        return _fold(lake, metadata, rebuild=rebuild)
    except OutOfStepError:
        return _fold(lake, metadata, rebuild=True)


def _fold(lake: Lake, metadata: Metadata, *, rebuild: bool) -> Step:
    name = metadata.name
    step = Step("silver", name, "unchanged")
    bronze, silver = lake.table("bronze", name), lake.table("silver", name)
    step.version = None if silver is None else silver.version
    due = lake.behind("silver", name) is not None
    if bronze is None or not (due or rebuild):
        return step
    require_as_declared(lake, metadata)
    corrections = Corrections(lake, name, bronze, silver)
    with Folding(metadata, bronze.schema, corrections.rows, world_of(lake), protection=lake.protection(metadata)) as folding:
        _bring_up(lake, step, folding, silver, corrections, rebuild=rebuild)
    return step


def _bring_up(lake: Lake, step: Step, folding: Folding, silver: Table | None, corrections: Corrections, *, rebuild: bool) -> None:
    name, roles, quality, metadata = step.table, folding.roles, folding.quality, lake.catalog.tables[step.table]
    rejects = Rejects(lake, name, silver)
    numbers = {consumed(*pair): table.batch for pair, table in lake.inputs("silver", name).items() if table is not None}
    numbers |= {DEFINITION: lake.catalog.definition(name), **corrections.numbers}
    numbers |= silver_marks(metadata, folding.protection, lake.catalog.keys, silver)
    done = 0 if silver is None else silver.number(consumed("bronze", name)) or 0
    whole = rebuild or silver is None or silver.number(DEFINITION) != numbers[DEFINITION]
    whole = whole or silver is None or not roles.schema.equals(silver.schema) or not rejects.in_step()
    touched = Touched() if whole or corrections.moved.is_empty else folding.touched(corrections)
    whole = whole or touched.all
    new = folding.versions(above=0 if whole else done, hashed=False)
    if roles.keys:
        new = new if whole else roles.with_hashes(new.collect()).lazy()
        quality.count(new)
    if silver is not None:
        quality.count_before(silver)

    def commit() -> Commit:
        found = lake.findings[name] = quality.findings()
        require_none_stops(found, f"silver.{name}")
        step.failed_checks, step.rows_in = failed(found), quality.rows
        step.rejected, step.dropped = quality.rejected + quality.newly_withheld(0 if whole else done), quality.dropped
        new_ = quality.listed(folding.pointing(above=0 if whole else done)) if quality.rejected else NONE
        listed = pl.concat([new_, touched.rejects])
        own = rejects.write(numbers, listed, quality.pointers(folding.pointing), whole=whole, moved=touched.moved)
        own |= touched.counted(counts_after(silver, quality, whole=whole)) | folding.repaired(corrections)
        before = None if whole or silver is None else silver.number(roles.sequence_id)
        if greatest := [each for each in (before, quality.greatest, touched.greatest) if each is not None]:
            own[roles.sequence_id] = max(greatest)
        facts = {"rows_in": step.rows_in, "rejected": step.rejected, "dropped": step.dropped, "failed_checks": step.failed_checks}
        return Commit(lake.run_id, "silver", {**numbers, **own, FAILED_CHECKS: len(step.failed_checks)}, facts)

    table = silver or lake.make_table("silver", name, roles.schema)
    if whole or folding.reaches_all(new):
        rows = quality.rows if whole else folding.count()
        step.rows_out = folding.rebuild(table, commit, folding.spans(rows, int(lake.settings.memory_limit)))
    elif not roles.keys:
        quality.show_standing(table, NONE)
        step.rows_out = table.append(folding.appended(new), commit)
        if not step.rows_out:
            table.mark(commit())
    else:
        gone, came = folding.change(table, new, rejects.rows() if quality.withholds else NONE, touched.keys)
        step.rows_out = _apply(table, gone, came, roles.identity, commit())
    if whole:
        table.hide(Commit(lake.run_id, "silver"))
    step.status, step.version = "success", table.version
    step.open_rejects = rejects.waiting(metadata.open_rejects)
    step.owner = metadata.owner if step.open_rejects else None


def judge(lake: Lake, metadata: Metadata, said: Sequence[Correction]) -> pl.DataFrame:
    """What of the rows that corrections speak of silver would still not take if they stood, as rejects; nothing is written.

    Raises:
        ModelError: A condition of the table names what is not there, or breaks at a value.
    """
    bronze, silver = lake.table("bronze", metadata.name), lake.table("silver", metadata.name)
    if bronze is None or silver is None:
        return NONE
    corrections = Corrections(lake, metadata.name, bronze, silver, said)
    with Folding(metadata, bronze.schema, corrections.rows, world_of(lake)) as folding:
        left = folding.left(corrections)
        if folding.quality.withholds:
            for _ in folding.built(Spans(tuple(folding.roles.keys))):
                pass
            left = pl.concat([left, folding.quality.pointers(folding.pointing)])
    return left.join(corrections.proposed, on=POINTERS.names, how="semi")


def require_fresh(lake: Lake, metadata: Metadata) -> None:
    """Judge the rules of a table to which nothing came that look at the clock.

    Raises:
        QualityError: It has grown stale, and a rule says `fail`.
    """
    bronze, silver = lake.table("bronze", metadata.name), lake.table("silver", metadata.name)
    if bronze is None or silver is None:
        return
    protection = lake.protection(metadata)
    with Folding(metadata, bronze.schema, Rows(source(bronze)), world_of(lake), only=("freshness",), protection=protection) as folding:
        folding.quality.show_standing(silver, NONE)
        found = lake.findings[metadata.name] = folding.quality.findings()
        require_none_stops(found, f"silver.{metadata.name}")


def _apply(silver: Table, gone: pl.DataFrame, came: pl.DataFrame, identity: list[str], commit: Commit) -> int:
    if gone.is_empty() and came.is_empty():
        silver.mark(commit)
    else:
        silver.apply(gone, came, identity, commit)
    return came.height


class Folding:
    """How one table is folded, over rows of bronze wherever they are; its `roles`, its rules as `quality`, and its `protection`."""

    def __init__(
        self,
        metadata: Metadata,
        bronze: pa.Schema,
        rows: Rows,
        world: World,
        *,
        protection: Protection | None = None,
        only: Sequence[str] = (),
    ) -> None:
        """Take the schema of bronze, its rows, what rules look at, and the kinds of rules (all)."""
        self.metadata, self._bronze, self._rows, self._engine = metadata, bronze, rows, world.engine
        self.protection, self._sealed = protection, protection.sealed if protection else ()
        self._rowwise = Rowwise(metadata, bronze)
        self.roles = Versions(metadata, self._rowwise)
        self.quality = Quality(metadata, self.roles, world, only)

    def __enter__(self) -> Self:
        """The fold itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what the rules opened."""
        self.quality.close()

    def versions(self, above: int = 0, *, hashed: bool = True) -> pl.LazyFrame:
        """The bronze rows of later batches as versions, each with the reason against it, as `_reason`."""
        return self.roles.of(self._planned(self._rows.above(above)), self.quality.reason, hashed=hashed)

    def taken(self) -> pl.LazyFrame:
        """All versions that no rule keeps out, as the fold takes them."""
        return taken(self.versions())

    def taken_of(self, keys: pl.DataFrame) -> pl.LazyFrame:
        """Those of these keys; where silver writes keys as bronze does, no other row is cleaned and judged for it."""
        own, silver = list(self.metadata.keys), list(self.roles.keys)
        if not self._rowwise.keeps_keys or set(own) & set(self._sealed):
            return self.taken().join(keys.lazy(), on=silver, how="semi")
        rows = self._rows.where(lambda rows: rows.join(keys.lazy(), left_on=own, right_on=silver, how="semi"))
        return taken(self.roles.of(self._planned(rows), self.quality.reason))

    def pointing(self, batches: Sequence[int] | None = None, above: int = 0) -> pl.LazyFrame:
        """The versions (of some batches) with the reasons against them and what points to their rows in bronze."""
        return self._judged(self._rows.above(above, hashed=True) if batches is None else self._rows.of_batches(batches))

    def _judged(self, pointed: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of bronze with `_row_hash`, as versions with the reasons against them and what points to them."""
        plan = Rowwise(self.metadata, self._bronze.append(pa.field(ROW_HASH, pa.string())))
        return self.roles.of(self._planned(pointed, plan), self.quality.reason, (RUN_ID, EXTRACTED_AT, ROW_HASH))

    def _planned(self, rows: pl.LazyFrame, plan: Rowwise | None = None) -> pl.LazyFrame:
        """Rows of bronze, opened where they are sealed, as the row-wise plan gives them."""
        if self.protection is not None and self._sealed:
            rows = self.protection.opening(rows)
        return planned(rows, plan or self._rowwise, self._engine)

    def left(self, corrections: Corrections) -> pl.DataFrame:
        """Those of the rows that moved which are not taken, as rejects; rows that a rule drops are among them."""
        judged = self._judged(corrections.states[1])
        return pl.concat([self.quality.listed(judged), dropped(judged)])

    def repaired(self, corrections: Corrections) -> dict[str, int]:
        """The number, for silver's commit, of the rows that it takes since a person fixed them; none where nobody ever did."""
        fixed = corrections.now.standing_mended
        return {REPAIRED: int(taken(self._judged(fixed.lazy())).select(pl.len()).collect().item())} if fixed.width > len(POINTERS) else {}

    def touched(self, corrections: Corrections) -> Touched:
        """What the corrections that silver has not consumed yet touch of that which it has."""
        if self.roles.ending or not self.roles.keys:
            return Touched(all=True)
        before, now = (self._judged(rows) for rows in corrections.states)
        return Touched.between(before, now, self.roles.keys, corrections.moved, self.quality.listed(now))

    def reaches_all(self, new: pl.LazyFrame) -> bool:
        """Whether the new versions can end other keys than their own."""
        if not self.roles.ending:
            return False
        told = taken(new)
        return self.metadata.snapshot_column is not None or told.filter(pl.col(OP) == TRUNCATE).select(pl.len()).collect().item() > 0

    def count(self) -> int:
        """How many rows bronze has."""
        return int(self._rows.above().select(pl.len()).collect().item())

    def appended(self, new: pl.LazyFrame) -> Iterator[pa.RecordBatch]:
        """The rows of a table without keys, judged, as they stream by."""
        for part in new.collect_batches(chunk_size=131_072):
            self.quality.count(part.lazy())
            rows = self.roles.rows(taken(part.lazy()).collect())
            self.quality.publish(rows)
            self.quality.show(rows)
            yield from to_batches(rows, self.roles.schema)

    def spans(self, rows: int, memory: int) -> Spans:
        """The parts of the keys in which so many rows are folded under a memory limit in bytes."""
        keys = self.roles.keys
        parts = 1 + rows * len(self.roles.columns) * _BYTES_A_VALUE * _FOLD_COPIES // memory
        return Spans.of(self.taken(), keys, rows, parts) if keys and parts > 1 else Spans(tuple(keys))

    def rebuild(self, silver: Table, commit: Callable[[], Commit], spans: Spans) -> int:
        """Fold all of bronze, part by part of the keys; how many rows changed."""
        identity, schema = self.roles.identity, self.roles.schema
        if not self.roles.keys:
            return silver.replace(self.appended(self.versions(hashed=False)), commit, schema)
        if not silver.files() or not schema.equals(silver.schema):
            parts = (rows.sort(identity) for rows in self.built(spans))
            return silver.replace((batch for rows in parts for batch in to_batches(rows, schema)), commit, schema)
        gone, came = [], []
        for part, rows in enumerate(self.built(spans)):
            old = spans.part(silver.scan(), part).collect()
            lost, found = difference(old, rows.select(old.columns), identity)
            gone.append(lost)
            came.append(found)
        return _apply(silver, pl.concat(gone), pl.concat(came), identity, commit())

    def built(self, spans: Spans) -> Iterator[pl.DataFrame]:
        """All rows of silver, part by part of the keys, judged and without those that are withheld."""
        ends, parts = self.roles.ends(self.taken()), range(len(spans))
        folded = (self.roles.folded(spans.part(self.taken(), part), ends) for part in parts)
        if self.quality.judges_table:
            held = []
            for rows in folded:
                self.quality.show(rows)
                held += [rows] if len(parts) == 1 else []
            self.quality.withheld()
            again = (self.roles.folded(spans.part(self.taken(), part), ends) for part in parts)
            folded = (self.quality.without_withheld(rows) for rows in held or again)
        for rows in folded:
            self.quality.publish(rows)
            yield rows

    def change(self, silver: Table, new: pl.LazyFrame, rejects: pl.DataFrame, touched: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What the new versions change: (identities to take out, rows to put in).

        Versions above all that was consumed extend the open row of their key; a key with any other is folded again from all its
        bronze rows, as are those that were withheld so far, which `rejects` point to, those that corrections touch, and all where
        what stands never decides.
        """
        roles, came = self.roles, taken(new).collect()
        late = came.select(roles.keys).unique() if roles.again else roles.undecided(came, silver.scan, silver.number(roles.sequence_id))
        if not rejects.is_empty():
            late = pl.concat([late, self.quality.pointed(rejects, self.pointing).select(late.columns)]).unique()
        if touched.height:
            late = pl.concat([late, touched.select(late.columns)]).unique()
        if late.is_empty() and not self.quality.judges_table:
            found = roles.extend(came, partial(silver.lookup, current=roles.history, placed=True), PLACED)
            if found is not None:
                self.quality.publish(found[1])
                return found
        again = self.taken_of(late) if late.height else came.clear().lazy()
        ahead = came.join(late, on=roles.keys, how="anti")
        standing = silver.lookup(ahead.select(roles.keys).unique(), current=roles.history)
        if roles.again:
            rows = roles.folded(again, roles.ends(self.taken()))
        else:
            rows = roles.folded(pl.concat([roles.standing(standing.lazy()).select(came.columns), ahead.lazy(), again], how="vertical"))
        old = pl.concat([standing, silver.lookup(late)], how="vertical") if late.height else standing
        if self.quality.judges_table:
            touched = pl.concat([late, ahead.select(roles.keys)]).unique()
            old, rows = self._withheld(silver, touched, old, rows)
        gone, came = difference(old, rows.select(old.columns), roles.identity)
        self.quality.publish(came)
        return gone, came

    def _withheld(self, silver: Table, touched: pl.DataFrame, old: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What stood and what will, where rules look at all current rows: those of keys that are withheld go, be they touched or not."""
        self.quality.show_standing(silver, touched)
        self.quality.show(rows)
        keys = self.quality.withheld()
        if keys.is_empty() or not self.quality.withholds:
            return old, rows
        others = keys.select(self.roles.keys).join(touched, on=self.roles.keys, how="anti")
        going = silver.lookup(others, current=self.roles.history)
        return pl.concat([old, going]), self.quality.without_withheld(rows)
