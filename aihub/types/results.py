"""What algorithms give back: columnar, one type per task, each with a JSON form and its way back.

Boxes are float32 pixels of the picture that was given, x1, y1, x2, y2, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from aihub.types.labels import Fields, Labels
from aihub.types.pixels import Mask, Picture
from aihub.types.series import Points
from aihub.types.sound import Recording, SoundEvents, Transcript
from aihub.types.tasks import Task

Json = dict[str, Any]
F32 = npt.NDArray[np.float32]


@runtime_checkable
class Result(Protocol):
    """Common face of all results."""

    task: ClassVar[Task]

    def __len__(self) -> int: ...

    def to_json(self) -> Json:
        """A dict of plain values, `task` among them."""
        ...


@lru_cache(maxsize=1024)
def _among(labels: tuple[str, ...], names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which labels are among `names`. Every frame of every stream asks it of the same few lists."""
    table = np.array([label in names for label in labels], np.bool_)
    table.flags.writeable = False
    return table


def _rounded(values: npt.NDArray[Any], digits: int) -> list[Any]:
    rounded: list[Any] = np.round(values.astype(np.float64), digits).tolist()
    return rounded


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Things found in a picture.

    Attributes:
        xyxy: `(N, 4)` float32 pixels.
        confidence: `(N,)` float32 in [0, 1].
        class_id: `(N,)` int32, index into `labels`.
        labels: names of the classes.
        track_id: `(N,)` int64 once tracked, else None.
        keypoints: `(N, K, 3)` float32 x, y, score where the model gives them, else None.
        attributes: one mapping a row of what else is known of it, such as `{"plate": "...", "colour": "blue"}`, plain
            values only; None where nobody asked.
    """

    xyxy: F32
    confidence: F32
    class_id: npt.NDArray[np.int32]
    labels: tuple[str, ...]
    track_id: npt.NDArray[np.int64] | None = None
    keypoints: F32 | None = None
    attributes: tuple[Mapping[str, Any], ...] | None = None
    task: ClassVar[Task] = Task.OBJECT_DETECTION

    def __post_init__(self) -> None:
        rows = len(self.xyxy)
        if self.xyxy.shape != (rows, 4):
            raise ValueError(f"xyxy must have shape (N, 4), but has {self.xyxy.shape}")
        for name in ("confidence", "class_id", "track_id"):
            column = getattr(self, name)
            if column is not None and column.shape != (rows,):
                raise ValueError(f"{name} must have shape ({rows},), but has {column.shape}")
        if self.attributes is not None and len(self.attributes) != rows:
            raise ValueError(f"{len(self.attributes)} attributes for {rows} rows")

    @classmethod
    def empty(cls, labels: tuple[str, ...] = ()) -> Self:
        """No rows."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), labels)

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: npt.NDArray[Any] | slice) -> Detections:
        """Rows by mask, index array or slice."""
        return Detections(
            self.xyxy[rows],
            self.confidence[rows],
            self.class_id[rows],
            self.labels,
            None if self.track_id is None else self.track_id[rows],
            None if self.keypoints is None else self.keypoints[rows],
            None if self.attributes is None else self._attributes_of(rows),
        )

    def _attributes_of(self, rows: npt.NDArray[Any] | slice) -> tuple[Mapping[str, Any], ...]:
        assert self.attributes is not None  # noqa: S101 - asked just before
        return tuple(self.attributes[index] for index in np.arange(len(self))[rows].tolist())

    def select(self, names: Sequence[str]) -> Detections:
        """Rows whose label is one of `names`."""
        return self[_among(self.labels, tuple(names))[self.class_id]]

    def names(self) -> list[str]:
        """Label of every row."""
        return [self.labels[index] for index in self.class_id.tolist()]

    def to_json(self) -> Json:
        """`{"task", "detections": [{"box", "label", "confidence", "track_id"?, "keypoints"?, "attributes"?}]}`; boxes to 0.1 px."""
        boxes, scores = _rounded(self.xyxy, 1), _rounded(self.confidence, 4)
        rows: list[Json] = [
            {"box": box, "label": name, "confidence": score}
            for box, name, score in zip(boxes, self.names(), scores, strict=True)
        ]
        if self.track_id is not None:
            for row, track in zip(rows, self.track_id.tolist(), strict=True):
                row["track_id"] = track
        if self.keypoints is not None:
            for row, points in zip(rows, _rounded(self.keypoints, 2), strict=True):
                row["keypoints"] = points
        if self.attributes is not None:
            for row, more in zip(rows, self.attributes, strict=True):
                row["attributes"] = dict(more)
        return {"task": self.task.value, "detections": rows}

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`; labels are those that occur, sorted."""
        rows = body["detections"]
        labels = tuple(sorted({row["label"] for row in rows}))
        tracked, posed = bool(rows) and "track_id" in rows[0], bool(rows) and "keypoints" in rows[0]
        return cls(
            np.array([row["box"] for row in rows], np.float32).reshape(-1, 4),
            np.array([row["confidence"] for row in rows], np.float32),
            np.array([labels.index(row["label"]) for row in rows], np.int32),
            labels,
            np.array([row["track_id"] for row in rows], np.int64) if tracked else None,
            np.array([row["keypoints"] for row in rows], np.float32) if posed else None,
            tuple(dict(row["attributes"]) for row in rows) if rows and "attributes" in rows[0] else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Lines of text read from a picture, top to bottom.

    Attributes:
        quads: `(N, 4, 2)` float32 pixels, clockwise from the top left of the line.
        text: what each line says.
        confidence: `(N,)` float32 in [0, 1].
    """

    quads: F32
    text: tuple[str, ...]
    confidence: F32
    task: ClassVar[Task] = Task.TEXT_RECOGNITION

    def __len__(self) -> int:
        return len(self.text)

    def to_json(self) -> Json:
        """`{"task", "texts": [{"quad", "text", "confidence"}]}`."""
        rows = zip(_rounded(self.quads, 1), self.text, _rounded(self.confidence, 4), strict=True)
        return {
            "task": self.task.value,
            "texts": [{"quad": q, "text": t, "confidence": c} for q, t, c in rows],
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        rows = body["texts"]
        quads = np.array([row["quad"] for row in rows], np.float32).reshape(-1, 4, 2)
        return cls(
            quads, tuple(row["text"] for row in rows), np.array([r["confidence"] for r in rows], np.float32)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """QR codes and barcodes.

    Attributes:
        quads: `(N, 4, 2)` float32 pixels.
        text: content of each code.
        formats: symbology of each, for example `QRCode`, `EAN-13`.
    """

    quads: F32
    text: tuple[str, ...]
    formats: tuple[str, ...]
    task: ClassVar[Task] = Task.CODE_READING

    def __len__(self) -> int:
        return len(self.text)

    def to_json(self) -> Json:
        """`{"task", "codes": [{"quad", "text", "format"}]}`."""
        rows = zip(_rounded(self.quads, 1), self.text, self.formats, strict=True)
        return {"task": self.task.value, "codes": [{"quad": q, "text": t, "format": f} for q, t, f in rows]}

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        rows = body["codes"]
        quads = np.array([row["quad"] for row in rows], np.float32).reshape(-1, 4, 2)
        return cls(quads, tuple(row["text"] for row in rows), tuple(row["format"] for row in rows))


@dataclass(frozen=True, slots=True)
class Quality:
    """A verdict on the picture itself.

    Attributes:
        fault: whether the picture shows the fault that the algorithm looks for.
        score: how clearly, in [0, 1]; >= 0.5 exactly when `fault`.
        measures: the numbers behind it, by name with the unit in the name.
    """

    fault: bool
    score: float
    measures: dict[str, float] = field(default_factory=dict)
    task: ClassVar[Task] = Task.PICTURE_QUALITY

    def __len__(self) -> int:
        return int(self.fault)

    def to_json(self) -> Json:
        """`{"task", "fault", "score", "measures"}`."""
        measures = {name: round(float(value), 4) for name, value in self.measures.items()}
        return {
            "task": self.task.value,
            "fault": self.fault,
            "score": round(float(self.score), 4),
            "measures": measures,
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        return cls(body["fault"], body["score"], dict(body["measures"]))


@dataclass(frozen=True, slots=True)
class Observation:
    """One alarm condition that holds on this frame.

    Attributes:
        key: what it is about for its whole life, for example `track/12`, `zone`, `picture`, `code/ABC`.
        label: what was seen, for example `person`.
        confidence: in [0, 1].
        box: relative x1, y1, x2, y2 in [0, 1], or None when it is about the whole picture.
        data: what the rule adds, for example `{"dwell_s": 12.5}`. Plain values only.
    """

    key: str
    label: str
    confidence: float
    box: tuple[float, float, float, float] | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Plain values."""
        box = None if self.box is None else [round(side, 5) for side in self.box]
        confidence = round(float(self.confidence), 4)
        return {
            "key": self.key,
            "label": self.label,
            "confidence": confidence,
            "box": box,
            "data": dict(self.data),
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        box = body["box"]
        return cls(
            body["key"], body["label"], body["confidence"], tuple(box) if box else None, dict(body["data"])
        )


Seen = Detections | Texts | Codes | Quality | Labels | Fields | Mask | Picture
"""What a picture shows: what a rule can look at."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What a rule makes of a result: the result it looked at, the alarm conditions that hold now, and its figures.

    Attributes:
        found: the result under the rule (the people in the zone, say).
        observations: conditions that hold on this frame, one per key.
        measures: numbers such as `{"count": 3}`.
    """

    found: Seen
    observations: tuple[Observation, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)
    task: ClassVar[Task] = Task.RULE

    def __len__(self) -> int:
        return len(self.observations)

    def to_json(self) -> Json:
        """`{"task": "rule", "found": {...}, "observations": [...], "measures": {...}}`."""
        return {
            "task": self.task.value,
            "found": self.found.to_json(),
            "observations": [observation.to_json() for observation in self.observations],
            "measures": {name: round(float(value), 4) for name, value in self.measures.items()},
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        found = result_from_json(body["found"])
        if not isinstance(found, Seen):  # never at another rule
            raise TypeError(f"a rule looks at what a picture shows, not at {type(found).__name__}")
        return cls(found, tuple(map(Observation.from_json, body["observations"])), dict(body["measures"]))


AnyResult = Seen | Findings | Transcript | SoundEvents | Recording | Points

_BY_TASK: dict[str, Any] = {
    kind.task.value: kind
    for kind in (
        Detections, Texts, Codes, Quality, Labels, Fields, Mask, Picture, Findings, Transcript, SoundEvents,
        Recording, Points,
    )
}  # fmt: skip


def result_from_json(body: Json) -> AnyResult:
    """Any result from its JSON form, by its `task`."""
    made: AnyResult = _BY_TASK[body["task"]].from_json(body)
    return made
