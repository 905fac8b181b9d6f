"""Keys that are rotated: which tables of a lake still have tokens of an older version, and what a run does about it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.catalog.personal import sharing
from lakehouse.errors import ContractError, LakehouseError, UsageError
from lakehouse.layout import key_of
from lakehouse.model.personal import CHECK_BITS
from lakehouse.model.run import Step
from lakehouse.quality.deviations import deviations

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakehouse.lake import Lake
    from lakehouse.pipeline.walk import Part


def rotated(lake: Lake) -> dict[str, dict[str, str]]:
    """The tables whose silver has tokens of another version of a key than is declared: by the key, each with what happens."""
    found: dict[str, dict[str, str]] = {}
    for key, tables in sharing(lake.catalog).items():
        for name, version in tables.items():
            silver = lake.table("silver", name)
            before = (silver.number(key_of(key)) or 0) >> CHECK_BITS if silver is not None else 0
            if before and before != version:
                found.setdefault(key, {})[name] = f"key {key} is rotated from version {before} to {version}"
    return found


def in_turn(lake: Lake, nodes: list[str]) -> tuple[list[str], Callable[[str], set[str]]]:
    """The nodes of a run in their order, and what each waits for: where a key is rotated, models wait for all tables that share it.

    Raises:
        UsageError: Some of these tables are not among the nodes.
    """
    graph, turning = lake.catalog.graph, rotated(lake) if lake.catalog.keys else {}
    shared = {name for key in turning for name in sharing(lake.catalog)[key]}
    if not shared or not shared & set(nodes):
        return nodes, graph.above
    if missed := sorted(shared - set(nodes)):
        raise UsageError(
            f"key {', '.join(sorted(turning))} is rotated, and the tables that share it are built anew together",
            expected=", ".join(sorted(shared)),
            given=f"a selection without {', '.join(missed)}",
            next_step=f"Run with `--select {','.join(f'{name}+' for name in sorted(shared))}`, or without --select.",
        )
    models = lake.catalog.models
    after = {node for name in shared for node in graph.below(name)} & models.keys()
    ordered = sorted(nodes, key=lambda node: node in models)
    return ordered, lambda node: graph.above(node) | (shared if node in after else set())


def rekeyed(lake: Lake, name: str, *, full_refresh: bool) -> list[Part]:
    """The step that writes a table's bronze anew where its personal data is to be protected otherwise; none where it is as declared.

    A full refresh brings the rows itself where bronze's own do not tell what is to be there.
    """

    def refuse() -> Step:
        """Erased people are known by hashes of what bronze had in the place of their keys: with other tokens they would come back."""
        if known := _erased_by(lake, name, {change.column for change in turned}):
            raise ContractError(
                f"people were erased by {', '.join(known)}, and with other tokens in it the source would bring them back",
                where=f"metadata/tables/{lake.catalog.tables[name].source}/{name}.yml",
                next_step="Leave its protection as it was; rotate the keys of other columns.",
            )
        return Step("rekey", name, "unchanged")

    def act() -> Step:
        refuse()
        from lakehouse.stages.rekey import rekey  # noqa: PLC0415  loaded where there is personal data

        return rekey(lake, lake.catalog.tables[name])

    try:
        turned = deviations(lake, lake.catalog.tables[name])
    except LakehouseError:
        return []  # the read of the source says the same, as its own failure
    if not turned:
        return []
    if full_refresh and not all(change.can_be_made for change in turned):
        return [("rekey", refuse)] if _erased_by(lake, name, {change.column for change in turned}) else []
    return [("rekey", act)]


def _erased_by(lake: Lake, name: str, columns: set[str]) -> list[str]:
    """Those of the columns by which people were erased."""
    if not lake.corrected(name):
        return []
    from lakehouse.quality.corrections import read  # noqa: PLC0415  loaded where people were erased
    from lakehouse.quality.suppression import suppressed  # noqa: PLC0415  as above

    entries = suppressed(said for said in read(lake.corrections(), name) if said.kind == "erase")
    return sorted(columns & {column for entry in entries for column in entry.columns})


def told(lake: Lake, name: str) -> dict[str, str]:
    """What a run makes of a table's bronze first, for `plan`: `action` and `reason`; empty where nothing."""
    try:
        turned = deviations(lake, lake.catalog.tables[name])
    except LakehouseError as exc:
        return {"action": "stop", "reason": str(exc)}
    if not turned:
        return {}
    reason = "; ".join(map(str, turned))
    if all(change.can_be_made for change in turned):
        return {"action": "rewrite", "reason": f"all of bronze.{name}, in one commit: {reason}"}
    return {"action": "stop", "reason": f"{reason}, which only the source can give: run with --full-refresh; older versions go"}
