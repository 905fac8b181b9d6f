"""A table's contract: what becomes of its load where the source's columns are no longer those that bronze has."""

from __future__ import annotations

from typing import Literal

from lakehouse.model.words import Frozen

_ASPECTS: dict[str, tuple[str, ...]] = {
    "new_columns": ("evolve", "freeze", "rescue", "discard"),
    "changed_types": ("evolve", "freeze", "rescue"),
    "missing_columns": ("evolve", "freeze"),
}


class Contract(Frozen):
    """`schema_contract: freeze` is short for all aspects that can be so; the others keep their defaults."""

    new_columns: Literal["evolve", "freeze", "rescue", "discard"] = "evolve"
    """A column that bronze has not: `evolve` adds it, `rescue` keeps its values in `_rescued`, `discard` leaves it out, `freeze` stops."""
    changed_types: Literal["evolve", "freeze", "rescue"] = "evolve"
    """Another type: `evolve` widens the column where that loses nothing, else stops; `rescue` keeps the values in `_rescued`; `freeze`
    stops. Under `evolve` and `rescue` a narrower type than bronze's comes as bronze's."""
    missing_columns: Literal["evolve", "freeze"] = "freeze"
    """A column that the source no longer has: `evolve` leaves it NULL from then on, `freeze` stops."""


def contract(given: object) -> object:
    """The aspects that one word is short for; anything else as it is."""
    if not isinstance(given, str) or not any(given in allowed for allowed in _ASPECTS.values()):
        return given
    return {aspect: given for aspect, allowed in _ASPECTS.items() if given in allowed}
