"""What a case gives, as the tables that its silver table or gold model is made of, in memory."""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pyarrow as pa

from lakehouse.errors import Fault, LakehouseError
from lakehouse.layout import BATCH, EXTRACTED_AT, IS_CURRENT, IS_INFERRED, OP, RUN_ID, VALID_FROM, VALID_TO
from lakehouse.model.types import DataType
from lakehouse.model.value import typed
from lakehouse.pipeline.in_memory import fold_in_memory
from lakehouse.quality.judging import without_lake
from lakehouse.stages.gold import build_in_memory
from lakehouse.storage.frames import to_batches
from lakehouse.transform.arrow import arrow_type, lake_type
from lakehouse.transform.names import quote
from lakehouse.transform.rowwise import Rowwise
from lakehouse.transform.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakehouse.catalog import Catalog
    from lakehouse.catalog.cases import Found
    from lakehouse.engines.duck import Duck, Session
    from lakehouse.pipeline.in_memory import Built

Row = dict[str, Any]
Place = tuple[str, ...]
READ_FROM = datetime(2100, 1, 1, tzinfo=UTC)
"""When the first batch of a case was read, where its rows do not say; each further one a day later. After every cursor, as reads are."""
STAMPS = {BATCH: pa.int64(), RUN_ID: pa.string(), EXTRACTED_AT: pa.timestamp("us", "UTC"), OP: pa.string()}


class Malformed(LakehouseError):  # noqa: N818  it is no error of what is tested
    """A case that says what cannot be.

    Attributes:
        faults: Each with its file, line and key.
    """

    def __init__(self, faults: list[Fault]) -> None:
        """Keep the faults."""
        self.faults = faults
        super().__init__("; ".join(fault.what for fault in faults))


class Given:
    """The tables of one case; what it does not give is made of what it gives, or empty."""

    def __init__(self, found: Found, catalog: Catalog, duck: Duck) -> None:
        """Nothing is made yet."""
        self.found, self.catalog, self._duck = found, catalog, duck
        self.case = found.case
        self._made: dict[tuple[str, str], pa.Table] = {}

    def built(self) -> tuple[pa.Table, pl.DataFrame]:
        """The rows of what is tested, and its rejects.

        Raises:
            Malformed: What is given cannot be.
            LakehouseError: The table or the model refuses what is given.
        """
        if self.case.model:
            return self.table("gold", self.case.node), pl.DataFrame()
        built = self._folded(self.case.node)
        return _table(built.rows), built.rejects

    def table(self, layer: str, name: str) -> pa.Table:
        """A table that the case gives, or that is made of those."""
        if (layer, name) not in self._made:
            self._made[layer, name] = self._silver(name) if layer == "silver" else self._gold(name)
        return self._made[layer, name]

    def _given(self, *names: str) -> tuple[str, list[tuple[Place, int, Row]]]:
        """The given rows of the first of these names, each with its place in the case and the number of its batch, from 1."""
        for name in names:
            if name in self.case.given:
                rows: list[tuple[Place, int, Row]] = []
                for number, each in enumerate(self.case.given[name]):
                    batch = cast("list[Row] | None", each if isinstance(each, list) else None)
                    if batch is None:
                        rows.append((("given", name, str(number)), 1, dict(cast("Row", each))))
                    else:
                        rows += [(("given", name, str(number), str(n)), number + 1, dict(row)) for n, row in enumerate(batch)]
                return name, rows
        return "", []

    def _silver(self, name: str) -> pa.Table:
        given, rows = self._given(f"silver.{name}")
        if not given:
            return _table(self._folded(name).rows)
        metadata = self.catalog.tables[name]
        versions = Versions(metadata, Rowwise(metadata, self._bronze_schema(name, [row for _, _, row in rows])))
        for _, batch, row in rows:
            row.setdefault(BATCH, batch)
            if versions.history:
                row.setdefault(VALID_FROM, row.get(versions.sequence))
                row.setdefault(VALID_TO, None)
                row.setdefault(IS_CURRENT, row[VALID_TO] is None)
        return self.rows(versions.schema, [(at, row) for at, _, row in rows], f"silver.{name}")

    def _folded(self, name: str) -> Built:
        _, rows = self._given(f"bronze.{name}", *(["bronze"] if name == self.case.node else []))
        metadata = self.catalog.tables[name]
        marked = metadata.marked or any(row.get(OP) for _, _, row in rows)
        schema = self._bronze_schema(name, [row for _, _, row in rows])
        if marked:
            schema = schema.append(pa.field(OP, STAMPS[OP]))
        for _, batch, row in rows:
            row.setdefault(BATCH, batch)
            row.setdefault(RUN_ID, "")
            row.setdefault(EXTRACTED_AT, (READ_FROM + timedelta(days=batch - 1)).isoformat())
        bronze = self.rows(schema, [(at, row) for at, _, row in rows], f"bronze.{name}")
        told = {given.rpartition(".")[2] for given in self.case.given}
        tables = {parent: about for parent, about in self.catalog.tables.items() if parent in told}
        return fold_in_memory(metadata, pl.DataFrame(pl.from_arrow(bronze)), without_lake(self._session, tables, self._parent))

    def _parent(self, session: Session, name: str, view: str) -> pa.Schema:
        rows = self.table("silver", name)
        session.show(view, rows)
        return rows.schema

    def _bronze_schema(self, name: str, rows: Sequence[Row]) -> pa.Schema:
        """The table's columns as declared; of a table that declares none, those that the case names, typed by it or by their values."""
        declared = dict(self.catalog.tables[name].stored)
        if not declared:
            names = dict.fromkeys(column for row in rows for column in row if column not in (*STAMPS, VALID_FROM, VALID_TO, IS_CURRENT))
            metadata = self.catalog.tables[name]
            needed = [column for column in (*metadata.keys, metadata.sequence or EXTRACTED_AT) if column not in STAMPS]
            for column in dict.fromkeys([*names, *needed, *self.case.types]):
                declared[column] = self.case.types.get(column) or _guessed(row.get(column) for row in rows)
        own = [pa.field(column, arrow_type(kind)) for column, kind in declared.items()]
        return pa.schema([*own, *(pa.field(stamp, STAMPS[stamp]) for stamp in (BATCH, RUN_ID, EXTRACTED_AT))])

    def _gold(self, name: str) -> pa.Table:
        model = self.catalog.models[name]
        given, rows = self._given(f"gold.{name}")
        if not given:
            with self._session() as engine:
                self._show(engine, sorted(self.catalog.inputs(name)))
                return build_in_memory(self.catalog, engine, model)
        shape = self._empty().table("gold", name).schema
        own = model.surrogate_key
        keyed = own is None or any(own in row for _, _, row in rows)
        if model.kind != "dimension" or model.calendar or keyed:
            for _, _, row in rows:
                row.setdefault(IS_INFERRED, False if IS_INFERRED in shape.names else None)
            return self.rows(shape, [(at, row) for at, _, row in rows], f"gold.{name}")
        for _, _, row in rows:
            if model.history == "scd2":
                row.setdefault(VALID_TO, None)
                row.setdefault(IS_CURRENT, row[VALID_TO] is None)
        source = pa.schema([field for field in shape if field.name not in (own, IS_INFERRED)])
        with self._session() as engine:
            engine.show("gold._given", self.rows(source, [(at, row) for at, _, row in rows], f"gold.{name}"))
            return build_in_memory(self.catalog, engine, model, "select * from gold._given")

    def _empty(self) -> Given:
        """The same case without its gold rows: what its models look like."""
        bare = self.found.case.model_copy(update={"given": {k: v for k, v in self.case.given.items() if not k.startswith("gold.")}})
        return Given(type(self.found)(bare, self.found.document, self.found.number), self.catalog, self._duck)

    def _show(self, engine: Session, pairs: Sequence[tuple[str, str]]) -> None:
        for layer, name in pairs:
            engine.show(f"{layer}.{quote(name)}", self.table(layer, name))

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._duck.session() as engine:
            yield engine

    def rows(self, schema: pa.Schema, rows: Sequence[tuple[Place, Row]], where: str) -> pa.Table:
        """Rows that the case gives as a table of exactly `schema`.

        Raises:
            Malformed: A row names a column that is not there, or a value is none of its column's type.
        """
        faults = [fault for at, row in rows for fault in self.misfits(schema, at, row, where)]
        if faults:
            raise Malformed(faults)
        values = [{name: self.value(schema, name, value) for name, value in row.items() if name in schema.names} for _, row in rows]
        return pa.Table.from_pylist(values, schema=schema)

    def misfits(self, schema: pa.Schema, at: Place, row: Row, where: str) -> list[Fault]:
        """The faults of one row that stands in the case."""
        faults = []
        written = self.found.document.lines
        for name, value in row.items():
            key = ("cases", str(self.found.number), *at, name)
            if name not in schema.names:
                if key in written:
                    close = difflib.get_close_matches(name, schema.names, n=1)
                    hint = f"did you mean {close[0]!r}?" if close else ""
                    faults.append(self.found.fault((*at, name), f"{where} has no column {name!r}; it has {', '.join(schema.names)}", hint))
                continue
            try:
                self.value(schema, name, value)
            except ValueError as exc:
                faults.append(self.found.fault((*at, name), str(exc)))
        return faults

    @staticmethod
    def value(schema: pa.Schema, name: str, value: object) -> object:
        """A value of the case as its column holds it.

        Raises:
            ValueError: It is none of the column's type.
        """
        kind = lake_type(schema.field(name).type)
        return value if kind is None or isinstance(value, datetime) else typed(value, kind)


def _guessed(values: Iterator[object]) -> DataType:
    """The type of a column that nobody declares, by the first of its values that is not NULL."""
    first = next((value for value in values if value is not None), None)
    if isinstance(first, bool):
        return DataType("boolean")
    if isinstance(first, int):
        return DataType("bigint")
    if isinstance(first, float):
        return DataType("double")
    for name in ("date", "timestamp"):
        try:
            typed(first or "", DataType(name))
        except ValueError:
            continue
        return DataType(name)
    return DataType("string")


def _table(frame: pl.DataFrame) -> pa.Table:
    schema = pa.schema(frame.clear().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
    plain = pa.schema([pa.field(field.name, pa.string() if pa.types.is_large_string(field.type) else field.type) for field in schema])
    return cast("pa.Table", pa.Table.from_batches(to_batches(frame, plain), plain))
