"""Where the demo lives: its database, made or started where there is none, and its lake beside it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from lakehouse.api import Lakehouse
from lakehouse.demo import state
from lakehouse.demo.simulator import Simulator
from lakehouse.demo.sqlite import SqliteStore
from lakehouse.demo.store import Kind
from lakehouse.errors import UsageError
from lakehouse.layout import LAYERS
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from lakehouse.demo.store import Store

FOLDER = ".demo"
CONNECTION = "spotify"


@dataclass(frozen=True)
class Source:
    """The demo's source, ready to be lived in.

    Attributes:
        kind: Of its database.
        store: Its database.
        folder: Holds the lake, and the database where it is the demo's own.
        stays: Whether the database can be reached after the demo ends.
    """

    kind: Kind
    store: Store
    folder: Path
    stays: bool = True

    @property
    def lake(self) -> Path:
        """The lake's folder."""
        return self.folder / "lake"

    def house(self, project: Path, clock: datetime | None) -> Lakehouse:
        """The lakehouse over this source, at an instant of its life or (None) at the real present."""
        layers = {layer: str(self.lake / layer) for layer in LAYERS}  # whatever the environment says of them
        return Lakehouse.open(project, lake=str(self.lake), layer=layers, connection={CONNECTION: self.store.url}, clock=clock)


@contextmanager
def open_source(project: Path, kind: Kind, *, reset: bool) -> Iterator[Source]:
    """The demo's source in a project; a server that it needs ends with the block.

    PostgreSQL is the database that `LAKEHOUSE_CONNECTION__SPOTIFY` names, where it names one, and a server of the demo's own otherwise.

    Args:
        project: Its folder; all that the demo writes on this machine is in `.demo/` there.
        kind: Of the database.
        reset: Forget the source and its lake first.

    Raises:
        UsageError: Another demo is at work here, the package for an own server is missing, or the database holds tables of others.
        SourceError: The database refuses, or does not answer.
    """
    folder = project / FOLDER
    folder.mkdir(exist_ok=True)
    with _alone(folder):
        opened = _sqlite(folder, reset=reset) if kind is Kind.SQLITE else _postgres(project, folder, reset=reset)
        with opened as source:
            if Simulator(source.store).days_lived == 0:
                shutil.rmtree(source.lake, ignore_errors=True)  # of a source that is gone
            yield source


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else in a demo's folder; the lock is gone with its process, however that ends."""
    with closing(sqlite3.connect(folder / "lock", 0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise UsageError("another demo is at work here", where=str(folder), next_step="Let it end, or end it.") from None
        yield


@contextmanager
def _sqlite(folder: Path, *, reset: bool) -> Iterator[Source]:
    if reset:
        for file in folder.glob("source.db*"):
            file.unlink()
        shutil.rmtree(folder / "lake", ignore_errors=True)
    yield Source(Kind.SQLITE, SqliteStore(folder / "source.db"), folder)


@contextmanager
def _postgres(project: Path, folder: Path, *, reset: bool) -> Iterator[Source]:
    given = Settings.load(project).connection.get(CONNECTION)
    url = "" if given is None else given.get_secret_value()
    if url.partition(":")[0] in ("postgresql", "postgres"):
        yield _database(project, folder, url, reset=reset)
        return
    from lakehouse.demo.postgres import PostgresStore  # noqa: PLC0415  the driver is loaded where it is used
    from lakehouse.demo.server import Server, end_former, require_package  # noqa: PLC0415

    require_package()
    own = folder / "postgres"
    if reset and own.exists():
        end_former(own / "server")
        own.rename(folder / "gone")  # at once, so that no half of it is taken for a source
    shutil.rmtree(folder / "gone", ignore_errors=True)
    own.mkdir(exist_ok=True)
    with Server(own / "server", "shared_buffers=32MB") as server:
        yield Source(Kind.POSTGRES, PostgresStore(server.url()), own, stays=False)


def _database(project: Path, folder: Path, url: str, *, reset: bool) -> Source:
    """A database that somebody named, with a folder for its lake."""
    from lakehouse.demo.postgres import PostgresStore  # noqa: PLC0415  as above
    from lakehouse.sources.connect import connect  # noqa: PLC0415

    connect(url, project).close()  # says clearly what is wrong with a URL
    store = PostgresStore(url)
    own = folder / f"postgres-{sha256(store.name.encode()).hexdigest()[:8]}"
    if reset:
        with store.open() as session:
            state.forget(session, store.name)
        shutil.rmtree(own, ignore_errors=True)
    own.mkdir(exist_ok=True)
    return Source(Kind.POSTGRES, store, own)
