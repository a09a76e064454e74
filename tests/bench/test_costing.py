"""What the costs are made of: equations that give back what was put in, keys that chains share, one small real measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

from aihub.algorithms.chains import links_of, work_keys
from aihub.algorithms.registry import Registry
from aihub.bench.stand import Stand
from aihub.bench.streams import costing
from aihub.bench.streams.costing import Gathered
from aihub.bench.streams.hosting import Taken
from aihub.bench.suite import find
from aihub.bench.suites import costs, planner
from aihub.capacity.costs import FILE, load, remembered
from aihub.capacity.load import load_of
from aihub.types.capacity import StreamGroup
from tests.capacity.invented import ROUND

TINY = "drawn:yard@320x180,10fps"


def test_the_runs_are_solved_for_what_they_are_made_of() -> None:
    found = Gathered()
    found.codecs = {2.0: "H264", 0.5: "H264"}
    for mpixel, sent, analysed in ((2.0, 50, 1), (2.0, 50, 50), (0.5, 50, 1), (0.5, 50, 50), (0.5, 10, 1)):
        ms = 2 * 3.0 + sent * (0.5 + 1.0 * mpixel) + analysed * (0.2 + 0.4 * mpixel)
        found.rows.append((mpixel, 2, sent, analysed, ms / 1e3))
    base = costing._solve(found)
    assert base.stream_ms_s == pytest.approx(3.0)
    assert base.decode["H264"].at(1.0) == pytest.approx(1.5)
    assert base.sample.at(1.0) == pytest.approx(0.6)
    assert base.cores("H264", 2.0, 25, 5) == pytest.approx((3 + 25 * 2.5 + 5 * 1.0) / 1e3)


def test_chains_share_exactly_their_equal_beginnings(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        registry: Registry = stand.registry
        keys = {
            name: work_keys(links_of(registry.get(name).resolve({}).stages))
            for name in ("person-detection", "people-counting", "fire-smoke-detection")
        }
    finally:
        stand.close()
    people, counting, fire = keys.values()
    assert people[:2] == counting[:2]  # detect, select
    assert people[0] != fire[0]
    assert len({*people, *counting, *fire}) == len(people) + len(counting) - 2 - (
        people[2] == counting[2]
    ) + len(fire)


def test_prediction_counts_every_stream_at_the_rates_it_had() -> None:
    parts = [planner.Part(clip="x", algorithms=("people",), fps=5)] * 2
    taken = Taken(2.0, 0.5, read=(50, 40), analysed=(10, 8), size=((640, 360),) * 2, codec=("H264",) * 2)
    expected = 2 * 2 + (25 + 20) * 2 + (5 + 4) * 14
    assert planner.predicted_cores(ROUND, parts, taken) == pytest.approx(expected / 1e3)


def test_a_mix_of_what_could_not_be_measured_is_skipped_with_its_reason(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    mix = (planner.Part(clip=TINY, algorithms=("people", "absent"), fps=1),)
    with stand.part("mix x"):
        planner._mix(stand, planner.Settings(), ROUND, "x", mix)
    assert stand.skipped == {"mix x": "not measured alone: absent"}
    assert not stand.figures


@pytest.mark.timeout(240)
def test_a_small_measurement_can_be_planned_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An algorithm without a model, on one small clip: fast, and through everything that the suite goes through."""
    monkeypatch.setenv("AIHUB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(costing, "KEY_SPACING_S", 0.5)
    stand = Stand(tmp_path / "work")
    settings = costs.Settings(clips=(TINY,), algorithms=("motion-detection",), seconds=1, streams=1, fps=2)
    try:
        costs.run(stand, settings)
    finally:
        stand.close()
    found = remembered(tmp_path / "home")
    assert found == load(tmp_path / "home" / FILE)
    group = StreamGroup(streams=1, algorithms=("motion-detection",), resolution="240p", fps=5, source_fps=10)
    one = load_of(group, found)
    assert one.parts["decode"] > 0
    assert one.parts["stages"] > 0
    assert one.cores < 1
    assert found.memory.process_mb > 20
    assert {figure.name for figure in stand.figures} >= {
        "stream",
        "algorithm/motion-detection/alone",
        "memory/process",
    }


@pytest.mark.parametrize("name", ["costs", "planner"])
def test_the_suites_settings_are_their_own(name: str) -> None:
    suite = find(name)
    assert suite.settings(quick=True) != suite.settings()
    assert suite.card.quick_minutes < suite.card.minutes
