"""Models on this machine: in every way it can run them, tuned against by hand, and under MLPerf's scenarios."""

from __future__ import annotations

import time
from functools import partial
from typing import Literal

from pydantic import Field

from aihub.bench.mlperf import measured as mlperf
from aihub.bench.mlperf.scenarios import Scenario
from aihub.bench.runtimes import by_hand
from aihub.bench.runtimes.accelerators import accelerated, together
from aihub.bench.runtimes.bare import BareOnnxRuntime, Clock, in_lanes
from aihub.bench.runtimes.subjects import Drawn, Subject, drawn, names, subject
from aihub.bench.runtimes.sweep import Grid, Pass, sweep
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suite import Options
from aihub.engine.engine import Engine
from aihub.engine.machine import cores

Part = Literal["sweep", "tuned", "scenarios", "accelerators", "beside"]


class Settings(Options):
    """Settings of the suite.

    Attributes:
        models: names or roles of the store; `all` for every one whose weights are here.
        drawn: graphs with random weights, for speed only.
        parts: `sweep` over backends and so on; `tuned` against loops by hand; MLPerf's `scenarios`; CUDA and TensorRT as
            `accelerators`; the models `beside` each other.
        drawn_parts: those that drawn graphs take part in, of these.
        backends: of the engine; empty for all that are installed.
        precisions: empty for all that a backend computes in here.
        threads: of one run; 0 stands for all cores.
        batches: items in one run.
        turns: how often each is measured, after a turn that warms up.
        slice_s: seconds of one measurement in the sweep.
        clock: of the sweep: `wall`, or `cpu` where neighbours take the machine from time to time.
        tune_s: the tuner's budget for a model.
        hand_s: seconds of one measurement against loops by hand.
        benchmark_apps: whether the runtimes' own benchmark programs are run, where they are here.
        scenarios: MLPerf's.
        scenario_s: shortest duration of one.
        most_scenario_s: longest.
        server_latency_ms: Server: bound on the 99th percentile.
        server_shares: Server: shares of the Offline throughput to be tried, until one is valid.
        library: samples of the scenarios.
        gpu_memory_mb: of a card, for each model where several run on it at once, MiB; 0 sets no limit.
    """

    models: tuple[str, ...] = ("coco",)
    drawn: tuple[Drawn, ...] = ("yolo11n-class",)
    parts: tuple[Part, ...] = ("sweep", "tuned", "scenarios", "accelerators", "beside")
    drawn_parts: tuple[Part, ...] = ("sweep", "tuned", "scenarios", "accelerators", "beside")
    backends: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    threads: tuple[int, ...] = Field((1, 0), min_length=1)
    batches: tuple[int, ...] = Field((1, 2, 4, 8), min_length=1)
    turns: int = Field(5, ge=1, le=100)
    slice_s: float = Field(0.5, ge=0.02, le=60)
    clock: Clock = "wall"
    tune_s: float = Field(10.0, ge=0.1, le=600)
    hand_s: float = Field(2.0, ge=0.02, le=60)
    benchmark_apps: bool = True
    scenarios: tuple[Scenario, ...] = ("SingleStream", "MultiStream", "Server", "Offline")
    scenario_s: float = Field(5.0, ge=0.1, le=600)
    most_scenario_s: float = Field(60.0, ge=0.2, le=3600)
    server_latency_ms: float = Field(100.0, gt=0, le=60_000)
    server_shares: tuple[float, ...] = Field((0.9, 0.8, 0.7, 0.6, 0.5), min_length=1)
    library: int = Field(64, ge=1, le=4096)
    gpu_memory_mb: int = Field(0, ge=0)


def run(stand: Stand, settings: Settings) -> None:
    """Measure every model asked for."""
    with drawn(stand, settings.drawn) as sketches:
        subjects = [
            found
            for engine, name in [
                *((stand.engine, name) for name in _store_names(stand, settings)),
                *((sketches, f"drawn-{name}") for name in settings.drawn),
            ]
            if (found := _found(stand, engine, name)) is not None
        ]
        if not subjects:
            raise NotHereError("none of the models asked for is here")
        for one in subjects:
            _measure(stand, one, settings, _parts(one, settings))
        beside = [one for one in subjects if "beside" in _parts(one, settings)]
        if len(beside) > 1:
            with stand.part("models beside each other"):
                _beside(stand, beside, settings)
        on_card = [one for one in subjects if "accelerators" in _parts(one, settings)]
        for provider in ("CUDA", "Tensorrt") if len(on_card) > 1 else ():
            with stand.part(f"models together on one card, {provider}"):
                together(stand, on_card, provider, turns=settings.turns, seconds=settings.slice_s,
                         device_bytes=settings.gpu_memory_mb << 20)  # fmt: skip


def _parts(one: Subject, settings: Settings) -> set[Part]:
    both = set(settings.parts)
    return both & set(settings.drawn_parts) if one.drawn else both


def _store_names(stand: Stand, settings: Settings) -> list[str]:
    return names(stand.engine, settings.models) if settings.models else []


def _found(stand: Stand, engine: Engine, name: str) -> Subject | None:
    with stand.part(f"{name}: opening"):
        return subject(stand, engine, name)
    return None


def _measure(stand: Stand, one: Subject, settings: Settings, parts: set[Part]) -> None:
    if "sweep" in parts:
        grid = Grid(settings.backends, settings.precisions, settings.threads, settings.batches)
        with stand.part(f"{one.name}: sweep"):
            sweep(stand, one, grid, Pass(settings.turns, settings.slice_s, settings.clock))
    if parts & {"tuned", "scenarios"}:
        with stand.part(f"{one.name}: tuning"):
            begun = time.perf_counter()
            one.engine.tune(one.name, budget_s=settings.tune_s)
            stand.add(f"tuning-time/{one.slug}", f"{one.name}: tuning takes", time.perf_counter() - begun, unit="s", kind="time",
                      better="neither", detail=f"chose {one.settings()}")  # fmt: skip
    if "tuned" in parts:
        with stand.part(f"{one.name}: tuned engine against loops by hand"):
            by_hand.compared(stand, one, turns=settings.turns, seconds=settings.hand_s, programs=settings.benchmark_apps)  # fmt: skip
    if "scenarios" in parts:
        plan = mlperf.Plan(settings.scenarios, settings.scenario_s, settings.most_scenario_s, settings.server_latency_ms,
                           settings.server_shares, settings.library, settings.turns)  # fmt: skip
        with stand.part(f"{one.name}: MLPerf scenarios"):
            mlperf.driven(stand, one, plan)
    if "accelerators" in parts:
        for provider in ("CUDA", "Tensorrt"):
            with stand.part(f"{one.name}: {provider}"):
                accelerated(stand, one, provider, settings.batches, turns=settings.turns, seconds=settings.slice_s)  # fmt: skip


def _beside(stand: Stand, subjects: list[Subject], settings: Settings) -> None:
    """What each costs against the first, in float32 on ONNX Runtime with one thread a run on each core."""
    first = subjects[0]
    opened = {one.name: (BareOnnxRuntime(one.graph, 1, spinning=False), one.feeds()) for one in subjects}

    def cost(name: str) -> float:
        session, feeds = opened[name]
        return in_lanes(lambda: session.run(feeds), cores(), settings.slice_s)

    taken = stand.take_turns({name: partial(cost, name) for name in opened}, settings.turns)
    for session, _ in opened.values():
        session.close()
    for one in subjects[1:]:
        stand.ratio(f"cost/{one.slug}", f"{one.name} / {first.name}: cost of an item in float32", taken, one.name, first.name,
                    detail=f"{1e3 * taken.median(one.name) * cores():.3g} against {1e3 * taken.median(first.name) * cores():.3g} ms of a core")  # fmt: skip
