"""Ten algorithms on one picture in one call against the dearest of them alone: wall time, in turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.inference import infer, infer_many
from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.types import AnyResult, Frame, Image
from benchmarks.measure import Figure, take_turns, wall
from benchmarks.sharing import TEN

COMMAND = "python -m benchmarks.run --only many"
REPEATS = 40

Request = tuple[Algorithm, dict[str, Any]]


def requests_of(registry: Registry) -> list[Request]:
    """Ten algorithms on the same detector; the last looks at another zone than its namesake."""
    other: dict[str, Any] = {"zone": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
    return [(registry.get(name), other if index == len(TEN) - 1 else {}) for index, name in enumerate(TEN)]


def measure(engine: Engine, registry: Registry, media: Path, turns: int = 5) -> list[Figure]:
    """Wall time of one call with all ten over that of the dearest alone."""
    image: Image = cv2.imread(str(media / "images" / "coco" / "000000000036.jpg"))  # type: ignore[assignment]
    requests = requests_of(registry)

    def alone(request: Request) -> Callable[[], float]:
        def look() -> list[AnyResult]:
            return infer(request[0], [Frame(image)], request[1], engine)

        return lambda: wall(look, REPEATS)

    def together() -> float:
        return wall(lambda: infer_many(requests, [Frame(image)], engine), REPEATS)

    engine.warm(["coco"])
    failed = [
        answer for answer in infer_many(requests, [Frame(image)], engine) if not isinstance(answer, list)
    ]
    assert not failed, failed
    single = {f"{request[0].card.id} {index}": alone(request) for index, request in enumerate(requests)}
    taken = take_turns({**single, "ten": together}, turns)
    dearest = max(single, key=taken.median)
    ratio = taken.ratio("ten", dearest)
    detail = (
        f"ten {taken.median('ten') * 1e3:.2f} ms, {dearest.rpartition(' ')[0]} {taken.median(dearest) * 1e3:.2f} ms; "
        f"turns {taken.spread('ten', dearest)}"
    )
    return [
        Figure(
            "Ten algorithms on one picture in one call / the dearest of them alone",
            ratio,
            "x",
            "<= 1.3",
            ratio <= 1.3,
            detail,
            COMMAND,
        )
    ]
