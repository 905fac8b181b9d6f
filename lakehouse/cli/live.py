"""`lakehouse demo --live`: a source that changes all the time under a stream, watched, and compared with the lake at the end."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.afterwards import tell_next
from lakehouse.cli.days import live_day
from lakehouse.cli.output import Format, print_json, print_table, say
from lakehouse.cli.run import stopping
from lakehouse.cli.screen import Line, Seen, shown

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.api import Lakehouse
    from lakehouse.demo.proof import Compared
    from lakehouse.demo.source import Source
    from lakehouse.model.run import Run

EVERY = timedelta(seconds=1)
PLAYS = """
select u.country, count(*) as plays from gold.fact_stream f join gold.dim_user u using (user_key)
where f.stream_timestamp >= now() - interval 1 minute group by u.country order by plays desc, u.country limit 5
"""


def watch(source: Source, project: Path, *, rows: int, length: timedelta, output: Format) -> None:
    """Change the source and stream it meanwhile, then compare the lake with it; json is one document at the end.

    Raises:
        LakehouseError: The first day's run failed, or the source refused a change.
        Exit: With 1 where the lake does not hold what the source shows.
    """
    from lakehouse.catalog import load
    from lakehouse.demo.live import Writer, settle
    from lakehouse.demo.proof import compare
    from lakehouse.demo.rows import TABLES
    from lakehouse.demo.simulator import Simulator

    simulator = Simulator(source.store, streams=rows)
    if simulator.days_lived == 0:
        live_day(source, project, simulator)
    house, begun = source.house(project, None), time.monotonic()
    writer = Writer(source.store)
    described = [table.name for table in load(project).tables.values() if table.object in TABLES]
    seen = Seen(length.total_seconds(), source.store.name, writer.facts, tables={name: Line() for name in described})
    say(f"The source changes all the time and is polled every second, for {length.total_seconds():g} s; Ctrl-C ends it sooner.")
    with shown(seen) as show:
        with writer:
            for report in stopping(lambda stop: house.stream(every=EVERY, for_=length, stop=stop)):
                _look(house, seen, report)
                show(report)
                if writer.is_broken:
                    break
            writer.stop()
        settled = settle(source.store, project)
        for report in house.stream(every=EVERY, once=True):
            _look(house, seen, report)
            show(report)
    compared = compare(house, source.store)
    seconds = time.monotonic() - begun
    equal = all(each.equal for each in compared) and not seen.error
    if output is Format.JSON:
        facts = {"source": source.kind, "folder": str(source.folder), "lake": str(source.lake), "seconds": round(seconds, 3)}
        print_json({**facts, **seen.facts(), "proof": [each.facts() for each in compared], "equal": equal})
    else:
        _show(compared, settled=settled)
        sys.stdout.write(f"\n{seen.polls} polls in {seconds:.1f} s.\n")
        tell_next(source, project, live=True)
    raise typer.Exit(0 if equal else 1)


def _look(house: Lakehouse, seen: Seen, report: Run) -> None:
    seen.add(report)
    if report.status == "success":
        for row in house.status():
            if row["watermark"] and row["table"] in seen.tables:
                seen.tables[row["table"]].watermark = datetime.fromisoformat(row["watermark"])
        seen.plays = house.sql(PLAYS).to_dicts()


def _show(compared: list[Compared], *, settled: bool) -> None:
    print_table([each.facts() for each in compared], title="After the last change: the source beside the lake")
    if all(each.equal for each in compared):
        sys.stdout.write("Every row that the source shows stands in the lake, compared in all columns.\n")
    elif not settled:
        sys.stdout.write("A transaction of somebody else is open in the source: what committed after it began comes when it has ended.\n")
    else:
        sys.stdout.write("The lake does NOT hold what the source shows.\n")
    if any(each.surplus for each in compared):
        sys.stdout.write("surplus: rows deleted in the source, which a cursor does not see; their last values stay.\n")
    if any(each.superseded for each in compared):
        sys.stdout.write("superseded: rows that the source set back to an older time; the lake keeps the newer one as current.\n")
