"""The Open Inference Protocol with its stock clients, against the bare session in one process. The client shares the cores.

Two models with an input of 640 x 640 x 3 uint8 (1.2 MB): an algorithm on the hub's usual small detector, and the smallest
model there is with all of its raw outputs (0.6 MB), where the way there costs as much as the work.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

import numpy as np
from pydantic import Field

from aihub.bench.clients.running import client
from aihub.bench.clients.seen import Seen
from aihub.bench.hub import overload
from aihub.bench.hub.process import RunningHub, hub_for
from aihub.bench.results import histogram, least, most
from aihub.bench.runtimes.bare import alone, bare_session, in_lanes
from aihub.bench.runtimes.subjects import tuned
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suite import Options
from aihub.bench.suites.http import PICTURE, curves, good, picture_input
from aihub.engine.machine import cores
from aihub.engine.preprocess import prepare
from aihub.types import Frame, Image

WAYS: Mapping[str, str] = {"http": "OIP REST (binary)", "grpc": "OIP gRPC"}
CALLERS = 16
Asked = Literal["person-detection", "yunet-640"]


class Settings(Options):
    """Settings of the suite.

    Attributes:
        models: what is asked for: an algorithm, and a model by its raw tensors.
        ways: `http` for the binary tensors of OIP over REST, `grpc`.
        turns: how often each is measured, after a turn that warms up.
        seconds: of one measurement with sixteen callers; of one caller, half.
        levels: callers at once of the curve.
        level_s: seconds of one level.
        tune_s: the tuner's budget for a model that is not tuned yet.
        overload: algorithms that are asked over gRPC for more than they can do; empty for none.
        overload_s: seconds of one overload.
        overload_turns: how often.
    """

    models: tuple[Asked, ...] = Field(("person-detection", "yunet-640"), min_length=1)
    ways: tuple[Literal["http", "grpc"], ...] = Field(("http", "grpc"), min_length=1)
    turns: int = Field(5, ge=1, le=100)
    seconds: float = Field(5.0, ge=0.2, le=600)
    levels: tuple[int, ...] = Field((1, 2, 4, 8, 16, 32), min_length=1)
    level_s: float = Field(5.0, ge=0.2, le=600)
    tune_s: float = Field(10.0, ge=0.1, le=600)
    overload: tuple[str, ...] = ("text-recognition",)
    overload_s: float = Field(60.0, ge=1, le=3600)
    overload_turns: int = Field(3, ge=1, le=20)


@dataclass(frozen=True, slots=True)
class Case:
    """A name to ask for, and the same work by hand.

    Attributes:
        model: what the clients ask for.
        said: for people.
        work: one run on the bare session.
    """

    model: str
    said: str
    work: Callable[[], object]


def run(stand: Stand, settings: Settings) -> None:
    """Measure.

    Raises:
        NotHereError: a stock client is not installed.
    """
    for way in settings.ways:
        need_client(way)
    with ExitStack() as open_:
        cases = [found for name in settings.models if (found := _case(stand, open_, name, settings)) is not None]  # fmt: skip
        if not cases:
            raise NotHereError("none of the models asked for is here")
        hub = open_.enter_context(hub_for(stand))
        for case in cases:
            for way in settings.ways:
                with stand.part(f"{case.said}: {WAYS[way]}"):
                    asked(hub, way, case.model, callers=2, seconds=1.0)
                    _loaded(stand, hub, way, case, settings)
                    _added(stand, hub, way, case, settings)
            with stand.part(f"{case.said}: callers at once"):
                _levels(stand, hub, case, settings)
    _overloads(stand, settings)


def need_client(way: str) -> None:
    """Make sure that a stock client is here.

    Raises:
        NotHereError: it is not.
    """
    try:
        import_module(f"tritonclient.{way}")
    except (
        ImportError,
        RuntimeError,
    ) as error:  # tritonclient turns a missing part of it into a RuntimeError
        raise NotHereError(f"tritonclient is not installed: pip install 'tritonclient[{way}]'") from error


def _case(stand: Stand, open_: ExitStack, name: Asked, settings: Settings) -> Case | None:
    pixels: Image = np.random.default_rng(stand.seed).integers(0, 256, (640, 640, 3), np.uint8)
    model = "coco" if name == "person-detection" else name
    with stand.part(f"{name}: opening"):
        tuned(stand.engine, model, settings.tune_s)
        card, bare = bare_session(stand.engine, model)
        open_.callback(bare.close)
        spec = picture_input(card)
        if model == name:
            feeds = {spec.name: pixels[None]}
            return Case(name, f"{name}, raw tensors", lambda: bare.run(feeds))

        def detect() -> object:
            prepared, _ = prepare(Frame(pixels), spec)
            return bare.run({spec.name: prepared[None]})

        return Case(name, f"{name} ({card.name})", detect)
    return None


def asked(hub: RunningHub, way: str, model: str, *, callers: int, seconds: float) -> Seen:
    """What stock clients in a process of their own saw, all of it good.

    Raises:
        AihubError: a call failed.
    """
    address = hub.url.removeprefix("http://") if way == "http" else hub.grpc
    given = [way, address, model, "--concurrency", str(callers), "--seconds", str(seconds)]
    return good(Seen.from_json(client("oip", given, seconds, key=hub.key)))


def _title(way: str, case: Case) -> str:
    return f"{WAYS[way]}, tritonclient, {case.said}, 640x640x3 uint8"


def _loaded(stand: Stand, hub: RunningHub, way: str, case: Case, settings: Settings) -> None:
    taken = stand.take_turns({
        "bare session loop": lambda: in_lanes(case.work, cores(), settings.seconds),
        way: lambda: 1 / asked(hub, way, case.model, callers=CALLERS, seconds=settings.seconds).per_second,
    }, settings.turns)  # fmt: skip
    stand.ratio(f"{way}-over-bare/{case.model}", f"{_title(way, case)}, concurrency {CALLERS} / bare session loop", taken,
                "bare session loop", way, better="higher", target=least(0.80),
                detail=f"{1 / taken.median(way):.0f} against {1 / taken.median('bare session loop'):.0f} runs/s")  # fmt: skip


def _added(stand: Stand, hub: RunningHub, way: str, case: Case, settings: Settings) -> None:
    taken = stand.take_turns({
        "bare run": lambda: alone(case.work, settings.seconds / 2),
        way: lambda: asked(hub, way, case.model, callers=1, seconds=settings.seconds / 2).p50_ms / 1e3,
    }, settings.turns)  # fmt: skip
    pairs = zip(taken.costs[way], taken.costs["bare run"], strict=True)
    added = [1e3 * (mine - bare) for mine, bare in pairs]
    stand.add(f"{way}-added-latency/{case.model}", f"{_title(way, case)}, concurrency 1: latency added to a bare run, p50",
              statistics.median(added), unit="ms", kind="time", better="lower", target=most(2), samples=added,
              detail=f"{1e3 * taken.median(way):.1f} against {1e3 * taken.median('bare run'):.1f} ms")  # fmt: skip


def _levels(stand: Stand, hub: RunningHub, case: Case, settings: Settings) -> None:
    seen: dict[str, dict[int, Seen]] = {}
    for level in settings.levels:
        for way in settings.ways:
            stand.say(f"{case.model}, {way}, {level} callers")
            one = asked(hub, way, case.model, callers=level, seconds=settings.level_s)
            seen.setdefault(WAYS[way], {})[level] = one
    curves(stand, case.model, f"OIP, {case.said}", seen)
    spread = {f"{way}, {level} callers": one.answered for way, levels in seen.items() for level, one in levels.items() if level in (1, CALLERS)}  # fmt: skip
    stand.histograms.append(histogram(f"latency/{case.model}", f"OIP, {case.said}: latency", spread))


def _overloads(stand: Stand, settings: Settings) -> None:
    for algorithm in settings.overload:
        with stand.part(f"{algorithm}: overload over gRPC"):
            need_client("grpc")
            picture = stand.media(*PICTURE)
            with hub_for(stand) as hub:
                keys = overload.tenants(hub, ["flood"])
                scene = overload.Scene(hub, algorithm, picture, keys, "grpc", stand.seed)
                scene.capacity(3.0)  # loads the model
                overload.one_tenant(stand, scene, settings.overload_s, settings.overload_turns)
