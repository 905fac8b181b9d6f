"""The published stars of a lake: numbered manifests, each put where none of its number is, as the commits of a Delta log are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from lakehouse.errors import StorageError
from lakehouse.layout import star_file, star_number
from lakehouse.model.manifest import TableVersion, read_manifest
from lakehouse.storage.objects import put_new
from lakehouse.storage.refusal import reason

if TYPE_CHECKING:
    from lakehouse.model.manifest import Manifest
    from lakehouse.storage.delta import Table
    from lakehouse.storage.effects import Effects
    from lakehouse.storage.place import Place


class Stars:
    """The stars of one lake; every call looks anew."""

    def __init__(self, place: Place, effects: Effects) -> None:
        """Name their folder; nothing is read."""
        self._place, self._effects = place, effects

    @property
    def place(self) -> Place:
        """Their folder."""
        return self._place

    def numbers(self) -> list[int]:
        """The stars that are kept, in order; one look at the folder.

        Raises:
            StorageError: The folder cannot be listed.
        """
        self._place.require_there()
        return sorted(number for name in self._place.names() if (number := star_number(name)) is not None)

    def newest(self) -> Manifest | None:
        """The star that readers see; None where none was ever published.

        Raises:
            StorageError: Its manifest cannot be read.
        """
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else None

    def read(self, star: int) -> Manifest:
        """One star.

        Raises:
            StorageError: Its manifest is not there, is damaged or cannot be read.
        """
        where = f"{self._place.uri}/{star_file(star)}"
        try:
            found = read_manifest(bytes(obstore.get(self._place.store(), star_file(star)).bytes()))
        except (BaseError, OSError) as exc:
            raise StorageError(
                f"the manifest of star {star} cannot be read: {reason(exc)}", where=where, next_step="See that the lake can be read."
            ) from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise StorageError(
                f"the manifest of star {star} is damaged: {exc}",
                where=where,
                next_step="`lakehouse publish` writes the next star from the gold tables; `--star` reads an older one.",
            ) from exc
        if found.star != star:
            raise StorageError(f"the manifest of star {star} is that of star {found.star}", where=where, next_step="Restore it.")
        return found

    def kept(self) -> list[Manifest]:
        """All stars that are kept, in order.

        Raises:
            StorageError: A manifest cannot be read.
        """
        return [self.read(number) for number in self.numbers()]

    def put(self, manifest: Manifest) -> bool:
        """Publish a star, as one effect; False where another run took its number first.

        Raises:
            StorageError: It can be neither put nor read.
        """
        return put_new(self._place, star_file(manifest.star), manifest.text(), self._effects)

    def remove(self, star: int) -> None:
        """Forget a star, as one effect; its tables' versions are then no longer needed by it.

        Raises:
            StorageError: Its manifest cannot be removed.
        """
        try:
            self._effects.do(f"remove star {star}", partial(obstore.delete, self._place.store(), star_file(star)))
        except (BaseError, OSError) as exc:
            raise StorageError(
                f"the manifest of star {star} cannot be removed: {reason(exc)}",
                where=self._place.uri,
                next_step="See that the lake can be written, then try again.",
            ) from exc


def version_of(table: Table) -> TableVersion:
    """The version that a handle reads, as manifests name it."""
    return TableVersion(table.identity, table.version)
