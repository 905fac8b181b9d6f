"""Runs the cases of `metadata/tests/` in memory, by the very code that folds silver and builds gold."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lakehouse.catalog import load
from lakehouse.catalog.cases import Found, read_cases
from lakehouse.errors import LakehouseError, MetadataError, UsageError
from lakehouse.model.case import Outcome, Report
from lakehouse.pipeline.given import Given, Malformed
from lakehouse.pipeline.verdict import problems

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lakehouse.catalog import Catalog
    from lakehouse.engines.duck import Duck
    from lakehouse.settings import Settings


def run_cases(project: Path, settings: Settings, select: Iterable[str] = ()) -> Report:
    """What came of the selected cases, in their order; no word selects all.

    Raises:
        MetadataError: The metadata or the cases have faults that can be seen without running them.
        UsageError: A word names nothing.
    """
    from lakehouse.engines.duck import Duck  # noqa: PLC0415  loaded where SQL runs

    begun = time.perf_counter()
    catalog = load(project)
    found, faults = read_cases(project, catalog)
    if faults:
        raise MetadataError(faults)
    report = Report()
    duck = Duck(int(settings.memory_limit))
    try:
        for each in _selected(found, catalog, select):
            report.cases.append(_outcome(each, catalog, duck))
    finally:
        duck.close()
    report.seconds = time.perf_counter() - begun
    return report


def _selected(found: list[Found], catalog: Catalog, select: Iterable[str]) -> list[Found]:
    words = [part.strip() for word in select for part in word.split(",") if part.strip()]
    if not words:
        return found
    chosen: set[int] = set()
    for word in words:
        named = {id(each) for each in found if fnmatchcase(each.case.name, word) or each.case.of == word}
        if not named:
            try:
                nodes = catalog.graph.select([word])
            except UsageError as exc:
                raise UsageError(f"--select {word!r} names no case, table, model or tag", next_step=exc.next_step) from exc
            named = {id(each) for each in found if each.case.node in nodes}
        chosen |= named
    return [each for each in found if id(each) in chosen]


def _outcome(found: Found, catalog: Catalog, duck: Duck) -> Outcome:
    case, begun = found.case, time.perf_counter()
    outcome = Outcome(case.name, case.of, found.document.file, found.line)
    given = Given(found, catalog, duck)
    try:
        outcome.problems = problems(given)
        outcome.status = "failed" if outcome.problems else "passed"
    except Malformed as exc:
        outcome.status, outcome.faults = "malformed", exc.faults
    except LakehouseError as exc:
        outcome.status, outcome.error = "failed", str(exc)
    outcome.seconds = time.perf_counter() - begun
    return outcome
