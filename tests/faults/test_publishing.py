"""Promise 4: whatever breaks, and whoever writes meanwhile, readers see one star whole, and never an older one than before."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from lakehouse.lake import Lake
from lakehouse.pipeline.publish import publish, rollback
from lakehouse.pipeline.run import run
from tests.dying import DiedError, mortal
from tests.faults.counting import COUNTED
from tests.faults.marked import make, mark, seen
from tests.lakes import open_shop, require_success

KINDS = ("before", "after", "error")
ACTS: dict[str, Callable[[Lake], object]] = {"run": run, "publish": publish, "rollback": rollback}
SAMPLED = 3
PUBLISHES, PUBLISHES_IN_LONG = 10, 100


class Story:
    """A shop of two stars and a third one on the way: marked 1, 2, and 3 in the source, or staged where it is published by hand."""

    def __init__(self, act: str, folder: Path) -> None:
        self.act, self._folder, self._number = act, folder, 0
        self._before = make(folder / "before")
        for number in (1, 2, 3):
            mark(self._before, number)
            if number < 3 or act == "publish":
                require_success(open_shop(self._before))
        if act == "publish":
            next((self._before / "lake/_stars").glob("*3.json")).unlink()
        whole = self._again()
        effects, _ = self._strike(whole, "")
        self.after = {"run": {3}, "publish": {3}, "rollback": {1}}[act]
        assert seen(open_shop(whole)) == self.after
        first = next((place for place, name in enumerate(effects) if "gold" in name), 0)
        self.struck = {place + 1: name for place, name in enumerate(effects) if place >= first}
        self.put = next(place for place, name in self.struck.items() if name.startswith("put ") and "_audit" not in name)

    def _again(self) -> Path:
        self._number += 1
        return Path(shutil.copytree(self._before, self._folder / str(self._number)))

    def _strike(self, project: Path, fault: str) -> tuple[list[str], bool]:
        house = open_shop(project, fault=fault)
        with mortal(), suppress(DiedError, LakehouseError), Lake.open(project, house.settings) as lake:
            try:
                ACTS[self.act](lake)
            finally:
                trace = list(lake.effects.trace)
        return trace, True

    def require_old_or_new(self, kind: str, at: int) -> None:
        """Strike at one effect: readers see the old star before it is put, and the new one from then on; the next run ends it."""
        project = self._again()
        self._strike(project, f"{kind}:{at}")
        is_new = at > self.put or (at == self.put and kind == "after")
        assert seen(open_shop(project)) == (self.after if is_new else {2}), (kind, self.struck[at])
        if self.act == "rollback":
            return
        require_success(open_shop(project))
        assert seen(open_shop(project)) == self.after
        stars = len(open_shop(project).stars())
        require_success(open_shop(project))
        assert len(open_shop(project).stars()) == stars == 3
        shutil.rmtree(project)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Story]:
    told: dict[str, Story] = {}

    def story(act: str) -> Story:
        if act not in told:
            told[act] = Story(act, tmp_path_factory.mktemp(act))
        return told[act]

    return story


@pytest.mark.parametrize("act", ACTS)
def test_a_fault_at_some_effects_of_a_publish(stories: Callable[[str], Story], act: str) -> None:
    story, chance = stories(act), random.Random(7)
    for kind in KINDS:
        story.require_old_or_new(kind, story.put)
    if act == "run":
        for at in chance.sample(sorted(story.struck), SAMPLED):
            story.require_old_or_new(chance.choice(KINDS), at)


@pytest.mark.long
@pytest.mark.parametrize("act", ACTS)
def test_a_fault_at_every_effect_of_a_publish(
    stories: Callable[[str], Story], act: str, record_property: Callable[[str, object], None]
) -> None:
    story = stories(act)
    for kind in KINDS:
        for at in story.struck:
            story.require_old_or_new(kind, at)
        record_property(COUNTED, ("a folder", f"publish by {act}", kind, len(story.struck)))


def test_what_a_reader_would_see_in_the_middle_of_a_run(tmp_path: Path) -> None:
    project, looks = make(tmp_path), list[tuple[set[int], set[int]]]()
    house = open_shop(project)
    require_success(house)
    mark(project, 2)
    require_success(house, progress=lambda _: looks.append((seen(house, staged=True), seen(house))))
    assert [published for _, published in looks] == [{1}] * (len(looks) - 1) + [{2}]
    assert {1, 2} in [staged for staged, _ in looks]


@pytest.mark.parametrize("publishes", [PUBLISHES, pytest.param(PUBLISHES_IN_LONG, marks=pytest.mark.long)])
def test_a_reader_in_another_process_sees_one_star_at_a_time(tmp_path: Path, publishes: int) -> None:
    project = make(tmp_path)
    with Lake.open(project, open_shop(project).settings) as lake:
        assert run(lake).status == "success"
        command = (sys.executable, "-m", "tests.faults.marked", str(project))
        reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for number in range(2, publishes + 2):
            lake.begin()
            mark(project, number)
            assert run(lake).status == "success"
        (project / "stop").touch()
        told, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    found = json.loads(told)
    assert all(len(marks) == 1 for marks in found["marks"]), found
    assert found["marks"] == sorted(found["marks"])
    assert len(found["marks"]) > 1, found
    assert open_shop(project).stars()[0]["star"] == publishes + 1


def test_of_publishers_at_once_one_publishes(tmp_path: Path) -> None:
    project = make(tmp_path)
    require_success(open_shop(project))
    shutil.rmtree(project / "lake/_stars")
    with ThreadPoolExecutor(4) as threads:
        made = [future.result() for future in [threads.submit(open_shop(project).publish) for _ in range(4)]]
    assert [star.star for star in made if star is not None] == [1]
    assert seen(open_shop(project)) == {1}


@pytest.mark.long
def test_runs_at_once_publish_whole_stars_that_only_go_forward(tmp_path: Path) -> None:
    project = make(tmp_path)
    require_success(open_shop(project))

    def work(_: int) -> None:
        for _ in range(10):
            open_shop(project, wait_seconds=60).run()

    with ThreadPoolExecutor(2) as threads:
        working = [threads.submit(work, number) for number in range(2)]
        for number in range(2, 30):
            mark(project, number)
        for each in working:
            each.result()
    require_success(open_shop(project))
    stars = open_shop(project).stars()[::-1]
    for before, star in pairwise(stars):
        assert all(star["tables"][name] >= version for name, version in before["tables"].items())
    assert seen(open_shop(project)) == {29}
