"""Days of the demo: the source lives them, a run brings each down the whole road, and the star is shown."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from lakehouse.cli.afterwards import tell_next
from lakehouse.cli.output import Format, print_json, print_table, say
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.demo.simulator import Day, Simulator
    from lakehouse.demo.source import Source
    from lakehouse.model.run import Run, Step

TOP = """
select t.track_name, a.artist_name, count(*) as streams, round(sum(f.listen_duration) / 3600.0, 1) as hours
from gold.fact_stream f join gold.dim_track t using (track_key) join gold.dim_artist a using (artist_key)
group by all order by streams desc, t.track_name limit 10
"""
ONE_USER = """
select u.user_key, u.user_name, u.country, u.subscription_type, u.valid_from, u.valid_to, u.is_current, count(f.stream_id) as streams
from gold.dim_user u left join gold.fact_stream f using (user_key)
where u.user_id = (select user_id from gold.dim_user where user_key <> -1 group by user_id order by count(*) desc, user_id limit 1)
group by all order by u.valid_from
"""


def live_days(source: Source, project: Path, *, rows: int, output: Format) -> None:
    """Live a day (the first time: two) in the source, run after each, and show the star.

    Raises:
        LakehouseError: A run failed.
    """
    from lakehouse.demo.simulator import Simulator

    begun = time.monotonic()
    simulator = Simulator(source.store, streams=rows)
    days = [live_day(source, project, simulator) for _ in range(1 if simulator.days_lived else 2)]
    star = source.house(project, days[-1][0].now)
    shown = {
        "counts": [row for row in star.status() if row["layer"] == "gold"],
        "top_tracks": star.sql(TOP).to_dicts(),
        "one_user": star.sql(ONE_USER).to_dicts(),
    }
    total = time.monotonic() - begun
    if output is Format.JSON:
        facts = {"source": source.kind, "folder": str(source.folder), "lake": str(source.lake)}
        print_json({"days": [_facts(*each) for each in days], **shown, "seconds": round(total, 3), **facts})
        return
    _show(days, shown)
    sys.stdout.write(f"\nAll of it took {total:.1f} s.\n")
    tell_next(source, project, live=False)


def live_day(source: Source, project: Path, simulator: Simulator) -> tuple[Day, float, Run]:
    """A day of the source, the seconds it took to make, and the run after it.

    Raises:
        LakehouseError: The run failed.
    """
    say(f"Day {simulator.days_lived + 1} passes in the source ...")
    begun = time.monotonic()
    day = simulator.live_day()
    seconds = time.monotonic() - begun
    say(f"Day {day.number} ({day.on}) goes down the road: bronze, silver, gold ...")
    report = source.house(project, day.now).run(progress=_tell)
    broken = next((step for step in report.steps if step.error), None)
    if broken is not None and broken.error:
        raise LakehouseError(broken.error["message"], where=f"{broken.step} {broken.table}")
    return day, seconds, report


def _tell(step: Step) -> None:
    say(f"  {step.step:<6} {step.table:<14} {step.status:<10} {step.rows_out:>9,} rows  {step.seconds:6.2f} s")


def _facts(day: Day, seconds: float, report: Run) -> dict[str, Any]:
    return {
        "day": day.number,
        "on": day.on,
        "inserted": day.inserted,
        "updated": day.updated,
        "deleted": day.deleted,
        "late": day.late,
        "source_seconds": round(seconds, 3),
        "run": report.facts(),
    }


def _show(days: list[tuple[Day, float, Run]], shown: dict[str, Any]) -> None:
    write = sys.stdout.write
    source = [
        {
            "day": str(day.on),
            "table": table,
            "inserted": day.inserted[table],
            "updated": day.updated[table],
            "deleted": day.deleted[table],
        }
        for day, _, _ in days
        for table in day.inserted
        if day.inserted[table] or day.updated[table] or day.deleted[table]
    ]
    print_table(source, title="What happened in the source")
    write(
        f"{days[-1][0].late} of the last day's changes carry an older time than what was loaded: "
        "the look-back of 30 days brings them all the same.\n"
    )
    if sum(days[-1][0].deleted.values()):
        write("Rows deleted in the source are not seen by a cursor; their last values stay in the lake.\n")
    for day, _, report in days:
        steps = [
            {**row, "warnings": ", ".join(f"{rule}: {n}" for rule, n in row["failed_checks"].items())} for row in report.facts()["steps"]
        ]
        columns = ("step", "table", "status", "rows_in", "rows_out", "seconds", "warnings")
        write("\n")
        print_table(steps, columns, title=f"The run after {day.on}: {report.status} in {report.seconds:.1f} s")
    write("\n")
    print_table(shown["counts"], ("table", "rows", "version"), title="The star")
    write("\n")
    print_table(shown["top_tracks"], title="Most played")
    write("\n")
    print_table(shown["one_user"], title="One user's versions, each with the streams that began under it")
