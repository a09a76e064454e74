"""Stage `read-plates`: what the number plates say that a detector found, and their colour."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.crops import F32, Looks, answers, ask, cut, worth_most, worth_of
from aihub.errors import DecodeError
from aihub.types import AnyResult, Detections, Frame, Image, Predictor, Tensor
from aihub.types.geometry import box_area

READER, PAINTER = "plate-rec", "plate-colour"
"""Roles: what a plate says, and its colour."""
PROVINCES = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新"
SIGNS = (*PROVINCES, *"0123456789ABCDEFGHJKLMNPQRSTUVWXYZIO-")
"""What each score of the reader means (sirius-ai/LPRNet_Pytorch); the last is the blank."""
COLOURS = ("blue", "green", "yellow")
STRIP = (24, 94)
PAINT = (96, 96)
"""Height and width that the models take."""
ONE_ROW = "single-row"
LABELS = ("plate",)
FILLS = 0.6
"""Share of the picture from which a plate is the picture: it was cut out already, and the detector's corners lie outside."""
FIRST_LOOKS = 5
"""Frames on which a new plate is read before it is read only when it shows itself better."""
MOST_READINGS = 16
"""Different readings of one plate that are remembered."""
_FORM = re.compile(f"[{PROVINCES}][A-HJ-NP-Z][A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳]{{1,2}}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look at a plate gave.

    Attributes:
        text: its signs; empty when nothing was read.
        sure: mean probability of its signs, in [0, 1].
        colour: one of `COLOURS`.
    """

    text: str
    sure: float
    colour: str


class Votes:
    """Readings of one plate on several frames: what was read most often and most surely wins, those of a plate's form first."""

    def __init__(self) -> None:
        self._weight: defaultdict[str, float] = defaultdict(float)
        self._surest: dict[str, Reading] = {}

    def add(self, reading: Reading) -> None:
        """Count one more; of more than `MOST_READINGS` different ones the weakest is dropped."""
        self._weight[reading.text] += reading.sure + (1.0 if well_formed(reading.text) else 0.0)
        known = self._surest.get(reading.text)
        if known is None or reading.sure > known.sure:
            self._surest[reading.text] = reading
        if len(self._weight) > MOST_READINGS:
            weakest = min(self._weight, key=self._weight.__getitem__)
            del self._weight[weakest], self._surest[weakest]

    def best(self) -> Reading:
        """The winner, with the certainty of its surest look. There is one once something was added."""
        return self._surest[max(self._weight, key=self._weight.__getitem__)]


def well_formed(text: str) -> bool:
    """Whether a text has the form of a Chinese number plate (GA 36-2018): province, office, five or six signs, no I and no O."""
    return _FORM.fullmatch(text) is not None


class ReadPlatesParams(StageParams):
    """What is read, and what of it is told."""

    certainty: float = Field(0.6, ge=0, le=1, description="Readings that are less sure are left out.")
    any_form: bool = Field(False, description="Also tell readings that have not the form of a plate.")
    least_side: float = Field(8.0, ge=1, le=1000, description="Plates lower than this, pixels, are not read.")
    most: int = Field(16, ge=1, le=64, description="Most plates read on a frame: the large and sure first.")
    refresh: float = Field(2.0, gt=0, le=3600, description="Seconds until a track is read again.")


class ReadPlates(Stage[ReadPlatesParams]):
    """Detections labelled `plate`, with the attributes `plate`, `certainty` and `colour` where it could be read.

    Plates of two rows are reported with their colour and without a reading. The readings of a track vote.
    """

    name = "read-plates"
    stateful = True

    def __init__(self, params: ReadPlatesParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._looks: Looks[Votes] = Looks(params.refresh, FIRST_LOOKS)

    @classmethod
    def models(cls, params: ReadPlatesParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """The reader and the one that tells colours."""
        return (READER, PAINTER)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
            DecodeError: a model gave something else than its card says.
            AihubError: a run refused or failed.
        """
        if not isinstance(found, Detections):
            raise StageError("stage 'read-plates' works on detections")
        due = self._looks.due(found, frame.monotonic)
        rows = worth_most(found, self.params.most, self.params.least_side, due).tolist()
        readings: list[Reading | None] = [None] * len(found)
        for row, reading in zip(rows, self._read(frame, found, rows), strict=True):
            readings[row] = reading
        if found.track_id is not None:
            tracks, worth = found.track_id.tolist(), worth_of(found)
            for row in rows:
                self._vote(tracks[row], readings[row], float(worth[row]), frame.monotonic)
            known = [self._looks.get(track) for track in tracks]
            readings = [None if votes is None else votes.best() for votes in known]
        told = tuple(map(self._told, readings))
        kinds = np.zeros(len(found), np.int32)
        return dataclasses.replace(found, class_id=kinds, labels=LABELS, keypoints=None, attributes=told)

    def _vote(self, track: int, reading: Reading | None, worth: float, now: float) -> None:
        if reading is not None:
            votes = self._looks.get(track) or Votes()
            votes.add(reading)
            self._looks.keep(track, votes, worth, now)

    def _told(self, reading: Reading | None) -> dict[str, Any]:
        if reading is None:
            return {}
        sound = self.params.any_form or well_formed(reading.text)
        if not reading.text or not sound or reading.sure < self.params.certainty:
            return {"colour": reading.colour}
        return {"plate": reading.text, "certainty": round(reading.sure, 3), "colour": reading.colour}

    def _read(self, frame: Frame, found: Detections, rows: list[int]) -> list[Reading]:
        readable = [row for row in rows if found.labels[int(found.class_id[row])] == ONE_ROW]
        strips = [_strip(frame.image, found, row) for row in readable]
        patches = [cut(frame.image, box, PAINT).pixels for box in found.xyxy[rows].tolist()]
        reading = ask(self.predictor, READER, "input", strips, frame)
        painting = ask(self.predictor, PAINTER, "data", patches, frame)
        said = dict(zip(readable, map(_spelt, answers(reading, READER)), strict=True))
        colours = map(_colour, answers(painting, PAINTER))
        return [Reading(*said.get(row, ("", 0.0)), colour) for row, colour in zip(rows, colours, strict=True)]


def _strip(image: Image, found: Detections, row: int) -> Image:
    """One plate, upright, at the reader's size."""
    height, width = image.shape[:2]
    whole = box_area(found.xyxy[row : row + 1])[0] >= FILLS * height * width
    rows, columns = STRIP
    if whole or found.keypoints is None or found.keypoints.shape[1] != 4:
        box = (0.0, 0.0, float(width), float(height)) if whole else found.xyxy[row].tolist()
        return cut(image, box, STRIP).pixels
    corners = in_order(found.keypoints[row, :, :2])
    target = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    turn = cv2.getPerspectiveTransform(corners, target)
    strip = cv2.warpPerspective(image, turn, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
    return cast("Image", strip)


def in_order(corners: F32) -> F32:
    """Four corners `(4, 2)` of something wide, clockwise from the top left."""
    across = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = (side[np.argsort(side[:, 1], kind="stable")] for side in (across[:2], across[2:]))
    ordered: F32 = np.array([left[0], right[0], right[1], left[1]], np.float32)
    return ordered


def _spelt(outputs: dict[str, Tensor]) -> tuple[str, float]:
    """Greedy CTC over the reader's scores, and the mean probability of the signs."""
    scores = np.asarray(next(iter(outputs.values())), np.float64)
    if scores.ndim != 3 or scores.shape[:2] != (1, len(SIGNS)):
        raise DecodeError(f"{READER} gave scores of shape {scores.shape}, not (1, {len(SIGNS)}, n)")
    shares = np.exp(scores[0] - scores[0].max(axis=0))
    shares /= shares.sum(axis=0)
    best = shares.argmax(axis=0)
    fresh = best != len(SIGNS) - 1
    fresh[1:] &= best[1:] != best[:-1]
    if not fresh.any():
        return "", 0.0
    text = "".join(SIGNS[index] for index in best[fresh].tolist())
    return text, float(shares.max(axis=0)[fresh].mean())


def _colour(outputs: dict[str, Tensor]) -> str:
    shares = next(iter(outputs.values()))
    if shares.size != len(COLOURS):
        raise DecodeError(f"{PAINTER} gave {shares.size} shares, not {len(COLOURS)}")
    return COLOURS[int(shares.argmax())]
