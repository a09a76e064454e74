"""Sums of money: with signs and commas, and in the Chinese capitals of invoices and cheques."""

from __future__ import annotations

import re
from decimal import Decimal

from aihub.algorithms.fields.match import Match, halfwidth

NAME = "amount"
_SUM = re.compile(
    r"(?:[¥￥$€]|(?:CNY|RMB|USD|EUR)[ ]?)?[ ]?(-?\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|-?\d{1,12}\.\d{2})(?![\d.])"
)
_SIGNED = re.compile(r"(?:[¥￥$€]|CNY|RMB|USD|EUR)[ ]?(-?\d{1,12}(?:,\d{3})*(?:\.\d{1,2})?)")
_DIGIT = {
    sign: value
    for value, signs in enumerate(
        ("零〇", "壹一", "贰二两", "叁三", "肆四", "伍五", "陆六", "柒七", "捌八", "玖九")
    )
    for sign in signs
}
_STEP = {"拾": 10, "十": 10, "佰": 100, "百": 100, "仟": 1000, "千": 1000}
_BLOCK = {"万": 10_000, "萬": 10_000, "亿": 100_000_000}
_PART = {"角": Decimal("0.1"), "分": Decimal("0.01")}
CAPITALS = re.compile(
    r"[零壹贰叁肆伍陆柒捌玖拾佰仟万萬亿]+[圆元](?:[零壹贰叁肆伍陆柒捌玖]角)?(?:零?[壹贰叁肆伍陆柒捌玖]分)?[整正]?"
)


def find_amounts(text: str) -> list[Match]:
    """Sums in figures: those with a sign of money, thousands' commas, or two decimals.

    >>> [one.value for one in find_amounts("合计 ¥1,130.00 税 130.00 数量 3")]
    ['1130.00', '130.00']
    """
    plain = halfwidth(text)
    places = {match.span(1): match for form in (_SUM, _SIGNED) for match in form.finditer(plain)}
    found: list[Match] = []
    for span in sorted(places, key=lambda place: (place[0], -place[1])):
        if not found or span[0] >= found[-1].span[1]:
            value = Decimal(plain[slice(*span)].replace(",", ""))
            found.append(Match(NAME, f"{value:.2f}", None, span))
    return found


def from_capitals(text: str) -> Decimal | None:
    """A sum in Chinese capitals; None where it is none.

    >>> from_capitals("壹仟壹佰叁拾圆整"), from_capitals("贰万零伍拾元零叁分"), from_capitals("元")
    (Decimal('1130'), Decimal('20050.03'), None)
    """
    match = CAPITALS.search(text)
    if match is None:
        return None
    whole, _, rest = match[0].replace("元", "圆").partition("圆")
    total = Decimal(_whole(whole))
    for digit, unit in re.findall(r"([壹贰叁肆伍陆柒捌玖])([角分])", rest):
        total += _DIGIT[digit] * _PART[unit]
    return total


def _whole(text: str) -> int:
    total = block = digit = 0
    for sign in text:
        if sign in _DIGIT:
            digit = _DIGIT[sign]
        elif sign in _STEP:
            block, digit = block + (digit or 1) * _STEP[sign], 0
        else:
            total, block, digit = (total + block + digit) * _BLOCK[sign], 0, 0
    return total + block + digit


def in_capitals(amount: Decimal) -> str:
    """A sum from 0.01 up to 99,999,999.99 in Chinese capitals.

    >>> in_capitals(Decimal("1130")), in_capitals(Decimal("20050.03")), in_capitals(Decimal("0.50"))
    ('壹仟壹佰叁拾圆整', '贰万零伍拾圆零叁分', '伍角整')
    """
    signs = "零壹贰叁肆伍陆柒捌玖"
    cents = int(amount * 100)
    high, low = divmod(cents // 100, 10_000)
    text = f"{_block(high)}万" if high else ""
    text += ("零" if high and 0 < low < 1000 else "") + _block(low)
    text += "圆" if text else ""
    tenth, hundredth = divmod(cents % 100, 10)
    text += f"{signs[tenth]}角" if tenth else "零" if hundredth and text else ""
    return text + (f"{signs[hundredth]}分" if hundredth else "整")


def _block(number: int) -> str:
    """1 to 9999; empty for 0."""
    parts, gap = "", False
    for unit, sign in ((1000, "仟"), (100, "佰"), (10, "拾"), (1, "")):
        digit = number // unit % 10
        if digit:
            parts += ("零" if gap and parts else "") + "零壹贰叁肆伍陆柒捌玖"[digit] + sign
        gap = not digit
    return parts
