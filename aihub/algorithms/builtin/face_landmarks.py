"""Stage `face-landmarks`: 468 points of every face, with MediaPipe's face mesh."""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.faces.asking import PATIENCE_S, Run, faces_of, largest, outputs_of
from aihub.errors import DecodeError
from aihub.types import AnyResult, Detections, Frame, Tensor

MODEL, SIDE, POINTS = "face-landmarks", 192, 468
"""Role, pixels of its input's edge, points that come out."""
AROUND = 1.5
"""How many times the longer side of a face's box the network sees."""

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


class FaceLandmarksParams(StageParams):
    """How many faces."""

    max_faces: int = Field(8, ge=1, le=64, description="Faces that are looked at, largest first; others go.")


class FaceLandmarks(Stage[FaceLandmarksParams]):
    """The faces, their keypoints the 468 points of the mesh; the score of each is how sure it is that there is a face."""

    name = "face-landmarks"

    @classmethod
    def models(cls, params: FaceLandmarksParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """The mesh."""
        return (MODEL,)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            AihubError: the model refused or failed; `DeadlineError` after `PATIENCE_S`.
        """
        faces = faces_of(found, self.name)
        faces = faces[largest(faces, self.params.max_faces)]
        until = time.monotonic() + PATIENCE_S
        ways = squares(faces)
        runs = [self._run(frame, way, until) for way in ways]
        points = np.zeros((len(faces), POINTS, 3), np.float32)
        for row, (way, run) in enumerate(zip(ways, runs, strict=True)):
            points[row] = _placed(outputs_of(run, MODEL, until), way)
        return replace(faces, keypoints=points)

    def _run(self, frame: Frame, way: F64, until: float) -> Run:
        seen = cv2.warpAffine(frame.image, way, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        pixels = np.ascontiguousarray(seen[None, :, :, ::-1], dtype=np.float32) / 255
        return self.predictor.run(
            MODEL, {"input_1": pixels}, source=frame.source, deadline=until, bill=frame.bill
        )


def squares(faces: Detections) -> F64:
    """The way from the picture to what the network sees of each face: a square about its box, its eyes level where known.

    Returns:
        `(N, 2, 3)` affine matrices.
    """
    centre = (faces.xyxy[:, :2] + faces.xyxy[:, 2:]).astype(np.float64) / 2
    side = np.maximum((faces.xyxy[:, 2:] - faces.xyxy[:, :2]).max(axis=1, initial=0), 1.0) * AROUND
    turn = np.zeros(len(faces))
    if faces.keypoints is not None and faces.keypoints.shape[1] >= 2:
        across = faces.keypoints[:, 1, :2].astype(np.float64) - faces.keypoints[:, 0, :2]
        turn = np.arctan2(across[:, 1], across[:, 0])
    scale = SIDE / side
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.stack([np.stack([c, s], 1), np.stack([-s, c], 1)], axis=1)
    move = SIDE / 2 - np.einsum("nij,nj->ni", linear, centre)
    return np.concatenate([linear, move[:, :, None]], axis=2)


def _placed(outputs: dict[str, Tensor], way: F64) -> F32:
    """The points where they are on the picture, `(468, 3)` x, y, score.

    Raises:
        DecodeError: the network gave something else.
    """
    by_size = sorted(outputs.values(), key=lambda output: output.size)
    if [output.size for output in by_size] != [1, 3 * POINTS]:
        raise DecodeError(f"{MODEL} gave {[output.shape for output in by_size]}")
    logit, mesh = float(by_size[0].ravel()[0]), by_size[1].reshape(POINTS, 3)[:, :2].astype(np.float64)
    back = cv2.invertAffineTransform(way)
    placed = mesh @ back[:, :2].T + back[:, 2]
    sure = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
    if not np.isfinite(placed).all():
        raise DecodeError(f"{MODEL} gave points that are no numbers")
    return np.concatenate([placed, np.full((POINTS, 1), sure)], axis=1).astype(np.float32)
