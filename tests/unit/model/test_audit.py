from __future__ import annotations

from dataclasses import replace

import pytest

from lakehouse.model.audit import Line, acts, faults, head_number, line

Lines = list[tuple[int, Line | None]]


@pytest.fixture
def chain() -> list[Line]:
    found: list[Line] = []
    for n, (act, state) in enumerate((("undo", "begun"), ("undo", "done"), ("erase", "begun")), 1):
        said = Line(0, "2024-01-01T00:00:00+00:00", "ann", act, act, state, what="users")  # type: ignore[arg-type]
        found.append(said.following(n, found[-1].hash if found else ""))
    return found


def numbered(chain: list[Line]) -> Lines:
    return [(each.n, each) for each in chain]


def test_a_chain_as_it_was_written_is_sound(chain: list[Line]) -> None:
    assert faults(numbered(chain), (3, head_number(chain[-1].hash))) == []
    assert faults([], None) == []
    assert [line(each.text()) for each in chain] == chain


def test_a_changed_line_is_named(chain: list[Line]) -> None:
    chain[1] = replace(chain[1], by="bob")
    assert faults(numbered(chain), None) == ["line 2 was changed: its hash is not that of its text"]


def test_a_changed_line_with_a_hash_of_its_own_breaks_the_next(chain: list[Line]) -> None:
    chain[1] = replace(chain[1], by="bob").following(2, chain[0].hash)
    (found,) = faults(numbered(chain), None)
    assert found.startswith("line 3 does not follow line 2")


def test_a_missing_line_is_named(chain: list[Line]) -> None:
    assert faults(numbered([chain[0], chain[2]]), None) == ["line 2 is missing"]
    assert faults(numbered(chain[2:]), None) == ["lines 1 to 2 are missing"]


def test_a_tail_that_was_cut_off_is_known_by_the_ledger(chain: list[Line]) -> None:
    kept = (3, head_number(chain[-1].hash))
    assert faults(numbered(chain[:1]), kept) == ["lines 2 to 3 are missing: the ledger knows of 3"]
    assert faults([], kept) == ["lines 1 to 3 are missing: the ledger knows of 3"]


def test_a_chain_written_anew_is_known_by_the_ledger(chain: list[Line]) -> None:
    forged: list[Line] = []
    for each in chain:
        forged.append(replace(each, by="eve").following(each.n, forged[-1].hash if forged else ""))
    (found,) = faults(numbered(forged), (3, head_number(chain[-1].hash)))
    assert "may have been written anew" in found


def test_two_files_that_changed_places_are_named(chain: list[Line]) -> None:
    found = faults([(1, chain[1]), (2, chain[0]), (3, chain[2])], None)
    assert found[:2] == ["line 1 says that it is line 2", "line 2 says that it is line 1"]


def test_what_holds_no_line_is_named(chain: list[Line]) -> None:
    assert line(b"{") is line(b"[]") is line(b'{"at": "x"}') is None
    assert faults([(1, None), (2, chain[1]), (3, chain[2])], None) == ["line 1 cannot be read"]


def test_an_act_without_an_end_is_shown_as_begun(chain: list[Line]) -> None:
    assert [(act["act"], act["state"], act["n"]) for act in acts(chain)] == [("erase", "begun", 3), ("undo", "done", 1)]
