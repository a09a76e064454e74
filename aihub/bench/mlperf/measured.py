"""A model of the engine under MLPerf's scenarios, beside the bare session in the same turns."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aihub.bench.mlperf import scenarios
from aihub.bench.mlperf.engine_system import EngineSystem, packed
from aihub.bench.mlperf.scenarios import Outcome, Rules, Scenario
from aihub.bench.runtimes.bare import Bare, Feeds, alone, bare_session, in_lanes
from aihub.bench.runtimes.subjects import Subject
from aihub.bench.runtimes.sweep import copied_run
from aihub.bench.stand import Stand
from aihub.engine.backends import backends
from aihub.engine.machine import cores
from aihub.engine.measure import deviation
from aihub.engine.session import RunSettings

ANSWERS = 16
"""Samples of the accuracy run at most: each answer goes through LoadGen's log as text."""
SERVER_QUERIES = 500
"""MLPerf's early stopping calls no Server run of fewer valid (459 without a single late one)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the scenarios are driven; fields as in the settings of the suite `models`."""

    scenarios: Sequence[Scenario]
    seconds: float
    most_seconds: float
    server_latency_ms: float
    server_shares: Sequence[float]
    library: int
    turns: int


class Driver:
    """One model under LoadGen.

    Args:
        stand: figures and logs go there.
        subject: tuned already.
        plan: of the runs.
    """

    def __init__(self, stand: Stand, subject: Subject, plan: Plan) -> None:
        self.stand, self.subject, self.plan = stand, subject, plan
        self.library = _library(subject, plan.library, stand.seed)
        self.system = EngineSystem(subject.engine, subject.name, self.library, flying=32 * cores())
        self._runs = 0

    def run(self, scenario: Scenario, **given: float) -> Outcome:
        """Performance mode; logs in a folder of their own."""
        return scenarios.performance(self.system, self.rules(scenario, **given), self.folder(scenario))

    def rules(self, scenario: Scenario, **given: float) -> Rules:
        """Of a run by this plan."""
        base = {"scenario": scenario, "seconds": self.plan.seconds, "most_seconds": self.plan.most_seconds,
                "seed": self.stand.seed}  # fmt: skip
        return Rules.model_validate(base | given)

    def folder(self, scenario: str) -> Path:
        """For the logs of the next run."""
        self._runs += 1
        return self.stand.folder / "loadgen" / self.subject.slug / f"{self._runs:02}-{scenario}"

    def note(
        self,
        slug: str,
        outcome: Outcome,
        samples: Sequence[float],
        title: str,
        unit: str,
        *,
        step: bool = False,
    ) -> None:
        """An absolute figure of some runs, of which `outcome` is the last; `step` for one that hangs on a choice in steps."""
        words = "valid" if outcome.valid else f"not valid by MLPerf's rules: {outcome.reason}"
        scenario = outcome.rules.scenario
        self.stand.add(
            f"{slug}/{self.subject.slug}", f"{self.subject.name}, {scenario}: {title}", statistics.median(samples), unit=unit,
            kind="time" if unit == "ms" else "rate", better="neither" if step else "lower" if unit == "ms" else "higher", samples=samples,
            detail=f"{words}; {outcome.qps:.4g} samples/s, p50 {outcome.p50_ms:.3g}, p90 {outcome.p90_ms:.3g}, p99 "
                   f"{outcome.p99_ms:.3g} ms, {outcome.queries} queries",
            labels={"model": self.subject.name, "scenario": scenario, "valid": "yes" if outcome.valid else "no"},
        )  # fmt: skip


def driven(stand: Stand, subject: Subject, plan: Plan) -> None:
    """Add figures of each scenario, and of the answers that accuracy mode gathers.

    Raises:
        NotHereError: LoadGen is not installed.
    """
    driver = Driver(stand, subject, plan)
    _, bare = bare_session(subject.engine, subject.name)
    try:
        if "SingleStream" in plan.scenarios:
            _single(driver, bare)
        if "MultiStream" in plan.scenarios:
            runs = [driver.run("MultiStream") for _ in range(min(3, plan.turns))]
            outcome = runs[-1]
            driver.note("multi-stream-p99", outcome, [one.p99_ms for one in runs], f"p99 of a query of {outcome.rules.samples_per_query}", "ms")  # fmt: skip
        if "Offline" in plan.scenarios or "Server" in plan.scenarios:
            offline = _offline(driver, bare)
            if "Server" in plan.scenarios:
                _server(driver, offline)
    finally:
        bare.close()
    _answers(driver)


def _library(subject: Subject, count: int, seed: int) -> list[Feeds]:
    """Samples that differ: the example, with its values rolled along."""
    random, example = np.random.default_rng(seed), subject.feeds()
    return [
        {name: np.roll(value, int(random.integers(max(1, value.size)))) for name, value in example.items()}
        for _ in range(count)
    ]


def _single(driver: Driver, bare: Bare) -> None:
    outcomes: list[Outcome] = []
    samples = itertools.cycle(driver.library)

    def loadgen() -> float:
        outcomes.append(driver.run("SingleStream", seconds=driver.plan.seconds / 2))
        return outcomes[-1].p50_ms

    taken = driver.stand.take_turns(
        {"bare session": lambda: 1e3 * alone(lambda: bare.run(next(samples)), driver.plan.seconds / 4), "SingleStream": loadgen},
        min(3, driver.plan.turns),
    )  # fmt: skip
    last = outcomes[-1]
    driver.note("single-stream-p90", last, [one.p90_ms for one in outcomes[1:]], "p90 latency", "ms")  # fmt: skip
    driver.stand.ratio(f"single-stream-over-bare/{driver.subject.slug}",
                       f"{driver.subject.name}, SingleStream: p50 latency / that of the bare session", taken, "SingleStream",
                       "bare session", detail=f"{taken.median('SingleStream'):.3g} against {taken.median('bare session'):.3g} ms")  # fmt: skip


def _offline(driver: Driver, bare: Bare) -> Outcome:
    """Against the bare session with one thread a core, which is what an offline job written by hand would do."""
    outcomes: list[Outcome] = []
    feeds = driver.library[0]

    def loadgen() -> float:
        outcomes.append(driver.run("Offline"))
        return 1 / outcomes[-1].qps

    taken = driver.stand.take_turns(
        {"bare loop": lambda: in_lanes(lambda: bare.run(feeds), cores(), driver.plan.seconds / 2), "Offline": loadgen},
        min(3, driver.plan.turns),
    )  # fmt: skip
    driver.note("offline", outcomes[-1], [one.qps for one in outcomes[1:]], "throughput", "samples/s")  # fmt: skip
    driver.stand.ratio(f"offline-over-bare/{driver.subject.slug}",
                       f"{driver.subject.name}, Offline: throughput / that of the bare loop", taken, "bare loop", "Offline",
                       better="higher", detail=f"{1 / taken.median('Offline'):.4g} against {1 / taken.median('bare loop'):.4g} samples/s")  # fmt: skip
    return outcomes[-1]


def _server(driver: Driver, offline: Outcome) -> None:
    """The largest share of the Offline throughput that holds the bound; 0 where none of those tried does."""
    tried: list[str] = []
    held, outcome = 0.0, offline
    for share in sorted(driver.plan.server_shares, reverse=True):
        outcome = driver.run("Server", target_qps=share * offline.qps, latency_ms=driver.plan.server_latency_ms,
                             queries=SERVER_QUERIES)  # fmt: skip
        tried.append(
            f"{share:g}: p99 {outcome.p99_ms:.3g} ms, {'valid' if outcome.valid else 'not valid: ' + outcome.reason}"
        )
        if outcome.valid:
            held = share
            break
    bound = f"p99 <= {driver.plan.server_latency_ms:g} ms"
    driver.note("server-p99", outcome, [outcome.p99_ms], "p99 latency at that rate", "ms", step=True)
    driver.stand.add(f"server-over-offline/{driver.subject.slug}",
                     f"{driver.subject.name}, Server: arrivals held with {bound} / Offline throughput", held, kind="count", better="neither",
                     detail=f"of {offline.qps:.4g} samples/s; {'; '.join(tried)}", labels={"bound": bound})  # fmt: skip


def _answers(driver: Driver) -> None:
    """Accuracy mode: what LoadGen gathered from the tuned engine, against float32."""
    subject, library = driver.subject, driver.library[:ANSWERS]
    system = EngineSystem(subject.engine, subject.name, library, flying=4 * cores(), answers=True)
    answers = scenarios.accuracy(system, driver.rules("Offline"), driver.folder("accuracy"))
    runtime = "onnxruntime" if "onnxruntime" in backends() else next(iter(backends()))
    exact = RunSettings(runtime, batch=1 if subject.pictures else 0)
    worst = max(
        deviation({"row": _row(packed(copied_run(subject, exact, feeds)))}, {"row": _row(answers[index])})
        for index, feeds in enumerate(library)
    )
    driver.stand.add(f"scenario-agreement/{subject.slug}", f"{subject.name}, accuracy mode: answers agree with float32",
                     max(0.0, 1 - worst), unit="", kind="accuracy",
                     detail=f"worst of {len(library)} samples is off by {worst:.3g} of its size (RMS); {subject.settings()}")  # fmt: skip


def _row(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.frombuffer(data, np.float32)
