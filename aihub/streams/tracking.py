"""Stage `track`: gives detections an identity over time (two-stage association after ByteTrack, arXiv:2110.06864).

Confident detections are paired with all tracks first; what is left of the tracks may then continue on weak detections,
which start nothing by themselves. All tracks live in arrays; nothing loops over boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from aihub.algorithms.base import Stage, StageParams
from aihub.errors import ConfigError
from aihub.streams.assignment import FORBIDDEN, Rows, assign, pair_costs
from aihub.streams.kalman import F64, BoxFilters
from aihub.types import AnyResult, Detections, Frame, Predictor
from aihub.types.geometry import box_area, box_iou

NEWCOMER_COST = 0.1
"""Added to pairs of tracks that are not confirmed yet, so that a ghost never takes a known object's box."""
WEAK_IOU = 0.4
"""A weak detection must overlap at least this much with the track that it continues."""


class TrackParams(StageParams):
    """How tracks begin, go on and end."""

    high: float = Field(0.4, ge=0, le=1, description="Confidence from which a detection may start a track.")
    low: float = Field(0.1, ge=0, le=1, description="Confidence from which a detection may continue a track.")
    match_iou: float = Field(
        0.3, gt=0, le=1, description="Overlap from which a detection may continue a track."
    )
    max_age: float = Field(
        2.0,
        gt=0,
        le=60,
        description="Seconds a track is kept while unseen; a longer gap in the stream ends all.",
    )
    min_hits: int = Field(
        2, ge=1, le=20, description="Confident detections that make a track; one on the first frame."
    )

    @model_validator(mode="after")
    def _ordered(self) -> TrackParams:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not be above high ({self.high})")
        return self


@dataclass(slots=True)
class _Columns:
    """One row a track, oldest first."""

    id: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int32]
    hits: npt.NDArray[np.int64]
    seen: F64
    confirmed: npt.NDArray[np.bool_]

    @classmethod
    def none(cls) -> _Columns:
        return cls(
            np.zeros(0, np.int64),
            np.zeros(0, np.int32),
            np.zeros(0, np.int64),
            np.zeros(0),
            np.zeros(0, np.bool_),
        )

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        for column in fields(self):
            setattr(self, column.name, getattr(self, column.name)[rows])

    def append(self, other: _Columns) -> None:
        for column in fields(self):
            both = np.concatenate([getattr(self, column.name), getattr(other, column.name)])
            setattr(self, column.name, both)


@dataclass(slots=True)
class _Seen:
    """This frame's detections in canonical order, and the row of the track that each continues (-1: none)."""

    boxes: F64
    scores: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int32]
    track: Rows

    @classmethod
    def of(cls, found: Detections, order: Rows) -> _Seen:
        boxes = found.xyxy[order].astype(np.float64)
        return cls(boxes, found.confidence[order], found.class_id[order], np.full(len(order), -1, np.intp))


class Track(Stage[TrackParams]):
    """Detections in, those of confirmed tracks out, with `track_id`.

    Ids count up from 1 and are never given twice by one instance. On the first frame, or after the stream was gone for
    longer than `max_age`, every confident detection is confirmed at once: a single picture shows all it has.
    """

    name = "track"
    stateful = True

    def __init__(self, params: TrackParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._next_id = 1
        self._tracks = _Columns.none()
        self._filters = BoxFilters()
        self._last: float | None = None
        self._shape: tuple[int, ...] = ()

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            ConfigError: the stage before gave no detections.
        """
        if not isinstance(found, Detections):
            kind = "nothing" if found is None else found.task.value
            raise ConfigError(f"stage 'track' needs detections, but was given {kind}")
        now, begins = frame.monotonic, self._advance(frame)
        if not len(found) and not len(self._tracks.id):  # most labels of most algorithms, most of the time
            return replace(found, track_id=np.zeros(0, np.int64))
        order = _canonical_order(found)
        seen = _Seen.of(found, order)
        strong = np.flatnonzero(seen.scores >= self.params.high)
        weak = np.flatnonzero((seen.scores < self.params.high) & (seen.scores >= self.params.low))
        self._match_strong(seen, strong)
        self._match_weak(seen, weak)
        self._record(seen, strong, now)
        self._start(seen, strong[seen.track[strong] < 0], now, confirmed=begins or self.params.min_hits == 1)
        shown = np.flatnonzero(seen.track >= 0)
        shown = shown[self._tracks.confirmed[seen.track[shown]]]
        ids = self._tracks.id[seen.track[shown]]
        self._forget(now)
        given = np.argsort(order[shown])
        return replace(found[order[shown][given]], track_id=ids[given])

    def _advance(self, frame: Frame) -> bool:
        """Predict to this frame's time; True when there is no past to go on from."""
        gap = -1.0 if self._last is None else frame.monotonic - self._last
        begins = not 0 <= gap <= self.params.max_age or frame.image.shape != self._shape
        self._last, self._shape = frame.monotonic, frame.image.shape
        if begins:
            self._tracks, self._filters = _Columns.none(), BoxFilters()
        else:
            self._filters.predict(gap)
        return begins

    def _match_strong(self, seen: _Seen, strong: Rows) -> None:
        tracks = self._tracks
        if not len(strong) or not len(tracks.id):
            return
        predicted, detected = self._filters.boxes(), seen.boxes[strong]
        cost = pair_costs(
            box_iou(predicted, detected),
            self._filters.centre_distance(detected),
            np.maximum(box_area(detected), 1e-6)[None, :] / np.maximum(box_area(predicted), 1e-6)[:, None],
            tracks.class_id[:, None] == seen.classes[strong][None, :],
            self.params.match_iou,
        )
        cost[~tracks.confirmed] += NEWCOMER_COST
        rows, columns = assign(cost)
        seen.track[strong[columns]] = rows

    def _match_weak(self, seen: _Seen, weak: Rows) -> None:
        free = np.ones(len(self._tracks.id), np.bool_)
        free[seen.track[seen.track >= 0]] = False
        left = np.flatnonzero(free)
        if not len(weak) or not len(left):
            return
        iou = box_iou(self._filters.boxes()[left], seen.boxes[weak])
        same_class = self._tracks.class_id[left][:, None] == seen.classes[weak][None, :]
        allowed = same_class & (iou >= max(WEAK_IOU, self.params.match_iou))
        rows, columns = assign(np.where(allowed, 1.0 - iou, FORBIDDEN))
        seen.track[weak[columns]] = left[rows]

    def _record(self, seen: _Seen, strong: Rows, now: float) -> None:
        tracks, matched = self._tracks, np.flatnonzero(seen.track >= 0)
        if not len(matched):
            return
        rows = seen.track[matched]
        self._filters.correct(rows, seen.boxes[matched], seen.scores[matched])
        tracks.seen[rows] = now
        certain = strong[seen.track[strong] >= 0]
        tracks.hits[seen.track[certain]] += 1
        tracks.class_id[seen.track[certain]] = seen.classes[certain]
        tracks.confirmed |= tracks.hits >= self.params.min_hits

    def _start(self, seen: _Seen, fresh: Rows, now: float, *, confirmed: bool) -> None:
        number = len(fresh)
        if not number:
            return
        seen.track[fresh] = len(self._tracks.id) + np.arange(number)
        self._filters.start(seen.boxes[fresh])
        self._tracks.append(
            _Columns(
                np.arange(self._next_id, self._next_id + number, dtype=np.int64),
                seen.classes[fresh],
                np.ones(number, np.int64),
                np.full(number, now),
                np.full(number, confirmed),
            )
        )
        self._next_id += number

    def _forget(self, now: float) -> None:
        """Unseen newcomers go at once, known tracks after `max_age` seconds."""
        tracks = self._tracks
        kept = (tracks.seen == now) | (tracks.confirmed & (now - tracks.seen < self.params.max_age))
        if not kept.all():
            tracks.keep(kept)
            self._filters.keep(kept)


def _canonical_order(found: Detections) -> Rows:
    """An order that depends on what the rows are, not on where they stand: equal sets give equal tracks."""
    x1, y1, x2, y2 = found.xyxy.T
    return np.lexsort((found.class_id, y2, x2, y1, x1, -found.confidence))
