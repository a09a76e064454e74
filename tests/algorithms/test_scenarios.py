"""Scenario cards: what they may say, and what they raise on their example."""

from __future__ import annotations

from pathlib import Path

import pytest

from aihub.algorithms.registry import Registry
from aihub.algorithms.scenarios import Scenarios
from aihub.errors import ScenarioNotFoundError
from aihub.testing import FakePredictor, boxes

GOOD = """\
id: yard
title: {en: Yard, zh: 院子}
summary: Somebody in the yard is told of.
watches:
  - {algorithm: intrusion, params: {inertia: 2}}
asks: [text-recognition]
gives: [An alarm.]
example: {media: "drawn:still-street", seconds: 2, events: {intrusion: 1}, evidence: synthetic}
"""


def scenarios(folder: Path, text: str, predictor: FakePredictor | None = None) -> Scenarios:
    (folder / "yard.yaml").write_text(text, encoding="utf-8")
    return Scenarios(Registry(predictor or FakePredictor()), folder)


def test_a_scenario_gives_tasks_and_raises_its_alarms(tmp_path: Path) -> None:
    predictor = FakePredictor({"coco": boxes(("person", 0.9, (100, 100, 200, 300)))})
    yard = scenarios(tmp_path, GOOD, predictor).get("yard")
    (task,) = yard.tasks()
    assert (task.id, task.algorithm, task.params) == ("intrusion", "intrusion", {"inertia": 2})
    assert yard.alarms(predictor, None) == {"intrusion": 1}
    assert yard.missing() == []


def test_what_lacks_weights_is_left_out_of_the_tasks_and_told(tmp_path: Path) -> None:
    yard = scenarios(tmp_path, GOOD, FakePredictor(missing=["coco"])).get("yard")
    assert yard.tasks() == []
    assert yard.missing()[0].startswith("intrusion: weights of coco are not here")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("algorithm: intrusion", "algorithm: intrussion", "watches.0.algorithm"),  # nobody has that id
        ("algorithm: intrusion", "algorithm: speech-to-text", "watches.0.algorithm"),  # it watches no streams
        ("inertia: 2", "inertia: -2", "watches.0.params"),  # not allowed by the algorithm's card
        ("asks: [text-recognition]", "asks: [no-such-thing]", "asks.0"),  # nobody has that id
        (
            "seconds: 2",
            "params: {intrusion: {dwell: 1}}, seconds: 2",
            "example.params.intrusion",
        ),  # it has no such parameter
        ("events: {intrusion: 1}", "events: {absence: 1}", "example"),  # none of what it watches with
        ("gives: [An alarm.]", "gives: []", "gives"),  # it has to be good for something
        ("zh: 院子", "de: Hof", "title.de.[key]"),  # both languages of the place
    ],
)
def test_a_wrong_card_is_listed_with_the_field(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert old in GOOD
    found = scenarios(tmp_path, GOOD.replace(old, new))
    (failure,) = found.failures
    assert failure.field == field
    assert found.list() == []


def test_one_that_watches_has_an_example(tmp_path: Path) -> None:
    without = GOOD[: GOOD.index("example:")]
    assert "example" in str(scenarios(tmp_path, without).failures[0])


def test_an_unknown_one_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ScenarioNotFoundError) as caught:
        scenarios(tmp_path, GOOD).get("yart")
    assert "yard" in str(caught.value.hint)
