"""A profile adds up, through real streams; no weights are needed for algorithms without models."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from aihub.algorithms.base import stage_type
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams import profile
from aihub.bench.streams.cameras_apart import cameras_apart, source_of
from aihub.bench.streams.hosting import Hosted, Watched, hosted
from aihub.bench.streams.profile import Asked
from aihub.errors import InputError
from aihub.telemetry import FRAME_SECONDS, STAGE_SECONDS

TINY = "drawn:yard@160x90,10fps"


def test_a_profile_of_a_tiny_clip_sums_to_the_wall() -> None:
    found, lacking = profile.run(Asked(TINY, ("motion-detection",), fps=10, seconds=2))
    assert lacking == ""
    assert found.frames >= 5
    known = sum(step.ms for step in found.steps if step.share is not None)
    assert known - found.parallel_ms == pytest.approx(found.wall_ms, rel=0.02)
    assert found.parallel_ms <= 0.1 * found.wall_ms  # no model, so nothing runs side by side
    names = {step.name for step in found.steps if step.ms > 0}
    assert {"decode", "convert", "wait", "rules"} <= names or {"decode", "wait", "stage motion"} <= names
    other = next(step for step in found.steps if step.name == "other")
    assert other.ms < 0.5 * found.wall_ms


def test_what_does_not_exist_is_told_by_the_process_that_finds_out() -> None:
    with pytest.raises(InputError, match="motion-detectoin"):
        profile.run(Asked(TINY, ("motion-detectoin",), seconds=1))


def test_cameras_end_with_the_block() -> None:
    with cameras_apart([TINY], 2) as apart:
        assert len(set(apart.urls)) == 2
        port = apart.urls[0].split(":")[2].split("/")[0]
    listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, timeout=10, check=False).stdout
    assert f":{port} " not in listening


@pytest.mark.parametrize("name", ["absent.mp4", "drawn:moon@640x360", "drawn:yard@6x360"])
def test_sources_that_are_none(name: str) -> None:
    with pytest.raises(InputError):
        source_of(name)


def test_streams_are_counted_by_stage(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    algorithm = stand.registry.get("motion-detection")
    stages = [kind.name for kind, _ in algorithm.resolve({}).stages]
    before = {name: _count(STAGE_SECONDS, name) for name in stages}
    waited = _count(FRAME_SECONDS, "wait")
    try:
        with (
            cameras_apart([TINY]) as apart,
            hosted(
                stand.engine, stand.registry, [Watched(apart.urls[0], (algorithm.card.id,), 10)]
            ) as running,
        ):
            taken = running.take(1.0)
    finally:
        stand.close()
    assert taken.analysed[0] >= 5
    assert taken.size == ((160, 90),)
    assert taken.spent
    assert all(own >= 0 and models == 0 for own, models in taken.spent.values())
    for name in stages:
        assert _count(STAGE_SECONDS, name) - before[name] >= taken.analysed[0]
    assert _count(FRAME_SECONDS, "wait") - waited >= taken.analysed[0]


def test_an_algorithm_that_cannot_run_is_not_here(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        with cameras_apart([TINY]) as apart:
            running = Hosted(stand.engine, stand.registry, [Watched(apart.urls[0], ("nobody",), 10)])
            with closing(running), pytest.raises(NotHereError, match="nobody"):
                running.start()
    finally:
        stand.close()


def test_rules_are_told_from_other_stages() -> None:
    assert profile._is_rule("presence")
    assert not profile._is_rule("select")
    assert stage_type("presence").name == "presence"


def _count(histogram: object, label: str) -> float:
    return sum(
        sample.value
        for family in histogram.collect()  # type: ignore[attr-defined]
        for sample in family.samples
        if sample.name.endswith("_count") and label in sample.labels.values()
    )
