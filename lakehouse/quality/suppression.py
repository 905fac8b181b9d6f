"""What the lake remembers of erased people: keyed hashes of their keys, as rows of `bronze._corrections`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from lakehouse.lake import Lake
    from lakehouse.model.correction import Correction
    from lakehouse.transform.suppression import Suppressed, Told

SECRET = "erasure"  # noqa: S105  the name of a key
"""The key of the hashes is in `LAKEHOUSE_KEY__ERASURE`."""


def without_erased(lake: Lake, name: str, batches: Iterator[pa.RecordBatch], told: Told) -> Iterator[pa.RecordBatch]:
    """The rows that a source shows of a table, without those of erased people, which are counted; a lake without erasures looks at none.

    Raises:
        UsageError: People were erased, and the key of the hashes is not set: nobody can tell whether they come back.
    """
    if not lake.corrected(name):
        return batches
    from lakehouse.quality.corrections import read  # noqa: PLC0415  loads Polars, which a run without changes does without

    entries = suppressed(said for said in read(lake.corrections(), name) if said.kind == "erase")
    if not entries:
        return batches
    from lakehouse.transform.suppression import Suppression  # noqa: PLC0415  loads Polars, which other lakes do without here

    return Suppression(lake.settings.secret(SECRET), entries).of(batches, told)


def suppressed(said: Iterable[Correction]) -> list[Suppressed]:
    """What these corrections of one table suppress, column set by column set."""
    from lakehouse.transform.suppression import Suppressed  # noqa: PLC0415  as above

    found: dict[tuple[tuple[str, ...], str], dict[str, str]] = {}
    for each in said:
        if each.key_hash is not None:
            found.setdefault((tuple(each.value["columns"]), each.value["on_erase"]), {})[each.key_hash] = each.value["mark"]
    return [Suppressed(columns, "keep" if then == "keep" else "delete", hashes) for (columns, then), hashes in found.items()]
