"""Decoders: what is encoded comes back, what has another form is refused. Real pictures: `test_decoders_pictures`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.engine.decoding import DecoderNotFoundError, best_class, decoder_for
from aihub.errors import CardError, DecodeError
from aihub.plugins import load_group
from aihub.types import ModelCard, Tensor
from tests.engine.bare import made_card

F32 = npt.NDArray[np.float32]
SIZE = (64, 96)
LABELS = ["cat", "dog", "bird"]


class Thing(NamedTuple):
    """What a network would say: a box by centre and sides in pixels, a class, a score, and five points."""

    cx: float
    cy: float
    w: float
    h: float
    label: int
    score: float

    @property
    def box(self) -> list[float]:
        return [self.cx - self.w / 2, self.cy - self.h / 2, self.cx + self.w / 2, self.cy + self.h / 2]

    @property
    def points(self) -> F32:
        steps = np.linspace(-0.4, 0.4, 5)
        return np.stack([self.cx + steps * self.w, self.cy - steps * self.h], axis=1).astype(np.float32)


def logit(value: float) -> float:
    return float(np.log(value / (1 - value)))


def cell_of(thing: Thing, stride: int) -> tuple[int, int, int]:
    """Column, row and index of the cell of a level."""
    column, row = int(thing.cx // stride), int(thing.cy // stride)
    return column, row, row * (SIZE[1] // stride) + column


def cells(stride: int) -> int:
    return SIZE[0] // stride * (SIZE[1] // stride)


def as_yolox(thing: Thing) -> dict[str, Tensor]:
    rows = np.zeros((1, cells(8) + cells(16) + cells(32), 8), np.float32)
    column, row, index = cell_of(thing, 16)
    at = rows[0, cells(8) + index]
    at[:4] = thing.cx / 16 - column, thing.cy / 16 - row, np.log(thing.w / 16), np.log(thing.h / 16)
    at[4], at[5 + thing.label] = 0.9, thing.score / 0.9
    return {"output": rows}


def as_nanodet(thing: Thing) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}
    for stride in (8, 16, 32):
        outputs[f"cls_pred_stride_{stride}"] = np.zeros((1, cells(stride), 3), np.float32)
        outputs[f"dis_pred_stride_{stride}"] = np.zeros((1, cells(stride), 32), np.float32)
    column, row, index = cell_of(thing, 16)
    outputs["cls_pred_stride_16"][0, index, thing.label] = thing.score
    x, y = (column + 0.5) * 16, (row + 0.5) * 16
    x1, y1, x2, y2 = thing.box
    sides = outputs["dis_pred_stride_16"][0, index].reshape(4, 8)
    for side, distance in zip(sides, (x - x1, y - y1, x2 - x, y2 - y), strict=True):
        whole, part = divmod(distance / 16, 1)  # mass on the two neighbours gives the mean
        side[:] = -50
        side[int(whole)], side[int(whole) + 1] = np.log(max(1 - part, 1e-20)), np.log(max(part, 1e-20))
    return outputs


def as_fastestdet(thing: Thing) -> dict[str, Tensor]:
    planes = np.full((1, 8, SIZE[0] // 16, SIZE[1] // 16), 0.0, np.float32)
    column, row, _ = cell_of(thing, 16)
    at = planes[0, :, row, column]
    at[1:3] = np.arctanh(thing.cx / 16 - column), np.arctanh(thing.cy / 16 - row)
    at[3:5] = logit(thing.w / SIZE[1]), logit(thing.h / SIZE[0])
    at[0], at[5 + thing.label] = thing.score, thing.score  # score ** 0.6 * score ** 0.4
    return {"758": planes}


def as_yunet(thing: Thing) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}
    for stride in (8, 16, 32):
        for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{kind}_{stride}"] = np.zeros((1, cells(stride), width), np.float32)
    column, row, index = cell_of(thing, 32)
    outputs["cls_32"][0, index], outputs["obj_32"][0, index] = 1.0, thing.score**2
    outputs["bbox_32"][0, index] = (
        thing.cx / 32 - column, thing.cy / 32 - row, np.log(thing.w / 32), np.log(thing.h / 32),
    )  # fmt: skip
    outputs["kps_32"][0, index] = (thing.points / 32 - [column, row]).reshape(-1)
    return outputs


def as_ultralight(thing: Thing) -> dict[str, Tensor]:
    scores, boxes = np.zeros((1, 50, 4), np.float32), np.zeros((1, 50, 4), np.float32)
    scores[..., 0] = 1
    scores[0, 30, 0], scores[0, 30, 1 + thing.label] = 1 - thing.score, thing.score
    boxes[0, 30] = np.array(thing.box) / [SIZE[1], SIZE[0], SIZE[1], SIZE[0]]
    return {"scores": scores, "boxes": boxes}


SSD = {"boxes": "loc", "scores": "conf", "points": "landms", "strides": [16, 32], "sizes": [[16, 32], [0.5]]}


def as_ssd(thing: Thing) -> dict[str, Tensor]:
    count = cells(16) * 2 + cells(32)
    loc, conf, landms = (np.zeros((1, count, width), np.float32) for width in (4, 4, 10))
    column, row, cell = cell_of(thing, 16)
    index, side = cell * 2 + 1, 32  # the second prior of its cell
    middle = np.array([(column + 0.5) * 16, (row + 0.5) * 16])
    conf[0, index, 1 + thing.label] = thing.score
    loc[0, index, :2] = ([thing.cx, thing.cy] - middle) / (0.1 * side)
    loc[0, index, 2:] = np.log([thing.w / side, thing.h / side]) / 0.2
    landms[0, index] = ((thing.points - middle) / (0.1 * side)).reshape(-1)
    return {"loc": loc, "conf": conf, "landms": landms}


def as_yolov5(thing: Thing) -> dict[str, Tensor]:
    rows = np.zeros((1, 40, 5 + 10 + 3), np.float32)
    rows[0, 21, :5] = thing.cx, thing.cy, thing.w, thing.h, 0.9
    rows[0, 21, 5:15] = thing.points.reshape(-1)
    rows[0, 21, 15 + thing.label] = thing.score / 0.9
    return {"output": rows}


def as_yolov8(thing: Thing) -> dict[str, Tensor]:
    planes = np.zeros((1, 4 + 3 + 15, 40), np.float32)
    planes[0, :4, 21] = thing.cx, thing.cy, thing.w, thing.h
    planes[0, 4 + thing.label, 21] = thing.score
    points = np.concatenate([thing.points, np.full((5, 1), thing.score)], axis=1)
    planes[0, 7:, 21] = points.reshape(-1)
    return {"output0": planes}


def as_detr(thing: Thing) -> dict[str, Tensor]:
    logits, boxes = np.full((1, 30, 3), -9.0, np.float32), np.full((1, 30, 4), 0.5, np.float32)
    logits[0, 7, thing.label] = logit(thing.score)
    boxes[0, 7] = np.array(thing[:4]) / [SIZE[1], SIZE[0], SIZE[1], SIZE[0]]
    return {"logits": logits, "pred_boxes": boxes}


Encode = Callable[[Thing], dict[str, Tensor]]
FAMILIES: dict[str, tuple[Encode, dict[str, Any], list[str], bool]] = {
    "yolox": (as_yolox, {}, LABELS, False),
    "nanodet": (as_nanodet, {}, LABELS, False),
    "fastestdet": (as_fastestdet, {}, LABELS, False),
    "yunet": (as_yunet, {}, ["face"], True),
    "ultralight": (as_ultralight, {}, LABELS, False),
    "ssd": (as_ssd, SSD, LABELS, True),
    "yolov5": (as_yolov5, {"points": 5}, LABELS, True),
    "yolov8": (as_yolov8, {"points": 5}, LABELS, True),
    "detr": (as_detr, {}, LABELS, False),
}
"""Decoder -> encoder, parameters, labels, whether it gives points."""


def card_of(family: str, **changes: Any) -> ModelCard:
    _, params, labels, _ = FAMILIES[family]
    body = {
        "input": {"name": "x", "size": SIZE},
        "decoder": family,
        "decoder_params": params,
        "labels": labels,
    }
    return made_card(**{**body, **changes})


things = st.builds(
    Thing,
    cx=st.floats(33, 62),  # in the middle, so that boxes and all levels' cells lie within
    cy=st.floats(17, 46),
    w=st.floats(17, 60),
    h=st.floats(17, 60),
    label=st.integers(0, 2),
    score=st.floats(0.3, 0.89),
)


@pytest.mark.parametrize("family", FAMILIES)
@given(first=things, second=things)
@settings(max_examples=25, deadline=None)
def test_what_is_encoded_comes_back(family: str, first: Thing, second: Thing) -> None:
    encode, _, labels, has_points = FAMILIES[family]
    decoder = decoder_for(card_of(family))
    pair = [thing._replace(label=min(thing.label, len(labels) - 1)) for thing in (first, second)]
    encoded = [encode(thing) for thing in pair]
    batch = {name: np.concatenate([one[name] for one in encoded]) for name in encoded[0]}
    results = decoder.decode(batch, 0.25)
    assert len(results) == 2, "one for each picture of the batch"
    for thing, found in zip(pair, results, strict=True):
        assert len(found) == 1
        assert np.abs(found.xyxy[0] - thing.box).max() < 0.02
        assert found.names() == [labels[thing.label]]
        assert found.confidence[0] == pytest.approx(thing.score, abs=1e-4)
        if has_points:
            assert found.keypoints is not None
            assert np.abs(found.keypoints[0, :, :2] - thing.points).max() < 0.02
            assert found.keypoints[0, :, 2] == pytest.approx(thing.score, abs=1e-4)
        else:
            assert found.keypoints is None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_floor_lets_through_what_reaches_it(family: str) -> None:
    encode, _, labels, has_points = FAMILIES[family]
    outputs = encode(Thing(48, 32, 30, 30, len(labels) - 1, 0.6))
    decoder = decoder_for(card_of(family))
    assert len(decoder.decode(outputs, 0.59)[0]) == 1
    (nothing,) = decoder.decode(outputs, 0.61)
    assert len(nothing) == 0
    assert nothing.labels == tuple(labels)
    assert (nothing.keypoints is not None) == has_points


@pytest.mark.parametrize("family", FAMILIES)
def test_another_form_is_refused(family: str) -> None:
    encode = FAMILIES[family][0]
    outputs = encode(Thing(48, 32, 30, 30, 0, 0.6))
    decoder = decoder_for(card_of(family))
    wrong: list[dict[str, Tensor]] = [
        {},  # nothing at all
        {name: value[0] for name, value in outputs.items()},  # no batch
    ]
    if family not in ("yolov8", "fastestdet"):  # whose last side is that of the cells
        wrong.append({name: value[..., 1:] for name, value in outputs.items()})
    if family not in ("yolov5", "ultralight", "detr"):  # which take any number of rows
        wrong.append({name: value[:, 1:] for name, value in outputs.items()})
    for case in wrong:
        with pytest.raises(DecodeError):
            decoder.decode(case, 0.5)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"yunet"}))  # yunet knows faces only
def test_labels_that_do_not_fit_the_outputs_are_refused(family: str) -> None:
    outputs = FAMILIES[family][0](Thing(48, 32, 30, 30, 0, 0.6))
    with pytest.raises(DecodeError):
        decoder_for(card_of(family, labels=["a", "b", "c", "d", "e"])).decode(outputs, 0.5)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input": None}, "input"),
        ({"decoder": None}, "decoder"),
        ({"decoder_params": {"stride": [8]}}, "decoder_params.stride"),  # unknown key
        ({"decoder_params": {"strides": "eight"}}, "decoder_params.strides"),
    ],
)
def test_a_card_that_is_wrong_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(CardError) as caught:
        decoder_for(card_of("yolox", **changes))
    assert caught.value.field == field


def test_an_unknown_decoder_suggests_the_nearest() -> None:
    with pytest.raises(DecoderNotFoundError, match="did you mean 'yolox'"):
        decoder_for(card_of("yolox", decoder="yolo-x"))


def test_our_own_decoders_load() -> None:
    assert not [failure for failure in load_group("aihub.decoders") if failure.name in FAMILIES]


def test_detr_as_upstream_computes_it() -> None:
    """Two pictures of two queries, computed by hand from sigmoid(logit) and cx, cy, w, h of a 64 x 96 input."""
    logits = np.array(
        [[[0.0, 2.0, -3.0], [-1.0, -1.0, 4.0]], [[-5.0, -5.0, -5.0], [0.5, 0.5, 0.5]]], np.float32
    )
    boxes = np.array(
        [[[0.5, 0.5, 0.5, 0.25], [0.25, 0.75, 0.5, 0.5]], [[0, 0, 0, 0], [0.5, 0.5, 1, 1]]], np.float32
    )
    first, second = decoder_for(card_of("detr")).decode({"logits": logits, "pred_boxes": boxes}, 0.5)
    assert first.xyxy.tolist() == [[24, 24, 72, 40], [0, 32, 48, 64]]
    assert first.names() == ["dog", "bird"]
    assert first.confidence.tolist() == pytest.approx([0.880797, 0.982014], abs=1e-6)
    assert second.xyxy.tolist() == [[0, 0, 96, 64]]  # among equal classes the first
    assert (second.names(), second.confidence.tolist()) == (["cat"], pytest.approx([0.622459], abs=1e-6))


@given(st.integers(0, 10**6), st.floats(0.01, 1))
@settings(max_examples=60, deadline=None)
def test_detr_gives_what_reaches_the_floor_and_nothing_else(seed: int, floor: float) -> None:
    dice = np.random.default_rng(seed)
    logits = (dice.standard_normal((1, 40, 3)) * 4).astype(np.float32)
    boxes = dice.random((1, 40, 4), np.float32)
    (found,) = decoder_for(card_of("detr")).decode({"logits": logits, "pred_boxes": boxes}, floor)
    scores = (1 / (1 + np.exp(-logits[0].astype(np.float64)))).astype(np.float32).max(axis=1)
    assert found.confidence.tolist() == scores[scores >= floor].tolist()


def test_detr_outputs_may_have_other_names_and_must_agree() -> None:
    outputs = as_detr(Thing(48, 32, 30, 30, 1, 0.6))
    renamed = {"classes": outputs["logits"], "places": outputs["pred_boxes"]}
    named = decoder_for(card_of("detr", decoder_params={"logits": "classes", "boxes": "places"}))
    assert len(named.decode(renamed, 0.5)[0]) == 1
    with pytest.raises(DecodeError, match="same queries"):
        named.decode({**renamed, "places": outputs["pred_boxes"][:, 1:]}, 0.5)


@given(st.integers(0, 30), st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_best_class_is_the_maximum_of_rows_that_reach_the_floor(rows: int, classes: int, seed: int) -> None:
    scores = np.random.default_rng(seed).random((rows, classes), np.float32)
    kept, best, values = best_class(scores, 0.8)
    assert kept.tolist() == [row for row in range(rows) if scores[row].max() >= 0.8]
    assert values.tolist() == [scores[row].max() for row in kept]
    assert best.tolist() == [int(scores[row].argmax()) for row in kept]
