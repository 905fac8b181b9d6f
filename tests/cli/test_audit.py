from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.cli.project import Project


def acts(project: Project) -> list[dict[str, Any]]:
    done = project.call("history", "--audit", "-o", "json")
    assert done.code == 0, done.err
    return list(done.json)


def files(project: Project) -> list[Path]:
    return sorted((project.folder / "lake/_audit").iterdir())


def refreshed(project: Project, times: int = 2) -> None:
    for _ in range(times):
        assert project.call("run", "--full-refresh", "--select", "orders", USER="ann").code == 0


def test_a_run_alone_is_no_act_and_leaves_no_line(loaded: Project) -> None:
    assert loaded.call("run").code == 0
    assert not (loaded.folder / "lake/_audit").exists()
    assert "Nobody" in loaded.call("history", "--audit").out
    assert loaded.call("history", "--audit", "--verify").code == 0


def test_an_act_has_who_what_and_how_it_ended(loaded: Project) -> None:
    refreshed(loaded, 1)
    (act,) = acts(loaded)
    assert (act["by"], act["act"], act["what"], act["state"]) == ("ann", "full refresh", "orders", "done")
    loaded.change("alter table Orders rename to Away")
    assert loaded.call("run", "--full-refresh", "--select", "orders").code == 1
    assert acts(loaded)[0]["state"] == "failed"
    assert "2 lines" not in loaded.call("history", "--audit", "--verify").out
    assert "ann" in loaded.call("history", "--audit").out


def test_an_edited_line_a_missing_one_and_a_cut_tail_are_found(loaded: Project) -> None:
    refreshed(loaded)
    whole = [(path, path.read_bytes()) for path in files(loaded)]
    assert len(whole) == 4
    assert loaded.call("history", "--audit", "--verify").out.startswith("4 lines, each as it was written")

    def found() -> str:
        done = loaded.call("history", "--audit", "--verify")
        for path, text in whole:
            path.write_bytes(text)
        assert done.code == 1, done.out
        return done.out

    whole[1][0].write_bytes(whole[1][1].replace(b'"ann"', b'"bob"'))
    assert found() == "line 2 was changed: its hash is not that of its text\n"
    whole[1][0].unlink()
    assert found() == "line 2 is missing\n"
    whole[3][0].unlink()
    assert found() == "line 4 is missing: the ledger knows of 4\n"
    whole[0][0].write_text("{}")
    assert found() == "line 1 cannot be read\n"
    done = loaded.call("history", "--audit", "--verify", "-o", "json")
    assert (done.code, {**done.json, "head": ""}) == (0, {"lines": 4, "sound": True, "faults": [], "head": ""})
    head = done.json["head"]
    assert f"--head {head}" in loaded.call("history", "--audit", "--verify").out
    refreshed(loaded, 1)
    assert loaded.call("history", "--audit", "--verify", "--head", head).code == 0
    assert "is not the one that was noted" in loaded.call("history", "--audit", "--verify", "--head", f"{head[:-1]}x").out
    assert loaded.call("history", "--audit", "--verify", "--head", "x").code == 2
    assert loaded.call("history", "--audit", "--head", head).code == 2


def test_an_act_that_was_cut_off_is_begun(loaded: Project) -> None:
    done = loaded.call("run", "--full-refresh", "--select", "orders", FAULT="after:2")
    assert done.code not in (0, 1)
    assert [act["state"] for act in acts(loaded)] == ["begun"]
    refreshed(loaded, 1)
    assert [act["state"] for act in acts(loaded)] == ["done", "begun"]
    assert loaded.call("history", "--audit", "--verify").code == 0


def test_an_act_that_cannot_be_told_does_not_happen(loaded: Project) -> None:
    before = loaded.tree()
    done = loaded.call("run", "--full-refresh", FAULT="error:1")
    assert done.code == 1
    assert "_audit full refresh begun" in done.err
    assert loaded.tree() == before


def test_acts_at_once_have_a_line_each(loaded: Project) -> None:
    with ThreadPoolExecutor(3) as pool:
        for done in pool.map(lambda table: loaded.call("run", "--full-refresh", "--select", table), ("users", "orders", "users")):
            assert done.code == 0, done.err
    assert len(files(loaded)) == 6
    assert {act["state"] for act in acts(loaded)} == {"done"}
    assert loaded.call("history", "--audit", "--verify").code == 0


def test_misuse_is_told(loaded: Project) -> None:
    done = loaded.call("history", "--verify")
    assert done.code == 2
    assert "--audit" in done.err


def test_a_correction_is_an_act(loaded: Project) -> None:
    run = loaded.ask("select distinct _run_id as id from bronze.orders")[0]["id"]
    assert loaded.call("undo", run, "--why", "wrong file").code == 0
    (act,) = acts(loaded)
    assert (act["act"], act["why"], act["state"]) == ("undo", "wrong file", "done")
    assert run in act["what"]
    assert json.loads(files(loaded)[-1].read_text())["counts"]["corrections"] >= 1


def test_the_page_s_commands_work(loaded: Project) -> None:
    refreshed(loaded, 1)
    page = (Path(__file__).parents[2] / "docs/audit.md").read_text(encoding="utf-8")
    commands = [line.partition("#")[0].split()[1:] for line in page.splitlines() if line.startswith("lakehouse ")]
    assert len(commands) == 3
    for words in commands:
        assert loaded.call(*words).code == 0, os.linesep.join(words)
