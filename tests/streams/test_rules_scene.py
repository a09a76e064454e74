"""Rules on the whole scene: presence, numbers, absence, groups, picture faults, words and codes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.types import Codes, Detections, Quality, Texts
from tests.streams.scenes import (
    HEIGHT,
    WIDTH,
    Path,
    detections,
    frame_at,
    person,
    stands,
    walks,
)
from tests.streams.watching import (
    LEFT_HALF,
    feed,
    first,
    group,
    keys,
    make,
    texts,
    watch,
)


def test_presence_is_one_observation_about_the_surest() -> None:
    both = detections([person((0.2, 0.8)), person((0.7, 0.8))], confidence=[0.6, 0.8], classes=[0, 1])
    seen = feed("presence", [both] * 4)
    assert [len(findings) for _, findings in seen] == [0, 0, 1, 1]
    (observation,) = seen[-1][1].observations
    assert (observation.key, observation.label, observation.data) == ("picture", "car", {"count": 2})
    assert observation.confidence == pytest.approx(0.8)
    assert observation.box is not None
    assert observation.box[0] * WIDTH == pytest.approx(float(both.xyxy[1, 0]))


PRESENCE_SCENES = [
    ("never", "....", "...."),
    ("from the third in a row on", "xxxx", "..XX"),
    ("two and a miss do not count", "xx.xx.xx", "........"),
    ("once there, a miss is silent but forgets nothing", "xxx.xx", "..X.XX"),
    ("a second's absence forgets", "xxx......xx", "..X........"),
]


@pytest.mark.parametrize(
    ("reason", "shown", "expected"), PRESENCE_SCENES, ids=[s[0] for s in PRESENCE_SCENES]
)
def test_presence_over_time(reason: str, shown: str, expected: str) -> None:
    one, none = detections([person((0.5, 0.8))]), Detections.empty(("person",))
    seen = feed("presence", [one if mark == "x" else none for mark in shown])
    assert "".join("X" if findings.observations else "." for _, findings in seen) == expected, reason


def test_count_measures_every_frame_and_smooths_over_inertia() -> None:
    numbers = [2, 2, 2, 5, 2, 2, 0, 2]
    crowd = [detections([person((0.1 + 0.05 * k, 0.8)) for k in range(n)]) for n in numbers]
    seen = feed("count", crowd, zone=LEFT_HALF, inertia=3)
    assert [findings.measures["raw"] for _, findings in seen] == numbers
    assert [findings.measures["count"] for _, findings in seen] == [2] * 8
    assert first(seen) is None, "threshold 0 only measures"


def test_count_alarms_while_enough_are_in_the_zone() -> None:
    paths = [*group(0.1, 3), walks((0, 0.9, 0.9), (8, 0.1, 0.9))]  # the fourth is in the left half from 4 s
    seen = watch("count", paths, 8, 5, zone=LEFT_HALF, threshold=4)
    assert first(seen) == pytest.approx(4.2, abs=0.21)
    (observation,) = seen[-1][1].observations
    assert (observation.key, observation.data["count"], observation.box) == ("zone", 4, (0, 0, 0.5, 1))


ABSENCE_SCENES = [
    ("nobody from the start: the clock starts with the first frame", [], 5.0),
    ("somebody sits there all the time", [stands(0.2, 0.8)], None),
    ("leaves at 3 s", [stands(0.2, 0.8, until=3)], 8.0),
    ("is there, but not in the zone", [stands(0.8, 0.8)], 5.0),
    (
        "a false detection on one frame does not set the clock back",
        [stands(0.2, 0.8, since=2, until=2.01)],
        5.0,
    ),
    ("comes back at 4 s for 3 s", [stands(0.2, 0.8, since=4, until=7)], 12.0),
]


@pytest.mark.parametrize(("reason", "paths", "at"), ABSENCE_SCENES, ids=[s[0] for s in ABSENCE_SCENES])
@pytest.mark.parametrize("fps", [2, 5, 25])
def test_absence(reason: str, paths: list[Path], at: float | None, fps: float) -> None:
    seen = watch("absence", paths, 15, fps, zone=LEFT_HALF, dwell=5)
    assert first(seen) == pytest.approx(at, abs=1 / fps + 0.01), reason
    assert all(not len(f.found) for _, f in seen if f.observations), reason


def test_a_camera_that_was_gone_proves_no_absence() -> None:
    stage = make("absence", dwell=30)
    nobody = Detections.empty(("person",))
    stage.process(frame_at(0), nobody)
    assert not len(stage.process(frame_at(60), nobody))
    assert not len(stage.process(frame_at(74), nobody))
    assert not len(stage.process(frame_at(88), nobody))
    assert len(stage.process(frame_at(91), nobody)) == 1


GATHERING_SCENES = [
    ("five close together, for long enough", group(0.3, 5), {}, 3.0, 1),
    ("four are not five", group(0.3, 4), {}, None, 0),
    ("five, but scattered", [stands(0.1 + 0.2 * k, 0.8) for k in range(5)], {}, None, 0),
    ("a chain: each is close to the next", [stands(0.1 + 0.1 * k, 0.8) for k in range(5)], {}, 3.0, 1),
    ("closer is asked for", [stands(0.1 + 0.1 * k, 0.8) for k in range(5)], {"distance": 0.5}, None, 0),
    ("outside the zone", group(0.7, 5), {"zone": LEFT_HALF}, None, 0),
    ("two groups are two observations", [*group(0.1, 5), *group(0.7, 5)], {}, 3.0, 2),
    ("breaks up before the time", [*group(0.3, 4), stands(0.42, 0.8, until=2)], {}, None, 0),
    ("one is hidden for 0.6 s", [*group(0.3, 4), lambda t: None if 1 < t < 1.7 else (0.42, 0.8)], {}, 3.0, 1),
    ("walks slowly as a group", [walks((0, 0.1 + 0.03 * k, 0.8), (9, 0.4 + 0.03 * k, 0.8)) for k in range(5)], {}, 3.0, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "paths", "params", "at", "groups"), GATHERING_SCENES, ids=[s[0] for s in GATHERING_SCENES]
)
def test_gathering(
    reason: str, paths: list[Path], params: dict[str, Any], at: float | None, groups: int
) -> None:
    seen = watch("gathering", paths, 8, 5, **{"threshold": 5, "dwell": 3, **params})
    assert first(seen) == pytest.approx(at, abs=0.01), reason
    assert len(keys(seen)) == groups, reason


def test_a_fault_must_last() -> None:
    marks = "xx.xxxxxxxxxxxx."
    verdicts = [Quality(mark == "x", 0.9 if mark == "x" else 0.1, {"mean": 3.0}) for mark in marks]
    seen = feed("quality-alarm", verdicts, dwell=1.0, label="black-screen")
    assert first(seen) == pytest.approx(0.6 + 1.0)
    (observation,) = seen[-2][1].observations
    assert (observation.key, observation.label, observation.box) == ("picture", "black-screen", None)
    assert observation.data == {"dwell_s": 2.2, "mean": 3.0}
    assert not seen[-1][1].observations


WORD_SCENES = [
    ("no words: any text", (), ("anything",), ["text"]),
    ("nothing to read", (), (), []),
    ("case and spaces do not matter", ("No Parking",), ("NOPARKING 24h",), ["text/No Parking"]),
    ("full-width letters are letters", ("ABC",), ("ＡＢＣ",), ["text/ABC"]),
    ("Chinese", ("出租", "转让"), ("旺铺出租", "电话"), ["text/出租"]),
    ("two words on one line", ("for", "sale"), ("for sale",), ["text/for", "text/sale"]),
    ("another word", ("fire",), ("water",), []),
    ("blank words find nothing by themselves", (" ", "exit"), ("EXIT",), ["text/exit"]),
]


@pytest.mark.parametrize(
    ("reason", "words", "lines", "expected"), WORD_SCENES, ids=[s[0] for s in WORD_SCENES]
)
def test_words(reason: str, words: tuple[str, ...], lines: tuple[str, ...], expected: list[str]) -> None:
    seen = feed("content", [texts(*lines)] * 3, words=words)
    assert [len(findings) for _, findings in seen] == [0, 0, len(expected)], reason
    assert keys(seen) == expected, reason


def test_found_are_the_lines_that_match() -> None:
    ((_, findings),) = feed("content", [texts("exit", "water", "fire exit")], words=["exit"], inertia=1)
    assert isinstance(findings.found, Texts)
    assert findings.found.text == ("exit", "fire exit")
    assert findings.observations[0].data == {"text": ["exit", "fire exit"]}
    assert findings.observations[0].box == pytest.approx((10 / WIDTH, 0, 90 / WIDTH, 56 / HEIGHT))


@given(st.lists(st.text(max_size=400), max_size=6))
def test_code_keys_are_short_distinct_and_one_each(contents: list[str]) -> None:
    codes = Codes(texts(*contents).quads, tuple(contents), ("QRCode",) * len(contents))
    ((_, findings),) = feed("content", [codes], inertia=1)
    made = [o.key for o in findings.observations]
    assert len(made) == len(set(made)) == len(set(contents))
    assert all(len(key) <= 128 and key.startswith("code/") for key in made)
