"""What silver made of each version of one key: told from the versions and from the rows of silver that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakehouse.layout import BATCH, DELETE, OP, REJECT, VALID_FROM, VALID_TO
from lakehouse.transform.fold import SEQ

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lakehouse.model.life import Became

Row = dict[str, Any]


def became(
    seen: Row, others: Sequence[Row], standing: Sequence[Row], *, consumed: int, history: bool, refused: str | None = None
) -> tuple[Became, str]:
    """What silver made of one version of a key, as a word and in words.

    Args:
        seen: The version: the table's own columns, `_seq`, `_batch`, and `_op` where keys can go.
        others: All versions of the key, this one too, in the order in which they count.
        standing: The key's rows in silver.
        consumed: The last batch of bronze that silver has taken in.
        history: Whether silver keeps each key's history.
        refused: Why the rejects have it, where they do.
    """
    if refused:
        return "refused", refused
    if seen.get(OP) == REJECT:
        return "refused", "its cursor has no place among the others, so that silver does not take it (`odd_cursors: reject`)"
    if seen[BATCH] > consumed:
        return "pending", f"silver has come as far as batch {consumed}; the next run takes it in"
    if seen.get(OP) == DELETE:
        return "end", "the key ends here"
    return _in_history(seen, others, standing) if history else _in_current(seen, others, standing)


def _in_current(seen: Row, others: Sequence[Row], standing: Sequence[Row]) -> tuple[Became, str]:
    for row in standing:
        if _stands(seen, others, row):
            return "version", "it is the row that stands"
        return "superseded", f"the row of batch {row[BATCH]} counts in its place"
    return "gone", "the key was ended after it" if any(other.get(OP) == DELETE for other in others) else "no row of it stands in silver"


def _in_history(seen: Row, others: Sequence[Row], standing: Sequence[Row]) -> tuple[Became, str]:
    for row in standing:
        if row[VALID_FROM] == seen[SEQ]:
            if _stands(seen, [other for other in others if other[SEQ] == seen[SEQ]], row):
                return "version", f"the version from {_at(seen[SEQ])} {'on' if row[VALID_TO] is None else f'to {_at(row[VALID_TO])}'}"
            return "superseded", f"of the rows with this sequence the one of batch {row[BATCH]} counts"
    for row in standing:
        if _between(row[VALID_FROM], seen[SEQ], row[VALID_TO]):
            return "no change", f"nothing in it makes another version: the one from {_at(row[VALID_FROM])} goes on"
    return "gone", "no version of silver begins with it or holds it"


def _stands(seen: Row, others: Sequence[Row], row: Row) -> bool:
    """Whether a row of silver came of this version: the one of its batch, of several the one that says the same, else the last."""
    rivals = [other for other in others if other[BATCH] == row[BATCH] and other.get(OP) not in (DELETE, REJECT)]
    alike = [other for other in rivals if _same(other, row)] or rivals
    return bool(alike) and alike[-1] is seen


def _between(low: Any, at: Any, high: Any) -> bool:  # noqa: ANN401  a sequence has any type that can be ordered
    return low is not None and at is not None and bool(low <= at and (high is None or at < high))


def _same(seen: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return all(seen[name] == row[name] for name in row if name in seen)


def _at(value: object) -> str:
    return str(value).removesuffix("+00:00")
