"""MLPerf's load generator over a system whose latency is known."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aihub.bench.mlperf import scenarios
from aihub.bench.mlperf.scenarios import Answer, Rules, accuracy, performance
from aihub.bench.stand import NotHereError
from aihub.errors import CapacityError

pytest.importorskip("mlperf_loadgen", reason="aihub[bench] is not installed")

TAKES_S = 0.004
LANES = 4


class Sleeper:
    """Answers each sample after a sleep, so many at once."""

    samples = 16

    def __init__(self, takes_s: float = TAKES_S, lanes: int = LANES) -> None:
        self.pool = ThreadPoolExecutor(lanes)
        self.takes_s = takes_s

    def issue(self, samples: Sequence[int], answer: Answer) -> None:
        for at, sample in enumerate(samples):
            self.pool.submit(self._one, at, sample, answer)

    def _one(self, at: int, sample: int, answer: Answer) -> None:
        time.sleep(self.takes_s)
        answer(at, f"answer {sample}".encode())


def rules(scenario: str, **given: object) -> Rules:
    return Rules.model_validate({"scenario": scenario, "seconds": 0.4, "most_seconds": 5} | given)


def test_a_single_stream_is_as_slow_as_the_system_and_valid(tmp_path: Path) -> None:
    outcome = performance(Sleeper(), rules("SingleStream"), tmp_path)
    assert outcome.valid, outcome.reason
    assert 4.0 <= outcome.p50_ms <= outcome.p90_ms <= outcome.p99_ms
    assert outcome.qps <= 1 / TAKES_S
    assert outcome.queries >= 64
    assert "SingleStream" in (tmp_path / "mlperf_log_summary.txt").read_text()


def test_a_query_of_multi_stream_waits_for_its_last_sample(tmp_path: Path) -> None:
    # Eight samples on four lanes: two sleeps.
    outcome = performance(Sleeper(), rules("MultiStream"), tmp_path)
    assert outcome.p50_ms >= 8.0
    assert outcome.qps <= LANES / TAKES_S


def test_offline_reaches_what_the_lanes_can_do_and_no_more(tmp_path: Path) -> None:
    outcome = performance(Sleeper(), rules("Offline"), tmp_path)
    assert 1 / TAKES_S < outcome.qps <= LANES / TAKES_S


def test_a_server_that_keeps_its_bound_is_valid_and_one_that_cannot_is_not(tmp_path: Path) -> None:
    kept = performance(Sleeper(lanes=32), rules("Server", target_qps=500, queries=600, latency_ms=500), tmp_path)  # fmt: skip
    assert kept.valid, kept.reason
    late = performance(Sleeper(), rules("Server", target_qps=100, latency_ms=1), tmp_path)
    assert not late.valid
    assert "latency" in late.reason


def test_too_few_queries_for_the_rules_are_no_valid_result(tmp_path: Path) -> None:
    short = performance(Sleeper(lanes=32), rules("Server", target_qps=100, queries=10, latency_ms=500), tmp_path)  # fmt: skip
    assert not short.valid
    assert short.reason


def test_accuracy_mode_asks_for_each_sample_once(tmp_path: Path) -> None:
    answers = accuracy(Sleeper(), rules("Offline"), tmp_path)
    assert answers == {index: f"answer {index}".encode() for index in range(Sleeper.samples)}


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Offline"])
def test_what_the_system_raises_is_raised_and_the_next_test_runs(scenario: str, tmp_path: Path) -> None:
    class Breaks(Sleeper):
        count = 0

        def _one(self, at: int, sample: int, answer: Answer) -> None:
            self.count += 1
            # Not before LoadGen asks: its planning asks 40 times.
            answer(at, ValueError("no such picture") if self.count > 45 else b"")

    with pytest.raises(ValueError, match="no such picture"):
        performance(Breaks(), rules(scenario, target_qps=200), tmp_path)
    assert performance(Sleeper(), rules("SingleStream"), tmp_path).valid


def test_a_system_that_stops_answering_is_given_up_and_the_next_test_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenarios, "_LEAVE_S", 1.0)

    class Stops(Sleeper):
        count = 0

        def _one(self, at: int, sample: int, answer: Answer) -> None:
            self.count += 1
            if self.count < 45:
                answer(at, b"")

    begun = time.monotonic()
    with pytest.raises(CapacityError, match="unanswered"):
        performance(Stops(), rules("SingleStream", most_seconds=0.5), tmp_path)
    assert time.monotonic() - begun < 5
    assert performance(Sleeper(), rules("SingleStream"), tmp_path).valid
    assert threading.active_count() < 50


def test_without_loadgen_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(NotHereError) as told:
        performance(Sleeper(), rules("Offline"), tmp_path)
    assert "aihub[bench]" in told.value.message
