"""Publishes gold as one star: a manifest that names one version of every table, put after its checks passed.

Readers see the newest manifest, so the star changes in one step, whatever breaks. Which tables may stand together is told by their own
commits: each says how far it had read the tables that it was built from.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.errors import ConflictError, LakehouseError, StorageError, UsageError
from lakehouse.layout import consumed
from lakehouse.model.manifest import Manifest, TableVersion
from lakehouse.model.run import Run, Step
from lakehouse.pipeline.attempt import facts
from lakehouse.pipeline.audit import audited
from lakehouse.storage.stars import version_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lakehouse.lake import Lake
    from lakehouse.storage.delta import Table

    Versions = Mapping[str, TableVersion]

ATTEMPTS = 5
STEP, STAR = "publish", "star"


class Outcome(NamedTuple):
    """What came of a publish: the new star, or why readers keep the one they have; neither where gold is published already."""

    star: Manifest | None = None
    held: str = ""


def step(lake: Lake, nodes: Iterable[str]) -> Step | None:
    """After a run over these tables and models: publish what gold has that readers do not see, as a step; None where there is nothing."""
    if lake.catalog.models.keys().isdisjoint(nodes):
        return None
    begun = time.monotonic()
    try:
        star, held = _publish(lake, by_hand=False)
    except LakehouseError as exc:
        done = Step(STEP, STAR, "failed", error=facts(exc))
    except Exception as exc:  # noqa: BLE001  an engine's fault is a recorded failure, as that of any other step
        message = f"{STAR}: {STEP} broke with {type(exc).__name__}. Run again with --debug and report it."
        done = Step(STEP, STAR, "failed", error={"kind": type(exc).__name__, "message": message, "exit_code": "1", "transient": "false"})
    else:
        if star is None and not held:
            return None
        done = Step(STEP, STAR, "skipped", error={"kind": "Skipped", "message": held})
        if star is not None:
            done = _done(star)
    done.seconds = round(time.monotonic() - begun, 3)
    return done


def _done(star: Manifest) -> Step:
    warned = {judged.check: judged.rows for judged in star.checks if judged.rows}
    return Step(step_of(star), STAR, "success", version=star.star, version_before=star.previous, failed_checks=warned)


def step_of(star: Manifest) -> str:
    """The step that published a star."""
    return STEP if star.same_as is None else "rollback"


def _recorded(lake: Lake, star: Manifest) -> Manifest:
    """A star that was published by hand, with the ledger told of it."""
    lake.ledger.record(Run(lake.run_id, "success", lake.now(), steps=[_done(star)], metadata=lake.catalog.digest()))
    return star


def publish(lake: Lake) -> Manifest | None:
    """Publish gold as it stands, also what a rollback passed over; the new star, or None where it is published already.

    Raises:
        QualityError: A check fails: readers keep the star they have.
        StorageError: Tables do not fit together, or the lake cannot be read or written.
        ConflictError: Other runs published again and again meanwhile.
        UsageError: There are no gold tables.
    """
    if not _versions(lake):
        raise UsageError("gold has no tables yet", next_step="`lakehouse run` builds and publishes them.")
    star, held = _publish(lake, by_hand=True)
    if held:
        raise StorageError(held, where=STAR, next_step="`lakehouse run` brings gold up to date.")
    return star if star is None else _recorded(lake, star)


def rollback(lake: Lake, to: int | None = None) -> Manifest:
    """Publish the tables of an older star again, by default of the one before; the new star.

    Gold itself stays as it is. A run that changes gold publishes from there; one that changes nothing leaves the star rolled back.

    Raises:
        UsageError: There is no such star, or it is the one that readers see.
        StorageError: A version that it names is gone.
        BusyError: Stars are being retired.
    """
    turn = lake.keeping_stars()
    turn.take()
    try:
        for _ in range(ATTEMPTS):
            numbers = lake.stars.numbers()
            if not numbers:
                raise UsageError("there is no star to go back to", next_step="`lakehouse publish` publishes the first one.")
            target = lake.stars.read(_target(lake, numbers, to))
            _require_there(lake, target)
            _look_again(lake)
            star, same_as = numbers[-1] + 1, target.same_as or target.star
            passed_over = _versions(lake)
            made = Manifest(
                star, lake.run_id, lake.now(), target.tables, numbers[-1], target.checks, same_as=same_as, passed_over=passed_over
            )
            with audited(lake, "rollback", what=f"star {target.star}") as told:
                told.failed = not lake.stars.put(made)
            if not told.failed:
                return _recorded(lake, made)
    finally:
        turn.give_back()
    raise _crowded()


def leave_newest(lake: Lake) -> list[int]:
    """Publish gold as it stands and forget all older stars, since what they read is about to go; which they were.

    Where the checks refuse a new star, none is left: readers then see the newest version of each table, until one is published.

    Raises:
        BusyError: Somebody is going back to an older star at this moment.
    """
    turn = lake.keeping_stars()
    taken = turn.take()
    try:
        _look_again(lake)
        versions = _versions(lake)
        if versions:
            with suppress(LakehouseError):
                _publish(lake, by_hand=True)
        gone = [star for star in lake.stars.kept() if star.tables != versions]
        for star in gone:
            lake.stars.remove(star.star)
        return [star.star for star in gone]
    finally:
        if taken:
            turn.give_back()


def _target(lake: Lake, numbers: list[int], to: int | None) -> int:
    kept = f"{numbers[0]} to {numbers[-1]}"
    if to is not None and to not in numbers:
        raise UsageError(f"star {to} is not kept", expected=kept, next_step="`lakehouse publish --list` shows the stars.")
    standing = lake.stars.read(numbers[-1]) if to is None or to == numbers[-1] else None
    shown = numbers[-1] if standing is None else standing.same_as or standing.star
    if to is None:
        before = [number for number in numbers if number < shown]
        if not before:
            raise UsageError(f"no star before star {shown} is kept", next_step="`lakehouse publish --list` shows the stars.")
        return before[-1]
    if to == numbers[-1]:
        raise UsageError(f"star {to} is the one that readers see", given=kept, next_step="Name an older one.")
    return to


def _require_there(lake: Lake, star: Manifest) -> None:
    for name, there in star.tables.items():
        table = lake.gold_at(name, there.version)
        if table is None or table.identity != there.id:
            raise StorageError(f"the table was made anew since star {star.star}", where=f"gold.{name}", next_step="Choose a later star.")


def _publish(lake: Lake, *, by_hand: bool) -> Outcome:
    for attempt in range(ATTEMPTS):
        previous, standing = _standing(lake, by_hand=by_hand)
        old = {} if standing is None else standing.tables
        if attempt or _is_stale(lake, {**old, **(standing.passed_over if standing else {})}):
            _look_again(lake)  # after the star was read, so what is found now is not older than it
        versions = _versions(lake)
        if versions == old or (not by_hand and _is_known(versions, standing)):
            return Outcome()
        tables, held = _choose(lake, versions, old)
        if tables == old:
            return _held(previous, held)
        made = _judged(lake, tables, previous, standing)
        if isinstance(made, str):
            return _held(previous, [*held, made])
        if lake.stars.put(made):
            return Outcome(made)
    raise _crowded()


def _is_known(versions: Versions, standing: Manifest | None) -> bool:
    """Whether a run has nothing new for readers: a model that is gone leaves with the next star, and what was passed over stays so."""
    return versions.items() <= (standing.tables.items() if standing else {}.items()) or (
        standing is not None and standing.passed_over == versions
    )


def _crowded() -> ConflictError:
    return ConflictError("other runs publish all the time", where=STAR, next_step="Run again.")


def _held(previous: int | None, reasons: list[str]) -> Outcome:
    stands = "no star is published yet" if previous is None else f"readers keep star {previous}"
    return Outcome(held=f"{'; '.join(reasons)}; {stands}")


def _standing(lake: Lake, *, by_hand: bool) -> tuple[int | None, Manifest | None]:
    """The newest star's number and the star; by hand, one that is damaged is passed over."""
    numbers = lake.stars.numbers()
    try:
        return (numbers[-1], lake.stars.read(numbers[-1])) if numbers else (None, None)
    except StorageError:
        if not by_hand:
            raise
        return numbers[-1], None


def _is_stale(lake: Lake, old: Versions) -> bool:
    """Whether the newest star knows a newer version of a table, or another table, than this run's handle shows."""
    for name in old.keys() & lake.catalog.models.keys():
        table = lake.table("gold", name)
        if table is not None and (table.identity != old[name].id or table.version < old[name].version):
            return True
    return False


def _look_again(lake: Lake) -> None:
    for name in lake.catalog.models:
        lake.forget(name)


def _versions(lake: Lake) -> dict[str, TableVersion]:
    found = {name: lake.table("gold", name) for name in sorted(lake.catalog.models)}
    return {name: version_of(table) for name, table in found.items() if table is not None}


def _choose(lake: Lake, versions: Versions, old: Versions) -> tuple[dict[str, TableVersion], list[str]]:
    """The versions of the next star, and why groups of tables keep those that readers see: all of a group's tables move, or none."""
    chosen: dict[str, TableVersion] = {}
    held = []
    for group in lake.catalog.connected():
        reason = _apart(lake, group, old)
        taken = versions if reason is None else old
        chosen |= {name: taken[name] for name in group if name in taken}
        if reason is not None and any(versions.get(name) != old.get(name) for name in group):
            held.append(reason)
    return dict(sorted(chosen.items())), held


def _apart(lake: Lake, group: set[str], old: Versions) -> str | None:
    """Why the tables of a group are not of one state of silver; None where they are.

    A model that was never built is left out of a group that readers see already: none of the others is built from it.
    """
    tables = {name: lake.table("gold", name) for name in sorted(group)}
    seen: dict[str, tuple[str, int | None]] = {}
    for name, table in tables.items():
        if table is None:
            if name in old or old.keys().isdisjoint(group):
                return f"gold.{name} is not built"
            continue
        for layer, read in sorted(lake.catalog.inputs(name)):
            number = table.number(consumed(layer, read))
            if layer == "silver":
                other, theirs = seen.setdefault(read, (name, number))
                if number is None or number != theirs:
                    return f"gold.{name} and gold.{other} are built from different states of silver.{read}"
            else:
                there = tables[read]
                if there is None or number != there.batch:
                    return f"gold.{name} is not built from gold.{read} as it is now"
    return None


def _judged(lake: Lake, tables: dict[str, TableVersion], previous: int | None, standing: Manifest | None) -> Manifest | str:
    """The next star, judged; or why it cannot be judged now.

    Raises:
        QualityError: A check fails.
    """
    from lakehouse.quality.star import judge, rules_of  # noqa: PLC0415  a run without changes judges nothing

    rules = rules_of(lake.catalog, tables)
    read: dict[tuple[str, str], Table] = {}
    for layer, name in sorted({("gold", name) for name in tables} | {pair for rule in rules for pair in rule.reads}):
        table = lake.table(layer, name)
        if table is not None and layer == "gold" and version_of(table) != tables[name]:
            table = lake.gold_at(name, tables[name].version)
        if table is None:
            return f"{layer}.{name} is not there, and a check reads it"
        read[layer, name] = table
    moved = {name for name in tables if standing is None or standing.tables.get(name) != tables[name]}
    for rule in rules:
        if moved & {name for layer, name in rule.reads if layer == "gold"}:
            for silver in sorted(name for layer, name in rule.reads if layer == "silver"):
                built = {
                    read["gold", name].number(consumed("silver", silver))
                    for name in tables
                    if ("silver", silver) in lake.catalog.inputs(name)
                }
                if built and built != {read["silver", silver].batch}:
                    return f"silver.{silver} moved on since gold was built from it, and check {rule.name} reads it"
    checks = judge(lake, rules, read, standing)
    return Manifest((previous or 0) + 1, lake.run_id, lake.now(), tables, previous, checks)
