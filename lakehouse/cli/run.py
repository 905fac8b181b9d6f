"""The commands that load: run, backfill, stream."""

from __future__ import annotations

import re
import signal
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import Output, Project, Select, open_house
from lakehouse.cli.output import Format, plain, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from lakehouse.model.run import Cursor, Run, Step
    from lakehouse.model.sample import Sample

Words = Annotated[list[str] | None, typer.Argument(metavar="SELECT...", help="Words as for `run --select`; none takes all.")]
Undone = Annotated[bool, typer.Option("--include-undone", help="Let rows come back whose run is taken back (`lakehouse undo`).")]
TERMINATED = 143
SECONDS = re.compile(r"^[0-9]{1,6}\.[0-9]{1,3}s$")
Bound = "a day (2024-05-01), an instant (2024-05-01T10:30, UTC unless it says otherwise), or an integer"


def run(
    select: Select = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Read the sources anew from the beginning, as new batches.")] = False,
    rebuild: Annotated[list[str] | None, typer.Option("--rebuild", help="silver.<table>: fold it again from all of bronze.")] = None,
    sample: Annotated[
        str | None,
        typer.Option("--sample", help="Only the newest rows of each table (1000, or a share: 1%), into a lake of their own."),
    ] = None,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Bring every table and model up to date."""
    house, slice_ = open_house(project), None if sample is None else _sample(sample)
    if slice_ is not None:
        rows = f"{slice_.rows:,} rows" if slice_.share is None else f"{slice_.share:.4%}".rstrip("0").rstrip(".%") + "%"
        say(f"A sample: the newest {rows} of each table, in {house.sandbox().uri}. The lake itself stays as it is.")
        say("Members that facts name may be missing from it: they are inferred, or -1. Set LAKEHOUSE_LAKE to that place to look into it.")
    report = house.run(select or (), full_refresh=full_refresh, rebuild=rebuild or (), sample=slice_, progress=show_progress)
    _finish(report, output)


def backfill(
    from_: Annotated[str, typer.Option("--from", help=f"The first cursor value read: {Bound}.")],
    to: Annotated[str, typer.Option("--to", help="The first cursor value not read any more.")],
    select: Words = None,
    include_undone: Undone = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Read a past window of incremental tables again, and bring all that follows up to date; the live watermark stays."""
    low, high = bound("--from", from_), bound("--to", to)
    report = open_house(project).backfill(select or (), from_=low, to=high, include_undone=include_undone, progress=show_progress)
    for step in report.steps:
        if step.window:  # it may end below `--to`: what lies above the safe bound is not read
            say(f"{step.table}: read from {step.window['from']} to {step.window['to']}, the latter not included.")
    _finish(report, output)


def adopt(
    table: Annotated[str, typer.Argument(help="The table, as its metadata file is called.")],
    place: Annotated[
        str, typer.Argument(metavar="PATH_OR_URI", help="A Parquet file, a folder or quoted pattern of such files, or a Delta table.")
    ],
    watermark: Annotated[
        str | None, typer.Option("--watermark", help=f"Where the next run goes on, not above the greatest cursor: {Bound}.")
    ] = None,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Make a Parquet or Delta history a table's first batch, from which runs go on; `lakehouse run` then builds silver and gold."""
    mark = None if watermark is None else bound("--watermark", watermark)
    _finish(open_house(project).adopt(table, place, watermark=mark, progress=show_progress), output)


def stream(
    select: Words = None,
    every: Annotated[str, typer.Option("--every", help="From the start of one poll to the start of the next: 10s, 5m, 1h.")] = "10s",
    for_: Annotated[str | None, typer.Option("--for", help="How long to go on; by default until SIGTERM or Ctrl-C.")] = None,
    once: Annotated[bool, typer.Option("--once", help="One poll alone.")] = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Poll the sources in small windows until told to stop; json prints one run a line."""
    from lakehouse.pipeline.walk import exit_code

    step, length = span("--every", every), None if for_ is None else span("--for", for_)
    polls, rows, report = 0, 0, None
    told: set[str] = set()
    for report in stopping(lambda stop: open_house(project).stream(select or (), every=step, for_=length, once=once, stop=stop)):
        polls += 1
        came = sum(each.rows_out for each in report.steps if each.step == "bronze")
        rows += came
        told = _tell(report, came, output, told)
    if report is None:
        return
    if output is Format.TEXT:
        sys.stdout.write(f"{polls} poll{'s' * (polls != 1)}, {rows:,} rows to bronze.\n")
    raise typer.Exit(exit_code(report))


def stopping(start: Callable[[Event], Iterator[Run]]) -> Iterator[Run]:
    """The runs of a stream that SIGTERM or Ctrl-C ends after the poll under way; the second one ends it at once."""
    stop = Event()

    def heard(number: int) -> None:
        stop.set()
        say(f"{signal.Signals(number).name}: stopping after the poll under way.")

    def ask(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(TERMINATED)
        Thread(target=heard, args=(number,)).start()  # this thread may hold the event's own lock at this moment, or write to stderr

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield from start(stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(report: Run, came: int, output: Format, told: set[str]) -> set[str]:
    """Show a poll; its failures, of which those in `told` were shown at the poll before."""
    failures = {step.error["message"] for step in report.steps if step.status == "failed" and step.error}
    if output is Format.JSON:
        print_json(report.facts())
        sys.stdout.flush()
        return failures
    if any(step.status == "success" for step in report.steps):
        changed = ", ".join(f"{step.step}.{step.table} {step.rows_out:,}" for step in report.steps if step.status == "success")
        say(f"{report.started_at:%H:%M:%S} {report.run_id} {report.status} in {report.seconds:.2f} s, {came:,} rows: {changed}")
    for message in sorted(failures - told):
        say(f"Error: {message}")
    return failures


def _sample(text: str) -> Sample:
    from lakehouse.errors import UsageError
    from lakehouse.model.sample import parse_sample

    try:
        return parse_sample(text)
    except ValueError:
        raise UsageError(
            "--sample cannot be read",
            expected="a number of rows such as 1000, or a share such as 1%",
            given=text[:40],
            next_step="Write it so.",
        ) from None


def bound(option: str, text: str) -> Cursor:
    """The bound of a window that an option names."""
    from lakehouse.errors import UsageError
    from lakehouse.model.run import parse_bound

    try:
        return parse_bound(text)
    except ValueError:
        raise UsageError(f"{option} cannot be read", expected=Bound, given=text[:40], next_step="Write it so.") from None


def span(option: str, text: str) -> timedelta:
    """The span of time that an option names."""
    from lakehouse.errors import UsageError
    from lakehouse.model.words import parse_lookback

    try:
        found = timedelta(seconds=float(text[:-1])) if SECONDS.match(text) else parse_lookback(text)
    except ValueError:
        found = 0
    if not isinstance(found, timedelta):
        raise UsageError(
            f"{option} cannot be read", expected="a number and a unit such as 0.5s, 10s, 5m, 1h", given=text[:40], next_step="Write it so."
        )
    return found


def _finish(report: Run, output: Format) -> None:
    """Show a run and end with its exit code."""
    from lakehouse.pipeline.walk import exit_code

    if output is Format.JSON:
        print_json(report.facts())
    else:
        print_table(
            report.facts()["steps"],
            ("step", "table", "status", "rows_in", "rows_out", "seconds", "version"),
            title=f"run {report.run_id}: {report.status} in {report.seconds:.2f} s",
        )
        for step in report.steps:
            for rule, count in step.failed_checks.items():
                sys.stdout.write(f"warning: {step.step}.{step.table}: {count} rows break {rule}\n")
            if step.open_rejects:
                owner = f", owner: {plain(step.owner)}" if step.owner else ""
                sys.stdout.write(f"open: {step.open_rejects} rejects of {step.table}{owner}; `lakehouse rejects list {step.table}`\n")
    raise typer.Exit(exit_code(report))


def show_progress(step: Step) -> None:
    """A step as it ends, on stderr: a line on a terminal, and every error."""
    if sys.stderr.isatty():
        say(f"  {step.step:>6} {step.table:<24} {step.status:<10} {step.rows_out:>10,} rows {step.seconds:>8.2f} s")
    if step.status == "failed" and step.error:
        say(f"Error: {step.error['message']}")
