"""What one read of a source hands over: its window, its rows as a stream, and what the stream has shown so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from lakehouse.model.run import Cursor, Window
    from lakehouse.model.table import Table
    from lakehouse.model.types import DataType


@dataclass(slots=True)
class Extraction:
    """One read, under way.

    Attributes:
        table: The table that is read.
        types: The columns and their types.
        window: What is read.
        extracted_at: When the window was frozen.
        stream: The rows; it can be read once.
        whole: Take every row as a new observation, also those that bronze has already (a full refresh of a table with keys;
            rows without keys can only be counted, so that taking them twice would double them).
        anew: Bronze's rows are to go: they hold tokens that nobody can bring up to date.
        past: The window is a backfill's: the live watermark stays where it is.
        adopted: Where the rows come from, if not from the source.
        complete: The stream is the whole table at one moment: keys that it does not show are gone.
        replaces: The columns of the partitions of which the stream shows all rows: keys that were there and that it lacks are gone.
        numbers: App transactions that its commit carries.
        overdue: The commit is made without rows too, for its numbers.
        keys: How many keys the read is limited to; None for a window. The live watermark stays where it is.
        step: The step that reads.
        rows: How many rows the stream has shown.
        greatest: The greatest cursor value it has shown, odd ones apart.
        rejected: How many of the rows that were new to bronze silver does not take.
        columns: What the table's contract made of columns that are not as bronze has them, see `Step`.
        include_undone: Take rows again that bronze has observed last in batches which are taken back.
        undone: The batches of bronze that are taken back.
        suppressed: How many rows of erased people the stream has left out, or shown without what points to them.
        error: What broke it; engines that read the stream hide it.
    """

    table: Table
    types: dict[str, DataType]
    window: Window
    extracted_at: datetime
    stream: Iterator[pa.RecordBatch]
    whole: bool = False
    anew: bool = False
    past: bool = False
    adopted: str = ""
    complete: bool = False
    replaces: tuple[str, ...] = ()
    numbers: dict[str, int] = field(default_factory=dict)
    overdue: bool = False
    keys: int | None = None
    step: str = "bronze"
    rows: int = 0
    greatest: Cursor | None = None
    rejected: int = 0
    columns: dict[str, list[str]] = field(default_factory=dict)
    include_undone: bool = False
    undone: frozenset[int] = frozenset()
    suppressed: int = 0
    error: BaseException | None = None
