"""Reads and checks `metadata/` and `sql/`: every fault of every file at once, and nothing executed."""

from lakehouse.catalog.catalog import Catalog
from lakehouse.catalog.graph import Graph
from lakehouse.catalog.load import load
from lakehouse.catalog.schema import SCHEMAS, schema_text

__all__ = ["SCHEMAS", "Catalog", "Graph", "load", "schema_text"]
