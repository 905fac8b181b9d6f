"""A lake over one source table of any kind of database, run by run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lakehouse import Lakehouse
from lakehouse.model.run import Step
from tests.contract.backend import Backend
from tests.lakes import CLOCK, write_project


class Road:
    """The lake's table `things`, read from the source's table `things`."""

    def __init__(self, backend: Backend, words: str, **settings: Any) -> None:  # noqa: ANN401  as Lakehouse.open
        """Declare the table by `words`, the lines of its file after `from`."""
        table = "from: things\n" + ("" if "mode:" in words else "mode: incremental\n") + words
        files = {"metadata/sources/shop.yml": "connection: shop\n", "metadata/tables/shop/things.yml": table}
        self._project: Path = write_project(backend.project / "project", files)
        self._settings = {"connection": {"shop": backend.url}, "clock": CLOCK, **settings}

    def house(self, **settings: Any) -> Lakehouse:  # noqa: ANN401  as Lakehouse.open
        """The project, opened anew."""
        return Lakehouse.open(self._project, **{**self._settings, **settings})

    def step(self, **settings: Any) -> Step:  # noqa: ANN401  as Lakehouse.open
        """Run, and give bronze's step; a silver step that fails is an error."""
        bronze, *others = self.house(**settings).run().steps
        assert bronze.status == "failed" or all(step.status in ("success", "unchanged") for step in others), others
        return bronze

    def run(self, **settings: Any) -> int:  # noqa: ANN401  as Lakehouse.open
        """Run with success; how many rows came to bronze."""
        step = self.step(**settings)
        assert step.status in ("success", "unchanged"), step.error
        return step.rows_out

    def error(self, **settings: Any) -> str:  # noqa: ANN401  as Lakehouse.open
        """Run without success; what bronze's step says."""
        step = self.step(**settings)
        assert step.status == "failed", step
        assert step.error is not None
        return step.error["message"]

    def column(self, name: str, table: str = "bronze.things") -> list[Any]:
        """A column's values in the order of the batches, then by value."""
        rows = self.house().scan(table).collect()
        return [row[name] for row in sorted(rows.to_dicts(), key=lambda row: (row["_batch"], row[name] is not None, row[name]))]

    def watermark(self) -> str | None:
        """The watermark as `status` shows it."""
        return next(
            None if row["watermark"] is None else str(row["watermark"]) for row in self.house().status() if row["layer"] == "bronze"
        )
