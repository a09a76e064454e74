"""What a model says about the pictures of a data set, many of them in flight."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from aihub.errors import CapacityError, ImageDecodeError, InputError
from aihub.evaluation.truth import F64, Mask, Picture, Rows, Truth
from aihub.types import Bill, Detections, Frame, Image, Predictor

Predict = Callable[[Frame], Detections | Future[Detections]]
"""Looks at one frame. One that gives futures has many pictures in flight."""
Progress = Callable[[int, int], None]
"""Told how many pictures are done, of how many."""

FLOOR = 0.01
"""Confidence from which boxes are asked for: low, so that curves are whole."""
AT_ONCE = 32
_WAIT_S = 300.0


def through(predictor: Predictor, model: str, *, floor: float = FLOOR) -> Predict:
    """A model run by the hub's own engine, as a function of the frame.

    Args:
        predictor: the engine.
        model: name or role.
        floor: confidence in (0, 1] below which boxes are not given.
    """
    return lambda frame: predictor.detect(model, frame, confidence=floor, source="evaluation")


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model said.

    Attributes:
        found: one `Detections` for each picture, in the order of the data set.
        seconds: wall clock for all of them, reading and decoding the files included.
        run_seconds: seconds of the model's own runs, as billed by the engine; 0 when nobody billed.
    """

    found: tuple[Detections, ...]
    seconds: float
    run_seconds: float

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that the answers carry."""
        return tuple(dict.fromkeys(label for one in self.found for label in one.labels))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The boxes of all answers under the names of the data set; D rows in columns.

    Attributes:
        labels: names of the classes.
        xyxy: `(D, 4)` float64 pixels.
        confidence: `(D,)` float64 in [0, 1].
        picture: `(D,)` index of the picture.
        class_id: `(D,)` index into `labels`.
    """

    labels: tuple[str, ...]
    xyxy: F64
    confidence: F64
    picture: Rows
    class_id: Rows

    def with_pictures(self, wanted: Mask) -> Found:
        """The boxes of some pictures, which are counted anew. `wanted`: `(pictures,)`."""
        place = (np.cumsum(wanted) - 1).astype(np.intp)
        kept = wanted[self.picture]
        return Found(
            self.labels,
            self.xyxy[kept],
            self.confidence[kept],
            place[self.picture[kept]],
            self.class_id[kept],
        )


def ask(predict: Predict, truth: Truth, progress: Progress | None = None) -> Answers:
    """Show every picture to a model.

    The first picture is shown once before the clock starts, so that loading is not in the figures.

    Args:
        predict: the model.
        truth: names the pictures.
        progress: told after each picture.

    Raises:
        ImageDecodeError: a file is no picture.
        InputError: a picture has another size than the data set says.
        CapacityError: no answer within five minutes.
        AihubError: whatever the model raises.
    """
    _result(predict(_frame(truth.pictures[0], 0)))
    waiting: deque[tuple[Frame, Detections | Future[Detections]]] = deque()
    found: list[Detections] = []
    run_seconds = 0.0
    began = time.perf_counter()

    def take() -> float:
        frame, answer = waiting.popleft()
        found.append(_result(answer))
        if progress is not None:
            progress(len(found), len(truth.pictures))
        return frame.bill.total if frame.bill is not None else 0.0

    for seq, picture in enumerate(truth.pictures):
        frame = _frame(picture, seq)
        waiting.append((frame, predict(frame)))
        if len(waiting) >= AT_ONCE:
            run_seconds += take()
    while waiting:
        run_seconds += take()
    return Answers(tuple(found), time.perf_counter() - began, run_seconds)


def _result(answer: Detections | Future[Detections]) -> Detections:
    if isinstance(answer, Detections):
        return answer
    try:
        return answer.result(timeout=_WAIT_S)
    except TimeoutError:
        raise CapacityError(f"the model gave no answer in {_WAIT_S:.0f} s") from None


def _frame(picture: Picture, seq: int) -> Frame:
    return Frame(read_picture(picture), source=f"evaluation/{picture.name}", seq=seq, bill=Bill())


def read_picture(picture: Picture) -> Image:
    """`(height, width, 3)` uint8 BGR.

    Raises:
        ImageDecodeError: no picture that can be read.
        InputError: of another size than the data set says, so that its boxes would lie wrong.
    """
    image = _decode(picture.path)
    if image is None:
        raise ImageDecodeError(
            f"{picture.name} is not a picture that can be read",
            field="images.file_name", hint="bring it anew, or take it out of images",
        )  # fmt: skip
    height, width = image.shape[:2]
    if (width, height) != (picture.width, picture.height):
        raise InputError(
            f"{picture.name} is {width} x {height} pixels, but width and height of images say "
            f"{picture.width} x {picture.height}",
            field="images.width", hint="boxes would lie wrong: mend width and height, or store the picture as labelled",
        )  # fmt: skip
    return image


def _decode(path: Path) -> Image | None:
    data = np.fromfile(path, np.uint8)
    try:
        return cast("Image | None", cv2.imdecode(data, cv2.IMREAD_COLOR)) if len(data) else None
    except cv2.error:
        return None


def gather(found: Sequence[Detections], of_model: Mapping[str, str], labels: tuple[str, ...]) -> Found:
    """All boxes in columns, under the data set's names; those of labels that are not measured are left out.

    Args:
        found: one for each picture.
        of_model: label of the model -> label of the data set.
        labels: names of the classes of the data set.
    """
    parts: list[tuple[npt.NDArray[np.float64], F64, Rows, Rows]] = []
    for at, one in enumerate(found):
        new_id = np.array(
            [labels.index(of_model[name]) if name in of_model else -1 for name in one.labels], np.intp
        )
        classes = new_id[one.class_id] if len(one) else np.zeros(0, np.intp)
        kept = (classes >= 0) & np.isfinite(one.xyxy).all(axis=1)
        scores = _printable(one.confidence[kept])
        parts.append(
            (one.xyxy[kept].astype(np.float64), scores, np.full(int(kept.sum()), at, np.intp), classes[kept])
        )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Found(labels, columns[0], columns[1], columns[2].astype(np.intp), columns[3].astype(np.intp))


def _printable(scores: npt.NDArray[np.float32]) -> F64:
    """Six digits, never above the score, so that a threshold set to its printed form keeps what it was chosen to keep."""
    exact = scores.astype(np.float64)
    near = np.round(exact, 6)
    return cast("F64", np.where(near.astype(np.float32) <= scores, near, np.floor(exact * 1e6) / 1e6))
