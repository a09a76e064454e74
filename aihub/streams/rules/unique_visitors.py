"""Rule `unique-visitors`: how many different people came, told apart by face, without names and without anything kept.

Templates live in the memory of the stream only: they are never stored, never given out, and forgotten after a period or when the
stream ends. Somebody's template is the mean of some fit faces of one track, so that a single bad picture makes no visitor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage
from aihub.algorithms.builtin.face_quality import FIT, FaceQuality, FaceQualityParams
from aihub.algorithms.faces.asking import faces_of, largest, with_attributes
from aihub.algorithms.faces.embedding import MODEL, Templates, embed, kind_of
from aihub.algorithms.faces.gate import GateParams, passing
from aihub.algorithms.galleries import galleries_here
from aihub.streams.ruling import ids_of, observe
from aihub.types import AnyResult, Detections, Findings, Frame, Observation, Predictor

MAX_VISITORS = 5_000
"""Different people that are remembered at once; whoever was not seen for longest goes first."""
MAX_FACES = 16
TRACK_S = 10.0
"""Seconds after which a track that was not seen is forgotten."""

F32 = npt.NDArray[np.float32]


class UniqueVisitorsParams(GateParams):
    """When two faces are one visitor."""

    similarity: float = Field(0.6, ge=0, le=1, description="Least likeness; see `Templates.likeness`.")
    views: int = Field(3, ge=1, le=20, description="Fit faces of one track before it is decided who it is.")
    forget_h: float = Field(
        24.0, ge=0.01, le=168, description="Hours after which somebody who was not seen again is new."
    )
    min_eye_distance: float = Field(18.0, ge=4, le=1000, description="Least pixels between the eyes.")


@dataclass(slots=True)
class _Track:
    """What is known of one track: the sum of its fit faces, and whose it is (0 while that is open)."""

    total: F32
    views: int = 0
    visitor: int = 0
    seen: float = 0.0


class UniqueVisitors(Stage[UniqueVisitorsParams]):
    """An observation `visitor/N` on the frame on which somebody new is certain.

    Measures: `visitors` (different people since the start), `returned` (tracks of somebody who had been there), `remembered`.
    """

    name = "unique-visitors"
    stateful = True
    scope = "faces"

    def __init__(self, params: UniqueVisitorsParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._judge = FaceQuality(FaceQualityParams(min_eye_distance=params.min_eye_distance), predictor)
        self._tracks: dict[int, _Track] = {}
        self._numbers = np.zeros(0, np.int64)
        self._vectors: F32 = np.zeros((0, 1), np.float32)
        self._last_seen = np.zeros(0, np.float64)
        self._visitors = self._returned = 0

    @classmethod
    def models(cls, params: UniqueVisitorsParams) -> tuple[str, ...]:
        """The embedding, and liveness where asked for."""
        return (MODEL, *params.models())

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the faces have no landmarks.
            AihubError: it cannot be noted in the audit, or a model refused or failed.
        """
        faces, now = faces_of(found, self.name), frame.monotonic
        faces = faces[largest(faces, MAX_FACES)]
        self._forget(now)
        ids = ids_of(faces).tolist()
        rows = self._open(frame, faces, ids, now)
        made = embed(self.predictor, frame, faces[np.array(rows, np.intp)])
        if rows:
            detail = {"faces": len(rows)}
            galleries_here().witness(frame.source, "face.visitors", self.name, detail)
        told: list[Observation] = []
        for row, vector in zip(rows, made.vectors, strict=True):
            number = self._add(ids[row], vector, now)
            if number:
                told.append(observe(frame, faces, row, f"visitor/{number}", {"visitor": number}))
        shown = with_attributes(faces, [self._known(track) for track in ids])
        return Findings(shown, tuple(told), self._measures())

    def _open(self, frame: Frame, faces: Detections, ids: list[int], now: float) -> list[int]:
        """Rows of faces that are fit and whose track is still undecided."""
        for track in ids:
            if track in self._tracks:
                self._tracks[track].seen = now
        judged = self._judge.process(frame, faces)
        fine, _ = passing(self.predictor, frame, faces, self.params)
        verdicts = [row["comparison"] == FIT for row in judged.attributes or ()]
        decided = [track in self._tracks and self._tracks[track].visitor > 0 for track in ids]
        keep = fine & np.array(verdicts, np.bool_) & ~np.array(decided, np.bool_)
        return [int(row) for row in np.flatnonzero(keep)]

    def _add(self, track_id: int, vector: F32, now: float) -> int:
        """One more face of a track; the number of a visitor who is new by that, else 0."""
        track = self._tracks.setdefault(track_id, _Track(np.zeros_like(vector)))
        track.total, track.views, track.seen = track.total + vector, track.views + 1, now
        if track.views < self.params.views:
            return 0
        mean = (track.total / track.views).astype(np.float32)
        place = self._who(mean)
        if place >= 0:
            track.visitor, self._last_seen[place] = int(self._numbers[place]), now
            self._returned += 1
            return 0
        self._visitors += 1
        track.visitor = self._visitors
        self._remember(mean, now)
        return self._visitors

    def _who(self, mean: F32) -> int:
        """The row of the visitor that somebody is, -1 for nobody."""
        if not len(self._numbers):
            return -1
        alike = Templates(kind_of(self.predictor), mean[None]).likeness(self._vectors)[0]
        best = int(alike.argmax())
        return best if alike[best] >= self.params.similarity else -1

    def _remember(self, mean: F32, now: float) -> None:
        vectors = self._vectors if len(self._vectors) else np.zeros((0, len(mean)), np.float32)
        self._vectors = np.concatenate([vectors, mean[None]])
        self._numbers = np.append(self._numbers, self._visitors)
        self._last_seen = np.append(self._last_seen, now)

    def _forget(self, now: float) -> None:
        self._tracks = {
            number: track for number, track in self._tracks.items() if 0 <= now - track.seen <= TRACK_S
        }
        for track in self._tracks.values():
            if track.visitor:
                self._last_seen[self._numbers == track.visitor] = track.seen
        kept = (now - self._last_seen < self.params.forget_h * 3600) & (now >= self._last_seen)
        if len(kept) >= MAX_VISITORS:
            newest = np.argsort(-self._last_seen, kind="stable")[: MAX_VISITORS - MAX_FACES]
            kept &= np.isin(np.arange(len(kept)), newest)
        if not kept.all():
            self._numbers, self._vectors = self._numbers[kept], self._vectors[kept]
            self._last_seen = self._last_seen[kept]

    def _known(self, track_id: int) -> dict[str, int]:
        track = self._tracks.get(track_id)
        return {"visitor": track.visitor} if track is not None and track.visitor else {}

    def _measures(self) -> dict[str, float]:
        return {
            "visitors": float(self._visitors),
            "returned": float(self._returned),
            "remembered": float(len(self._numbers)),
        }
