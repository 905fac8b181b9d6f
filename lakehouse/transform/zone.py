"""Local times of a declared zone and the instants that they mean.

The hour that summer's end repeats is taken as its LATER instant, so that a row is never placed before the moment at which it was written:
what lies below a safe bound was then written below it too. Such a row is read up to an hour late, and none is missed.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa

from lakehouse.errors import SourceDataError
from lakehouse.transform import kernels
from lakehouse.transform.arrow import cast_batch

if TYPE_CHECKING:
    from collections.abc import Collection

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_OWN_ZONE = r"[T ][0-9:.]+ *(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_PLAIN, _INSTANT = pa.timestamp("us"), pa.timestamp("us", "UTC")


def to_instants(local: pa.Array, zone: str) -> pa.Array:
    """The instants of local times (which come labelled as UTC), microseconds in UTC; NULL stays NULL.

    The first and the last time that there is stand for infinity and stay; others beyond the years 1 to 9999 become them.

    Raises:
        pyarrow.ArrowInvalid: A time does not exist there, since the clocks were set over it.
    """
    plain = kernels.cast(local, _PLAIN)
    instants = kernels.cast(kernels.in_zone(plain, zone), _INSTANT)
    for end, beyond in ((FIRST, kernels.less), (LAST, kernels.greater)):
        scalar = pa.scalar(end, _INSTANT)
        stays = kernels.either(kernels.equal(local, scalar), beyond(instants, scalar))
        instants = kernels.choose(stays, scalar, instants)
    return instants


def zoned_batch(
    batch: pa.RecordBatch, schema: pa.Schema, cursor: str | None, zone: str | None, where: str, *, hidden: Collection[str] = ()
) -> pa.RecordBatch:
    """The batch as `cast_batch` gives it, with the local times of a cursor that has a declared zone as the instants that they mean.

    Raises:
        SourceDataError: A value does not fit, has a zone of its own, or is a time that does not exist there.
    """
    if zone is None or cursor is None or not pa.types.is_timestamp(schema.field(cursor).type):
        return cast_batch(batch, schema, where, hidden)
    given = batch.column(cursor)
    textual = pa.types.is_string(given.type) or pa.types.is_large_string(given.type)
    if textual and kernels.some_are(kernels.matched(given, _OWN_ZONE)):
        raise SourceDataError(
            f"column {cursor} has a text with a zone of its own, and `cursor_zone` says {zone}",
            where=where,
            next_step="Leave `cursor_zone` out, or correct the row in the source.",
        )
    typed = cast_batch(batch, schema, where, hidden)
    try:
        instants = to_instants(typed.column(cursor), zone)
    except pa.ArrowInvalid as exc:
        raise SourceDataError(
            f"column {cursor} has a local time that {zone} never had: {str(exc).splitlines()[0]}",
            where=where,
            next_step="Correct `cursor_zone`, or the row in the source.",
        ) from exc
    return typed.set_column(schema.get_field_index(cursor), schema.field(cursor), instants)


def local_from(low: datetime, zone: str) -> datetime:
    """A local time, labelled as UTC, below which no local time means `low` or a later instant.

    In the first pass of a repeated hour that is the hour's beginning or earlier, since all of it means the second pass.
    """
    there = ZoneInfo(zone)
    try:
        local = low.astimezone(there)
        plain = local.replace(tzinfo=None, fold=0)
        again = _offset(there, plain, 0) - _offset(there, plain, 1)
        return (plain - again if local.fold == 0 and again > timedelta(0) else plain).replace(tzinfo=UTC)
    except OverflowError:
        return low


def local_to(high: datetime, zone: str) -> datetime:
    """A local time, labelled as UTC, at or above which no local time means an instant below `high`."""
    try:
        return high.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC, fold=0)
    except OverflowError:
        return high


def midnight(day: date, zone: str | None) -> datetime:
    """The instant that the local time 0:00 of a day means, by default in UTC; the clocks' jump, where they were set over it."""
    local = datetime.combine(day, time())
    if zone is None:
        return local.replace(tzinfo=UTC)
    there = ZoneInfo(zone)
    return max(local.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1))


def day_of(at: datetime, zone: str | None) -> date:
    """The day of an instant, by default in UTC."""
    try:
        return at.astimezone(UTC if zone is None else ZoneInfo(zone)).date()
    except OverflowError:
        return at.date()


def start_of(given: datetime | int | None, zone: str | None, kind: str) -> datetime | date | int | None:
    """A declared start as the first value of a cursor of this kind; without a zone it is a time of the cursor's own, by default of UTC.

    Of an hour that is repeated it is the first pass, so that nothing is left out.
    """
    if not isinstance(given, datetime):
        return given
    if kind == "date":
        return given.date() if given.tzinfo is None else day_of(given, zone)
    there = UTC if zone is None else ZoneInfo(zone)
    try:
        return (given.replace(tzinfo=there) if given.tzinfo is None else given).astimezone(UTC)
    except OverflowError:
        return given.replace(tzinfo=UTC)


def _offset(zone: ZoneInfo, plain: datetime, fold: int) -> timedelta:
    return zone.utcoffset(plain.replace(fold=fold)) or timedelta(0)
