"""The suite `footprint`: what is measured in processes of their own, and which targets its figures have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aihub.bench import suite
from aihub.bench.hub import catalogue_cost
from aihub.bench.stand import Stand
from aihub.bench.suites import footprint
from aihub.errors import AihubError, InputError


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    one = Stand(tmp_path)
    yield one
    one.close()


def test_the_yaml_is_whole_and_its_quick_part_is_shorter() -> None:
    one = suite.find("footprint")
    whole, quick = one.settings(), one.settings(quick=True)
    assert isinstance(whole, footprint.Settings)
    assert isinstance(quick, footprint.Settings)
    assert one.card.quick_minutes < one.card.minutes
    assert quick.turns < whole.turns
    with pytest.raises(InputError, match="turns"):
        one.settings(given={"turns": 0})
    with pytest.raises(InputError, match="nothing"):
        one.settings(given={"nothing": 1})


def test_start_and_memory_at_rest(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    starts, memory = iter([11.0, 25.0, 12.0]), iter([500.0, 1300.0, 520.0])

    @contextmanager
    def hub(**_: object) -> Iterator[Any]:
        yield SimpleNamespace(cold_start_s=next(starts))

    monkeypatch.setattr(footprint, "running_hub", hub)
    monkeypatch.setattr(footprint, "resident_mb", lambda _: {"hub": next(memory), "ray": 700.0})
    footprint.run(stand, footprint.Settings(parts=("start",), rest_s=0, turns=3))
    told = {one.name: one for one in stand.figures}
    assert told["cold-start"].value == 12.0
    assert told["cold-start"].samples == (11.0, 25.0, 12.0)
    assert told["cold-start"].met is True
    assert told["memory-at-rest"].value == 520.0
    assert told["memory-at-rest"].met is True
    assert told["memory-at-rest"].interval is not None


def test_a_slow_start_misses_its_target(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def hub(_: Stand) -> Iterator[Any]:
        yield SimpleNamespace(cold_start_s=21.0)

    monkeypatch.setattr(footprint, "hub_for", hub)  # a single turn measures the one that others share
    monkeypatch.setattr(footprint, "resident_mb", lambda _: {"hub": 1201.0, "ray": 1.0})
    footprint.run(stand, footprint.Settings(parts=("start",), rest_s=0, turns=1))
    assert [one.met for one in stand.figures] == [False, False, None]


def test_cost_of_a_further_stream(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first stream brings the models, so that it is not counted."""
    memory = iter([{"hub": 600.0, "ray": 1.0}, {"hub": 690.0, "ray": 1.0}])
    added: list[str] = []

    @contextmanager
    def hub(**_: object) -> Iterator[Any]:
        yield SimpleNamespace(url="http://127.0.0.1:1", key="k")

    @contextmanager
    def client(*_: object) -> Iterator[Any]:
        yield SimpleNamespace()

    def watch(_: object, urls: list[str], settings: object, first: int) -> None:
        added.extend(f"{first + at}" for at in range(len(urls)))

    monkeypatch.setattr(footprint, "running_hub", hub)
    monkeypatch.setattr(footprint, "AihubClient", client)
    monkeypatch.setattr(footprint, "_watch", watch)
    monkeypatch.setattr(footprint, "resident_mb", lambda _: next(memory))
    footprint.run(
        stand, footprint.Settings(parts=("streams",), rest_s=0, streams=3, algorithm="motion-detection")
    )
    assert not stand.skipped
    assert added == ["0", "1", "2", "3"]
    assert stand.figures[0].value == 30.0


def test_the_catalogue_in_processes_of_their_own(stand: Stand) -> None:
    footprint.run(stand, footprint.Settings(parts=("catalogue",), turns=1))
    told = {one.name: one for one in stand.figures}
    assert set(told) == {"listing", "heavy-libraries", "memory-of-cards"}
    assert told["heavy-libraries"].met is True, told["heavy-libraries"].detail
    assert 0 < told["memory-of-cards"].value < 50
    assert told["listing"].value > 0


def test_listing_is_counted_down_to_as_many_cards_as_the_target_is_for(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"cards": 300, "import_s": 1.0, "read_s": 0.7, "list_s": 0.1, "heavy": ["torch"], "mb": 60.0}
    monkeypatch.setattr(footprint, "ask", lambda *_: told)
    footprint.run(stand, footprint.Settings(parts=("catalogue",), turns=3))
    listing, heavy, held = stand.figures
    assert listing.value == pytest.approx(0.4)
    assert [listing.met, heavy.met, held.met] == [True, False, False]


def test_a_cost_that_cannot_be_measured_says_why() -> None:
    with pytest.raises(AihubError, match="failed"):
        catalogue_cost.ask("nothing", timeout_s=60)
    with pytest.raises(AihubError, match="did not end"):
        catalogue_cost.ask("list", timeout_s=0.001)


@pytest.mark.weights
def test_models_are_loaded_again_after_they_were_given_up(mirror: Path, stand: Stand) -> None:
    footprint.run(stand, footprint.Settings(parts=("swap",), swapped=("yunet-640", "no-such-model"), swaps=3))
    (figure,) = stand.figures
    assert figure.name == "swap/yunet-640"
    assert len(figure.samples) == 3
    assert all(value > 0 for value in figure.samples)
    assert list(stand.skipped) == ["swap of no-such-model"]
