"""An act of a person that fails or dies at any effect, and is done again, ends as the one that nothing struck."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.errors import StorageError, UsageError
from lakehouse.lake import Lake
from lakehouse.model.repair import Chosen, Edit
from lakehouse.model.run import Run
from lakehouse.pipeline.repair import fix
from lakehouse.pipeline.run import run
from lakehouse.pipeline.undo import undo
from tests.faults.modes import CHANGES, ORDERS, START
from tests.faults.sites import Site
from tests.lakes import SHOP, SHOP_TABLES, change_source, write_project

FILES = {**SHOP, ORDERS: SHOP[ORDERS] + "expect: {paid: {that: amount > 0, else: quarantine}}\n"}
BAD = "insert into orders values (90, 1, '-3.00', '2026-01-09 00:00:00'), (91, 2, '-4.00', '2026-01-09 00:00:00');"
LATER = "update customers set city = 'Kyiv', changed_at = '2026-01-20 00:00:00' where id = 1;"


class Told:
    """A lake with three runs, the second of which is bad; and the lake after the act that nothing struck."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder, self._number, self._kind = folder, 0, kind
        project = write_project(folder / "before", FILES)
        change_source(project / "source.db", SHOP_TABLES)
        self._before, ids = Site(project), []
        for script in (START, CHANGES + BAD, LATER):
            change_source(project / "source.db", script)
            done, _ = self._before.act(run)
            assert done.status == "success"
            ids.append(done.run_id)
        self._second = ids[1]
        whole = self.again()
        done, self.effects = whole.act(self.act)
        assert done.status == "success"
        self.after = whole.state()

    @property
    def words(self) -> tuple[str, ...]:
        return ("undo", self._second) if self._kind == "undo" else ("rejects", "fix", "orders", "--rule", "paid", "--set", "amount=-amount")

    def act(self, lake: Lake) -> Run:
        if self._kind == "undo":
            done = undo(lake, self._second).run
        else:
            done = fix(lake, "orders", Chosen(rule="paid"), Edit(sql={"amount": "-amount"})).run
        assert done is not None
        return done

    def again(self) -> Site:
        self._number += 1
        return self._before.copy(self._folder / str(self._number))

    def require_whole(self, site: Site) -> None:
        """The act again, or where it had been recorded a run, ends as the one that nothing struck."""
        try:
            done, _ = site.act(self.act)
        except UsageError:
            done, _ = site.act(run)
        assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
        assert site.state() == self.after
        assert {row["unaccounted"] for row in site.open().quality()["tables"]} == {0}
        site.remove()

    def fail(self, k: int) -> None:
        site = self.again()
        try:
            done, _ = site.act(self.act, fault=f"error:{k}")
        except StorageError:
            pass
        else:
            assert done.status == "failed", self.effects[k - 1]
        self.require_whole(site)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Told]:
    made: dict[str, Told] = {}

    def tell(kind: str) -> Told:
        if kind not in made:
            made[kind] = Told(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return tell


@pytest.mark.parametrize("kind", ["undo", "fix"])
def test_what_people_say_is_committed_before_what_follows_from_it(told: Callable[[str], Told], kind: str) -> None:
    effects = told(kind).effects
    assert effects[0].startswith("put _audit")
    commits = [name for name in effects if name.startswith("commit ") and name != "commit ledger.steps"]
    assert (commits[0], "ledger" in [name for name in effects if name.startswith("commit ")][-1]) == ("commit bronze._corrections", True)
    assert {"commit silver.orders", "commit gold.fact_order"} <= set(commits)


@pytest.mark.parametrize("kind", ["undo", "fix"])
def test_an_error_at_some_effects(told: Callable[[str], Told], kind: str) -> None:
    for k in range(2, len(told(kind).effects) + 1, 14):
        told(kind).fail(k)


@pytest.mark.parametrize(("kind", "part"), [("undo", 0.6), ("fix", 0.3)])
def test_a_crash_at_some_effects(told: Callable[[str], Told], kind: str, part: float) -> None:
    site = told(kind).again()
    site.crash(told(kind).words, f"before:{1 + int(part * len(told(kind).effects))}")
    told(kind).require_whole(site)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["error", "before", "after"])
@pytest.mark.parametrize("kind", ["undo", "fix"])
def test_every_effect(told: Callable[[str], Told], kind: str, fault: str) -> None:
    for k in range(1, len(told(kind).effects) + 1):
        if fault == "error":
            told(kind).fail(k)
        else:
            site = told(kind).again()
            site.crash(told(kind).words, f"{fault}:{k}")
            told(kind).require_whole(site)
