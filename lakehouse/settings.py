"""What the environment decides, read once into one frozen object; each field's sentence stands below it."""

from __future__ import annotations

import base64
import getpass
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, SecretStr, ValidationError, model_validator

from lakehouse.errors import UsageError
from lakehouse.layout import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX, BETWEEN = "lakehouse_", "__"
KEY_BYTES = 32


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Azure(BaseModel):
    """How a lake on Azure is reached; without key, signature and secret, DefaultAzureCredential finds an identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str = Field(default="", pattern=r"^([a-z0-9]{3,24})?$")
    """`LAKEHOUSE_AZURE__ACCOUNT`: the storage account, where the lake's URI does not name it."""

    key: SecretStr | None = None
    """`LAKEHOUSE_AZURE__KEY`: the account's key."""

    sas: SecretStr | None = None
    """`LAKEHOUSE_AZURE__SAS`: a shared access signature, as the portal gives it."""

    tenant_id: str = ""
    """`LAKEHOUSE_AZURE__TENANT_ID`: the tenant of the service principal."""

    client_id: str = ""
    """`LAKEHOUSE_AZURE__CLIENT_ID`: the service principal, or without a secret the managed identity to use."""

    client_secret: SecretStr | None = None
    """`LAKEHOUSE_AZURE__CLIENT_SECRET`: the service principal's secret."""

    emulator: str = Field(default="", pattern=r"^(https?://[A-Za-z0-9.-]+(:[0-9]+)?)?$")
    """`LAKEHOUSE_AZURE__EMULATOR`: the URL of an Azurite that stands for Azure, such as `http://127.0.0.1:10000`."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if sum(given is not None for given in (self.key, self.sas, self.client_secret)) > 1:
            raise ValueError("give one of __KEY, __SAS and __CLIENT_SECRET")
        if self.client_secret is not None and not (self.tenant_id and self.client_id):
            raise ValueError("__CLIENT_SECRET needs __TENANT_ID and __CLIENT_ID beside it")
        return self


class Settings(BaseModel):
    """Settings from `LAKEHOUSE_*` variables, then from a `.env` file in the project's folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    lake: str = "lake"
    """`LAKEHOUSE_LAKE`: the lake's folder (relative to the project), or its URI in an Azure container."""

    sample_lake: str = ""
    """`LAKEHOUSE_SAMPLE_LAKE`: the lake that `run --sample` fills, a place of its own; by default `<lake>-sample`."""

    layer: dict[Layer, str] = Field(default_factory=dict)
    """`LAKEHOUSE_LAYER__BRONZE`, `__SILVER`, `__GOLD`: a folder or container of its own for a layer, in the place of `<lake>/<layer>`."""

    azure: Azure = Azure()
    """`LAKEHOUSE_AZURE__<NAME>`: how a lake on Azure is reached."""

    connection: dict[str, SecretStr] = Field(default_factory=dict)
    """`LAKEHOUSE_CONNECTION__<NAME>`: the URL of the connection that metadata calls <name>."""

    key: dict[str, SecretStr] = Field(default_factory=dict)
    """`LAKEHOUSE_KEY__<NAME>`: the key that metadata calls <name> (`<name>@2`: `LAKEHOUSE_KEY__<NAME>_2`), 32 bytes or more in hex or
    base64; for personal data."""

    memory_limit: ByteSize = ByteSize(4 * 1024**3)
    """`LAKEHOUSE_MEMORY_LIMIT`: bytes (or `2GiB`) that the SQL engine may hold before it spills to disk."""

    batch_rows: int = Field(default=65_536, ge=1)
    """`LAKEHOUSE_BATCH_ROWS`: rows of one Arrow batch on the way from the source to the lake."""

    lease_seconds: float = Field(default=20, ge=0.2, le=3600)
    """`LAKEHOUSE_LEASE_SECONDS`: without a sign of life for so long, a run that writes a table is taken for dead."""

    wait_seconds: float = Field(default=60, ge=0, le=86_400)
    """`LAKEHOUSE_WAIT_SECONDS`: how long a run waits for another one that is writing the same table; longer than the seconds of a lease,
    or one that died on another machine is not outlived."""

    star_days: float = Field(default=30, ge=0, le=36_500)
    """`LAKEHOUSE_STAR_DAYS`: for how many days back readers can choose the star of any time; older ones are forgotten by maintenance."""

    stars_kept: int = Field(default=10, ge=1)
    """`LAKEHOUSE_STARS_KEPT`: so many of the newest stars are kept however old they are."""

    tables_at_once: int = Field(default=1, ge=1, le=64)
    """`LAKEHOUSE_TABLES_AT_ONCE`: how many tables and models a run brings up to date side by side."""

    openlineage: str = ""
    """`LAKEHOUSE_OPENLINEAGE`: a file (below the project) or the URL of a server to which each run is told as OpenLineage events."""

    openlineage_key: SecretStr | None = None
    """`LAKEHOUSE_OPENLINEAGE_KEY`: the server's API key."""

    user: str = Field(default="", max_length=200)
    """`LAKEHOUSE_USER`: who acts, for the audit and for corrections; by default the user of the operating system."""

    clock: Annotated[datetime, AfterValidator(_utc)] | None = None
    """`LAKEHOUSE_CLOCK`: an ISO instant that stands for "now", here and in the source; for tests and replays."""

    fault: str = Field(default="", pattern=r"^((before|after|error):[0-9]+)?$")
    """`LAKEHOUSE_FAULT`: die before or after effect number k, or fail in its place (`before:3`); for crash tests only."""

    @classmethod
    def load(cls, project: Path, **given: object) -> Self:
        """Settings for the project in `project`; `given` wins over the environment.

        Raises:
            UsageError: A variable has a value that cannot be read; the value is not shown.
        """
        try:
            said = _merged(_said(_of_file(project / ".env")), _said(os.environ))
            return cls.model_validate(_merged(said, given))
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False)[0]
            name = "LAKEHOUSE_" + "__".join(str(part).upper() for part in first["loc"])
            raise UsageError(
                f"{name} cannot be read: {first['msg'].removeprefix('Value error, ')}", next_step="Set it right or unset it."
            ) from None
        except UnicodeDecodeError:
            raise UsageError("the .env file is not UTF-8 text", where=str(project / ".env"), next_step="Save it as UTF-8.") from None
        except OSError as exc:
            raise UsageError(
                f"the .env file cannot be read: {exc.strerror}", where=str(project / ".env"), next_step="Grant the right to read it."
            ) from exc

    def url(self, connection: str) -> str:
        """The URL of a named connection, secrets included: for its driver only.

        Raises:
            UsageError: No such variable is set.
        """
        found = self.connection.get(connection.lower())
        if found is None:
            raise UsageError(
                f"connection {connection!r} has no URL",
                where=f"environment variable LAKEHOUSE_CONNECTION__{connection.upper()}",
                expected="a database URL such as postgresql://user:password@host:5432/database or sqlite:///path/to/file.db",
                next_step="Set the variable (or put it into the project's .env file) and run again.",
            )
        return found.get_secret_value()

    def who(self) -> str:
        """The person or service that acts: `LAKEHOUSE_USER`, else the user of the operating system."""
        if self.user:
            return self.user
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a container may know the number of its user only
            return f"uid {os.getuid()}"

    def secret(self, key: str) -> bytes:
        """The bytes of the key in `LAKEHOUSE_KEY__<KEY>`: for what makes tokens only.

        Raises:
            UsageError: No such variable is set, or it holds no key; its value is not shown.
        """
        variable, found = f"environment variable LAKEHOUSE_KEY__{key.upper()}", self.key.get(key)
        form = f"{KEY_BYTES} random bytes or more, in hex or base64"
        if found is None:
            raise UsageError(
                f"key {key!r} is not set",
                where=variable,
                expected=form,
                next_step="Set the variable from where your secrets are kept; `openssl rand -hex 32` makes a new key.",
            )
        secret = _bytes_of(found.get_secret_value().strip())
        if secret is None or len(secret) < KEY_BYTES:
            raise UsageError(
                f"key {key!r} cannot be one",
                where=variable,
                expected=form,
                given="neither hex nor base64" if secret is None else f"{len(secret)} bytes",
                next_step="Set it right; `openssl rand -hex 32` makes a new key.",
            )
        return secret

    def now(self) -> datetime:
        """The run's clock: UTC, from `LAKEHOUSE_CLOCK` where it is set."""
        return self.clock or datetime.now(UTC)


def _bytes_of(text: str) -> bytes | None:
    """The bytes that a text writes in hex or base64 (the URL's alphabet too); None where it is neither."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


def _of_file(path: Path) -> Mapping[str, str | None]:
    """The variables of a `.env` file; none where there is no such file."""
    if not (path.is_file() or path.is_fifo()):
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415  most projects have none when they run

    return dotenv_values(path, encoding="utf-8")


def _said(variables: Mapping[str, str | None]) -> dict[str, Any]:
    """What variables say of the settings, by the settings' names; an empty one says nothing.

    Raises:
        UsageError: A variable gives a value where only variables with a further name can.
    """
    said: dict[str, Any] = {}
    for variable, value in variables.items():
        name, *inner = variable.lower().removeprefix(PREFIX).split(BETWEEN)
        if not value or not variable.lower().startswith(PREFIX) or name not in Settings.model_fields or (inner and name not in _HOLDERS):
            continue
        held: Any = value if inner or name not in _HOLDERS else _object(name, value)
        for part in reversed(inner):
            held = {part: held}
        said = _merged(said, {name: held})
    return said


def _object(name: str, value: str) -> dict[str, Any]:
    """A setting that holds several values, given all at once as a JSON object."""
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            f"LAKEHOUSE_{name.upper()} cannot be read",
            expected=f"LAKEHOUSE_{name.upper()}__<NAME>, one variable for each",
            next_step=f"Add the name, as in LAKEHOUSE_{_HOLDERS[name]}, and unset the other.",
        )
    return found


_HOLDERS = {"connection": "CONNECTION__SHOP", "key": "KEY__PEOPLE", "layer": "LAYER__BRONZE", "azure": "AZURE__ACCOUNT"}
"""The settings that hold several values, each with a variable of its own; and the name of one."""


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both say something of the same thing, the one above."""
    both = dict(below)
    for name, value in above.items():
        held = both.get(name)
        both[name] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return both
