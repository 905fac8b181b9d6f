"""Reads and checks `metadata/` and `sql/`: every fault of every file at once, and nothing executed."""

from lakehouse.catalog.catalog import Catalog
from lakehouse.catalog.graph import Graph
from lakehouse.catalog.load import load

__all__ = ["Catalog", "Graph", "load"]
