"""Whole pictures: number plates read exactly, and fire or smoke told from none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aihub.algorithms.inference import infer
from aihub.algorithms.registry import Registry
from aihub.bench.accuracy.assets import read_image
from aihub.types import Detections, Findings, Frame, Predictor

GROUND = 24
"""Pixels of grey put around a plate that was cut out of its picture: the detector wants some."""


@dataclass(frozen=True, slots=True)
class Plates:
    """Number plates.

    Attributes:
        exact: pictures on which the plate was read exactly.
        wrong: pictures on which another was read.
        every: pictures.
    """

    exact: int
    wrong: int
    every: int


def plates(
    registry: Registry, predictor: Predictor, rows: Iterable[tuple[Path, str]], ground: int = GROUND
) -> Plates:
    """Read plates with `plate-recognition`, as its card has it.

    Args:
        registry: the algorithms.
        predictor: the engine.
        rows: picture of a plate, and what stands on it.
        ground: pixels of grey around each.

    Raises:
        NotHereError: a picture cannot be read.
    """
    algorithm = registry.get("plate-recognition")
    exact = wrong = every = 0
    for path, plate in rows:
        image = read_image(path)
        height, width = image.shape[:2]
        framed = np.full((height + 2 * ground, width + 2 * ground, 3), 114, np.uint8)
        framed[ground : ground + height, ground : ground + width] = image
        result = infer(algorithm, [Frame(framed)], {}, predictor)[0]
        found = result.found if isinstance(result, Findings) else result
        rows_read = found.attributes or () if isinstance(found, Detections) else ()
        read = {row["plate"] for row in rows_read if row.get("plate")}
        every, exact, wrong = every + 1, exact + (plate in read), wrong + bool(read - {plate})
    return Plates(exact, wrong, every)


@dataclass(frozen=True, slots=True)
class Raised:
    """Pictures with and without what an alarm is for.

    Attributes:
        hits: pictures that have it and raised.
        missed: that have it and did not.
        false: that do not have it and raised.
        quiet: that do not have it and did not.
    """

    hits: int
    missed: int
    false: int
    quiet: int

    @property
    def precision(self) -> float:
        """In [0, 1]; 0 where nothing raised."""
        return self.hits / max(1, self.hits + self.false)

    @property
    def recall(self) -> float:
        """In [0, 1]."""
        return self.hits / max(1, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of both.

        >>> Raised(hits=8, missed=2, false=2, quiet=8).f1
        0.8
        """
        return 2 * self.hits / max(1, 2 * self.hits + self.missed + self.false)


def raised(
    registry: Registry, predictor: Predictor, rows: Iterable[tuple[Path, bool]], algorithms: tuple[str, ...]
) -> Raised:
    """Show pictures to algorithms, as their cards have them; one that finds anything raises.

    Args:
        registry: the algorithms.
        predictor: the engine.
        rows: picture, and whether there is what they look for.
        algorithms: ids.

    Raises:
        NotHereError: a picture cannot be read.
    """
    watching = [registry.get(name) for name in algorithms]
    counts = {(there, alarm): 0 for there in (True, False) for alarm in (True, False)}
    for path, there in rows:
        image = read_image(path)
        found = [infer(one, [Frame(image)], {}, predictor)[0] for one in watching]
        boxes = [one.found if isinstance(one, Findings) else one for one in found]
        alarm = any(isinstance(one, Detections) and len(one) > 0 for one in boxes)
        counts[there, alarm] += 1
    return Raised(counts[True, True], counts[True, False], counts[False, True], counts[False, False])
