"""Reads the files of a project's catalogue and has them checked."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from lakehouse.catalog.catalog import Catalog
from lakehouse.catalog.check import Reading, check_circles, check_columns, check_models, check_source_sql, check_tables
from lakehouse.catalog.checks import FOLDER, read_checks
from lakehouse.catalog.document import Document, check, read, read_text
from lakehouse.catalog.select import Select, parse_select
from lakehouse.errors import Fault, MetadataError
from lakehouse.layout import NAME
from lakehouse.model.star import Model
from lakehouse.model.table import Source, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

M = TypeVar("M", bound=BaseModel)


def load(project: Path, *, deep: bool = False, dialects: Mapping[str, str | None] | None = None) -> Catalog:
    """The project's catalogue; `deep` also checks the columns that each SELECT names, the SQL meant for sources, and `prefect.yaml`.

    Args:
        project: Its folder.
        deep: Check what a run need not look at, since it will see it anyway.
        dialects: sqlglot's names of the dialects of connections, as far as they are known.

    Raises:
        MetadataError: With every fault of every file.
    """
    reading = Reading(project)
    if not (project / "metadata").is_dir():
        raise MetadataError([Fault("metadata", 1, "", f"{project} has no folder metadata/", "name the project's folder with --project")])
    sources = _read_all(reading, sorted((project / "metadata/sources").glob("*.y*ml")), Source)
    tables = _read_all(reading, sorted((project / "metadata/tables").glob("*/*.y*ml")), Table)
    models = _read_all(reading, sorted((project / "metadata/models").glob("*.y*ml")), Model)
    _strays(reading)
    selects = _read_selects(reading, models)
    catalog = Catalog(sources, tables, models, selects)
    if (project / FOLDER).is_dir():
        catalog = replace(catalog, checks=read_checks(reading, catalog))
    check_tables(reading, catalog)
    check_models(reading, catalog)
    check_circles(reading, catalog)
    if deep:
        check_columns(reading, catalog)
        check_source_sql(reading, catalog, dialects or {})
        if not reading.faults:
            from lakehouse.catalog.cases import read_cases  # noqa: PLC0415  only `validate` and `test` look at them

            reading.faults += read_cases(project, catalog)[1]
        from lakehouse.catalog.deployments import check_deployments  # noqa: PLC0415  only `validate` looks at them, and a run starts sooner

        reading.faults += check_deployments(project)
    if reading.faults:
        raise MetadataError(reading.faults)
    return catalog


def _read_all(reading: Reading, paths: Iterable[Path], model: type[M]) -> dict[str, M]:
    found: dict[str, M] = {}
    for path in paths:
        document = read(path, reading.project)
        name = path.stem
        given = {} if model is Source else {"name": name}
        if model is Table:
            given["source"] = path.parent.name
        if not NAME.match(name):
            document.fault(
                (),
                f"the file's name {name!r} names the {model.__name__.lower()}; expected lower-case letters, digits and _, a letter first",
            )
        checked = None if document.faults else check(document, model, given)
        label = f"{model.__name__}:{name}"
        twin = reading.files.get(label) or (model is Model and reading.files.get(f"Table:{name}"))
        if twin:
            document.fault((), f"the name {name!r} is taken by {twin.file}", "names are unique among tables and models")
        elif checked is not None:
            found[name] = checked
        reading.files.setdefault(label, document)
        reading.faults += document.faults
        document.faults = []
    return found


def _strays(reading: Reading) -> None:
    places = ("sources/*.y*ml", "tables/*/*.y*ml", "models/*.y*ml", "tests/*.y*ml", "schema/*.json")
    root = reading.project / "metadata"
    known = {path for place in places for path in root.glob(place)}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path not in known:
            what = "the file is in no known place; expected metadata/sources/*.yml, metadata/tables/<source>/*.yml, metadata/models/*.yml"
            what += " or metadata/tests/*.yml"
            reading.faults.append(Fault(path.relative_to(reading.project).as_posix(), 1, "", what))


def _read_selects(reading: Reading, models: Mapping[str, Model]) -> dict[str, Select]:
    found: dict[str, Select] = {}
    folder = reading.project / "sql/gold"
    for path in sorted(folder.glob("*.sql")):
        file = path.relative_to(reading.project).as_posix()
        if f"Model:{path.stem}" not in reading.files:
            close = difflib.get_close_matches(path.stem, sorted(models), n=1)
            reading.faults.append(
                Fault(
                    file, 1, "", f"no metadata/models/{path.stem}.yml describes this SELECT", f"did you mean {close[0]!r}?" if close else ""
                )
            )
        document = Document(file)
        text = read_text(path, reading.project, document)
        reading.faults += document.faults
        if text is None:
            continue
        select, faults = parse_select(text)
        reading.faults += [Fault(file, line, "", what) for line, what in faults]
        if select:
            found[path.stem] = select
    for name, model in models.items():
        path = folder / f"{name}.sql"
        if not model.calendar and not path.exists():
            reading.fault(f"Model:{name}", (), f"sql/gold/{name}.sql is missing")
        if model.calendar and path.exists():
            reading.fault(f"Model:{name}", ("calendar",), f"a calendar is generated: sql/gold/{name}.sql would never be read")
    return found
