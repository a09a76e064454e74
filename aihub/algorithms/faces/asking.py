"""What every stage about faces does first: take the faces it was given, and wait for a model no longer than it may."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from aihub.algorithms.base import StageError
from aihub.algorithms.faces.chips import POINTS
from aihub.algorithms.waiting import waited
from aihub.errors import ConfigError, DecodeError
from aihub.types import AnyResult, Detections, Tensor
from aihub.types.geometry import box_area

PATIENCE_S = 10.0
"""How long the models of one picture may take before a stage gives up."""

F32 = npt.NDArray[np.float32]
Run = Future[dict[str, Tensor]]


def faces_of(found: AnyResult | None, stage: str) -> Detections:
    """The faces that a stage was given.

    Raises:
        StageError: the stage before gave something else.
    """
    if isinstance(found, Detections):
        return found
    kind = "nothing: it cannot come first" if found is None else type(found).__name__.lower()
    raise StageError(f"stage {stage!r} works on detected faces, not {kind}")


def points_of(faces: Detections) -> F32:
    """`(N, 5, 2)` eyes, nose and corners of the mouth, pixels.

    Raises:
        ConfigError: the detector gives none.
    """
    if faces.keypoints is None or faces.keypoints.shape[1] < POINTS:
        raise ConfigError(
            "the face detector gives no landmarks",
            hint="aihub models pull yunet-640, or set AIHUB_MODEL_MIRROR; chains begin with `detect: {model: face-points}`",
        )
    return faces.keypoints[:, :POINTS, :2]


def largest(faces: Detections, most: int) -> npt.NDArray[np.intp]:
    """Rows of the `most` largest faces, in their order."""
    rows = np.argsort(-box_area(faces.xyxy), kind="stable")[:most]
    return np.sort(rows)


def sides(faces: Detections) -> F32:
    """`(N,)` longer side of each face, pixels."""
    longer: F32 = (faces.xyxy[:, 2:] - faces.xyxy[:, :2]).max(axis=1, initial=0)
    return longer


def with_attributes(faces: Detections, rows: list[dict[str, Any]]) -> Detections:
    """The faces with more known of each; what is known already stays."""
    known: tuple[Mapping[str, Any], ...] = faces.attributes or ({},) * len(faces)
    joined = tuple({**before, **more} for before, more in zip(known, rows, strict=True))
    return Detections(
        faces.xyxy, faces.confidence, faces.class_id, faces.labels, faces.track_id, faces.keypoints, joined
    )


def outputs_of(run: Run, model: str, until: float) -> dict[str, Tensor]:
    """What a run gives.

    Raises:
        DeadlineError: it was too late.
        AihubError: whatever the run ended with.
    """
    return waited(run, until, model, PATIENCE_S)


def rows_of(outputs: Mapping[str, Tensor], model: str, shape: tuple[int, int]) -> F32:
    """The only output of a run, `(rows, columns)`; 0 columns for any number.

    Raises:
        DecodeError: it has another shape, or what it says is no number.
    """
    made = cast("F32", next(iter(outputs.values())))
    fits = made.ndim == 2 and len(made) == shape[0] and shape[1] in (0, made.shape[1])
    if not fits or not np.isfinite(made).all():
        raise DecodeError(f"{model} gave {made.dtype} {made.shape} where {shape} numbers were expected")
    return made
