"""Drawn documents through the real reader: what was covered cannot be read any more, wherever the document lies it is told."""

from __future__ import annotations

import numpy as np
import pytest

from aihub.algorithms.builtin.orientation import Orientation, OrientationParams
from aihub.algorithms.builtin.text import ReadText, ReadTextParams
from aihub.algorithms.builtin.text_uses import CoverPersonal, CoverPersonalParams
from aihub.scenes import load_scenes
from aihub.scenes.drawings import drawing
from aihub.types import Frame, Texts
from tests.algorithms.test_text_reading import Bare, ocr

__all__ = ["ocr"]

load_scenes()


def read(predictor: Bare, frame: Frame) -> Texts:
    return ReadText(ReadTextParams(max_side=640), predictor).process(frame, None)  # type: ignore[arg-type]


def test_what_is_covered_is_read_no_more_and_the_rest_is(ocr: Bare) -> None:
    frame = Frame(next(drawing("visitor-form").frames(1, 1)))
    before = read(ocr, frame)
    assert "13800138000" in "".join(before.text).replace(" ", "")
    made = CoverPersonal(CoverPersonalParams(), ocr).process(frame, before)  # type: ignore[arg-type]
    after = "".join(read(ocr, Frame(made.image)).text).replace(" ", "")
    for part in ("138", "0138", "110105", "6228", "3456"):
        assert part not in after
    assert "样本检查" in after


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_licence_lies_as_it_is_turned(ocr: Bare, quarters: int) -> None:
    image = next(drawing("business-licence").frames(1, 1))
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    found = Orientation(OrientationParams(), ocr).process(Frame(turned), None)  # type: ignore[arg-type]
    assert found.measures["turn_deg"] == 90 * quarters
    assert found.confidence[0] > 0.8
