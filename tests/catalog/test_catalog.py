"""Every card that comes with the hub: its form, and its proof on whatever weights and media are on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.check import CheckReport, check
from aihub.algorithms.registry import Registry
from aihub.plugins import data_folder
from aihub.testing import FakePredictor
from aihub.types import InputKind, Predictor, Readiness

FIRST = (
    "person-detection", "vehicle-detection", "people-counting", "intrusion", "line-crossing", "loitering", "crowd-gathering",
    "illegal-parking", "absence", "fire-smoke-detection", "face-detection", "text-recognition", "qr-and-barcode",
    "black-screen", "frozen-picture", "blurred-picture",
)  # fmt: skip

BARE = (
    "person-detection", "people-counting", "intrusion", "line-crossing", "loitering", "crowd-gathering", "absence",
    "vehicle-detection", "illegal-parking", "face-detection", "fire-detection", "smoke-detection", "fire-smoke-detection",
    "helmet-missing", "overflowing-bin", "garbage-on-ground", "litter-detection", "pothole", "keyword-spotting",
)  # fmt: skip
"""What a machine can do that has nothing but the project, by models of our own."""

AWAITED = {"speaker-count", "speaker-verification"}
"""Algorithms whose weights no machine of ours has: only their cards say what they are."""

CARDS = Registry(FakePredictor())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """The real engine, with whatever weights are here."""
    from aihub.engine import Engine, ModelStore

    home = tmp_path_factory.mktemp("engine")
    mirror = os.environ.get("AIHUB_MODEL_MIRROR", "")
    store = ModelStore.from_folder(data_folder("models"), cache=home / "cache", mirror=mirror)
    made = Engine(store, profiles=home / "profiles")
    yield made
    made.close()


@pytest.fixture(scope="module")
def registry(engine: Predictor) -> Registry:
    return Registry(engine)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """The real engine on a machine without any weights but those that come with the project."""
    from aihub.engine import Engine, ModelStore

    home = tmp_path_factory.mktemp("bare")
    store = ModelStore.from_folder(data_folder("models"), cache=home / "cache")
    with Engine(store, profiles=home / "profiles") as made:
        yield made


def test_no_card_and_no_plugin_is_broken() -> None:
    assert [str(failure) for failure in CARDS.failures] == []
    assert CARDS.plugin_failures == ()


def test_the_first_sixteen_are_there() -> None:
    assert set(FIRST) <= {algorithm.card.id for algorithm in CARDS.list()}


@pytest.mark.parametrize("algorithm", CARDS.list(), ids=lambda algorithm: algorithm.card.id)
def test_a_card_is_where_its_name_says_and_says_what_people_need(algorithm: Algorithm) -> None:
    card, path = algorithm.card, algorithm.path
    assert path is not None
    assert (path.parent.name, path.stem) == (card.domain, card.id)
    assert card.event is not None or InputKind.VIDEO not in card.input
    assert all(len(text) > 20 for text in (card.summary, card.intended_use, card.limits))
    assert any("一" <= sign <= "鿿" for sign in card.title["zh"])
    for name, param in card.params.items():
        assert param.description.endswith("."), name
        if param.type in ("number", "integer"):
            assert param.minimum is not None, name
            assert param.maximum is not None, name


@pytest.fixture(scope="module")
def reports() -> dict[str, CheckReport]:
    """What the proofs below have shown, by algorithm."""
    return {}


@pytest.mark.parametrize("name", [algorithm.card.id for algorithm in CARDS.list()])
def test_the_proof_of_a_card(
    name: str, registry: Registry, engine: Predictor, reports: dict[str, CheckReport]
) -> None:
    media = os.environ.get("AIHUB_TEST_MEDIA", "")
    report = reports[name] = check(registry.get(name), engine, media=Path(media) if media else None)
    assert report.failures() == []
    if name in AWAITED:
        assert report.state is Readiness.NEEDS_WEIGHTS
        assert "aihub models pull" in report.reason
    elif media and os.environ.get("AIHUB_MODEL_MIRROR"):
        assert report.state is Readiness.READY, report.reason
        assert report.evidence is not None
        assert not [one.detail for one in report.checks if one.skipped]


def test_so_many_are_ready_and_so_many_on_real_media(reports: dict[str, CheckReport]) -> None:
    """150 with the weights and media of the project, 80 of them on real media; 70 on a machine that has neither."""
    if len(reports) < len(CARDS.list()):
        pytest.skip("not all proofs were run")
    ready = [report for report in reports.values() if report.state is Readiness.READY]
    everything = bool(os.environ.get("AIHUB_TEST_MEDIA") and os.environ.get("AIHUB_MODEL_MIRROR"))
    assert len(ready) >= (150 if everything else 70)
    assert sum(report.evidence == "real" for report in ready) >= (80 if everything else 0)


@pytest.mark.parametrize("name", BARE)
def test_works_on_a_machine_that_has_nothing_but_the_project(name: str, bare: Predictor) -> None:
    """No weights of others, no media: what is drawn is found by models of our own."""
    algorithm = Registry(bare).get(name)
    report = check(algorithm, bare, media=None)
    assert report.failures() == []
    assert report.state is Readiness.READY, report.reason
    for model in algorithm.models():
        assert bare.store.resolve(model).recipe, model  # type: ignore[attr-defined]
