"""Reading text with the models inside the rapidocr wheel: drawn pages, and real pictures as a person reads them."""

from __future__ import annotations

import difflib
import importlib.util
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from aihub.algorithms.builtin.text import ReadText, ReadTextParams
from aihub.types import Frame, Image, Tensor, Texts


class Bare:
    """The models inside the rapidocr wheel, one ONNX Runtime session each, no engine."""

    files: ClassVar = {
        "ppocr-det": "PP-OCRv6_det_small.onnx",
        "text-rec": "PP-OCRv6_rec_small.onnx",
        "ppocr-cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    }

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.sessions: dict[str, Any] = {}

    def session(self, model: str) -> Any:
        import onnxruntime

        with self.lock:
            if model not in self.sessions:
                path = self.folder / self.files[model]
                self.sessions[model] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            return self.sessions[model]

    def run(self, model: str, inputs: Mapping[str, Tensor], **_: Any) -> Future[dict[str, Tensor]]:
        session = self.session(model)
        names = [output.name for output in session.get_outputs()]
        future: Future[dict[str, Tensor]] = Future()
        future.set_result(dict(zip(names, session.run(None, dict(inputs)), strict=True)))
        return future

    def metadata(self, model: str) -> Mapping[str, str]:
        found: dict[str, str] = self.session(model).get_modelmeta().custom_metadata_map
        return found


@pytest.fixture(scope="module")
def ocr() -> Bare:
    pytest.importorskip("onnxruntime")
    found = importlib.util.find_spec("rapidocr")
    if found is None or not found.submodule_search_locations:
        pytest.skip("rapidocr, which carries the models, is not installed")
    folder = Path(found.submodule_search_locations[0]) / "models"
    if not all((folder / name).is_file() for name in Bare.files.values()):
        pytest.skip("this version of rapidocr carries other models")
    return Bare(folder)


def read(predictor: Any, image: Image, **params: Any) -> Texts:
    return ReadText(ReadTextParams(**params), predictor).process(Frame(image), None)


def page(lines: list[str]) -> Image:
    """Text drawn by OpenCV, black on white."""
    image = np.full((60 + 60 * len(lines), 640, 3), 255, np.uint8)
    for row, line in enumerate(lines):
        cv2.putText(
            image, line, (30, 60 + 60 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (0, 0, 0), 2, cv2.LINE_AA
        )
    return image


LINES = ["GATE 7 OPEN", "Speed limit 30 km/h", "2026-11-21 02:16:40"]


@pytest.mark.parametrize(
    ("turn", "params"),
    [
        (None, {}),
        (cv2.ROTATE_90_CLOCKWISE, {}),
        (cv2.ROTATE_180, {"upside_down": True}),
    ],
)
def test_drawn_lines_are_read_word_for_word(ocr: Bare, turn: int | None, params: dict[str, Any]) -> None:
    image = page(LINES)
    result = read(ocr, image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8), **params)
    assert sorted(result.text) == sorted(LINES)
    assert (result.confidence > 0.9).all()
    if turn is None:
        assert list(result.text) == LINES, "top to bottom"


def test_a_tilted_page_is_read(ocr: Bare) -> None:
    matrix = cv2.getRotationMatrix2D((320, 120), 12, 1)
    matrix[:, 2] += (20, 100)
    tilted = np.asarray(
        cv2.warpAffine(page(LINES), matrix, (700, 460), borderValue=(255, 255, 255)), np.uint8
    )
    assert list(read(ocr, tilted).text) == LINES


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (31, 33), (480, 640)])
def test_nothing_to_read_is_no_error(ocr: Bare, shape: tuple[int, int]) -> None:
    assert len(read(ocr, np.full((*shape, 3), 200, np.uint8))) == 0


ON_PICTURES = {
    "en.jpg": [
        "3 MovieShots Dataset",
        "To facilitate the shot type analysis in videos, we collect MovieShots, a large-scale",
        "shot type annotation set that contains 46K shots from 7858 movies. The details",
        "of this dataset are specified as follows.",
    ],
    "latin.jpg": ["Alphabetum in mundo hodie frequentissime adhibitum est alphabetum Latinum."],
    "text_rec.jpg": ["韩国小馆"],
    "ch_en_num.jpg": [
        "正品促销", "大桶装更划算", "强力去污符合国标", "-40℃深度防冻不结冰", "日常价¥", "10.0起", "日常价¥", "10.0起",
        "直击", "底价", "券后价¥", "5.8", "起", "惊喜福利不容错过", "极速发货", "冰点标准", "破损就赔", "假一赔十",
    ],
}  # fmt: skip
"""What a person reads; the order of words that stand side by side is theirs."""


@pytest.mark.media
@pytest.mark.parametrize("name", ON_PICTURES)
def test_real_pictures_are_read_as_people_read_them(ocr: Bare, name: str, media: Path) -> None:
    image = cv2.imread(str(media / "images/ocr" / name))
    if image is None:
        pytest.skip(f"the media have no {name}")
    expected = ON_PICTURES[name]
    said = [line.replace("￥", "¥") for line in read(ocr, np.asarray(image, np.uint8)).text]
    assert len(said) == len(expected)
    if name != "ch_en_num.jpg":
        assert said == expected
    matched = sum(
        block.size
        for block in difflib.SequenceMatcher(None, sorted(said), sorted(expected)).get_matching_blocks()
    )
    assert matched >= len(expected) - 1, "at most one line differs, in a character"


@pytest.mark.media
def test_fancy_letters_that_seem_to_stand_on_their_head_are_read_all_the_same(ocr: Bare, media: Path) -> None:
    image = cv2.imread(str(media / "images/ocr/ch_en_num.jpg"))
    if image is None:
        pytest.skip("the media have no ch_en_num.jpg")
    assert read(ocr, np.asarray(image, np.uint8), upside_down=True).text[0] == "正品促销"
