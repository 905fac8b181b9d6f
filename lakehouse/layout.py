"""Names and URIs of everything in the lake; no other module joins a path of it."""

from __future__ import annotations

import re
from pathlib import Path

LAYERS = ("bronze", "silver", "gold")
LEDGER = "_ledger"
COLUMN = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,62}\Z")
NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}\Z")

BATCH, RUN_ID, EXTRACTED_AT = "_batch", "_run_id", "_extracted_at"
VALID_FROM, VALID_TO, IS_CURRENT = "valid_from", "valid_to", "is_current"
IS_INFERRED = "is_inferred"
UNKNOWN_MEMBER = -1

FENCE = "lakehouse.batch"
DEFINITION = "lakehouse.definition"
FAILED_CHECKS = "lakehouse.failed_checks"


def watermark(cursor: str) -> str:
    """The app transaction that holds a bronze table's greatest value of one cursor column: another cursor starts at the beginning."""
    return f"lakehouse.watermark.{cursor}"


def backfilled(cursor: str, from_: int | None, to: int | None) -> str:
    """The app transaction of a backfill's commit: the window it read, by one cursor column, in the numbers of its values."""
    return f"lakehouse.backfill.{cursor}.{from_}.{to}"


def sequence(column: str, kind: str) -> str:
    """The app transaction that holds the greatest sequence a silver table has consumed, of one column and type."""
    return f"lakehouse.sequence.{column}.{kind}"


def consumed(layer: str, table: str) -> str:
    """The app transaction under which a table keeps how far it has read `layer.table`."""
    return f"lakehouse.consumed.{layer}.{table}"


def lake_uri(given: str, project: Path) -> str:
    """The lake's URI without a trailing slash; a plain path is taken from the project's folder."""
    if "://" in given:
        return given.rstrip("/")
    return (project / Path(given).expanduser()).resolve().as_uri()


def table_uri(lake: str, layer: str, table: str) -> str:
    """Where one table lives: `<lake>/<layer>/<table>`."""
    return f"{lake}/{layer}/{table}"
