"""A manifest is read as it was written, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from lakehouse.model.manifest import Judgement, Manifest, TableVersion, read_manifest

DIM, FACT = TableVersion("a", 3), TableVersion("b", 5)
STAR = Manifest(
    star=7,
    run_id="run",
    at=datetime(2030, 1, 1, 12, tzinfo=UTC),
    tables={"dim": DIM, "fact": FACT},
    previous=6,
    checks=(Judgement("fact.grain", "d1", 0, "fail", {"gold.fact": FACT}),),
    same_as=2,
    passed_over={"dim": TableVersion("a", 4), "fact": FACT},
)


def test_it_is_read_as_it_was_written() -> None:
    assert read_manifest(STAR.text()) == STAR
    assert STAR.text() == read_manifest(STAR.text()).text()


def test_any_change_is_seen() -> None:
    words = json.loads(STAR.text())
    words["tables"]["dim"]["version"] = 2
    with pytest.raises(ValueError, match="checksum"):
        read_manifest(json.dumps(words).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", STAR.text()[:-9]])
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"checksum|Expecting"):
        read_manifest(text)
