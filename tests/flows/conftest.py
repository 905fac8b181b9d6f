"""A project with its deployments on a real server, and a worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.project import Project
from tests.flows.prefect import Prefect, copy_flows


@dataclass(frozen=True)
class Deployed:
    """A small shop whose flows a worker runs."""

    shop: Project
    prefect: Prefect


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The shop, deployed as docs/prefect.md says; its schedule is off, so that no test meets a run that it did not ask for."""
    shop = Project.make(tmp_path_factory.mktemp("shop"))
    copy_flows(shop.folder)
    server = Prefect(tmp_path_factory.mktemp("prefect"))
    try:
        server.call("work-pool", "create", "lakehouse", "--type", "process", cwd=shop.folder)
        server.start_worker(LAKEHOUSE_CONNECTION__SHOP=shop.url, LAKEHOUSE_CLOCK="2024-02-01T00:00:00Z")
        server.call("deploy", "--all", cwd=shop.folder, LAKEHOUSE_PROJECT=str(shop.folder))
        daily = server.deployment("daily")
        for schedule in daily["schedules"]:
            server.read("PATCH", f"/deployments/{daily['id']}/schedules/{schedule['id']}", {"active": False})
        yield Deployed(shop, server)
    finally:
        server.stop()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the flows."""
    copy_flows(tmp_path)
    return Project.make(tmp_path)
