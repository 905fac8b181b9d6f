"""The shop of the stories about what a cursor cannot see, in each kind of database that they are told over."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers import Postgres
from tests.shop import NO_LOOKBACK, Make, Shop


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def build(files: dict[str, str] | None = None, name: str = "shop") -> Shop:
        if request.param == "sqlite":
            (tmp_path / name).mkdir()
            url = f"sqlite://{tmp_path / name}/source.db"
        else:
            server: Postgres = request.getfixturevalue("postgres")
            url = server.create_database(f"shop {uuid4().hex}")
        return Shop(tmp_path / name, url, NO_LOOKBACK if files is None else files)

    return build
