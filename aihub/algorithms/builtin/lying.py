"""Stage `lying`: people who lie. Detectors and pose models know people who stand, so the picture is turned instead."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.builtin.pose import MODEL, PORT, SIDE, placed
from aihub.algorithms.crops import F32, PATIENCE_S, answers, ask, cut, worth_most
from aihub.algorithms.waiting import waited
from aihub.types import AnyResult, Detections, Frame, Image
from aihub.types.geometry import box_area, box_iou

LABELS = ("lying",)
LONGEST = 640
"""Pixels of the longer side of the picture that is turned: more than a detector of 416 px sees."""
SAME_IOU = 0.4
"""Overlap from which a box of the turned picture and one of the upright picture are one person."""
UPRIGHT, WITHIN = 0.3, 0.6
"""Confidence of somebody seen upright, and the share of them within a box, from which the box is nobody who lies."""
SHOULDERS, HIPS = (5, 6), (11, 12)
TURNS = ((cv2.ROTATE_90_CLOCKWISE, 1), (cv2.ROTATE_90_COUNTERCLOCKWISE, -1))
MARGIN = 0.12


class LyingParams(StageParams):
    """How clearly somebody must lie."""

    model: str = Field("coco", min_length=1, description="Name or role of the detector that knows `person`.")
    confidence: float = Field(0.25, gt=0, le=1, description="Least confidence in the turned picture.")
    shape: float = Field(1.3, ge=0.5, le=5, description="Least width of a box over its height.")
    lean: float = Field(40.0, gt=0, le=89, description="Most degrees between the trunk and the level.")
    joints: float = Field(0.3, ge=0, le=1, description="Least mean score of shoulders and hips.")
    most: int = Field(6, ge=1, le=32, description="Most people a frame whose joints are looked for.")


class Lying(Stage[LyingParams]):
    """Detections labelled `lying`, from the people that the stage before found upright.

    The picture is shown to the detector twice more, turned to the left and to the right: who lies stands there. Kept is whoever is
    seen more surely so than upright, is wider than high, and has a trunk that is level, from shoulders to hips, by the pose
    model. Costs two runs of the detector, and one of the pose model for each that may lie.
    """

    name = "lying"

    @classmethod
    def models(cls, params: LyingParams) -> tuple[str, ...]:
        """The detector and the pose model."""
        return (params.model, MODEL)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
            DeadlineError: a model did not answer in time.
            AihubError: a run refused or failed.
        """
        if not isinstance(found, Detections):
            raise StageError("stage 'lying' works on detections")
        turned_frames = [_turned(frame, turn) for turn, _ in TURNS]
        pictures = [turned.image for turned in turned_frames]
        until = time.monotonic() + PATIENCE_S
        runs = [self._detect(turned, until) for turned in turned_frames]
        boxes, scores, turns = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)], []
        for index, (run, picture) in enumerate(zip(runs, pictures, strict=True)):
            people = waited(run, until, self.params.model, PATIENCE_S).select(["person"])
            boxes.append(_back(people.xyxy, picture, frame, TURNS[index][1]))
            scores.append(people.confidence)
            turns += [index] * len(people)
        lying = Detections(
            np.concatenate(boxes), np.concatenate(scores), np.zeros(len(turns), np.int32), LABELS
        )
        rows = self._candidates(lying, found)
        sure = self._level(frame, lying, rows, pictures, np.array(turns, np.intp))
        return lying[rows[sure]]

    def _detect(self, turned: Frame, until: float) -> Future[Detections]:
        return self.predictor.detect(
            self.params.model, turned, confidence=self.params.confidence, source=turned.source, deadline=until
        )

    def _candidates(self, lying: Detections, upright: Detections) -> npt.NDArray[np.intp]:
        """Rows that are wide, surer than the same person upright, and the surest of their place."""
        sides = np.maximum(lying.xyxy[:, 2:] - lying.xyxy[:, :2], 1e-3)
        fine = sides[:, 0] >= self.params.shape * sides[:, 1]
        if len(upright):
            rivals = np.where(box_iou(lying.xyxy, upright.xyxy) >= SAME_IOU, upright.confidence[None], 0)
            fine &= rivals.max(axis=1) < lying.confidence
            fine &= ~_holds_somebody(lying.xyxy, upright[upright.confidence >= UPRIGHT])
        order = np.flatnonzero(fine)[np.argsort(-lying.confidence[fine], kind="stable")]
        overlap = box_iou(lying.xyxy[order], lying.xyxy[order]) >= SAME_IOU
        first = ~np.triu(overlap, 1).any(axis=0)
        return worth_most(lying, self.params.most, among=order[first])

    def _level(
        self,
        frame: Frame,
        lying: Detections,
        rows: npt.NDArray[np.intp],
        pictures: list[Image],
        turns: npt.NDArray[np.intp],
    ) -> npt.NDArray[np.bool_]:
        """Which rows have a trunk that stands upright in the turned picture, head up."""
        if not len(rows):
            return np.zeros(0, np.bool_)
        crops = []
        for row in rows.tolist():
            picture, (_, sign) = pictures[turns[row]], TURNS[turns[row]]
            box = _there(lying.xyxy[row : row + 1], picture, frame, sign)[0].tolist()
            crops.append(cut(picture, box, (SIDE, SIDE), MARGIN, square=True))
        runs = ask(self.predictor, MODEL, PORT, [crop.pixels for crop in crops], frame)
        joints = np.stack([placed(out, crop) for crop, out in zip(crops, answers(runs, MODEL), strict=True)])
        trunk = joints[:, HIPS, :2].mean(axis=1) - joints[:, SHOULDERS, :2].mean(axis=1)
        lean = np.degrees(
            np.arctan2(np.abs(trunk[:, 0]), trunk[:, 1])
        )  # above 90 for a head that points down
        score = joints[:, SHOULDERS + HIPS, 2].mean(axis=1)
        fine: npt.NDArray[np.bool_] = (lean <= self.params.lean) & (score >= self.params.joints)
        return fine


def _holds_somebody(boxes: F32, upright: Detections) -> npt.NDArray[np.bool_]:
    """`(N,)` which boxes have a good part of somebody upright in them: two who sit side by side are not one who lies."""
    people = upright.xyxy[upright.xyxy[:, 2] - upright.xyxy[:, 0] <= upright.xyxy[:, 3] - upright.xyxy[:, 1]]
    top_left = np.maximum(boxes[:, None, :2], people[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], people[None, :, 2:])
    common = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    held: npt.NDArray[np.bool_] = (common >= WITHIN * np.maximum(box_area(people), 1e-3)).any(axis=1)
    return held


def _turned(frame: Frame, turn: int) -> Frame:
    """The frame turned and made small, once a frame: what is found on it is shared as on any other."""

    def shrink() -> Image:
        scale = min(1.0, LONGEST / max(frame.width, frame.height))
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        small = frame.image if scale == 1 else cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
        return cast("Image", small)

    def make() -> Frame:
        small = frame.memo.get(("small", LONGEST), shrink)
        image = np.ascontiguousarray(cast("Image", cv2.rotate(small, turn)))
        return Frame(image, frame.source, frame.seq, frame.captured_at, frame.monotonic, bill=frame.bill)

    return frame.memo.get(("turned", turn, LONGEST), make)


def _back(boxes: F32, picture: Image, frame: Frame, sign: int) -> F32:
    """Boxes of a turned picture in pixels of the frame; `sign` is 1 for a turn clockwise."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = boxes.T
    inner = (y1, width - x2, y2, width - x1) if sign > 0 else (height - y2, x1, height - y1, x2)
    scale = np.array([frame.width / height, frame.height / width] * 2, np.float32)
    limit = np.array([frame.width, frame.height] * 2, np.float32)
    placed_there: F32 = np.clip(np.stack(inner, axis=1) * scale, 0, limit).astype(np.float32)
    return placed_there


def _there(boxes: F32, picture: Image, frame: Frame, sign: int) -> F32:
    """The way back from `_back`."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (boxes / np.array([frame.width / height, frame.height / width] * 2, np.float32)).T
    inner = (width - y2, x1, width - y1, x2) if sign > 0 else (y1, height - x2, y2, height - x1)
    turned: F32 = np.stack(inner, axis=1).astype(np.float32)
    return turned
