"""What the rules of the tables found, with its trend, and the rows that they keep out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lakehouse.errors import UsageError
from lakehouse.layout import BATCH, DROPPED, REJECTS, REPAIRED, TAKEN, consumed, corrected
from lakehouse.model.expectation import ACROSS

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.lake import Lake
    from lakehouse.storage.delta import Table

STATES = ("open", "repaired", "dropped", "all")
TREND = 12
"""How many of the last results make a trend."""
ACCOUNT = ("table", "input", "accepted", "repaired", "rejected", "dropped", "undone", "waiting", "unaccounted")
RULE = (
    "table",
    "rule",
    "kind",
    "otherwise",
    "judged_at",
    "run_id",
    "passed",
    "failed",
    "share",
    "value",
    "broken",
    "held",
    "trend",
    "samples",
    "told",
)


def quality(lake: Lake, table: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """`tables`: where the rows of each table went; `rules`: the last result of each rule with its trend.

    `input` are the rows of bronze that silver has consumed; `accepted` as they came, `repaired` by a person, `rejected` (open), `dropped`
    by a rule or a person, and `undone` with their run is what became of them; `waiting` are those that a later run takes or that are held
    back, `unaccounted` the difference, which is 0. `trend` has the last shares of broken rows,
    or the last values of a rule that counts none, the newest at its end.

    Raises:
        UsageError: There is no such table.
    """
    _require_known(lake, table)
    names = [name for name in lake.catalog.tables if table in (None, name)]
    accounts = [account for name in names if (account := _account(lake, name)) is not None]
    return {"tables": accounts, "rules": _rules(lake, table)}


def _require_known(lake: Lake, table: str | None) -> None:
    known = [*lake.catalog.tables, *lake.catalog.models]
    if table is not None and table not in known:
        raise UsageError(f"there is no table {table!r}", given=table, expected=", ".join(sorted(known)), next_step="Name one of them.")


def _account(lake: Lake, name: str) -> dict[str, Any] | None:
    import polars as pl  # noqa: PLC0415  loaded where rows are counted

    bronze, silver, rejects = lake.table("bronze", name), lake.table("silver", name), lake.table(REJECTS, name)
    if bronze is None or silver is None:
        return None
    done = silver.number(consumed("bronze", name)) or 0
    waiting = 0 if done >= bronze.batch else int(bronze.scan().filter(pl.col(BATCH) > done).select(pl.len()).collect().item())
    input_, rejected, taken = bronze.rows() - waiting, 0 if rejects is None else rejects.rows(), silver.number(TAKEN)
    by_hand, undone, again = (0, 0, 0) if not silver.number(corrected(name)) else _corrected(lake, name)
    dropped = (silver.number(DROPPED) or 0) + by_hand
    withheld = 0 if rejects is None else _withheld(rejects)
    repaired = (silver.number(REPAIRED) or 0) - again
    rest = input_ - rejected - dropped - undone - repaired  # an older release built it: nobody counted
    accepted = rest if taken is None else taken - withheld - repaired
    left = input_ - accepted - repaired - rejected - dropped - undone
    return dict(zip(ACCOUNT, (name, input_, accepted, repaired, rejected, dropped, undone, waiting, left), strict=True))


def _corrected(lake: Lake, name: str) -> tuple[int, int, int]:
    from lakehouse.quality.corrections import counts  # noqa: PLC0415  as above

    return counts(lake, name)


def _withheld(rejects: Table) -> int:
    import polars as pl  # noqa: PLC0415  as above

    return int(rejects.scan().filter(pl.col("reason").is_in(ACROSS)).select(pl.len()).collect().item())


def _rules(lake: Lake, table: str | None) -> list[dict[str, Any]]:
    import polars as pl  # noqa: PLC0415  as above

    declared = {(name, rule) for kind in (lake.catalog.tables, lake.catalog.models) for name, each in kind.items() for rule in each.expect}
    recorded = lake.ledger.quality().filter(pl.lit(value=True) if table is None else pl.col("table") == table)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in recorded.collect().sort("ordinal", maintain_order=True).iter_rows(named=True):
        if (row["table"], row["rule"]) in declared:
            found.setdefault((row["table"], row["rule"]), []).append(row)
    rules = []
    for _, rows in sorted(found.items()):
        last = {**rows[-1], "judged_at": rows[-1]["judged_at"].isoformat(), "samples": json.loads(rows[-1]["samples"] or "[]")}
        trend = [row["share"] if row["share"] is not None else row["value"] for row in rows[-TREND:]]
        rules.append({name: last.get(name) for name in RULE} | {"trend": trend})
    return rules


def rejects(
    lake: Lake, table: str | None = None, *, reason: str | None = None, limit: int = 50, state: str = "open"
) -> list[dict[str, Any]]:
    """The newest rejects of one table or of all: `table`, the columns of `rejects.<table>`, and their life.

    `state` is `open`, `repaired` or `dropped` (or `all` of them), `owner` who looks after it (the table's owner, where nobody was named),
    `age_seconds` how long ago it came, `by`, `at`, `why` and `act` tell who repaired or dropped it.

    Raises:
        UsageError: There is no such table, or no such state.
    """
    from lakehouse.quality.corrections import lives  # noqa: PLC0415  as above

    _require_known(lake, table)
    if state not in STATES:
        raise UsageError(f"there is no state {state[:32]!r}", expected=", ".join(STATES), next_step="Name one of them.")
    found = []
    for name in lake.catalog.tables:
        there = lake.table(REJECTS, name) if table in (None, name) else None
        if there is None:
            continue
        rows = there.scan()
        rows = rows if reason is None else _with(rows, "reason", reason)
        newest = rows.sort(BATCH, "_row_hash", "reason", descending=[True, False, False])
        found += [row for row in lives(lake, name, newest) if state in ("all", row["state"]) and reason in (None, row["reason"])]
    return sorted(found, key=lambda row: (str(row["_extracted_at"]), row[BATCH]), reverse=True)[:limit]


def _with(rows: pl.LazyFrame, column: str, value: str) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415  as above

    return rows.filter(pl.col(column) == value)


def reject(lake: Lake, table: str, pointer: str) -> list[dict[str, Any]]:
    """The rejects whose `_row_hash` begins with a pointer: what is listed of them, what the rules say, and the row in bronze as `row`.

    Raises:
        UsageError: There is no such table, or no such reject.
    """
    import polars as pl  # noqa: PLC0415  as above

    from lakehouse.layout import EXTRACTED_AT, OP, RUN_ID  # noqa: PLC0415  as above
    from lakehouse.model.quality import describe  # noqa: PLC0415  as above
    from lakehouse.transform.fold import HASH, row_hash  # noqa: PLC0415  as above

    _require_known(lake, table)
    there, bronze = lake.table(REJECTS, table), lake.table("bronze", table)
    found = [] if there is None else there.scan().filter(pl.col("_row_hash").str.starts_with(pointer)).collect().to_dicts()
    if not found or bronze is None:
        raise UsageError(
            f"no reject of {table} begins with {pointer[:32]}", next_step=f"`lakehouse rejects list {table}` shows their `_row_hash`."
        )
    own = [name for name in bronze.schema.names if name not in (BATCH, RUN_ID, EXTRACTED_AT, OP)]
    expect = lake.catalog.tables[table].expect
    for row in found:
        rows = bronze.scan().filter(pl.col(BATCH) == row[BATCH])
        same = (
            rows.with_columns(row_hash(rows.collect_schema(), own)).filter(pl.col(HASH) == row["_row_hash"]).select(own).head(1).collect()
        )
        row |= {"table": table, "_extracted_at": row["_extracted_at"].isoformat(), "row": same.to_dicts()[0] if same.height else None}
        row["rules_say"] = {name: describe(expect[name]) for name in str(row["rules"]).split(",") if name in expect}
        row["sql"] = f"select * from bronze.{table} where {BATCH} = {row[BATCH]}"
    return found
