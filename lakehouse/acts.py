"""What people do to the lake, as verbs of the `Lakehouse`: undo, erase, repair rejects, adopt, publish and go back; and its record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lakehouse.lake import Lake
    from lakehouse.model.erasing import Erasure
    from lakehouse.model.manifest import Manifest
    from lakehouse.model.repair import Chosen, Edit, Repair
    from lakehouse.model.run import Cursor, Run
    from lakehouse.model.undoing import Undoing
    from lakehouse.pipeline.audit import Verdict
    from lakehouse.pipeline.walk import Around, Progress


class Acts(ABC):
    """The verbs; each sees the lake as it is at that moment. What changes rows stands in `bronze._corrections`, every act in the audit."""

    @abstractmethod
    def _lake(self) -> Lake:
        """The opened lake."""

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

    def adopt(self, table: str, place: str, *, watermark: Cursor | None = None, progress: Progress | None = None) -> Run:
        """Make a Parquet or Delta history (a file, a folder, a pattern, a table; here or on Azure) a table's first batch in bronze.

        The next run goes on from the greatest cursor in it, or from a lower `watermark`.

        Raises:
            MetadataError: The metadata has faults.
            UsageError: There is no such table, nothing at the place, or bronze has rows of the table already.
            ContractError: The columns do not fit; all are named.
        """
        from lakehouse.pipeline.adopt import adopt  # noqa: PLC0415  done once in a table's life

        with self._lake() as lake:
            return adopt(lake, table, place, watermark=watermark, progress=progress)

    def audit(self) -> list[dict[str, Any]]:
        """What people did (full refreshes, fixes, undos ...), one row an act, the newest first."""
        from lakehouse.pipeline.audit import audit  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return audit(lake)

    def verify_audit(self, head: str | None = None) -> Verdict:
        """What is wrong with the audit's lines: changed, missing, put elsewhere; nothing if the chain is whole.

        With a `head` (`<number>:<hash>`) that was noted outside the lake, a chain that was written anew in every place is found too.

        Raises:
            UsageError: That cannot be a head.
        """
        from lakehouse.pipeline.audit import verify  # noqa: PLC0415  as above

        with self._lake() as lake:
            return verify(lake, head)

    def erase(self, table: str, *keys: str, why: str = "", dry_run: bool = False, progress: Progress | None = None) -> Erasure:
        """Erase the person with these keys from every layer, for good; see `docs/erasure.md`. With `dry_run` only what would be done.

        Args:
            table: The person's table.
            keys: The values of its keys as texts, in the order of the table's `keys`.
            why: The reason, for the certificate; no personal value should be in it.
            dry_run: Write nothing.
            progress: Called with each step as it ends.

        Raises:
            UsageError: There is no such table or person, the words are no key, or `LAKEHOUSE_KEY__ERASURE` is not set.
            StorageError: A step failed; the same call goes on where it ended.
        """
        from lakehouse.pipeline.erase import erase  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return erase(lake, table, keys, why=why, dry_run=dry_run, progress=progress)

    def prove_erased(self, certificate: int | None = None, values: Iterable[str] = ()) -> list[dict[str, Any]]:
        """What the bytes of the lake say of its certificates, or of one: one row a check, with `certificate`, `check`, `status`, `what`.

        Args:
            certificate: Its number; None proves all.
            values: Texts that nothing in the lake may have, such as a name.

        Raises:
            UsageError: There is no such certificate, or `LAKEHOUSE_KEY__ERASURE` is not set.
        """
        from lakehouse.pipeline.proof import prove  # noqa: PLC0415  as above

        with self._lake() as lake:
            return [check.facts() for check in prove(lake, certificate, list(values))]

    def publish(self) -> Manifest | None:
        """Publish gold as it stands, after its checks, also what a rollback passed over; None where readers see it already.

        Raises:
            QualityError: A check fails: readers keep the star they have.
            StorageError: The tables of gold do not fit together, or cannot be read or written.
        """
        from lakehouse.pipeline.publish import publish  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return publish(lake)

    def rollback(self, star: int | None = None) -> Manifest:
        """Publish the tables of an older star again, by default of the one before; the new star.

        Raises:
            UsageError: There is no such star.
            StorageError: A version that it names is gone.
        """
        from lakehouse.pipeline.publish import rollback  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return rollback(lake, star)

    def forget_stars(self) -> list[int]:
        """Forget the stars that the settings `star_days` and `stars_kept` outlive; which they were. No file of a table is removed.

        Raises:
            BusyError: Somebody is going back to an older star at this moment.
        """
        from lakehouse.pipeline.stars import retire  # noqa: PLC0415  nothing else needs it

        with self._lake() as lake:
            return retire(lake)
