"""A process that dies while a checkpoint of a table's log is made: the table has its rows, and the next runs go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lakes import SHOP, SHOP_TABLES, change_source, content, open_shop, require_success, versions, write_project

TABLE, CHECKPOINT = "bronze.orders", f"{9:020}.checkpoint.parquet"


def torn(log: Path) -> None:
    """The bytes that an unfinished upload leaves beside the log have another name until they are whole."""
    shutil.copy(log / CHECKPOINT, log / f"{CHECKPOINT}#1")
    (log / f"{CHECKPOINT}#1").write_bytes((log / CHECKPOINT).read_bytes()[:100])
    (log / CHECKPOINT).unlink()
    (log / "_last_checkpoint").unlink()


def removed(*names: str) -> Callable[[Path], None]:
    def remove(log: Path) -> None:
        for name in names:
            (log / name).unlink()

    return remove


LEFT: dict[str, Callable[[Path], object]] = {
    "before it": removed(CHECKPOINT, "_last_checkpoint"),
    "in the middle of it": torn,
    "before its hint": removed("_last_checkpoint"),
}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose orders came in nine commits after the one that made it, the last of which made a checkpoint."""
    project = write_project(tmp_path_factory.mktemp("grown") / "project", SHOP)
    change_source(project / "source.db", SHOP_TABLES)
    for number in range(1, 10):
        change_source(project / "source.db", f"insert into orders values ({number}, 1, '1.00', '2026-01-{number:02} 00:00:00')")
        require_success(open_shop(project), select=["orders"])
    assert (project / "lake/bronze/orders/_delta_log" / CHECKPOINT).exists()
    return project


@pytest.mark.parametrize("left", LEFT)
def test_a_death_at_a_checkpoint(grown: Path, tmp_path: Path, left: str) -> None:
    project = tmp_path / "project"
    shutil.copytree(grown, project)
    LEFT[left](project / "lake/bronze/orders/_delta_log")
    assert content(open_shop(project), TABLE) == content(open_shop(grown), TABLE)
    stands = versions(project / "lake")
    require_success(open_shop(project), select=["orders"])
    assert versions(project / "lake") == stands
    change_source(project / "source.db", "insert into orders values (10, 1, '1.00', '2026-01-10 00:00:00')")
    require_success(open_shop(project), select=["orders"])
    assert sorted(row["id"] for row in open_shop(project).scan(TABLE).collect().rows(named=True)) == list(range(1, 11))
