"""Personal data across the files of a catalogue: keys that are shared, and where in the lake the columns are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.catalog.select import origins
from lakehouse.model.personal import version_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse.catalog.catalog import Catalog


def sharing(catalog: Catalog) -> dict[str, dict[str, int]]:
    """The tables whose rows in silver have tokens of each key, by its name without a version, with the version that each declares."""
    found: dict[str, dict[str, int]] = {}
    for name, table in catalog.tables.items():
        for shape in table.personal.values():
            if shape.key:
                key, version = version_of(shape.key)
                found.setdefault(key, {})[name] = version
    return found


def key_faults(catalog: Catalog) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(table, key of its file, fault) where columns that share a key would not get one token for one person."""
    seen: dict[str, tuple[str, str, str]] = {}
    alike: dict[tuple[str, str], tuple[str, object]] = {}
    for name, table in catalog.tables.items():
        for column, shape in table.personal.items():
            for word, given in (("key", shape.key), ("sealed", shape.sealed)):
                key = version_of(given)[0] if given else ""
                first = seen.setdefault(key, (given or "", name, word)) if given else None
                if first and given and first[0] != given:
                    what = f"{given} here and {first[0]} in {first[1]}: tables that share a key are rotated together, so it has one version"
                    yield name, ("columns", column, word), what
                elif first and first[2] != word:
                    yield (
                        name,
                        ("columns", column, word),
                        f"{first[1]} uses {given} as `{first[2]}`: bronze is sealed under a key of its own",
                    )
            if shape.key:
                how = table.texts(column)
                other, done = alike.setdefault((shape.key, column), (name, how))
                if done != how:
                    what = f"{other}.{column} has the same key and is normalised otherwise, so that one person would get two tokens"
                    yield name, ("columns", column), what


def hidden(catalog: Catalog, layer: str, name: str) -> frozenset[str]:
    """The columns of a table of the lake whose values no statistics show: personal data, though protected."""
    if layer == "gold":
        return frozenset(_of_gold(catalog, name))
    table = catalog.tables.get(name)
    if table is None or layer not in ("bronze", "silver"):
        return frozenset()
    return frozenset(table.personal) if layer == "bronze" else frozenset(map(table.named, table.personal))


def _of_gold(catalog: Catalog, name: str) -> Iterator[str]:
    """Those of a model, as far as its SELECT gives columns of one table as they are."""
    select = catalog.selects.get(name)
    for layer, table in select.reads if select else ():
        found = hidden(catalog, layer, table) if layer == "silver" else ()
        if select and found:
            yield from (given for column, given in origins(select).items() if column in found)
