"""The command that shows from where tables and columns come: lineage."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import Project, open_house
from lakehouse.cli.output import plain, print_json, print_table, say

if TYPE_CHECKING:
    from lakehouse.model.lineage import Lineage

_LAYERS = ("source", "bronze", "silver", "gold")


class Shape(StrEnum):
    """What `-o` takes here."""

    TEXT = "text"
    JSON = "json"
    DOT = "dot"
    SVG = "svg"


def lineage(
    name: Annotated[
        str | None, typer.Argument(help="gold.fact_stream, gold.dim_user.country, source.spotify.DimUser, a table's name; none shows all.")
    ] = None,
    columns: Annotated[bool, typer.Option("--columns", help="The columns too; of one column that is what is shown anyway.")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="Write it into this file.")] = None,
    project: Project = Path(),
    output: Annotated[Shape, typer.Option("-o", "--output", help="text, json, dot (Graphviz) or svg (a picture).")] = Shape.TEXT,
) -> None:
    """Show what a table or a column comes from, and what comes of it; read from the metadata and the SQL."""
    found = open_house(project).lineage(name)
    by_column = columns or _is_column(found, name)
    if to is not None and output in (Shape.TEXT, Shape.JSON):
        from lakehouse.errors import UsageError

        raise UsageError(f"--to writes pictures, given -o {output.value}", next_step="Give -o svg or -o dot, or redirect the output.")
    if output is Shape.JSON:
        print_json(found.facts())
    elif output is Shape.TEXT:
        _print(found, by_column)
    else:
        _draw(found, output, to, by_column)


def _is_column(found: Lineage, name: str | None) -> bool:
    return name is not None and name not in {edge for each in found.tables for edge in (each.from_, each.to)} and name.count(".") > 1


def _print(found: Lineage, by_column: bool) -> None:
    if by_column:
        rows = [
            {"from": f"{edge.from_}.{edge.from_column}", "to": f"{edge.to}.{edge.to_column}", "how": plain(edge.how)}
            for edge in sorted(found.columns, key=lambda edge: (_layer(edge.to), edge.to, edge.to_column, edge.from_))
        ]
    else:
        edges = sorted(found.tables, key=lambda edge: (_layer(edge.to), edge.to, _layer(edge.from_), edge.from_))
        rows = [{"from": edge.from_, "to": edge.to, "how": edge.how} for edge in edges]
    print_table(rows, ("from", "to", "how"))
    for model, reason in found.unknown.items():
        sys.stdout.write(f"The columns of {model} cannot be told: {plain(reason)}\n")


def _layer(table: str) -> int:
    return _LAYERS.index(table.partition(".")[0])


def _draw(found: Lineage, shape: Shape, to: Path | None, by_column: bool) -> None:
    from lakehouse.cli.drawing import dot, svg

    if by_column:
        edges = [(f"{edge.from_}.{edge.from_column}", f"{edge.to}.{edge.to_column}", edge.how) for edge in found.columns]
    else:
        edges = [(edge.from_, edge.to, edge.how) for edge in found.tables]
    nodes = sorted({node for one, other, _ in edges for node in (one, other)})
    drawn = (dot if shape is Shape.DOT else svg)(nodes, edges)
    if to is None:
        sys.stdout.write(drawn)
        return
    try:
        to.write_text(drawn, encoding="utf-8")
    except OSError as exc:
        from lakehouse.errors import UsageError

        raise UsageError(f"cannot write: {exc.strerror}", where=str(to), next_step="Name a file in a folder that is there.") from exc
    say(f"wrote {to}")
