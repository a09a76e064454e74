"""Reading text: the geometry by law, the stage with made-up models. Real models: `test_text_reading`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import stage_type
from aihub.algorithms.builtin import text
from aihub.algorithms.builtin.text import ReadText, ReadTextParams
from aihub.algorithms.builtin.text_lines import (
    clockwise,
    find_lines,
    map_size,
    reading_order,
    side_lengths,
)
from aihub.algorithms.builtin.text_strips import (
    BATCH_WIDTH,
    HEIGHT,
    WASTE,
    alphabet,
    batches,
    cut_strips,
    spell,
)
from aihub.errors import DeadlineError, DecodeError, QueueFullError
from aihub.types import Bill, Detections, Frame, Image, Tensor, Texts

F32 = npt.NDArray[np.float32]

# ---- where lines are -------------------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([320, 960, 1920]))
@settings(max_examples=200, deadline=None)
def test_the_map_is_a_multiple_of_32_and_never_much_longer_than_allowed(
    height: int, width: int, longest: int
) -> None:
    rows, columns = map_size(height, width, longest)
    assert rows % 32 == columns % 32 == 0
    assert min(rows, columns) >= 32
    assert max(rows, columns) <= max(longest + 16, 2 * max(height, width) + 16)
    assert max(rows, columns) <= longest + 16


def drawn_map(
    size: tuple[int, int], rects: list[tuple[tuple[float, float], tuple[float, float], float]]
) -> F32:
    """A map as the finder would give: shrunken lines at 0.9."""
    canvas = np.zeros(size, np.uint8)
    for rect in rects:
        cv2.fillPoly(canvas, [np.round(cv2.boxPoints(rect)).astype(np.int32)], 255)
    return (canvas > 0).astype(np.float32) * 0.9


@given(st.floats(90, 160), st.floats(90, 160), st.floats(60, 120), st.floats(12, 25), st.floats(-35, 35))
@settings(max_examples=80, deadline=None)
def test_a_line_is_found_where_it_was_drawn_and_grown(
    x: float, y: float, width: float, height: float, angle: float
) -> None:
    (quad,) = find_lines(drawn_map((256, 256), [((x, y), (width, height), angle)]), (512, 256))
    assert quad.mean(axis=0) == pytest.approx([x, 2 * y], abs=3), (
        "in picture pixels: twice as high as the map"
    )
    unstretched = quad / [1, 2]
    sides = side_lengths(unstretched[None].astype(np.float32))[0]
    width, height = width + 2, height + 2  # drawing rounds outwards, and the mask is thickened by a pixel
    growth = width * height * 1.6 / (width + height)
    assert sides == pytest.approx([width + growth, height + growth], abs=5)
    tilt = np.degrees(np.arctan2(*(unstretched[1] - unstretched[0])[::-1]))
    assert tilt == pytest.approx(angle, abs=4)


def test_faint_thin_and_tiny_things_are_no_lines() -> None:
    # 0.45: above the floor of pixels, below that of boxes
    faint = drawn_map((128, 128), [((64, 64), (60, 20), 0)]) * np.float32(0.5)
    assert find_lines(faint, (128, 128)).shape == (0, 4, 2)
    thin = drawn_map((128, 128), [((64, 64), (60, 1), 0)])
    assert find_lines(thin, (128, 128)).shape == (0, 4, 2)
    assert find_lines(np.zeros((32, 32), np.float32), (1, 1)).shape == (0, 4, 2)


def test_lines_stay_within_the_picture() -> None:
    lines = find_lines(drawn_map((64, 128), [((5, 5), (60, 20), 0), ((120, 60), (60, 20), 10)]), (640, 1280))
    assert len(lines) == 2
    assert lines.min() >= 0
    assert lines[..., 0].max() <= 1279
    assert lines[..., 1].max() <= 639


@given(st.permutations(range(4)), st.floats(-30, 30))
def test_corners_run_clockwise_from_the_top_left(order: list[int], angle: float) -> None:
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = (np.array([[-50, -8], [50, -8], [50, 8], [-50, 8]]) @ rotation + 100).astype(np.float32)
    assert np.allclose(clockwise(corners[None, order])[0], corners)


def row_of(x: float, y: float, width: float = 40, height: float = 20) -> list[list[float]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


@pytest.mark.parametrize(
    ("quads", "why"),
    [
        ([row_of(0, 0), row_of(50, 3), row_of(0, 30)], "a row that is not quite level"),
        ([row_of(0, 5, height=10), row_of(50, 0, height=20), row_of(0, 30)], "small print beside large"),
        ([row_of(90, 0), row_of(0, 25), row_of(50, 25)], "rows first, then columns"),
        (
            [row_of(0, 0, height=6), row_of(0, 8, height=6), row_of(0, 16, height=6)],
            "close lines of small print",
        ),
    ],
)
def test_reading_goes_row_by_row(quads: list[list[list[float]]], why: str) -> None:
    right = np.array(quads, np.float32)
    for seed in range(4):
        mixed = np.random.default_rng(seed).permutation(len(right))
        order = reading_order(right[mixed])
        assert mixed[order].tolist() == list(range(len(right))), why


def test_no_lines_have_an_order_too() -> None:
    assert reading_order(np.zeros((0, 4, 2), np.float32)).tolist() == []


# ---- strips and characters -------------------------------------------------------------------------------------------


def marked(height: int, width: int) -> Image:
    """A line whose left end is red and right end blue (BGR)."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[:, : width // 4] = (0, 0, 255)
    image[:, -(width // 4) :] = (255, 0, 0)
    return image


def reds_left(strip: Image) -> bool:
    return bool(strip[24, 4, 2] > 200 and strip[24, -5, 0] > 200)


def test_a_line_is_cut_out_upright_at_any_angle() -> None:
    canvas = np.zeros((400, 400, 3), np.uint8)
    canvas[190:214, 140:260] = marked(24, 120)
    for angle in (0, 20, -35):
        matrix = cv2.getRotationMatrix2D((200, 202), angle, 1)
        turned = np.asarray(cv2.warpAffine(canvas, matrix, (400, 400)), np.uint8)
        corners = np.array(row_of(140, 190, 120, 24)) @ matrix[:, :2].T + matrix[:, 2]
        (strip,) = cut_strips(turned, corners[None].astype(np.float32))
        assert strip.shape[0] == HEIGHT
        assert strip.shape[1] == pytest.approx(240, abs=3)
        assert reds_left(strip)


def test_a_line_from_top_to_bottom_is_turned() -> None:
    canvas = np.zeros((200, 60, 3), np.uint8)
    # Read with the head tilted to the right: the line starts at the top.
    canvas[10:190, 20:40] = cv2.rotate(marked(20, 180), cv2.ROTATE_90_CLOCKWISE)
    (strip,) = cut_strips(canvas, np.array([row_of(20, 10, 20, 180)], np.float32))
    assert strip.shape == (HEIGHT, 432, 3)
    assert reds_left(strip)


@given(st.lists(st.integers(1, 3200), max_size=60))
@settings(max_examples=60, deadline=None)
def test_batches_hold_every_strip_once_and_waste_little(widths: list[int]) -> None:
    strips = [np.full((HEIGHT, width, 3), 255, np.uint8) for width in widths]
    seen: list[int] = []
    for chosen, pixels in batches(strips):
        seen += chosen
        assert pixels.shape[:3] == (len(chosen), 3, HEIGHT)
        assert pixels.shape[3] % 32 == 0
        assert len(chosen) == 1 or len(chosen) * pixels.shape[3] <= BATCH_WIDTH * 1.5
        narrowest = max(64, min(widths[index] for index in chosen))
        assert pixels.shape[3] < narrowest * WASTE + 32
        for row, index in zip(pixels, chosen, strict=True):
            assert (row[:, :, : widths[index]] == 1).all()
            assert (row[:, :, widths[index] :] == 0).all()
    assert sorted(seen) == list(range(len(widths)))


def scores_of(path: str, meaning: tuple[str, ...], sure: float = 0.8) -> F32:
    """What the reader would give for characters in time; `_` is the blank."""
    scores = np.full((1, len(path), len(meaning)), 0.01, np.float32)
    for step, character in enumerate(path):
        scores[0, step, 0 if character == "_" else meaning.index(character)] = sure
    return scores


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("__a_b__", "ab"),  # blanks mean nothing
        ("aaabbb", "ab"),  # a character that lasts
        ("aa_aab", "aab"),  # doubled: with a blank between
        ("a  b", "a b"),  # the space is a character
        ("____", ""),
    ],
)
def test_spelling(path: str, expected: str) -> None:
    meaning = alphabet("a\nb")
    assert meaning == ("", "a", "b", " ")
    ((said, sure),) = spell(scores_of(path, meaning), meaning)
    assert said == expected
    assert sure == pytest.approx(0.8 if expected else 0)


# ---- the stage, with made-up models ----------------------------------------------------------------------------------


class Scripted:
    """A predictor whose finder sees one line and whose reader says `says`."""

    def __init__(self, says: str = "ab_", sure: float = 0.8, fails: Exception | None = None) -> None:
        self.says, self.sure, self.fails = says, sure, fails
        self.runs: list[tuple[str, tuple[int, ...], str]] = []
        self.never = False

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        future: Future[dict[str, Tensor]] = Future()
        self.runs.append((model, inputs["x"].shape, source))
        rows, columns = inputs["x"].shape[2:]
        if self.fails:
            future.set_exception(self.fails)
        elif model == "ppocr-det":
            if not self.never:
                centre, sides = (columns / 2, rows / 2), (columns / 2, rows / 8)
                future.set_result({"map": drawn_map((rows, columns), [(centre, sides, 0)])[None, None]})
        elif model == "ppocr-cls":
            future.set_result({"y": np.tile(np.array([[0.02, 0.98]], np.float32), (len(inputs["x"]), 1))})
        else:
            one = scores_of(self.says, alphabet("a\nb"), self.sure)
            future.set_result({"scores": np.repeat(one, len(inputs["x"]), axis=0)})
        return future

    def metadata(self, model: str) -> Mapping[str, str]:
        assert model == "text-rec"
        return {"character": "a\nb"}

    def detect(self, model: str, frame: Frame, **_: Any) -> Future[Detections]:
        raise AssertionError("reading text needs no detector")

    def missing(self, models: Sequence[str]) -> list[str]:
        return []


GREY = np.full((480, 640, 3), 90, np.uint8)


def read(predictor: Any, image: Image = GREY, **params: Any) -> Texts:
    return ReadText(ReadTextParams(**params), predictor).process(Frame(image, source="gate"), None)


def test_one_line_goes_through() -> None:
    predictor = Scripted()
    result = read(predictor)
    assert result.text == ("ab",)
    assert result.confidence.tolist() == pytest.approx([0.8])
    assert result.quads.mean(axis=1)[0] == pytest.approx([320, 240], abs=3)
    assert [model for model, _, _ in predictor.runs] == ["ppocr-det", "text-rec"]
    assert {source for _, _, source in predictor.runs} == {"gate"}, "the batcher is fair between cameras"


@pytest.mark.parametrize(
    ("params", "says", "lines"),
    [
        ({"min_confidence": 0.79}, "ab", 1),
        ({"min_confidence": 0.81}, "ab", 0),  # not sure enough
        ({"min_height": 100}, "ab", 1),
        ({"min_height": 300}, "ab", 0),  # too low
        ({}, "____", 0),  # nothing legible
        ({}, "  ", 0),  # white space only
    ],
)
def test_what_is_left_out(params: dict[str, Any], says: str, lines: int) -> None:
    assert len(read(Scripted(says), **params)) == lines


def test_a_frame_is_looked_at_once_however_many_stages_read_it() -> None:
    predictor, frame = Scripted(), Frame(GREY)
    for floor in (0.3, 0.6):
        stage = ReadText(ReadTextParams(min_confidence=floor), predictor)
        stage.begin(frame)
        stage.process(frame, None)
    assert [model for model, _, _ in predictor.runs].count("ppocr-det") == 1


def test_the_turner_runs_only_when_asked_for() -> None:
    assert ReadText.models(ReadTextParams()) == ("ppocr-det", "text-rec")
    assert ReadText.models(ReadTextParams(upside_down=True)) == ("ppocr-det", "text-rec", "ppocr-cls")
    predictor = Scripted()
    assert read(predictor, upside_down=True).text == ("ab",)
    assert ("ppocr-cls", (1, 3, 48, 192), "gate") in predictor.runs
    assert stage_type("read-text") is ReadText


def test_an_error_of_a_model_comes_out_as_it_is() -> None:
    with pytest.raises(QueueFullError):
        read(Scripted(fails=QueueFullError("full")))


def test_a_model_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PATIENCE_S", 0.05)
    predictor = Scripted()
    predictor.never = True
    with pytest.raises(DeadlineError):
        read(predictor)


@pytest.mark.parametrize("metadata", [{"character": "a\nb\nc"}, {}])
def test_characters_of_another_model_are_refused(metadata: dict[str, str]) -> None:
    predictor = Scripted()
    predictor.metadata = lambda model: metadata  # type: ignore[method-assign]
    with pytest.raises(DecodeError):
        read(predictor)
