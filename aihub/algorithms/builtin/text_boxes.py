"""Where text is, without reading it; and reading one part of the picture only."""

from __future__ import annotations

import time

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.text import FINDER, PATIENCE_S, ReadText, ReadTextParams, first_output, line_map
from aihub.algorithms.builtin.text_lines import F32, PIXEL_FLOOR, find_lines
from aihub.errors import DecodeError
from aihub.types import AnyResult, Detections, Frame, Predictor, Texts
from aihub.types.geometry import points_in_polygon

LABEL = "text"


class FindTextParams(StageParams):
    """Parameters of `find-text`."""

    max_side: int = Field(
        960, ge=64, le=4096, description="The picture's long side, pixels, when looking for lines."
    )


class FindText(Stage[FindTextParams]):
    """A box around every line of text; its slant, degrees clockwise, is the attribute `angle_deg`.

    Confidence is the mean probability of what the finder takes for text in the box.
    """

    name = "find-text"

    @classmethod
    def models(cls, params: FindTextParams) -> tuple[str, ...]:  # noqa: ARG003 - the same with all
        """The finder."""
        return (FINDER,)

    def begin(self, frame: Frame) -> None:
        """Start looking for lines."""
        line_map(self.predictor, frame, self.params.max_side)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - a first stage
        """Look for lines.

        Raises:
            AihubError: the model refused or failed; `DeadlineError` after `PATIENCE_S`.
        """
        run = line_map(self.predictor, frame, self.params.max_side)
        probability = first_output(run, time.monotonic() + PATIENCE_S)
        if probability.ndim != 4:
            raise DecodeError(f"{FINDER} gave a map of shape {probability.shape}")
        quads = find_lines(probability[0, 0], (frame.height, frame.width))
        boxes = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1).reshape(-1, 4)
        sure = _certainty(probability[0, 0], boxes, (frame.height, frame.width))
        along = quads[:, 1] - quads[:, 0]
        angles = np.degrees(np.arctan2(along[:, 1], along[:, 0])) if len(quads) else np.zeros(0)
        attributes = tuple({"angle_deg": angle} for angle in np.round(angles.astype(float), 1).tolist())
        return Detections(boxes, sure, np.zeros(len(boxes), np.int32), (LABEL,), attributes=attributes)


def _certainty(probability: F32, boxes: F32, size: tuple[int, int]) -> F32:
    """Mean over the text pixels of each `(N, 4)` box, `(N,)` float32 in [0, 1]."""
    rows, columns = probability.shape
    text = probability > PIXEL_FLOOR
    scale = np.array([columns / size[1], rows / size[0]] * 2)
    x1, y1, x2, y2 = np.rint(boxes * scale).astype(int).T
    x1, y1 = np.clip(x1, 0, columns - 1), np.clip(y1, 0, rows - 1)
    x2, y2 = np.clip(x2, x1 + 1, columns), np.clip(y2, y1 + 1, rows)
    sums = [
        table[y2, x2] - table[y1, x2] - table[y2, x1] + table[y1, x1]
        for table in (_summed(np.where(text, probability, 0)), _summed(text))
    ]
    mean: F32 = np.clip(sums[0] / np.maximum(sums[1], 1.0), 0, 1).astype(np.float32)
    return mean


def _summed(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return np.asarray(cv2.integral(values.astype(np.float32), sdepth=cv2.CV_64F), np.float64)


class ReadZoneParams(StageParams):
    """Parameters of `read-zone`."""

    zone: tuple[tuple[float, float], ...] = Field(
        (), description="Polygon to read in, relative corners; without points the whole picture."
    )
    min_confidence: float = Field(0.5, ge=0, le=1, description="Lines read with less certainty are left out.")
    max_side: int = Field(
        640, ge=64, le=4096, description="The zone's long side, pixels, when looking for lines."
    )


class ReadZone(Stage[ReadZoneParams]):
    """All text in a zone: only that part is looked at, in as many pixels as it has."""

    name = "read-zone"

    def __init__(self, params: ReadZoneParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        asked = ReadTextParams(min_confidence=params.min_confidence, max_side=params.max_side)
        self._reader = ReadText(asked, predictor)
        corners = np.array(params.zone or [(0, 0), (1, 1)], np.float64)
        self._from, self._to = corners.min(axis=0), corners.max(axis=0)
        self._polygon = np.array(params.zone, np.float64) if len(params.zone) > 2 else None

    @classmethod
    def models(cls, params: ReadZoneParams) -> tuple[str, ...]:  # noqa: ARG003 - the same with all
        """The finder and the reader."""
        return ReadText.models(ReadTextParams())

    def begin(self, frame: Frame) -> None:
        """Start looking for lines."""
        self._reader.begin(self._part(frame)[0])

    def process(self, frame: Frame, found: AnyResult | None) -> Texts:  # noqa: ARG002 - a first stage
        """Read the zone.

        Raises:
            AihubError: a model refused or failed; `DeadlineError` after `PATIENCE_S`.
        """
        part, corner = self._part(frame)
        read = self._reader.process(part, None)
        if not len(read):
            return read
        quads = (read.quads + corner).astype(np.float32)
        size = np.array([frame.width, frame.height], np.float64)
        inside = np.ones(len(read), np.bool_)
        if self._polygon is not None:
            inside = points_in_polygon(np.clip(quads.mean(axis=1) / size, 1e-6, 1 - 1e-6), self._polygon)
        rows = np.flatnonzero(inside)
        return Texts(quads[rows], tuple(read.text[row] for row in rows.tolist()), read.confidence[rows])

    def _part(self, frame: Frame) -> tuple[Frame, npt.NDArray[np.float64]]:
        """The zone as a frame of its own, and its upper left corner in pixels; once a frame, whoever asks."""
        size = np.array([frame.width, frame.height])
        begin = np.minimum(np.floor(self._from * size), size - 1)
        end = np.maximum(np.ceil(self._to * size), begin + 1)
        key = ("read-zone", *begin.tolist(), *end.tolist())
        return frame.memo.get(key, lambda: frame.crop(*begin.tolist(), *end.tolist())), begin
