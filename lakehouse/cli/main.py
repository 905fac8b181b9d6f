"""The commands. Each reads its words, calls the `Lakehouse`, and shows what came out."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from lakehouse.cli import run as loads
from lakehouse.cli.demo import demo
from lakehouse.cli.discover import discover
from lakehouse.cli.doctor import doctor
from lakehouse.cli.init import init
from lakehouse.cli.options import Output, Project, Select, open_house
from lakehouse.cli.output import Format, print_json, print_table, say
from lakehouse.cli.quality import quality
from lakehouse.cli.reconcile import reconcile
from lakehouse.cli.rejects import rejects
from lakehouse.cli.test import cases
from lakehouse.cli.why import why
from lakehouse.errors import LakehouseError

app = typer.Typer(name="lakehouse", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

INTERRUPTED, TERMINATED = 130, loads.TERMINATED
_debug = {"on": False}


def _version(given: bool) -> None:
    if given:
        from lakehouse import __version__

        sys.stdout.write(f"lakehouse {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    __: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_version)] = False,
) -> None:
    """SQL sources become Delta tables and a star schema, on one machine."""


app.command()(demo)
app.command()(init)
app.command()(discover)
app.command()(doctor)


@app.command()
def validate(project: Project = Path(), output: Output = Format.TEXT) -> None:
    """Check all metadata and SQL, and prefect.yaml; report every fault of every file."""
    from lakehouse.catalog import load
    from lakehouse.catalog.notes import notes
    from lakehouse.catalog.source_sql import dialect_of
    from lakehouse.errors import MetadataError
    from lakehouse.settings import Settings

    urls = Settings.load(project.resolve()).connection
    try:
        catalog = load(project.resolve(), deep=True, dialects={name: dialect_of(url.get_secret_value()) for name, url in urls.items()})
    except MetadataError as exc:
        if output is Format.JSON:
            print_json(
                {
                    "valid": False,
                    "faults": [{"file": f.file, "line": f.line, "key": f.key, "what": f.what, "hint": f.hint} for f in exc.faults],
                }
            )
        raise
    counts = {"sources": len(catalog.sources), "tables": len(catalog.tables), "models": len(catalog.models)}
    if output is Format.JSON:
        print_json({"valid": True, "faults": [], "notes": notes(catalog), **counts})
    else:
        sys.stdout.writelines(f"Note: {note}\n" for note in notes(catalog))
        sys.stdout.write("Valid: " + ", ".join(f"{count} {what}" for what, count in counts.items()) + ".\n")


@app.command()
def plan(select: Select = None, project: Project = Path(), output: Output = Format.TEXT) -> None:
    """Say what a run would do; nothing is written and no source is asked."""
    rows = open_house(project).plan(select or ())
    if output is Format.JSON:
        print_json(rows)
    else:
        print_table(rows, ("step", "table", "action", "reason"))


app.command()(loads.run)
app.command()(loads.backfill)
app.command()(loads.adopt)
app.command()(loads.stream)
app.command()(reconcile)
app.command()(quality)
app.add_typer(rejects, name="rejects")
app.command(context_settings={"ignore_unknown_options": True})(why)  # a key may begin with -
app.command("test")(cases)


@app.command()
def status(project: Project = Path(), output: Output = Format.TEXT) -> None:
    """Show where every table stands."""
    rows = open_house(project).status()
    if output is Format.JSON:
        print_json(rows)
    else:
        print_table(rows)


@app.command()
def query(
    sql: Annotated[
        str, typer.Argument(help="One SELECT over bronze.x, silver.x, rejects.x, gold.y and ledger.windows, runs, steps, quality.")
    ],
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Ask the lake in SQL."""
    rows = open_house(project).sql(sql)
    if output is Format.JSON:
        print_json(rows.to_dicts())
    else:
        print_table(rows.to_dicts(), rows.columns)


@app.command()
def history(
    project: Project = Path(),
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many runs.")] = 10,
    output: Output = Format.TEXT,
) -> None:
    """Show the newest runs, step by step."""
    rows = open_house(project).history(limit)
    if output is Format.JSON:
        print_json(rows)
    else:
        columns = ("run_id", "run_started_at", "step", "table", "status", "rows_in", "rows_out", "seconds", "version")
        print_table(rows, columns)


@app.command()
def schema(
    project: Project = Path(),
    check: Annotated[bool, typer.Option("--check", help="Only say whether metadata/schema/ is up to date.")] = False,
) -> None:
    """Write the JSON Schemas of the metadata files, by which editors check."""
    from lakehouse.catalog import SCHEMAS, schema_text
    from lakehouse.errors import UsageError

    folder = project.resolve() / "metadata/schema"
    if check:
        old = [
            kind
            for kind in SCHEMAS
            if not (folder / f"{kind}.json").is_file() or (folder / f"{kind}.json").read_text() != schema_text(kind)
        ]
        if old:
            raise UsageError(f"the schema of {', '.join(old)} is out of date", where=str(folder), next_step="Run `lakehouse schema`.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    for kind in SCHEMAS:
        (folder / f"{kind}.json").write_text(schema_text(kind))
        say(f"wrote metadata/schema/{kind}.json")


def main() -> int:
    """Run the command line; its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    _debug["on"] = "--debug" in sys.argv or bool(os.environ.get("LAKEHOUSE_DEBUG"))
    if _debug["on"]:
        import logging

        logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
        logging.getLogger("lakehouse").setLevel(logging.DEBUG)
    misuse = typer.BadParameter.__mro__[2]  # typer's own ClickException, which it does not name in public
    try:
        code = app(standalone_mode=False)
    except LakehouseError as exc:
        return _fail(exc, exc.exit_code)
    except typer.Abort:
        return _fail(KeyboardInterrupt("interrupted"), INTERRUPTED)
    except KeyboardInterrupt as exc:
        return _fail(exc, INTERRUPTED)
    except SystemExit as exc:
        return _fail(KeyboardInterrupt("terminated"), TERMINATED) if exc.code == TERMINATED else int(exc.code or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as exc:  # noqa: BLE001  the last door: a person gets a sentence, a traceback on demand
        if isinstance(exc, misuse):
            exc.show()  # type: ignore[attr-defined]
            return 2
        return _fail(exc, 1)
    if code == INTERRUPTED:  # typer makes a number of a Ctrl-C itself
        return _fail(KeyboardInterrupt("interrupted"), INTERRUPTED)
    return int(code or 0)


def _terminated(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _fail(exc: BaseException, code: int) -> int:
    if _debug["on"]:
        import traceback

        traceback.print_exception(exc)
    elif isinstance(exc, LakehouseError):
        say(f"Error: {exc}")
    elif isinstance(exc, KeyboardInterrupt):
        say("Interrupted: what was committed stays, the rest comes with the next run.")
    else:
        say(
            f"Error: unexpected {type(exc).__name__}: {str(exc).partition(chr(10))[0]}. "
            "Run again with `lakehouse --debug ...` and report the traceback."
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
