"""The gateway over HTTP: against Serve's own proxy, against the bare loop in one process, and under too much. The client shares the cores."""

from __future__ import annotations

import statistics
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from aihub.bench.clients.seen import Seen
from aihub.bench.hub import overload
from aihub.bench.hub.process import RunningHub, hub_for, running_hub
from aihub.bench.results import Curve, histogram, least
from aihub.bench.runtimes.bare import Bare, alone, bare_session, in_lanes
from aihub.bench.runtimes.subjects import tuned
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suite import Options
from aihub.engine.machine import cores
from aihub.engine.preprocess import prepare
from aihub.errors import AihubError
from aihub.types import Frame, InputSpec, ModelCard

PICTURE = ("images", "coco", "000000000036.jpg")
DETECT = "/v1/algorithms/person-detection/infer"
CALLERS = 16


class Settings(Options):
    """Settings of the suite.

    Attributes:
        turns: how often each is measured, after a turn that warms up.
        python_proxy: whether echo is set beside a second hub, behind Serve's own proxy.
        echo_s: seconds of one measurement of the echo.
        picture_s: seconds of one measurement of pictures.
        levels: callers at once of the curve.
        level_s: seconds of one level.
        tune_s: the tuner's budget for the detector, where it is not tuned yet.
        overload: algorithms that are asked for more than they can do; empty for none.
        overload_s: seconds of one overload.
        overload_turns: how often.
    """

    turns: int = Field(5, ge=1, le=100)
    python_proxy: bool = True
    echo_s: float = Field(3.0, ge=0.2, le=600)
    picture_s: float = Field(5.0, ge=0.2, le=600)
    levels: tuple[int, ...] = Field((1, 2, 4, 8, 16, 32), min_length=1)
    level_s: float = Field(5.0, ge=0.2, le=600)
    tune_s: float = Field(10.0, ge=0.1, le=600)
    overload: tuple[str, ...] = ("person-detection", "text-recognition")
    overload_s: float = Field(60.0, ge=1, le=3600)
    overload_turns: int = Field(3, ge=1, le=20)


def run(stand: Stand, settings: Settings) -> None:
    """Measure."""
    with hub_for(stand) as hub:
        if settings.python_proxy:
            with stand.part("echo through HAProxy and through Serve's Python proxy"):
                _echo(stand, hub, settings)
        with stand.part("pictures over HTTP"):
            picture = stand.media(*PICTURE)
            tuned(stand.engine, "coco", settings.tune_s)
            _pictures(stand, hub, picture, settings)
            _levels(stand, hub, picture, settings)
        keys = overload.tenants(hub, ["quiet", "flood"]) if settings.overload else {}
        for algorithm in settings.overload:
            with stand.part(f"{algorithm}: overload"):
                picture = stand.media(*PICTURE)
                scene = overload.Scene(hub, algorithm, picture, keys, seed=stand.seed)
                scene.capacity(3.0)  # loads the model
                overload.one_tenant(stand, scene, settings.overload_s, settings.overload_turns)
                overload.two_tenants(stand, scene, settings.overload_s, settings.overload_turns)


def good(seen: Seen) -> Seen:
    """What a client saw, if every answer was good or an honest refusal, and some were good.

    Raises:
        AihubError: none was good, or one was neither.
    """
    if not seen.answered or seen.failures:
        raise AihubError(f"not all answers were good or refusals: {dict(seen.statuses)}")
    return seen


def _echo(stand: Stand, hub: RunningHub, settings: Settings) -> None:
    """Both hubs are up, and take turns."""
    with running_hub({"RAY_SERVE_ENABLE_HA_PROXY": "0"}, profiles=stand.profiles) as other:

        def cost(which: RunningHub) -> float:
            return 1 / good(which.load("/v1/echo", concurrency=CALLERS, seconds=settings.echo_s)).per_second

        taken = stand.take_turns(
            {"HAProxy": lambda: cost(hub), "Python proxy": lambda: cost(other)}, settings.turns
        )
    stand.ratio("echo-over-python-proxy", "Echo through HAProxy / through Serve's Python proxy", taken, "Python proxy", "HAProxy",
                better="higher", target=least(4),
                detail=f"{1 / taken.median('HAProxy'):.0f} against {1 / taken.median('Python proxy'):.0f} requests/s, "
                       f"concurrency {CALLERS}")  # fmt: skip


def picture_input(card: ModelCard) -> InputSpec:
    """How a model takes pictures.

    Raises:
        NotHereError: it takes none.
    """
    if card.input is None:
        raise NotHereError(f"{card.name} takes no pictures")
    return card.input


def decode_and_run(bare: Bare, spec: InputSpec, data: np.ndarray) -> None:
    """What an answer takes at the least: decode the JPEG, letterbox, run; no server, no result."""
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    prepared, _ = prepare(Frame(image), spec)  # type: ignore[arg-type]
    bare.run({spec.name: prepared[None]})


def _pictures(stand: Stand, hub: RunningHub, picture: Path, settings: Settings) -> None:
    card, bare = bare_session(stand.engine, "coco")
    spec, data = picture_input(card), np.frombuffer(picture.read_bytes(), np.uint8)
    single_ms: list[float] = []
    refused: list[int] = []

    def loop() -> float:
        return in_lanes(lambda: decode_and_run(bare, spec, data), cores(), settings.picture_s)

    def over_http() -> float:
        seen = good(hub.load(DETECT, body=picture, concurrency=CALLERS, seconds=settings.picture_s))
        refused.append(len(seen.refused))
        return 1 / seen.per_second

    def bare_once() -> float:
        return alone(lambda: decode_and_run(bare, spec, data), settings.picture_s / 2)

    def one_caller() -> float:
        seen = good(hub.load(DETECT, body=picture, concurrency=1, seconds=settings.picture_s / 2))
        single_ms.append(seen.p50_ms)
        return seen.p50_ms / 1e3

    try:
        taken = stand.take_turns({"bare loop": loop, "HTTP": over_http}, settings.turns)
        single = stand.take_turns({"bare run": bare_once, "HTTP": one_caller}, settings.turns)
    finally:
        bare.close()
    stand.ratio("jpeg-over-bare", f"JPEG to detections over HTTP, concurrency {CALLERS} / bare loop in one process", taken,
                "bare loop", "HTTP", better="higher", target=least(0.85),
                detail=f"{1 / taken.median('HTTP'):.1f} against {1 / taken.median('bare loop'):.1f} pictures/s with {card.name}; at "
                       f"concurrency 1 p50 {statistics.median(single_ms):.1f} ms; {sum(refused)} requests refused")  # fmt: skip
    stand.ratio("jpeg-latency-over-bare", "JPEG to detections over HTTP, concurrency 1: p50 / that of a bare run", single, "HTTP",
                "bare run", detail=f"{1e3 * single.median('HTTP'):.1f} against {1e3 * single.median('bare run'):.1f} ms")  # fmt: skip


def _levels(stand: Stand, hub: RunningHub, picture: Path, settings: Settings) -> None:
    """Curves over callers at once, and how latencies are spread at one, and at sixteen."""
    seen = {}
    for level in settings.levels:
        stand.say(f"pictures from {level} callers")
        seen[level] = good(hub.load(DETECT, body=picture, concurrency=level, seconds=settings.level_s))
    curves(stand, "person-detection", "JPEG to detections over HTTP", {"HTTP": seen})
    stand.histograms.append(histogram("latency", "JPEG to detections over HTTP: latency",
                                      {f"{level} callers": seen[level].answered for level in seen if level in (1, CALLERS)}))  # fmt: skip


def curves(stand: Stand, name: str, title: str, seen: dict[str, dict[int, Seen]]) -> None:
    """Throughput and latencies against callers at once.

    Args:
        stand: where they go.
        name: slug of what was asked for.
        title: for people.
        seen: of each way in, by callers.
    """
    rates = {
        way: tuple((float(level), one.per_second) for level, one in levels.items())
        for way, levels in seen.items()
    }
    for (
        way,
        levels,
    ) in seen.items():  # who has more callers than its queue holds refuses some: said, where it happened
        if any(one.refused for one in levels.values()):
            rates[f"{way}, refused"] = tuple(
                (float(level), len(one.refused) / one.seconds) for level, one in levels.items()
            )
    spread = {
        f"{way} {share}": tuple((float(level), getattr(one, f"{share}_ms")) for level, one in levels.items())
        for way, levels in seen.items()
        for share in ("p50", "p99")
    }
    stand.curves += [
        Curve(name=f"throughput/{name}", title=f"{title}: throughput against callers", x="callers at once", y="answers/s",
              lines=rates, log_x=True),
        Curve(name=f"latency/{name}", title=f"{title}: latency against callers", x="callers at once", y="ms", lines=spread,
              log_x=True),
    ]  # fmt: skip
