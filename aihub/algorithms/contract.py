"""The contract and the laws that every algorithm keeps, whatever its models see; checked on generated detections."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.inference import infer
from aihub.algorithms.planner import Plan
from aihub.errors import AihubError
from aihub.types import (
    AnyResult,
    Bill,
    Codes,
    Detections,
    Fields,
    Findings,
    Frame,
    Labels,
    Mask,
    Observation,
    Picture,
    Predictor,
    Quality,
    Tensor,
    Texts,
    result_from_json,
)

SHAPES: tuple[tuple[int, int, str], ...] = (
    (360, 640, "landscape"),
    (1, 1, "one pixel"),
    (37, 53, "odd sides"),
    (640, 360, "portrait"),
    (2160, 3840, "4K"),
)
CONFIDENCES = (0.2, 0.5, 0.8)
EDGE = 0.51
"""Pixels a box may stick out of the picture: half of one, and rounding."""


class ContractError(AihubError):
    """An algorithm broke a promise that all algorithms make."""


class NoTensorsError(AihubError):
    """Generated detections do not reach this algorithm: its stages run raw tensors."""


class GeneratedDetections:
    """A predictor that answers with boxes drawn by chance, the same for the same frame. Has no raw tensors."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(dict.fromkeys((*labels, "person", "car")))

    def detect(
        self,
        model: str,  # noqa: ARG002 - one answer for all
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",  # noqa: ARG002 - as above
        deadline: float | None = None,  # noqa: ARG002 - as above
    ) -> Future[Detections]:
        """0 to 11 boxes inside the frame, surest first."""
        rng = np.random.default_rng([frame.height, frame.width, frame.seq])
        rows = int(rng.integers(0, 12))
        corners = rng.uniform(0, 1, (rows, 2, 2)) * (frame.width, frame.height)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
        scores = np.sort(rng.uniform(confidence, 1, rows).astype(np.float32))[::-1]
        kinds = rng.integers(0, len(self.labels), rows).astype(np.int32)
        answer: Future[Detections] = Future()
        answer.set_result(Detections(boxes, scores, kinds, self.labels))
        return answer

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],  # noqa: ARG002 - refused
        *,
        source: str = "",  # noqa: ARG002 - refused
        deadline: float | None = None,  # noqa: ARG002 - refused
        bill: Bill | None = None,  # noqa: ARG002 - refused
    ) -> Future[dict[str, Tensor]]:
        """Refused."""
        raise NoTensorsError(f"model {model!r} is asked for raw tensors")

    def metadata(self, model: str) -> Mapping[str, str]:
        """Refused."""
        raise NoTensorsError(f"model {model!r} is asked for its metadata")

    def missing(self, models: Sequence[str]) -> list[str]:  # noqa: ARG002 - needs none
        """None."""
        return []


def labels_of(algorithm: Algorithm) -> list[str]:
    """The labels that an algorithm's stages ask for with its default parameters."""
    stages = algorithm.resolve({}).stages
    return [label for _, params in stages for label in getattr(params, "labels", ())]


def frames() -> Iterator[tuple[str, Frame]]:
    """Frames of every awkward shape, of noise, and one without colour."""
    rng = np.random.default_rng(7)
    for seq, (height, width, name) in enumerate(SHAPES):
        yield (
            name,
            Frame(
                rng.integers(0, 256, (height, width, 3), np.uint8), "contract", seq, 1000.0 + seq, float(seq)
            ),
        )
    grey = np.repeat(rng.integers(0, 256, (240, 320, 1), np.uint8), 3, axis=2)
    yield "grey", Frame(grey, "contract", len(SHAPES), 1000.0 + len(SHAPES), float(len(SHAPES)))


def check_shapes(algorithm: Algorithm, predictor: Predictor) -> None:
    """Every shape gives a sound result that survives the wire, alone and in a stream; frames are not written to.

    Raises:
        ContractError: what is not so, and on which frame.
        AihubError: a stage failed.
    """
    plan = Plan(predictor)
    plan.set("check", algorithm, {})
    if infer(algorithm, [], {}, predictor):
        raise ContractError("no pictures gave a result")
    for name, frame in frames():
        before = frame.image.copy()
        for result in _alone_and_streamed(algorithm, plan, frame, predictor):
            if isinstance(result, AihubError):
                raise result
            if not np.array_equal(before, frame.image):
                raise ContractError(f"the {name} frame was written to")
            if problem := unsound(result, frame.width, frame.height):
                raise ContractError(f"on the {name} frame: {problem}")
            check_wire(result)


def _alone_and_streamed(
    algorithm: Algorithm, plan: Plan, frame: Frame, predictor: Predictor
) -> Iterator[AnyResult | AihubError]:
    yield infer(algorithm, [frame], {}, predictor)[0]
    yield plan.run(frame)["check"]


def check_wire(result: AnyResult) -> None:
    """To JSON and back gives the same again.

    Raises:
        ContractError: it does not, or is no JSON at all.
    """
    try:
        sent = json.dumps(result.to_json(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(f"the result has no JSON form: {error}") from error
    there = result_from_json(json.loads(sent))
    if isinstance(result, Picture) and isinstance(there, Picture):  # JPEG loses a little
        if there.image.shape != result.image.shape or there.measures.keys() != result.measures.keys():
            raise ContractError("the picture is not the same after the way over the wire")
        return
    back = json.dumps(there.to_json(), allow_nan=False)
    if back != sent:
        raise ContractError("the result is not the same after the way over the wire")


def _afresh(frame: Frame) -> Frame:
    """The same picture of the same moment, with nothing worked out yet."""
    return Frame(frame.image, frame.source, frame.seq, frame.captured_at, frame.monotonic)


def check_batch(algorithm: Algorithm, predictor: Predictor) -> None:
    """Several pictures at once give what each gives alone.

    Raises:
        ContractError: they do not.
    """
    batch = [frame for name, frame in frames() if name != "4K"][:3]
    together = [result.to_json() for result in infer(algorithm, batch, {}, predictor)]
    for index, frame in enumerate(batch):
        (alone,) = infer(algorithm, [_afresh(frame)], {}, predictor)
        if alone.to_json() != together[index]:
            raise ContractError(f"picture {index + 1} of 3 gives something else alone than together")


def check_confidence(algorithm: Algorithm, predictor: Predictor) -> None:
    """Asking for more confidence never adds rows.

    Raises:
        ContractError: it did.
    """
    param = algorithm.card.params["confidence"]
    low, high = param.minimum or 0.0, 1.0 if param.maximum is None else param.maximum
    for name, frame in frames():
        if name == "4K":
            continue
        rows = [
            _rows(infer(algorithm, [frame], {"confidence": low + (high - low) * step}, predictor)[0])
            for step in CONFIDENCES
        ]
        if rows != sorted(rows, reverse=True):
            raise ContractError(f"on the {name} frame confidence {CONFIDENCES} gives {rows} rows")


def _rows(result: AnyResult) -> int:
    return len(result.found if isinstance(result, Findings) else result)


def unsound(result: AnyResult, width: int, height: int) -> str:
    """What is wrong with a result for a picture of that size; empty when nothing is."""
    if isinstance(result, Findings):
        problems = [
            unsound(result.found, width, height),
            _unsound_observations(result.observations),
            _unsound_numbers(result.measures),
        ]
        return next(filter(None, problems), "")
    if isinstance(result, Detections):
        return _unsound_detections(result, width, height)
    if isinstance(result, Texts | Codes):
        columns = {len(result.quads), len(result.text)}
        columns.add(len(result.confidence if isinstance(result, Texts) else result.formats))
        if len(columns) != 1 or result.quads.shape[1:] != (4, 2):
            return "columns of different length, or quads that have not four corners"
        return _outside(result.quads.reshape(-1, 2), width, height)
    if isinstance(result, Quality):
        if not 0 <= result.score <= 1 or result.fault != (result.score >= 0.5):
            return f"fault {result.fault} with score {result.score}"
        return _unsound_numbers(result.measures)
    return _unsound_rest(result, width, height)


def _unsound_rest(result: AnyResult, width: int, height: int) -> str:
    if isinstance(result, Labels):
        fine = all(0 <= score <= 1 for score in result.confidence)
        return _unsound_numbers(result.measures) if fine else "a confidence outside 0 to 1"
    if isinstance(result, Fields):
        if not all(0 <= one.confidence <= 1 for one in result.fields):
            return "a confidence outside 0 to 1"
        return _outside(result.quads().reshape(-1, 2), width, height)
    if isinstance(result, Mask):
        if result.classes.shape != (height, width):
            return f"a mask of {result.classes.shape} for a picture of {(height, width)}"
        return "" if int(result.classes.max()) < len(result.labels) else "a class that has no label"
    if isinstance(result, Picture):
        if result.image.dtype != np.uint8 or result.image.shape[2:] != (3,):
            return f"a made picture of {result.image.dtype} {result.image.shape}"
        return _unsound_numbers(result.measures)
    return f"a stage gave {type(result).__name__}, which is no result"


def _unsound_detections(found: Detections, width: int, height: int) -> str:
    if (found.xyxy[:, 2:] < found.xyxy[:, :2]).any():
        return "a box with its corners the wrong way round"
    if not ((found.confidence >= 0) & (found.confidence <= 1)).all():
        return "a confidence outside 0 to 1"
    if not ((found.class_id >= 0) & (found.class_id < len(found.labels))).all():
        return "a class that has no label"
    if found.track_id is not None and len(set(found.track_id.tolist())) != len(found):
        return "two rows of one track"
    return _outside(found.xyxy.reshape(-1, 2), width, height)


def _outside(points: npt.NDArray[Any], width: int, height: int) -> str:
    if not np.isfinite(points).all():
        return "a coordinate that is no number"
    limit = np.array([width, height], np.float32)
    return "" if ((points >= -EDGE) & (points <= limit + EDGE)).all() else "a corner outside the picture"


def _unsound_observations(observations: Sequence[Observation]) -> str:
    keys = [observation.key for observation in observations]
    if len(set(keys)) != len(keys) or not all(keys):
        return f"alarm keys that are not each their own: {keys}"
    for one in observations:
        if not 0 <= one.confidence <= 1:
            return f"alarm {one.key} with confidence {one.confidence}"
        if one.box is not None and not all(-1e-6 <= side <= 1 + 1e-6 for side in one.box):
            return f"alarm {one.key} with a box outside the picture: {one.box}"
    return ""


def _unsound_numbers(measures: Mapping[str, float]) -> str:
    bad = [name for name, value in measures.items() if not math.isfinite(value)]
    return f"measure {bad[0]} is no number" if bad else ""
