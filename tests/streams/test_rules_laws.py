"""What holds for all rules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aihub.errors import ConfigError
from aihub.types import Detections, Quality
from tests.streams.scenes import (
    Path,
    detections,
    frame_at,
    person,
    stands,
)
from tests.streams.watching import (
    ACROSS,
    LEFT_HALF,
    MIDDLE,
    NOWHERE,
    PARKED,
    UPWARDS,
    feed,
    first,
    group,
    make,
    texts,
    watch,
)

ON_DETECTIONS: dict[str, dict[str, Any]] = {
    "presence": {},
    "zone-presence": {"zone": MIDDLE, "loitering_time": 0.4},
    "line-crossing": {"line": UPWARDS},
    "count": {"zone": MIDDLE, "threshold": 1},
    "gathering": {"zone": MIDDLE, "threshold": 2, "dwell": 0.4},
    "stationary": {"zone": MIDDLE, "dwell": 0.6},
    "absence": {"zone": MIDDLE, "dwell": 0.6},
}
places = st.tuples(st.floats(0, 1), st.floats(0.3, 1))
frames = st.lists(st.dictionaries(st.integers(1, 6), places, max_size=6), min_size=1, max_size=25)


@pytest.mark.parametrize("rule", ON_DETECTIONS)
@settings(max_examples=40, deadline=None)
@given(scene=frames, inertia=st.integers(1, 5), still=st.booleans())
def test_laws(rule: str, scene: list[dict[int, tuple[float, float]]], inertia: int, still: bool) -> None:
    """Keys are unique, boxes relative, nothing fires before `inertia` frames, what fires is in `found` on that frame."""
    if still:
        scene = [scene[0]] * len(scene)
    given_frames = [detections([person(place) for place in now.values()], list(now)) for now in scene]
    seen = feed(rule, given_frames, **ON_DETECTIONS[rule], inertia=inertia)
    for k, (_, findings) in enumerate(seen):
        made = [o.key for o in findings.observations]
        assert len(made) == len(set(made))
        assert all(0 <= side <= 1 for o in findings.observations for side in o.box or ())
        assert isinstance(findings.found, Detections)
        assert set(map(tuple, findings.found.xyxy.tolist())) <= set(map(tuple, given_frames[k].xyxy.tolist()))
        if findings.observations and rule != "absence":
            assert k + 1 >= inertia
            assert len(findings.found)
        if findings.observations and rule == "absence":
            assert not len(findings.found)


@pytest.mark.parametrize(
    "rule", [name for name in ON_DETECTIONS if "zone" in ON_DETECTIONS[name] and name != "absence"]
)
@settings(max_examples=20, deadline=None)
@given(scene=frames)
def test_a_zone_where_nobody_is_gives_nothing(rule: str, scene: list[dict[int, tuple[float, float]]]) -> None:
    given_frames = [detections([person(place) for place in now.values()], list(now)) for now in scene]
    seen = feed(rule, given_frames, **{**ON_DETECTIONS[rule], "zone": NOWHERE})
    assert first(seen) is None
    assert all(not len(findings.found) for _, findings in seen)


TIMED: dict[str, tuple[Callable[[], list[Path]], dict[str, Any]]] = {
    "zone-presence": (lambda: [ACROSS], {"zone": LEFT_HALF, "loitering_time": 2.0}),
    "gathering": (lambda: group(0.3, 5), {"threshold": 5, "dwell": 4.0}),
    "stationary": (lambda: [stands(*PARKED, since=1)], {"dwell": 4.0}),
    "absence": (lambda: [stands(0.3, 0.8, until=2)], {"dwell": 4.0}),
    "count": (lambda: [ACROSS], {"zone": MIDDLE, "threshold": 1, "inertia": 1}),
    "line-crossing": (lambda: [ACROSS], {"line": UPWARDS, "inertia": 1}),
}


@pytest.mark.parametrize("rule", TIMED)
def test_seconds_do_not_depend_on_the_frame_rate(rule: str) -> None:
    paths, params = TIMED[rule]
    at = [first(watch(rule, paths(), 9, fps, **params)) for fps in (5, 10, 25)]
    assert all(moment is not None for moment in at)
    assert all(abs(a - b) <= 0.21 for a, b in pairwise(filter(None, at))), at


@pytest.mark.parametrize("rule", ON_DETECTIONS)
def test_without_track_ids_every_row_is_an_object(rule: str) -> None:
    people = detections([person((0.5, 0.8)), person((0.52, 0.8))])
    ((_, findings),) = feed(rule, [people], **ON_DETECTIONS[rule])
    assert isinstance(findings.found, Detections)
    assert len(findings.found) == 2


@pytest.mark.parametrize("rule", [*ON_DETECTIONS, "quality-alarm", "content"])
@pytest.mark.parametrize("wrong", ["nothing", "another kind"])
def test_a_rule_after_the_wrong_stage_says_so(rule: str, wrong: str) -> None:
    other: Any = (
        None if wrong == "nothing" else Quality(False, 0.1) if rule != "quality-alarm" else texts("a")
    )
    with pytest.raises(ConfigError, match=rule):
        make(rule, **ON_DETECTIONS.get(rule, {})).process(frame_at(0), other)


BAD_PARAMS = [
    ("zone-presence", {"zone": [[0, 0], [1, 1]]}, "zone"),
    ("zone-presence", {"zone": [[0, 0], [1, 1], [1, 2]]}, "zone"),
    ("zone-presence", {"zone": [[0, 0], [1, 1], [1, float("nan")]]}, "zone"),
    ("zone-presence", {"inertia": 0}, "inertia"),
    ("zone-presence", {"loitering_time": -1}, "loitering_time"),
    ("line-crossing", {}, "line"),
    ("line-crossing", {"line": [[0.5, 0.5], [0.5, 0.5]]}, "line"),
    ("line-crossing", {"line": UPWARDS, "direction": "up"}, "direction"),
    ("gathering", {"distance": 0}, "distance"),
    ("count", {"thresold": 3}, "thresold"),
]


@pytest.mark.parametrize(("rule", "params", "field"), BAD_PARAMS)
def test_bad_params_name_the_field(rule: str, params: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(rule, **params)
    assert caught.value.errors()[0]["loc"][0] == field
