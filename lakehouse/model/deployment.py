"""What `prefect.yaml` can say: how the flows stand on a Prefect server. Prefect drops a key that it does not know; here it is a fault."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from lakehouse.model.words import Frozen, Misfit, Sentence

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,99}$")]
Entrypoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./-]{1,200}\.py:[A-Za-z_][A-Za-z0-9_]{0,99}$")]
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_ITEM = re.compile(r"^(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/([1-9]\d{0,2}))?$")


def require_cron(text: str) -> str:
    """The text, if it is a cron expression of five fields.

    >>> require_cron("30 2 * * mon-fri")
    '30 2 * * mon-fri'

    Raises:
        ValueError: It is none; the sentence names the field.
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"a cron expression has five fields (minute, hour, day, month, day of week); given {len(parts)}: {text[:80]!r}")
    for part, (name, low, high) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            match = _ITEM.match(item)
            bounds = [_number(word, name, low) for word in match.groups()[:2] if word] if match else [None]
            numbers = [number for number in bounds if number is not None and low <= number <= high]
            if len(numbers) < len(bounds) or numbers != sorted(numbers):
                raise ValueError(f"the field for the {name} is none of cron's; allowed: {low}-{high}; given {item[:40]!r}")
    return text


def _number(word: str, field: str, low: int) -> int | None:
    names = _NAMES.get(field, ())
    return int(word) if word.isdecimal() else names.index(word.lower()) + low if word.lower() in names else None


def _require_zone(text: str) -> str:
    zones = available_timezones()
    if zones and text not in zones:
        close = difflib.get_close_matches(text, sorted(zones), n=1)
        raise ValueError(
            f"{text[:60]!r} is no time zone" + (f"; did you mean {close[0]!r}?" if close else "; such as UTC or Europe/Berlin")
        )
    return text


class Schedule(Frozen):
    """When a deployment starts by itself."""

    slug: Label
    """The schedule's name: the next deploy replaces the schedule of this name."""
    cron: Annotated[str, AfterValidator(require_cron)] | None = None
    interval: Annotated[int, Field(ge=1)] | None = None
    """Seconds from start to start."""
    rrule: Sentence | None = None
    timezone: Annotated[str, AfterValidator(_require_zone)] | None = None
    anchor_date: Sentence | None = None
    active: bool = True
    day_or: bool = True
    parameters: dict[str, object] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> Schedule:
        if [self.cron, self.interval, self.rrule].count(None) != 2:  # noqa: PLR2004  one of three
            raise Misfit("expected exactly one of `cron`, `interval`, `rrule`")
        if self.interval is None and self.timezone is None:
            raise Misfit("a time of day needs a `timezone`", "cron" if self.cron else "rrule")
        return self


def _limit(given: object) -> object:
    return {"limit": given} if isinstance(given, int) else given


class ConcurrencyLimit(Frozen):
    """How many runs of one deployment there may be at once, and what becomes of one more."""

    limit: Annotated[int, Field(ge=1)]
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    grace_period_seconds: Annotated[int, Field(ge=60, le=86_400)] | None = None


class JobVariables(Frozen):
    """What a process work pool lets a deployment choose."""

    env: dict[str, str] = Field(default_factory=dict)
    """Variables beside those of the worker, which every run inherits."""
    command: Sentence | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    name: Sentence | None = None
    stream_output: bool = True
    working_dir: Sentence | None = None


class WorkPool(Frozen):
    """Which workers run a deployment."""

    name: Label
    work_queue_name: Label | None = None
    job_variables: JobVariables = JobVariables()


class SetWorkingDirectory(Frozen):
    """Where a worker finds the flows."""

    directory: Sentence


class GitClone(Frozen):
    """A repository from which a worker takes the flows."""

    repository: Sentence
    branch: Sentence | None = None
    commit_sha: Sentence | None = None
    access_token: Sentence | None = None
    credentials: Sentence | None = None
    include_submodules: bool = False
    clone_directory_name: Sentence | None = None
    directories: tuple[Sentence, ...] = ()


class Pull(Frozen):
    """One thing that a worker does before it starts a flow."""

    set_working_directory: SetWorkingDirectory | None = Field(default=None, alias="prefect.deployments.steps.set_working_directory")
    git_clone: GitClone | None = Field(default=None, alias="prefect.deployments.steps.git_clone")

    @model_validator(mode="after")
    def _agree(self) -> Pull:
        if (self.set_working_directory is None) is (self.git_clone is None):
            raise Misfit("expected exactly one step")
        return self


class Deployment(Frozen):
    """A flow as people start it."""

    name: Label
    description: Sentence
    tags: tuple[Label, ...] = ()
    version: Sentence | None = None
    entrypoint: Entrypoint
    """`<file>:<function>`, the file below the project."""
    parameters: dict[str, object] = Field(default_factory=dict)
    enforce_parameter_schema: Literal[True] = True
    """Refuse wrong parameters when a run is asked for, not when it starts."""
    paused: bool = False
    schedules: tuple[Schedule, ...] = ()
    concurrency_limit: Annotated[ConcurrencyLimit, BeforeValidator(_limit)] | None = None
    work_pool: WorkPool
    pull: tuple[Pull, ...] = ()
    triggers: tuple[dict[str, object], ...] = ()


class Deployments(Frozen):
    """`prefect.yaml`."""

    name: Label | None = None
    prefect_version: Sentence | None = Field(default=None, alias="prefect-version")
    pull: tuple[Pull, ...] = ()
    deployments: Annotated[tuple[Deployment, ...], Field(min_length=1)]
