"""What the rules share: zones, lines, holding conditions, and a ledger of tracked objects kept in columns.

Words, as users of Frigate know them: a `zone` is a polygon and a `line` two points, relative to the picture (0..1, y down);
`inertia` is the number of consecutive analysed frames that a condition must hold; times are seconds, whatever the frame rate.
People and vehicles are where they stand: at the middle of their box's lower edge.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from aihub.errors import ConfigError
from aihub.types import AnyResult, Detections, Frame, Observation
from aihub.types.geometry import Polygon, bottom_centre

Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
Box = tuple[float, float, float, float]
F64 = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

LAPSE_S = 1.0
"""Seconds in which a condition that was established may fail to show (a detector's miss) and still be the same."""
OUTAGE_S = 15.0
"""A longer gap between frames is a camera that was gone: nobody knows what happened, clocks start anew."""
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_EDGE = 1e-6


def _polygon(points: tuple[Point, ...]) -> tuple[Point, ...]:
    if 0 < len(points) < 3:
        raise ValueError(
            f"a zone has at least 3 points, or none for the whole picture; this one has {len(points)}"
        )
    return points


def _segment(points: tuple[Point, Point]) -> tuple[Point, Point]:
    if points[0] == points[1]:
        raise ValueError("the two points of a line must differ")
    return points


Zone = Annotated[tuple[Point, ...], AfterValidator(_polygon)]
"""Polygon in relative coordinates; without points, the whole picture."""
Line = Annotated[tuple[Point, Point], AfterValidator(_segment)]
"""From start to end, relative coordinates."""
Inertia = Annotated[int, Field(ge=1, le=1000)]
Seconds = Annotated[float, Field(ge=0, le=86400)]


def detections_of(found: AnyResult | None, rule: str) -> Detections:
    """The detections that a rule was given.

    Raises:
        ConfigError: the stage before the rule gave something else.
    """
    if isinstance(found, Detections):
        return found
    raise ConfigError(f"rule {rule!r} needs detections, but was given {kind_of(found)}")


def kind_of(found: AnyResult | None) -> str:
    """Name of a result's kind for messages."""
    return "nothing" if found is None else found.task.value


def ids_of(found: Detections) -> Ids:
    """`(N,)` track ids; without a tracker every row is an object of its own."""
    return np.arange(len(found), dtype=np.int64) if found.track_id is None else found.track_id


def relative(frame: Frame, boxes: npt.NDArray[Any]) -> F64:
    """`(N, 4)` pixel boxes -> `(N, 4)` float64 relative to the picture, clipped to [0, 1]."""
    size = np.array([frame.width, frame.height, frame.width, frame.height], np.float64)
    shares: F64 = boxes / size
    np.maximum(shares, 0.0, out=shares)  # np.clip takes four times as long for a handful of boxes
    return np.minimum(shares, 1.0, out=shares)


def label_of(found: Detections, row: int) -> str:
    """Label of one row."""
    return found.labels[int(found.class_id[row])]


def observe(
    frame: Frame,
    found: Detections,
    row: int,
    key: str,
    data: dict[str, Any] | None = None,
    *,
    box: Box | None = None,
) -> Observation:
    """An observation about one row; its own box unless another is given."""
    if box is None:
        box = box_of(relative(frame, found.xyxy[row : row + 1])[0])
    return Observation(key, label_of(found, row), float(found.confidence[row]), box, data or {})


def box_of(sides: npt.NDArray[Any]) -> Box:
    """`(4,)` -> plain tuple."""
    x1, y1, x2, y2 = sides.tolist()
    return x1, y1, x2, y2


def hull(boxes: F64) -> Box:
    """The least box around `(N, 4)` boxes, N >= 1."""
    return box_of(np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]))


class Region:
    """A zone that knows what stands in it."""

    def __init__(self, zone: tuple[Point, ...]) -> None:
        self.polygon: F64 | None = np.array(zone, np.float64) if zone else None
        self.box: Box = WHOLE if self.polygon is None else hull(np.hstack([self.polygon, self.polygon]))
        shape = None if self.polygon is None else Polygon(self.polygon)
        # Four corners within the picture that hold an area of 1 are all of it.
        whole = shape is not None and len(zone) == 4 and shape.area >= 1 - _EDGE
        self._shape = None if whole else shape

    def holds(self, boxes: F64) -> Mask:
        """Which of `(N, 4)` relative boxes stand in the zone."""
        if self._shape is None:
            return np.ones(len(boxes), np.bool_)
        # the even-odd rule leaves out some edges, and people cut off by the picture's end stand exactly on one
        stand = bottom_centre(boxes)
        return self._shape.holds(np.minimum(np.maximum(stand, _EDGE), 1 - _EDGE))


class Streak:
    """A condition that counts from its `inertia`-th consecutive frame on, and then bridges short lapses.

    Attributes:
        since: time of the first frame of the present run, in the seconds given to `update`.
    """

    __slots__ = ("_established", "_frames", "_inertia", "_last", "_misses", "since")

    def __init__(self, inertia: int) -> None:
        self.since = 0.0
        self._inertia = inertia
        self._frames = 0
        self._misses = 0
        self._last = 0.0
        self._established = False

    def update(self, now: float, *, holds: bool) -> bool:
        """Take in one frame; True when the condition holds on it and has held for long enough."""
        if self._frames and now - self._last > OUTAGE_S:
            self._frames, self._established = 0, False
        if not holds:
            self._misses += 1
            lapsed = self._misses >= self._inertia and now - self._last >= LAPSE_S
            if lapsed or not self._established:
                self._frames, self._established = 0, False
            return False
        if not self._frames:
            self.since = now
        self._frames, self._misses, self._last = self._frames + 1, 0, now
        self._established = self._established or self._frames >= self._inertia
        return self._established

    def held(self, now: float, seconds: float) -> bool:
        """Whether the present run has lasted that long."""
        return bool(reached(now - self.since, seconds))

    @property
    def idle(self) -> bool:
        """Whether there is no run to remember."""
        return not self._frames


def reached(elapsed: Any, seconds: float) -> Any:
    """`elapsed >= seconds` for numbers and arrays, deaf to rounding: 5 frames at 5 a second are one second."""
    return elapsed >= seconds - _EDGE


class Ledger:
    """One row of state an object, found by track id. `table` is a structured array; its columns are views.

    Args:
        columns: numpy fields besides `track`, for example `[("since", "f8"), ("box", "f8", 4)]`.
    """

    def __init__(self, columns: list[Any]) -> None:
        self.table: npt.NDArray[np.void] = np.zeros(0, np.dtype([("track", "i8"), *columns]))

    def rows(self, ids: Ids) -> tuple[Rows, Mask]:
        """Row of each `(N,)` distinct id, and which of them are new; new rows are zeros."""
        if not len(ids):
            return np.zeros(0, np.intp), np.zeros(0, np.bool_)
        tracks = self.table["track"]
        order = np.argsort(tracks)
        place = np.searchsorted(tracks, ids, sorter=order)
        rows = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(len(ids), np.intp)
        fresh = tracks[rows] != ids if len(order) else np.ones(len(ids), np.bool_)
        if fresh.any():
            rows[fresh] = len(tracks) + np.arange(int(fresh.sum()))
            added = np.zeros(int(fresh.sum()), self.table.dtype)
            added["track"] = ids[fresh]
            self.table = np.concatenate([self.table, added])
        return rows, fresh

    def append(self, rows: npt.NDArray[np.void]) -> None:
        """Add whole rows."""
        if len(rows):
            self.table = np.concatenate([self.table, rows])

    def keep(self, kept: Mask) -> None:
        """Forget all rows but the masked."""
        if not kept.all():
            self.table = self.table[kept]
