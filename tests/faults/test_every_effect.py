"""Promise 2: whatever effect fails, or whatever moment the process dies at, the same command again brings the lake to the same tables."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.errors import StorageError
from tests.faults.counting import COUNTED
from tests.faults.modes import MODES, Mode
from tests.faults.sites import TABLES, Site
from tests.lakes import SHOP_TABLES, change_source, require_success, write_project
from tests.servers import Azurite
from tests.stores import make_container

CRASHES = ("before", "after")
TWICE = {"columns": ["bronze.customers"], "sweep": ["bronze.customers", "bronze.orders"], "heal": ["bronze.customers", "bronze.orders"]}
"""Where a mode commits twice: a new column before its rows, tombstones after the rows that came."""
SAMPLED, SAMPLED_ON_AZURE, THIRD = 12, 3, 3


class Story:
    """One mode's run without a fault, kept: the lake before it, its effects, and the lake after it."""

    def __init__(self, mode: Mode, folder: Path, azurite: str = "") -> None:
        self.mode, self._folder, self._number = mode, folder, 0
        project = write_project(folder / "before", mode.files)
        change_source(project / "source.db", SHOP_TABLES)
        self._before = Site(project, azurite, make_container(azurite) if azurite else "")
        for script in mode.before:
            change_source(project / "source.db", script)
            require_success(self._before.open())
        write_project(project, mode.then)
        change_source(project / "source.db", mode.change)
        whole = self.again()
        done, self.effects = whole.act(mode.act)
        assert done.status == "success", [step.error for step in done.steps if step.error]
        whole.require_one_truth(died=0)
        self.after = whole.state()

    def again(self) -> Site:
        """A fresh copy of the lake before the run."""
        self._number += 1
        return self._before.copy(self._folder / str(self._number))

    def require_whole(self, site: Site, *, died: int = 1, settled: bool = True) -> None:
        """The same command again ends with the tables of the run without a fault; where it is asked, a run after it makes no version."""
        done, _ = site.act(self.mode.act)
        assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
        found = site.state()
        assert (found.distinct() if self.mode.anew else found) == (self.after.distinct() if self.mode.anew else self.after)
        site.require_one_truth(died)
        if settled:
            stands = site.versions()
            require_success(site.open())
            assert site.versions() == stands
        site.remove()

    def fail(self, k: int) -> None:
        """Raise an error in the place of an effect, then require all."""
        site = self.again()
        try:
            done, _ = site.act(self.mode.act, fault=f"error:{k}")
        except StorageError:
            recorded = False
        else:
            assert done.status == "failed", self.effects[k - 1]
            assert any(step.error for step in done.steps if step.status == "failed")
            recorded = all(step.step != "ledger" for step in done.steps)
        self.require_whole(site, died=0 if recorded else 1, settled=k % 4 == 0)

    def crash(self, kind: str, k: int) -> None:
        """Die at an effect in a process of its own, then require all."""
        site = self.again()
        site.crash(self.mode.words, f"{kind}:{k}")
        self.require_whole(site)

    def strike_everywhere(self, kind: str, start: int = 1, step: int = 1) -> int:
        """Strike at each effect in turn, or at every so many; at how many."""
        struck = range(start, len(self.effects) + 1, step)
        for k in struck:
            if kind == "error":
                self.fail(k)
            else:
                self.crash(kind, k)
        return len(struck)

    def crash_about(self, kind: str, part: float) -> None:
        """Die at the effect that is at a part of the way."""
        self.crash(kind, 1 + int(part * len(self.effects)))


class Stories:
    """The stories of one kind of store, each told when it is first asked for."""

    def __init__(self, folder: Path, azurite: str = "") -> None:
        self._folder, self._azurite, self._told = folder, azurite, dict[str, Story]()

    def __getitem__(self, mode: str) -> Story:
        if mode not in self._told:
            self._told[mode] = Story(MODES[mode], self._folder / mode, self._azurite)
        return self._told[mode]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Stories:
    return Stories(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, azurite: Azurite) -> Stories:
    return Stories(tmp_path_factory.mktemp("remote"), azurite.url)


def sample(count: int) -> list[tuple[str, str, float]]:
    """Crashes spread over modes, kinds and the way through a run; the same ones each time."""
    chance = random.Random(count)
    pairs = [(mode, kind) for mode in MODES for kind in CRASHES]
    chance.shuffle(pairs)
    return [(*pairs[number % len(pairs)], round(chance.random(), 2)) for number in range(count)]


def test_a_commit_carries_rows_and_state_together_and_comes_before_what_is_built_on_it(local: Stories) -> None:
    for mode in MODES:
        effects = local[mode].effects
        commits = [name.removeprefix("commit ") for name in effects if name.startswith("commit ")]
        last = {name: number for number, name in enumerate(commits)}
        for earlier, later in (("bronze.orders", "silver.orders"), ("silver.customers", "gold.dim_customer"), TABLES[-2:]):
            assert last[earlier] < last[later], mode
        for table in TABLES:
            assert effects.index(f"write {table}") < len(effects) - effects[::-1].index(f"commit {table}") - 1, mode
        assert "ledger" in commits[-1]
        bare = Counter(commits)
        twice = TWICE.get(mode, ())
        assert {name: count for name, count in bare.items() if name in TABLES} == {name: 1 + (name in twice) for name in TABLES}, mode


@pytest.mark.parametrize(("mode", "start"), [(mode, 1 + number % THIRD) for number, mode in enumerate(MODES) if mode != "heal"])
def test_an_error_at_every_third_effect(local: Stories, mode: str, start: int, record_property: Callable[[str, object], None]) -> None:
    record_property(COUNTED, ("a folder", mode, "error", local[mode].strike_everywhere("error", start, THIRD)))


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_an_error_at_every_effect(local: Stories, mode: str, record_property: Callable[[str, object], None]) -> None:
    record_property(COUNTED, ("a folder", mode, "error", local[mode].strike_everywhere("error")))


@pytest.mark.parametrize(("mode", "kind", "part"), sample(SAMPLED))
def test_a_crash_at_some_effects(local: Stories, mode: str, kind: str, part: float) -> None:
    local[mode].crash_about(kind, part)


@pytest.mark.parametrize(("mode", "kind", "part"), sample(SAMPLED_ON_AZURE))
def test_a_crash_at_some_effects_on_azure(remote: Stories, mode: str, kind: str, part: float) -> None:
    remote[mode].crash_about(kind, part)


@pytest.mark.long
@pytest.mark.parametrize("kind", CRASHES)
@pytest.mark.parametrize("mode", MODES)
def test_a_crash_at_every_effect(local: Stories, mode: str, kind: str, record_property: Callable[[str, object], None]) -> None:
    record_property(COUNTED, ("a folder", mode, kind, local[mode].strike_everywhere(kind)))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["error", *CRASHES])
@pytest.mark.parametrize("mode", MODES)
def test_every_effect_on_azure(remote: Stories, mode: str, kind: str, record_property: Callable[[str, object], None]) -> None:
    record_property(COUNTED, ("Azurite", mode, kind, remote[mode].strike_everywhere(kind)))
