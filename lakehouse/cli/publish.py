"""The command about stars: publish gold, go back to an older star, list what was published."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.options import Output, Project, open_house
from lakehouse.cli.output import Format, print_json, print_table

if TYPE_CHECKING:
    from datetime import datetime

COLUMNS = ("star", "at", "run_id", "changed", "checks", "note")


def publish(
    star: Annotated[int | None, typer.Argument(metavar="STAR", min=1, help="With --rollback: the star to go back to.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Show readers an older star again; by default the one before.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the stars that are kept, the newest first.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget the stars that LAKEHOUSE_STAR_DAYS and LAKEHOUSE_STARS_KEPT outlive.")
    ] = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Publish gold as it stands, if its checks pass: readers see all of its tables in one step. A run does it by itself."""
    from lakehouse.errors import UsageError

    if given := [word for word, on in (("--rollback", rollback), ("--list", list_), ("--forget", forget)) if on][1:]:
        raise UsageError(f"{given[0]} and another option are two things", next_step="Give one of them.")
    if star is not None and not rollback:
        raise UsageError(
            f"star {star} is published already",
            next_step=f"`lakehouse publish --rollback {star}` shows readers its tables again, `query --star {star}` reads it.",
        )
    house = open_house(project)
    if list_:
        _list(house.stars(), output)
        return
    if forget:
        _forget(house.forget_stars(), output)
        return
    made = house.rollback(star) if rollback else house.publish()
    newest = house.stars()[:1]
    if output is Format.JSON:
        print_json({"published": made is not None, **(newest[0] if newest else {})})
    elif made is None:
        sys.stdout.write(f"Nothing to publish: readers see gold as it stands, by star {newest[0]['star']}.\n")
    else:
        back = f", the tables of star {made.same_as} again" if made.same_as else ""
        sys.stdout.write(f"Star {made.star} is published{back}: {', '.join(newest[0]['changed']) or 'no table'} changed.\n")


def _forget(gone: list[int], output: Format) -> None:
    if output is Format.JSON:
        print_json({"forgotten": gone})
    else:
        sys.stdout.write(f"Forgotten: {', '.join(map(str, gone))}.\n" if gone else "All stars are still needed.\n")


def _list(rows: list[dict[str, Any]], output: Format) -> None:
    if output is Format.JSON:
        print_json(rows)
    elif rows:
        print_table([{**row, "changed": ", ".join(row["changed"]), "note": _note(row)} for row in rows], COLUMNS)
    else:
        sys.stdout.write("No star is published yet: readers see the newest version of each table of gold.\n")


def _note(row: dict[str, Any]) -> str:
    notes = ["what readers see"] if row["shown"] else []
    notes += [f"back to star {row['same_as']}"] if row["same_as"] else []
    return "; ".join([*notes, *(f"warning: {count} rows by {check}" for check, count in row["warnings"].items())])


def instant(option: str, text: str | None) -> datetime | date | None:
    """The instant or day that an option names; None where it is not given."""
    if text is None:
        return None
    from lakehouse.errors import UsageError
    from lakehouse.model.run import parse_bound

    try:
        found = parse_bound(text)
    except ValueError:
        found = 0
    if not isinstance(found, date):
        raise UsageError(
            f"{option} cannot be read",
            expected="a day (2024-05-01) or an instant (2024-05-01T10:30, UTC unless it says otherwise)",
            given=text[:40],
            next_step="Write it so.",
        )
    return found
