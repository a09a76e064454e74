"""The Open Inference Protocol with its stock clients, against the bare in-process session loop. The client shares the cores.

Two models with an input of 640 x 640 x 3 uint8 (1.2 MB): an algorithm on the hub's usual small detector, and the smallest
model there is with all of its raw outputs (0.6 MB), where the way there costs as much as the work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aihub.engine.engine import Engine
from aihub.engine.machine import cores
from aihub.engine.preprocess import prepare
from aihub.types import Frame, Image
from benchmarks.engine_speed import Bare, bare_session
from benchmarks.hub import RunningHub, running_hub
from benchmarks.measure import Figure, take_turns

COMMAND = "python -m benchmarks.run --only oip"
SECONDS = 5.0
KINDS: Mapping[str, str] = {"http": "OIP REST (binary)", "grpc": "OIP gRPC"}


@dataclass(frozen=True, slots=True)
class Case:
    """A name to ask for, and the same work by hand.

    Attributes:
        model: what the clients ask for.
        said: for the report.
        work: one run on the bare session.
    """

    model: str
    said: str
    work: Callable[[], object]


def cases(engine: Engine) -> tuple[list[Case], list[Bare]]:
    """What is measured, and the sessions to close afterwards. The small model is measured first, to be run at its best."""
    pixels: Image = np.random.default_rng(0).integers(0, 256, (640, 640, 3), np.uint8)
    coco, detector = bare_session(engine, "coco")
    engine.tune("yunet-640", budget_s=5.0)
    tiny, raw = bare_session(engine, "yunet-640")
    assert coco.input is not None
    assert tiny.input is not None
    spec, feeds = coco.input, {tiny.input.name: pixels[None]}

    def detect() -> object:
        prepared, _ = prepare(Frame(pixels), spec)
        return detector.run({spec.name: prepared[None]})

    return [
        Case("person-detection", f"person-detection ({coco.name})", detect),
        Case("yunet-640", "yunet-640, raw tensors", lambda: raw.run(feeds)),
    ], [detector, raw]


def by_hand(work: Callable[[], object]) -> float:
    """Seconds a run with one thread a core."""
    counts = [0] * cores()
    until = time.perf_counter() + SECONDS

    def loop(index: int) -> None:
        while time.perf_counter() < until:
            work()
            counts[index] += 1

    threads = [threading.Thread(target=loop, args=(index,)) for index in range(cores())]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - begun) / sum(counts)


def alone(work: Callable[[], object]) -> float:
    """Median seconds of a run when nothing else goes on."""
    times = []
    until = time.perf_counter() + SECONDS / 2
    while time.perf_counter() < until:
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def asked(hub: RunningHub, kind: str, model: str, *, concurrency: int, seconds: float) -> dict[str, float]:
    """Answers per second and latencies of stock clients in a process of their own."""
    address = hub.url.removeprefix("http://") if kind == "http" else hub.grpc
    command = [sys.executable, "-m", "benchmarks.oip_load", kind, address, model, "--key", hub.key,
               "--concurrency", str(concurrency), "--seconds", str(seconds)]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(engine: Engine, profiles: Path, turns: int = 5) -> list[Figure]:
    """Throughput at concurrency 16 and added latency at concurrency 1, for each way in."""
    chosen, sessions = cases(engine)
    figures: list[Figure] = []
    with running_hub(profiles=profiles, grpc=True) as hub:
        for case in chosen:
            for kind in KINDS:
                asked(hub, kind, case.model, concurrency=2, seconds=1.0)
                figures += _figures(hub, kind, case, turns)
    for session in sessions:
        session.close()
    return figures


def _figures(hub: RunningHub, kind: str, case: Case, turns: int) -> list[Figure]:
    def many() -> float:
        return 1 / asked(hub, kind, case.model, concurrency=16, seconds=SECONDS)["per_second"]

    def one() -> float:
        return asked(hub, kind, case.model, concurrency=1, seconds=SECONDS / 2)["p50_ms"] / 1000

    loaded = take_turns({"bare": lambda: by_hand(case.work), kind: many}, turns)
    single = take_turns({"bare": lambda: alone(case.work), kind: one}, turns)
    ratio = 1 / loaded.ratio(kind, "bare")
    pairs = zip(single.costs[kind], single.costs["bare"], strict=True)
    added = float(np.median([1000 * (mine - bare) for mine, bare in pairs]))
    name = f"{KINDS[kind]}, tritonclient, {case.said}, 640x640x3 uint8"
    return [
        Figure(f"{name}, concurrency 16 / bare session loop", ratio, "x", ">= 0.80", ratio >= 0.80,
               f"{1 / loaded.median(kind):.0f} against {1 / loaded.median('bare'):.0f} runs/s", COMMAND),
        Figure(f"{name}, concurrency 1: latency added to a bare run, p50", added, "ms", "<= 2", added <= 2,
               f"{1000 * single.median(kind):.1f} against {1000 * single.median('bare'):.1f} ms", COMMAND),
    ]  # fmt: skip
