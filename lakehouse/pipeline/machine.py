"""Checks of this machine: Python and the libraries, time zones, the clock, the settings by name."""

from __future__ import annotations

import difflib
import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lakehouse.model.health import Check
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

PRODUCT = "lakehouse"
_SHOWN = ("polars", "duckdb", "deltalake", "connectorx", "pyarrow")
_OTHER_NAMES = ("debug", "project")
_SUMMER = "select timezone('Europe/Berlin', timestamptz '2024-07-01 00:00:00+00')::varchar as there"


def check_python() -> Check:
    """Whether this Python is in the declared range."""
    here, declared = platform.python_version(), SpecifierSet(metadata(PRODUCT)["Requires-Python"])
    if declared.contains(here, prereleases=True):
        return Check("python", "ok", f"{here} ({declared} is declared)")
    return Check("python", "fail", f"{here} is too old or too new: {declared} is declared", "make setup PYTHON=<a Python in that range>")


def check_libraries(declared: Iterable[str] | None = None) -> list[Check]:
    """Whether every declared library is there in its range: one line for all, or one for each that is not."""
    lines = list(requires(PRODUCT) or ()) if declared is None else list(declared)
    wanted = [Requirement(line) for line in lines]
    extras = {found[1] for line in lines if (found := re.search(r"extra == ['\"]([\w-]+)['\"]", line))}
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    for extra in sorted(extras):
        of_extra = [each for each in wanted if each not in needed and each.marker and each.marker.evaluate({"extra": extra})]
        needed += of_extra if all(_installed(each.name) for each in of_extra) else []
    bad = []
    for each in needed:
        here = _installed(each.name)
        if here is None or not each.specifier.contains(here, prereleases=True):
            there = "is not installed" if here is None else f"is at {here}"
            bad.append(Check("libraries", "fail", f"{each.name} {there}: {each.name}{each.specifier} is declared", _install(each)))
    shown = ", ".join(f"{name} {_installed(name)}" for name in _SHOWN)
    return bad or [Check("libraries", "ok", f"all {len(needed)} in their declared ranges: {shown}")]


def _install(each: Requirement) -> str:
    return f"make setup, or pip install '{each.name}{each.specifier}'"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_prefect() -> Check:
    """Whether flows can run; nothing else needs it."""
    here = _installed("prefect")
    return Check("prefect", "ok", here or f"not installed; only flows/ need it (pip install '{PRODUCT}[prefect]')")


def check_time_zones() -> Check:
    """Whether the SQL engine knows the zones' rules."""
    from lakehouse.engines.duck import Duck  # noqa: PLC0415  loaded where SQL runs

    duck = Duck(64 * 1024**2)
    try:
        with duck.session() as session:
            there = session.rows(_SUMMER).column("there")[0].as_py()
    except Exception as exc:  # noqa: BLE001  whatever the engine raises, the zones cannot be used
        return Check("time zones", "fail", f"the SQL engine has no time zones: {str(exc).partition(chr(10))[0][:200]}", "make setup")
    finally:
        duck.close()
    if there != "2024-07-01 02:00:00":
        return Check("time zones", "fail", "the SQL engine's time zones are wrong", "make setup")
    return Check("time zones", "ok", "the SQL engine knows them")


def check_clock(settings: Settings | None) -> Check:
    """Whether "now" is now."""
    if settings is not None and settings.clock is not None:
        what = f"LAKEHOUSE_CLOCK is set: runs take {settings.clock.isoformat()} for now, here and in the sources"
        return Check("clock", "warn", what, "Unset LAKEHOUSE_CLOCK, but for tests and replays.")
    now, made = datetime.now(UTC), datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if now < made:
        return Check(
            "clock", "fail", f"it shows {now:%Y-%m-%d %H:%M} UTC, which is before these files were made", "Set the machine's clock."
        )
    return Check("clock", "ok", f"it shows {now:%Y-%m-%d %H:%M:%S} UTC")


def check_names(project: Path) -> list[Check]:
    """A warning for each `LAKEHOUSE_` variable, in the environment or in `.env`, that nothing reads."""
    known = [*Settings.model_fields, *_OTHER_NAMES]
    env = project / ".env"
    try:
        text = env.read_text(encoding="utf-8", errors="replace") if env.is_file() else ""
    except OSError:
        text = ""  # that it cannot be read is a finding of the settings' own check
    given = {*os.environ, *re.findall(r"^\s*(?:export\s+)?(LAKEHOUSE_\w+)\s*=", text, re.MULTILINE | re.IGNORECASE)}
    checks = []
    for name in sorted(name for name in given if name.upper().startswith("LAKEHOUSE_")):
        word = name[len("LAKEHOUSE_") :].partition("__")[0].lower()
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            hint = f"Did you mean LAKEHOUSE_{close[0].upper()}?" if close else "Remove it, or correct its name."
            checks.append(Check("settings", "warn", f"{name} is set, but nothing reads it", hint))
    return checks
