"""What must hold of any star, as SQL that gives the rows which are wrong: keys that are unique, and that lead somewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.layout import UNKNOWN_MEMBER
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lakehouse.model.star import Model


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must hold of a star.

    Attributes:
        name: As results name it.
        bad: A query in DuckDB's dialect that gives the rows for which it does not hold.
        reads: The tables it reads, as (layer, table).
        says: What is wrong with such rows, for people.
        otherwise: What becomes of the star then: `fail` or `warn`.
    """

    name: str
    bad: str
    reads: tuple[tuple[str, str], ...]
    says: str
    otherwise: str = "fail"

    @property
    def digest(self) -> str:
        """16 hex digits that change with what it asks."""
        return hashlib.sha256(f"{self.otherwise}: {self.bad}".encode()).hexdigest()[:16]


def integrity(models: Mapping[str, Model], within: Iterable[str]) -> list[Rule]:
    """What must hold of the models of one star, all of which it has.

    Every dimension has each surrogate key once, and the unknown member; every fact and aggregate has one row at each point of its grain;
    every foreign key of a fact is there and leads to a member. (Kimball: referential integrity, grain.)
    """
    rules = []
    for name in sorted(within):
        model, table = models[name], f"gold.{quote(name)}"
        one = quote(model.surrogate_key or "") if model.kind == "dimension" else ", ".join(quote(key) for key in model.keys)
        twins = f"select {one}, count(*) as rows from {table} group by {one} having count(*) > 1"
        if model.kind == "dimension":
            rules.append(Rule(f"{name}.surrogate_key", twins, (("gold", name),), "a surrogate key that comes more than once"))
            unknown = f"select {UNKNOWN_MEMBER} as {one} where not exists (select 1 from {table} where {one} = {UNKNOWN_MEMBER})"
            rules.append(Rule(f"{name}.unknown_member", unknown, (("gold", name),), "the unknown member is missing"))
        else:
            rules.append(Rule(f"{name}.grain", twins, (("gold", name),), "more than one row at a point of the grain"))
        for column, reference in model.references.items():
            target = models[reference.dimension]
            shown = ", ".join(f"f.{quote(key)}" for key in dict.fromkeys((*model.keys, column)))
            there = f"gold.{quote(target.name)} d on f.{quote(column)} = d.{quote(target.surrogate_key or '')}"
            orphans = f"select {shown} from {table} f anti join {there}"  # NULL finds nobody either
            reads = (("gold", name), ("gold", target.name))
            rules.append(Rule(f"{name}.{column}", orphans, reads, f"a key without a member in gold.{target.name}"))
    return rules


def counts(rules: Iterable[Rule]) -> str:
    """A query with a row for each rule: its `name`, and how many `rows` break it."""
    return " union all ".join(f"select '{rule.name}' as name, count(*) as rows from ({rule.bad}\n)" for rule in rules)
