"""A whole hub under more than it can do: what it accepts stays quick, the rest is refused at once, tenants do not feel each other.

Rates are multiples of the capacity, which is measured before and after with 16 requests in flight. The p99 at capacity is that of
as many random arrivals, since under overload they are random too. The client shares the cores: three times the capacity of a quick
algorithm are hundreds of requests a second, and what it costs to send and to refuse them is missing from the answers. So there is a
slow algorithm too, of which a few dozen are three times too many.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import httpx2

from aihub.bench.clients.arrivals import Ask, specification
from aihub.bench.clients.running import client
from aihub.bench.clients.seen import Seen
from aihub.bench.hub.process import RunningHub, resident_mb
from aihub.bench.results import least, most
from aihub.bench.stand import Stand
from aihub.engine.machine import cores

FACTOR = 3.0
QUIET, BUSY = 0.2, 0.7
"""Share of the capacity that the quiet tenant asks for, and that its neighbour does before the flood."""
CALLERS = 16
Way = Literal["http", "grpc"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A hub with an algorithm to ask for, a picture to look at and keys of two tenants.

    Attributes:
        way: in.
        seed: of the arrivals.
    """

    hub: RunningHub
    algorithm: str
    picture: Path
    keys: Mapping[str, str]
    way: Way = "http"
    seed: int = 0

    @property
    def path(self) -> str:
        """Where requests go over HTTP."""
        return f"/v1/algorithms/{self.algorithm}/infer"

    def capacity(self, seconds: float) -> Seen:
        """So many answers with 16 requests in flight."""
        if self.way == "http":
            return self.hub.load(self.path, body=self.picture, concurrency=CALLERS, seconds=seconds)
        given = ["grpc", self.hub.grpc, self.algorithm, "--concurrency", str(CALLERS), "--seconds", str(seconds),
                 "--body", str(self.picture)]  # fmt: skip
        return Seen.from_json(client("oip", given, seconds, key=self.hub.key))

    def arrive(self, rates: Mapping[str, float], seconds: float) -> dict[str, Seen]:
        """Requests of tenants at rates; what each saw."""
        url = self.hub.url + self.path if self.way == "http" else self.hub.grpc
        asks = [
            Ask(tenant, url, self.keys[tenant], str(self.picture), rate) for tenant, rate in rates.items()
        ]
        name, given = ("arrivals", []) if self.way == "http" else ("oip_arrivals", [self.algorithm])
        told = client(name, given, seconds, stdin=specification(asks, seconds, self.seed))
        return {tenant: Seen.from_json(one) for tenant, one in told.items()}


class Memory:
    """Watches the resident memory of the hub's processes while something runs."""

    def __init__(self, hub: RunningHub) -> None:
        self._hub, self._stop = hub, threading.Event()
        self.seen: list[float] = [resident_mb(hub)["resident"]]
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


def tenants(hub: RunningHub, names: Sequence[str]) -> dict[str, str]:
    """A key for each of some tenants, which are made if they are not there.

    Raises:
        HTTPStatusError: the hub does not make them.
    """
    keys = {}
    with httpx2.Client(base_url=hub.url, headers={"X-API-Key": hub.key}, timeout=20) as caller:
        for name in names:
            made = caller.post("/v1/tenants", json={"id": name, "algorithms": ["*"]})
            if made.status_code != 409:  # there already: another suite had it made
                made.raise_for_status()
            body = {"name": "bench", "scopes": ["infer"], "tenant": name}
            keys[name] = caller.post("/v1/keys", json=body).raise_for_status().json()["key"]
    return keys


@dataclass(slots=True)
class Flood:
    """What the turns of one tenant saw."""

    before: list[Seen] = field(default_factory=list)
    at: list[Seen] = field(default_factory=list)
    over: list[Seen] = field(default_factory=list)
    after: list[Seen] = field(default_factory=list)

    def capacities(self) -> list[float]:
        """Answers a second that each turn could give."""
        return [(a.per_second + b.per_second) / 2 for a, b in zip(self.before, self.after, strict=True)]


def one_tenant(stand: Stand, scene: Scene, seconds: float, turns: int) -> None:
    """At capacity, then far above it, in turns; adds the figures.

    Args:
        stand: where figures go.
        scene: hub, algorithm and keys.
        seconds: of the overload of one turn.
        turns: how often.
    """
    flood, short = Flood(), min(10.0, seconds / 3)
    with Memory(scene.hub) as memory:
        for turn in range(turns):
            stand.say(f"{scene.algorithm} over {scene.way}: overload, turn {turn + 1}")
            flood.before.append(scene.capacity(short))
            rate = flood.before[-1].per_second
            flood.at.append(scene.arrive({"flood": rate}, seconds / 2)["flood"])
            flood.over.append(scene.arrive({"flood": FACTOR * rate}, seconds)["flood"])
            flood.after.append(scene.capacity(short))
            stand.pace.take()
    _add(stand, scene, flood, seconds)
    name, _ = _named(scene)
    # A growth of nothing is mostly noise: a bound, and no thing to compare.
    stand.add(f"{name}/memory-growth", f"{_named(scene)[1]}: growth of memory in {turns} x {seconds:g} s", memory.growth_mb,
              unit="MB", kind="memory", better="neither", target=most(20),
              detail=f"resident {memory.seen[0]:.0f} MB at its begin, {memory.seen[-1]:.0f} at its end")  # fmt: skip


def _named(scene: Scene) -> tuple[str, str]:
    way = {"http": "HTTP", "grpc": "gRPC"}[scene.way]
    return f"overload/{scene.way}/{scene.algorithm}", f"{scene.algorithm} over {way} at {FACTOR:g}x capacity"


def _add(stand: Stand, scene: Scene, flood: Flood, seconds: float) -> None:
    name, what = _named(scene)
    at, over, last = flood.at[-1], flood.over[-1], flood.before[-1]
    slower = [b.p99_ms / max(a.p99_ms, 1e-3) for a, b in zip(flood.at, flood.over, strict=True)]
    through = [b.per_second / capacity for b, capacity in zip(flood.over, flood.capacities(), strict=True)]
    refused = [one.refused_in_time for one in flood.over]
    client_share = 100 * over.cpu_s / seconds / cores()
    stand.add(f"{name}/p99-over-at-capacity", f"{what}: p99 of what is accepted / p99 at capacity", statistics.median(slower),
              better="lower", target=most(2), samples=slower,
              detail=f"{over.p99_ms:.0f} against {at.p99_ms:.0f} ms, both with random arrivals, p50 {over.p50_ms:.0f} against "
                     f"{at.p50_ms:.0f}; p99 {last.p99_ms:.0f} with {CALLERS} in flight")  # fmt: skip
    quick = sorted(over.refused)
    stand.add(f"{name}/refused-in-50-ms", f"{what}: share of the refusals that come within 50 ms", statistics.median(refused),
              unit="", target=least(0.99), samples=refused,
              detail=f"{len(quick)} refused, median {statistics.median(quick or [0]):.0f}, longest {max(quick, default=0):.0f} ms; "
                     f"answers {dict(over.statuses)}, unsent {over.unsent}")  # fmt: skip
    stand.add(f"{name}/throughput-over-capacity", f"{what}: throughput / capacity", statistics.median(through), target=least(0.95),
              samples=through,
              detail=f"{over.per_second:.1f} against {flood.capacities()[-1]:.1f} answers/s; the client took {client_share:.0f} % of the cores")  # fmt: skip


def two_tenants(stand: Stand, scene: Scene, seconds: float, turns: int) -> None:
    """A quiet tenant beside one that keeps to its share, and beside one that floods; adds the figure. Arguments as of `one_tenant`."""
    capacity = scene.capacity(min(5.0, seconds / 3)).per_second
    alone = scene.arrive({"quiet": QUIET * capacity}, seconds / 3)["quiet"]
    pairs: list[tuple[Seen, Seen]] = []
    flood = Seen()
    for turn in range(turns):
        stand.say(f"{scene.algorithm} over {scene.way}: two tenants, turn {turn + 1}")
        beside = scene.arrive({"quiet": QUIET * capacity, "flood": BUSY * capacity}, seconds / 2)["quiet"]
        both = scene.arrive({"quiet": QUIET * capacity, "flood": FACTOR * capacity}, seconds / 2)
        pairs.append((beside, both["quiet"]))
        flood = both["flood"]
        stand.pace.take()
    ratios = [flooded.p99_ms / max(beside.p99_ms, 1e-3) for beside, flooded in pairs]
    beside, flooded = pairs[-1]
    stand.add(f"tenants/{scene.way}/{scene.algorithm}/p99-beside-flood",
              f"{scene.algorithm}: a tenant's p99 beside a flood of {FACTOR:g}x capacity / beside a neighbour at {BUSY:g}x",
              statistics.median(ratios), better="lower", target=most(1.5), samples=ratios,
              detail=f"{flooded.p99_ms:.0f} against {beside.p99_ms:.0f} ms (alone {alone.p99_ms:.0f}), p50 {flooded.p50_ms:.0f} "
                     f"against {beside.p50_ms:.0f} (alone {alone.p50_ms:.0f}); {len(flooded.refused)} of its requests refused, "
                     f"{len(flood.refused)} of the flood's")  # fmt: skip
