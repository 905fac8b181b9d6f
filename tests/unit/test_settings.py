"""What the environment says about Azure: read once, one way in, no secret shown."""

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
