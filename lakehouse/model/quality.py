"""What a rule found in one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.model.expectation import Expectation, Kind


Counts = tuple[int, int, tuple[str, ...]]
"""Of a rule: the rows that break it, the rows judged, the masked keys of a few that break it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's result.

    Attributes:
        table: The table's name.
        rule: The rule's.
        kind: The rule's kind.
        otherwise: What becomes of what breaks it.
        passed: Rows that keep it; NULL for rules over a table as a whole.
        failed: Rows that break it; as above.
        value: The number that a rule over the whole table looked at: seconds, rows, a share, a metric, or for drift the metric.
        broken: Whether anything breaks it.
        stops: Whether it holds the commit back.
        samples: The masked keys of a few rows that break it.
        told: What it found, for people; without values of rows.
    """

    table: str
    rule: str
    kind: str
    otherwise: str
    passed: int | None = None
    failed: int | None = None
    value: float | None = None
    broken: bool = False
    stops: bool = False
    samples: tuple[str, ...] = ()
    told: str = ""

    @property
    def share(self) -> float | None:
        """The share of the judged rows that break it; None where none was judged."""
        judged = (self.passed or 0) + (self.failed or 0)
        return (self.failed or 0) / judged if judged else None


def counted(table: str, rule: str, about: Expectation, counts: Counts) -> Finding:
    """The finding of a rule that counts rows: `fail` stops at the first one, and any rule above its `max`."""
    failed, judged, samples = counts
    limit = about.max
    over = failed > limit if isinstance(limit, int) else limit is not None and failed > limit * judged
    stops = over if limit is not None else bool(failed) and about.otherwise == "fail"
    allowed = "" if limit is None else f", allowed {limit if isinstance(limit, int) else f'{limit:.6%}'.rstrip('0%').rstrip('.') + '%'}"
    told = f"{failed} of {judged} rows{allowed} ({describe(about)})"
    return Finding(table, rule, about.kind, about.otherwise, judged - failed, failed, None, bool(failed), stops, samples, told)


def describe(rule: Expectation) -> str:
    """A rule in one line: its SQL, or its kind with what it names."""
    if rule.that is not None:
        return rule.that
    given = getattr(rule, rule.kind)
    kind: Kind = rule.kind
    if isinstance(given, tuple):
        return f"{kind}: {', '.join(given)}"
    words = given.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return f"{kind}: " + ", ".join(f"{name} {_short(value)}" for name, value in words.items())


def _short(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
