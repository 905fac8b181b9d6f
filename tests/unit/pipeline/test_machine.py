"""Checks of the machine say what is wrong and how to mend it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.pipeline.machine import check_clock, check_libraries, check_names, check_prefect, check_python, check_time_zones
from lakehouse.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAKEHOUSE_CLOCK", "LAKEHOUSE_LAKE"):
        monkeypatch.delenv(name, raising=False)


def test_this_machine_is_well() -> None:
    assert [check.status for check in (check_python(), check_prefect(), check_time_zones(), check_clock(None))] == ["ok"] * 4
    (libraries,) = check_libraries()
    assert libraries.status == "ok"
    assert "polars 2." in libraries.what


def test_a_library_that_is_missing_or_out_of_range() -> None:
    found = check_libraries(["polars>=1,<2", "nothing-of-this-name>=3", "duckdb>=2.0"])
    assert [check.status for check in found] == ["fail", "fail"]
    assert "polars is at 2." in found[0].what
    assert "polars<2,>=1 is declared" in found[0].what
    assert "nothing-of-this-name is not installed" in found[1].what
    assert all("pip install" in check.fix for check in found)


def test_an_extra_counts_only_where_it_is_installed() -> None:
    marked = ["fastapi<0.0.1; extra == 'web'", "nothing-of-this-name>=1; extra == 'web'"]
    assert [check.status for check in check_libraries(marked)] == ["ok"]
    assert [check.status for check in check_libraries(["pytest<1; extra == 'dev'"])] == ["fail"]


def test_a_clock_that_is_set_is_told(tmp_path: Path) -> None:
    check = check_clock(Settings.load(tmp_path, clock=datetime(2024, 1, 1, tzinfo=UTC)))
    assert (check.status, "2024-01-01" in check.what, "Unset" in check.fix) == ("warn", True, True)


def test_names_that_nothing_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_LAEK", "secret value")
    monkeypatch.setenv("LAKEHOUSE_CONNECTION__SHOP", "postgresql://secret")
    monkeypatch.setenv("LAKEHOUSE_DEBUG", "1")
    (tmp_path / ".env").write_text("export LAKEHOUSE_BATCH_ROW=secret\n# LAKEHOUSE_COMMENT=\nOTHER=1\nLAKEHOUSE_LAKE=x\n", encoding="utf-8")
    found = check_names(tmp_path)
    assert [(check.status, check.what) for check in found] == [
        ("warn", "LAKEHOUSE_BATCH_ROW is set, but nothing reads it"),
        ("warn", "LAKEHOUSE_LAEK is set, but nothing reads it"),
    ]
    assert [check.fix for check in found] == ["Did you mean LAKEHOUSE_BATCH_ROWS?", "Did you mean LAKEHOUSE_LAKE?"]
