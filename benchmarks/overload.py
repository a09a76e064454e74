"""A whole hub under more than it can do: what it accepts stays quick, the rest is refused at once, tenants do not feel each other.

Rates are multiples of the capacity, which is measured before and after with 16 requests in flight. The p99 at capacity is that of
as many random arrivals, since under overload they are random too. The client shares the cores: three times the capacity of a quick
algorithm are hundreds of requests a second, and what it costs to send and to refuse them is missing from the answers. So there is a
slow algorithm too, of which a few dozen are three times too many.

python -m benchmarks.overload [--seconds 60] [--algorithms person-detection,text-recognition]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from aihub.engine.machine import cores
from aihub.settings import Settings
from benchmarks.arrivals import Ask, specification
from benchmarks.hub import RunningHub, resident_mb, running_hub
from benchmarks.measure import Figure

COMMAND = "python -m benchmarks.run --only overload"
SECONDS = 60.0
FACTOR = 3.0
ALGORITHMS = ("person-detection", "text-recognition")
QUIET, BUSY = 0.2, 0.7
"""Share of the capacity that the quiet tenant asks for, and that its neighbour does before the flood."""

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """A hub with an algorithm to ask for, a picture to look at and keys of two tenants."""

    hub: RunningHub
    algorithm: str
    picture: Path
    keys: dict[str, str]

    @property
    def path(self) -> str:
        """Where requests go."""
        return f"/v1/algorithms/{self.algorithm}/infer"

    def capacity(self, seconds: float) -> Told:
        """Answers per second with 16 requests in flight."""
        return self.hub.load(self.path, body=self.picture, seconds=seconds)

    def arrive(self, rates: dict[str, float], seconds: float) -> dict[str, Told]:
        """Requests of tenants at rates; what each saw."""
        asks = [
            Ask(tenant, self.hub.url + self.path, self.keys[tenant], str(self.picture), rate)
            for tenant, rate in rates.items()
        ]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.arrivals"],
            input=specification(asks, seconds),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=seconds + 120,
        )
        told: dict[str, Told] = json.loads(done.stdout)
        return told


class Memory:
    """Watches the resident memory of the hub's processes while something runs."""

    def __init__(self, hub: RunningHub) -> None:
        self._hub, self._stop = hub, threading.Event()
        self.seen: list[float] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(2.0):
            self.seen.append(resident_mb(self._hub)["resident"])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    @property
    def growth_mb(self) -> float:
        """Last third over the second: by then buffers have reached their size."""
        third = len(self.seen) // 3
        return (
            statistics.median(self.seen[2 * third :]) - statistics.median(self.seen[third : 2 * third])
            if third
            else 0.0
        )


def tenants(hub: RunningHub, names: list[str]) -> dict[str, str]:
    """A key for each of some new tenants."""
    keys = {}
    with httpx2.Client(base_url=hub.url, headers={"X-API-Key": hub.key}, timeout=20) as client:
        for name in names:
            client.post("/v1/tenants", json={"id": name, "algorithms": ["*"]}).raise_for_status()
            body = {"name": "bench", "scopes": ["infer"], "tenant": name}
            keys[name] = client.post("/v1/keys", json=body).raise_for_status().json()["key"]
    return keys


def one_tenant(scene: Scene, seconds: float) -> list[Figure]:
    """At capacity, then far above it."""
    before = scene.capacity(10.0)
    at = scene.arrive({"flood": before["per_second"]}, seconds / 2)["flood"]
    with Memory(scene.hub) as memory:
        over = scene.arrive({"flood": FACTOR * before["per_second"]}, seconds)["flood"]
    after = scene.capacity(10.0)
    capacity = (before["per_second"] + after["per_second"]) / 2
    slower, through = over["p99_ms"] / at["p99_ms"], over["per_second"] / capacity
    client = 100 * over["client_cpu_s"] / seconds / cores()
    what = f"{scene.algorithm} at {FACTOR:g}x capacity"
    return [
        Figure(f"{what}: p99 of what is accepted / p99 at capacity", slower, "x", "<= 2", slower <= 2,
               f"{over['p99_ms']:.0f} against {at['p99_ms']:.0f} ms, both with random arrivals, p50 {over['p50_ms']:.0f} against "
               f"{at['p50_ms']:.0f}; p99 {before['p99_ms']:.0f} with 16 in flight", COMMAND),
        Figure(f"{what}: refusals within 50 ms", 100 * over["refused_in_50_ms"], "%", ">= 99",
               over["refused_in_50_ms"] >= 0.99,
               f"{over['refused']} refused, p50 {over['refused_p50_ms']:.0f}, p99 {over['refused_p99_ms']:.0f}, longest "
               f"{over['refused_most_ms']:.0f} ms; answers {over['statuses']}, unsent {over['unsent']}", COMMAND),
        Figure(f"{what}: throughput / capacity", through, "x", ">= 0.95", through >= 0.95,
               f"{over['per_second']:.1f} against {capacity:.1f} answers/s; the client took {client:.0f} % of the cores", COMMAND),
        Figure(f"{what}: growth of memory in {seconds:.0f} s", memory.growth_mb, "MB", "<= 20", memory.growth_mb <= 20,
               f"resident {memory.seen[0]:.0f} MB at its begin, {memory.seen[-1]:.0f} at its end", COMMAND),
    ]  # fmt: skip


def two_tenants(scene: Scene, seconds: float) -> list[Figure]:
    """A quiet tenant beside one that keeps to its share, and beside one that floods."""
    capacity = scene.capacity(5.0)["per_second"]
    alone = scene.arrive({"quiet": QUIET * capacity}, seconds / 3)["quiet"]
    turns: list[tuple[Told, Told]] = []
    flood: Told = {}
    for _ in range(2):
        beside = scene.arrive({"quiet": QUIET * capacity, "flood": BUSY * capacity}, seconds / 2)["quiet"]
        both = scene.arrive({"quiet": QUIET * capacity, "flood": FACTOR * capacity}, seconds / 2)
        turns.append((beside, both["quiet"]))
        flood = both["flood"]
    ratio = statistics.median(flooded["p99_ms"] / beside["p99_ms"] for beside, flooded in turns)
    beside, flooded = turns[-1]
    return [
        Figure(f"{scene.algorithm}: a tenant's p99 beside a flood of {FACTOR:g}x capacity / beside a neighbour at {BUSY:g}x", ratio, "x", "<= 1.5",
               ratio <= 1.5,
               f"{flooded['p99_ms']:.0f} against {beside['p99_ms']:.0f} ms (alone {alone['p99_ms']:.0f}), p50 "
               f"{flooded['p50_ms']:.0f} against {beside['p50_ms']:.0f} (alone {alone['p50_ms']:.0f}); {flooded['refused']} of "
               f"its requests refused, {flood['refused']} of the flood's", COMMAND),
    ]  # fmt: skip


def measure(
    media: Path,
    profiles: Path | None,
    *,
    seconds: float = SECONDS,
    algorithms: Sequence[str] = ALGORITHMS,
) -> list[Figure]:
    """Both scenes for each algorithm, each on a hub of its own."""
    picture = media / "images" / "coco" / "000000000036.jpg"
    figures: list[Figure] = []
    for algorithm in algorithms:
        with running_hub(profiles=profiles) as hub:
            scene = Scene(hub, algorithm, picture, tenants(hub, ["quiet", "flood"]))
            scene.capacity(3.0)  # loads the model
            figures += one_tenant(scene, seconds) + two_tenants(scene, seconds)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS))
    parser.add_argument("--profiles", type=Path)
    asked = parser.parse_args()
    media, begun = Path(Settings().test_media), time.monotonic()
    names = asked.algorithms.split(",")
    for figure in measure(media, asked.profiles, seconds=asked.seconds, algorithms=names):
        sys.stdout.write(
            f"{figure.name}: {figure.value:.2f} {figure.unit} ({figure.target}: {figure.met}); {figure.detail}\n"
        )
    sys.stdout.write(f"{time.monotonic() - begun:.0f} s\n")


if __name__ == "__main__":
    main()
