"""Whether everything that a run needs is there: each check ends within seconds, and none stops another."""

from __future__ import annotations

import difflib
import shutil
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from lakehouse.catalog import load
from lakehouse.catalog.document import read
from lakehouse.errors import LakehouseError, MetadataError
from lakehouse.layout import folder_of, is_azure, lake_uri, layer_uris
from lakehouse.model.health import Check
from lakehouse.pipeline.machine import check_clock, check_libraries, check_names, check_prefect, check_python, check_time_zones
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Probe = Callable[[], list[Check]]

PATIENCE_SECONDS = 12.0
SKEW_SECONDS = 2.0
FULL_BYTES, NEARLY_FULL_BYTES = 512 * 1024**2, 5 * 1024**3


def doctor(project: Path, settings: Settings | None = None) -> list[Check]:
    """What was looked at, from this machine to the lake; nothing is raised, and no secret is in any text.

    Args:
        project: The project's folder.
        settings: What the environment decided; by default it is read here.
    """
    project = project.resolve()
    known: list[Check] = []
    if settings is None:
        try:
            settings = Settings.load(project)
        except LakehouseError as exc:
            known = [Check("settings", "fail", _what(exc), exc.next_step)]
    strange = check_names(project)
    if not known and not strange:
        known = [Check("settings", "ok", "every LAKEHOUSE_ variable is read")]
    probes: dict[str, Probe] = {}
    if settings is not None:
        for name in _connections(project):
            probes[f"connection {name}"] = partial(_connection, project, settings, name)
        try:
            places = _places(project, settings)
        except LakehouseError as exc:
            places = {}
            strange.append(Check("lake", "fail", _what(exc), exc.next_step))
        for label, uri in places.items():
            probes[label] = partial(_rights, settings, label, uri)
            if not is_azure(uri):
                disk = f"disk of {label}"
                probes[disk] = partial(_disk, disk, uri)
    waiting = _started(probes)
    checks = [check_python(), *check_libraries(), check_prefect(), check_time_zones(), check_clock(settings), *known, *strange]
    checks += _metadata(project)
    return checks + _gathered(waiting)


def _started(probes: dict[str, Probe]) -> dict[str, tuple[Thread, list[Check]]]:
    """The probes under way side by side, each with the list that it fills. A thread that hangs dies with the process."""
    waiting = {}
    for name, probe in probes.items():
        found: list[Check] = []
        thread = Thread(target=_guarded, args=(name, probe, found), name=name, daemon=True)
        thread.start()
        waiting[name] = (thread, found)
    return waiting


def _guarded(name: str, probe: Probe, found: list[Check]) -> None:
    try:
        found += probe()
    except LakehouseError as exc:
        found.append(Check(name, "fail", _what(exc), exc.next_step))
    except BaseException as exc:  # noqa: BLE001  the engines' panics are no Exceptions; its text can hold a secret
        found.append(
            Check(name, "fail", f"the check broke with {type(exc).__name__}", "Report it, with what `lakehouse --debug run` says.")
        )


def _gathered(waiting: dict[str, tuple[Thread, list[Check]]]) -> list[Check]:
    end = time.monotonic() + PATIENCE_SECONDS
    checks: list[Check] = []
    for name, (thread, found) in waiting.items():
        thread.join(max(0.0, end - time.monotonic()))
        late = [
            Check(name, "fail", f"no answer within {PATIENCE_SECONDS:.0f} seconds", "See that it is up, and that the way to it is open.")
        ]
        checks += late if thread.is_alive() else found
    return checks


def _what(exc: LakehouseError) -> str:
    return f"{exc.where}: {exc.what}" if exc.where else exc.what


def _metadata(project: Path) -> list[Check]:
    """The project's folder and its files."""
    if not project.is_dir():
        return [Check("project", "fail", f"there is no folder {project}", "Name the project's folder with --project.")]
    if not (project / "metadata").is_dir():
        return [Check("project", "fail", f"{project} is no project: it has no metadata/", "Make one with `lakehouse init`.")]
    try:
        catalog = load(project, deep=True)
    except MetadataError as exc:
        return [Check("metadata", "fail", f"{exc.what}; the first: {exc.faults[0]}", "Mend them; `lakehouse validate` lists all.")]
    if not catalog.sources:
        return [Check("metadata", "warn", "no source is described yet", "lakehouse discover <connection> --write")]
    counts = {"source": len(catalog.sources), "table": len(catalog.tables), "model": len(catalog.models)}
    return [Check("metadata", "ok", ", ".join(f"{count} {what}{'s' * (count != 1)}" for what, count in counts.items()))]


def _connections(project: Path) -> list[str]:
    """The connections that the sources' files name, whatever else is wrong with them."""
    files = sorted((project / "metadata/sources").glob("*.y*ml"))
    return sorted({name for file in files if isinstance(name := read(file, project).data.get("connection"), str)})


def _connection(project: Path, settings: Settings, name: str) -> list[Check]:
    from lakehouse.sources.connect import connect  # noqa: PLC0415  the driver is loaded where a source is asked
    from lakehouse.sources.server import ask  # noqa: PLC0415

    label, clock = f"connection {name}", f"clock of {name}"
    if name.lower() not in settings.connection:
        close = difflib.get_close_matches(name.lower(), settings.connection, n=1)
        hint = f" (there is one for {close[0]!r})" if close else ""
        return [
            Check(
                label, "fail", f"LAKEHOUSE_CONNECTION__{name.upper()} is not set{hint}", "Set it, or put it into the project's .env file."
            )
        ]
    with closing(connect(settings.url(name), project)) as dialect:
        server = ask(dialect)
    checks = [Check(label, "ok", f"{server.product} answers")]
    if server.blind:
        checks.append(Check(label, "warn", server.blind, "grant pg_read_all_stats to the login."))
    if server.skew is not None:
        seconds = server.skew.total_seconds()
        off = abs(seconds) > SKEW_SECONDS
        what = f"{abs(seconds):,.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's" if off else "as this machine's"
        checks.append(Check(clock, "warn" if off else "ok", what, "Set both by one time server (NTP)." if off else ""))
    return checks


def _places(project: Path, settings: Settings) -> dict[str, str]:
    """The URI of the lake, and of each layer that lives elsewhere."""
    lake = lake_uri(settings.lake, project)
    layers = layer_uris(lake, settings.layer, project)
    return {"lake": lake, **{f"layer {layer}": layers[layer] for layer in settings.layer}}


def _rights(settings: Settings, label: str, uri: str) -> list[Check]:
    from lakehouse.storage.place import Places  # noqa: PLC0415  the stores are loaded where one is asked
    from lakehouse.storage.rights import VERBS, opened, refusals  # noqa: PLC0415

    with opened(Places(settings.azure).at(uri)) as store:
        refused = refusals(store)
    if not refused:
        return [Check(label, "ok", f"{uri} lets us {', '.join(VERBS)}")]
    fix = f"Grant the right, or correct LAKEHOUSE_{label.upper().replace(' ', '__')}."
    return [Check(label, "fail", f"{uri} refuses to {verb}: {reason}", fix) for verb, reason in refused.items()]


def _disk(label: str, uri: str) -> list[Check]:
    folder = Path(folder_of(uri))
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    what = f"{free / 1024**3:,.1f} GiB are free"
    if free >= NEARLY_FULL_BYTES:
        return [Check(label, "ok", what)]
    return [Check(label, "fail" if free < FULL_BYTES else "warn", what, "Free some space, or move it to a larger disk.")]
