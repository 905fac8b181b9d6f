"""What the numbers of a table's commits say of how its personal data is protected, beside what its metadata says now. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from lakehouse.errors import ContractError
from lakehouse.layout import PERSONAL, key_of, personal
from lakehouse.model.personal import CHECK_BITS, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lakehouse.model.table import Table
    from lakehouse.transform.protection import Guard, Protection


class Numbered(Protocol):
    """What gives the numbers of a table's commits."""

    @property
    def batch(self) -> int: ...  # noqa: D102
    def number(self, app_id: str) -> int | None: ...  # noqa: D102


class Change(NamedTuple):
    """A column of bronze that is not protected as its table's file says.

    Attributes:
        column: Its name.
        before: What bronze has in the place of its values.
        guard: What it is to have; None for the values themselves, or nothing where the column is dropped.
        dropped: Whether it is to go.
    """

    column: str
    before: State
    guard: Guard | None
    dropped: bool = False

    @property
    def after(self) -> str:
        """What it is to have, for people."""
        return "nothing" if self.dropped else str(self.guard.state) if self.guard else "clear"

    @property
    def can_be_made(self) -> bool:
        """Whether bronze's own rows tell what is to be there."""
        texts = () if self.guard is None else self.guard.texts
        normalised = self.before.word == "tokenise" and self.before.texts and self.guard is not None
        lost = normalised and (not texts or self.guard is None or self.before.texts != self.guard.state.texts)
        return self.dropped or (self.before.word in ("clear", "tokenise", "sealed") and not lost)

    def __str__(self) -> str:
        """For people."""
        return f"{self.column}: {self.before} becomes {self.after}"


def changes(table: Table, protection: Protection | None, bronze: Numbered, columns: Iterable[str]) -> list[Change]:
    """The columns of bronze that are not protected as the table's file says, in their order.

    Raises:
        ContractError: The environment has another key than the one that made bronze's tokens, by the same name.
    """
    guards = {guard.name: guard for guard in protection.guards} if protection else {}
    dropped = {name for name, shape in table.columns.items() if shape.pii == "drop"}
    if not bronze.batch or not (guards or dropped or bronze.number(PERSONAL)):
        return []
    found = []
    for name in columns:
        before, guard = State.of(bronze.number(personal(name))), guards.get(name)
        if name in dropped:
            found.append(Change(name, before, None, dropped=True))
        elif before.number != (guard.state.number if guard else 0):
            if guard and (before.word, before.version) == (guard.state.word, guard.state.version) and before.check != guard.state.check:
                raise other_key(table, (guard.seal or guard.key or guard).name)
            found.append(Change(name, before, guard))
    return found


def other_key(table: Table, key: str) -> ContractError:
    """The error of a key that is another one than the lake was written with."""
    return ContractError(
        f"key {key} is not the one that {table.name} was written with",
        where=f"metadata/tables/{table.source}/{table.name}.yml",
        next_step="Bring that key back; or rotate: give the new one a version of its own (`people@2`, in LAKEHOUSE_KEY__PEOPLE_2), "
        "and keep the old one until a run has gone through.",
    )


def out_of_step(table: Table, found: Iterable[Change]) -> ContractError:
    """The error of a table whose bronze is still protected otherwise, where nobody brings it up to date."""
    told = list(found)
    made = all(change.can_be_made for change in told)
    first = f"`lakehouse run --select {table.name}+` writes bronze anew first."
    if not made:
        first = (
            "What an hmac or a mask was made of is in the source alone: "
            f"`lakehouse run --select {table.name}+ --full-refresh` reads all of it in the place of bronze's rows, of which the older "
            "versions go. `sealed: <key>` spares you that the next time."
        )
    return ContractError(
        f"bronze is protected otherwise than the table's file says: {'; '.join(map(str, told))}",
        where=f"bronze.{table.name}",
        next_step=first,
    )


def marks(protection: Protection | None, found: Iterable[Change] = ()) -> dict[str, int]:
    """The numbers of a commit of bronze, after which it is protected so."""
    reset = {personal(change.column): 0 for change in found}
    if protection is None:
        return {**reset, PERSONAL: 0} if reset else {}
    return {**reset, PERSONAL: 1, **{personal(guard.name): guard.state.number for guard in protection.guards}}


def key_marks(keys: Mapping[str, int], known: Iterable[str], before: Numbered | None) -> dict[str, int]:
    """The numbers of a commit of silver or gold whose rows have tokens of these keys: of other known keys there are none any more.

    Args:
        keys: The number of each key, by its name without a version.
        known: The names of all keys that the project declares.
        before: The table as it stands.
    """
    gone = [name for name in known if name not in keys and before is not None and before.number(key_of(name))]
    return {key_of(name): keys.get(name, 0) for name in (*keys, *gone)}


def silver_marks(table: Table, protection: Protection | None, known: Iterable[str], silver: Numbered | None) -> dict[str, int]:
    """The numbers of a commit of silver that tell by which keys its tokens are made.

    Raises:
        ContractError: One is another key than the one that silver was written with, by the same name and version.
    """
    keys = protection.keys if protection else {}
    for name, key in keys.items():
        before = silver.number(key_of(name)) if silver is not None else None
        if before and before != key.number and before >> CHECK_BITS == key.number >> CHECK_BITS:
            raise other_key(table, key.name)
    return key_marks({name: key.number for name, key in keys.items()}, known, silver)
