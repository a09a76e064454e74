"""What it costs to let many algorithms look at one stream when they share a detector.

A stream's plan runs equal beginnings once: the detector, and what follows it as far as the settings are the same. So the second
algorithm should cost its rule and little more, and so should the fiftieth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import cv2
import numpy as np
from pydantic import Field

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.inference import infer, infer_many
from aihub.algorithms.planner import Plan
from aihub.bench.footage import SCENES
from aihub.bench.results import Curve, most
from aihub.bench.runtimes.subjects import tuned
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.clips import footage_of
from aihub.bench.suite import Options
from aihub.bench.turns import cpu, wall
from aihub.types import AnyResult, Frame, Image

DRAWN = "drawn:"
Asked = tuple[str, dict[str, Any]]
Request = tuple[Algorithm, dict[str, Any]]

_LEFT: dict[str, Any] = {"zone": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
_RIGHT: dict[str, Any] = {"zone": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}
_BELOW: dict[str, Any] = {"zone": [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}

TEN: tuple[Asked, ...] = (
    ("person-detection", {}), ("people-counting", {}), ("intrusion", {}), ("line-crossing", {}), ("loitering", {}),
    ("crowd-gathering", {}), ("absence", {}), ("vehicle-detection", {}), ("illegal-parking", {}),
    # Another zone than its namesake's, so that nothing but the detector and the tracker is shared.
    ("intrusion", _LEFT),
)  # fmt: skip
"""What a busy entrance is watched for."""

FIFTY: tuple[Asked, ...] = (
    *TEN,
    *((name, {}) for name in (
        "running-person", "tailgating", "queue-length", "queue-wait-time", "people-flow", "crowd-density", "phone-use",
        "unattended-baggage", "stray-dog", "dog-without-person", "elevator-overcrowding", "bicycle-in-lift",
        "after-hours-presence", "knife-or-scissors", "lone-worker", "vehicle-counting", "vehicle-classification",
        "stopped-vehicle", "wrong-way", "u-turn", "congestion-level", "crosswalk-occupied", "pedestrian-on-carriageway",
        "emergency-lane-occupied", "non-motor-in-motor-lane", "boat-in-forbidden-water",
    )),
    *((name, zone) for name in ("loitering", "people-counting", "crowd-gathering", "illegal-parking", "running-person")
      for zone in (_LEFT, _RIGHT)),
    ("intrusion", _RIGHT), ("intrusion", _BELOW), ("absence", _LEFT), ("queue-length", _BELOW),
)  # fmt: skip
"""Algorithms of all domains on the same detector, some of them on several zones. The order is fixed: a figure of one release
compares with that of the next."""


class Settings(Options):
    """Settings of `sharing`.

    Attributes:
        clip: on which people are in sight all the time, below the test media, or `drawn:NAME` for footage of the project's own (`aihub.bench.footage.SCENES`).
        frames: of it, at 10 a second.
        counts: numbers of algorithms; 1 and 10 give a figure, 1 and the largest another.
        picture: for the call, below the test media; none takes the clip's first frame.
        turns: of everything.
        repeats: calls a turn.
        tune_s: for tuning the detector; 0 leaves its profile as it is.
    """

    clip: str = "video/store-aisle-detection_preview.mp4"
    frames: int = Field(100, ge=1, le=2000)
    counts: tuple[int, ...] = (1, 2, 5, 10, 20, 30, 40, 50)
    picture: str = "images/coco/000000000036.jpg"
    turns: int = Field(5, ge=1, le=50)
    repeats: int = Field(40, ge=1, le=1000)
    tune_s: float = Field(10.0, ge=0, le=300)


def run(stand: Stand, settings: Settings) -> None:
    """Measure; see the module."""
    stand.say("tuning coco")
    if settings.tune_s:
        tuned(stand.engine, "coco", settings.tune_s)
    stand.engine.warm(["coco"])
    with stand.part("algorithms on one stream"):
        _stream(stand, settings)
    with stand.part("algorithms on one picture"):
        _call(stand, settings)


def tasks(stand: Stand, count: int) -> list[Request]:
    """The first so many of `FIFTY`.

    Raises:
        NotHereError: there are no more than fifty.
    """
    if not 1 <= count <= len(FIFTY):
        raise NotHereError(f"{count} algorithms: 1 to {len(FIFTY)} are written down")
    return [(stand.registry.get(name), params) for name, params in FIFTY[:count]]


def _images(stand: Stand, settings: Settings) -> list[Image]:
    name, drawn = settings.clip.removeprefix(DRAWN), settings.clip.startswith(DRAWN)
    if drawn and name not in SCENES:
        raise NotHereError(f"no drawn clip {name!r}: {', '.join(SCENES)}")
    pictures = SCENES[name]().draw() if drawn else footage_of(stand.media(*name.split("/")), settings.frames)
    return list(islice(pictures, settings.frames))


def _stream(stand: Stand, settings: Settings) -> None:
    """CPU of a frame against the number of algorithms that look at it."""
    images = _images(stand, settings)

    def cost(requests: Sequence[Request]) -> float:
        plan = Plan(stand.engine)
        for index, (algorithm, params) in enumerate(requests):
            plan.set(f"{algorithm.card.id}-{index}", algorithm, params)

        def look() -> None:
            for seq, image in enumerate(images):
                plan.run(Frame(image, "clip", seq, captured_at=seq * 0.1, monotonic=seq * 0.1))

        return cpu(look) / len(images)

    def of(count: int) -> Callable[[], float]:
        requests = tasks(stand, count)
        return lambda: cost(requests)

    counts = sorted({1, 10, *settings.counts})
    taken = stand.take_turns({str(count): of(count) for count in counts}, settings.turns)
    stand.curves.append(
        Curve(
            name="cpu-a-frame",
            title="CPU of a frame against the algorithms that share a detector",
            x="algorithms",
            y="ms",
            lines={"CPU of a frame": tuple((count, taken.median(str(count)) * 1e3) for count in counts)},
        )
    )
    for count, limit in ((10, 1.25), (50, 1.4)):
        if count in counts:
            name = str(count)
            stand.ratio(
                f"algorithms-over-one/{count}", f"CPU of a frame: {count} algorithms on one detector / one of them",
                taken, name, "1", target=most(limit),
                detail=f"one {taken.median('1') * 1e3:.2f} ms, {count} {taken.median(name) * 1e3:.2f} ms CPU a frame; "
                       f"turns {taken.spread(name, '1')}",
            )  # fmt: skip


def _call(stand: Stand, settings: Settings) -> None:
    """Wall time of one call with ten algorithms over that of the dearest alone."""
    requests = tasks(stand, len(TEN))
    image = _picture(stand, settings)

    def alone(request: Request) -> Callable[[], float]:
        def look() -> list[AnyResult]:
            return infer(request[0], [Frame(image)], request[1], stand.engine)

        return lambda: wall(look, settings.repeats)

    def together() -> float:
        return wall(lambda: infer_many(requests, [Frame(image)], stand.engine), settings.repeats)

    for answer in infer_many(requests, [Frame(image)], stand.engine):
        if not isinstance(answer, list):
            raise answer
    single = {f"{algorithm.card.id} {index}": alone((algorithm, params))
              for index, (algorithm, params) in enumerate(requests)}  # fmt: skip
    taken = stand.take_turns({**single, "ten": together}, settings.turns)
    dearest = max(single, key=taken.median)
    stand.ratio(
        "call-over-dearest/10", "Wall time: ten algorithms on one picture in one call / the dearest of them alone",
        taken, "ten", dearest, target=most(1.3),
        detail=f"ten {taken.median('ten') * 1e3:.2f} ms, {dearest.rpartition(' ')[0]} {taken.median(dearest) * 1e3:.2f} ms; "
               f"turns {taken.spread('ten', dearest)}",
    )  # fmt: skip


def _picture(stand: Stand, settings: Settings) -> Image:
    if not settings.picture:
        return _images(stand, settings.model_copy(update={"frames": 1}))[0]
    path = stand.media(*settings.picture.split("/"))
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise NotHereError(f"{path.name} cannot be read")
    return np.asarray(image, np.uint8)
