"""Reads the cases of `metadata/tests/` and checks what they name; faults are noted, never raised."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.catalog.document import Document, check, read
from lakehouse.errors import Fault
from lakehouse.layout import BATCH, EXTRACTED_AT, OP, RUN_ID
from lakehouse.model.case import Case, Cases
from lakehouse.model.value import typed

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.catalog.catalog import Catalog

STAMPS = (BATCH, RUN_ID, EXTRACTED_AT, OP)
OPS = (None, "delete", "reject")


@dataclass(frozen=True, slots=True)
class Found:
    """A case with the place where it stands."""

    case: Case
    document: Document
    number: int

    @property
    def line(self) -> int:
        """The line where it begins."""
        return self.document.lines.get(("cases", str(self.number)), 1)

    def fault(self, key: tuple[str, ...], what: str, hint: str = "") -> Fault:
        """A fault at a key of the case."""
        self.document.fault(("cases", str(self.number), *key), what, hint)
        return self.document.faults.pop()


def read_cases(project: Path, catalog: Catalog) -> tuple[list[Found], list[Fault]]:
    """The cases of all files in the order of their names, and every fault of every file."""
    found: list[Found] = []
    faults: list[Fault] = []
    for path in sorted((project / "metadata/tests").glob("*.y*ml")):
        document = read(path, project)
        checked = None if document.faults else check(document, Cases, {})
        faults += document.faults
        document.faults = []
        found += [Found(case, document, number) for number, case in enumerate(checked.cases if checked else ())]
    names: dict[str, Found] = {}
    for each in found:
        twin = names.setdefault(each.case.name, each)
        if twin is not each:
            faults.append(each.fault(("name",), f"the name is taken by the case at {twin.document.file}:{twin.line}"))
        faults += _misnamed(each, catalog) or _misread(each, catalog) or _mistyped(each, catalog)
    return found, faults


def _misnamed(found: Found, catalog: Catalog) -> list[Fault]:
    """The case tests what there is."""
    case = found.case
    key, there = ("table", catalog.tables) if case.table else ("model", catalog.models)
    if case.node in there:
        return []
    layer = case.of.partition(".")[0]
    close = difflib.get_close_matches(case.node, sorted(there), n=1)
    return [found.fault((key,), f"there is no {key} {case.of}", f"did you mean {layer}.{close[0]}?" if close else "")]


def _misread(found: Found, catalog: Catalog) -> list[Fault]:
    """What is given is something that the tested table or model is made of."""
    case, faults = found.case, []
    above = {case.node, *catalog.graph.above(case.node)}
    tables = sorted(above & catalog.tables.keys())
    allowed = [f"silver.{name}" for name in tables if f"silver.{name}" != case.table] + [f"bronze.{name}" for name in tables]
    allowed += [f"gold.{name}" for name in sorted(above & catalog.models.keys()) if f"gold.{name}" != case.model]
    allowed += ["bronze"] if case.table else []
    for name in case.given:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1)
            what = f"{case.of} is not made of {name}; it is made of {', '.join(sorted(allowed))}"
            faults.append(found.fault(("given", name), what, f"did you mean {close[0]!r}?" if close else ""))
    return faults


def _mistyped(found: Found, catalog: Catalog) -> list[Fault]:
    """The rows of bronze have the columns and types that the tables declare."""
    faults = []
    for name, given in found.case.given.items():
        if not name.startswith("bronze"):
            continue
        columns = catalog.tables[name.partition(".")[2] or found.case.node].stored
        types = columns | (found.case.types if not columns else {})
        for at, row in _rows(given):
            for column, value in row.items():
                key = ("given", name, *at, column)
                if column == OP and value not in OPS:
                    faults.append(found.fault(key, f"expected delete or reject, given {value!r}"))
                if column in STAMPS:
                    continue
                if columns and column not in columns:
                    close = difflib.get_close_matches(column, list(columns), n=1)
                    what = f"the table has no column {column!r}; it has {', '.join(columns)}"
                    faults.append(found.fault(key, what, f"did you mean {close[0]!r}?" if close else ""))
                elif column in types:
                    try:
                        typed(value, types[column])
                    except ValueError as exc:
                        faults.append(found.fault(key, str(exc)))
    return faults


def _rows(given: object) -> list[tuple[tuple[str, ...], dict[str, object]]]:
    """Each row with its place, whether the rows stand in batches or not."""
    found: list[tuple[tuple[str, ...], dict[str, object]]] = []
    for number, each in enumerate(given if isinstance(given, list) else []):
        if isinstance(each, dict):
            found.append(((str(number),), each))
        else:
            found += [((str(number), *at), row) for at, row in _rows(each)]
    return found
