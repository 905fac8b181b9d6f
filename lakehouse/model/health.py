"""What the doctor says: one line a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Health = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        check: What, such as `connection shop`.
        status: ok, warn (it works, but look) or fail (a run would not).
        what: What was found.
        fix: What to do; empty where nothing.
    """

    check: str
    status: Health
    what: str
    fix: str = ""

    def facts(self) -> dict[str, Any]:
        """As JSON shows it; keys are stable."""
        return asdict(self)
