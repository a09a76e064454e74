"""What was asked of each name and how long it took: counted here for requests, read from the engine for its queues and runs."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Histogram

from aihub.telemetry import BATCH_SIZE, INFERENCE_SECONDS, QUEUE_SECONDS

_NS = 1_000_000_000


@dataclass(slots=True)
class Sum:
    """How often, and how long in all."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Once more."""
        self.count += count
        self.seconds += seconds

    def to_json(self) -> dict[str, int]:
        """`{"count", "ns"}`."""
        return {"count": self.count, "ns": round(self.seconds * _NS)}


@dataclass(slots=True)
class Tally:
    """Of one name since the process started.

    Attributes:
        success: requests that were answered.
        fail: requests that were not.
        items: pictures or rows of batches that were computed.
        runs: how often something was computed.
        stages: time in `queue`, `compute_input`, `compute_infer`, `compute_output`.
        batches: computing by items at once.
        last: when it was last asked to compute, epoch seconds; 0 for never.
    """

    success: Sum = field(default_factory=Sum)
    fail: Sum = field(default_factory=Sum)
    items: int = 0
    runs: int = 0
    stages: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    batches: dict[int, dict[str, Sum]] = field(default_factory=dict)
    last: float = 0.0


class Tallies:
    """Tallies by name; only names that are known come in. Thread-safe."""

    def __init__(self) -> None:
        self._by_name: defaultdict[str, Tally] = defaultdict(Tally)
        self._lock = threading.Lock()

    @contextmanager
    def request(self, name: str) -> Iterator[None]:
        """Count a request and its time by how it ends."""
        began = time.perf_counter()
        good = False
        try:
            yield
            good = True
        finally:
            took = time.perf_counter() - began
            with self._lock:
                tally = self._by_name[name]
                (tally.success if good else tally.fail).add(took)
                tally.last = time.time()

    def computed(self, name: str, items: int, stages: Mapping[str, float]) -> None:
        """Count what one request's computing took, by stage, in seconds."""
        with self._lock:
            tally = self._by_name[name]
            tally.items += items
            tally.runs += 1
            batch = tally.batches.setdefault(items, defaultdict(Sum))
            for stage, seconds in stages.items():
                tally.stages[stage].add(seconds)
                batch[stage].add(seconds)

    def to_json(self, name: str, version: str, engine: Tally | None = None) -> dict[str, Any]:
        """One entry of Triton's statistics.

        Args:
            name: of the model or algorithm.
            version: of it.
            engine: what the engine counted for a model; its queue and runs serve all who use the model in this process.
        """
        with self._lock:
            mine = self._by_name.get(name) or Tally()
            computing = engine or mine
            stages = {
                stage: computing.stages.get(stage, Sum()).to_json()
                for stage in ("queue", "compute_input", "compute_infer", "compute_output")
            }
            batches = [
                {
                    "batch_size": size,
                    **{stage: spent.to_json() for stage, spent in sorted(by.items()) if stage != "queue"},
                }
                for size, by in sorted(computing.batches.items())
            ]
            none = Sum().to_json()
            return {
                "name": name,
                "version": version,
                "last_inference": round(mine.last * 1000),
                "inference_count": computing.items,
                "execution_count": computing.runs,
                "inference_stats": {
                    "success": mine.success.to_json(),
                    "fail": mine.fail.to_json(),
                    **stages,
                    "cache_hit": none,
                    "cache_miss": none,
                },
                "batch_stats": batches,
            }


def engine_tallies() -> dict[str, Tally]:
    """By model, what its lane in the engine of this process measured."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for model, sums in _sums(BATCH_SIZE, "model").items():
        tallies[model].runs, tallies[model].items = sums.count, round(sums.seconds)
    for model, sums in _sums(QUEUE_SECONDS, "model").items():
        tallies[model].stages["queue"] = sums
    stages = {"prepare": "compute_input", "run": "compute_infer", "decode": "compute_output"}
    for stage, called in stages.items():
        for model, sums in _sums(INFERENCE_SECONDS, "model", stage=stage).items():
            tallies[model].stages[called] = sums
    return dict(tallies)


def _sums(histogram: Histogram, by: str, **only: str) -> dict[str, Sum]:
    """Count and sum of a histogram by one of its labels."""
    found: defaultdict[str, Sum] = defaultdict(Sum)
    for metric in histogram.collect():
        for sample in metric.samples:
            if any(sample.labels.get(label) != value for label, value in only.items()):
                continue
            if sample.name.endswith("_count"):
                found[sample.labels[by]].count += round(sample.value)
            elif sample.name.endswith("_sum"):
                found[sample.labels[by]].seconds += sample.value
    return dict(found)
