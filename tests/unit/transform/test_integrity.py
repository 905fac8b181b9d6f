"""What must hold of a star gives the rows for which it does not, and none of a sound one."""

from __future__ import annotations

import pytest

from lakehouse.engines.duck import Session
from lakehouse.model.star import Model
from lakehouse.transform.integrity import counts, integrity
from tests.lakes import sql_session

MODELS = {
    "dim": Model.model_validate({"name": "dim", "kind": "dimension", "keys": "id", "surrogate_key": "dim_key"}),
    "fact": Model.model_validate(
        {"name": "fact", "kind": "fact", "keys": ["day", "id"], "references": {"dim_key": {"dimension": "dim", "match": {"id": "id"}}}}
    ),
}
SOUND = {"dim": "(-1, null), (7, 1)", "fact": "(1, 1, 7), (1, 2, -1), (2, 1, 7)"}


def broken(session: Session, **tables: str) -> dict[str, int]:
    for name, columns in (("dim", "dim_key, id"), ("fact", "day, id, dim_key")):
        session.execute(f"create or replace view gold.{name} as select * from (values {tables.get(name, SOUND[name])}) as rows({columns})")
    return {row["name"]: row["rows"] for row in session.rows(counts(integrity(MODELS, MODELS))).to_pylist() if row["rows"]}


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ({}, {}),
        ({"dim": "(-1, null), (7, 1), (7, 2)"}, {"dim.surrogate_key": 1}),
        ({"dim": "(7, 1)"}, {"dim.unknown_member": 1, "fact.dim_key": 1}),
        ({"fact": "(1, 1, 7), (1, 1, 7), (1, null, 7), (1, null, 7)"}, {"fact.grain": 2}),
        ({"fact": "(1, 1, 8), (1, 2, null), (1, 3, -1)"}, {"fact.dim_key": 2}),
    ],
)
def test_each_fault_is_found_by_its_rule_alone(tables: dict[str, str], found: dict[str, int]) -> None:
    with sql_session() as session:
        assert broken(session, **tables) == found


def test_a_rule_s_digest_changes_with_what_it_asks() -> None:
    digests = [rule.digest for rule in integrity(MODELS, MODELS)]
    assert len(set(digests)) == len(digests) == 4
