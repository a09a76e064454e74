"""The suites `streams`, `sharing` and `alarms`: their settings, and the one that a drawn clip is enough for."""

from __future__ import annotations

from pathlib import Path

import pytest

from aihub.bench import suite
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.clips import SHAPES, encoded_clip
from aihub.bench.suites import sharing
from aihub.errors import InputError


@pytest.mark.parametrize("name", ["streams", "sharing", "alarms"])
@pytest.mark.parametrize("quick", [True, False])
def test_settings_are_sound(name: str, quick: bool) -> None:
    found = suite.find(name)
    settings = found.settings(quick=quick)
    assert settings.model_dump(mode="json")
    documented = found.options.__doc__ or ""
    assert [field for field in found.options.model_fields if f"{field}:" not in documented] == []
    assert found.card.quick_minutes <= 3


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(InputError, match="shapes"):
        suite.find("streams").settings(given={"shapes": ["4k"]})


def test_fifty_algorithms_are_fifty_different_ones(tmp_path: Path) -> None:
    assert len(sharing.FIFTY) == 50
    assert len({(name, str(params)) for name, params in sharing.FIFTY}) == 50
    stand = Stand(tmp_path)
    try:
        models = {tuple(algorithm.models()) for algorithm, _ in sharing.tasks(stand, 50)}
        assert models == {("coco",)}
        for algorithm, params in sharing.tasks(stand, 50):
            algorithm.resolve(params)
        with pytest.raises(NotHereError):
            sharing.tasks(stand, 51)
    finally:
        stand.close()


@pytest.mark.weights
@pytest.mark.usefixtures("mirror")
def test_sharing_measures_a_drawn_clip(tmp_path: Path) -> None:
    settings = sharing.Settings(
        clip="drawn:yard", frames=4, counts=(1, 3, 50), picture="", turns=1, repeats=2, tune_s=0
    )
    stand = Stand(tmp_path)
    try:
        sharing.run(stand, settings)
    finally:
        stand.close()
    assert not stand.skipped
    figures = {figure.name: figure for figure in stand.figures}
    assert set(figures) == {"algorithms-over-one/10", "algorithms-over-one/50", "call-over-dearest/10"}
    assert all(figure.value > 0 and len(figure.samples) == 1 for figure in figures.values())
    (curve,) = stand.curves
    assert [count for count, _ in curve.lines["CPU of a frame"]] == [1, 3, 10, 50]


@pytest.mark.weights
@pytest.mark.usefixtures("mirror")
def test_a_clip_that_is_not_there_skips_its_part_and_the_rest_goes_on(tmp_path: Path) -> None:
    settings = sharing.Settings(clip="drawn:nothing", picture="", turns=1, repeats=1, tune_s=0)
    stand = Stand(tmp_path)
    try:
        sharing.run(stand, settings)
    finally:
        stand.close()
    assert list(stand.skipped) == ["algorithms on one stream", "algorithms on one picture"]
    assert "yard" in stand.skipped["algorithms on one stream"]
    assert not stand.figures


def test_without_an_encoder_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotHereError, match=r"gstreamer1\.0-tools"):
        encoded_clip(tmp_path, Path("none.mp4"), SHAPES["360p25"], seconds=1, key_every_s=1)
