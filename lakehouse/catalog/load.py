"""The catalogue of a project: every table, source and model, checked against each other."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from lakehouse.catalog.document import Document, check, read
from lakehouse.catalog.graph import Graph
from lakehouse.catalog.select import Select, check_columns, check_condition, condition_columns, parse_select
from lakehouse.errors import Fault, MetadataError
from lakehouse.layout import IS_CURRENT, NAME, VALID_FROM, VALID_TO
from lakehouse.model.star import Model
from lakehouse.model.table import Source, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


M = TypeVar("M", bound=BaseModel)
_HISTORY = {VALID_FROM: "timestamp", VALID_TO: "timestamp", IS_CURRENT: "boolean"}


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that the project declares; what it holds has been checked.

    Attributes:
        sources: By name.
        tables: By the name in the lake.
        models: By name.
        selects: The parsed SELECT of every model that has one.
    """

    sources: Mapping[str, Source]
    tables: Mapping[str, Table]
    models: Mapping[str, Model]
    selects: Mapping[str, Select]

    @property
    def graph(self) -> Graph:
        """Tables and models, each with all that it must wait for."""
        parents: dict[str, set[str]] = {name: set() for name in self.tables}
        for name in self.models:
            parents[name] = {table for _, table in self.inputs(name)}
        return Graph(parents, {**{n: t.tags for n, t in self.tables.items()}, **{n: m.tags for n, m in self.models.items()}})

    def reads(self, model: str) -> set[tuple[str, str]]:
        """What a model's own SELECT reads, as (layer, table)."""
        return set(self.selects[model].reads) if model in self.selects else set()

    def referencing(self, dimension: str) -> list[tuple[str, str]]:
        """The references that point to a dimension, as (fact, key column), in order."""
        return [
            (name, key)
            for name, model in sorted(self.models.items())
            for key, ref in model.references.items()
            if ref.dimension == dimension
        ]

    def inputs(self, model: str) -> set[tuple[str, str]]:
        """All tables whose change can change a model's rows: what it reads, what it points to, and for a dimension what points to it."""
        found = self.reads(model)
        found |= {("gold", reference.dimension) for reference in self.models[model].references.values()}
        if self.models[model].kind == "dimension" and not self.models[model].calendar:
            for fact, key in self.referencing(model):
                through = self.models[fact].references[key].through
                found |= {("gold", self.models[fact].references[through].dimension)} if through else self.reads(fact)
        return found

    def definition(self, name: str) -> int:
        """A number that changes with the definition that a silver table or a gold model is built by: 60 bits of a SHA-256."""
        if name in self.tables:
            table = self.tables[name]
            words: object = [table.mode, table.keys, table.sequence, table.history, {c: str(t.type) for c, t in table.columns.items()}]
        else:
            pointing = [
                (fact, key, self.models[fact].references[key].model_dump(mode="json"), self._text(fact))
                for fact, key in self.referencing(name)
            ]
            words = [self.models[name].model_dump(mode="json", by_alias=True), self._text(name), pointing]
        return int(hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()[:15], 16)

    def _text(self, model: str) -> str:
        return self.selects[model].text if model in self.selects else ""


@dataclass(slots=True)
class _Reading:
    """What has been read so far, with the file of everything for the faults of later checks."""

    project: Path
    faults: list[Fault] = field(default_factory=list)
    files: dict[str, Document] = field(default_factory=dict)


def load(project: Path, *, deep: bool = False) -> Catalog:
    """The project's catalogue; `deep` also checks the columns that each SELECT names.

    Raises:
        MetadataError: With every fault of every file.
    """
    reading = _Reading(project)
    if not (project / "metadata").is_dir():
        raise MetadataError([Fault("metadata", 1, "", f"{project} has no folder metadata/", "name the project's folder with --project")])
    sources = _read_all(reading, sorted((project / "metadata/sources").glob("*.y*ml")), Source)
    tables = _read_all(reading, sorted((project / "metadata/tables").glob("*/*.y*ml")), Table)
    models = _read_all(reading, sorted((project / "metadata/models").glob("*.y*ml")), Model)
    _strays(reading)
    selects = _read_selects(reading, models)
    catalog = Catalog(sources, tables, models, selects)
    _check_tables(reading, catalog)
    _check_models(reading, catalog)
    if not reading.faults:
        _check_circles(reading, catalog)
    if deep and not reading.faults:
        _check_columns(reading, catalog)
    if reading.faults:
        raise MetadataError(reading.faults)
    return catalog


def _read_all(reading: _Reading, paths: Iterable[Path], model: type[M]) -> dict[str, M]:
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
                f"the file's name {name!r} is the {model.__name__.lower()}'s name; expected lower-case letters, digits and _, a letter first",
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


def _strays(reading: _Reading) -> None:
    places = ("sources/*.y*ml", "tables/*/*.y*ml", "models/*.y*ml", "schema/*.json")
    root = reading.project / "metadata"
    known = {path for place in places for path in root.glob(place)}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path not in known:
            what = "the file is in no known place; expected metadata/sources/*.yml, metadata/tables/<source>/*.yml or metadata/models/*.yml"
            reading.faults.append(Fault(path.relative_to(reading.project).as_posix(), 1, "", what))


def _read_selects(reading: _Reading, models: Mapping[str, Model]) -> dict[str, Select]:
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
        if not path.resolve().is_relative_to(reading.project.resolve()):
            reading.faults.append(Fault(file, 1, "", "the file is a link that leaves the project"))
            continue
        select, faults = parse_select(path.read_text(encoding="utf-8-sig", errors="replace"))
        reading.faults += [Fault(file, line, "", what) for line, what in faults]
        if select:
            found[path.stem] = select
    for name, model in models.items():
        path = folder / f"{name}.sql"
        if not model.calendar and not path.exists():
            _fault(reading, f"Model:{name}", (), f"sql/gold/{name}.sql is missing")
        if model.calendar and path.exists():
            _fault(reading, f"Model:{name}", ("calendar",), f"a calendar is generated: sql/gold/{name}.sql would never be read")
    return found


def _fault(reading: _Reading, label: str, key: tuple[str, ...], what: str, hint: str = "") -> None:
    document = reading.files[label]
    document.fault(key, what, hint)
    reading.faults.append(document.faults.pop())


def _check_tables(reading: _Reading, catalog: Catalog) -> None:
    for name, table in catalog.tables.items():
        if f"Source:{table.source}" not in reading.files:
            _fault(
                reading,
                f"Table:{name}",
                (),
                f"the folder names source {table.source!r}, but metadata/sources/{table.source}.yml does not exist",
            )
        for rule, expectation in table.expect.items():
            _check_rule(reading, f"Table:{name}", ("expect", rule, "that"), expectation.that, table.columns)


def _check_rule(reading: _Reading, label: str, key: tuple[str, ...], text: str, columns: Iterable[str]) -> None:
    what = check_condition(text)
    if not what and columns:
        unknown = sorted(condition_columns(text) - set(columns))
        what = f"names {', '.join(unknown)}; there are: {', '.join(columns)}" if unknown else None
    if what:
        _fault(reading, label, key, what)


def _check_models(reading: _Reading, catalog: Catalog) -> None:
    for name, model in catalog.models.items():
        label = f"Model:{name}"
        for layer, table in sorted(catalog.reads(name)):
            there = catalog.tables if layer == "silver" else catalog.models
            if table not in there and f"{'Table' if layer == 'silver' else 'Model'}:{table}" not in reading.files:
                close = difflib.get_close_matches(table, sorted(there), n=1)
                hint = f"did you mean {layer}.{close[0]}?" if close else ""
                reading.faults.append(
                    Fault(f"sql/gold/{name}.sql", 1, "", f"reads {layer}.{table}, which no metadata file describes", hint)
                )
        _check_references(reading, catalog, model)
        columns = catalog.selects[name].columns if name in catalog.selects else ()
        if columns:
            needed = {"keys": model.keys, "as_of": (model.as_of,) if model.as_of else ()}
            if model.history == "scd2":
                needed["history"] = tuple(_HISTORY)
            for key, names in needed.items():
                for missing in [column for column in names if column not in columns]:
                    _fault(
                        reading,
                        label,
                        (key,),
                        f"names {missing!r}, which sql/gold/{name}.sql does not select; it selects {', '.join(columns)}",
                    )
            for added in {model.surrogate_key, *model.references} & set(columns):
                _fault(reading, label, (), f"sql/gold/{name}.sql selects {added!r}, which is added to it as a surrogate key; rename it")
            known = {*columns, *model.references, *((model.surrogate_key,) if model.surrogate_key else ())}
            for measure in sorted(set(model.measures) - known):
                _fault(reading, label, ("measures", measure), f"is no column of this model; it has {', '.join(sorted(known))}")
            for column in sorted(set(model.columns) - known):
                _fault(reading, label, ("columns", column), f"is no column of this model; it has {', '.join(sorted(known))}")
        else:
            known = set()
        for rule, expectation in model.expect.items():
            _check_rule(reading, label, ("expect", rule, "that"), expectation.that, sorted(known))


def _check_references(reading: _Reading, catalog: Catalog, model: Model) -> None:
    label = f"Model:{model.name}"
    columns = catalog.selects[model.name].columns if model.name in catalog.selects else ()
    for key, reference in model.references.items():
        at = ("references", key)
        target = catalog.models.get(reference.dimension)
        if target is None or target.kind != "dimension":
            if f"Model:{reference.dimension}" not in reading.files or target is not None:
                close = difflib.get_close_matches(
                    reference.dimension, sorted(n for n, m in catalog.models.items() if m.kind == "dimension"), n=1
                )
                _fault(
                    reading,
                    label,
                    (*at, "dimension"),
                    f"{reference.dimension!r} is no dimension",
                    f"did you mean {close[0]!r}?" if close else "",
                )
            continue
        if set(reference.match) != set(target.keys):
            _fault(
                reading,
                label,
                (*at, "match"),
                f"expected the keys of {target.name}: {', '.join(target.keys)}; given {', '.join(reference.match)}",
            )
        if target.history == "scd2" and not model.as_of:
            _fault(reading, label, at, f"{target.name} has versions, so the fact needs `as_of`")
        if reference.through is None and columns:
            for column in sorted(set(reference.match.values()) - set(columns)):
                _fault(
                    reading,
                    label,
                    (*at, "match"),
                    f"names {column!r}, which sql/gold/{model.name}.sql does not select; it selects {', '.join(columns)}",
                )


def _check_circles(reading: _Reading, catalog: Catalog) -> None:
    circle = catalog.graph.circle()
    if circle:
        named = next(node for node in circle if node in catalog.models)
        _fault(reading, f"Model:{named}", (), f"the models form a circle: {' -> '.join(circle)}")
    for name, model in catalog.models.items():
        seen: list[str] = []
        for start in model.references:
            at: str | None = start
            seen = []
            while at is not None and at not in seen:
                seen.append(at)
                at = model.references[at].through
            if at is not None:
                _fault(
                    reading, f"Model:{name}", ("references", start, "through"), f"the references form a circle: {' -> '.join([*seen, at])}"
                )
                break


def _check_columns(reading: _Reading, catalog: Catalog) -> None:
    for name, select in catalog.selects.items():
        columns: dict[tuple[str, str], dict[str, str]] = {}
        for layer, table in select.reads:
            if layer == "silver" and catalog.tables[table].columns:
                declared = {column: str(shape.type) for column, shape in catalog.tables[table].columns.items()}
                columns[layer, table] = {**declared, **(_HISTORY if catalog.tables[table].history == "scd2" else {})}
            elif layer == "gold" and table in catalog.selects and catalog.selects[table].columns:
                model = catalog.models[table]
                names = [
                    *catalog.selects[table].columns,
                    *model.references,
                    *([model.surrogate_key] if model.surrogate_key else []),
                    "is_inferred",
                ]
                columns[layer, table] = dict.fromkeys(names, "unknown")
        if len(columns) == len(select.reads) and (what := check_columns(select, columns)):
            reading.faults.append(Fault(f"sql/gold/{name}.sql", 1, "", what))
