"""Where things live: one form for every way of writing a place, and a place of its own for each layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import UsageError
from lakehouse.layout import azure_parts, is_azure, lake_uri, layer_uris, table_uri

HERE = Path("/project")


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("lake", "file:///project/lake"),
        ("/a lake/", "file:///a%20lake"),
        ("file:///lake/", "file:///lake"),
        ("az://music/prod/", "abfss://music/prod"),
        ("abfs://music", "abfss://music"),
        ("abfss://music/a.b/c_d=1", "abfss://music/a.b/c_d=1"),
        ("abfss://music@account1.dfs.core.windows.net/", "abfss://music@account1.dfs.core.windows.net"),
        ("abfss://music@account1.dfs.core.windows.net/prod", "abfss://music@account1.dfs.core.windows.net/prod"),
    ],
)
def test_every_way_of_writing_a_place_has_one_form(given: str, uri: str) -> None:
    assert lake_uri(given, HERE) == uri


@pytest.mark.parametrize(
    "given",
    [
        "s3://music/prod",
        "abfss://",
        "abfss://Music/prod",
        "abfss://music@account1.example.org/prod",
        "abfss://music/a/../b",
        "abfss://music/a b",
        "abfss://music/%2e%2e/b",
        "abfss://music/prod?sig=secret",
        "abfss://music@account1.dfs.core.windows.net:443/prod",
    ],
)
def test_what_is_no_place_is_refused_without_secrets(given: str) -> None:
    with pytest.raises(UsageError) as refused:
        lake_uri(given, HERE)
    assert "secret" not in str(refused.value)


def test_the_parts_of_a_place() -> None:
    assert azure_parts("abfss://music@account1.dfs.core.windows.net/prod/gold") == ("music", "account1", "prod/gold")
    assert azure_parts("abfss://music") == ("music", None, "")
    assert is_azure("abfss://music")
    assert not is_azure("file:///lake")


def test_a_layer_lives_in_the_lake_or_where_a_setting_says() -> None:
    found = layer_uris("abfss://lake/prod", {"bronze": "az://bronze", "gold": "gold folder"}, HERE)
    assert found == {
        "_ledger": "abfss://lake/prod/_ledger",
        "_audit": "abfss://lake/prod/_audit",
        "_erasures": "abfss://lake/prod/_erasures",
        "_stars": "abfss://lake/prod/_stars",
        "_commits": "abfss://lake/prod/_commits",
        "rejects": "abfss://lake/prod/_rejects",
        "bronze": "abfss://bronze",
        "silver": "abfss://lake/prod/silver",
        "gold": "file:///project/gold%20folder",
    }
    assert table_uri(found["bronze"], "users") == "abfss://bronze/users"


@pytest.mark.parametrize("gold", ["az://lake/silver", "abfss://lake@account1.dfs.core.windows.net/silver/deep", "abfss://lake"])
def test_layers_do_not_share_a_place(gold: str) -> None:
    with pytest.raises(UsageError, match="share one place"):
        layer_uris("abfss://lake", {"gold": gold}, HERE)
