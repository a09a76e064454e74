"""Every shipped model card: valid, unambiguous, and true to its graph where the weights are here."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from aihub.engine.decoding import decoder_for
from aihub.engine.graph import custom_metadata, prepare_graph
from aihub.engine.store import PERMISSIVE
from aihub.plugins import data_folder
from aihub.types import ModelCard, load_card
from tests.engine.bare import card_named, session

FOLDER = data_folder("models")
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if "recipes" not in path.parts)
CARDS = {path.stem: load_card(path, ModelCard) for path in FILES}
COCO = [name for name, card in CARDS.items() if "coco" in card.roles]


def test_there_are_cards() -> None:
    assert {"yolox-nano", "yunet-640", "hyperlpr-y5fu-640", "ppocr-det", "ppocr-rec"} <= set(CARDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_card_is_whole(path: Path) -> None:
    card = load_card(path, ModelCard)
    assert card.name == path.stem, "found by its name"
    assert len(set(card.labels)) == len(card.labels)
    assert card.artifact.source, "says where the weights were published"
    assert card.intended_use
    assert card.limits
    if card.decoder:
        decoder_for(card)
        assert card.labels


def test_ranks_within_a_role_differ() -> None:
    for role in {role for card in CARDS.values() for role in card.roles}:
        ranks = [card.rank for card in CARDS.values() if role in card.roles]
        assert len(set(ranks)) == len(ranks), role


UPGRADES = [name for name, card in CARDS.items() if card.upgrade]


@pytest.mark.parametrize("name", UPGRADES)
def test_an_upgrade_comes_from_a_fixed_address_under_a_permissive_licence(name: str) -> None:
    card = CARDS[name]
    assert card.artifact.uri.startswith("https://")
    assert card.artifact.license in PERMISSIVE
    assert "/main/" not in card.artifact.uri, "an address whose content moves cannot be pinned"
    assert "/master/" not in card.artifact.uri
    assert "not run by us" in card.limits
    assert all(figure.startswith("published ") for figure in card.figures), (
        "what we did not measure is the publisher's"
    )


def test_every_role_with_an_upgrade_has_a_model_that_comes_by_itself() -> None:
    roles = {role for name in UPGRADES for role in CARDS[name].roles}
    assert roles >= {"coco", "face-det", "text-rec"}
    plain = {role for card in CARDS.values() if not card.upgrade for role in card.roles}
    assert roles <= plain


def test_the_city_detector_takes_its_names_from_coco_and_adds_faces() -> None:
    *known, face = CARDS["city-detector"].labels
    assert face == "face"
    assert set(known) < set(CARDS["yolox-nano"].labels)


@pytest.mark.parametrize("name", [name for name in COCO if not CARDS[name].recipe])
def test_coco_models_share_the_names_of_coco(name: str) -> None:
    labels = CARDS[name].labels
    assert len(labels) == 80
    assert labels == CARDS["yolox-nano"].labels, "algorithms select by name, whatever model answers"
    assert (labels[0], labels[9], labels[67], labels[79]) == (
        "person", "traffic light", "cell phone", "toothbrush",
    )  # fmt: skip


def _file(card: ModelCard, mirror: Path) -> Path:
    path = mirror / (card.artifact.mirror or "")
    if not path.is_file():
        pytest.skip(f"the mirror has no {card.artifact.mirror}")
    return path


@pytest.mark.weights
@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.artifact.mirror])
def test_card_and_graph_fit(name: str, mirror: Path) -> None:
    card = CARDS[name]
    data = _file(card, mirror).read_bytes()
    stated = card.artifact
    assert stated.bytes in (None, len(data))
    assert stated.sha256 in (None, hashlib.sha256(data).hexdigest())
    if card.input is None:
        return
    ready = session(prepare_graph(data, card))
    (given,) = ready.get_inputs()
    assert (given.name, given.type) == (card.input.name, "tensor(uint8)")
    grey = np.full((2, *card.input.size, 3), 114, np.uint8)
    if given.shape[0] == 1:
        grey = grey[:1]
    names = [output.name for output in ready.get_outputs()]
    outputs = dict(zip(names, ready.run(None, {given.name: grey}), strict=True))
    if card.decoder:
        found = decoder_for(card).decode(outputs, 0.9)
        assert [len(item) for item in found] == [0] * len(grey), "labels fit the outputs; grey shows nothing"


@pytest.mark.parametrize(
    "name", [name for name, card in CARDS.items() if card.artifact.uri.startswith("pkg:")]
)
def test_what_comes_in_a_wheel_is_what_the_card_says(name: str) -> None:
    artifact = CARDS[name].artifact
    package, _, inside = artifact.uri.removeprefix("pkg:").partition("/")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    path = Path(found.submodule_search_locations[0]) / inside
    if not path.is_file():
        pytest.skip(f"this version of {package} carries other models")
    data = path.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (artifact.bytes, artifact.sha256)


def test_the_text_reader_carries_its_characters() -> None:
    artifact = card_named("ppocr-rec").artifact
    found = importlib.util.find_spec("rapidocr")
    if found is None or not found.submodule_search_locations:
        pytest.skip("rapidocr is not installed")
    path = Path(found.submodule_search_locations[0]) / artifact.uri.removeprefix("pkg:rapidocr/")
    if not path.is_file():
        pytest.skip("this version of rapidocr carries other models")
    characters = custom_metadata(path.read_bytes())["character"].split("\n")
    assert len(characters) == 18708
    assert all(len(character) == 1 for character in characters)
