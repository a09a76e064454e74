"""Numbers that belong to people: cards, identity, telephones. Golden values, and the laws of their check digits."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.fields import bank_card, cn_id, luhn
from aihub.algorithms.fields.match import Match, apart, halfwidth
from aihub.algorithms.fields.phones import find_phones

DIGITS = st.text("0123456789", min_size=12, max_size=18)


@pytest.mark.parametrize(
    ("number", "scheme"),
    [
        ("4111111111111111", "visa"),  # test numbers that the schemes publish
        ("5555555555554444", "mastercard"),
        ("2223003122003222", "mastercard"),
        ("378282246310005", "amex"),
        ("30569309025904", ""),  # 305 was given back by Diners
        ("36227206271667", "diners"),
        ("3530111333300000", "jcb"),
        ("6011111111111117", "discover"),
        ("6200000000000005", "unionpay"),
    ],
)
def test_the_schemes_test_numbers(number: str, scheme: str) -> None:
    assert luhn.holds(number)
    assert bank_card.scheme(number) == scheme
    assert bank_card.holds(number) == bool(scheme)


@given(DIGITS, st.data())
@settings(max_examples=50, deadline=None)
def test_luhn_catches_each_changed_digit(digits: str, data: st.DataObject) -> None:
    number = digits + luhn.check_digit(digits)
    assert luhn.holds(number)
    place = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[place]))
    assert not luhn.holds(number[:place] + other + number[place + 1 :])


BORN = st.dates(dt.date(1900, 1, 1), dt.date(2025, 12, 31))


@given(st.sampled_from(["110105", "440308", "650102"]), BORN, st.integers(0, 999), st.data())
@settings(max_examples=50, deadline=None)
def test_an_identity_number_is_right_and_each_changed_digit_is_caught(
    region: str, born: dt.date, serial: int, data: st.DataObject
) -> None:
    stem = f"{region}{born:%Y%m%d}{serial:03d}"
    number = stem + cn_id.check_digit(stem)
    assert cn_id.holds(number)
    assert cn_id.birth_date(number) == born
    assert [one.value for one in cn_id.find_ids(f"证号{number}。")] == [number]
    place = data.draw(st.integers(0, 17))
    other = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[place]))
    assert not cn_id.holds(number[:place] + other + number[place + 1 :])


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("11010519491231002X", True),  # the standard's own example
        ("440524188001010014", True),  # the other one
        ("440524188001010015", False),  # check sign
        ("99010519491231002X", False),  # no such province
        ("11010519491331002X", False),  # month 13
        ("1101051949123100２X", False),  # a full-width digit is not yet a digit
        ("", False),
    ],
)
def test_identity_numbers(number: str, right: bool) -> None:
    assert cn_id.holds(number) is right


def test_wrong_numbers_are_told_where_asked_for() -> None:
    wrong = "110105194912310020"
    assert cn_id.find_ids(wrong) == []
    assert cn_id.find_ids(wrong, wrong=True) == [Match("id-number", wrong, False, (0, 18))]
    assert bank_card.find_cards("4111 1111 1111 1112") == []
    assert [one.valid for one in bank_card.find_cards("4111 1111 1111 1112", wrong=True)] == [False]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("手机13800138000。", ["13800138000"]),
        ("+86 138-0013-8000", ["13800138000"]),
        ("(010) 6234 5678 或 0755-8888 9999", ["01062345678", "075588889999"]),
        ("01062345678", ["01062345678"]),
        ("热线 400-820-8820", ["4008208820"]),
        ("call +44 20 7946 0958 now", ["+442079460958"]),
        ("010-62345678转12", ["01062345678x12"]),
        ("编号 113800138000 号", []),  # twelve digits are no mobile
        ("11010519491231002X", []),
        ("2026-01-31 12:30", []),
        ("¥138001.38000", []),
        ("12345 and 110", []),
    ],
)
def test_telephones(text: str, values: list[str]) -> None:
    assert [one.value for one in find_phones(text)] == values


@given(st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_whatever_is_written_places_are_those_of_the_text(text: str) -> None:
    assert len(halfwidth(text)) == len(text)
    for find in (find_phones, cn_id.find_ids, bank_card.find_cards):
        for one in find(text):
            assert 0 <= one.span[0] < one.span[1] <= len(text)


def test_of_two_that_overlap_the_checked_one_stays() -> None:
    phone, card = Match("phone", "1", None, (2, 9)), Match("card-number", "2", True, (0, 4))
    assert apart([phone, card]) == [card]
