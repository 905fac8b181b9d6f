"""What silver made of a version, told from the rows that stand."""

import pytest

from lakehouse.transform.life import Row, became


def version(seq: int, batch: int, x: str, op: str | None = None) -> Row:
    return {"id": 1, "x": x, "_seq": seq, "_batch": batch, "_op": op}


def standing(seq: int, until: int | None, batch: int, x: str) -> Row:
    return {"id": 1, "x": x, "valid_from": seq, "valid_to": until, "_batch": batch}


SEEN = [
    version(1, 1, "a"),
    version(1, 2, "b"),
    version(2, 2, "b"),
    version(3, 3, "c"),
    version(4, 3, "c", "delete"),
    version(5, 3, "c", "reject"),
    version(6, 4, "d"),
]
HISTORY = [standing(1, 3, 2, "b"), standing(3, 4, 3, "c")]


@pytest.mark.parametrize(
    ("number", "word"), list(enumerate(["superseded", "version", "no change", "version", "end", "refused", "pending"]))
)
def test_in_a_history(number: int, word: str) -> None:
    assert became(SEEN[number], SEEN, HISTORY, consumed=3, history=True)[0] == word


@pytest.mark.parametrize(("rows", "words"), [([standing(3, None, 3, "c")], ["superseded", "version"]), ([], ["gone", "gone"])])
def test_among_current_rows(rows: list[Row], words: list[str]) -> None:
    assert [became(SEEN[n], SEEN, rows, consumed=3, history=False)[0] for n in (0, 3)] == words


def test_of_two_rows_of_one_batch_the_one_that_says_the_same() -> None:
    twins = [version(1, 1, "a"), version(1, 1, "b")]
    assert [became(seen, twins, [standing(1, None, 1, "a")], consumed=1, history=True)[0] for seen in twins] == ["version", "superseded"]


def test_a_reject_says_why() -> None:
    assert became(SEEN[0], SEEN, [], consumed=3, history=True, refused="rule (x)") == ("refused", "rule (x)")
