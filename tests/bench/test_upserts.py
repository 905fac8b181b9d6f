"""W5 and W6: changes into silver (one row a key, and a history), beside other ways to the same table."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from lakehouse.lake import Lake
from lakehouse.stages.silver import fold
from tests.bench import peers
from tests.bench.folds import MEMORY, SLICE, State, changed, copy, orders, sizes, versions
from tests.bench.harness import PROGRAMS, ROUNDS, Taken, interleave, keep, measure, middle, report, settle_disk
from tests.bench.programs import rewrite
from tests.bench.source import ROWS, sums

pytestmark = pytest.mark.bench

LIMIT = 1024
"""MB: what `folds.MEMORY` says."""


class Ways:
    """The programs that bring the same changes into the same table, each on a copy of its own, whose rows must be equal."""

    def __init__(self, state: State, work: str, total: Callable[[pl.LazyFrame], Any]) -> None:
        self.state, self.work, self.total, self.at = state, work, total, state.folder.parent / "turn"
        self.results: dict[str, Any] = {}

    def run(self, name: str, base: Path, words: list[str], rows: Callable[[Path], pl.LazyFrame], environment: dict[str, str]) -> Taken:
        """One program over a copy of `base`, which stands for {} in its words."""
        copy(base, self.at)
        before = sizes(self.at)
        taken = measure([word.replace("{}", str(self.at)) for word in words], environment)
        written = sum(max(size - before.get(path, 0), 0) for path, size in sizes(self.at).items())
        self.results[name] = self.total(rows(self.at))
        shutil.rmtree(self.at)
        return replace(taken, written_mb=written / 1e6)

    def delta(self, program: str, *also: str) -> Taken:
        """A program of one file over the product's own table."""
        silver = str(self.state.silver(Path("{}")))
        words = [sys.executable, str(PROGRAMS / f"{program}.py"), self.work, silver, str(self.state.changes), *also]
        return self.run(" ".join((program, *also)), self.state.folder, words, lambda lake: scan(self.state.silver(lake)), {})

    def product(self) -> Taken:
        words = [sys.executable, str(PROGRAMS / "silver.py"), str(self.state.project), self.state.table]
        return self.run("lakehouse", self.state.folder, words, lambda lake: scan(self.state.silver(lake)), self.state.environment(self.at))

    def peer(self, name: str, python: str, base: Path, words: list[str], rows: Callable[[Path], pl.LazyFrame]) -> Callable[[], Taken]:
        environment = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
        return lambda: self.run(name, base, [python, *words], rows, environment)

    def compare(self, title: str, others: dict[str, Callable[[], Taken]], **facts: object) -> None:
        """All ways in one interleaved run, with equal rows at the end."""
        variants: dict[str, Callable[[], Taken]] = {
            "copy-on-write by hand": lambda: self.delta("rewrite"),
            "the same, durable": lambda: self.delta("rewrite", "durable"),
            "lakehouse": self.product,
            "delta-rs MERGE": lambda: self.delta("merge"),
        }
        taken = interleave({**variants, **others})
        assert len(set(self.results.values())) == 1, self.results
        load = f"{os.getloadavg()[0]:.1f}"
        report(title, taken, **facts, memory=MEMORY, load=load, rows_equal=True)
        assert middle(taken["lakehouse"]).peak_mb <= LIMIT

    def resident(self, title: str) -> None:
        """The product's step and the hand-made one in this process, where everything is imported."""
        by_hand = getattr(rewrite, self.work)
        names = ("by hand", "by hand, durable", "lakehouse")
        seconds: dict[str, list[float]] = {}
        for turn in range(ROUNDS + 1):
            for name in names[:: 1 if turn % 2 else -1]:
                copy(self.state.folder, self.at)
                settle_disk()
                with Lake.open(self.state.project, self.state.settings(self.at)) as lake:
                    for layer in ("bronze", "silver"):
                        lake.table(layer, self.state.table)
                    begun, used = time.perf_counter(), time.process_time()
                    if name == "lakehouse":
                        fold(lake, lake.catalog.tables[self.state.table])
                    else:
                        by_hand(str(self.state.silver(self.at)), str(self.state.changes), durable=name != "by hand")
                    if turn:
                        seconds.setdefault(name, []).append(time.perf_counter() - begun)
                        seconds.setdefault(f"{name}, cpu", []).append(time.process_time() - used)
                shutil.rmtree(self.at)
        each = {name: median(values) for name, values in seconds.items()}
        print(f"{title}, resident: {', '.join(f'{name} {1000 * value:.0f} ms' for name, value in each.items())}", end="; ")
        wall, durable, cpu = (
            each["lakehouse"] / each["by hand"],
            each["lakehouse"] / each["by hand, durable"],
            each["lakehouse, cpu"] / each["by hand, cpu"],
        )
        print(f"x {wall:.2f} (durable {durable:.2f}), of cpu x {cpu:.2f}")
        keep(f"{title}-resident", seconds=seconds)


def scan(table: Path) -> pl.LazyFrame:
    return pl.scan_parquet(DeltaTable(table).file_uris(), missing_columns="insert")


def history_sums(rows: pl.LazyFrame) -> tuple[Any, ...]:
    """Count, open rows, keys, contents and bounds of a history."""
    bounds = [pl.col(name).dt.epoch("s").cast(pl.Int64).sum() for name in ("valid_from", "valid_to")]
    texts = [pl.col(name).str.len_chars().sum().cast(pl.Int64) for name in ("name", "country", "segment")]
    score = (pl.col("score") * 7).round().sum().cast(pl.Int64)
    opened = pl.col("valid_to").is_null().sum().cast(pl.Int64).alias("open")
    return rows.select(pl.len(), pl.col("id").sum(), opened, *bounds, *texts, score).collect(engine="streaming").row(0)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> State:
    """One row for each of `ROWS` keys."""
    ids = pl.int_range(1, ROWS + 1, eager=True, dtype=pl.Int64)
    slices = [orders(ids.slice(at, SLICE).alias("id")) for at in range(0, ROWS, SLICE)]
    return State.make(tmp_path_factory.mktemp("facts"), "orders", slices)


@pytest.fixture(scope="module")
def dlt_base(facts: State) -> Path | None:
    """The same rows, loaded by dlt."""
    python, folder = peers.python(), facts.base.parent / "dlt"
    if python is not None:
        measure([python, str(PROGRAMS / "dlt_upsert.py"), str(folder), str(facts.base)], {"RUNTIME__DLTHUB_TELEMETRY": "false"})
    return None if python is None else folder


@pytest.mark.parametrize("kind", ["skewed", "uniform", "recent"])
@pytest.mark.parametrize("share", [500, 50])
def test_upserts(facts: State, dlt_base: Path | None, kind: str, share: int) -> None:
    count = ROWS // share
    ways = Ways(facts.with_changes(f"{kind}_{count}", orders(changed(kind, ROWS, count), 1)), "upsert", sums)
    others = {}
    if dlt_base is not None:
        words = [str(PROGRAMS / "dlt_upsert.py"), "{}", str(ways.state.changes)]
        python = str(peers.FOLDER / "bin" / "python")
        others["dlt upsert"] = ways.peer("dlt", python, dlt_base, words, lambda at: scan(at / "bucket/silver/orders"))
    title = f"W5 upsert {count} {kind}"
    ways.compare(title, others, rows=ROWS)
    ways.resident(title)
    shutil.rmtree(ways.state.folder)


def test_history(tmp_path: Path) -> None:
    keys = ROWS // 25
    ids = pl.int_range(1, keys + 1, eager=True, dtype=pl.Int64).alias("id")
    state = State.make(tmp_path, "dim", [versions(ids, turn) for turn in range(5)])
    ways = Ways(state.with_changes("changed", versions(ids.gather_every(10), 6)), "extend", history_sums)
    others, python = {}, peers.python()
    if python is not None:
        program, base = str(PROGRAMS / "snapshot.py"), tmp_path / "dbt"
        measure([python, program, "begin", str(base), str(state.base)], {})
        words = [program, "snapshot", "{}", str(ways.state.changes)]
        others["dbt-duckdb snapshot"] = ways.peer("dbt", python, base, words, snapshot_rows)
    ways.compare("W6 history", others, keys=keys, history=5 * keys, changes=keys // 10)
    ways.resident("W6 history")


def snapshot_rows(at: Path) -> pl.LazyFrame:
    """What dbt's table holds, in the product's words."""
    query = "select id, name, country, segment, score, dbt_valid_from as valid_from, dbt_valid_to as valid_to from dim"
    with duckdb.connect(str(at / "dim.duckdb"), read_only=True) as connection:
        return pl.DataFrame(connection.sql(query).to_arrow_table()).lazy()
