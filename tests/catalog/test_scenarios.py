"""Every scenario that comes with the hub: sound, and raising its alarms on its clip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aihub.algorithms.registry import Registry
from aihub.algorithms.scenarios import Scenarios
from aihub.plugins import data_folder
from aihub.testing import FakePredictor
from aihub.types import Predictor

SIXTEEN = {
    "smart-emergency", "smart-city-management", "smart-traffic", "smart-community", "smart-water", "smart-environment",
    "smart-tourism", "smart-construction", "market-supervision", "smart-campus", "smart-hospital", "government-hall",
    "airport-terminal", "smart-park", "hotline-12345", "camera-operations",
}  # fmt: skip

CARDS = Scenarios(Registry(FakePredictor()))
WATCHING = [one.card.id for one in CARDS.list() if one.card.watches]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    from aihub.engine import Engine, ModelStore

    home = tmp_path_factory.mktemp("engine")
    mirror = os.environ.get("AIHUB_MODEL_MIRROR", "")
    store = ModelStore.from_folder(data_folder("models"), cache=home / "cache", mirror=mirror)
    with Engine(store, profiles=home / "profiles") as made:
        yield made


def test_all_sixteen_are_there_and_none_is_broken() -> None:
    assert [str(failure) for failure in CARDS.failures] == []
    assert {one.card.id for one in CARDS.list()} == SIXTEEN


@pytest.mark.parametrize("name", sorted(SIXTEEN))
def test_a_card_says_what_people_need(name: str) -> None:
    card = CARDS.get(name).card
    assert len(card.summary) > 40
    assert any("一" <= sign <= "鿿" for sign in card.title["zh"])
    algorithms = [part.algorithm for part in card.watches]
    assert len(set(algorithms)) == len(algorithms)
    assert all(line.endswith(".") for line in card.gives)


@pytest.mark.parametrize("name", WATCHING)
def test_its_alarms_on_its_clip(name: str, engine: Predictor) -> None:
    media = os.environ.get("AIHUB_TEST_MEDIA", "")
    scenario = Scenarios(Registry(engine)).get(name)
    example = scenario.card.example
    assert example is not None
    if missing := [reason for reason in scenario.missing() if reason.partition(":")[0] in example.events]:
        pytest.skip(f"weights are not here: {missing[0]}")
    ready = {task.algorithm for task in scenario.tasks()}
    if ready != {part.algorithm for part in scenario.card.watches}:
        pytest.skip("not all of its algorithms are ready here")
    raised = scenario.alarms(engine, Path(media) if media else None)
    if raised is None:
        pytest.skip("the clip is not here (AIHUB_TEST_MEDIA)")
    for algorithm, least in example.events.items():
        assert raised[algorithm] >= least, raised
