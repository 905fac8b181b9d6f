"""Which row versions a table takes, and what is kept of the others: a reason and a pointer, never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.layout import BATCH, DELETE, EXTRACTED_AT, OP, REJECT, ROW_HASH, RUN_ID
from lakehouse.transform.checks import BREAKS, SEQ, SHOWN_AT_MOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lakehouse.model.expectation import Expectation

REASON, DROP = "_reason", "drop"
UNCAST = "_uncast"
"""The names of the columns whose value does not have the declared type, where a table declares such."""
SCHEMA = pa.schema(
    [
        ("reason", pa.string()),
        ("rules", pa.string()),
        ("key", pa.string()),
        (BATCH, pa.int64()),
        (ROW_HASH, pa.string()),
        (RUN_ID, pa.string()),
        (EXTRACTED_AT, pa.timestamp("us", "UTC")),
    ]
)
"""A table's rejects. `rules` are the names of the broken rules, or the columns concerned, with commas; `key` is masked;
`_batch` and `_row_hash` point to the row in bronze."""
POINTER = ["reason", BATCH, ROW_HASH]


def frame(schema: pa.Schema) -> pl.DataFrame:
    """No rows of a schema."""
    return pl.DataFrame(pl.from_arrow(schema.empty_table()))


def reason(names: Sequence[str], keys: Sequence[str], rules: Mapping[str, Expectation]) -> pl.Expr:
    """Why a row is not taken, as `_reason`: NULL where it is taken, `drop` where a rule drops it.

    Rules judge rows that show something, not those that end keys; a row that ends them all needs no key.
    A table without keys asks for none and for no sequence.

    Args:
        names: The columns that the rows have.
        keys: The table's keys.
        rules: Its rules by name.
    """
    shows = pl.col(OP).is_null() if OP in names else pl.lit(value=True)
    placed = (shows | (pl.col(OP) == DELETE)) if OP in names else shows
    cases: list[tuple[pl.Expr, str]] = []
    if OP in names:
        cases.append((pl.col(OP) == REJECT, "cursor"))
    if keys:
        cases.append((placed & pl.any_horizontal(pl.col(name).is_null() for name in keys), "null_key"))
        cases.append((pl.col(SEQ).is_null(), "null_sequence"))
    if UNCAST in names:
        cases.append((shows & pl.col(UNCAST).is_not_null(), "cast"))
    for what, otherwise in (("rule", "quarantine"), (DROP, DROP)):
        broken = [pl.col(f"{BREAKS}{name}") for name, rule in rules.items() if rule.judges_versions and rule.otherwise == otherwise]
        if broken:
            cases.append((shows & pl.any_horizontal(broken), what))
    found = pl.lit(None, dtype=pl.String)
    for condition, word in reversed(cases):
        found = pl.when(condition).then(pl.lit(word)).otherwise(found)
    return found.alias(REASON)


def listed(rows: pl.DataFrame, keys: Sequence[str], sequence: str, rules: Mapping[str, Expectation]) -> pl.DataFrame:
    """The rejects among rows that have `_reason`, with the columns of `SCHEMA`."""
    left = rows.filter(pl.col(REASON).is_not_null() & (pl.col(REASON) != DROP))
    quarantine = [name for name, rule in rules.items() if rule.judges_versions and rule.otherwise == "quarantine"]
    broken = [pl.when(pl.col(f"{BREAKS}{name}")).then(pl.lit(name)) for name in sorted(quarantine)]
    nulls = [pl.when(pl.col(name).is_null()).then(pl.lit(name)) for name in keys]
    by_reason = {
        "rule": pl.concat_str(broken, separator=",", ignore_nulls=True) if broken else pl.lit(""),
        "null_key": pl.concat_str(nulls, separator=",", ignore_nulls=True) if nulls else pl.lit(""),
        "null_sequence": pl.lit(sequence),
        "cast": pl.col(UNCAST) if UNCAST in rows.columns else pl.lit(""),
    }
    names = pl.lit("")
    for word, expression in by_reason.items():
        names = pl.when(pl.col(REASON) == word).then(expression).otherwise(names)
    return left.select(
        pl.col(REASON).alias("reason"), names.alias("rules"), masked(keys).alias("key"), BATCH, ROW_HASH, RUN_ID, EXTRACTED_AT
    )


def dropped(rows: pl.LazyFrame) -> pl.DataFrame:
    """Those among rows that have `_reason` which a rule drops, as if they were rejects too."""
    words = [pl.lit(DROP).alias("reason"), pl.lit("").alias("rules"), pl.lit("").alias("key")]
    left = rows.filter(pl.col(REASON) == DROP).with_columns(words)
    return left.select(SCHEMA.names).collect()


def masked(columns: Sequence[str]) -> pl.Expr:
    """A text that shows of a key no more than its first and last sign: `id=1***5`."""
    parts = []
    for name in columns:
        text = pl.col(name).cast(pl.String)
        ends = pl.concat_str(text.str.head(1), pl.lit("***"), text.str.tail(1))
        shown = pl.when(text.is_null()).then(pl.lit("NULL")).when(text.str.len_chars() < 4).then(pl.lit("***")).otherwise(ends)  # noqa: PLR2004
        parts.append(pl.concat_str(pl.lit(f"{name}="), shown))
    return pl.concat_str(parts, separator=", ") if parts else pl.lit("")


def facts(names: Sequence[str], keys: Sequence[str], rules: Mapping[str, Expectation]) -> dict[str, pl.Expr]:
    """The aggregates over versions with `_reason` that tell how many there are, how many are not taken, and what each rule found.

    Rules judge rows that show something and have their place: a key, a sequence, the declared types. Columns: `rows`, `left`, `dropped`,
    `judged`, and for each rule by its verdict's name the rows that break it, and that with `!` masked keys of a few of them.
    """
    why = pl.col(REASON)
    judged = why.is_null() | why.is_in(["rule", DROP])
    if OP in names:
        judged &= pl.col(OP).is_null()
    found = {"rows": pl.len(), "left": why.is_not_null().sum(), "dropped": (why == DROP).sum(), "judged": judged.sum()}
    for name, rule in rules.items():
        if rule.judges_versions:
            verdict = f"{BREAKS}{name}"
            broken = judged & pl.col(verdict)
            found |= {verdict: broken.sum(), f"{verdict}!": masked(keys).filter(broken).head(SHOWN_AT_MOST).implode()}
    return found
