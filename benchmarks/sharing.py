"""Ten algorithms on one detector on one stream against one of them: CPU per frame."""

from __future__ import annotations

from pathlib import Path

import cv2

from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.types import Frame, Image
from benchmarks.measure import Figure, cpu, take_turns

TEN = (
    "person-detection", "people-counting", "intrusion", "line-crossing", "loitering", "crowd-gathering", "absence",
    "vehicle-detection", "illegal-parking", "intrusion",
)  # fmt: skip
COMMAND = "python -m benchmarks.run --only sharing"


def frames_of(clip: Path, count: int) -> list[Image]:
    """The first frames of a clip."""
    capture = cv2.VideoCapture(str(clip))
    images: list[Image] = []
    while len(images) < count:
        found, image = capture.read()
        if not found:
            break
        images.append(image)  # type: ignore[arg-type]  # VideoCapture gives uint8
    capture.release()
    return images


def plan_of(registry: Registry, engine: Engine, algorithms: tuple[str, ...]) -> Plan:
    """A plan with one task for each."""
    plan = Plan(engine)
    for index, algorithm in enumerate(algorithms):
        # The second intrusion watches another zone, so that nothing but the detector and the tracker is shared.
        params = {"zone": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]} if index == len(TEN) - 1 else {}
        plan.set(f"{algorithm}-{index}", registry.get(algorithm), params)
    return plan


def measure(engine: Engine, registry: Registry, media: Path, turns: int = 5) -> list[Figure]:
    """CPU of a frame with ten tasks over CPU of a frame with one."""
    images = frames_of(media / "video" / "one-by-one-person-detection.mp4", 100)

    def cost(algorithms: tuple[str, ...]) -> float:
        plan = plan_of(registry, engine, algorithms)

        def run() -> None:
            for seq, image in enumerate(images):
                plan.run(Frame(image, "clip", seq, captured_at=seq * 0.1, monotonic=seq * 0.1))

        return cpu(run) / len(images)

    engine.warm(["coco"])
    taken = take_turns({"one": lambda: cost(TEN[:1]), "ten": lambda: cost(TEN)}, turns)
    ratio = taken.ratio("ten", "one")
    detail = f"one {taken.median('one') * 1e3:.2f} ms, ten {taken.median('ten') * 1e3:.2f} ms CPU a frame; turns {taken.spread('ten', 'one')}"
    return [
        Figure(
            "Ten algorithms on one detector / one of them",
            ratio,
            "x",
            "<= 1.25",
            ratio <= 1.25,
            detail,
            COMMAND,
        )
    ]
