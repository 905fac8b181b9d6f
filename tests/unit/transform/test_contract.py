"""What a contract makes of columns, decided on schemas alone."""

from __future__ import annotations

from typing import get_args

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.model.contract import Contract
from lakehouse.model.table import Table
from lakehouse.transform.arrow import arrow_schema
from lakehouse.transform.contract import Agreement, agree

INTEGRAL = st.sampled_from(["smallint", "integer", "bigint", "decimal(20,0)", "decimal(9,4)"])


def schema(**columns: str) -> pa.Schema:
    declared = Table.model_validate({"name": "t", "source": "s", "from": "t", "mode": "full", "columns": columns}).columns
    return arrow_schema({name: column.type for name, column in declared.items()})


def table(contract: object, **more: object) -> Table:
    return Table.model_validate(
        {"name": "t", "source": "s", "from": "t", "mode": "full", "keys": "id", "schema_contract": contract, **more}
    )


def made(contract: object, before: dict[str, str], after: dict[str, str], **more: object) -> Agreement:
    return agree(table(contract, **more), schema(**after), schema(**before))


@given(st.permutations(["a", "b", "c", "d"]), st.lists(INTEGRAL, min_size=4, max_size=4))
def test_the_order_of_reads_does_not_matter(order: list[str], kinds: list[str]) -> None:
    ends = []
    for names in (sorted(order), order):
        there = schema(id="integer", v=kinds["abcd".index(names[0])])
        for name in names[1:]:
            agreed = agree(table("evolve"), schema(id="integer", v=kinds["abcd".index(name)]), there)
            assert not agreed.refused
            there = agreed.needs
        ends.append(there)
    assert ends[0].equals(ends[1])


@pytest.mark.parametrize("word", ["evolve", "freeze", "rescue", "discard"])
def test_one_word_stands_for_all_aspects_that_can_be_so(word: str) -> None:
    given_ = table(word).schema_contract
    for aspect, field in Contract.model_fields.items():
        assert getattr(given_, aspect) == (word if word in get_args(field.annotation) else field.default)


def test_all_that_is_refused_is_told_at_once() -> None:
    agreed = made("freeze", {"id": "integer", "v": "integer", "w": "date"}, {"id": "integer", "v": "string", "x": "bigint"})
    assert [str(change) for change in agreed.refused] == [
        "column v changed its type from integer to string",
        "new column x bigint",
        "the source no longer has column w, which was date",
    ]


def test_what_is_declared_is_wanted() -> None:
    columns = {"id": "integer", "x": "bigint"}
    agreed = made("discard", {"id": "integer", "w": "date"}, columns, columns=columns)
    assert (agreed.facts, agreed.refused) == ({"added": ["x"]}, ())


def test_keys_are_not_rescued() -> None:
    agreed = made("rescue", {"id": "integer", "v": "integer"}, {"id": "bigint", "v": "bigint"})
    assert ([change.column for change in agreed.refused], agreed.rescued) == (["id"], ("v",))
