"""What is made of lines of text without any model: covers, large print, clocks, gauges."""

from __future__ import annotations

import datetime as dt

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import StageError
from aihub.algorithms.builtin.gauge import Gauge, GaugeParams, water_edge
from aihub.algorithms.builtin.text_uses import (
    ClockCheck,
    ClockCheckParams,
    CoverPersonal,
    CoverPersonalParams,
    LargeText,
    LargeTextParams,
)
from aihub.scenes.gauges import HIGHEST_M, LEFT, gauge, row_of
from aihub.testing import FakePredictor
from aihub.types import Fields, Frame, Picture, Quality, Texts

NOBODY = FakePredictor()
WHITE = np.full((300, 600, 3), 255, np.uint8)


def lines(*placed: tuple[str, float, float, float]) -> Texts:
    """Text, left, top, height; letters are half as wide as high."""
    quads = [
        [[x, y], [x + len(text) * size / 2, y], [x + len(text) * size / 2, y + size], [x, y + size]]
        for text, x, y, size in placed
    ]
    corners = np.array(quads, np.float32).reshape(-1, 4, 2)
    return Texts(corners, tuple(text for text, *_ in placed), np.full(len(placed), 0.9, np.float32))


# ---- covering --------------------------------------------------------------------------------------------------------


def covered(*texts: str, kinds: tuple[str, ...] = ("phone", "id-number", "card-number")) -> list[bool]:
    """Whether each line, one below the other, was covered."""
    found = lines(*((text, 20, 20 + 50 * row, 20) for row, text in enumerate(texts)))
    stage = CoverPersonal(CoverPersonalParams.model_validate({"kinds": kinds}), NOBODY)
    made = stage.process(Frame(WHITE), found)
    assert isinstance(made, Picture)
    dark = [bool((made.image[22 + 50 * row : 38 + 50 * row, 21:40] == 0).all()) for row in range(len(texts))]
    assert made.measures["covered"] == sum(dark)
    return dark


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("电话：138 0013 8000", True),
        ("身份证：11010519900307451X", True),
        ("身份证：11010519900307461X", True),  # a misread number is private all the same
        ("110105199OO3O7451X", True),  # look-alikes
        ("4111 1111 1111 1111", True),
        ("订单 2026-01-31 12345", False),
        ("事由：样本检查", False),
    ],
)
def test_what_is_covered(text: str, private: bool) -> None:
    assert covered("来访登记", text) == [False, private]


def test_only_the_kinds_asked_for_and_nothing_is_written_to_the_frame() -> None:
    assert covered("13800138000", "4111111111111111", kinds=("phone",)) == [True, False]
    assert (WHITE == 255).all()


def test_a_number_in_two_parts_is_covered_in_both() -> None:
    assert covered("4111 1111", "1111 1111", "other") == [False, False, False]  # far apart
    near = lines(("4111 1111", 20, 20, 20), ("1111 1111", 20, 44, 20))
    made = CoverPersonal(CoverPersonalParams(), NOBODY).process(Frame(WHITE), near)
    assert made.measures["covered"] == 2


def test_stages_that_need_text_say_so() -> None:
    with pytest.raises(StageError, match="lines of text"):
        CoverPersonal(CoverPersonalParams(), NOBODY).process(Frame(WHITE), None)
    with pytest.raises(StageError, match="lines of text"):
        LargeText(LargeTextParams(), NOBODY).process(Frame(WHITE), Quality(False, 0.0))


# ---- large print -----------------------------------------------------------------------------------------------------


def test_small_print_is_left_out() -> None:
    found = lines(("样本超市", 10, 10, 60), ("营业时间", 10, 100, 20), ("便民", 300, 10, 40))
    kept = LargeText(LargeTextParams(), NOBODY).process(Frame(WHITE), found)
    assert kept.text == ("样本超市", "便民")
    assert LargeText(LargeTextParams(min_height=0.5), NOBODY).process(Frame(WHITE), found).text == ()


# ---- clocks ----------------------------------------------------------------------------------------------------------

MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()


def check(stage: ClockCheck, *texts: str, at: float = 0.0) -> Quality:
    found = lines(*((text, 10 + 300 * row, 10, 20) for row, text in enumerate(texts)))
    verdict = stage.process(Frame(WHITE, captured_at=MOMENT + at, monotonic=at), found)
    assert isinstance(verdict, Quality)
    return verdict


@pytest.mark.parametrize(
    ("texts", "drift"),
    [
        (["2026-01-01 08:00:00"], 0.5),
        (["2026-01-0108:00:00"], 0.5),  # the reader lost the space
        (["2026年01月01日 星期四 08:00:10"], 10.5),
        (["2026/01/01", "07:59:00"], -59.5),  # in two lines
        (["01-01-2026 08:00:00"], 0.5),
        (["CAM 07", "2025-01-01 08:00:00"], -365 * 86400 + 0.5),  # the year was never set
    ],
)
def test_clocks_are_read(texts: list[str], drift: float) -> None:
    verdict = check(ClockCheck(ClockCheckParams(), NOBODY), *texts)
    assert verdict.measures == {"clock_read": 1.0, "drift_s": drift}
    assert verdict.fault is (abs(drift) >= 30)


@pytest.mark.parametrize("texts", [[], ["08:00:00"], ["2026-01-01"], ["CAMERA 07"], ["2026-13-01 08:00:00"]])
def test_a_clock_that_cannot_be_read_is_no_fault(texts: list[str]) -> None:
    assert check(ClockCheck(ClockCheckParams(), NOBODY), *texts) == Quality(False, 0.0, {"clock_read": 0.0})


def test_one_misreading_among_right_ones_is_not_believed() -> None:
    stage = ClockCheck(ClockCheckParams(), NOBODY)
    shown = ["08:00:00", "08:00:01", "18:00:02", "08:00:03"]
    verdicts = [check(stage, f"2026-01-01 {text}", at=at) for at, text in enumerate(shown)]
    assert [verdict.fault for verdict in verdicts] == [False] * 4


def test_what_was_read_long_ago_is_forgotten() -> None:
    stage = ClockCheck(ClockCheckParams(), NOBODY)
    for at in range(5):
        assert check(stage, "2026-01-01 07:00:00", at=at).fault
    assert not check(stage, "2026-01-01 08:02:00", at=120).fault


# ---- gauges ----------------------------------------------------------------------------------------------------------

COLUMN = (LEFT + 46.0, LEFT + 84.0)


def numbers(level_m: float) -> Texts:
    """The numbers above the water, as a reader gives them: the middle of each at its mark."""
    shown = [tenth for tenth in range(9, -1, -1) if tenth / 10 > level_m + 0.02]
    return lines(*((str(10 * tenth), COLUMN[0], row_of(tenth / 10) - 13.0, 26.0) for tenth in shown))


def level_of(found: Fields) -> float | None:
    return next((float(one.value) for one in found.fields if one.name == "level"), None)


@given(st.floats(0.05, 0.66))
@settings(max_examples=10, deadline=None)
def test_the_level_is_read_to_two_centimetres(level_m: float) -> None:
    found = Gauge(GaugeParams(), NOBODY).process(Frame(gauge(level_m)), numbers(level_m))
    level = level_of(found)
    assert level == pytest.approx(level_m, abs=0.02)
    assert [one.valid for one in found.fields] == [None, True]


def test_one_misread_number_does_not_bend_the_scale() -> None:
    read = numbers(0.35)
    wrong = Texts(read.quads, ("90", "80", "10", "60", "50", "40"), read.confidence)
    assert level_of(Gauge(GaugeParams(), NOBODY).process(Frame(gauge(0.35)), wrong)) == pytest.approx(
        0.35, abs=0.02
    )


def test_two_numbers_are_no_gauge_unless_the_scale_is_known() -> None:
    stage = Gauge(GaugeParams(), NOBODY)
    high = Frame(gauge(0.75), monotonic=10.0)
    assert level_of(stage.process(high, numbers(0.75))) is None
    stage.process(Frame(gauge(0.4), monotonic=11.0), numbers(0.4))
    assert level_of(stage.process(Frame(gauge(0.75), monotonic=12.0), numbers(0.75))) == pytest.approx(
        0.75, abs=0.02
    )
    assert level_of(stage.process(Frame(gauge(0.75), monotonic=5000.0), numbers(0.75))) is None, "forgotten"


@pytest.mark.parametrize(
    "texts",
    [("10", "20", "30"), ("90", "90", "90"), ("a", "b", "c"), ()],  # rising, standing still, no numbers, none
)
def test_what_is_no_gauge(texts: tuple[str, ...]) -> None:
    found = lines(*((text, 200, 20 + 40 * row, 26) for row, text in enumerate(texts)))
    assert Gauge(GaugeParams(), NOBODY).process(Frame(gauge(0.4)), found).fields == ()


def test_units_and_the_plates_zero() -> None:
    stage = Gauge(GaugeParams(unit=0.1, offset=3.0), NOBODY)
    read = numbers(0.35)
    tenths = Texts(read.quads, tuple(text[:-1] for text in read.text), read.confidence)
    assert level_of(stage.process(Frame(gauge(0.35)), tenths)) == pytest.approx(3.35, abs=0.02)


def test_without_an_edge_the_level_is_half_a_step_below_and_not_valid() -> None:
    plain = np.full((360, 480, 3), 200, np.uint8)
    found = Gauge(GaugeParams(), NOBODY).process(Frame(plain), numbers(0.35))
    assert [one.valid for one in found.fields] == [None, False]
    assert level_of(found) == pytest.approx(0.35, abs=0.02)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(-50, 100), st.floats(0.5, 80))
@settings(max_examples=50, deadline=None)
def test_the_edge_stumbles_over_nothing(height: int, width: int, lowest: float, step: float) -> None:
    noise = np.random.default_rng(height * 61 + width).integers(0, 256, (height, width, 3)).astype(np.uint8)
    edge = water_edge(noise, (0.0, float(width)), lowest, step)
    assert edge is None or 0 <= edge <= height


def test_the_drawn_gauge_is_what_it_says() -> None:
    dry = gauge(0.0)
    assert row_of(HIGHEST_M) < row_of(0.5) < dry.shape[0]
    assert cv2.cvtColor(gauge(0.5), cv2.COLOR_BGR2GRAY)[row_of(0.5) + 3 :].mean() < 130
