"""`lakehouse demo`: a living source, the whole road, and what came out of it."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.cli.output import Format, print_json, print_table, say
from lakehouse.errors import LakehouseError, UsageError

if TYPE_CHECKING:
    from lakehouse.api import Lakehouse
    from lakehouse.demo.simulator import Day
    from lakehouse.model.run import Run, Step

FOLDER = ".demo"
CONNECTION = "spotify"
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


def demo(project: Path, *, rows: int, reset: bool, output: Format) -> None:
    """Live a day (the first time: two) in the simulated source, run after each, and show the star.

    Raises:
        UsageError: The project is not the one that describes the simulated source.
        LakehouseError: A run failed.
    """
    from lakehouse.catalog import load
    from lakehouse.demo.simulator import Simulator
    from lakehouse.demo.sqlite import SqliteStore

    if CONNECTION not in load(project).sources:
        raise UsageError(
            "the demo runs the project that describes the source `spotify`", where=str(project), next_step="Name its folder with --project."
        )
    folder = project / FOLDER
    if reset and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    begun = time.monotonic()
    simulator = Simulator(SqliteStore(folder / "source.db"), streams=rows)
    days: list[tuple[Day, float, Run]] = []
    for _ in range(1 if simulator.days_lived else 2):
        say(f"Day {simulator.days_lived + 1} passes in the source ...")
        lived = time.monotonic()
        day = simulator.live_day()
        seconds = time.monotonic() - lived
        say(f"Day {day.number} ({day.on}) goes down the road: bronze, silver, gold ...")
        report = _lakehouse(folder, project, day).run(progress=_tell)
        _require_success(report)
        days.append((day, seconds, report))
    star = _lakehouse(folder, project, days[-1][0])
    shown = {
        "counts": [row for row in star.status() if row["layer"] == "gold"],
        "top_tracks": star.sql(TOP).to_dicts(),
        "one_user": star.sql(ONE_USER).to_dicts(),
    }
    total = time.monotonic() - begun
    if output is Format.JSON:
        print_json({"days": [_facts(*each) for each in days], **shown, "seconds": round(total, 3), "folder": str(folder)})
        return
    _show(days, shown, folder, total)


def _lakehouse(folder: Path, project: Path, day: Day) -> Lakehouse:
    from lakehouse.api import Lakehouse

    return Lakehouse.open(project, lake=str(folder / "lake"), connection={CONNECTION: f"sqlite://{folder / 'source.db'}"}, clock=day.now)


def _tell(step: Step) -> None:
    say(f"  {step.step:<6} {step.table:<14} {step.status:<10} {step.rows_out:>9,} rows  {step.seconds:6.2f} s")


def _require_success(report: Run) -> None:
    broken = next((step for step in report.steps if step.error), None)
    if broken is not None and broken.error:
        raise LakehouseError(broken.error["message"], where=f"{broken.step} {broken.table}")


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


def _show(days: list[tuple[Day, float, Run]], shown: dict[str, Any], folder: Path, total: float) -> None:
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
    lake, database = shlex.quote(str(folder / "lake")), shlex.quote(f"sqlite://{folder / 'source.db'}")
    write(
        f"\nAll of it took {total:.1f} s. Where to look next:\n"
        f"  export LAKEHOUSE_LAKE={lake} LAKEHOUSE_CONNECTION__SPOTIFY={database}\n"
        "  lakehouse status\n"
        '  lakehouse query "select country, sum(streams) as streams from gold.daily_streams group by country order by 2 desc limit 5"\n'
        "  lakehouse history\n"
        "  lakehouse demo            # lives another day; --reset starts over\n"
    )
