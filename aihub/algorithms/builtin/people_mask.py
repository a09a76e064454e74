"""Stage `segment-people`: which pixels of the picture are people."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.crops import Crop, answers, ask, cut, worth_most
from aihub.errors import DecodeError
from aihub.types import AnyResult, Detections, Frame, Mask, Tensor

MODEL, PORT = "people-seg", "MobilenetV2/MobilenetV2/input:0"
SIDE = 513
MARGIN = 0.1
"""Added on each side of a person's box: detectors cut hands and hair off."""
LABELS = ("background", "person")


class SegmentPeopleParams(StageParams):
    """How sure a pixel must be, and how many people are cut out."""

    certainty: float = Field(0.5, gt=0, lt=1, description="Share of `person` from which a pixel counts.")
    most: int = Field(4, ge=1, le=16, description="Most people a picture: the large and sure first.")
    least_side: float = Field(16.0, ge=1, le=1000, description="People narrower than this, pixels, are left.")


class SegmentPeople(Stage[SegmentPeopleParams]):
    """A `Mask` of the picture's size with the classes `background` and `person`, from the people that a detector found.

    The model was made for portraits, and takes whatever is near for a person: so it is shown every person by themselves, cut out.
    """

    name = "segment-people"

    @classmethod
    def models(cls, params: SegmentPeopleParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """The model that knows people's pixels."""
        return (MODEL,)

    def process(self, frame: Frame, found: AnyResult | None) -> Mask:
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
            DecodeError: the model gave something else than its card says.
            AihubError: a run refused or failed.
        """
        if not isinstance(found, Detections):
            raise StageError("stage 'segment-people' works on detections")
        rows = worth_most(found, self.params.most, self.params.least_side)
        crops = [cut(frame.image, box, (SIDE, SIDE), MARGIN) for box in found.xyxy[rows].tolist()]
        runs = ask(self.predictor, MODEL, PORT, [crop.pixels for crop in crops], frame)
        classes = np.zeros((frame.height, frame.width), np.uint8)
        for crop, outputs in zip(crops, answers(runs, MODEL), strict=True):
            self._add(classes, crop, outputs)
        return Mask(classes, LABELS)

    def _add(self, classes: npt.NDArray[np.uint8], crop: Crop, outputs: dict[str, Tensor]) -> None:
        """Put what is a person in a crop into the mask of the picture."""
        scores = np.asarray(next(iter(outputs.values())), np.float32)
        if scores.shape != (1, 2, SIDE, SIDE):
            raise DecodeError(f"{MODEL} gave scores of shape {scores.shape}, not (1, 2, {SIDE}, {SIDE})")
        limit = np.float32(np.log(self.params.certainty / (1 - self.params.certainty)))
        small = (scores[0, 1] - scores[0, 0] >= limit).astype(np.uint8) * np.uint8(255)
        left, top = round(crop.corner[0]), round(crop.corner[1])
        size = (max(1, round(SIDE / crop.scale[0])), max(1, round(SIDE / crop.scale[1])))
        part = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR) > 127
        classes[top : top + size[1], left : left + size[0]] |= part.astype(np.uint8)
