"""The suite `models` on a small graph that is drawn for it; a planted slowdown is found, and none where none is planted."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from aihub.bench import runner, suite
from aihub.bench.compare import compare
from aihub.bench.results import Result, save
from aihub.bench.runtimes.accelerators import together
from aihub.bench.runtimes.bare import BareOnnxRuntime, providers
from aihub.bench.runtimes.graphs import detector
from aihub.bench.runtimes.subjects import drawn, subject
from aihub.bench.stand import NotHereError, Stand
from aihub.cli.bench import REGRESSION, app
from aihub.engine import backends
from aihub.engine.measure import deviation
from aihub.errors import InputError

SMALL: dict[str, Any] = {
    "models": [], "drawn": ["small"], "parts": ["sweep"], "backends": ["onnxruntime"], "precisions": ["f32"], "threads": [1],
    "batches": [1], "turns": 3, "slice_s": 0.05,
}  # fmt: skip
NAME = "speed/drawn-small/onnxruntime-f32-t1-b1"


def measured(folder: Path, **given: Any) -> Result:
    result = runner.run(suite.find("models"), folder, given=SMALL | given)
    assert not result.failure, result.failure
    return result


def test_each_way_to_run_it_is_a_figure_and_a_point_of_the_curves(tmp_path: Path) -> None:
    result = measured(tmp_path, backends=[], precisions=[], threads=[1, 0], batches=[1, 2])
    for name, backend in backends.backends().items():
        for precision in backend.precisions():
            for batch in (1, 2):
                figure = result.figure(f"speed/drawn-small/{name}-{precision}-t1-b{batch}")
                assert len(figure.samples) == 3
                assert figure.value > 0
            agreement = result.figure(f"agreement/drawn-small/{name}-{precision}")
            assert agreement.kind == "accuracy"
            assert agreement.value > (0.999 if precision == "f32" else 0.9)
    throughput, latency = result.curves
    assert throughput.name == "throughput/drawn-small"
    assert {len(line) for line in (*throughput.lines.values(), *latency.lines.values())} == {2}


def test_the_tuned_engine_is_set_beside_every_loop_by_hand(tmp_path: Path) -> None:
    result = measured(
        tmp_path, parts=["tuned"], tune_s=0.5, hand_s=0.05, benchmark_apps=False, turns=1, drawn=["small"]
    )
    best = result.figure("engine-over-best/drawn-small")
    assert best.target is not None
    assert best.met is (best.value >= 0.95)
    assert "ORT defaults" in best.detail
    limit = result.figure("engine-over-limit/drawn-small")
    assert "no benchmark program" in limit.detail
    assert limit.value >= best.value  # the limit has the engine's precision, the best by hand any


@pytest.mark.skipif("CUDA" in providers(), reason="this machine has what the test misses")
def test_an_accelerator_that_is_not_here_is_said_to_be_skipped(tmp_path: Path) -> None:
    result = measured(tmp_path, parts=["accelerators"])
    assert not result.figures
    assert "not CUDA" in result.skipped["drawn-small: CUDA"]
    assert "not Tensorrt" in result.skipped["drawn-small: Tensorrt"]


def test_a_model_that_is_not_here_is_skipped_and_the_rest_is_measured(tmp_path: Path) -> None:
    result = measured(tmp_path, models=["no-such-model"])
    assert "no-such-model" in result.skipped["no-such-model: opening"]
    assert result.figure(NAME).value > 0


def test_scenarios_over_the_engine_give_their_figures(tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason="aihub[bench] is not installed")
    result = measured(tmp_path, parts=["scenarios"], tune_s=0.3, scenario_s=0.2, most_scenario_s=1.5, library=8, turns=1,
                      server_shares=[0.3], server_latency_ms=1000)  # fmt: skip
    for name in ("single-stream-p90", "single-stream-over-bare", "multi-stream-p99", "offline", "offline-over-bare",
                 "server-over-offline", "scenario-agreement"):  # fmt: skip
        assert result.figure(f"{name}/drawn-small").value >= 0
    assert result.figure("scenario-agreement/drawn-small").value > 0.9
    assert list((tmp_path / "loadgen").rglob("mlperf_log_summary.txt"))


@pytest.mark.parametrize(
    "wrong", [{"turns": 0}, {"batches": []}, {"scenarios": ["Onlne"]}, {"drawn": ["x"]}, {"slice_s": 1e9}]
)
def test_wrong_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as told:
        suite.find("models").settings(given=wrong)
    assert next(iter(wrong)) in str(told.value.field)


# A planted slowdown.


def slower(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each run of the engine's sessions, a fifth of what it took is spent again: work, since by CPU a sleep is free."""
    run, block = backends._OnnxRuntimeSession.run, bytes(1 << 15)

    def again(self: Any, feeds: Any) -> Any:
        begun = time.thread_time()
        outputs = run(self, feeds)
        until = begun + 1.2 * (time.thread_time() - begun)
        while time.thread_time() < until:
            hashlib.sha256(block)  # lets other threads run
        return outputs

    monkeypatch.setattr(backends._OnnxRuntimeSession, "run", again)


def test_a_fifth_slower_is_a_regression_and_as_fast_as_before_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turns in (30, 80):  # what cannot be told from noise is measured for longer
        # By CPU seconds: other tests, and other people, may have the machine at the same time.
        given = {"turns": turns, "slice_s": 0.05, "clock": "cpu"}
        first = measured(tmp_path / "work", **given)
        second = measured(tmp_path / "work", **given)
        with monkeypatch.context() as planted:
            slower(planted)
            third = measured(tmp_path / "work", **given)
        before, after = (
            next(change for change in compare(first, later).changes if change.name == NAME)
            for later in (second, third)
        )
        if (before.verdict, after.verdict) == ("same", "worse"):
            break
    assert before.verdict == "same", before
    assert after.verdict == "worse", after
    assert -0.35 < after.change < -0.1
    paths = [str(save(one, tmp_path / str(at))) for at, one in enumerate((first, second, third))]
    same = CliRunner().invoke(app, ["compare", paths[0], paths[1]])
    worse = CliRunner().invoke(app, ["compare", paths[0], paths[2]])
    assert same.exit_code == 0, same.output
    assert worse.exit_code == REGRESSION, worse.output
    assert "worse" in worse.output


# What it measures against.


def test_bound_and_halved_sessions_give_what_the_plain_one_gives() -> None:
    graph, drawing = detector(64, 0.125)
    assert 0 < drawing.flop < 1e8
    feeds = {"images": np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)}
    plain: Any = BareOnnxRuntime(graph, 1).run(feeds)
    bound: Any = BareOnnxRuntime(graph, 1, bound=True).run(feeds)
    half: Any = BareOnnxRuntime(graph, 1, half=True).run(feeds)
    assert plain[0].shape == (1, 84, 64 + 16 + 4)
    assert np.array_equal(bound.get_outputs()[0].numpy(), plain[0])
    assert half[0].dtype == np.float32
    assert 0 < deviation({"found": plain[0]}, {"found": half[0]}) < 0.01


def test_models_that_run_together_keep_a_share_of_what_each_does_alone(tmp_path: Path) -> None:
    stand = Stand(tmp_path, seed=0, quick=True)
    try:
        with drawn(stand, ["small"]) as sketches:
            one = subject(stand, sketches, "drawn-small")
            together(stand, [one, one], "CPU", turns=2, seconds=0.05)
            with pytest.raises(NotHereError, match="not Abacus"):
                together(stand, [one, one], "Abacus", turns=1, seconds=0.05)
    finally:
        stand.close()
    (figure,) = stand.figures
    assert figure.name == "cpu/together"
    assert 0 < figure.value < 4, "two at once do no more than each on cores of its own, give or take noise"
    assert "drawn-small" in figure.detail
