"""What people do to rows of the lake, as verbs of the `Lakehouse`: undo a run; fix, drop, assign and replay rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.model.repair import Chosen, Edit, Repair
    from lakehouse.model.undoing import Undoing
    from lakehouse.pipeline.walk import Around, Progress


class Acts:
    """The verbs; each sees the lake as it is at that moment, and records who did what, when and why in `bronze._corrections`."""

    def _lake(self) -> Lake:
        raise NotImplementedError

    def undo(
        self, run_id: str, *, why: str = "", dry_run: bool = False, progress: Progress | None = None, around: Around | None = None
    ) -> Undoing:
        """Take back what a run brought, or what a person did (an undo, a fix, a drop), and bring what follows up to date; later runs stay.

        Raises:
            MetadataError: The metadata has faults.
            UsageError: There is no such run or act, it brought nothing, it is under way, or it is taken back already.
        """
        from lakehouse.pipeline.undo import undo  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return undo(lake, run_id, why=why, dry_run=dry_run, progress=progress, around=around)

    def fix(
        self, table: str, chosen: Chosen, edit: Edit, *, why: str = "", replay: bool = True, progress: Progress | None = None
    ) -> Repair:
        """Put other values in the place of rejected rows, and bring silver and what follows up to date; later, without `replay`.

        Raises:
            UsageError: There is no such table or open reject, or the values cannot be.
            QualityError: A row would still break a rule; nothing is written.
        """
        from lakehouse.pipeline.repair import fix  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return fix(lake, table, chosen, edit, why=why, replay=replay, progress=progress)

    def drop(self, table: str, chosen: Chosen, *, why: str = "", replay: bool = True, progress: Progress | None = None) -> Repair:
        """Decide that rejected rows are none; bronze keeps them.

        Raises:
            UsageError: There is no such table or open reject.
        """
        from lakehouse.pipeline.repair import drop  # noqa: PLC0415  as above

        with self._lake() as lake:
            return drop(lake, table, chosen, why=why, replay=replay, progress=progress)

    def assign(self, table: str, chosen: Chosen, owner: str, *, why: str = "") -> Repair:
        """Say who looks after rejected rows.

        Raises:
            UsageError: There is no such table or open reject, or nobody is named.
        """
        from lakehouse.pipeline.repair import assign  # noqa: PLC0415  as above

        with self._lake() as lake:
            return assign(lake, table, chosen, owner, why=why)

    def replay(self, table: str | None = None, *, progress: Progress | None = None) -> Repair:
        """Bring the tables whose corrections nobody followed yet up to date, and what is built on them.

        Raises:
            UsageError: There is no such table.
        """
        from lakehouse.pipeline.repair import replay  # noqa: PLC0415  as above

        with self._lake() as lake:
            return replay(lake, table, progress=progress)

    def export_rejects(self, table: str, chosen: Chosen) -> list[dict[str, str | None]]:
        """The bronze rows of open rejects as texts, in clear, to be edited and given back to `fix`.

        Raises:
            UsageError: There is no such table or open reject.
        """
        from lakehouse.pipeline.repair import export  # noqa: PLC0415  as above

        with self._lake() as lake:
            return export(lake, table, chosen)
