"""From raw outputs to detections: where a picture lies in the model's input, and the contract of a decoder.

A decoder is a drop-in: one file in `aihub/engine/decoders/`, a `name`, and it registers itself when imported:

    class CentreBoxes(Decoder):
        name = "centre-boxes"

        def decode(self, outputs, confidence):
            rows = outputs["boxes"]                       # (n, A, 6): cx, cy, w, h, score, class
            return [self._one(item, confidence) for item in rows]

Boxes come back in pixels of the model's input, before suppression; `aihub.engine.postprocess.finish` does the rest.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from aihub.errors import CardError, ConfigError, DecodeError, NotFoundError
from aihub.plugins import load_group
from aihub.types import Detections, ModelCard, Tensor

F32 = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies in a model's input: `model = frame * scale + offset` along each axis.

    Attributes:
        scale: (x, y), model pixels for one frame pixel, > 0.
        offset: (x, y) of the frame's top left corner in the model's input, pixels.
        size: (width, height) of the frame, pixels.
    """

    scale: tuple[float, float]
    offset: tuple[float, float]
    size: tuple[int, int]

    def to_model(self, boxes: F32) -> F32:
        """`(N, 4)` boxes x1, y1, x2, y2 of the frame -> of the model's input."""
        moved: F32 = boxes * _floats(self.scale * 2) + _floats(self.offset * 2)
        return moved

    def to_frame(self, boxes: F32) -> F32:
        """`(N, 4)` boxes x1, y1, x2, y2 of the model's input -> of the frame. Not clipped."""
        return (boxes - _floats(self.offset * 2)) / _floats(self.scale * 2)

    def points_to_frame(self, points: F32) -> F32:
        """`(N, K, 3)` points x, y, score of the model's input -> of the frame. Not clipped."""
        moved = points.copy()
        moved[..., :2] -= _floats(self.offset)
        moved[..., :2] /= _floats(self.scale)
        return moved


def _floats(values: tuple[float, ...]) -> F32:
    return np.array(values, np.float32)


class DecoderParams(BaseModel):
    """Base of every decoder's parameters: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


P = TypeVar("P", bound=DecoderParams)

_decoders: dict[str, type[Decoder[Any]]] = {}


class Decoder(ABC, Generic[P]):
    """Raw outputs of one family of graphs to detections. Holds no state between calls; thread-safe.

    Attributes:
        name: what model cards call it.
        params_type: pydantic class of the card's `decoder_params`, read from the type argument.
        card: the card it decodes for.
        params: the card's parameters, checked.
        size: (height, width) of the model's input, pixels.
    """

    name: ClassVar[str]
    params_type: ClassVar[type[DecoderParams]] = DecoderParams

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            for kind in get_args(base):
                if isinstance(kind, type) and issubclass(kind, DecoderParams):
                    cls.params_type = kind
        if "name" in cls.__dict__ and not inspect.isabstract(cls):
            owner = _decoders.get(cls.name)
            if owner is not None and owner.__module__ != cls.__module__:
                raise ConfigError(
                    f"decoder {cls.name!r} of {cls.__module__} is already owned by {owner.__module__}"
                )
            _decoders[cls.name] = cls

    def __init__(self, card: ModelCard) -> None:
        if card.input is None:
            raise CardError(f"{card.name}: a decoder needs to know the input's size", field="input")
        try:
            params = self.params_type.model_validate(card.decoder_params)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(["decoder_params", *map(str, first["loc"])])
            raise CardError(f"{card.name}: {name}: {first['msg']}", field=name) from error
        self.card = card
        self.params = cast("P", params)
        self.size = card.input.size

    @abstractmethod
    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """Everything at or above a confidence.

        Args:
            outputs: the graph's outputs by name, batch first.
            confidence: in (0, 1]; what scores less is left out.

        Returns:
            One `Detections` for each item of the batch: pixels of the model's input, before suppression,
            in any order.

        Raises:
            DecodeError: the outputs do not have the form this decoder needs.
        """

    def found(
        self, xyxy: F32, scores: F32, classes: npt.NDArray[Any], points: F32 | None = None
    ) -> Detections:
        """Detections under the card's labels.

        Args:
            xyxy: `(N, 4)` boxes.
            scores: `(N,)`.
            classes: `(N,)` class indices, any integer type.
            points: `(N, K, 2)` keypoints, which get the score of their box, or `(N, K, 3)` with scores of their own.
        """
        keypoints = points
        if points is not None and points.shape[2] == 2:
            keypoints = np.empty((len(points), points.shape[1], 3), np.float32)
            keypoints[..., :2] = points
            keypoints[..., 2] = scores[:, None]
        return Detections(
            np.asarray(xyxy, np.float32).reshape(-1, 4),
            np.asarray(scores, np.float32),
            np.asarray(classes, np.int32),
            self.card.labels,
            keypoints=keypoints,
        )


class DecoderNotFoundError(NotFoundError):
    """No decoder of that name."""

    kind = "decoder"


def decoder_for(card: ModelCard) -> Decoder[Any]:
    """A decoder for the card. Keep it: making one may lay out tables.

    Raises:
        CardError: the card names no decoder, has no input, or its `decoder_params` are wrong.
        DecoderNotFoundError: no decoder of that name; suggests the nearest.
    """
    if card.decoder is None:
        raise CardError(
            f"{card.name}: the card names no decoder, only raw runs are possible", field="decoder"
        )
    if card.decoder not in _decoders:
        load_group("aihub.decoders")
    kind = _decoders.get(card.decoder)
    if kind is None:
        raise DecoderNotFoundError(card.decoder, _decoders)
    return kind(card)


def output(outputs: Mapping[str, Tensor], name: str | None, *, rank: int, width: int | None = None) -> F32:
    """One output as float32 of the expected form.

    Args:
        outputs: outputs by name.
        name: which; None takes the only or first one.
        rank: how many axes it must have.
        width: size of the last axis it must have; None takes any.

    Raises:
        DecodeError: absent or of another form.
    """
    if name is None:
        name = next(iter(outputs), "")
    if name not in outputs:
        raise DecodeError(f"the graph has no output {name!r}, only {sorted(outputs)}")
    value = outputs[name]
    if value.ndim != rank or (width is not None and value.shape[-1] != width):
        wanted = f"{rank} axes" + (f", the last of {width}" if width is not None else "")
        raise DecodeError(f"output {name!r} has shape {value.shape}, but {wanted} were expected")
    return cast("F32", value.astype(np.float32, copy=False))


def best_class(scores: F32, floor: float) -> tuple[Rows, npt.NDArray[np.intp], F32]:
    """The best class of every row that has one at or above a floor. Looks at all scores once, then at survivors only.

    Args:
        scores: `(A, C)` contiguous.
        floor: in (0, 1].

    Returns:
        Rows `(N,)` ascending, their classes `(N,)` and scores `(N,)`.
    """
    hits = np.flatnonzero(scores.reshape(-1) >= floor)
    rows = np.unique(hits // scores.shape[1]) if scores.shape[1] > 1 else hits
    kept = scores[rows]
    classes = kept.argmax(axis=1)
    return rows, classes, kept[np.arange(len(rows)), classes]


def grid(size: tuple[int, int], strides: Sequence[int]) -> tuple[F32, F32]:
    """Cells of a feature pyramid, level after level, row after row.

    Args:
        size: (height, width) of the model's input, pixels; what does not divide is rounded up, as convolutions do.
        strides: pixels between cells of each level.

    Returns:
        `(A, 2)` column and row of each cell, and `(A,)` its stride.

    >>> cells, stride = grid((2, 4), [2])
    >>> cells.tolist(), stride.tolist()
    ([[0.0, 0.0], [1.0, 0.0]], [2.0, 2.0])
    """
    cells, steps = [], []
    for stride in strides:
        rows, columns = -(-size[0] // stride), -(-size[1] // stride)
        y, x = np.divmod(np.arange(rows * columns), columns)
        cells.append(np.stack([x, y], axis=1))
        steps.append(np.full(len(x), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(steps).astype(np.float32)


def corners(centre: F32, sides: F32) -> F32:
    """`(N, 2)` centres and `(N, 2)` widths and heights -> `(N, 4)` boxes x1, y1, x2, y2."""
    half = sides / 2
    return np.concatenate([centre - half, centre + half], axis=1)
