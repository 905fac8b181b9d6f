"""A table whose cursor is declared anew loses nothing: the old watermark says nothing about the new column."""

from __future__ import annotations

from tests.cli.project import Project


def test_another_cursor_starts_at_the_beginning(project: Project) -> None:
    assert project.call("run", "-s", "orders", "-o", "json").code == 0
    project.change("insert into Orders values (13, 1, 5, '2024-01-01 00:00:00')")
    project.replace("metadata/tables/shop/orders.yml", "cursor: ordered_at", "cursor: order_id\nsequence_by: ordered_at")
    done = project.call("run", "-s", "orders", "-o", "json").json
    assert [(step["step"], step["rows_in"], step["rows_out"]) for step in done["steps"]] == [("bronze", 4, 1), ("silver", 1, 1)]
