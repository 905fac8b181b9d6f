"""A place for a lake on each kind of store, and its tables, for tests of the storage port."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pyarrow as pa
from azure.storage.blob import BlobServiceClient

from lakehouse.layout import table_uri
from lakehouse.model.run import Commit
from lakehouse.settings import Azure
from lakehouse.storage.azure.place import EMULATOR_ACCOUNT, EMULATOR_KEY
from lakehouse.storage.delta import Table
from lakehouse.storage.effects import Effects
from lakehouse.storage.opening import create_table, open_table
from lakehouse.storage.place import Place, Places

SCHEMA = pa.schema([("id", pa.int64()), ("city", pa.string())])


def make_container(url: str) -> str:
    """A new empty container of the Azurite at a URL; its name."""
    name = f"lake-{uuid4().hex[:12]}"
    with BlobServiceClient(f"{url}/{EMULATOR_ACCOUNT}", credential=EMULATOR_KEY) as client:
        client.create_container(name)
    return name


def batches(*rows: tuple[int, str | None], schema: pa.Schema = SCHEMA) -> list[pa.RecordBatch]:
    """Rows as a table's batches."""
    listed = [dict(zip(schema.names, row, strict=True)) for row in rows]
    return list(pa.Table.from_pylist(listed, schema).to_batches())


@dataclass
class Store:
    """A folder on one kind of store, as one run of the product reaches it."""

    uri: str
    azure: Azure = field(default_factory=Azure)
    effects: Effects = field(default_factory=Effects)

    def __post_init__(self) -> None:
        self.places = Places(self.azure)

    def again(self) -> Store:
        """The same, as another process reaches it."""
        return Store(self.uri, self.azure)

    def place(self, name: str) -> Place:
        """A folder of it."""
        return self.places.at(table_uri(self.uri, name))

    def create(self, name: str = "cities", schema: pa.Schema = SCHEMA) -> Table:
        """A new table."""
        return create_table(self.place(name), name, schema, self.effects)

    def find(self, name: str = "cities") -> Table | None:
        """A fresh handle on a table, None where there is none."""
        return open_table(self.place(name), name, self.effects)

    def open(self, name: str = "cities") -> Table:
        """A fresh handle on a table that is there."""
        found = self.find(name)
        assert found is not None
        return found


def append(table: Table, *rows: tuple[int, str | None], run: str = "run", **numbers: int) -> int:
    """Append rows in one commit of a run."""
    return table.append(batches(*rows), lambda: Commit(run, "test", numbers))


def rows_of(table: Table) -> list[tuple[Any, ...]]:
    """The table's rows in order."""
    return sorted(table.scan().collect().rows(), key=str)
