"""What Chinese business papers say: the business licence, and the VAT invoice, old form and electronic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from aihub.algorithms.fields import credit_code
from aihub.algorithms.fields.dates import find_dates
from aihub.algorithms.fields.lookalikes import digits
from aihub.algorithms.fields.match import Match
from aihub.algorithms.fields.money import CAPITALS, find_amounts, from_capitals
from aihub.algorithms.fields.page import Line, Page, tight
from aihub.types import Field

_LICENCE_STOP = r"类型|法定代表人|注册资本|成立日期|营业期限|经营范围|住所|登记机关|统一社会"
_CENT = Decimal("0.01")


def read_business_licence(page: Page) -> list[Field]:
    """Unified social credit code with its check, name, legal person, date of establishment, registered capital, address."""
    fields = [_code("credit-code", page.lines)]
    labels = (
        ("name", r"^(?:企业)?名称"),
        ("legal-person", r"法定代表人|负责人|经营者"),
        ("capital", r"注册资本"),
        ("address", r"住所|经营场所"),
    )
    for name, label in labels:
        found = page.behind(label, _LICENCE_STOP)
        fields.append(found[1].field(name, found[0]) if found else None)
    fields.append(_date(page, "established", r"成立日期|注册日期"))
    return [one for one in fields if one is not None]


def _code(name: str, lines: Sequence[Line]) -> Field | None:
    seen: list[tuple[Match, Line]] = [
        (match, line) for line in lines for match in credit_code.find_codes(tight(line.text))
    ]
    for match, line in sorted(seen, key=lambda one: not one[0].valid)[:1]:
        return line.field(name, match.value, match.valid)
    return None


def _date(page: Page, name: str, label: str) -> Field | None:
    found = page.behind(label)
    dates = find_dates(found[0]) if found else []
    return found[1].field(name, str(dates[0]), dates[0].whole) if found and dates else None


def read_invoice(page: Page) -> list[Field]:
    """Number, date, tax numbers of buyer and seller, amount, tax, total.

    `amount`, `tax` and `total` are valid where amount and tax add up to the total, and the total in capitals, where it is
    there, says the same.
    """
    fields = [_invoice_number(page), _date(page, "date", "开票日期")]
    codes = [(match, line) for line in page.lines for match in credit_code.find_codes(tight(line.text))]
    for name, (match, line) in zip(("buyer-tax-number", "seller-tax-number"), codes, strict=False):
        fields.append(line.field(name, match.value, match.valid))
    return [one for one in fields if one is not None] + _sums(page)


def _invoice_number(page: Page) -> Field | None:
    found = page.behind("发票号码|No[.:：]")
    number = re.search(r"\d{20}|\d{8}", digits(found[0])) if found else None
    if not found or number is None:
        return None
    return found[1].field("number", number[0], len(number[0]) in (8, 20))


def _sums(page: Page) -> list[Field]:
    total, capitals = _total(page)
    parts = _parts(page)
    if total is None:
        return [
            line.field(name, value) for name, (value, line) in zip(("amount", "tax"), parts, strict=False)
        ]
    whole = Decimal(total[0])
    agrees = None if capitals is None else capitals == whole
    if len(parts) >= 2:
        adds_up = Decimal(parts[0][0]) + Decimal(parts[1][0]) == whole
        agrees = adds_up if agrees is None else agrees and adds_up
    named = [*zip(("amount", "tax"), parts, strict=False), ("total", total)]
    return [line.field(name, value, agrees) for name, (value, line) in named]


def _total(page: Page) -> tuple[tuple[str, Line] | None, Decimal | None]:
    """The sum in figures and that in capitals of the line 价税合计."""
    total: tuple[str, Line] | None = None
    capitals: Decimal | None = None
    rows = page.rows()
    for row in rows:
        text = tight(" ".join(page.lines[index].text for index in row))
        if "价税合计" in text or "小写" in text:
            for index in row:
                sums = find_amounts(tight(page.lines[index].text))
                total = (sums[-1].value, page.lines[index]) if sums else total
        if CAPITALS.search(text) and capitals is None:
            capitals = from_capitals(text)
    return total, capitals


def _parts(page: Page) -> list[tuple[str, Line]]:
    """Amount and tax of the row 合计."""
    for row in page.rows():
        text = tight("".join(page.lines[index].text for index in row))
        if text.startswith("合计"):
            return [
                (match.value, page.lines[index])
                for index in row
                for match in find_amounts(tight(page.lines[index].text))
            ]
    return []
