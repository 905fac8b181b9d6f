"""Whatever runs, fixes, drops, undos and redos come in whatever order: what stands is what bronze and the corrections give again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse import Lakehouse
from lakehouse.errors import QualityError, UsageError
from lakehouse.lake import Lake
from lakehouse.model.repair import Chosen, Edit
from lakehouse.quality.corrections import read
from tests.lakes import change_source, open_shop, require_success, write_project

ITEMS = """
from: items
mode: {mode}
keys: [{keys}]
cursor: at
lookback: 9999d
history: {history}
columns: {{id: bigint, a: bigint, b: bigint, at: timestamp}}
expect:
  r1: {{that: a > 0, else: quarantine}}
  r2: {{that: b < 3, else: drop}}
  u1: {{unique: b, else: {unique}}}
"""
ROW = st.tuples(st.one_of(st.none(), st.integers(1, 4)), st.integers(-1, 2), st.integers(0, 3), st.integers(0, 4))
ACT = st.one_of(
    st.tuples(st.just("run"), st.lists(ROW, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["fix", "drop", "undo", "redo", "rebuild", "fix later"]), st.integers(0, 9)),
)
FIXES = ({"a": "1"}, {"a": "abs(a) + 1", "b": "0"}, {"id": "coalesce(id, 3)"}, {"id": "coalesce(id, 2)", "a": "2"}, {"b": "b + 1"})


class World:
    """A lake under acts."""

    def __init__(self, folder: Path, history: str, unique: str, keys: str) -> None:
        self.folder, self.runs, self.acts = folder, list[str](), list[str]()
        mode, history = ("incremental", history) if keys else ("append", "scd1")
        text = ITEMS.format(history=history, unique=unique, keys=keys, mode=mode)
        text = text if keys else text.partition("  u1:")[0]
        write_project(folder, {"metadata/sources/shop.yml": "connection: shop\n", "metadata/tables/shop/items.yml": text})
        change_source(folder / "source.db", "create table items (id integer, a integer, b integer, at timestamp);")

    @property
    def house(self) -> Lakehouse:
        return open_shop(self.folder)

    def do(self, kind: str, given: Any) -> None:  # noqa: ANN401  what the kind takes
        if kind == "run":
            values = ", ".join(f"({'null' if row[0] is None else row[0]}, {row[1]}, {row[2]}, '2029-01-0{row[3] + 1}')" for row in given)
            change_source(self.folder / "source.db", f"insert into items values {values};")
            done = self.house.run()
            assert done.status in ("success", "unchanged"), [step.error for step in done.steps if step.error]
            self.runs.append(done.run_id)
        elif kind == "rebuild":
            require_success(self.house, rebuild=["items"])
        elif kind in ("undo", "redo"):
            ids = self.runs if kind == "undo" else self.acts
            if ids:
                self._try(lambda: self.house.undo(ids[given % len(ids)]).run)
        else:
            open_ = self.house.rejects("items", limit=99)
            if open_:
                chosen = Chosen(pointers=[open_[given % len(open_)]["_row_hash"]])
                edit = Edit(sql=FIXES[given % len(FIXES)])
                later = kind == "fix later"
                self._try(
                    lambda: self.house.drop("items", chosen) if kind == "drop" else self.house.fix("items", chosen, edit, replay=not later)
                )

    def _try(self, act: Any) -> None:  # noqa: ANN401  an act
        try:
            done = act()
        except (UsageError, QualityError):
            return
        run = getattr(done, "run", done)
        assert run is None or run.status in ("success", "unchanged"), [step.error for step in run.steps if step.error]
        self.acts.append(getattr(done, "act", None) or done.run_id)

    def stands(self) -> tuple[Any, ...]:
        rows = sorted(self.house.scan("silver.items").collect().rows(), key=repr)
        names = ("reason", "rules", "key", "_batch", "_row_hash")
        listed = sorted((tuple(row[name] for name in names) for row in self.house.rejects("items", limit=999)), key=repr)
        return rows, listed, self.house.quality("items")["tables"]

    def require_whole(self) -> None:
        if not self.runs:
            return
        require_success(self.house)
        stands = self.stands()
        (account,) = stands[2]
        parts = [account[name] for name in ("accepted", "repaired", "rejected", "dropped", "undone")]
        assert (account["unaccounted"], account["waiting"], account["input"]) == (0, 0, sum(parts))
        assert min(parts) >= 0
        assert account["input"] == self.house.scan("bronze.items").collect().height
        require_success(self.house, rebuild=["items"])
        assert self.stands() == stands
        with Lake.open(self.folder, self.house.settings) as lake:
            assert [each.act for each in read(lake.corrections())] == sorted(
                (each.act for each in read(lake.corrections())), key=self.acts.index
            )


def lived(folder: Path, acts: list[tuple[str, Any]], history: str, unique: str, keys: str) -> None:
    world = World(folder, history, unique, keys)
    for kind, given_ in acts:
        world.do(kind, given_)
    world.require_whole()


SHAPES = (st.sampled_from(["scd1", "scd2"]), st.sampled_from(["quarantine", "warn"]), st.sampled_from(["id", "id", ""]))


@given(st.lists(ACT, min_size=3, max_size=8), *SHAPES)
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_what_stands_is_what_bronze_and_corrections_give(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, Any]], history: str, unique: str, keys: str
) -> None:
    lived(tmp_path_factory.mktemp("lived"), [("run", [(1, 1, 0, 0), (2, -1, 1, 0), (None, 1, 1, 1)]), *acts], history, unique, keys)


@pytest.mark.long
@given(st.lists(ACT, min_size=3, max_size=14), *SHAPES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_stands_is_what_bronze_and_corrections_give_at_length(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, Any]], history: str, unique: str, keys: str
) -> None:
    lived(tmp_path_factory.mktemp("lived"), acts, history, unique, keys)
