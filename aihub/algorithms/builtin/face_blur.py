"""Stage `blur-faces`: the picture with everything found on it made unrecognisable."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.faces.asking import faces_of
from aihub.types import AnyResult, Frame, Image, Picture


class BlurFacesParams(StageParams):
    """How faces are hidden."""

    method: Literal["pixelate", "blur", "fill"] = Field(
        "pixelate", description="Large pixels, a soft blur of them, or one grey."
    )
    blocks: int = Field(
        6, ge=2, le=12, description="Pixels that are left across a face; fewer hide more. Not for `fill`."
    )
    margin: float = Field(
        0.2, ge=0, le=1, description="How far beyond the face's box, in shares of its sides."
    )


class BlurFaces(Stage[BlurFacesParams]):
    """A picture in which each box is down to a few pixels, so that nothing can bring the face back; measure `faces`."""

    name = "blur-faces"

    def process(self, frame: Frame, found: AnyResult | None) -> Picture:
        """See the class."""
        faces = faces_of(found, self.name)
        image = frame.image.copy()
        spread = (faces.xyxy[:, 2:] - faces.xyxy[:, :2]) * self.params.margin
        boxes = np.concatenate([faces.xyxy[:, :2] - spread, faces.xyxy[:, 2:] + spread], axis=1)
        size = np.array([frame.width, frame.height] * 2, np.float32)
        whole = np.clip(np.round(boxes), 0, size).astype(int)
        # From the picture as it was, so that the order of boxes that overlap does not matter for how little is left.
        for x1, y1, x2, y2 in whole.tolist():
            if x2 > x1 and y2 > y1:
                image[y1:y2, x1:x2] = self._hidden(frame.image[y1:y2, x1:x2])
        return Picture(image, {"faces": float(len(faces))})

    def _hidden(self, part: Image) -> Image:
        height, width = part.shape[:2]
        if self.params.method == "fill":
            return np.full_like(part, 128)
        across = min(self.params.blocks, width)
        down = min(max(round(across * height / width), 1), height, 2 * self.params.blocks)
        few = cv2.resize(part, (across, down), interpolation=cv2.INTER_AREA)
        way = cv2.INTER_NEAREST if self.params.method == "pixelate" else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(few, (width, height), interpolation=way), np.uint8)
