"""Generated scenes with known truth for tracker and rules: who is where, when, and what a detector would make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aihub.types import Detections, Frame, Image
from aihub.types.geometry import box_iou

WIDTH, HEIGHT = 640, 360
BLANK: Image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
BLANK.setflags(write=False)
START = 1000.0
"""Monotonic time of the first frame."""

Path = Callable[[float], tuple[float, float] | None]
"""Seconds -> relative place of the feet (bottom centre), None while not in the picture."""


def frame_at(seconds: float, seq: int = 0) -> Frame:
    return Frame(BLANK, "scene", seq, captured_at=1.7e9 + seconds, monotonic=START + seconds)


def times(seconds: float, fps: float) -> npt.NDArray[np.float64]:
    return np.arange(round(seconds * fps) + 1) / fps


def stands(x: float, y: float, since: float = 0.0, until: float = 1e9) -> Path:
    """In one place from `since` to `until`."""
    return lambda t: (x, y) if since <= t <= until else None


def walks(*stops: tuple[float, float, float]) -> Path:
    """Straight from stop to stop, each (second, x, y); absent before the first and after the last."""
    t, x, y = (np.array(column) for column in zip(*stops, strict=True))

    def where(now: float) -> tuple[float, float] | None:
        if not t[0] <= now <= t[-1]:
            return None
        return float(np.interp(now, t, x)), float(np.interp(now, t, y))

    return where


def person(place: tuple[float, float], height: float = 0.25) -> list[float]:
    """Pixel box of a person whose feet are at the relative place; 2.5 times as tall as wide."""
    x, y = place[0] * WIDTH, place[1] * HEIGHT
    tall = height * HEIGHT
    return [x - tall / 5, y - tall, x + tall / 5, y]


def detections(
    boxes: Sequence[Sequence[float]],
    ids: Sequence[int] | None = None,
    confidence: float | Sequence[float] = 0.9,
    labels: tuple[str, ...] = ("person", "car"),
    classes: Sequence[int] | None = None,
) -> Detections:
    number = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.broadcast_to(np.asarray(confidence, np.float32), (number,)).copy(),
        np.zeros(number, np.int32) if classes is None else np.array(classes, np.int32),
        labels,
        None if ids is None else np.array(ids, np.int64).reshape(-1),
    )


def tracked(
    paths: Sequence[Path], seconds: float, fps: float, height: float = 0.25
) -> Iterator[tuple[float, Frame, Detections]]:
    """A perfect tracker's view of the paths: object k has track id k + 1."""
    for seq, t in enumerate(times(seconds, fps).tolist()):
        here = [(k + 1, place) for k, path in enumerate(paths) if (place := path(t)) is not None]
        boxes = [person(place, height) for _, place in here]
        yield t, frame_at(t, seq), detections(boxes, [k for k, _ in here])


@dataclass(frozen=True)
class Flaws:
    """What a detector does wrong."""

    jitter: float = 0.03  # of the height, standard deviation of every side
    missed: float = 0.05  # share of boxes not given
    ghosts: float = 0.1  # false boxes a frame
    hidden: float = 0.6  # overlap above which the farther of two is given weakly or not at all


def detected(
    paths: Sequence[Path],
    seconds: float,
    fps: float,
    rng: np.random.Generator,
    flaws: Flaws,
    height: float = 0.25,
) -> Iterator[tuple[Frame, Detections, dict[int, list[float]]]]:
    """What a flawed detector sees, with the truth: path number -> pixel box."""
    for seq, t in enumerate(times(seconds, fps).tolist()):
        truth = {k: person(place, height) for k, path in enumerate(paths) if (place := path(t)) is not None}
        solid = np.array(list(truth.values()), np.float64).reshape(-1, 4)
        cover = np.triu(box_iou(solid, solid), 1).max(axis=1, initial=0)  # the later one stands in front
        score = np.where(
            cover > flaws.hidden, rng.uniform(0, 0.35, len(solid)), rng.uniform(0.45, 0.95, len(solid))
        )
        seen = (score > 0.1) & (rng.random(len(solid)) >= flaws.missed)
        noisy = solid + rng.normal(0, flaws.jitter * height * HEIGHT, solid.shape)
        ghosts = rng.poisson(flaws.ghosts)
        places = [person((float(x), float(y)), height) for x, y in rng.uniform(0.1, 0.9, (ghosts, 2))]
        boxes = np.concatenate([noisy[seen], np.array(places, np.float64).reshape(-1, 4)])
        scores = np.concatenate([score[seen], rng.uniform(0.1, 0.5, ghosts)])
        yield frame_at(t, seq), detections(boxes.tolist(), confidence=scores.tolist()), truth
