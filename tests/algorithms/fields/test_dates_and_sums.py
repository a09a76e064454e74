"""Dates and sums: forms that are read, and back again."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.fields.dates import find_clock, find_dates
from aihub.algorithms.fields.money import find_amounts, from_capitals, in_capitals


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("2026年1月31日", ["2026-01-31"]),
        ("2026 年 01 月 31 日", ["2026-01-31"]),
        ("2026-01-31 2026/1/31 2026.01.31", ["2026-01-31"] * 3),
        ("20260131", ["2026-01-31"]),
        ("31 Jan 2026, Jan 31, 2026, 31st January 2026", ["2026-01-31"] * 3),
        ("31/01/2026 01/31/2026", ["2026-01-31"] * 2),  # they say it themselves
        ("03/04/2026", ["2026-04-03"]),  # day first
        ("EXP 01/2027", ["2027-01"]),
        ("2027年2月", ["2027-02"]),
        ("二〇二六年一月三十一日", ["2026-01-31"]),
        ("二○二六年十二月十日", ["2026-12-10"]),
        ("2016.10.11-2036.10.11", ["2016-10-11", "2036-10-11"]),
        ("2026-02-30 2026-13-01 31/31/2026", []),  # no days of the calendar
        ("25112000000012345678", []),  # a number that has a date in it
        ("", []),
    ],
)
def test_dates(text: str, dates: list[str]) -> None:
    assert [str(one) for one in find_dates(text)] == dates


def test_a_month_is_its_last_day() -> None:
    (month,) = find_dates("02/2028")
    assert (month.date, month.whole) == (dt.date(2028, 2, 29), False)
    assert [str(one) for one in find_dates("03/04/2026", day_first=False)] == ["2026-03-04"]


@given(st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)), st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_every_day_in_every_form(day: dt.date, form: int) -> None:
    forms = (
        f"{day.year}年{day.month}月{day.day}日", f"{day:%Y-%m-%d}", f"{day:%Y/%m/%d}", f"{day:%Y.%m.%d}", f"{day:%Y%m%d}",
        f"{day:%d %b %Y}", f"{day:%B} {day.day}, {day.year}",
    )  # fmt: skip
    assert [one.date for one in find_dates(f"x {forms[form]} y")] == [day]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-31 08:15:30", dt.time(8, 15, 30)),
        ("2026-01-31 8：15：30 星期六", dt.time(8, 15, 30)),
        ("08:15", None),  # without seconds
        ("24:00:00", None),
        ("1:08:15:30", None),
    ],
)
def test_clocks(text: str, time: dt.time | None) -> None:
    found = find_clock(text)
    assert (found and found[0]) == time


@given(st.integers(1, 9_999_999_999))
@settings(max_examples=60, deadline=None)
def test_sums_in_capitals_there_and_back(cents: int) -> None:
    amount = Decimal(cents) / 100
    written = in_capitals(amount)
    if "圆" in written:
        assert from_capitals(written) == amount


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("¥1,130.00", ["1130.00"]),
        ("￥ 130", ["130.00"]),
        ("合计 1000.00 130.00", ["1000.00", "130.00"]),
        ("USD 12.5", ["12.50"]),
        ("13% 3 pieces 2026", []),  # no sums
        ("-12.30", ["-12.30"]),
        ("1.2.3.4", []),
    ],
)
def test_sums(text: str, amounts: list[str]) -> None:
    assert [one.value for one in find_amounts(text)] == amounts
