"""Results as tensors: every column of every kind, and what the card promises is what comes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from aihub.algorithms.registry import Registry
from aihub.errors import InputError, TooLargeError
from aihub.serve.oip.classification import classified
from aihub.serve.oip.messages import BYTES, RequestedOutput, Tensor, bytes_tensor, tensor
from aihub.serve.oip.outputs import output_slots, result_types, tensors_of
from aihub.serve.oip.slots import Slot
from aihub.types import AnyResult, Codes, Detections, Findings, Observation, Quality, Texts
from tests.serve.hub import FakePredictor

BOX = np.array([[0, 1, 2, 3]], np.float32)
QUAD = np.zeros((1, 4, 2), np.float32)
SURE = np.array([0.5], np.float32)
THINGS = Detections(BOX, SURE, np.zeros(1, np.int32), ("thing",))
NOTHING = Detections.empty(("thing",))
SEEN = Observation("zone", "thing", 0.5)


def fits(made: dict[str, Tensor], slots: Sequence[Slot]) -> bool:
    return list(made) == [slot.name for slot in slots] and all(
        made[slot.name].datatype == slot.datatype
        and len(made[slot.name].shape) == len(slot.shape)
        and all(want in (-1, have) for want, have in zip(slot.shape, made[slot.name].shape, strict=True))
        for slot in slots
    )


@pytest.mark.parametrize(
    ("results", "rows"),
    [
        ([THINGS], {"boxes": 1, "scores": 1, "labels": 1, "counts": [1]}),
        ([NOTHING], {"boxes": 0, "scores": 0, "labels": 0, "counts": [0]}),
        ([THINGS, NOTHING, THINGS], {"boxes": 2, "scores": 2, "labels": 2, "counts": [1, 0, 1]}),
        ([Texts(QUAD, ("门",), SURE)], {"quads": 1, "texts": 1, "scores": 1, "counts": [1]}),
        ([Texts(QUAD[:0], (), SURE[:0])] * 2, {"quads": 0, "texts": 0, "counts": [0, 0]}),
        ([Codes(QUAD, ("1",), ("QRCode",))], {"quads": 1, "texts": 1, "formats": 1, "counts": [1]}),
        ([Quality(True, 0.9), Quality(False, 0.1)], {"fault": 2, "score": 2, "counts": [1, 0]}),
        (
            [Findings(THINGS, (SEEN,), {"count": 1.0}), Findings(NOTHING)],
            {"boxes": 1, "observations": 2, "counts": [1, 0]},
        ),
        ([Findings(Quality(True, 0.9))], {"fault": 1, "observations": 1, "counts": [1]}),
    ],
)
def test_columns(results: list[AnyResult], rows: dict[str, int | list[int]]) -> None:
    made = tensors_of(results)
    first = results[0]
    kinds = (Findings, type(first.found)) if isinstance(first, Findings) else (type(first),)
    assert fits(made, output_slots(kinds))
    for name, count in rows.items():
        if isinstance(count, int):
            assert made[name].shape[0] == count, name
        else:
            assert made[name].data.tolist() == count
    assert [json.loads(text) for text in made["result"].data] == [result.to_json() for result in results]


def test_landmarks_come_where_all_pictures_have_them() -> None:
    points = np.zeros((1, 5, 3), np.float32)
    faces = Detections(BOX, SURE, np.zeros(1, np.int32), ("face",), keypoints=points)
    assert tensors_of([faces, faces])["keypoints"].shape == (2, 5, 3)
    assert "keypoints" not in tensors_of([faces, THINGS])


def test_observations_are_those_of_the_result() -> None:
    (text,) = tensors_of([Findings(THINGS, (SEEN,))])["observations"].data
    assert json.loads(text) == [SEEN.to_json()]


def test_every_algorithm_promises_what_it_gives() -> None:
    for algorithm in Registry(FakePredictor()).list():
        if "audio" in algorithm.card.input:
            continue
        kinds = result_types(algorithm)
        assert kinds, algorithm.card.id
        # A rule is followed by what it looked at, where the stage before it says what that is.
        assert kinds[0] is Findings or len(kinds) == 1, algorithm.card.id


@pytest.mark.parametrize(
    ("data", "count", "labels", "said"),
    [
        ([[1, 5, 10, 4]], 2, (), [[b"10.000000:2", b"5.000000:1"]]),
        ([[1, 5], [5, 1]], 1, ("a", "b"), [[b"5.000000:1:b"], [b"5.000000:0:a"]]),
        (
            [1, 5, 5],
            2,
            ("a", "b"),
            [b"5.000000:1", b"5.000000:2"],
        ),  # one label too few: they name something else
        ([[1, 2]], 9, (), [[b"2.000000:1", b"1.000000:0"]]),
    ],
)
def test_classes(data: list[object], count: int, labels: tuple[str, ...], said: list[object]) -> None:
    made = [tensor("y", np.array(data, np.float32))]
    (top,) = classified(made, [RequestedOutput("y", {"classification": count})], labels)
    assert top.datatype == BYTES
    assert top.data.tolist() == said


def test_classes_are_bounded() -> None:
    wanted = [RequestedOutput("y", {"classification": 40})]
    with pytest.raises(TooLargeError, match="texts"):
        classified([tensor("y", np.zeros((2000, 50), np.float32))], wanted, ())
    with pytest.raises(InputError, match="no numbers"):
        classified([bytes_tensor("y", [b"a"])], wanted, ())
