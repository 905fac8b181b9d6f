"""The catalogue of a project: every table, source and model, and who reads whom."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakehouse.catalog.graph import Graph
from lakehouse.model.personal import version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.catalog.select import Check, Select
    from lakehouse.model.star import Model
    from lakehouse.model.table import Source, Table


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that the project declares; what it holds has been checked.

    Attributes:
        sources: By name.
        tables: By the name in the lake.
        models: By name.
        selects: The parsed SELECT of every model that has one.
        checks: What a star is judged by before it is published, by name.
    """

    sources: Mapping[str, Source]
    tables: Mapping[str, Table]
    models: Mapping[str, Model]
    selects: Mapping[str, Select]
    checks: Mapping[str, Check] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """Tables and models, each with all that it must wait for."""
        parents: dict[str, set[str]] = {name: {table for _, table in self.above_silver(name)} for name in self.tables}
        for name in self.models:
            parents[name] = {table for _, table in self.inputs(name)}
        return Graph(parents, {**{n: t.tags for n, t in self.tables.items()}, **{n: m.tags for n, m in self.models.items()}})

    def above_silver(self, table: str) -> set[tuple[str, str]]:
        """The other silver tables that a table's rules point to, as (layer, table)."""
        rules = self.tables[table].expect.values()
        return {("silver", rule.foreign_key.table) for rule in rules if rule.foreign_key and rule.foreign_key.table != table}

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
                references = self.models[fact].references
                via = references.get(references[key].through or "")
                found |= {("gold", via.dimension)} if via else self.reads(fact)
        return found

    @property
    def keys(self) -> tuple[str, ...]:
        """The names, without versions, of all keys of tokens that the tables declare."""
        declared = {shape.key for table in self.tables.values() for shape in table.personal.values() if shape.key}
        return tuple(sorted({version_of(key)[0] for key in declared}))

    def connected(self) -> list[set[str]]:
        """The models in groups whose stars are published apart: models of one group read, point to or follow from a table they share."""
        groups: list[tuple[set[str], set[tuple[str, str]]]] = []
        for name in self.models:
            names, tables = {name}, {("gold", name), *self.inputs(name)}
            apart = []
            for others, theirs in groups:
                if theirs & tables:
                    names, tables = names | others, tables | theirs
                else:
                    apart.append((others, theirs))
            groups = [*apart, (names, tables)]
        return [names for names, _ in groups]

    def definition(self, name: str) -> int:
        """A number that changes with the definition that a silver table or a gold model is built by: 60 bits of a SHA-256."""
        if name in self.tables:
            table = self.tables[name]
            rules = {rule: expectation.words() for rule, expectation in table.expect.items()}
            types = {column: str(shape.type) for column, shape in table.columns.items()}
            deletes: list[object] = [table.apply_as_deletes] if table.apply_as_deletes else []
            deletes += ["as_row"] if table.deletes.as_row else []
            odd = [table.odd_cursors, table.cursor_zone] if table.odd_cursors != "stop" else []
            words: list[object] = [
                table.mode,
                table.keys,
                table.sequence,
                table.history,
                types,
                rules,
                *deletes,
                *odd,
                *([table.applied] if table.applied else []),
                *([table.cleaned] if table.cleaned else []),
                *([table.protected] if table.protected else []),
            ]
        else:
            pointing = [
                (fact, key, self.models[fact].references[key].model_dump(mode="json"), self._text(fact))
                for fact, key in self.referencing(name)
            ]
            words = [self.models[name].model_dump(mode="json", by_alias=True), self._text(name), pointing]
        return int(hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()[:15], 16)

    def digest(self) -> str:
        """16 hex digits that change with whatever the project declares, of all its files together."""
        declared = [
            each.model_dump_json(exclude_defaults=True) for kind in (self.sources, self.tables, self.models) for each in kind.values()
        ]
        words = [list(self.sources), *declared, *(self._text(name) for name in sorted(self.selects))]
        words += [[name, check.words] for name, check in sorted(self.checks.items())]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]

    def _text(self, model: str) -> str:
        return self.selects[model].text if model in self.selects else ""
