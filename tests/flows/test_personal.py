"""Personal data and keys are nowhere in the orchestrator's database, its logs and artifacts, be the flow's end a good or a bad one."""

from tests.cli.project import Project
from tests.flows.conftest import Deployed
from tests.flows.scripts import call
from tests.people import CANARIES, KEYS, leaks, with_people


def test_the_orchestrator_learns_nothing_of_people(deployed: Deployed, project: Project) -> None:
    people, server = with_people(project), deployed.prefect
    given = {**{f"LAKEHOUSE_{name}": value for name, value in KEYS.items()}, "PREFECT_API_URL": f"{server.url}/api"}
    good = call(people, "flows/daily.py", **given)
    people.change("update Users set phone = 'canary 4915550123', updated_at = '2024-01-04' where user_id = 2")
    bad = call(people, "flows/daily.py", **given)
    assert (good.returncode, bad.returncode) == (0, 1), good.stderr + bad.stderr
    assert not [canary for canary in CANARIES if canary in (good.stdout + good.stderr + bad.stdout + bad.stderr).lower()]
    assert "column phone has a value that is no" in bad.stderr
    for folder in (server.home, people.folder / "lake", people.folder / "prefect"):
        assert list(leaks(folder)) == []
