"""What a picture or a text is called, and what was read out of it by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aihub.types.tasks import Task

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Labels:
    """What the whole of a picture or a text is: names, surest first.

    Attributes:
        label: names, such as `red`, `upside-down`, `noise-complaint`.
        confidence: of each, in [0, 1], falling.
        measures: the numbers behind it, by name with the unit in the name.
    """

    label: tuple[str, ...]
    confidence: tuple[float, ...]
    measures: dict[str, float]
    task: ClassVar[Task] = Task.CLASSIFICATION

    def __post_init__(self) -> None:
        if len(self.label) != len(self.confidence):
            raise ValueError(f"{len(self.label)} labels with {len(self.confidence)} confidences")

    @classmethod
    def of(cls, rows: dict[str, float], measures: dict[str, float] | None = None) -> Self:
        """From confidences by name; put in order."""
        ordered = sorted(rows.items(), key=lambda row: (-row[1], row[0]))
        return cls(tuple(n for n, _ in ordered), tuple(float(c) for _, c in ordered), measures or {})

    def __len__(self) -> int:
        return len(self.label)

    def to_json(self) -> Json:
        """`{"task", "labels": [{"label", "confidence"}], "measures"}`."""
        rows = zip(self.label, self.confidence, strict=True)
        return {
            "task": self.task.value,
            "labels": [{"label": name, "confidence": round(score, 4)} for name, score in rows],
            "measures": {name: round(float(value), 4) for name, value in self.measures.items()},
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        rows = body["labels"]
        return cls(
            tuple(row["label"] for row in rows),
            tuple(row["confidence"] for row in rows),
            dict(body["measures"]),
        )


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that was read, by its name.

    Attributes:
        name: of the field, such as `id-number`, `phone`, `place`.
        value: as it is to be used: spaces and look-alikes put right where the form of the field says how.
        confidence: in [0, 1].
        valid: whether its check digits or form hold; None where it has none.
        quad: where it stands in a picture, four corners x, y in pixels clockwise from the top left; None in a text.
        span: where it stands in a text, first character and the one after the last; None in a picture.
    """

    name: str
    value: str
    confidence: float = 1.0
    valid: bool | None = None
    quad: tuple[tuple[float, float], ...] | None = None
    span: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.quad is not None and len(self.quad) != 4:
            raise ValueError(f"a quad has four corners, not {len(self.quad)}")

    def to_json(self) -> Json:
        """Plain values; corners to 0.1 px."""
        quad = None if self.quad is None else [[round(x, 1), round(y, 1)] for x, y in self.quad]
        return {
            "name": self.name,
            "value": self.value,
            "confidence": round(float(self.confidence), 4),
            "valid": self.valid,
            "quad": quad,
            "span": None if self.span is None else list(self.span),
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        quad, span = body["quad"], body["span"]
        return cls(
            body["name"],
            body["value"],
            body["confidence"],
            body["valid"],
            None if quad is None else tuple((x, y) for x, y in quad),
            None if span is None else (span[0], span[1]),
        )


@dataclass(frozen=True, slots=True)
class Fields:
    """What was read out of a document or a text, in reading order. A name may come more than once."""

    fields: tuple[Field, ...] = ()
    task: ClassVar[Task] = Task.FIELD_EXTRACTION

    def __len__(self) -> int:
        return len(self.fields)

    def quads(self) -> npt.NDArray[np.float32]:
        """Corners of those that stand in a picture, `(N, 4, 2)` float32 pixels."""
        return np.array([one.quad for one in self.fields if one.quad], np.float32).reshape(-1, 4, 2)

    def to_json(self) -> Json:
        """`{"task", "fields": [{"name", "value", "confidence", "valid", "quad", "span"}]}`."""
        return {"task": self.task.value, "fields": [one.to_json() for one in self.fields]}

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        return cls(tuple(map(Field.from_json, body["fields"])))
