"""Names and URIs of everything in the lake; no other module joins a path of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Layer = Literal["bronze", "silver", "gold"]
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold")
LEDGER, COMMITS = "_ledger", "_commits"
"""Beside the layers: what ran, and the commits' own records where a log no longer has them."""
ERASURES = "_erasures"
"""Beside the layers: the certificates of erasures, `<lake>/_erasures/<number>.json`."""
REJECTS = "rejects"
"""Beside silver: a table for each of its tables that lists the rows which silver does not take, at `<lake>/_rejects/<table>`."""
CORRECTIONS = "_corrections"
"""The table of bronze in which people's corrections of all tables stand."""
AUDIT = "_audit"
"""Beside the layers: what people did, line by line, each one chained to the one before it by its hash."""
STARS = "_stars"
"""Beside the layers: a small file for each published star, `<lake>/_stars/000000000007.json`."""
COLUMN = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,62}\Z")
NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}\Z")

BATCH, RUN_ID, EXTRACTED_AT = "_batch", "_run_id", "_extracted_at"
OP, DELETE, REJECT, TRUNCATE = "_op", "delete", "reject", "truncate"
"""Bronze's column that says what a row is, in the tables that need it: NULL is a row as the source showed it, `delete` a tombstone
with the last values of its key, `reject` a row that silver does not take. What the table's conditions say of a row on its way to silver
stands there too, as `truncate`: every key that is older ends."""
ROW_HASH = "_row_hash"
"""Beside `_batch`, what points to a row of bronze: the hash over its own columns."""
RESCUED = "_rescued"
"""Bronze's column of values that have no column of their own type, in the tables whose contract rescues such: a JSON object of texts."""
VALID_FROM, VALID_TO, IS_CURRENT = "valid_from", "valid_to", "is_current"
IS_DELETED = "is_deleted"
"""Silver's column that tells deletes from rows, where a table keeps them (`deletes: {as_row: true}`)."""
IS_INFERRED = "is_inferred"
UNKNOWN_MEMBER = -1

FENCE = "lakehouse.batch"
DEFINITION = "lakehouse.definition"
FAILED_CHECKS = "lakehouse.failed_checks"
REJECTED = "lakehouse.rejected"
"""How often the rejects of a table were changed: in their own commits, and in the commit of silver that goes with them."""
TAKEN, DROPPED = "lakehouse.taken", "lakehouse.dropped"
"""How many of the bronze rows that silver has consumed its rows' own rules let in, and how many rules with `drop` left out."""

REPAIRED = "lakehouse.repaired"
"""How many of the rows that a person fixed are among those that were let in."""

AUDITED, AUDITED_HASH = "lakehouse.audited", "lakehouse.audited_hash"
"""How many lines the audit has, and the first 60 bits of the last one's hash: in commits of the ledger, to find a tail that was cut off."""

PERSONAL = "lakehouse.pii"
"""The app transaction of a bronze table that is 1 where any of its columns holds personal data, protected."""


def personal(column: str) -> str:
    """The app transaction of a bronze table that tells what it has in the place of a column's personal data."""
    return f"{PERSONAL}.{column}"


def key_of(name: str) -> str:
    """The app transaction of a silver or gold table that tells by which version of a key the tokens in its rows were made."""
    return f"lakehouse.key.{name}"


def watermark(cursor: str, zone: str | None = None) -> str:
    """The app transaction that holds a bronze table's greatest value of one cursor column, by the zone in which it was read.

    Another cursor, or another zone, starts at the beginning.
    """
    return f"lakehouse.watermark.{cursor}" if zone is None else f"lakehouse.watermark.{cursor}@{zone}"


def watermark_batch(cursor: str) -> str:
    """The app transaction of a text cursor, which is no number: the batch whose greatest text is the watermark."""
    return f"lakehouse.watermark_batch.{cursor}"


SNAPSHOT, SNAPSHOT_ROWS = "lakehouse.snapshot", "lakehouse.snapshot_rows"
"""The app transactions of the last commit that came of a complete read of the source: its batch, and how many rows the source had."""


def tracked(origin: str) -> str:
    """The app transaction that holds up to which version of its change tracking a source's table has been read."""
    return f"lakehouse.tracked.{origin}"


def backfilled(cursor: str, from_: int | None, to: int | None) -> str:
    """The app transaction of a backfill's commit: the window it read, by one cursor column, in the numbers of its values."""
    return f"lakehouse.backfill.{cursor}.{from_}.{to}"


def sequence(column: str, kind: str) -> str:
    """The app transaction that holds the greatest sequence a silver table has consumed, of one column and type."""
    return f"lakehouse.sequence.{column}.{kind}"


def corrected(table: str) -> str:
    """The app transaction that holds the ordinal of the last commit of corrections that speaks of a table.

    It stands in the commits of `bronze._corrections`, and in those of the silver table that has consumed it.
    """
    return f"lakehouse.corrected.{table}"


def consumed(layer: str, table: str) -> str:
    """The app transaction under which a table keeps how far it has read `layer.table`."""
    return f"lakehouse.consumed.{layer}.{table}"


def seen(layer: str, table: str) -> str:
    """The app transaction under which a model keeps the very version of `layer.table` that it was built from."""
    return f"lakehouse.seen.{layer}.{table}"


def failing(rule: str) -> str:
    """The app transaction under which a model keeps how many of its rows break a rule."""
    return f"lakehouse.failing.{rule}"


_AZURE = re.compile(
    r"(?:abfss?|az)://(?P<container>[a-z0-9][a-z0-9-]{1,61}[a-z0-9])(?:@(?P<account>[a-z0-9]{3,24})\.dfs\.core\.windows\.net)?"
    r"(?P<path>(?:/[A-Za-z0-9_=][A-Za-z0-9._=-]*)*)/*\Z"
)
_STAR = re.compile(r"([0-9]{12})\.json\Z")
_ACCOUNT = re.compile(r"(?<=\w)@[a-z0-9]+\.dfs\.core\.windows\.net")
AZURE_FORM = "abfss://container@account.dfs.core.windows.net/path, abfss://container/path or az://container/path, of plain names"


def lake_uri(given: str, project: Path, setting: str = "LAKEHOUSE_LAKE") -> str:
    """The URI of a lake or a layer without a trailing slash; a plain path is taken from the project's folder, `az://` becomes `abfss://`.

    Raises:
        UsageError: It is neither a folder nor a place in an Azure container.
    """
    scheme, found, _ = given.partition("://")
    if not found:
        return (project / Path(given).expanduser()).resolve().as_uri()
    if scheme == "file":
        if not found.strip() or not given.removeprefix("file://").startswith("/"):
            raise UsageError(f"{given} is no folder", expected="file:///path or a plain path", next_step=f"Set {setting}.")
        return given.rstrip("/")
    matched = _AZURE.match(given)
    if matched is None:
        shown = scheme if scheme not in ("abfs", "abfss", "az") else given.partition("?")[0]
        raise UsageError(f"a lake cannot be on {shown}", expected=f"a folder, {AZURE_FORM}", next_step=f"Set {setting}.")
    account = f"@{matched['account']}.dfs.core.windows.net" if matched["account"] else ""
    return f"abfss://{matched['container']}{account}{matched['path']}"


def layer_uris(lake: str, given: Mapping[Layer, str], project: Path) -> dict[str, str]:
    """Where each layer, the ledger, the commits' records and the stars live: `<lake>/<layer>`, or where a setting says.

    Raises:
        UsageError: A setting is no place, or two of them share one.
    """
    found: dict[str, str] = {name: f"{lake}/{name}" for name in (LEDGER, COMMITS, AUDIT, ERASURES, STARS)} | {REJECTS: f"{lake}/_{REJECTS}"}
    for layer in LAYERS:
        found[layer] = lake_uri(given[layer], project, f"LAKEHOUSE_LAYER__{layer.upper()}") if layer in given else f"{lake}/{layer}"
        for other, there in found.items():
            if other != layer and overlap(there, found[layer]):
                raise UsageError(
                    f"{layer} and {other} share one place",
                    where=found[layer],
                    expected="a folder of its own for each layer",
                    next_step=f"Correct LAKEHOUSE_LAYER__{layer.upper()}.",
                )
    return found


def overlap(one: str, other: str) -> bool:
    """Whether two URIs of this module name one place, or one a place within the other."""
    bare = [f"{_ACCOUNT.sub('', uri)}/" for uri in (one, other)]
    return bare[0].startswith(bare[1]) or bare[1].startswith(bare[0])


def table_uri(layer: str, table: str) -> str:
    """Where one table lives: `<layer>/<table>`."""
    return f"{layer}/{table}"


def star_file(star: int) -> str:
    """The name of a published star's manifest.

    >>> star_file(7)
    '000000000007.json'
    """
    return f"{star:012}.json"


def star_number(file: str) -> int | None:
    """The star whose manifest has this name; None where it is none's."""
    found = _STAR.match(file)
    return int(found[1]) if found else None


def folder_of(uri: str) -> str:
    """The path of a local URI."""
    return unquote(urlsplit(uri).path)


def is_azure(uri: str) -> bool:
    """Whether a URI of this module names a place in an Azure container."""
    return uri.startswith("abfss://")


def azure_parts(uri: str) -> tuple[str, str | None, str]:
    """(container, account where the URI names it, path without slashes at its ends) of a place in an Azure container.

    >>> azure_parts("abfss://lake@music.dfs.core.windows.net/prod/gold")
    ('lake', 'music', 'prod/gold')
    """
    matched = _AZURE.match(uri)
    assert matched, uri  # noqa: S101  made by `lake_uri`
    return matched["container"], matched["account"], matched["path"].strip("/")
