"""What a database has, and how the lake could read it: every guess with its evidence, no value of a row shown but a cursor's greatest."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from lakehouse.catalog.document import read
from lakehouse.catalog.draft import source_text, table_text
from lakehouse.errors import MetadataError, SourceError, UsageError
from lakehouse.layout import NAME
from lakehouse.model.discovery import FoundTable
from lakehouse.model.words import SourceObject
from lakehouse.pipeline.look import Glass, look
from lakehouse.pipeline.skeleton import write_new
from lakehouse.sources.connect import connect
from lakehouse.sources.database import Database
from lakehouse.sources.dialect import ListedTable, pick
from lakehouse.sources.statistics import require_answer
from lakehouse.transform.spelling import table_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lakehouse.settings import Settings
    from lakehouse.sources.dialect import Dialect

BATCH_ROWS = 50
_SOURCE_OBJECT: TypeAdapter[str] = TypeAdapter(SourceObject)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a look at a database found.

    Attributes:
        connection: The connection's name.
        source: What the lake calls the database.
        tables: Its tables and views, by their names.
        written: The files that were written, below the project.
        left: The files that were there already, and stay as they are.
    """

    connection: str
    source: str
    tables: tuple[FoundTable, ...]
    written: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """As JSON shows it; keys are stable."""
        return {
            "connection": self.connection,
            "source": self.source,
            "tables": [table.facts() for table in self.tables],
            "written": list(self.written),
            "left": list(self.left),
        }


def discover(
    project: Path,
    settings: Settings,
    connection: str,
    *,
    source: str | None = None,
    tables: Iterable[str] = (),
    write: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Discovery:
    """Look at the tables of a connection's database; `write` makes a metadata file for each that the lake can have.

    Args:
        project: The project's folder.
        settings: What the environment decided.
        connection: The connection's name, as in `LAKEHOUSE_CONNECTION__<NAME>`.
        source: What the lake calls the database; by default as the connection.
        tables: Patterns such as `sales.*` or `customer`; none takes all tables, and no view is taken unless a pattern matches it.
        write: Write the files; one that is there is never touched.
        progress: Called before each table with its name, its number and how many there are.

    Raises:
        UsageError: The connection is not set, a name cannot be one, or a pattern matches nothing.
        SourceError: The database refuses, or nobody answers.
    """
    connection, source, patterns = connection.lower(), source or connection.lower(), list(tables)
    for what, name in (("connection", connection), ("source", source)):
        if not NAME.match(name):
            raise UsageError(
                f"{name!r} cannot be the name of a {what}",
                expected="lower-case letters, digits and _, a letter first",
                next_step="Name it so; a connection's URL stands in LAKEHOUSE_CONNECTION__<NAME>.",
            )
    if write:
        _require_project(project, source, connection)
    with closing(_connect(project, settings, connection)) as dialect:
        listed = dialect.listed()
        chosen = _chosen(listed, patterns)
        names = _names(project, source, listed)
        glass = Glass(Database(dialect, BATCH_ROWS), dialect, source)
        found = []
        for number, table in enumerate(chosen, 1):
            if progress is not None:
                progress(".".join(table.parts), number, len(chosen))
            found.append(_found(glass, table, names, views=bool(patterns)))
    result = Discovery(connection, source, tuple(found))
    return _written(project, result) if write else result


def _connect(project: Path, settings: Settings, connection: str) -> Dialect:
    if connection not in settings.connection and settings.connection:
        raise UsageError(
            f"connection {connection!r} has no URL",
            where=f"environment variable LAKEHOUSE_CONNECTION__{connection.upper()}",
            given=f"URLs for {', '.join(sorted(settings.connection))}",
            next_step="Name one of these, or set the variable (or put it into the project's .env file).",
        )
    return connect(settings.url(connection), project)


def _require_project(project: Path, source: str, connection: str) -> None:
    """Refuse to write where there is no project, or where the source's name means another connection."""
    if not (project / "metadata").is_dir():
        raise UsageError("there is no project here: it has no metadata/", where=str(project), next_step="Make one with `lakehouse init`.")
    for path in sorted((project / "metadata/sources").glob(f"{source}.y*ml")):
        document = read(path, project)
        if document.faults:
            raise MetadataError(document.faults)
        given = document.data.get("connection")
        if given != connection:
            raise UsageError(
                f"source {source} has another connection",
                where=path.relative_to(project).as_posix(),
                expected=connection,
                given=str(given),
                next_step="Choose another name with --source.",
            )


def _chosen(listed: list[ListedTable], patterns: list[str]) -> list[ListedTable]:
    """The tables that a pattern matches, by their name with or without schema; without patterns all."""

    def matches(table: ListedTable, pattern: str) -> bool:
        whole = ".".join(table.parts).lower()
        return any(fnmatchcase(name, pattern.lower()) for name in (whole, table.parts[-1].lower()))

    for pattern in patterns:
        if not any(matches(table, pattern) for table in listed):
            raise UsageError(
                f"no table is called {pattern}",
                given=", ".join(".".join(table.parts) for table in listed)[:300],
                next_step="Name one of these; * stands for any letters.",
            )
    return [table for table in listed if not patterns or any(matches(table, pattern) for pattern in patterns)]


@dataclass(frozen=True, slots=True)
class _Names:
    """The lake name of each table that can have one, and the file of each that is described already."""

    tables: dict[tuple[str, ...], str]
    files: dict[tuple[str, ...], str]


def _names(project: Path, source: str, listed: list[ListedTable]) -> _Names:
    every = [table.parts for table in listed]
    files: dict[tuple[str, ...], str] = {}
    named: dict[tuple[str, ...], str] = {}
    for path in sorted((project / "metadata/tables" / source).glob("*.y*ml")):
        for parts in pick(str(read(path, project).data.get("from")), every)[:1]:
            files[parts] = path.relative_to(project).as_posix()
            named[parts] = path.stem
    taken = {path.stem for place in ("tables/*/*.y*ml", "models/*.y*ml") for path in (project / "metadata").glob(place)}
    return _Names(table_names([parts for parts in every if not _unnamable(parts)], source, named, taken), files)


def _unnamable(parts: tuple[str, ...]) -> str:
    """Why `from` cannot name a table; empty where it can."""
    try:
        _SOURCE_OBJECT.validate_python(".".join(parts))
    except ValidationError:
        return "its name has signs that `from` does not take (letters, digits, _, $ and spaces); make a view of it with a plain name"
    return "its name has a dot; make a view of it with a plain name" if any("." in part for part in parts) else ""


def _found(glass: Glass, table: ListedTable, names: _Names, *, views: bool) -> FoundTable:
    found = FoundTable(
        ".".join(table.parts), is_view=table.is_view, rows=table.rows, rows_are="unknown" if table.rows is None else "estimated"
    )
    if reason := _unnamable(table.parts):
        return replace(found, left_out=reason)
    found = replace(found, table=names.tables[table.parts], file=names.files.get(table.parts, ""))
    if table.is_view and not views:
        return replace(found, left_out="a view: name it with --tables to take it")
    try:
        return look(glass, table, found)
    except SourceError as exc:
        require_answer(glass.dialect)
        return replace(found, left_out=f"it cannot be read: {exc.what}")


def _written(project: Path, result: Discovery) -> Discovery:
    """The discovery, after its files were written."""
    files = {}
    if not list((project / "metadata/sources").glob(f"{result.source}.y*ml")):
        files[f"metadata/sources/{result.source}.yml"] = source_text(result.connection)
    left = [table.file for table in result.tables if table.file]
    for table in result.tables:
        if not table.left_out and not table.file:
            files[f"metadata/tables/{result.source}/{table.table}.yml"] = table_text(table)
    try:
        written = [name for name, text in files.items() if write_new(project / name, text)]
    except OSError as exc:
        raise UsageError(
            f"the metadata cannot be written: {exc.strerror}", where=str(project / "metadata"), next_step="Grant the right to write there."
        ) from exc
    return replace(result, written=tuple(written), left=(*left, *(name for name in files if name not in written)))
