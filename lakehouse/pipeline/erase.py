"""Erase a person: remembered by a keyed hash, taken out of silver and gold as a correction, then out of the bytes, with a certificate.

The order makes it safe to die anywhere: what is remembered first is honoured by every run; silver and gold follow as after any
correction; bronze's files are written anew when nothing needs the rows any more. A second erasure of the same person goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from lakehouse.errors import ConflictError, StorageError, UsageError
from lakehouse.layout import BATCH, CORRECTIONS, REJECTS, ROW_HASH, consumed
from lakehouse.model.correction import Correction, Pointer
from lakehouse.model.erasing import Erasure
from lakehouse.model.run import Commit, Run, Step
from lakehouse.pipeline import certificate, person
from lakehouse.pipeline.audit import audited
from lakehouse.pipeline.publish import leave_newest
from lakehouse.pipeline.rebuild import keep_commits
from lakehouse.pipeline.run import gold, silver
from lakehouse.pipeline.walk import walk
from lakehouse.quality.corrections import read, record
from lakehouse.quality.suppression import SECRET, suppressed
from lakehouse.storage.erasing import retire, rewrite
from lakehouse.storage.rewriting import PATH
from lakehouse.transform.corrected import POINTERS, as_texts
from lakehouse.transform.suppression import key_text, keyed_hash, mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.lake import Lake
    from lakehouse.model.table import Table as Metadata
    from lakehouse.pipeline.person import Claim
    from lakehouse.pipeline.walk import Part, Progress

ATTEMPTS = 5
SHORTEST = 3
"""Texts of a person that are shorter are not looked for in the ledger: they would be found everywhere."""


def erase(
    lake: Lake, name: str, words: Sequence[str], *, why: str = "", dry_run: bool = False, progress: Progress | None = None
) -> Erasure:
    """Erase the person whose keys in a table have these values; what is done is in the certificate.

    Args:
        lake: The opened lake.
        name: The person's table.
        words: The values of its keys, in their order.
        why: The reason, for the correction and the certificate; no personal value should be in it.
        dry_run: Only say what would be done.
        progress: Called with each step as it ends.

    Raises:
        UsageError: There is no such table or person, the words are no key, or `LAKEHOUSE_KEY__ERASURE` is not set.
        StorageError: A step failed; what was done stays, and the same erasure goes on where it ended.
    """
    begun = time.monotonic()
    act = _Act.begin(lake, name, words, why)
    found = Erasure("planned", lake.run_id, act.metadata.name, person.held(lake, act.claims))
    if not found.held and not act.said:
        raise UsageError(
            f"the lake has nothing of a row of {act.metadata.name} with this key",
            next_step="Look at how the source writes the key, or with `lakehouse why` at one that is there.",
        )
    if not found.held and (number := certificate.number_of(lake, act.id)) is not None:
        found.status, found.certificate = "already", number
    elif not dry_run:
        with audited(lake, "erase", what=act.metadata.name, why=why) as told:
            act.remember()
            found.redacted = act.redact()
            act.fold(progress)
            act.rewrite(progress)
            found.redacted += act.forget_pointers()
            found.retired = act.retire()
            found.status, found.certificate = "erased", act.certify()
            told.counts["certificate"] = found.certificate
    found.seconds = round(time.monotonic() - begun, 3)
    return found


@dataclass(slots=True)
class _Act:
    """One erasure under way.

    Attributes:
        id: The run that began it.
        metadata: The person's table.
        claims: The rows concerned.
        said: The corrections that remember it, as far as there were any when it was looked at.
    """

    lake: Lake
    metadata: Metadata
    claims: list[Claim]
    why: str
    id: str
    said: list[Correction]
    secret: bytes
    anew: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, lake: Lake, name: str, words: Sequence[str], why: str) -> _Act:
        from lakehouse.pipeline.why import key_of, keyed_table  # noqa: PLC0415  what else it loads is not needed before

        secret = lake.settings.secret(SECRET)
        metadata = keyed_table(lake, name)
        bronze = lake.table("bronze", metadata.name)
        if bronze is None:
            raise UsageError("the lake has no row of it yet", where=metadata.name, next_step="There is nobody to erase.")
        if len(words) != len(metadata.keys):
            expected = " ".join(f"--key <{key}>" for key in metadata.silver_keys)
            raise UsageError("the key has another number of parts", where=metadata.name, expected=expected, next_step="Give all of them.")
        claims = person.claims(lake, metadata, key_of(lake, metadata, bronze, words))
        own = {keyed_hash(text, secret) for text in _texts(claims[0])}
        erasures = [each for each in read(lake.corrections()) if each.kind == "erase"]
        mine = {each.value.get("erasure") for each in erasures if each.table == metadata.name and each.key_hash in own}
        said = [each for each in erasures if each.value.get("erasure") in mine]
        latest = max(said, key=lambda each: each.batch_of, default=None)
        act = cls(lake, metadata, claims, why, latest.value["erasure"] if latest else lake.run_id, said, secret)
        act.claims += act._unfinished()
        return act

    def _unfinished(self) -> list[Claim]:
        """Claims that were remembered and whose rows bronze still has, though what led there may be gone."""
        found = []
        for name in {each.table for each in self.said}:
            bronze = self.lake.table("bronze", name)
            for entry in suppressed(each for each in self.said if each.table == name) if bronze is not None else ():
                if bronze is not None and set(entry.columns) <= set(bronze.schema.names):
                    keys = bronze.scan().select(entry.columns).drop_nulls().unique().collect()
                    text = key_text(keys.schema, entry.columns)
                    left = keys.filter(text.is_in(entry.among(keys, self.secret)))
                    found.append(person.Claim(name, entry.columns, entry.on_erase, left))
        return found

    @property
    def tables(self) -> list[str]:
        """The tables whose rows are concerned, in the order of the graph."""
        names = {claim.table for claim in self.claims}
        return [node for node in self.lake.catalog.graph.order() if node in names]

    @property
    def nodes(self) -> list[str]:
        """They and all that follows from them."""
        graph = self.lake.catalog.graph
        wanted = set(self.tables).union(*(graph.below(name) for name in self.tables))
        return [node for node in graph.order() if node in wanted]

    def remember(self) -> None:
        """Record, in one commit, whom no read brings back, and which rows of bronze silver takes no more.

        This is where the act begins: who keeps a log of what people do adds it here.
        """
        by, at = self.lake.settings.who(), self.lake.now()
        known = {(each.table, tuple(each.value["columns"]), each.key_hash) for each in self.said if each.key_hash}
        pointed = {(each.table, each.pointer) for each in self.said if each.pointer is not None}
        new: list[Correction] = []
        for claim in self.claims:
            about = {"erasure": self.id, "columns": list(claim.columns), "on_erase": claim.on_erase}
            for text in _texts(claim):
                hashed = keyed_hash(text, self.secret)
                if (claim.table, claim.columns, hashed) not in known:
                    known.add((claim.table, claim.columns, hashed))
                    value = {**about, "mark": mark(text, self.secret)}
                    new.append(Correction("erase", claim.table, by, at, self.why, key_hash=hashed, value=value))
        for name in self.tables:
            standing = {each.pointer: each.id for each in read(self.lake.corrections(), name) if each.pointer and each.kind != "assign"}
            rows = self._rows(name)
            left = self._left(name, rows)
            for pointer in (Pointer(*row) for row in rows.select(POINTERS.names).unique().iter_rows()):
                if (name, pointer) not in pointed:
                    own = left.filter((pl.col(BATCH) == pointer.batch) & (pl.col(ROW_HASH) == pointer.row_hash)).drop(ROW_HASH)
                    stays = {"erasure": self.id, **({"rows": as_texts(own)} if own.height else {})}
                    said = Correction("erase", name, by, at, self.why, batch=pointer.batch, row_hash=pointer.row_hash, value=stays)
                    void = standing.get(pointer)
                    new.append(said if void is None else Correction(**{**_fields(said), "supersedes": void}))
        if new:
            record(self.lake, new)

    def _rows(self, name: str) -> pl.DataFrame:
        """The table's rows concerned, with their pointers."""
        bronze = self.lake.table("bronze", name)
        assert bronze is not None  # noqa: S101  claims are of tables that are there
        rows = [person.found_in(bronze, claim).drop(PATH) for claim in self.claims if claim.table == name and claim.keys.height]
        schema = pl.DataFrame(pl.from_arrow(bronze.schema.empty_table()))
        return person.pointers(bronze, pl.concat([schema, *rows])).unique([*schema.columns, ROW_HASH], keep="any") if rows else (
            person.pointers(bronze, schema)
        )  # fmt: skip

    def _left(self, name: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Those that stay, as they stay, with the pointers of what they were."""
        left = rows.lazy()
        for claim in self._ordered(name):
            left = claim.without(left)
        return left.collect()

    def _ordered(self, name: str) -> list[Claim]:
        own = [claim for claim in self.claims if claim.table == name and claim.keys.height]
        return sorted(own, key=lambda claim: claim.on_erase)

    def redact(self) -> int:
        """Blank the person's texts where the ledger has them, such as in an error; how many rows."""
        rows = self._rows(self.metadata.name)
        texts = {str(value) for name, kind in rows.schema.items() if kind == pl.String and name not in (ROW_HASH, "_run_id", "_op")
                 for value in rows[name].drop_nulls().unique() if len(str(value)) >= SHORTEST}  # fmt: skip
        for row in self.claims[0].keys.to_dicts():
            texts |= {f"{name}={value}" for name, value in row.items()}
        return self.lake.ledger.blank(sorted(texts, key=len, reverse=True), self.lake.run_id)

    def fold(self, progress: Progress | None) -> None:
        """Bring silver and gold to what bronze and the corrections say.

        Raises:
            StorageError: A step failed.
        """
        lake = self.lake
        for name in self.tables:
            hits = [claim.hit(claim.keys.schema) for claim in self._ordered(name)]
            lake.spoken_of[name] = (self.id, pl.any_horizontal(hits or [pl.lit(value=False)]))

        def parts(node: str) -> list[Part]:
            return [gold(lake, node)] if node in lake.catalog.models else [silver(lake, node, rebuild=node in self.anew)]

        report = walk(lake, self.nodes, parts, progress=progress, record=lambda run: run.status != "unchanged")
        if failed := [step for step in report.steps if step.status == "failed"]:
            raise StorageError(
                f"{failed[0].step} {failed[0].table} failed, so that the erasure is not finished: {(failed[0].error or {}).get('message')}",
                next_step="No read brings the person back. Mend what failed, then erase the same person again.",
            )

    def rewrite(self, progress: Progress | None) -> None:
        """Write the files of bronze anew without the rows, table by table; what is built of them is told that nothing else changed."""
        lake, steps = self.lake, list[Step]()
        for name in self.tables:
            begun = time.monotonic()
            step = Step("erase", name, "unchanged")
            for attempt in range(ATTEMPTS):
                try:
                    step.rows_in = self._rewrite(name)
                except ConflictError:
                    if attempt == ATTEMPTS - 1:
                        raise
                    lake.forget(name)
                else:
                    break
            table = lake.table("bronze", name)
            step.version = None if table is None else table.version
            step.status = "success" if step.rows_in else "unchanged"
            step.seconds = round(time.monotonic() - begun, 3)
            written = lake.end_step("erase", name)
            step.version_before = written.version_before
            steps.append(step)
            if progress:
                progress(step)
        self._catch_up()
        if changed := [step for step in steps if step.rows_in]:
            lake.ledger.record(Run(lake.run_id, "success", lake.now(), steps=changed, metadata=lake.catalog.digest()))

    def _rewrite(self, name: str) -> int:
        lake, bronze = self.lake, self.lake.table("bronze", name)
        if bronze is None:
            return 0
        claims, pointed = self._ordered(name), {each.pointer for each in read(lake.corrections(), name) if each.pointer is not None}
        rows = [person.found_in(bronze, claim) for claim in claims]
        count = sum(each.height for each in rows)
        if not count:
            return 0
        if not set(self._rows(name).select(POINTERS.names).rows()) <= pointed:
            self.anew.add(name)  # a read that began before it brought more of them
        paths = {str(path).rsplit("/", 1)[-1] for each in rows for path in each[PATH].unique()}
        touched = [file for file in bronze.files(()) if file.path.rsplit("/", 1)[-1] in paths]

        def change(part: pl.LazyFrame) -> pl.LazyFrame:
            for claim in claims:
                part = claim.without(part)
            return part

        rewrite(bronze, touched, change, Commit(lake.run_id, "erase", facts={"erasure": self.id, "rows": count}))
        return count

    def _catch_up(self) -> None:
        """Let silver and gold know that bronze's new commits change nothing for them; where others wrote too, the next run looks itself."""
        lake = self.lake
        for node in self.nodes:
            layer = "gold" if node in lake.catalog.models else "silver"
            table = lake.table(layer, node)
            if table is None or node in self.anew:
                continue
            numbers = {consumed(*pair): there.batch for pair, there in lake.inputs(layer, node).items() if there is not None}
            behind = {app: number for app, number in numbers.items() if (table.number(app) or 0) != number}
            own = all(number - (table.number(app) or 0) == 1 for app, number in behind.items())
            if behind and own:
                table.mark(Commit(lake.run_id, "erase", behind, {"erasure": self.id}))

    def forget_pointers(self) -> int:
        """Remove the corrections that point to rows which are no more, those of other people's hands too; how many.

        A table whose rows were gone already when it was looked at is folded anew: an erasure that died here may have left it beside itself.
        """
        lake, table = self.lake, self.lake.corrections()
        said = read(table)
        mine = {(each.table, each.pointer) for each in said if each.kind == "erase" and each.pointer is not None}
        gone = [each.id for each in said if each.pointer is not None and (each.table, each.pointer) in mine]
        if gone and table is not None:
            ids = pl.DataFrame({"_correction": gone})
            table.apply(ids, table.scan().limit(0).collect(), ["_correction"], Commit(lake.run_id, "erase", facts={"erasure": self.id}))
        if resumed := {each.table for each in self.said}:
            self.anew |= resumed
        if self.anew:
            self.fold(None)
        return len(gone)

    def retire(self) -> list[str]:
        """Leave the newest version alone of every table that has, or may have had, the person; which tables these are."""
        lake = self.lake
        keep_commits(lake)
        places = [
            *(("bronze", name) for name in self.tables),
            *(("silver", name) for name in self.tables),
            *((REJECTS, n) for n in self.tables),
        ]
        places += [("gold", node) for node in self.nodes if node in lake.catalog.models]
        places.append(("bronze", CORRECTIONS))
        leave_newest(lake)
        done = []
        for layer, name in places:
            turn = lake.turn(layer, name)
            if lake.table(layer, name) is not None and retire(turn.place, turn.name, lake.effects, turn) is not None:
                done.append(turn.name)
        return [*done, *lake.ledger.retire()]

    def certify(self) -> int:
        """Write the certificate; its number."""
        about = {"table": self.metadata.name, "why": self.why, "by": self.lake.settings.who(), "erasure": self.id}
        return certificate.write(self.lake, self.secret, about, self.claims)


def _texts(claim: Claim) -> list[str]:
    found: list[str] = claim.keys.select(key_text(claim.keys.schema, claim.columns)).to_series().drop_nulls().unique().sort().to_list()
    return found


def _fields(said: Correction) -> dict[str, Any]:
    return {name: getattr(said, name) for name in Correction.__slots__}
