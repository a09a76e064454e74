"""Documents from lines where they stand, without any model: labels, values, checks."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.builtin.document_fields import DocumentFields, FieldsParams
from aihub.algorithms.fields.business_papers import read_business_licence, read_invoice
from aihub.algorithms.fields.identity_papers import read_identity_card, read_machine_readable_zone
from aihub.algorithms.fields.page import Line, Page
from aihub.algorithms.fields.plain_numbers import read_bank_card, read_container, read_meter, read_vin
from aihub.algorithms.fields.tables import read_table
from aihub.algorithms.fields.validity import read_dates
from aihub.testing import FakePredictor
from aihub.types import Field, Frame, Texts

Placed = tuple[str, float, float]
"""Text, and x, y of its upper left corner; letters are 20 pixels."""
KINDS = (
    "identity-card",
    "business-licence",
    "invoice",
    "bank-card",
    "mrz",
    "container",
    "meter",
    "vin",
    "table",
)


def quad(text: str, x: float, y: float) -> tuple[tuple[float, float], ...]:
    right = x + 12 * len(text)
    return (x, y), (right, y), (right, y + 20), (x, y + 20)


def page(*lines: Placed, when: float = 0.0) -> Page:
    return Page([Line(text, 0.9, quad(text, x, y)) for text, x, y in lines], when)


def values(fields: list[Field]) -> dict[str, tuple[str, bool | None]]:
    return {one.name: (one.value, one.valid) for one in fields}


CARD: tuple[Placed, ...] = (
    ("姓名", 10, 10), ("张样本", 80, 10),
    ("性别男", 10, 50), ("民族汉", 120, 50),
    ("出生1990年3月7日", 10, 90),
    ("住址", 10, 130), ("北京市朝阳区样本路12号", 80, 130),
    ("院3号楼405室", 80, 160),
    ("公民身份号码", 10, 220), ("11010519900307451X", 160, 220),
)  # fmt: skip


def test_an_identity_card() -> None:
    seen = values(read_identity_card(page(*CARD)))
    assert seen == {
        "name": ("张样本", None),
        "sex": ("男", True),
        "birth-date": ("1990-03-07", True),
        "address": ("北京市朝阳区样本路12号院3号楼405室", None),
        "id-number": ("11010519900307451X", True),
    }


def test_ethnicity_is_never_given_out() -> None:
    together = (("姓名张样本", 10, 10), ("性别男民族汉", 10, 50), ("出生1990年3月7日", 10, 90))
    for lines in (CARD, together):
        assert "汉" not in "".join(one.value + one.name for one in read_identity_card(page(*lines)))


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("1101051990030745lX", ("11010519900307451X", True)),  # a look-alike that the check confirms
        ("11010519900307461X", ("11010519900307461X", False)),  # told, never hidden
    ],
)
def test_a_number_that_was_misread(number: str, told: tuple[str, bool]) -> None:
    lines = [line for line in CARD if not line[0].startswith("1101")]
    assert values(read_identity_card(page(*lines, (number, 160, 220))))["id-number"] == told


def test_a_birth_date_that_is_not_the_numbers() -> None:
    lines = [("出生1990年3月8日", x, y) if text.startswith("出生") else (text, x, y) for text, x, y in CARD]
    assert values(read_identity_card(page(*lines)))["birth-date"] == ("1990-03-08", False)


@pytest.mark.parametrize(
    ("period", "until"),
    [
        ("2016.10.11-2036.10.11", ("2036-10-11", True)),
        ("2016.10.11-长期", ("长期", True)),
        ("2036.10.11-2016.10.11", ("2016-10-11", False)),
    ],
)
def test_the_back_of_a_card(period: str, until: tuple[str, bool]) -> None:
    seen = values(
        read_identity_card(page(("签发机关样本公安局", 10, 10), ("有效期限", 10, 50), (period, 100, 50)))
    )
    assert seen["issuer"] == ("样本公安局", None)
    assert seen["valid-until"] == until


def test_a_licence_whose_values_stand_beside_and_below() -> None:
    seen = values(
        read_business_licence(
            page(
                ("统一社会信用代码91350100M000100Y43", 10, 10),
                ("名称", 10, 50), ("样本有限公司", 120, 50),
                ("法定代表人", 10, 90), ("李示例", 120, 92), ("注册资本壹佰万元整", 300, 90),
                ("成立日期", 10, 130), ("2018年06月15日", 10, 154),
            )
        )
    )  # fmt: skip
    assert seen["credit-code"] == ("91350100M000100Y43", True)
    assert seen["name"] == ("样本有限公司", None)
    assert seen["legal-person"] == ("李示例", None)
    assert seen["capital"] == ("壹佰万元整", None)
    assert seen["established"] == ("2018-06-15", True)


INVOICE: tuple[Placed, ...] = (
    ("发票号码：25112000000012345678", 300, 10), ("开票日期：2025年12月08日", 300, 40),
    ("纳税人识别号：91350100M000100Y43", 10, 80),
    ("合计", 10, 150), ("¥1000.00", 200, 150), ("¥130.00", 400, 150),
    ("价税合计(大写)", 10, 190), ("壹仟壹佰叁拾圆整", 200, 190), ("(小写)¥1130.00", 420, 190),
)  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "valid"),
    [
        ("", "", True),
        ("¥130.00", "¥190.00", False),  # does not add up
        ("壹仟壹佰叁拾圆整", "壹仟壹佰叁拾圆伍角", False),  # the capitals say another sum
        ("壹仟壹佰叁拾圆整", "", True),  # not read: the rest still adds up
    ],
)
def test_an_invoice_adds_up_or_is_told(old: str, new: str, valid: bool) -> None:
    lines = [(new if text == old else text, x, y) for text, x, y in INVOICE]
    seen = values(read_invoice(page(*[line for line in lines if line[0]])))
    assert seen["number"] == ("25112000000012345678", True)
    assert seen["date"] == ("2025-12-08", True)
    assert seen["buyer-tax-number"] == ("91350100M000100Y43", True)
    assert seen["total"] == ("1130.00", valid)
    assert seen["amount"][1] is valid


def test_a_bank_card_in_groups_apart() -> None:
    groups = (
        ("4111", 10, 50),
        ("1111", 80, 50),
        ("1111", 150, 51),
        ("1111", 220, 50),
        ("VALID THRU 09/29", 80, 90),
    )
    seen = values(read_bank_card(page(*groups)))
    assert seen == {
        "card-number": ("4111111111111111", True),
        "scheme": ("visa", None),
        "valid-until": ("2029-09", None),
    }


def test_a_container_in_three_lines_and_a_vehicle_in_two() -> None:
    assert values(read_container(page(("CSQU", 10, 10), ("305438", 10, 36), ("3", 10, 62)))) == {
        "container-number": ("CSQU3054383", True)
    }
    assert values(read_vin(page(("1M8GDM9AX", 10, 10), ("KP042788", 10, 36)))) == {
        "vin": ("1M8GDM9AXKP042788", True)
    }


def test_a_check_digit_that_was_not_read_is_told() -> None:
    lines = (("CSQU 305438", 10, 10), ("22G1", 10, 36), ("MAX GROSS 30480 KG", 10, 62))
    assert values(read_container(page(*lines))) == {"container-number": ("CSQU305438", False)}
    stacked = (("CSQU", 10, 10), ("305438", 10, 36), ("4", 10, 62))
    assert values(read_container(page(*stacked))) == {"container-number": ("CSQU3054384", False)}


def test_a_wrong_number_is_not_told_beside_a_right_one() -> None:
    lines = (("CSQU3054383", 10, 10), ("CSQU3054384", 10, 200))
    assert values(read_container(page(*lines))) == {"container-number": ("CSQU3054383", True)}


def test_a_meter_is_its_tallest_digits() -> None:
    tall = Line("0481O.6", 0.9, ((50, 50), (200, 50), (200, 110), (50, 110)))
    small = Line("No778812", 0.9, quad("No778812", 50, 150))
    assert values(read_meter(Page([tall, small]))) == {"reading": ("04810.6", None)}


def test_a_table_with_an_empty_cell() -> None:
    lines = (
        ("品名", 0, 0),
        ("数量", 200, 0),
        ("单价", 400, 0),
        ("苹果", 0, 50),
        ("5.50", 400, 50),
        ("香蕉", 0, 100),
        ("30", 200, 100),
    )
    assert {name: value for name, (value, _) in values(read_table(page(*lines))).items()} == {
        "r1c1": "品名", "r1c2": "数量", "r1c3": "单价", "r2c1": "苹果", "r2c3": "5.50", "r3c1": "香蕉", "r3c2": "30",
    }  # fmt: skip


NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("lines", "expiry"),
    [
        (["有效期至：2025年12月31日"], ("2025-12-31", False)),
        (["有效期至", "2026年01月01日"], ("2026-01-01", True)),  # its last day; the label in the line before
        (["EXP 12/2025"], ("2025-12", False)),
        (["BEST BEFORE 15 MAR 2026"], ("2026-03-15", True)),
        (["生产日期 2025-03-31", "保质期 11个月"], ("2026-02-28", True)),  # no 31st of February
        (["MFG 2025-12-01", "shelf life 30 days"], ("2025-12-31", False)),
        (["生产日期2025-12-01 有效期至2026-06-01"], ("2026-06-01", True)),  # both in one line
    ],
)
def test_expiries(lines: list[str], expiry: tuple[str, bool]) -> None:
    placed = [(text, 10.0, 40.0 * row) for row, text in enumerate(lines)]
    seen = values(read_dates(page(*placed, when=NOON), utc_offset_h=8, day_first=True))
    assert seen["expiry-date"] == expiry


def test_a_day_is_over_sooner_in_the_east() -> None:
    late = dt.datetime(2025, 12, 31, 20, tzinfo=dt.UTC).timestamp()
    here = page(("有效期至 2025-12-31", 10, 10), when=late)
    valid = [read_dates(here, utc_offset_h=hours, day_first=True)[0].valid for hours in (0, 8)]
    assert valid == [True, False]


def test_a_zone_of_a_passport() -> None:
    lines = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
    seen = values(
        read_machine_readable_zone(page(("UTOPIA", 10, 10), (lines[0], 10, 100), (lines[1], 10, 140)))
    )
    assert seen["mrz-type"] == ("TD3", None)
    assert seen["personal-number"] == ("ZE184226B", True)


PIECES = st.lists(
    st.tuples(
        st.text("姓名住址合计价税小写发票号码有效期至<P0123456789OIX.¥:- 年月日CSQU", max_size=24),
        st.floats(0, 600),
        st.floats(0, 360),
    ),
    max_size=12,
)


@given(PIECES)
@settings(max_examples=30, deadline=None)
def test_whatever_was_read_the_fields_are_sound(lines: list[Placed]) -> None:
    quads = np.array([quad(*line) for line in lines], np.float32).reshape(-1, 4, 2)
    read = Texts(quads, tuple(text for text, _, _ in lines), np.full(len(lines), 0.9, np.float32))
    frame = Frame(np.zeros((380, 640, 3), np.uint8), captured_at=NOON)
    for kind in KINDS:
        stage = DocumentFields(FieldsParams.model_validate({"kind": kind}), FakePredictor())
        found = stage.process(frame, read)
        corners = found.quads()
        assert np.isfinite(corners).all()
        assert (corners >= 0).all()
        assert (corners <= [640, 380]).all()
        assert all(0 <= one.confidence <= 1 for one in found.fields)
