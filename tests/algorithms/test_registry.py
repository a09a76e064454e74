"""Folders of cards: broken ones are listed with cause, changes are picked up, a listing is fast."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.registry import Registry
from aihub.errors import AlgorithmNotFoundError
from aihub.plugins import PluginFailure
from aihub.testing import FakePredictor
from aihub.types import AnyResult, Frame, Quality, Readiness

DETECT = [{"detect": {"model": "coco"}}]
WriteCard = Callable[..., Path]


def test_lists_all_sound_cards_below_its_folders(tmp_path: Path, write_card: WriteCard) -> None:
    write_card("beta", DETECT)
    write_card("alpha", DETECT)
    registry = Registry(FakePredictor(), [tmp_path / "cards"])
    assert [algorithm.card.id for algorithm in registry.list()] == ["alpha", "beta"]
    assert registry.get("alpha").card.id == "alpha"
    assert registry.failures == []


def test_an_unknown_name_suggests_the_nearest(tmp_path: Path, write_card: WriteCard) -> None:
    write_card("person-detection", DETECT)
    registry = Registry(FakePredictor(), [tmp_path / "cards"])
    with pytest.raises(AlgorithmNotFoundError, match="did you mean 'person-detection'"):
        registry.get("persons-detection")


@pytest.mark.parametrize(
    ("text", "cause", "field", "reason"),
    [
        ("id: [", "", None, "no YAML"),
        ("- a\n- b\n", "mapping", None, "a list"),
        ("", "mapping", None, "empty"),
        ("id: x\n", "title", "title", "fields are missing"),
        ("\x00", "", None, "not text"),
        ("id: !!int x\n", "cannot be read", None, "not what its tag says"),
        ("id: 2001-02-30\n", "cannot be read", None, "a day that there is not"),
        (
            "id: " + "[" * 200_000 + "]" * 200_000,
            "at most",
            None,
            "so deep that the parser would end the process",
        ),
        ("a: &a [x]\nb: *a\n", "aliases", None, "an alias"),
    ],
)
def test_a_broken_card_is_listed_and_stops_nobody(
    tmp_path: Path, write_card: WriteCard, text: str, cause: str, field: str | None, reason: str
) -> None:
    sound = write_card("sound", DETECT)
    bad = sound.with_name("bad.yaml")
    bad.write_text(text)
    registry = Registry(FakePredictor(), [tmp_path / "cards"])
    assert [algorithm.card.id for algorithm in registry.list()] == ["sound"], reason
    (failure,) = registry.failures
    assert str(bad) in failure.where
    assert cause in failure.message
    assert failure.field == field
    with pytest.raises(AlgorithmNotFoundError, match="its card is broken"):
        registry.get("bad")


def test_a_card_with_an_unknown_stage_says_file_and_field(tmp_path: Path, write_card: WriteCard) -> None:
    path = write_card("odd", [{"detekt": {"model": "coco"}}])
    (failure,) = Registry(FakePredictor(), [tmp_path / "cards"]).failures
    assert failure.where == str(path)
    assert failure.field == "stages.0.detekt"
    assert "did you mean 'detect'" in str(failure)


def test_an_id_may_occur_once(tmp_path: Path, write_card: WriteCard) -> None:
    first = write_card("one", DETECT)
    twin = first.with_name("two.yaml")
    twin.write_text(first.read_text())
    registry = Registry(FakePredictor(), [tmp_path / "cards"])
    assert len(registry.list()) == 1
    (failure,) = registry.failures
    assert failure.field == "id"
    assert str(first) in failure.message
    assert failure.where == str(twin)


def test_scenarios_are_no_algorithms(tmp_path: Path, write_card: WriteCard) -> None:
    path = write_card("one", DETECT)
    other = tmp_path / "cards" / "scenarios" / "campus.yaml"
    other.parent.mkdir()
    other.write_text("name: campus\n")
    registry = Registry(FakePredictor(), [tmp_path / "cards"])
    assert [algorithm.path for algorithm in registry.list()] == [path]
    assert registry.failures == []


def test_reload_sees_what_is_new_changed_and_gone(tmp_path: Path, write_card: WriteCard) -> None:
    kept, changed, gone = (write_card(name, DETECT) for name in ("kept", "changed", "gone"))
    registry = Registry(FakePredictor(), [tmp_path / "cards"])
    before = registry.get("kept"), registry.get("changed")
    gone.unlink()
    changed.write_text(changed.read_text().replace("summary: For tests.", "summary: Changed."))
    write_card("new", DETECT)
    os.utime(changed, ns=(time.time_ns(), time.time_ns() + 1))
    registry.reload()
    assert [algorithm.card.id for algorithm in registry.list()] == ["changed", "kept", "new"]
    assert registry.get("kept") is before[0]
    assert registry.get("changed").card.summary == "Changed."
    assert kept.is_file()
    changed.write_text("id: [")
    registry.reload()
    assert len(registry.failures) == 1
    assert before[1].card.summary == "For tests."  # what runs keeps its card


def test_weights_that_are_not_here_are_named_with_the_command(tmp_path: Path, write_card: WriteCard) -> None:
    write_card("one", DETECT)
    registry = Registry(FakePredictor(missing=["coco"]), [tmp_path / "cards"])
    state, reason = registry.get("one").readiness()
    assert state is Readiness.NEEDS_WEIGHTS
    assert "aihub models pull coco" in reason
    assert "AIHUB_MODEL_MIRROR" in reason


class _AbsentParams(StageParams):
    pass


class _Absent(Stage[_AbsentParams]):
    name = "test-absent-package"

    @classmethod
    def unavailable(cls) -> str:
        return "the package nonesuch is not installed: run `pip install nonesuch`"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        raise NotImplementedError


def test_a_missing_package_makes_it_broken_with_the_line_that_brings_it(
    tmp_path: Path, write_card: WriteCard
) -> None:
    write_card("one", [{"test-absent-package": {}}])
    state, reason = Registry(FakePredictor(), [tmp_path / "cards"]).get("one").readiness()
    assert state is Readiness.BROKEN
    assert "pip install" in reason


def test_a_card_whose_stage_came_from_a_broken_plugin_says_so(tmp_path: Path, write_card: WriteCard) -> None:
    write_card("odd", [{"radar": {}}])
    registry = Registry(FakePredictor(), [tmp_path / "cards"])
    registry.plugin_failures = (PluginFailure("aihub.algorithms", "radar", "ImportError: no libradar"),)
    registry.reload()
    (failure,) = registry.failures
    assert "plug-in radar is broken: ImportError: no libradar" in str(failure)


def test_a_hundred_and_fifty_cards_are_listed_in_half_a_second(tmp_path: Path, write_card: WriteCard) -> None:
    params: dict[str, Any] = {
        f"p{n}": {"type": "number", "default": 0.5, "minimum": 0, "maximum": 1, "description": "d"}
        for n in range(4)
    }
    for number in range(150):
        write_card(f"card-{number}", [*DETECT, {"filter": {"confidence": "$p1"}}], params=params)
    spent = []
    for _ in range(3):
        begun = time.process_time()
        registry = Registry(FakePredictor(), [tmp_path / "cards"])
        states = [algorithm.readiness()[0] for algorithm in registry.list()]
        spent.append(time.process_time() - begun)
    assert states == [Readiness.READY] * 150
    assert min(spent) < 0.5


def test_importing_the_registry_is_light() -> None:
    heavy = "cv2", "onnxruntime", "openvino", "ray", "sqlalchemy", "fastapi", "scipy"
    script = f"import sys, aihub.algorithms.registry, aihub.testing; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
