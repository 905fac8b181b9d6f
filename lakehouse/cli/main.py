"""The commands. Each reads its words, calls the `Lakehouse`, and shows what came out."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from lakehouse.cli.options import Output, Project, Select, open_house
from lakehouse.cli.output import Format, print_json, print_table, say
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERRUPTED, TERMINATED = 130, 143
_debug = {"on": False}


def _version(given: bool) -> None:
    if given:
        from lakehouse import __version__

        sys.stdout.write(f"lakehouse {__version__}\n")
        raise typer.Exit


def _main(
    _: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    __: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_version)] = False,
) -> None:
    """SQL sources become Delta tables and a star schema, on one machine."""


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


def plan(select: Select = None, project: Project = Path(), output: Output = Format.TEXT) -> None:
    """Say what a run would do; nothing is written and no source is asked."""
    rows = open_house(project).plan(select or ())
    if output is Format.JSON:
        print_json(rows)
    else:
        print_table(rows, ("step", "table", "action", "reason"))


def status(project: Project = Path(), output: Output = Format.TEXT) -> None:
    """Show where every table stands."""
    rows = open_house(project).status()
    if output is Format.JSON:
        print_json(rows)
    else:
        print_table(rows)


def query(
    sql: Annotated[
        str, typer.Argument(help="One SELECT over bronze.x, silver.x, rejects.x, gold.y and ledger.windows, runs, steps, quality.")
    ],
    star: Annotated[int | None, typer.Option("--star", min=1, help="Gold as it was published by this number.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Gold as readers saw it then: an instant, or a day, which means its beginning (UTC).")
    ] = None,
    staged: Annotated[bool, typer.Option("--staged", help="Gold as it was built last, published or not.")] = False,
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Ask the lake in SQL; gold is the star that was published last, or another one that is named."""
    from lakehouse.cli.publish import instant

    rows = open_house(project).sql(sql, star=star, as_of=instant("--as-of", as_of), staged=staged)
    if output is Format.JSON:
        print_json(rows.to_dicts())
    else:
        print_table(rows.to_dicts(), rows.columns)


def schema(
    project: Project = Path(),
    check: Annotated[bool, typer.Option("--check", help="Only say whether metadata/schema/ is up to date.")] = False,
) -> None:
    """Write the JSON Schemas of the metadata files, by which editors check."""
    from lakehouse.catalog.schema import SCHEMAS, schema_text
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


COMMANDS: dict[str, Callable[..., None] | str] = {
    "demo": "demo.demo",
    "init": "init.init",
    "discover": "discover.discover",
    "doctor": "doctor.doctor",
    "validate": validate,
    "plan": plan,
    "run": "run.run",
    "backfill": "run.backfill",
    "adopt": "run.adopt",
    "stream": "run.stream",
    "reconcile": "reconcile.reconcile",
    "undo": "undo.undo",
    "quality": "quality.quality",
    "rejects": "rejects.rejects",
    "erase": "erase.erase",
    "why": "why.why",
    "reveal": "reveal.reveal",
    "lineage": "lineage.lineage",
    "test": "test.cases",
    "publish": "publish.publish",
    "status": status,
    "query": query,
    "history": "history.history",
    "schema": schema,
}
"""Every command with what does it: a function, or a name in a module of `cli/` that is not loaded yet."""


def commands(words: Sequence[str]) -> typer.Typer:
    """The command line, as far as these words need it: one command is meant, and each of the others would cost its share of the start."""
    first = next((word for word in words if word != "--debug"), "")
    app = typer.Typer(name="lakehouse", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(_main)
    for name in [first] if first in COMMANDS else COMMANDS:
        does = _loaded(COMMANDS[name])
        if isinstance(does, typer.Typer):
            app.add_typer(does, name=name)
        else:
            app.command(name, context_settings={"ignore_unknown_options": name == "why"})(does)  # a key may begin with -
    return app


def _loaded(does: Callable[..., None] | str) -> Any:  # noqa: ANN401  a command or a group of them
    if not isinstance(does, str):
        return does
    module, _, name = does.partition(".")
    return getattr(import_module(f"lakehouse.cli.{module}"), name)


def program() -> NoReturn:
    """The command line as a program: when all that must end orderly has ended, the process ends, and does not take its modules to pieces.

    That would be a sixth of a run in which nothing has changed. Python calls what was registered first at last: threads have ended by
    then, and whoever else registered has been called.
    """
    code = 1

    def leave() -> None:
        os._exit(_flushed(code))

    atexit.register(leave)
    code = main()
    sys.exit(code)


def _flushed(code: int) -> int:
    """The exit code when the last of what was printed has left: a failure where it could not; that nobody reads on is none."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            continue
        except OSError as exc:
            with suppress(OSError):
                os.write(2, f"Error: what was printed cannot be written: {exc.strerror}.\n".encode())
            code = code or 1
    return code


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
        code = commands(sys.argv[1:])(standalone_mode=False)
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
