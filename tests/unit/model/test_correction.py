from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse.model.correction import Correction, Kind, standing

AT = datetime(2024, 1, 1, tzinfo=UTC)


def said(number: int, kind: Kind, supersedes: str | None = None) -> Correction:
    return Correction(kind, "items", "ann", AT, "", batch=1, id=str(number), supersedes=supersedes, batch_of=number)


@pytest.mark.parametrize(
    ("chain", "stands"),
    [
        ([], []),
        ([(1, "undo", None)], ["1"]),
        ([(1, "undo", None), (2, "redo", "1")], ["2"]),
        ([(1, "undo", None), (2, "redo", "1"), (3, "undo", "2")], ["1", "3"]),
        ([(1, "fix", None), (2, "fix", "1"), (3, "undo", "2")], ["1", "3"]),
    ],
)
def test_what_a_standing_correction_supersedes_is_void(chain: list[tuple[int, Kind, str | None]], stands: list[str]) -> None:
    assert [each.id for each in standing(said(*each) for each in reversed(chain))] == stands
