"""Specimens of documents with made-up people and numbers whose check digits are right. Each is marked SPECIMEN."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from aihub.scenes.brush import Colour
from aihub.scenes.drawings import picture
from aihub.scenes.lettering import INK, seen, sheet, write
from aihub.types import Image

WIDTH, HEIGHT = 640, 400
MARK: Colour = (214, 214, 230)
BLUE: Colour = (150, 100, 50)

IDENTITY = {
    "name": "张样本",
    "sex": "男",
    "birth": "1990年3月7日",
    "address": "北京市朝阳区样本路12号院3号楼405室",
    "number": "11010519900307451X",
}
VALIDITY = {"issuer": "北京市公安局朝阳分局", "validity": "2016.10.11-2036.10.11"}
LICENCE = {
    "code": "91110105MA00TE5T0L",
    "name": "北京样本科技有限公司",
    "kind": "有限责任公司",
    "person": "李示例",
    "capital": "壹佰万元整",
    "date": "2018年06月15日",
    "address": "北京市朝阳区样本路12号",
}
INVOICE = {
    "number": "25112000000012345678",
    "date": "2025年12月08日",
    "buyer": "上海示例贸易有限公司",
    "buyer-code": "91310115MA1KB7XY2L",
    "seller": "北京样本科技有限公司",
    "seller-code": "91110105MA00TE5T0L",
    "amount": "1000.00",
    "tax": "130.00",
    "total": "1130.00",
    "capitals": "壹仟壹佰叁拾圆整",
}
CARD = {"number": "6228480000123456782", "until": "09/29", "name": "ZHANG YANGBEN"}
PASSPORT = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)
"""The specimen of ICAO Doc 9303 part 4, of the country Utopia."""
TD1 = (
    "I<UTOD231458907<<<<<<<<<<<<<<<",
    "7408122F1204159UTO<<<<<<<<<<<6",
    "ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
)
"""The specimen of part 5."""
TABLE = (
    ("品名", "数量", "单价"),
    ("苹果", "12", "5.50"),
    ("香蕉", "30", "3.20"),
    ("葡萄", "8", "12.80"),
)


def _specimen(paper: Image, place: tuple[int, int], size: int = 30) -> None:
    write(paper, "SPECIMEN 样本", place, size, MARK, 700)


def identity_card(values: Mapping[str, str] = IDENTITY) -> Image:
    """The front of a resident identity card; the field of ethnicity is there, as on real ones."""
    paper = sheet(WIDTH, HEIGHT, (246, 242, 236))
    _specimen(paper, (400, 60))
    cv2.rectangle(paper, (450, 90), (600, 280), (228, 222, 214), cv2.FILLED)
    cv2.circle(paper, (525, 160), 36, (200, 190, 184), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(paper, (525, 280), (64, 70), 0, 180, 360, (200, 190, 184), cv2.FILLED, cv2.LINE_AA)
    year, _, rest = values["birth"].partition("年")
    month, _, day = rest.partition("月")
    for row, label in enumerate(("姓名", "性别", "出生", "住址")):
        write(paper, label, (36, 64 + row * 50), 22, BLUE)
    write(paper, values["name"], (104, 64), 28)
    write(paper, values["sex"], (104, 114), 24)
    write(paper, "民族", (170, 114), 22, BLUE)
    write(paper, "汉", (234, 114), 24)
    end = write(paper, year, (104, 164), 24)
    for text in ("年", month, "月", day.removesuffix("日"), "日"):
        ink = INK if text.isdigit() else BLUE
        end = write(paper, text, (end + 10, 164), 24, ink)
    for row in range(0, len(values["address"]), 12):
        write(paper, values["address"][row : row + 12], (104, 214 + row // 12 * 34), 24)
    write(paper, "公民身份号码", (36, 350), 22, BLUE)
    write(paper, values["number"], (206, 352), 30)
    return paper


def identity_card_back(values: Mapping[str, str] = VALIDITY) -> Image:
    """The back of a resident identity card: issuer and validity."""
    paper = sheet(WIDTH, HEIGHT, (240, 242, 240))
    _specimen(paper, (40, 60))
    cv2.circle(paper, (100, 150), 52, (150, 150, 220), 6, cv2.LINE_AA)
    write(paper, "中华人民共和国", (210, 130), 34)
    write(paper, "居民身份证", (230, 200), 44)
    write(paper, "签发机关", (120, 310), 22, BLUE)
    write(paper, values["issuer"], (240, 310), 24)
    write(paper, "有效期限", (120, 356), 22, BLUE)
    write(paper, values["validity"], (240, 356), 24)
    return paper


def business_licence(values: Mapping[str, str] = LICENCE) -> Image:
    """A business licence."""
    paper = sheet(WIDTH, HEIGHT, (244, 248, 250))
    cv2.rectangle(paper, (10, 10), (WIDTH - 10, HEIGHT - 10), (120, 170, 200), 3)
    _specimen(paper, (390, 370))
    write(paper, "营业执照", (220, 74), 46, INK, 700)
    write(paper, f"统一社会信用代码 {values['code']}", (40, 118), 22)
    rows = (("名称", "name"), ("类型", "kind"), ("法定代表人", "person"), ("住所", "address"))
    for row, (label, key) in enumerate(rows):
        write(paper, label, (40, 170 + row * 46), 20, BLUE)
        write(paper, values[key], (160, 170 + row * 46), 22)
    write(paper, "注册资本", (360, 262), 20, BLUE)
    write(paper, values["capital"], (460, 262), 20)
    write(paper, "成立日期", (40, 354), 20, BLUE)
    write(paper, values["date"], (160, 354), 22)
    return paper


def invoice(values: Mapping[str, str] = INVOICE) -> Image:
    """An electronic VAT invoice."""
    paper = sheet(WIDTH, HEIGHT, (250, 250, 250))
    _specimen(paper, (30, 44), 24)
    write(paper, "电子发票(普通发票)", (210, 44), 28, BLUE)
    write(paper, f"发票号码：{values['number']}", (330, 76), 18)
    write(paper, f"开票日期：{values['date']}", (330, 102), 18)
    for row, (who, name, code) in enumerate(
        (("购买方", "buyer", "buyer-code"), ("销售方", "seller", "seller-code"))
    ):
        write(paper, f"{who}名称：{values[name]}", (30, 136 + row * 54), 18)
        write(paper, f"统一社会信用代码/纳税人识别号：{values[code]}", (30, 161 + row * 54), 18)
    cv2.line(paper, (20, 228), (WIDTH - 20, 228), BLUE, 1)
    for text, x in (("项目名称", 30), ("金额", 330), ("税率", 450), ("税额", 540)):
        write(paper, text, (x, 252), 17, BLUE)
    for text, x in (("信息技术服务", 30), (values["amount"], 330), ("13%", 450), (values["tax"], 540)):
        write(paper, text, (x, 280), 17)
    for text, x in (("合计", 60), (f"¥{values['amount']}", 320), (f"¥{values['tax']}", 530)):
        write(paper, text, (x, 324), 18)
    cv2.line(paper, (20, 338), (WIDTH - 20, 338), BLUE, 1)
    write(paper, "价税合计(大写)", (30, 368), 18, BLUE)
    write(paper, values["capitals"], (180, 368), 18)
    write(paper, f"(小写) ¥{values['total']}", (430, 368), 18)
    return paper


def bank_card(values: Mapping[str, str] = CARD) -> Image:
    """The front of a payment card."""
    paper = sheet(WIDTH, HEIGHT, (150, 110, 60))
    _specimen(paper, (36, 66))
    cv2.rectangle(paper, (60, 130), (130, 184), (120, 190, 210), cv2.FILLED)
    white: Colour = (245, 245, 245)
    groups = [values["number"][at : at + 4] for at in range(0, len(values["number"]), 4)]
    write(paper, " ".join(groups), (50, 256), 42, white)
    write(paper, f"VALID THRU {values['until']}", (250, 306), 22, white)
    write(paper, values["name"], (56, 356), 24, white)
    return paper


def travel_page(lines: tuple[str, ...] = PASSPORT) -> Image:
    """The lower part of a travel document's page with its machine-readable zone."""
    width = 960
    paper = sheet(width, 320, (240, 246, 244))
    _specimen(paper, (40, 60))
    write(paper, "UTOPIA", (700, 60), 34, BLUE)
    for row, line in enumerate(lines):
        pitch = (width - 80) / len(line)
        for column, sign in enumerate(line):
            write(paper, sign, (round(40 + column * pitch), 180 + row * 52), 28)
    return paper


def table(rows: tuple[tuple[str, ...], ...] = TABLE) -> Image:
    """A printed table without lines."""
    paper = sheet(WIDTH, 300)
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            write(paper, text, (60 + column * 200, 60 + row * 62), 26)
    return paper


@picture("identity-card")
def _identity_card() -> Image:
    return seen(identity_card(), 1)


@picture("identity-card-wrong")
def _identity_card_wrong() -> Image:
    """One digit of the number is another."""
    return seen(identity_card({**IDENTITY, "number": "11010519900307461X"}), 2)


@picture("identity-card-back")
def _identity_card_back() -> Image:
    return seen(identity_card_back(), 3)


@picture("business-licence")
def _business_licence() -> Image:
    return seen(business_licence(), 4, tilt=0.02)


@picture("business-licence-wrong")
def _business_licence_wrong() -> Image:
    return seen(business_licence({**LICENCE, "code": "91110105MA00TE5T0M"}), 14, tilt=0.02)


@picture("invoice")
def _invoice() -> Image:
    return seen(invoice(), 5, tilt=0.015)


@picture("invoice-wrong-sum")
def _invoice_wrong() -> Image:
    """The tax is not what is missing to the total."""
    return seen(invoice({**INVOICE, "tax": "190.00"}), 6, tilt=0.015)


@picture("bank-card")
def _bank_card() -> Image:
    return seen(bank_card(), 7)


@picture("bank-card-wrong")
def _bank_card_wrong() -> Image:
    return seen(bank_card({**CARD, "number": "6228480000123456732"}), 8)


@picture("passport")
def _passport() -> Image:
    return seen(travel_page(), 9, tilt=0.01)


@picture("passport-wrong")
def _passport_wrong() -> Image:
    """Born on another day than the check digits say."""
    return seen(travel_page((PASSPORT[0], PASSPORT[1].replace("740812", "740813"))), 15, tilt=0.01)


@picture("travel-card")
def _travel_card() -> Image:
    return seen(travel_page(TD1), 10, tilt=0.01)


@picture("table")
def _table() -> Image:
    return seen(table(), 11, tilt=0.015)


def turned(image: Image, quarters: int) -> Image:
    """The picture turned against the clock by so many quarters."""
    return np.ascontiguousarray(np.rot90(image, quarters))


@picture("licence-upside-down")
def _upside_down() -> Image:
    return turned(seen(business_licence(), 12, tilt=0.01), 2)


@picture("licence-on-its-side")
def _on_its_side() -> Image:
    return turned(seen(business_licence(), 13, tilt=0.01), 1)


@picture("visitor-form")
def _visitor_form() -> Image:
    """A form with three private numbers among other lines."""
    paper = sheet(WIDTH, 360)
    _specimen(paper, (400, 50))
    rows = (
        "来访登记 2026-01-31",
        "姓名：张样本",
        "电话：138 0013 8000",
        "身份证：11010519900307451X",
        "卡号：6228 4800 0012 3456 782",
        "事由：样本检查 12345",
    )
    for row, text in enumerate(rows):
        write(paper, text, (40, 60 + row * 54), 26)
    return seen(paper, 16, tilt=0.015)
