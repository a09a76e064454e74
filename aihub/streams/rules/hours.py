"""Stage `hours`: lets things through at certain hours only, so that any rule behind it has office hours."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import detections_of
from aihub.types import AnyResult, Detections, Frame, Predictor

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime.fromtimestamp(0, UTC)
_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$|^24:00$")
_OFFSET = re.compile(r"^UTC(?:([+-])(\d{1,2})(?::([0-5]\d))?)?$")


def _clock(text: str) -> str:
    if not _CLOCK.match(text):
        raise ValueError(f'an hour is written like "18:30", not {text!r}')
    return text


def zone_of(text: str) -> tzinfo:
    """A time zone from `UTC+8`, `UTC-03:30` or an IANA name such as `Asia/Shanghai`.

    Raises:
        ValueError: neither.
    """
    match = _OFFSET.match(text)
    if match:
        away = timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0))
        if away > timedelta(hours=14):
            raise ValueError(f"no place is {text}")
        return timezone(-away if match[1] == "-" else away)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'no time zone {text!r}; write "UTC+8" or "Asia/Shanghai"') from error


def _zone(text: str) -> str:
    zone_of(text)
    return text


Clock = Annotated[str, AfterValidator(_clock)]


class HoursParams(StageParams):
    """From when to when, on which days, by which clock."""

    begin: Clock = Field("22:00", description="Hour from which things pass, such as 22:00.")
    end: Clock = Field(
        "06:00",
        description="Hour from which they do not; before `begin`, it is the next day's; equal: they always pass.",
    )
    days: tuple[Day, ...] = Field(DAYS, description="Days on which the hours begin.")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="Clock of the place: UTC+8, or an IANA name such as Asia/Shanghai."
    )


class Hours(Stage[HoursParams]):
    """Detections as they came within the hours, none outside. The frame's `captured_at` decides."""

    name = "hours"

    def __init__(self, params: HoursParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._zone = zone_of(params.time_zone)
        self._begin, self._end = _minutes(params.begin), _minutes(params.end)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class."""
        objects = detections_of(found, self.name)
        return objects if self.within(frame.captured_at) else objects[:0]

    def within(self, captured_at: float) -> bool:
        """Whether a moment, in seconds since the epoch, is within the hours."""
        # A camera's clock may be anywhere; adding to the epoch knows no year that this platform does not.
        local = (_EPOCH + timedelta(seconds=captured_at)).astimezone(self._zone)
        minute, today = local.hour * 60 + local.minute, DAYS[local.weekday()]
        if self._begin < self._end:
            return self._begin <= minute < self._end and today in self.params.days
        if minute >= self._begin:
            return today in self.params.days
        return minute < self._end and DAYS[(local.weekday() - 1) % 7] in self.params.days


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)
