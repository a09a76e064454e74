"""Results to test with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aihub.bench.results import Curve, Figure, Machine, Result, Stack, histogram, least
from aihub.bench.turns import interval


def machine(fingerprint: str = "abc") -> Machine:
    return Machine(
        fingerprint=fingerprint, processor="A Processor", flags=("avx2",), cores=2, memory_gb=8, pace_ms=8.0
    )


def result(day: int = 0, *, value: float = 1.2, suite: str = "drawn", fingerprint: str = "abc") -> Result:
    """One with all there can be in it, `day` days after the first of March."""
    samples = (value * 0.98, value, value * 1.02)
    return Result(
        suite=suite, title="Something drawn", command=f"aihub bench run {suite}",
        begun_at=datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=day), seconds=90, seed=0,
        settings={"turns": 3}, machine=machine(fingerprint),
        figures=(
            Figure(name="ratio/one", title="One / other", value=value, samples=samples, interval=interval(samples),
                   target=least(1.5), against="other", detail="turns"),
            Figure(name="plain", title="Plain", value=3.0, unit="MB", kind="memory", better="lower"),
        ),
        curves=(Curve(name="c", title="A curve", x="callers", y="answers/s", log_x=True,
                      lines={"hub": ((1, 10), (2, 18)), "peer": ((1, 9), (2, 12))}),),
        histograms=(histogram("h", "A histogram", {"hub": [1.0, 2.0, 2.5, 9.0]}),),
        stacks=(Stack(name="s", title="A stack", bars={"a": {"decode": 1.0, "model": 4.0}}),),
        skipped={"gpu": "no card here"},
    )  # fmt: skip
