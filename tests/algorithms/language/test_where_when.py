"""Dates, times and places, as callers say them on Wednesday, 7 January 2026 at ten."""

from __future__ import annotations

import itertools
import time
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aihub.algorithms.language.where_when import FindPlaceAndTime, WhereWhenParams
from aihub.testing import FakePredictor
from aihub.types import Field, Passage

NOW = "2026-01-07T10:00"


def found(text: str, reference: str = NOW) -> tuple[Field, ...]:
    stage = FindPlaceAndTime(WhereWhenParams(reference=reference), FakePredictor())
    fields = stage.read(Passage(text), None).fields
    for one in fields:
        assert one.span is not None
        assert 0 <= one.span[0] < one.span[1] <= len(text)
    return fields


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("昨天停水", "2026-01-06"),
        ("前天晚上八点", "2026-01-05T20:00"),
        ("昨晚11点半", "2026-01-06T23:30"),
        ("今早六点", "2026-01-07T06:00"),
        ("明天上午9时", "2026-01-08T09:00"),
        ("下午3点15分", "15:15"),
        ("凌晨2点", "02:00"),
        ("中午12点", "12:00"),
        ("晚上12点", "00:00"),
        ("三天前", "2026-01-04"),
        ("半小时前", "2026-01-07T09:30"),
        ("两个小时前", "2026-01-07T08:00"),
        ("十分钟之前", "2026-01-07T09:50"),
        ("一周前", "2025-12-31"),
        ("上周三", "2025-12-31"),
        ("本周五", "2026-01-09"),
        ("下周一上午九点", "2026-01-12T09:00"),
        ("星期天", "2026-01-11"),
        ("12月30号", "2025-12-30"),
        ("三月十五日", "2026-03-15"),
        ("2025年3月5日14:30", "2025-03-05T14:30"),
        ("2025-03-05", "2025-03-05"),
        ("yesterday at 3:30 pm", "2026-01-06T15:30"),
        ("last night at 11 pm", "2026-01-06T23:00"),
        ("since Monday 08:30", "2026-01-05T08:30"),
        ("last Wednesday", "2025-12-31"),
        ("next Monday", "2026-01-12"),
        ("on Sunday", "2026-01-04"),
        ("two hours ago", "2026-01-07T08:00"),
        ("a week ago", "2025-12-31"),
        ("March 5th, 2025 at 3pm", "2025-03-05T15:00"),
        ("on 30 December", "2025-12-30"),
        ("12 am", "00:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert [one.value for one in found(text) if one.name != "place"] == [moment]


@pytest.mark.parametrize("text", ["2月30日", "2025年2月29日", "2025-13-01", "February 30"])
def test_days_that_never_are(text: str) -> None:
    (one,) = found(text)
    assert one.valid is False


@pytest.mark.parametrize(
    "text",
    [
        "我有两点建议",
        "时间不对",
        "平时很吵",
        "12345",
        "13812345678",
        "1.5 km",
        "3:75",
        "I may go",
        "march on",
        "天气",
        "周围",
    ],
)
def test_what_is_no_moment(text: str) -> None:
    assert not [one for one in found(text) if one.name != "place"]


def test_without_a_reference_words_stay_as_they_are() -> None:
    fields = found("昨天下午三点 and 2026-01-05 and 14:30", reference="")
    assert [(one.name, one.value, one.confidence) for one in fields] == [
        ("datetime", "昨天下午三点", 0.5),
        ("date", "2026-01-05", 0.9),
        ("time", "14:30", 0.9),
    ]


def test_a_reference_that_is_no_moment_is_refused() -> None:
    with pytest.raises(ValidationError):
        WhereWhenParams(reference="yesterday")
    assert WhereWhenParams(reference="2026-01-07T10:00+08:00").now().isoformat() == "2026-01-07T10:00:00"  # type: ignore[union-attr]


@settings(max_examples=60)
@given(st.dates(date(1950, 1, 1), date(2090, 12, 31)))
def test_every_day_in_every_form(day: date) -> None:
    forms = [f"{day:%Y-%m-%d}", f"{day.year}年{day.month}月{day.day}日", f"{day:%B} {day.day}, {day.year}", f"{day.day} {day:%b} {day.year}"]  # fmt: skip
    for form in forms:
        assert [one.value for one in found(f"({form})")] == [day.isoformat()], form


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("幸福路12号阳光小区3栋门口有人打架", ["幸福路12号阳光小区3栋"]),
        ("我家住在浙江省杭州市西湖区文三路478号华星大厦5层", ["浙江省杭州市西湖区文三路478号华星大厦5层"]),
        ("中山路与解放路交叉口发生车祸", ["中山路与解放路交叉口"]),
        ("人民公园里有人", ["人民公园"]),
        ("Water leaks at 12 Harbour Road since Monday", ["12 Harbour Road"]),
        ("near the corner of Main Street and Elm Street", ["Main Street and Elm Street"]),
        ("Flat 5, 20 King's Road", ["Flat 5, 20 King's Road"]),
        ("The Central Park is closed", ["Central Park"]),
        ("村里的路坏了", []),
        ("on the road again", []),
        ("请问社保卡怎么补办", []),
    ],
)
def test_places(text: str, places: list[str]) -> None:
    assert [one.value for one in found(text) if one.name == "place"] == places


@pytest.mark.parametrize("piece", ["路", "幸福", "一", "A ", "1 ", "市区", "1月", "Main ", "天前", "二十"])
def test_long_texts_take_no_time(piece: str) -> None:
    began = time.process_time()
    found(piece * (5000 // len(piece)))
    assert time.process_time() - began < 2


@settings(max_examples=60, deadline=None)
@given(
    st.text("昨天晚上路号月日点半12:-前周上年 Monday ago at Road", max_size=40), st.sampled_from(["", NOW])
)
def test_whatever_is_said_gives_fields_in_order(text: str, reference: str) -> None:
    fields: Any = found(text, reference)
    spans = [one.span for one in fields]
    assert spans == sorted(spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
