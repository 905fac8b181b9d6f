"""What a case expects against what came, as differences that people can read."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakehouse.layout import IS_INFERRED, UNKNOWN_MEMBER, VALID_FROM
from lakehouse.model.case import Problem
from lakehouse.pipeline.given import Malformed
from lakehouse.transform.likeness import paired, same

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakehouse.pipeline.given import Given

Row = dict[str, Any]
LONGEST = 200


def problems(given: Given) -> list[Problem]:
    """Every difference between what a case expects and what its table or model makes of what it gives; none where it holds.

    The unknown member of a dimension is compared only where the case names it.

    Raises:
        Malformed: The case says what cannot be.
        LakehouseError: The table or the model refuses what is given.
    """
    case = given.case
    table, rejects = given.built()
    references = _References(given)
    expected = _expected(given, table.schema, references)
    rows = table.to_pylist()
    model = given.catalog.models.get(case.node) if case.model else None
    own = model.surrogate_key if model else None
    if own and not any(row.get(own) == UNKNOWN_MEMBER for row in expected):
        rows = [row for row in rows if row[own] != UNKNOWN_MEMBER]
    keys = list(model.keys) if model else list(given.catalog.tables[case.node].keys)
    told = (own, IS_INFERRED) if model else ()
    versioned = [VALID_FROM] if VALID_FROM in table.schema.names and all(VALID_FROM in row for row in expected) else []
    found = _told(expected, rows, [*keys, *versioned], [name for name in table.schema.names if name not in told], references)
    if case.expect_rejects is not None:
        wanted = [dict(row) for row in case.expect_rejects]
        faults = [
            given.found.fault(
                ("expect_rejects", str(n), name), f"the rejects have no column {name!r}; they have {', '.join(rejects.columns)}"
            )
            for n, row in enumerate(wanted)
            for name in row
            if rejects.columns and name not in rejects.columns
        ]
        if faults:
            raise Malformed(faults)
        named = sorted({name for row in wanted for name in row} | ({"reason", "rules"} & set(rejects.columns)))
        found += [
            Problem(each.what, f"reject: {each.row}", each.column, each.expected, each.given)
            for each in _told(wanted, rejects.to_dicts(), [], named, references)
        ]
    return found


def _expected(given: Given, schema: pa.Schema, references: _References) -> list[Row]:
    faults, rows = [], []
    for number, row in enumerate(given.case.expect):
        at = ("expect", str(number))
        plain = {name: value for name, value in row.items() if not isinstance(value, dict)}
        wrong = given.misfits(schema, at, plain, given.case.of)
        found = {} if wrong else {name: given.value(schema, name, value) for name, value in plain.items()}
        for name, value in row.items():
            if isinstance(value, dict):
                key, what = references.key(name, value)
                wrong += [given.found.fault((*at, name), what)] if what else []
                found[name] = key
        faults += wrong
        rows.append(found)
    if faults:
        raise Malformed(faults)
    return rows


class _References:
    """The surrogate keys of a fact, by the rows that they point to."""

    def __init__(self, given: Given) -> None:
        self._given = given
        model = given.catalog.models.get(given.case.node) if given.case.model else None
        self._dimensions = {} if model is None else {key: given.catalog.models[ref.dimension] for key, ref in model.references.items()}

    def key(self, column: str, named: Row) -> tuple[int | None, str]:
        """The key of the one row of the column's dimension that has these values; else None, and what is wrong."""
        if column not in self._dimensions:
            there = ", ".join(self._dimensions) or "none"
            return None, f"a mapping stands for the key of a reference of a fact; the references of {self._given.case.of}: {there}"
        model = self._dimensions[column]
        table = self._given.table("gold", model.name)
        wanted = {}
        for name, value in named.items():
            if name not in table.schema.names:
                return None, f"gold.{model.name} has no column {name!r}; it has {', '.join(table.schema.names)}"
            try:
                wanted[name] = self._given.value(table.schema, name, value)
            except ValueError as exc:
                return None, f"{name}: {exc}"
        hits = [row for row in table.to_pylist() if all(same(value, row[name]) for name, value in wanted.items())]
        if len(hits) != 1:
            return None, f"{len(hits)} rows of gold.{model.name} have {_line(wanted)}; expected one"
        return int(hits[0][model.surrogate_key or ""]), ""

    def shown(self, column: str | None, value: object) -> str:
        """A value for people: a key as the row it points to."""
        if column not in self._dimensions or value in (None, UNKNOWN_MEMBER):
            return _text(value)
        model = self._dimensions[column]
        names = [*model.keys, *([VALID_FROM] if model.history == "scd2" else [])]
        rows = self._given.table("gold", model.name).to_pylist()
        return next((_line({n: row[n] for n in names}) for row in rows if row[model.surrogate_key or ""] == value), _text(value))


def _told(
    expected: Sequence[Row], rows: Sequence[Row], keys: Sequence[str], named: Sequence[str], references: _References
) -> list[Problem]:
    differing, missing, unexpected = paired(expected, rows, keys)

    def line(row: Row, names: Sequence[str]) -> str:
        return _line({name: references.shown(name, row[name]) for name in names if name in row})

    found = []
    for wanted, row in differing:
        own = [name for name in keys if name in row and same(wanted.get(name), row[name])] or [n for n in wanted if same(wanted[n], row[n])]
        for name, value in wanted.items():
            if not same(value, row[name]):
                found.append(Problem("differs", line(row, own), name, references.shown(name, value), references.shown(name, row[name])))
    found += [Problem("missing", line(row, list(row))) for row in missing]
    found += [Problem("unexpected", line(row, named)) for row in unexpected]
    return found


def _line(row: Row) -> str:
    text = ", ".join(f"{name}={_text(value)}" for name, value in row.items())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix("+00:00")
    return "NULL" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
