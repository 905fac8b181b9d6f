"""Rejects with a life: a person fixes, drops or assigns rows that silver does not take, and they go down the road again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from lakehouse.catalog.select import check_expression, condition_columns
from lakehouse.errors import ModelError, QualityError, UsageError
from lakehouse.layout import BATCH, REJECTS, ROW_HASH
from lakehouse.model.correction import Correction, standing
from lakehouse.model.repair import Repair
from lakehouse.pipeline.acts import act, follow
from lakehouse.quality.corrections import read, source
from lakehouse.stages.silver import judge
from lakehouse.storage.frames import to_batches
from lakehouse.transform.corrected import POINTERS, as_texts, with_pointer
from lakehouse.transform.edited import UNFIT, can_be_edited, edited
from lakehouse.transform.names import quote
from lakehouse.transform.rowwise import TECHNICAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakehouse.lake import Lake
    from lakehouse.model.repair import Chosen, Edit
    from lakehouse.pipeline.walk import Progress

Pointed = dict[tuple[int, str], dict[str, Any]]
TOLD = 5


def fix(
    lake: Lake, table: str, chosen: Chosen, edit: Edit, *, why: str = "", replay: bool = True, progress: Progress | None = None
) -> Repair:
    """Put other values in the place of rejected ones; rows that would still be rejected are refused, and then nothing is written.

    Args:
        lake: The opened lake.
        table: The table.
        chosen: Which open rejects; of an edited file those that it names.
        edit: What is made of them.
        why: The reason, for the record.
        replay: Bring silver and what follows up to date at once; else the next run does.
        progress: Called with each step as it ends.

    Raises:
        UsageError: There is no such table or open reject, or the values cannot be.
        QualityError: A row would still break a rule.
    """
    _require_table(lake, table)

    def decide() -> Sequence[Correction]:
        rejects = _chosen(lake, table, chosen, edit)
        rows = _edited(lake, table, _originals(lake, table, rejects), edit)
        value: dict[str, Any] = {"set": dict(edit.sql)} if edit.sql else {"edited": True}
        said = [
            Correction(
                "fix",
                table,
                **_said(lake, why),
                **_place(pointer),
                value={**value, "rows": as_texts(found.drop(ROW_HASH)), "reject": reject},
                supersedes=_standing(lake, table).get(pointer),
            )
            for pointer, reject in rejects.items()
            if (found := rows.filter((pl.col(BATCH) == pointer[0]) & (pl.col(ROW_HASH) == pointer[1]))).height
        ]
        _require_cured(lake, table, said)
        return said

    return _act(lake, "fix", table, decide, replay=replay, progress=progress)


def drop(lake: Lake, table: str, chosen: Chosen, *, why: str = "", replay: bool = True, progress: Progress | None = None) -> Repair:
    """Decide that rejected rows are none; bronze keeps them, and they are counted.

    Raises:
        UsageError: There is no such table or open reject.
    """
    _require_table(lake, table)

    def decide() -> Sequence[Correction]:
        rejects = _chosen(lake, table, chosen)
        rows = _originals(lake, table, rejects)
        copies = {(row[BATCH], row[ROW_HASH]): row["len"] for row in rows.group_by(POINTERS.names).len().to_dicts()}
        standing_ = _standing(lake, table)
        return [
            Correction(
                "drop",
                table,
                **_said(lake, why),
                **_place(pointer),
                value={"copies": copies.get(pointer, 0), "reject": reject},
                supersedes=standing_.get(pointer),
            )
            for pointer, reject in rejects.items()
        ]

    return _act(lake, "drop", table, decide, replay=replay, progress=progress)


def assign(lake: Lake, table: str, chosen: Chosen, owner: str, *, why: str = "") -> Repair:
    """Say who looks after rejected rows.

    Raises:
        UsageError: There is no such table or open reject, or nobody is named.
    """
    _require_table(lake, table)
    if not owner.strip():
        raise UsageError("nobody is named", next_step="Name a person or a team with --to.")

    def decide() -> Sequence[Correction]:
        before = {each.pointer: each.id for each in standing(read(lake.corrections(), table)) if each.kind == "assign"}
        return [
            Correction("assign", table, **_said(lake, why), **_place(pointer), value={"owner": owner}, supersedes=before.get(pointer))  # type: ignore[call-overload]
            for pointer in _chosen(lake, table, chosen)
        ]

    return _act(lake, "assign", table, decide, replay=False, progress=None)


def replay(lake: Lake, table: str | None = None, *, progress: Progress | None = None) -> Repair:
    """Bring the tables of which corrections were recorded and not followed up to date, and what is built on them.

    Raises:
        UsageError: There is no such table.
    """
    if table is not None:
        _require_table(lake, table)
    waiting = [name for name in lake.catalog.tables if table in (None, name) and lake.behind("silver", name) is not None]
    run = follow(lake, waiting, progress=progress)
    return Repair("replay", table, 0, lake.run_id, run)


def export(lake: Lake, table: str, chosen: Chosen) -> list[dict[str, str | None]]:
    """The rows that some open rejects point to, as texts, to be edited and given back to `fix`; they are shown in clear.

    Raises:
        UsageError: There is no such table or open reject.
    """
    _require_table(lake, table)
    rejects = _chosen(lake, table, chosen)
    rows = _originals(lake, table, rejects).unique(POINTERS.names, maintain_order=True)
    texts = as_texts(rows.drop([name for name in TECHNICAL if name in rows.columns and name not in POINTERS.names]))
    names = [name for name in rows.columns if name not in TECHNICAL]
    return [
        {
            **{name: row[name] for name in POINTERS.names},
            "_rejected_for": ", ".join(filter(None, (reject["reason"], reject["rules"]))),
            **{name: row.get(name) for name in names},
        }
        for row in texts
        for reject in [rejects[int(row[BATCH]), row[ROW_HASH]]]
    ]


def _act(
    lake: Lake, kind: str, table: str, decide: Callable[[], Sequence[Correction]], *, replay: bool, progress: Progress | None
) -> Repair:
    said = act(lake, decide)
    rows = sum(len(each.value.get("rows", ())) or int(each.value.get("copies", 1)) for each in said)
    done = Repair(kind, table, rows, lake.run_id)
    if replay:
        done.run = follow(lake, [table], step=kind, rows={table: rows}, progress=progress)
    return done


def _said(lake: Lake, why: str) -> dict[str, Any]:
    return {"by": lake.settings.who(), "at": lake.now(), "why": why}


def _place(pointer: tuple[int, str]) -> dict[str, Any]:
    return {"batch": pointer[0], "row_hash": pointer[1]}


def _require_table(lake: Lake, table: str) -> None:
    if table not in lake.catalog.tables:
        raise UsageError(f"there is no table {table!r}", expected=", ".join(sorted(lake.catalog.tables)), next_step="Name one of them.")


def _standing(lake: Lake, table: str) -> dict[tuple[int, str] | None, str]:
    """The fix or drop that stands of each row."""
    return {each.pointer: each.id for each in standing(read(lake.corrections(), table)) if each.kind in ("fix", "drop")}


def _chosen(lake: Lake, table: str, chosen: Chosen, edit: Edit | None = None) -> Pointed:
    """The open rejects that are meant, by their pointers."""
    there = lake.table(REJECTS, table)
    rows = pl.DataFrame() if there is None else there.scan().collect()
    open_ = rows.to_dicts()
    if edit is not None and edit.rows:
        wanted = {(str(row.get(BATCH)), str(row.get(ROW_HASH))) for row in edit.rows}
        found = [row for row in open_ if (str(row[BATCH]), row[ROW_HASH]) in wanted]
        missing = wanted - {(str(row[BATCH]), row[ROW_HASH]) for row in found}
        if missing:
            batch, row_hash = min(missing)
            raise _none(table, f"{row_hash[:12]} of batch {batch}")
    elif chosen.pointers:
        found = [row for row in open_ if any(row[ROW_HASH].startswith(each) for each in chosen.pointers if each)]
        for each in chosen.pointers:
            if not each or not any(row[ROW_HASH].startswith(each) for row in found):
                raise _none(table, each[:32])
    elif chosen.rule:
        found = [row for row in open_ if chosen.rule == row["reason"] or chosen.rule in str(row["rules"]).split(",")]
        if not found:
            raise _none(table, f"rule or reason {chosen.rule[:64]}")
    else:
        raise UsageError("no reject is named", next_step="Give the first signs of its `_row_hash`, or --rule for all that break one.")
    return {(row[BATCH], row[ROW_HASH]): {name: row[name] for name in ("reason", "rules", "key")} for row in found}


def _none(table: str, what: str) -> UsageError:
    return UsageError(
        f"{table} has no open reject {what}",
        next_step=f"`lakehouse rejects list {table}` shows what is open; what is repaired or dropped already is not.",
    )


def _originals(lake: Lake, table: str, rejects: Pointed) -> pl.DataFrame:
    """The rows of bronze that rejects point to, each as often as it is there, with `_row_hash`."""
    bronze = lake.table("bronze", table)
    if bronze is None:
        raise _none(table, "any more")
    batches = sorted({batch for batch, _ in rejects})
    wanted = pl.DataFrame(list(rejects), schema={BATCH: pl.Int64, ROW_HASH: pl.String}, orient="row")
    rows = source(bronze)(batches[0] - 1, batches[-1]).filter(pl.col(BATCH).is_in(batches))
    return with_pointer(rows).join(wanted.lazy(), on=POINTERS.names, how="semi").collect()


def _require_not_personal(lake: Lake, table: str, rows: pl.DataFrame, edit: Edit) -> None:
    """A correction is kept for ever and in clear, and nobody but the source has what stands behind a token."""
    metadata = lake.catalog.tables[table]
    held = {(row[BATCH], row[ROW_HASH]): row for row in rows.iter_rows(named=True)}
    touched = set(edit.sql) & set(metadata.personal)
    for row in edit.rows or ():
        own = held.get((int(str(row[BATCH])), str(row[ROW_HASH])), {})
        touched |= {name for name in metadata.personal if name in row and name in own and row[name] != own[name]}
    if touched:
        raise UsageError(
            f"{', '.join(sorted(touched))} holds personal data, which a fix cannot give",
            where=f"metadata/tables/{metadata.source}/{table}.yml",
            next_step="Correct it in the source and run; leave the column as it is in an edited file.",
        )


def _edited(lake: Lake, table: str, rows: pl.DataFrame, edit: Edit) -> pl.DataFrame:
    """The rows with their new values.

    Raises:
        UsageError: A column is not there, or a value cannot be one of its type; no value is shown.
    """
    bronze = lake.table("bronze", table)
    assert bronze is not None  # noqa: S101  its rows were read
    schema = bronze.schema
    own = [name for name in schema.names if name not in TECHNICAL]
    _require_not_personal(lake, table, rows, edit)
    made = dict(edit.sql)
    relation, given = "_rows", pl.DataFrame()
    if edit.rows:
        names = [name for name in dict.fromkeys(key for row in edit.rows for key in row) if not name.startswith("_")]
        made = {
            name: f"case when e.{quote('_has_' + name)} then e.{quote(name)} else cast(r.{quote(name)} as varchar) end" for name in names
        }
        given = pl.DataFrame(
            [
                {BATCH: int(str(row[BATCH])), ROW_HASH: row[ROW_HASH]}
                | {name: row.get(name) for name in names}
                | {f"_has_{name}": name in row for name in names}
                for row in edit.rows
            ],
            schema={BATCH: pl.Int64, ROW_HASH: pl.String}
            | dict.fromkeys(names, pl.String())
            | {f"_has_{name}": pl.Boolean() for name in names},
        ).unique(POINTERS.names, keep="last")
        relation = "_joined"
    _require_possible(table, schema, own, made if not edit.rows else dict.fromkeys(made, ""))
    shape = pa.schema([*schema, (ROW_HASH, pa.string())])
    with lake.engine() as engine:
        engine.show("_rows", pa.Table.from_batches(to_batches(rows, shape), shape))
        if edit.rows:
            engine.show("_given", given.to_arrow())
            new = ", ".join(f"{sql} as {quote('_set_' + name)}" for name, sql in made.items())
            engine.execute(
                f"create temp view _joined as select r.*, {new} from _rows r join _given e "
                f"on r.{BATCH} = e.{BATCH} and r.{ROW_HASH} = e.{ROW_HASH}"
            )
            made = {name: quote(f"_set_{name}") for name in made}
        try:
            engine.model("_edited", edited(relation, shape, made), f"rejects.{table}", "the fix")
        except ModelError as exc:
            raise UsageError(exc.what, where=exc.where, next_step="Correct the expression; nothing was written.") from exc
        found = pl.DataFrame(pl.from_arrow(engine.rows("select * from _edited")))
    if unfit := sorted({name for text in found[UNFIT].drop_nulls() for name in text.split(",")}):
        kinds = ", ".join(f"{name}: {schema.field(name).type}" for name in unfit)
        raise UsageError(
            "a new value cannot be exactly one of its column's type", where=f"rejects.{table}", expected=kinds, next_step="Correct it."
        )
    return found.drop(UNFIT)


def _require_possible(table: str, schema: pa.Schema, own: Sequence[str], made: dict[str, str]) -> None:
    if not made:
        raise UsageError("nothing is to be changed", next_step="Give --set COLUMN=SQL, or an edited file with --file.")
    if unknown := [name for name in made if name not in own]:
        raise UsageError(f"{table} has no column {unknown[0]!r}", expected=", ".join(own), next_step="Name one of them.")
    if fixed := [name for name in made if not can_be_edited(schema.field(name).type)]:
        raise UsageError(f"column {fixed[0]} of {table} holds bytes, which cannot be edited", next_step="Leave it out.")
    for name, text in made.items():
        fault = check_expression(text) if text else None
        unknown = [] if fault or not text else sorted(condition_columns(text) - set(own))
        if fault or unknown:
            raise UsageError(
                fault or f"names {', '.join(unknown)}", where=f"--set {name}", expected=f"columns {', '.join(own)}", next_step="Correct it."
            )


def _require_cured(lake: Lake, table: str, said: Sequence[Correction]) -> None:
    left = judge(lake, lake.catalog.tables[table], said)
    if left.is_empty():
        return
    told = [f"{row['_row_hash'][:12]}: {row['reason']}" + f" ({row['rules']})" * bool(row["rules"]) for row in left.to_dicts()]
    raise QualityError(
        f"the fix does not cure {len(told)} of {len(said)} rows, so nothing was written",
        where=f"rejects.{table}",
        given="; ".join(told[:TOLD]) + ("; ..." if len(told) > TOLD else ""),
        next_step="Correct it, or fix the others alone.",
    )
