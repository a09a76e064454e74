"""Stage `hours`: what passes at which time of the place."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from aihub.streams.rules.hours import Hours, HoursParams
from aihub.testing import FakePredictor, boxes
from aihub.testing import frame as shown
from aihub.types import Frame

LABELS = ("person",)


def hours(**params: str) -> Hours:
    return Hours(HoursParams.model_validate({"time_zone": "Asia/Shanghai"} | params), FakePredictor())


def at(captured_at: float) -> Frame:
    made = shown()
    made.captured_at = captured_at
    return made


NOON_UTC = 1_767_268_800.0
"""2026-01-01 12:00 UTC: 20:00 in Shanghai, 07:00 in New York."""
HOURS = [
    ({"begin": "00:00", "end": "00:00"}, 0.0, True, "no hours: always"),
    ({"begin": "18:00", "end": "02:00"}, 0.0, True, "evening in Shanghai"),
    ({"begin": "18:00", "end": "02:00"}, 5 * 3600, True, "after midnight"),
    ({"begin": "18:00", "end": "02:00"}, 6 * 3600, False, "the end is no longer in it"),
    ({"begin": "20:00", "end": "20:01"}, 59.9, True, "the begin is in it"),
    ({"begin": "20:00", "end": "20:01"}, 60.0, False, "a minute later"),
    ({"begin": "06:00", "end": "09:00"}, 0.0, False, "morning only"),
    ({"begin": "06:00", "end": "09:00", "time_zone": "America/New_York"}, 0.0, True, "morning in New York"),
    ({"begin": "06:00", "end": "09:00"}, -1e10, False, "a camera whose clock is wrong by centuries"),
]


@pytest.mark.parametrize(("params", "later", "open_", "reason"), HOURS, ids=[row[3] for row in HOURS])
def test_hours(params: dict[str, str], later: float, open_: bool, reason: str) -> None:
    found = boxes(("person", 0.9, (0, 0, 9, 9)), labels=LABELS)
    kept = hours(**params).process(at(NOON_UTC + later), found)
    assert (len(kept) == 1) is open_, reason
    assert kept.labels == LABELS


@pytest.mark.parametrize(
    "wrong", [{"begin": "24:30"}, {"end": "7:00"}, {"end": "x"}, {"time_zone": "Mars/Base"}]
)
def test_hours_that_are_none_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        hours(**wrong)
    assert caught.value.errors()[0]["loc"][0] in wrong
