"""A process of its own beside others: `python -m tests.faults.child VERB ...`.

`paused FOLDER WORD ...` is the command line that stops between the read and the write of each table: it leaves `FOLDER/read` and goes on
when there is `FOLDER/go`. It takes no lease: the numbers of the commits alone must make the tables right.
`appends URI TABLE NAME COUNT` appends so many rows, each in a commit of its own, trying again after a conflict.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.cli.main import main
from lakehouse.errors import ConflictError
from lakehouse.sources.database import Database
from lakehouse.storage.leases import Leases
from tests.stores import Store, append

if TYPE_CHECKING:
    import pyarrow as pa

PATIENCE_SECONDS = 60


def wait_for(path: Path, alive: Callable[[], bool] = lambda: True) -> None:
    """Return when there is such a file."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert alive(), path
        assert time.monotonic() < end, path
        time.sleep(0.01)


def paused(folder: Path, words: list[str]) -> None:
    """The command line, its reads held back."""
    read = Database.read

    def held(*given: object, **named: object) -> Iterator[pa.RecordBatch]:
        batches = list(read(*given, **named))  # type: ignore[arg-type]  # whatever it takes
        (folder / "read").touch()
        wait_for(folder / "go")
        yield from batches

    Leases.take = lambda *_: False  # type: ignore[method-assign]
    Database.read = held  # type: ignore[method-assign]
    sys.argv = ["lakehouse", *words]
    main()


def appends(uri: str, table: str, name: str, count: int) -> None:
    """So many rows `(number, name)`."""
    store = Store(uri)
    for number in range(count):
        while True:
            try:
                append(store.open(table), (number, name), run=f"{name}-{number}")
            except ConflictError:
                continue
            break


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb == "paused":
        paused(Path(rest[0]), rest[1:])
    else:
        appends(rest[0], rest[1], rest[2], int(rest[3]))
