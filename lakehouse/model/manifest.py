"""A published star: which version of each gold table it is made of, written once and never changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One version of one Delta table.

    Attributes:
        id: The Delta table's own id: a table that is made anew at the same place has another.
        version: The Delta version.
    """

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check of a star came to.

    Attributes:
        check: Its name.
        by: A digest of its text: another text judges anew.
        rows: How many rows break it.
        otherwise: What becomes of the star then: `fail` holds it back, `warn` only tells.
        read: The tables it read, as `layer.table`, with their Delta versions.
    """

    check: str
    by: str
    rows: int
    otherwise: str
    read: Mapping[str, TableVersion]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A published star.

    Attributes:
        star: Its number; the highest one is what readers see.
        run_id: The run that published it.
        at: When, by that run's clock.
        tables: Each gold table with its version.
        previous: The star before it, None for the first.
        checks: What the checks said of it.
        same_as: The star whose tables it names again, where it was rolled back to.
        passed_over: For a rollback: the versions that gold had then, which a run does not publish again by itself.
    """

    star: int
    run_id: str
    at: datetime
    tables: Mapping[str, TableVersion]
    previous: int | None = None
    checks: tuple[Judgement, ...] = ()
    same_as: int | None = None
    passed_over: Mapping[str, TableVersion] = field(default_factory=dict)

    def text(self) -> bytes:
        """The manifest as the lake keeps it: JSON with a SHA-256 over all the rest."""
        words = {"format": FORMAT, **asdict(self), "at": self.at.astimezone(UTC).isoformat()}
        return (json.dumps({**words, "sha256": _digest(words)}, indent=1, sort_keys=True) + "\n").encode()


def read_manifest(text: bytes) -> Manifest:
    """The manifest that `Manifest.text` gave.

    Raises:
        ValueError: It is not whole, was changed, or is of a later form.
    """
    words: Any = json.loads(text)
    if not isinstance(words, dict) or words.pop("sha256", None) != _digest(words):
        raise ValueError("its checksum is not that of its content")
    if words.pop("format") != FORMAT:
        raise ValueError("a later release wrote it")
    words["checks"] = tuple(Judgement(**{**check, "read": _versions(check["read"])}) for check in words["checks"])
    words["tables"], words["passed_over"] = _versions(words["tables"]), _versions(words["passed_over"])
    return Manifest(**{**words, "at": datetime.fromisoformat(words["at"])})


def _versions(given: Mapping[str, Any]) -> dict[str, TableVersion]:
    return {name: TableVersion(**version) for name, version in given.items()}


def _digest(words: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
