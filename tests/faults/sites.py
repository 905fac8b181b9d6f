"""A project with its lake in a folder or on Azurite: copied, opened, crashed, and all that its lake holds looked at."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient

from lakehouse import Lakehouse
from lakehouse.lake import Lake
from lakehouse.model.run import Cursor, Run
from lakehouse.storage.azure.place import EMULATOR_ACCOUNT, EMULATOR_KEY
from lakehouse.storage.effects import CRASH_CODE
from tests.cli.project import Done
from tests.lakes import open_shop
from tests.stores import make_container
from tests.zygote import ZYGOTE

TABLES = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders", "gold.dim_customer", "gold.fact_order")
WHO = ("_run_id", "_batch", "_extracted_at")
"""What names a run, and not a row of the source."""
BUILT, MARKED = ("append", "replace", "apply"), ("mark",)
"""The commits that are a step's work, and those that only move its numbers; the others prepare it."""
LAYER = {"bronze": "bronze", "sweep": "bronze", "heal": "bronze", "silver": "silver", "gold": "gold"}
"""The layer that a step writes."""
NUMBERED = {"window": "lakehouse.watermark.", "refresh": "lakehouse.watermark.", "backfill": "lakehouse.backfill."}
"""What a commit of bronze says of how far it read, by what it read."""


@dataclass(frozen=True)
class State:
    """What a lake holds, apart from who wrote it and when."""

    rows: dict[str, Counter[tuple[object, ...]]]
    watermarks: dict[str, Cursor | None]

    def distinct(self) -> State:
        """The same with bronze as a set: each observation once."""
        return replace(self, rows={name: Counter(set(rows)) if name.startswith("bronze") else rows for name, rows in self.rows.items()})


@dataclass(frozen=True)
class Site:
    """A project over its SQLite file `source.db`; its lake is in its folder, or in a container of the Azurite at a URL."""

    project: Path
    azurite: str = ""
    container: str = ""

    def copy(self, to: Path) -> Site:
        """The same, once more."""
        shutil.copytree(self.project, to)
        if not self.azurite:
            return Site(to)
        made = Site(to, self.azurite, make_container(self.azurite))
        with BlobServiceClient(f"{self.azurite}/{EMULATOR_ACCOUNT}", credential=EMULATOR_KEY) as client:
            there, here = client.get_container_client(self.container), client.get_container_client(made.container)
            for blob in there.list_blobs():
                here.upload_blob(blob.name, there.download_blob(blob.name).readall())
        return made

    def remove(self) -> None:
        """Leave nothing of it."""
        shutil.rmtree(self.project)
        if self.azurite:
            with BlobServiceClient(f"{self.azurite}/{EMULATOR_ACCOUNT}", credential=EMULATOR_KEY) as client:
                client.delete_container(self.container)

    def open(self, **settings: Any) -> Lakehouse:  # noqa: ANN401  as Lakehouse.open
        """Its lakehouse, at the fixed clock."""
        if not self.azurite:
            return open_shop(self.project, **settings)
        return open_shop(self.project, lake=f"abfss://{self.container}/lake", azure={"emulator": self.azurite}, **settings)

    def act(self, act: Callable[[Lake], Run], fault: str = "") -> tuple[Run, list[str]]:
        """Do a run; its report and its effects in their order."""
        house = self.open(fault=fault)
        with Lake.open(house.project, house.settings) as lake:
            return act(lake), list(lake.effects.trace)

    def crash(self, words: tuple[str, ...], fault: str) -> None:
        """Run a command in a process of its own, which dies by the fault."""
        done = self.call(*words, fault=fault)
        assert done.code == CRASH_CODE, (words, fault, done.out + done.err)

    def call(self, *words: str, fault: str = "") -> Done:
        """Run `lakehouse <words>` as a process of its own, to its end."""
        return Done(*ZYGOTE.call(words, self.project, self.environment(fault), timeout=120))

    def environment(self, fault: str = "") -> dict[str, str]:
        """The settings of a process of its own."""
        house = self.open()
        outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
        return outer | {
            "LAKEHOUSE_FAULT": fault,
            "LAKEHOUSE_CLOCK": str(house.settings.clock),
            "LAKEHOUSE_LAKE": house.settings.lake,
            "LAKEHOUSE_AZURE__EMULATOR": self.azurite,
            "LAKEHOUSE_CONNECTION__SHOP": house.settings.url("shop"),
        }

    def state(self) -> State:
        """All rows and watermarks of its lake."""
        house = self.open()
        with Lake.open(house.project, house.settings) as lake:
            rows: dict[str, Counter[tuple[object, ...]]] = {}
            for full in TABLES:
                table = lake.table(*full.split("."))
                assert table is not None, full
                frame = table.scan().collect()
                rows[full] = Counter(frame.drop(WHO, strict=False).rows())
            return State(rows, {name: lake.watermark(name) for name in ("customers", "orders")})

    def versions(self) -> dict[str, int]:
        """The version of each of its tables."""
        return {f"{row['layer']}.{row['table']}": row["version"] for row in self.open().status()}

    def require_one_truth(self, died: int) -> None:
        """Each batch is one commit of one run, and the ledger tells of a success where the table has it, and only there (I8).

        Args:
            died: How many runs ended before they could record themselves.
        """
        house = self.open()
        recorded = [(row["run_id"], LAYER.get(row["step"]), row["table"], row["status"]) for row in house.history(1000) if row["step"]]
        runs, unknown = {run for run, *_ in recorded}, set[str]()
        built, marked = set[tuple[str, str, str]](), set[tuple[str, str, str]]()
        with Lake.open(house.project, house.settings) as lake:
            for full in TABLES:
                layer, name = full.split(".")
                table = lake.table(layer, name)
                assert table is not None, full
                stamps = [stamp for entry in table.history() if (stamp := _stamp(entry))]
                assert [stamp["batch"] for stamp in stamps] == list(range(len(stamps), 0, -1)), full
                if layer == "bronze":
                    _require_batches(table.scan().select("_batch", "_run_id").unique().collect().rows(), stamps)
                for stamp in stamps:
                    unknown |= {stamp["run_id"]} - runs
                    step = (str(stamp["run_id"]), layer, name)
                    if stamp["run_id"] in runs:
                        is_part = stamp["change"] in MARKED or stamp["step"] == "heal"  # a heal is two commits: rows, then tombstones
                        built |= {step} if stamp["change"] in BUILT and not is_part else set()
                        marked |= {step} if is_part else set()
        assert len(unknown) <= died, unknown
        told = {(run, layer, name) for run, layer, name, status in recorded if layer and status == "success"}
        assert built <= told <= built | marked, (built - told, told - built)


def _stamp(entry: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(entry.get("lakehouse", "{}")))


def _require_batches(there: list[tuple[Any, ...]], stamps: list[dict[str, Any]]) -> None:
    """Every batch of the rows is a commit of the run that the rows name, and that commit says how far it read."""
    commits = {stamp["batch"]: stamp["run_id"] for stamp in stamps if stamp["change"] == "append"}
    for stamp in stamps:
        if stamp["change"] == "append" and stamp["step"] == "bronze" and stamp.get("reads") in NUMBERED:
            assert any(name.startswith(NUMBERED[stamp["reads"]]) for name in stamp["numbers"]), stamp
    assert dict(there) == commits
    assert len(there) == len(commits)
