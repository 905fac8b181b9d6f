"""The lakehouse in Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.acts import Acts
from lakehouse.lake import Lake
from lakehouse.layout import lake_uri
from lakehouse.pipeline.backfill import backfill
from lakehouse.pipeline.plan import plan
from lakehouse.pipeline.read import query, scan
from lakehouse.pipeline.run import run
from lakehouse.pipeline.sandbox import sandbox
from lakehouse.pipeline.stars import Shown, listed
from lakehouse.pipeline.status import history, status
from lakehouse.pipeline.stream import stream
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime, timedelta
    from threading import Event

    import polars as pl

    from lakehouse.model.case import Report
    from lakehouse.model.life import Life
    from lakehouse.model.lineage import Lineage
    from lakehouse.model.reconciliation import Reconciliation
    from lakehouse.model.run import Cursor, Run
    from lakehouse.model.sample import Sample
    from lakehouse.pipeline.discover import Discovery
    from lakehouse.pipeline.walk import Around, Progress


class Lakehouse(Acts):
    """A project and its lake. Every call sees the lake as it is at that moment."""

    def __init__(self, project: Path, settings: Settings) -> None:
        """Use `Lakehouse.open`."""
        self.project, self.settings = project, settings

    @classmethod
    def open(cls, project: str | Path = ".", **settings: Any) -> Lakehouse:  # noqa: ANN401  each setting has its own type
        """The lakehouse of the project in a folder; `settings` win over the environment.

        Raises:
            UsageError: A setting cannot be read.
        """
        folder = Path(project).resolve()
        return cls(folder, Settings.load(folder, **settings))

    @property
    def uri(self) -> str:
        """The lake's own URI."""
        return lake_uri(self.settings.lake, self.project)

    def sandbox(self) -> Lakehouse:
        """The same project over the lake that samples fill: `LAKEHOUSE_SAMPLE_LAKE`, or `<lake>-sample`.

        Raises:
            UsageError: That is, holds or lies in the real lake.
        """
        return Lakehouse(self.project, sandbox(self.project, self.settings))

    def _lake(self) -> Lake:
        return Lake.open(self.project, self.settings)

    def run(
        self,
        select: Iterable[str] = (),
        *,
        full_refresh: bool = False,
        rebuild: Iterable[str] = (),
        sample: Sample | None = None,
        progress: Progress | None = None,
        around: Around | None = None,
    ) -> Run:
        """Run the selected tables and models; failures are in the report's steps.

        With `sample` so much of each table goes to a lake of its own (see `sandbox`), and this one stays as it is.
        `progress` is called with each step as it ends; `around(name, work)` does the work of each table or model and gives its steps.

        Raises:
            MetadataError: The metadata has faults.
            UsageError: A word of the selection names nothing.
        """
        house = self if sample is None else self.sandbox()
        with Lake.open(self.project, house.settings, sample) as lake:
            return run(lake, select, full_refresh=full_refresh, rebuild=rebuild, progress=progress, around=around)

    def backfill(
        self,
        select: Iterable[str] = (),
        *,
        from_: Cursor,
        to: Cursor,
        include_undone: bool = False,
        progress: Progress | None = None,
        around: Around | None = None,
    ) -> Run:
        """Read `from_ <= cursor < to` of the selected tables again, and bring what follows from them up to date.

        With `include_undone` rows come back whose run is taken back.

        Raises:
            MetadataError: The metadata has faults.
            UsageError: A word names nothing or no table with a cursor, or the bounds are no window.
        """
        with self._lake() as lake:
            return backfill(lake, select, from_=from_, to=to, include_undone=include_undone, progress=progress, around=around)

    def reconcile(
        self,
        select: Iterable[str] = (),
        *,
        heal: bool = False,
        since: Cursor | None = None,
        include_undone: bool = False,
        progress: Progress | None = None,
        around: Around | None = None,
    ) -> Reconciliation:
        """Compare the selected tables with their sources; with `heal`, read again what differs and bring what follows up to date.

        With `include_undone`, rows whose run is taken back count as not read.

        Raises:
            MetadataError: The metadata has faults.
            UsageError: A word names nothing, or the selection holds no table that can be compared.
        """
        from lakehouse.pipeline.reconcile import reconcile  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return reconcile(lake, select, heal=heal, since=since, include_undone=include_undone, progress=progress, around=around)

    def lineage(self, name: str | None = None) -> Lineage:
        """What a table (`gold.fact_stream`) or a column (`gold.dim_user.country`) comes from and what comes of it; without a name all.

        Raises:
            MetadataError: The metadata has faults.
            UsageError: Nothing has this name.
        """
        from lakehouse.pipeline.lineage import lineage  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return lineage(lake, name)

    def stream(
        self,
        select: Iterable[str] = (),
        *,
        every: timedelta,
        for_: timedelta | None = None,
        once: bool = False,
        stop: Event | None = None,
        progress: Progress | None = None,
        around: Around | None = None,
    ) -> Iterator[Run]:
        """Poll the sources every so often and run what came; one report a poll, until `for_` has passed or `stop` is set.

        Raises:
            MetadataError: The metadata has faults.
            UsageError: A word of the selection names nothing.
        """
        with self._lake() as lake:
            yield from stream(lake, select, every=every, for_=for_, once=once, stop=stop, progress=progress, around=around)

    def discover(
        self,
        connection: str,
        *,
        source: str | None = None,
        tables: Iterable[str] = (),
        write: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Discovery:
        """What the database of a connection has, and how it could be read; `write` makes a metadata file for each table.

        `tables` are patterns such as `sales.*`; `progress` is called before each table with its name, its number and how many there are.

        Raises:
            UsageError: The connection is not set, a name cannot be one, or a pattern matches nothing.
            SourceError: The database refuses, or nobody answers.
        """
        from lakehouse.pipeline.discover import discover  # noqa: PLC0415  the drivers are loaded where a source is asked

        return discover(self.project, self.settings, connection, source=source, tables=tables, write=write, progress=progress)

    def doctor(self) -> list[dict[str, Any]]:
        """Whether everything that a run needs is there: one row a check, with `check`, `status` (ok, warn, fail), `what` and `fix`."""
        from lakehouse.pipeline.doctor import doctor  # noqa: PLC0415  nothing else needs it

        return [check.facts() for check in doctor(self.project, self.settings)]

    def rebuild_ledger(self) -> int:
        """Record again what the tables' commits tell and the ledger does not have; how many steps came back."""
        from lakehouse.pipeline.rebuild import rebuild_ledger  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return rebuild_ledger(lake)

    def keep_commits(self) -> int:
        """Copy the records of all commits into `_commits`, so that the ledger can be rebuilt when logs were cleaned; how many came."""
        from lakehouse.pipeline.rebuild import keep_commits  # noqa: PLC0415  as above

        with self._lake() as lake:
            return keep_commits(lake)

    def plan(self, select: Iterable[str] = ()) -> list[dict[str, Any]]:
        """What a run would do: one row a step."""
        with self._lake() as lake:
            return plan(lake, select)

    def status(self) -> list[dict[str, Any]]:
        """Where every table stands: one row a table."""
        with self._lake() as lake:
            return status(lake)

    def why(self, table: str, *keys: str) -> Life:
        """The life of one row: every bronze row of its key with the read that brought it, and what silver and gold made of it.

        Args:
            table: `silver.<table>` or `<table>`.
            keys: The values of its keys as texts, in the order of the table's `keys`.

        Raises:
            UsageError: There is no such table, it has no keys or no rows yet, or these are no values of its keys.
        """
        from lakehouse.pipeline.why import why  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return why(lake, table, keys)

    def reveal(self, column: str, *tokens: str) -> list[str]:
        """The values behind tokens of a column (`users.email`) that its key can undo; who calls must hold the key.

        Raises:
            UsageError: There is no such column, its tokens cannot be undone, its key is not set, or made none of these tokens.
        """
        from lakehouse.pipeline.reveal import reveal  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return reveal(lake, column, tokens)

    def test(self, select: Iterable[str] = ()) -> Report:
        """Run the cases of `metadata/tests/`, in memory: no lake and no source is touched.

        Args:
            select: Words such as `users`, `users+`, `tag:x` (cases of these tables and models), or names of cases, `*` in them.

        Raises:
            MetadataError: The metadata or the cases have faults.
            UsageError: A word names nothing.
        """
        from lakehouse.pipeline.testing import run_cases  # noqa: PLC0415  nothing else needs it

        return run_cases(self.project, self.settings, select)

    def history(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs' steps, newest first."""
        with self._lake() as lake:
            return history(lake, limit)

    def quality(self, table: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """What the rules found: `tables` with where the rows of each went, `rules` with the last result of each and its trend.

        Raises:
            UsageError: There is no such table.
        """
        from lakehouse.pipeline.quality import quality  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return quality(lake, table)

    def rejects(self, table: str | None = None, *, reason: str | None = None, limit: int = 50, state: str = "open") -> list[dict[str, Any]]:
        """The newest rows that silver does not take, of one table or of all.

        Each has `reason`, `rules`, the masked `key`, where it is in bronze, `state` (open, repaired, dropped; `all` asks for all),
        `owner` and `age_seconds`.

        Raises:
            UsageError: There is no such table or state.
        """
        from lakehouse.pipeline.quality import rejects  # noqa: PLC0415  as above

        with self._lake() as lake:
            return rejects(lake, table, reason=reason, limit=limit, state=state)

    def reject(self, table: str, pointer: str) -> list[dict[str, Any]]:
        """The rejects of a table whose `_row_hash` begins so, with the row's values in bronze, unmasked, as `row`.

        Raises:
            UsageError: There is no such table or reject.
        """
        from lakehouse.pipeline.quality import reject  # noqa: PLC0415  as above

        with self._lake() as lake:
            return reject(lake, table, pointer)

    def scan(self, name: str, *, star: int | None = None, as_of: datetime | date | None = None, staged: bool = False) -> pl.LazyFrame:
        """The rows of `layer.table`, lazy; of gold in the published star, or as `sql` says.

        Raises:
            UsageError: There is no such table or star.
        """
        with self._lake() as lake:
            return scan(lake, name, self._shown(lake, star, as_of, staged=staged))

    def sql(self, text: str, *, star: int | None = None, as_of: datetime | date | None = None, staged: bool = False) -> pl.DataFrame:
        """The result of one SELECT over `bronze.x`, `silver.x`, `rejects.x`, `gold.y`, and `ledger.windows`, `runs`, `steps`, `quality`.

        Args:
            text: The SELECT.
            star: Gold as it was published by this number, in the place of the newest star.
            as_of: Gold as readers saw it at this time; a day means its beginning, in UTC.
            staged: Gold as it was built last, published or not.

        Raises:
            UsageError: It is no single SELECT, or names what is not there.
        """
        import polars as pl  # noqa: PLC0415  on the way out only

        with self._lake() as lake:
            return pl.DataFrame(pl.from_arrow(query(lake, text, self._shown(lake, star, as_of, staged=staged))))

    @staticmethod
    def _shown(lake: Lake, star: int | None, as_of: datetime | date | None, *, staged: bool) -> Shown | None:
        return None if star is None and as_of is None and not staged else Shown(lake, star=star, as_of=as_of, staged=staged)

    def stars(self) -> list[dict[str, Any]]:
        """The stars that are kept, the newest first: star, at, run_id, tables, changed, checks, warnings, same_as, shown."""
        with self._lake() as lake:
            return listed(lake)
