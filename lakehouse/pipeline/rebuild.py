"""The ledger again from what the tables' commits tell, and the commits' own records kept for when their logs are cleaned."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lakehouse.layout import LAYERS
from lakehouse.pipeline.publish import STAR, step_of
from lakehouse.storage.objects import folders
from lakehouse.storage.parquet import checksum_of
from lakehouse.transform.records import steps_of

if TYPE_CHECKING:
    from lakehouse.lake import Lake


def rebuild_ledger(lake: Lake) -> int:
    """Record what the commits in the tables' logs and in `_commits` tell and the ledger does not have; how many steps came.

    What no commit knows does not come back: runs and windows that failed, or that brought nothing.
    """
    return lake.ledger.restore(steps_of([*_commits(lake), *_stars(lake), *lake.ledger.kept()], checksum_of), lake.run_id)


def keep_commits(lake: Lake) -> int:
    """Copy the records of all commits that the tables' logs have into `_commits`; how many came. To be done before a log is cleaned."""
    return lake.ledger.keep(_commits(lake), lake.run_id)


def _stars(lake: Lake) -> list[dict[str, Any]]:
    """The stars that are kept, as commits of the runs that published them."""
    return [
        {
            "table": f"gold.{STAR}",
            "version": star.star,
            "committed_at": star.at,
            "record": json.dumps({"run_id": star.run_id, "step": step_of(star), "numbers": {}}),
        }
        for star in lake.stars.kept()
    ]


def _commits(lake: Lake) -> list[dict[str, Any]]:
    """All commits of all tables in the lake, of those too that the metadata no longer names."""
    found = []
    for layer in LAYERS:
        for name in folders(lake.places.at(lake.layers[layer])):
            table = lake.table(layer, name)
            found += [
                {
                    "table": f"{layer}.{name}",
                    "version": int(entry["version"]),
                    "committed_at": datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
                    "record": entry["lakehouse"],
                }
                for entry in (() if table is None else table.history())
                if "lakehouse" in entry
            ]
    return found
