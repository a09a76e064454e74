"""What the costs are made of: equations that give back what was put in, keys that chains share, one small real measurement."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aihub.algorithms.chains import links_of, work_keys
from aihub.algorithms.registry import Registry
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams import costing
from aihub.bench.streams.costing import Gathered
from aihub.bench.streams.hosting import Taken
from aihub.bench.suite import find
from aihub.bench.suites import planner
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
    assert not costing._decoded_for_nothing(found, base)
    assert base.cores("H264", 2.0, 25, 5) == pytest.approx((3 + 25 * 2.5 + 5 * 1.0) / 1e3)


def test_a_run_that_finds_decoding_free_is_replaced_by_longer_ones_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads of the process may cost more than a small picture: a plan that takes decoding for free misleads."""
    stand = Stand(tmp_path)
    lasted = []

    def without(self: costing.Costing, urls: object, fps: float, *, remember_memory: bool = False) -> None:
        lasted.append(self._seconds)
        self.found.codecs[1.0] = "H264"
        sent = 5.0 if len(lasted) % 3 == 0 else 10.0
        drowned = len(lasted) <= 3 * noisy
        self.found.rows.append((1.0, 1, sent, 0.5, 0.02 if drowned else sent / 1e3))

    monkeypatch.setattr(costing.Costing, "_without", without)
    monkeypatch.setattr(costing.Costing, "_key_frames", lambda *_: None)
    try:
        noisy = 1
        found = costing.Costing(stand, (TINY,), seconds=1, streams=1, fps=2).baseline()
        assert found.decode["H264"].at(1.0) == pytest.approx(1.0)
        assert lasted == [1, 1, 1, 2, 2, 2]
        lasted, noisy = [], costing.TURNS
        with pytest.raises(
            NotHereError, match=r"decoding H264 cannot be told .* more `streams` or `seconds`"
        ):
            costing.Costing(stand, (TINY,), seconds=1, streams=1, fps=2).baseline()
        assert len(lasted) == 3 * costing.TURNS
    finally:
        stand.close()


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
def test_a_small_measurement_can_be_planned_with(tmp_path: Path) -> None:
    """An algorithm without a model, on one small clip, in a process of its own as people run it: CPU is counted by process."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "aihub", "bench", "run", "costs", "--quick", "--json"]
    command += ["--out", str(tmp_path / "bench")]
    chosen = {"clips": [TINY], "algorithms": ["motion-detection"], "seconds": 2, "streams": 1, "fps": 4}
    command += [word for name, value in chosen.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    ran = subprocess.run(
        command, env={**os.environ, "AIHUB_HOME": str(home)}, capture_output=True, text=True, timeout=200
    )
    assert ran.returncode == 0, ran.stderr
    (result,) = json.loads(ran.stdout)
    assert not result["failure"]
    assert not result["skipped"]
    found = remembered(home)
    assert found == load(home / FILE)
    group = StreamGroup(streams=1, algorithms=("motion-detection",), resolution="240p", fps=5, source_fps=10)
    one = load_of(group, found)
    assert one.parts["decode"] > 0
    assert one.parts["stages"] > 0
    assert one.cores < 1
    assert found.memory.process_mb > 20
    assert {figure["name"] for figure in result["figures"]} >= {
        "stream",
        "algorithm/motion-detection/alone",
        "memory/process",
    }


@pytest.mark.parametrize("name", ["costs", "planner"])
def test_the_suites_settings_are_their_own(name: str) -> None:
    suite = find(name)
    assert suite.settings(quick=True) != suite.settings()
    assert suite.card.quick_minutes < suite.card.minutes
