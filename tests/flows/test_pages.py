"""The server's pages in a real browser: what a person sees of the deployments, of a form, and of a run. PNGs are left beside the DOM."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.flows.conftest import Deployed

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def browser() -> str:
    """A Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    return found


def seen(browser: str, url: str, folder: Path) -> str:
    """The page's DOM once its scripts have rested; its picture is in the folder."""
    page = url.rpartition("/")[2]
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1300"]
    command += ["--virtual-time-budget=40000", f"--screenshot={folder / f'{page}.png'}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    assert (folder / f"{page}.png").stat().st_size > 10_000
    return done.stdout


def test_people_see_deployments_forms_and_runs(deployed: Deployed, browser: str, tmp_path: Path) -> None:
    prefect = deployed.prefect
    dom = seen(browser, f"{prefect.url}/deployments", tmp_path)
    assert "3 Deployments" in dom
    assert all(f">{name}<" in dom for name in ("daily", "backfill", "stream"))

    dom = seen(browser, f"{prefect.url}/deployments/deployment/{prefect.deployment('backfill')['id']}/run", tmp_path)
    assert all(words in dom for words in ("from_", "The first cursor value that is read", "date-time", "retry_delay_seconds", "Add item"))

    run = prefect.started("daily")
    assert prefect.ended(run)[0] == "COMPLETED"
    dom = seen(browser, f"{prefect.url}/runs/flow-run/{run}", tmp_path)
    assert all(words in dom for words in ("daily all", "Completed", "4 Task runs", "bronze.orders"))
    (artifact,) = prefect.read("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    dom = seen(browser, f"{prefect.url}/artifacts/artifact/{artifact['id']}", tmp_path)
    assert all(words in dom for words in ("What the run did, step by step.", "<table", "fact_order"))
