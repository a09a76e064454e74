"""Rules about fields that were read: which count, for how long, and numbers with a limit."""

from __future__ import annotations

import pytest

from aihub.errors import ConfigError
from aihub.types import Field, Fields, Texts
from tests.streams.scenes import frame_at
from tests.streams.watching import feed, first, keys, make, texts

QUAD = ((10.0, 10.0), (110.0, 10.0), (110.0, 30.0), (10.0, 30.0))


def read(*values: str, name: str = "container-number", valid: bool | None = True) -> Fields:
    return Fields(tuple(Field(name, value, 0.9, valid, QUAD) for value in values))


def test_the_same_value_twice_in_a_row_is_an_observation_of_its_own() -> None:
    seen = feed("field-alarm", [read("A"), read("A"), read("B"), read("A", "B"), read()])
    assert [[one.key for one in findings.observations] for _, findings in seen] == [
        [],
        ["field/container-number/A"],
        [],
        ["field/container-number/A", "field/container-number/B"],
        [],
    ]
    (observation,) = seen[1][1].observations
    assert observation.data == {"name": "container-number", "value": "A", "valid": True}
    assert observation.box is not None


@pytest.mark.parametrize(
    ("only", "valid", "counts"),
    [
        ("all", False, 1),
        ("valid", True, 1),
        ("valid", None, 1),  # has no check that could fail
        ("valid", False, 0),
        ("invalid", False, 1),
        ("invalid", None, 0),
        ("invalid", True, 0),
    ],
)
def test_which_fields_count(only: str, valid: bool | None, counts: int) -> None:
    ((_, findings),) = feed("field-alarm", [read("A", valid=valid)], only=only, inertia=1)
    assert (len(findings), findings.measures) == (counts, {"count": counts})
    assert len(findings.found) == 1, "what was read is told either way"


def test_names_choose_and_long_values_are_cut() -> None:
    assert not keys(feed("field-alarm", [read("A")] * 3, names=["vin"]))
    (key,) = keys(feed("field-alarm", [read("9" * 1000)] * 3, names=["container-number"]))
    assert len(key) <= 128


def test_what_was_not_seen_for_long_is_forgotten() -> None:
    stage = make("field-alarm", inertia=1)
    for number in range(300):
        stage.process(frame_at(number, number), read(f"{number}"))
    assert len(vars(stage)["_streaks"]) <= 3


def level(value: str) -> Fields:
    return Fields((Field("level", value, 0.8, True, QUAD),))


@pytest.mark.parametrize(
    ("side", "values", "alarms"),
    [
        ("above", ["0.5", "0.6", "0.7"], [False, True, True]),  # at the limit already
        ("below", ["0.7", "0.6", "0.5"], [False, True, True]),
        ("any", ["0.1", "0.9", "-3"], [True, True, True]),
        ("above", ["nan", "inf", "x"], [False, False, False]),  # no numbers
    ],
)
def test_a_limit(side: str, values: list[str], alarms: list[bool]) -> None:
    seen = feed("number-limit", map(level, values), field="level", side=side, limit=0.6, inertia=1)
    assert [bool(findings.observations) for _, findings in seen] == alarms


def test_a_level_must_stay() -> None:
    seen = feed("number-limit", [level("0.7")] * 30, fps=5, field="level", limit=0.6, dwell=2)
    assert first(seen) == pytest.approx(2.0)
    assert keys(seen) == ["number/level"], "one alarm, whatever the number does"
    assert seen[-1][1].measures == {"level": 0.7}


def test_other_fields_and_none_at_all() -> None:
    seen = feed("number-limit", [read("5"), Fields()], field="level", inertia=1)
    assert [findings.measures for _, findings in seen] == [{}, {}]


@pytest.mark.parametrize("rule", ["field-alarm", "number-limit"])
def test_rules_about_fields_need_fields(rule: str) -> None:
    params = {"field": "level"} if rule == "number-limit" else {}
    wrong: Texts = texts("A")
    with pytest.raises(ConfigError, match="needs fields"):
        make(rule, **params).process(frame_at(0, 0), wrong)
