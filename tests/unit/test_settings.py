"""What the environment says: read once, the nearest word wins; of Azure one way in, no secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import UsageError
from lakehouse.settings import Settings

SECRETS = {"KEY": "c2VjcmV0IGtleQ==", "SAS": "sig=secret%20sas"}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_read_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"LAKEHOUSE_AZURE__{name}", SECRETS[name])
    monkeypatch.setenv("LAKEHOUSE_AZURE__ACCOUNT", "music1")
    azure = Settings.load(tmp_path).azure
    given = azure.key if name == "KEY" else azure.sas
    assert given is not None
    assert (given.get_secret_value(), azure.account) == (SECRETS[name], "music1")
    assert SECRETS[name] not in repr(Settings.load(tmp_path)) + str(azure)


@pytest.mark.parametrize(
    "given",
    [
        {"KEY": "a secret", "SAS": "a secret"},
        {"CLIENT_SECRET": "a secret", "TENANT_ID": "t"},
        {"ACCOUNT": "No Account"},
        {"EMULATOR": "127.0.0.1:10000"},
        {"KEYS": "a secret"},
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"LAKEHOUSE_AZURE__{name}", value)
    with pytest.raises(UsageError, match="LAKEHOUSE_AZURE") as refused:
        Settings.load(tmp_path)
    assert "a secret" not in str(refused.value)


def test_a_layer_of_no_such_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_LAYER__TIN", "tin")
    with pytest.raises(UsageError, match="LAKEHOUSE_LAYER"):
        Settings.load(tmp_path)


def test_what_is_given_wins_over_variables_and_those_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ("LAKEHOUSE_LAKE=file", "lakehouse_connection__A='file a'", "LAKEHOUSE_CONNECTION__B=file b", "LAKEHOUSE_CONNECTION__C=file c")
    (tmp_path / ".env").write_text("\n".join([*lines, "LAKEHOUSE_BATCH_ROWS=7", "UNRELATED=1"]))
    for name, value in {"LAKE": "variable", "CONNECTION__B": "variable b", "CONNECTION__C": "variable c", "BATCH_ROWS": ""}.items():
        monkeypatch.setenv(f"LAKEHOUSE_{name}", value)
    settings = Settings.load(tmp_path, connection={"c": "given c"})
    assert (settings.lake, settings.batch_rows) == ("variable", 7)
    assert [settings.url(name) for name in "ABC"] == ["file a", "variable b", "given c"]


def test_values_that_go_together_may_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_CONNECTION", '{"shop": "sqlite:///a.db"}')
    monkeypatch.setenv("LAKEHOUSE_CONNECTION__CRM", "sqlite:///b.db")
    settings = Settings.load(tmp_path)
    assert (settings.url("shop"), settings.url("crm")) == ("sqlite:///a.db", "sqlite:///b.db")


@pytest.mark.parametrize("text", ["0b" * 32, "CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws=", "CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws"])
def test_a_key_is_read_in_hex_or_base64_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LAKEHOUSE_KEY__PEOPLE_2", text)
    settings = Settings.load(tmp_path)
    assert settings.secret("people_2") == b"\x0b" * 32
    assert text not in repr(settings)


@pytest.mark.parametrize(("text", "told"), [("", "is not set"), ("0b" * 31, "31 bytes"), ("my secret password!", "neither hex nor base64")])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    monkeypatch.setenv("LAKEHOUSE_KEY__PEOPLE", text)
    with pytest.raises(UsageError, match=told) as refused:
        Settings.load(tmp_path).secret("people")
    assert "LAKEHOUSE_KEY__PEOPLE" in str(refused.value)
    assert not text or text not in str(refused.value)
