"""Templates of faces: rows of numbers that lie near each other for one person. They never leave the hub in an answer.

Which chips a model wants, and from which distance on it calls two faces the same, its graph says (`chip`, `distance`); a graph
that says nothing is taken for SFace, whose file is the publisher's. Templates of different models (`template`) are never compared.

Each face is seen as it is and mirrored, and the mean of both is its template: when that was chosen, on the pairs of
`benchmarks.face_pairs`, 92 instead of 88 % of those of one person were told at one false one in a thousand, for twice the work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aihub.algorithms.faces.asking import PATIENCE_S, Run, outputs_of, points_of, rows_of
from aihub.algorithms.faces.chips import ARC_112, DLIB_150, ChipForm, cut, transforms
from aihub.types import Detections, Frame, Predictor, Tensor

MODEL = "face-embed"
"""Role of the embedding."""
BATCH = 8
"""Faces in one run; each is two chips."""

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes templates comparable.

    Attributes:
        name: of the network that made them.
        distance: Euclidean, below which its maker calls two faces the same.
        chips: `dlib-150` or `arc-112`.
    """

    name: str
    distance: float
    chips: str


SFACE = Kind("sface-2021dec", float(np.sqrt(2 - 2 * 0.363)), "arc-112")
"""Upstream's threshold is a cosine of 0.363; on vectors of length one that is a distance of 1.13."""
_FORMS: dict[str, ChipForm] = {"dlib-150": DLIB_150, "arc-112": ARC_112}


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """Of some faces.

    Attributes:
        kind: what made them.
        vectors: `(N, L)` float32.
    """

    kind: Kind
    vectors: F32

    def __len__(self) -> int:
        return len(self.vectors)

    def likeness(self, others: F32) -> F32:
        """How alike these and others are: `(N, M)` in [0, 1], 0.5 at the distance that the maker of the model calls the same.

        One minus half the Euclidean distance in such distances: 1 for equal vectors, 0 from twice that distance on.
        """
        mine, theirs = self.vectors.astype(np.float64), others.astype(np.float64)
        squares = (mine**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1)[None] - 2 * mine @ theirs.T
        apart = np.sqrt(np.maximum(squares, 0))
        made: F32 = np.clip(1 - apart / (2 * self.kind.distance), 0, 1).astype(np.float32)
        return made


def kind_of(predictor: Predictor) -> Kind:
    """What the embedding here makes.

    Raises:
        AihubError: its weights are not to be had.
    """
    said = predictor.metadata(MODEL)
    name, chips = said.get("template", SFACE.name), said.get("chip", SFACE.chips)
    return Kind(name, float(said.get("distance", SFACE.distance)), chips if chips in _FORMS else SFACE.chips)


def embed(predictor: Predictor, frame: Frame, faces: Detections) -> Templates:
    """Templates of faces with landmarks; shared by all who ask for the same faces of a frame.

    Raises:
        ConfigError: the faces have no landmarks.
        AihubError: the model refused or failed; `DeadlineError` after `PATIENCE_S`.
    """
    kind = kind_of(predictor)
    points = points_of(faces)
    key = ("face-embedding", kind.name, points.tobytes())
    return frame.memo.get(key, lambda: Templates(kind, _vectors(predictor, frame, points, kind)))


def _vectors(predictor: Predictor, frame: Frame, points: F32, kind: Kind) -> F32:
    if not len(points):
        return np.zeros((0, 1), np.float32)
    until = time.monotonic() + PATIENCE_S
    form = _FORMS[kind.chips]
    ways = transforms(points, form)
    runs: list[tuple[int, Run]] = []
    for start in range(0, len(ways), BATCH):
        part = ways[start : start + BATCH]
        chips = np.stack([chip[:, :, ::-1] for chip in cut(frame.image, part, form.side)])
        both = np.concatenate([chips, chips[:, :, ::-1]])
        run = predictor.run(
            MODEL, _fed(both, kind.chips), source=frame.source, deadline=until, bill=frame.bill
        )
        runs.append((len(part), run))
    made = np.concatenate([_joined(outputs_of(run, MODEL, until), n, kind) for n, run in runs])
    return made.astype(np.float32)


def _joined(outputs: dict[str, Tensor], faces: int, kind: Kind) -> F32:
    """The mean of what each face gave as it is and mirrored; of length one where the model is compared by angles."""
    rows = rows_of(outputs, MODEL, (2 * faces, 0))
    mean: F32 = ((rows[:faces] + rows[faces:]) / 2).astype(np.float32)
    if kind.chips == "arc-112":
        mean = (mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)).astype(np.float32)
    return mean


def _fed(chips: npt.NDArray[np.uint8], form: str) -> dict[str, Tensor]:
    """`(N, side, side, 3)` RGB as the graph wants it."""
    if form == "dlib-150":
        return {"chips": np.ascontiguousarray(chips)}
    return {"data": np.ascontiguousarray(chips.transpose(0, 3, 1, 2), dtype=np.float32)}
