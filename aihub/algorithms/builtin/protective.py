"""Stages `headwear` and `high-visibility`: what people at work wear, as attributes that are `yes`, `no`, or absent when not clear."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.crops import worth_most
from aihub.types import AnyResult, Detections, Frame, Image

F64 = npt.NDArray[np.float64]

UPPER = 0.4
"""Part of a person's box, from its top, in which the middle of the head's box lies."""
HUES = (3, 62)
"""Orange-red to yellow-green, in OpenCV's half degrees: the colours of EN ISO 20471 as cameras give them."""
VIVID, BRIGHT = 90, 110
"""Least saturation and value, 0 to 255."""
TRUNK = (0.2, 0.18, 0.8, 0.55)
"""The trunk within a person's box: left, top, right, bottom."""
LONGEST = 96
"""Pixels of the longer side of a trunk that is looked at."""


class HeadwearParams(StageParams):
    """Which labels say what."""

    wearer: str = Field("person", min_length=1, description="Label of those who wear.")
    name: str = Field("helmet", min_length=1, max_length=64, description="What the attribute is called.")
    yes: tuple[str, ...] = Field(("hard_hat",), description="Labels of heads that wear it.")
    no: tuple[str, ...] = Field(("bare_head",), description="Labels of heads that do not.")
    confidence: float = Field(0.28, ge=0, le=1, description="Least confidence of a head.")


class Headwear(Stage[HeadwearParams]):
    """The rows of the wearers, with the attribute by the surest head in the upper part of each box; a head belongs to one of them."""

    name = "headwear"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - looks at `found`
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
        """
        things = _detections(self.name, found)
        wearers = things.select([self.params.wearer])
        heads = things.select([*self.params.yes, *self.params.no])
        heads = heads[heads.confidence >= np.float32(self.params.confidence)]
        said: list[dict[str, str]] = [{} for _ in range(len(wearers))]
        fits = _fits(wearers.xyxy.astype(np.float64), heads.xyxy.astype(np.float64))
        names = heads.names()
        for head in np.argsort(heads.confidence, kind="stable").tolist():  # the surest says the last word
            if len(wearers) and fits[:, head].max() > 0:
                wears = names[head] in self.params.yes
                said[int(fits[:, head].argmax())] = {self.params.name: "yes" if wears else "no"}
        return _saying(wearers, said)


def _fits(people: F64, heads: F64) -> F64:
    """`(N, M)` how well a head sits on a person, above 0 to 1; 0 for one whose middle is not in the upper part of the box."""
    x, y = (heads[:, 0] + heads[:, 2]) / 2, (heads[:, 1] + heads[:, 3]) / 2
    width = np.maximum(people[:, 2] - people[:, 0], 1e-6)[:, None]
    height = np.maximum(people[:, 3] - people[:, 1], 1e-6)[:, None]
    across = np.abs(x[None] - (people[:, 0] + people[:, 2])[:, None] / 2) / width
    down = (y[None] - people[:, 1][:, None]) / height
    fit: F64 = np.where(
        (across <= 0.5) & (down >= -0.1) & (down <= UPPER), 1.0 - across - 0.5 * np.abs(down), 0
    )
    return np.maximum(fit, 0)


class HighVisibilityParams(StageParams):
    """From what share of the trunk a vest is one."""

    name: str = Field("vest", min_length=1, max_length=64, description="What the attribute is called.")
    share: float = Field(0.22, gt=0, le=1, description="Share of the trunk in vivid orange to yellow-green from which a vest is worn.")  # fmt: skip
    none: float = Field(0.12, ge=0, le=1, description="Share up to which none is worn; between the two nobody knows.")  # fmt: skip
    least_side: float = Field(20.0, ge=1, le=1000, description="People narrower than this, pixels, are left.")
    most: int = Field(32, ge=1, le=200, description="Most people a frame: the large and sure first.")


class HighVisibility(Stage[HighVisibilityParams]):
    """Adds the attribute by the colour of the trunk. Classic: a share of vivid pixels, no network."""

    name = "high-visibility"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
        """
        people = _detections(self.name, found)
        said: list[dict[str, str]] = [{} for _ in range(len(people))]
        for row in worth_most(people, self.params.most, self.params.least_side).tolist():
            share = vivid_share(_trunk(frame.image, people.xyxy[row].tolist()))
            if share >= self.params.share or share <= self.params.none:
                said[row] = {self.params.name: "yes" if share >= self.params.share else "no"}
        return _saying(people, said)


def _trunk(image: Image, box: Sequence[float]) -> Image:
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    left, right = (int(np.clip(x1 + side * (x2 - x1), 0, width - 1)) for side in (TRUNK[0], TRUNK[2]))
    top, bottom = (int(np.clip(y1 + side * (y2 - y1), 0, height - 1)) for side in (TRUNK[1], TRUNK[3]))
    part = image[top : bottom + 1, left : right + 1]
    scale = LONGEST / max(part.shape[:2])
    if scale < 1:
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    return part


def vivid_share(part: Image) -> float:
    """Share of the pixels of a picture `(h, w, 3)` that have a vivid colour between orange-red and yellow-green, 0 to 1."""
    coded = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_BGR2HSV)
    vivid = cv2.inRange(coded, np.array((HUES[0], VIVID, BRIGHT)), np.array((HUES[1], 255, 255)))
    return cv2.countNonZero(vivid) / vivid.size


def _saying(found: Detections, said: list[dict[str, str]]) -> Detections:
    before = found.attributes or ({},) * len(found)
    both = tuple({**old, **new} for old, new in zip(before, said, strict=True))
    return dataclasses.replace(found, attributes=both)


def _detections(stage: str, found: AnyResult | None) -> Detections:
    if not isinstance(found, Detections):
        raise StageError(f"stage {stage!r} works on detections")
    return found
