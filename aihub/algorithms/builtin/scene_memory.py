"""Stages that know how a camera's scene looked: what covers it, what turned the camera away, what changed in a zone."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.algorithms.cells import F32, Reference, likeness, moved_by, scene_slopes, strength
from aihub.types import AnyResult, Frame, Predictor, Quality

DETAILED = 1.2
"""Structure that a cell must have for its loss to be seen, grey levels a pixel."""
LOST = 0.3
"""Share of its structure below which a cell has lost it."""
LEAST = 0.1
"""Share of the cells that must have had structure: of a blank scene nothing can be said."""
UNLIKE = 0.4
"""Likeness of a cell's structure to the reference below which it shows something else."""


class MemoryParams(StageParams):
    """How the scene is remembered."""

    learn: float = Field(
        5.0, gt=0, le=600, description="Seconds over which the reference is gathered at the start."
    )
    memory: float = Field(
        600.0, ge=1, le=86400, description="Seconds with which the reference follows slow change."
    )
    accept: float = Field(
        3600.0, ge=1, le=864000, description="Seconds after which what is different is the new reference."
    )


M = TypeVar("M", bound=MemoryParams)


class Remembering(Stage[M]):
    """Base of stages that hold a picture against how the scene looked before."""

    stateful = True

    def __init__(self, params: M, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._reference = Reference(params.learn, params.memory)


class OccludedParams(MemoryParams):
    """Settings of `occluded-picture`."""

    share: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Share of the scene's structure that is gone, from which the lens is covered.",
    )


class OccludedPicture(Remembering[OccludedParams]):
    """Something large and plain lies over what the camera saw: a hand, a bag, paint, a leaf, a web.

    The reference is what was seen at first; its structure is remembered in cells and follows slow change where it is still
    seen. Of the cells that had structure, the largest connected part that is now plain counts. A picture alone has no fault.
    """

    name = "occluded-picture"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of the structure that is gone against its limit."""
        now, seen = frame.monotonic, strength(scene_slopes(frame))
        known = self._reference.known
        if not self._reference.fits(seen, now) or known is None:
            return Quality(False, 0.0, {"covered_share": 0.0})
        had = known > DETAILED
        lost = had & (seen < np.maximum(LOST * known, 0.5))
        covered = _largest(lost, seen <= DETAILED) / max(int(had.sum()), LEAST * had.size, 1.0)
        score = clearness(covered, self.params.share, 1.0)
        self._reference.follow(
            seen, now, strange=score >= 0.5, accept_s=self.params.accept, hold=lost.astype(np.float32)
        )
        return Quality(score >= 0.5, score, {"covered_share": covered})


def _largest(lost: npt.NDArray[np.bool_], plain: npt.NDArray[np.bool_]) -> int:
    """Most lost cells in one connected plain area: what covers is one thing."""
    _, areas = cv2.connectedComponents((plain | lost).view(np.uint8), connectivity=8)
    return int(np.bincount(areas[lost].ravel()).max()) if lost.any() else 0


class ShiftedParams(MemoryParams):
    """Settings of `shifted-view`."""

    moved: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of the scene's cells that must show something else where the whole view moved by one distance.",
    )
    elsewhere: float = Field(0.85, gt=0, lt=1, description="The same where it is another view altogether.")


class ShiftedView(Remembering[ShiftedParams]):
    """The camera looks somewhere else than it did: turned, knocked, sagged.

    The structure of the picture is compared with that of the reference cell by cell, so that people and cars, who are in some
    cells only, do not count, and light, which leaves edges where they are, counts little. Where one movement brings reference
    and picture together again the view was moved; where none does, nearly everything must be different. A picture that has
    lost its structure is covered, black or blurred, and not shifted.
    """

    name = "shifted-view"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of cells that show something else against its limits."""
        now, seen = frame.monotonic, scene_slopes(frame)
        both: F32 = np.stack(seen)
        known = self._reference.known
        if not self._reference.fits(both, now) or known is None:
            return Quality(False, 0.0, {"changed_share": 0.0})
        before = (known[0], known[1])
        had, has = strength(before) > DETAILED, strength(seen) > DETAILED
        changed, across, down = 0.0, 0.0, 0.0
        if had.mean() >= LEAST and has.sum() >= 0.4 * had.sum():
            changed = float(np.mean(likeness(before, seen)[had | has] < UNLIKE))
            if changed >= self.params.moved:
                across, down = moved_by(before, seen)
        limit = self.params.moved if across or down else self.params.elsewhere
        score = clearness(changed, limit, 1.0)
        self._reference.follow(both, now, strange=score >= 0.5, accept_s=self.params.accept)
        side = max(frame.width, frame.height) / max(*seen[0].shape)
        measures = {"changed_share": changed, "shift_across_px": across * side, "shift_down_px": down * side}
        return Quality(score >= 0.5, score, measures)
