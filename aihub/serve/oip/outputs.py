"""Results as tensors: columns by name, one row a thing found, and how many rows belong to each picture.

    boxes FP32 [rows, 4]   scores FP32 [rows]   labels BYTES [rows]   counts INT32 [pictures]   result BYTES [pictures]

Rows of all pictures follow each other; `counts` says how many each has. `result` is the whole result as JSON, the same that
the hub's own API answers.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aihub.algorithms.algorithm import Algorithm
from aihub.serve.oip.messages import BYTES, Array, Tensor, bytes_tensor, tensor
from aihub.serve.oip.slots import Slot
from aihub.types import (
    AnyResult,
    Codes,
    Detections,
    Fields,
    Findings,
    Labels,
    Mask,
    Picture,
    Points,
    Quality,
    Recording,
    SoundEvents,
    Texts,
    Transcript,
)

COUNTS = Slot("counts", "INT32", (-1,))
RESULT = Slot("result", BYTES, (-1,))

_ROWS = (-1,)
_DETECTIONS = (Slot("boxes", "FP32", (-1, 4)), Slot("scores", "FP32", _ROWS), Slot("labels", BYTES, _ROWS))
_TEXTS = (Slot("quads", "FP32", (-1, 4, 2)), Slot("texts", BYTES, _ROWS), Slot("scores", "FP32", _ROWS))
_CODES = (Slot("quads", "FP32", (-1, 4, 2)), Slot("texts", BYTES, _ROWS), Slot("formats", BYTES, _ROWS))
_QUALITY = (Slot("fault", "BOOL", _ROWS), Slot("score", "FP32", _ROWS))
_TIMES = (Slot("starts", "FP32", _ROWS), Slot("ends", "FP32", _ROWS), Slot("scores", "FP32", _ROWS))
"""Seconds from the beginning of the recording."""
_SOUNDS = (Slot("labels", BYTES, _ROWS), *_TIMES)
_SAID = (Slot("texts", BYTES, _ROWS), *_TIMES)
_LABELS = (Slot("labels", BYTES, _ROWS), Slot("scores", "FP32", _ROWS))
_FIELDS = (Slot("names", BYTES, _ROWS), Slot("values", BYTES, _ROWS), Slot("scores", "FP32", _ROWS))
_POINTS = (
    Slot("at", "FP64", _ROWS), Slot("values", "FP64", _ROWS), Slot("lows", "FP64", _ROWS),
    Slot("highs", "FP64", _ROWS), Slot("labels", BYTES, _ROWS), Slot("scores", "FP32", _ROWS),
)  # fmt: skip
_PICTURE = (Slot("picture", BYTES, _ROWS),)
"""JPEG file, one a picture."""
_MASK = (Slot("mask", BYTES, _ROWS),)
"""Grey PNG file, one a picture; the classes' names are in `result`."""
_RECORDING = (Slot("sound", BYTES, _ROWS),)
"""WAV file."""
_OBSERVATIONS = (Slot("observations", BYTES, (-1,)),)
"""JSON, one list a picture: conditions of a rule differ in their fields."""

_SLOTS: dict[type[Any], tuple[Slot, ...]] = {
    Detections: _DETECTIONS,
    Texts: _TEXTS,
    Codes: _CODES,
    Quality: _QUALITY,
    Findings: _OBSERVATIONS,
    SoundEvents: _SOUNDS,
    Transcript: _SAID,
    Labels: _LABELS,
    Fields: _FIELDS,
    Points: _POINTS,
    Picture: _PICTURE,
    Mask: _MASK,
    Recording: _RECORDING,
}


def result_types(algorithm: Algorithm) -> tuple[type[Any], ...]:
    """What kinds of result an algorithm gives, outermost first, read from what its stages promise.

    A rule is followed by what it looked at: `(Findings, Detections)`. Empty when a stage promises nothing definite.
    """
    found: tuple[type[Any], ...] = ()
    for kind, _ in algorithm.resolve({}).stages:
        promised = typing.get_type_hints(getattr(kind, kind.works_by)).get("return")
        union = isinstance(promised, types.UnionType)
        able = [one for one in (typing.get_args(promised) if union else (promised,)) if one in _SLOTS]
        if len(able) == 1:
            found = (Findings, *found) if able[0] is Findings else (able[0],)
        elif not found or found[0] not in able:
            found = ()
    return found


def output_slots(kinds: Sequence[type[Any]]) -> tuple[Slot, ...]:
    """The outputs for results of these kinds."""
    columns = {slot.name: slot for kind in reversed(kinds) for slot in _SLOTS.get(kind, ())}
    return (*columns.values(), COUNTS, RESULT)


def tensors_of(results: Sequence[AnyResult]) -> dict[str, Tensor]:
    """The results of one request as tensors by name; all of one kind, one a picture."""
    first = results[0]
    inner = first.found if isinstance(first, Findings) else first
    found: list[Any] = [one.found if isinstance(one, Findings) else one for one in results]
    columns = _COLUMNS.get(type(inner))
    made = columns(found) if columns else {}
    if isinstance(first, Findings):
        rows = [
            [one.to_json() for one in result.observations]
            for result in results
            if isinstance(result, Findings)
        ]
        made["observations"] = bytes_tensor("observations", [_json(row) for row in rows])
    counts = np.array([len(one) for one in found], np.int32)
    made[COUNTS.name] = tensor(COUNTS.name, counts)
    made[RESULT.name] = bytes_tensor(RESULT.name, [_json(result.to_json()) for result in results])
    return made


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _joined(name: str, parts: Sequence[Array], kind: type[np.generic]) -> tuple[str, Tensor]:
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return name, tensor(name, np.ascontiguousarray(whole, kind))


def _words(name: str, rows: Sequence[Sequence[str]]) -> tuple[str, Tensor]:
    return name, bytes_tensor(name, [word.encode("utf-8", "replace") for row in rows for word in row])


def _of_detections(found: Sequence[Detections]) -> dict[str, Tensor]:
    made = dict(
        [
            _joined("boxes", [one.xyxy for one in found], np.float32),
            _joined("scores", [one.confidence for one in found], np.float32),
            _words("labels", [one.names() for one in found]),
        ]
    )
    points = [one.keypoints for one in found if one.keypoints is not None]
    if len(points) == len(found):
        made.update([_joined("keypoints", points, np.float32)])
    return made


def _of_texts(found: Sequence[Texts]) -> dict[str, Tensor]:
    return dict(
        [
            _joined("quads", [one.quads for one in found], np.float32),
            _words("texts", [one.text for one in found]),
            _joined("scores", [one.confidence for one in found], np.float32),
        ]
    )


def _of_codes(found: Sequence[Codes]) -> dict[str, Tensor]:
    return dict(
        [
            _joined("quads", [one.quads for one in found], np.float32),
            _words("texts", [one.text for one in found]),
            _words("formats", [one.formats for one in found]),
        ]
    )


def _of_quality(found: Sequence[Quality]) -> dict[str, Tensor]:
    fault = np.array([one.fault for one in found], np.bool_)
    score = np.array([one.score for one in found], np.float32)
    return {"fault": tensor("fault", fault), "score": tensor("score", score)}


def _of_sounds(found: Sequence[SoundEvents]) -> dict[str, Tensor]:
    return dict(
        [
            _words("labels", [one.label for one in found]),
            _joined("starts", [one.start for one in found], np.float32),
            _joined("ends", [one.end for one in found], np.float32),
            _joined("scores", [one.score for one in found], np.float32),
        ]
    )


def _of_transcripts(found: Sequence[Transcript]) -> dict[str, Tensor]:
    segments = [segment for one in found for segment in one.segments]
    times = {
        "starts": [segment.start for segment in segments],
        "ends": [segment.end for segment in segments],
        "scores": [segment.confidence for segment in segments],
    }
    texts = dict([_words("texts", [[segment.text for segment in segments]])])
    return texts | {name: tensor(name, np.array(column, np.float32)) for name, column in times.items()}


def _of_labels(found: Sequence[Labels]) -> dict[str, Tensor]:
    scores = np.array([score for one in found for score in one.confidence], np.float32)
    return dict([_words("labels", [one.label for one in found])]) | {"scores": tensor("scores", scores)}


def _of_fields(found: Sequence[Fields]) -> dict[str, Tensor]:
    scores = np.array([field.confidence for one in found for field in one.fields], np.float32)
    texts = [
        _words("names", [[field.name for field in one.fields] for one in found]),
        _words("values", [[field.value for field in one.fields] for one in found]),
    ]
    return dict(texts) | {"scores": tensor("scores", scores)}


def _of_points(found: Sequence[Points]) -> dict[str, Tensor]:
    made = dict(
        [
            _joined("at", [one.at for one in found], np.float64),
            _joined("values", [one.value for one in found], np.float64),
            _joined("lows", [one.low for one in found], np.float64),
            _joined("highs", [one.high for one in found], np.float64),
            _words("labels", [one.label for one in found]),
            _joined("scores", [one.score for one in found], np.float32),
        ]
    )
    return made | {name: replace(made[name], holes=True) for name in ("values", "lows", "highs")}


def _of_pictures(found: Sequence[Picture]) -> dict[str, Tensor]:
    return {"picture": bytes_tensor("picture", [one.encoded() for one in found])}


def _of_masks(found: Sequence[Mask]) -> dict[str, Tensor]:
    return {"mask": bytes_tensor("mask", [one.encoded() for one in found])}


def _of_recordings(found: Sequence[Recording]) -> dict[str, Tensor]:
    return {"sound": bytes_tensor("sound", [one.encoded() for one in found])}


_COLUMNS: dict[type[Any], Callable[[Any], dict[str, Tensor]]] = {
    Detections: _of_detections,
    Texts: _of_texts,
    Codes: _of_codes,
    Quality: _of_quality,
    SoundEvents: _of_sounds,
    Transcript: _of_transcripts,
    Labels: _of_labels,
    Fields: _of_fields,
    Points: _of_points,
    Picture: _of_pictures,
    Mask: _of_masks,
    Recording: _of_recordings,
}
