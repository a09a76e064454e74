"""Results that are pictures themselves: made anew, or a class for every pixel."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aihub.types.frame import Image
from aihub.types.tasks import Task

Json = dict[str, Any]

QUALITY = 92
"""Of the JPEG in which a made picture travels."""
LONGEST_JPEG = 65_500
"""Pixels a side that a JPEG can have."""


def _cv2() -> Any:
    """Imported when a picture travels: clients that get none need no OpenCV."""
    import cv2

    return cv2


def _decoded(text: str, form: int) -> npt.NDArray[np.uint8]:
    pixels = _cv2().imdecode(np.frombuffer(base64.b64decode(text), np.uint8), form)
    if pixels is None:
        raise ValueError("the picture of a result cannot be decoded")
    return np.asarray(pixels, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture made out of the one that was given: brightened, steadied, redacted.

    Attributes:
        image: `(height, width, 3)` uint8 BGR.
        measures: what was done, in numbers, by name with the unit in the name.
    """

    image: Image
    measures: dict[str, float] = field(default_factory=dict)
    task: ClassVar[Task] = Task.PICTURE

    def __len__(self) -> int:
        return 1

    def encoded(self) -> bytes:
        """As a JPEG file; PNG where a side is longer than a JPEG's may be."""
        cv2 = _cv2()
        ending = ".jpg" if max(self.image.shape[:2]) <= LONGEST_JPEG else ".png"
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if ending == ".jpg" else []
        data: bytes = cv2.imencode(ending, self.image, options)[1].tobytes()
        return data

    def to_json(self) -> Json:
        """`{"task", "width", "height", "measures", "image"}`; the picture as base64 of a JPEG file."""
        return {
            "task": self.task.value,
            "width": int(self.image.shape[1]),
            "height": int(self.image.shape[0]),
            "measures": {name: round(float(value), 4) for name, value in self.measures.items()},
            "image": base64.b64encode(self.encoded()).decode(),
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`, but for what JPEG loses."""
        return cls(_decoded(body["image"], _cv2().IMREAD_COLOR), dict(body["measures"]))


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A class for every pixel.

    Attributes:
        classes: `(height, width)` uint8, index into `labels`, of the size of the picture that was given.
        labels: names; the first is what counts as background.
    """

    classes: npt.NDArray[np.uint8]
    labels: tuple[str, ...]
    task: ClassVar[Task] = Task.SEMANTIC_SEGMENTATION

    def __len__(self) -> int:
        return int((self.shares()[1:] > 0).sum())

    def shares(self) -> npt.NDArray[np.float64]:
        """Share of the picture that each class has, `(len(labels),)`, in [0, 1]."""
        counts = np.bincount(self.classes.ravel(), minlength=len(self.labels))[: len(self.labels)]
        return counts / max(self.classes.size, 1)

    def encoded(self) -> bytes:
        """As a grey PNG file whose values are classes."""
        data: bytes = _cv2().imencode(".png", self.classes)[1].tobytes()
        return data

    def to_json(self) -> Json:
        """`{"task", "labels", "shares", "mask"}`; the mask as base64 of a grey PNG whose values are classes."""
        shares = zip(self.labels, self.shares().tolist(), strict=True)
        return {
            "task": self.task.value,
            "labels": list(self.labels),
            "shares": {name: round(share, 4) for name, share in shares},
            "mask": base64.b64encode(self.encoded()).decode(),
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        return cls(_decoded(body["mask"], _cv2().IMREAD_GRAYSCALE), tuple(body["labels"]))
