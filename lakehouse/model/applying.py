"""How the changes of a table are applied: what orders them, what ends keys, and which columns count as a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import BeforeValidator, Field, StrictBool, StringConstraints

from lakehouse.model.words import ColumnName, Columns, Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator


def _listed(given: object) -> object:
    return [given] if isinstance(given, str) else given


def _track(given: object) -> object:
    return {"only": given} if isinstance(given, str | list | tuple) else given


Condition = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
OrderBy = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}( (asc|desc))?$")]


class Track(Frozen):
    """Which columns make a new version; `track: [a, b]` is short for `track: {only: [a, b]}`."""

    only: Columns | None = None
    """These alone."""
    all_but: Columns | None = Field(default=None, alias="except")
    """All but these."""


class Applying(Frozen):
    """The words of a table's file that say how its rows become versions of their keys."""

    sequence_by: Columns = ()
    """The column that orders the versions of one key; further ones order those of one instant. Default: the cursor, else the time of
    extraction."""
    order_by: Annotated[tuple[OrderBy, ...], BeforeValidator(_listed)] = ()
    """What orders versions that `sequence_by` leaves equal: columns, each with `desc` where its least value counts; then the batch."""
    apply_as_truncates: Condition | None = None
    """A row-wise SQL condition in DuckDB's dialect, true in rows that end every key whose last version is older; they are no rows."""
    track: Annotated[Track, BeforeValidator(_track)] | None = None
    """The columns whose change makes a new version in the history; the others change the version that stands. Default: all."""
    ignore_null_updates: StrictBool | Columns = False
    """Where NULL means that the value did not change: in all columns, or in these."""
    exclude: Columns = ()
    """Columns that conditions may name and that silver does not keep."""
    snapshot_column: ColumnName | None = None
    """The column that says of which snapshot a row is, where the table holds several whole ones; it orders the versions of a key."""
    absence: Literal["delete", "unchanged"] = "delete"
    """What a later snapshot without a key says of it."""
    replace_partitions: Columns = ()
    """A read that shows a row with these values shows all rows with them: the others that were there are gone."""

    @property
    def then(self) -> list[tuple[str, bool]]:
        """The columns that order versions of one sequence, each with whether its least value counts."""
        further = [(name, False) for name in self.sequence_by[1:]]
        return further + [(text.partition(" ")[0], text.endswith(" desc")) for text in self.order_by]

    @property
    def named_places(self) -> dict[str, tuple[str, ...]]:
        """The source's columns that each word names which gives rows their place."""
        order = tuple(text.partition(" ")[0] for text in self.order_by)
        snapshot = (self.snapshot_column,) if self.snapshot_column else ()
        partitions = self.replace_partitions
        return {"sequence_by": self.sequence_by, "order_by": order, "snapshot_column": snapshot, "replace_partitions": partitions}

    @property
    def named_contents(self) -> dict[str, tuple[str, ...]]:
        """Silver's columns that each word names which speaks of contents."""
        given = self.ignore_null_updates
        return {"track": self._tracked, "ignore_null_updates": () if isinstance(given, bool) else given, "exclude": self.exclude}

    @property
    def _tracked(self) -> tuple[str, ...]:
        return () if self.track is None else (self.track.only or ()) + (self.track.all_but or ())

    @property
    def applied(self) -> dict[str, object]:
        """What is declared of these words and changes what silver is; empty where nothing is."""
        given = self.model_dump(mode="json", include=set(Applying.model_fields) - {"replace_partitions"}, exclude_defaults=True)
        if len(self.sequence_by) < 2:  # noqa: PLR2004  the first one is told by itself
            given.pop("sequence_by", None)
        return given

    def tracks(self, column: str) -> bool:
        """Whether a change of the column makes a new version."""
        if self.track is None:
            return True
        return column in self.track.only if self.track.only is not None else column not in (self.track.all_but or ())

    def fills(self, column: str) -> bool:
        """Whether NULL in the column means that the value did not change."""
        given = self.ignore_null_updates
        return given if isinstance(given, bool) else column in given


class Keyed(Protocol):
    """The part of a table's file that these words must agree with."""

    @property
    def mode(self) -> str: ...  # noqa: D102  as in `Table`
    @property
    def keys(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def cursor(self) -> str | None: ...  # noqa: D102
    @property
    def history(self) -> str: ...  # noqa: D102
    @property
    def buries(self) -> bool: ...  # noqa: D102
    @property
    def ends_keys(self) -> bool: ...  # noqa: D102
    @property
    def shows_deletes(self) -> bool: ...  # noqa: D102


def misfits(words: Applying, table: Keyed) -> Iterator[tuple[str, ...]]:
    """What of these words does not go together: what is wrong, and the key to look at."""
    keyed = {
        "order_by": words.order_by,
        "apply_as_truncates": words.apply_as_truncates,
        "ignore_null_updates": words.ignore_null_updates,
        "snapshot_column": words.snapshot_column,
        "replace_partitions": words.replace_partitions,
    }
    for word, given in keyed.items():
        if given and not table.keys:
            yield f"`{word}` speaks of the versions of a key, and there are no `keys`", word
    order = [name for name, _ in words.then]
    if len(set(order) | set(words.sequence_by)) < len(order) + bool(words.sequence_by):
        yield "`sequence_by` and `order_by` name a column twice", "order_by" if words.order_by else "sequence_by"
    yield from _of_contents(words, table)
    yield from _of_snapshots(words, table)
    yield from _of_partitions(words, table)
    if table.shows_deletes and not table.ends_keys:
        yield "nothing shows which keys are deleted; say how they are noticed", "deletes", "as_row"


def _of_contents(words: Applying, table: Keyed) -> Iterator[tuple[str, ...]]:
    if words.track is not None:
        if table.history != "scd2":
            yield "`track` says what makes a new version in a history; without `history: scd2` there is none", "track"
        if (words.track.only is None) is (words.track.all_but is None):
            yield "expected a list of columns, or `except` with one", "track"
    fixed = {*table.keys, *words.sequence_by, words.snapshot_column, *(() if words.sequence_by else (table.cursor,))}
    for word, names in words.named_contents.items():
        for name in names:
            if name in (table.keys if word == "exclude" else fixed):
                yield f"names {name!r}, which is a key or orders the versions", word
            elif word != "exclude" and name in words.exclude:
                yield f"names {name!r}, which silver does not keep (`exclude`)", word


def _of_snapshots(words: Applying, table: Keyed) -> Iterator[tuple[str, ...]]:
    if words.snapshot_column is None:
        if words.absence != "delete":
            yield "`absence` speaks of a `snapshot_column`, and there is none", "absence"
        return
    if words.sequence_by:
        yield "the `snapshot_column` orders the versions; take `sequence_by` out, or `order_by` for rows of one snapshot", "sequence_by"
    if table.buries or words.apply_as_truncates:
        yield "a table of snapshots shows by itself which keys are gone", "apply_as_truncates" if words.apply_as_truncates else "mode"
    if words.ignore_null_updates and words.absence == "delete":
        yield "a snapshot is whole: NULL in it is a value, so that none is ignored", "ignore_null_updates"


def _of_partitions(words: Applying, table: Keyed) -> Iterator[tuple[str, ...]]:
    if not words.replace_partitions:
        return
    if table.buries or words.snapshot_column:
        yield "a table whose deletes are found otherwise replaces no partitions", "replace_partitions"
    if table.mode != "full" and table.cursor not in words.replace_partitions:
        yield (
            "a window shows whole partitions only where the `cursor` is one of their columns; use that, or mode full with a `where`",
            "replace_partitions",
        )
