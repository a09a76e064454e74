"""QR codes and barcodes."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from aihub.algorithms.builtin.codes import ReadCodes, ReadCodesParams
from aihub.scenes.drawings import EAN_TEXT, QR_TEXT, ean13, qr_and_barcode, street
from aihub.testing import FakePredictor, frame
from aihub.types import Codes, Image

pytest.importorskip("zxingcpp")


def read(image: Image, *formats: str, thorough: bool = True) -> Codes:
    params = ReadCodesParams.model_validate({"formats": formats, "thorough": thorough})
    return ReadCodes(params, FakePredictor()).process(frame(image), None)


def test_reads_both_kinds_with_their_places() -> None:
    found = read(qr_and_barcode())
    codes = dict(zip(found.text, found.formats, strict=True))
    assert codes == {QR_TEXT: "QRCode", EAN_TEXT: "EAN-13"}
    qr = found.quads[found.text.index(QR_TEXT)]
    assert qr.mean(axis=0) == pytest.approx([160, 180], abs=8)
    bars = found.quads[found.text.index(EAN_TEXT)]
    assert bars.mean(axis=0) == pytest.approx([455, 170], abs=15)


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (cv2.ROTATE_90_CLOCKWISE, "a phone held sideways"),
        (cv2.ROTATE_180, "upside down"),
    ],
)
def test_reads_turned_codes(turn: int, reason: str) -> None:
    found = read(np.asarray(cv2.rotate(qr_and_barcode(), turn), np.uint8))
    assert set(found.text) == {QR_TEXT, EAN_TEXT}, reason


def test_only_the_kinds_asked_for() -> None:
    assert read(qr_and_barcode(), "EAN-13").text == (EAN_TEXT,)
    assert read(qr_and_barcode(), "QRCode").formats == ("QRCode",)
    assert read(qr_and_barcode(), "DataMatrix").text == ()


def test_every_kind_on_offer_is_known_to_the_reader() -> None:
    import zxingcpp

    from aihub.algorithms.builtin.codes import Symbology, format_name

    for name in get_args(Symbology):
        assert format_name(zxingcpp.barcode_format_from_str(name)) == name


def test_nothing_where_nothing_is() -> None:
    found = read(street())
    assert len(found) == 0
    assert found.quads.shape == (0, 4, 2)


def test_the_drawn_ean_has_the_structure_of_the_standard() -> None:
    modules = "".join(map(str, ean13(EAN_TEXT)))
    assert len(modules) == 95
    assert (modules[:3], modules[45:50], modules[-3:]) == ("101", "01010", "101")


@pytest.mark.media
def test_real_picture_with_three_codes(media: Path) -> None:
    image = np.asarray(cv2.imread(str(media / "images" / "codes" / "qr.png")), np.uint8)
    assert read(image).text == ("https://www.qrfy.com/LEwG_Gj",) * 3


@pytest.mark.media
def test_no_real_picture_without_codes_gives_one(media: Path) -> None:
    for path in sorted((media / "images" / "coco").glob("*.jpg")):
        assert len(read(np.asarray(cv2.imread(str(path)), np.uint8))) == 0, path.name
