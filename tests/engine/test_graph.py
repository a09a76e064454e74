"""Prepared graphs give what the originals give, from uint8 pictures, and for several pictures at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aihub.engine.graph import custom_metadata, prepare_graph
from aihub.errors import CardError, SessionError
from aihub.types import InputSpec
from tests.engine.bare import card_named, made_card, picture, session, weights

SIZE = (8, 12)
F32 = npt.NDArray[np.float32]


def graph(
    nodes: list[Any],
    *,
    layout: str = "nchw",
    kind: int = TensorProto.FLOAT,
    output: list[int | str | None] | None = None,
    constants: dict[str, npt.NDArray[Any]] | None = None,
    as_inputs: bool = False,
) -> bytes:
    """A graph with input `x` and output `y` of one picture."""
    shape = [1, 3, *SIZE] if layout == "nchw" else [1, *SIZE, 3]
    values = {"w": np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1) - 2.5, **(constants or {})}
    stored = [numpy_helper.from_array(value, name) for name, value in values.items()]
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    if as_inputs:
        inputs += [helper.make_tensor_value_info(v.name, v.data_type, list(v.dims)) for v in stored]
    made = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info("y", kind, output or [1, 2, *SIZE])], stored
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 13)], ir_version=3 if as_inputs else 8
    )
    helper.set_model_props(model, {"character": "a\nb", "stride": "8"})
    return bytes(model.SerializeToString())


CONV = [helper.make_node("Conv", ["x", "w"], ["y"])]
FROM_PIXELS = [
    helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
    helper.make_node("Conv", ["t", "w"], ["y"]),
]


def spec(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "size": SIZE, **changes}


def pictures(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, *SIZE, 3), np.uint8)


def by_hand(batch: npt.NDArray[np.uint8], given: InputSpec) -> F32:
    """What the card says, in NumPy."""
    values = batch[..., ::-1] if given.color == "rgb" else batch
    scaled = (values.astype(np.float64) - given.mean) / given.std
    return np.ascontiguousarray(
        scaled.transpose(0, 3, 1, 2) if given.layout == "nchw" else scaled, dtype=np.float32
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},  # pixels as they are
        {"color": "rgb"},
        {"mean": [10, 20, 30]},
        {"std": [255, 255, 255]},
        {"color": "rgb", "mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]},  # order matters
        {"layout": "nhwc"},
        {"layout": "nhwc", "color": "rgb", "mean": [1, 2, 3], "std": [4, 5, 6]},
    ],
)
def test_the_graph_does_what_the_card_says(changes: dict[str, Any]) -> None:
    card = made_card(input=spec(**changes))
    assert card.input is not None
    original = graph(CONV if card.input.layout == "nchw" else FROM_PIXELS, layout=card.input.layout)
    prepared = prepare_graph(original, card)
    onnx.checker.check_model(onnx.load_model_from_string(prepared), full_check=True)
    ready = session(prepared)
    assert [(i.name, i.type, i.shape) for i in ready.get_inputs()] == [
        ("x", "tensor(uint8)", ["n", *SIZE, 3])
    ]
    batch = pictures(3)
    expected = [
        session(original).run(None, {"x": by_hand(batch[i : i + 1], card.input)})[0] for i in range(3)
    ]
    assert np.allclose(ready.run(None, {"x": batch})[0], np.concatenate(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("nodes", "constants", "output", "why"),
    [
        (
            [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Reshape", ["c", "s"], ["y"])],
            {"s": np.array([1, 2, -1])},
            [1, 2, SIZE[0] * SIZE[1]],
            "a batch of 1 written into a shape",
        ),
        (
            [
                helper.make_node("Reshape", ["x", "s"], ["r"]),
                helper.make_node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
                helper.make_node("Reshape", ["t", "b"], ["y"]),
            ],
            {"s": np.array([3, 2, SIZE[0] * SIZE[1] // 2]), "b": np.array([-1, 3, *SIZE])},
            [1, 3, *SIZE],
            "a shuffle that mixes batch and channels",
        ),
        (
            [
                helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(np.array([1, -1]))),
                helper.make_node("Reshape", ["x", "s"], ["y"]),
            ],
            {},
            [1, 3 * SIZE[0] * SIZE[1]],
            "the shape comes from a Constant node",
        ),
    ],
)
def test_a_batch_written_into_shapes_is_freed(
    nodes: list[Any], constants: dict[str, Any], output: list[int | str | None], why: str
) -> None:
    original = graph(nodes, constants=constants, output=output)
    card = made_card(input=spec())
    ready = session(prepare_graph(original, card))
    assert ready.get_inputs()[0].shape[0] == "n", why
    assert ready.get_outputs()[0].shape[0] == "n"
    batch = pictures(2)
    single = session(original)
    assert card.input is not None
    expected = [single.run(None, {"x": by_hand(batch[i : i + 1], card.input)})[0] for i in range(2)]
    assert np.allclose(ready.run(None, {"x": batch})[0], np.concatenate(expected))


@pytest.mark.parametrize(
    ("nodes", "output", "why"),
    [
        (
            [
                helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
                helper.make_node("Sub", ["x", "m"], ["y"]),
            ],
            [1, 3, *SIZE],
            "pictures of a batch would change one another's result",
        ),
        (
            [helper.make_node("Reshape", ["x", "s"], ["y"])],
            [3 * SIZE[0], SIZE[1]],
            "the output has no batch",
        ),
    ],
)
def test_a_batch_that_cannot_be_stays_one(nodes: list[Any], output: list[int | str | None], why: str) -> None:
    original = graph(nodes, output=output, constants={"s": np.array([3 * SIZE[0], SIZE[1]])})
    ready = session(prepare_graph(original, made_card(input=spec())))
    assert ready.get_inputs()[0].shape == [1, *SIZE, 3], why
    assert ready.run(None, {"x": pictures(1)})[0].shape == tuple(output)


def test_weights_leave_the_inputs_and_unused_ones_go() -> None:
    dirty = graph(CONV, as_inputs=True, constants={"old": np.zeros(9, np.float32)})
    for card in (made_card(input=spec()), made_card()):
        clean = onnx.load_model_from_string(prepare_graph(dirty, card))
        assert [value.name for value in clean.graph.input] == ["x"]
        assert "old" not in [weight.name for weight in clean.graph.initializer]
        assert "w" in [weight.name for weight in clean.graph.initializer]
        session(clean.SerializeToString())


def test_a_graph_without_a_described_input_stays_as_it_is() -> None:
    original = graph(CONV)
    assert prepare_graph(original, made_card()) is original


def test_a_graph_that_takes_pictures_already_passes() -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    original = graph(nodes, layout="nhwc", kind=TensorProto.UINT8, output=[1, *SIZE, 3])
    prepared = prepare_graph(original, made_card(input=spec(layout="nhwc")))
    assert [node.op_type for node in onnx.load_model_from_string(prepared).graph.node] == ["Identity"]
    batch = pictures(2)
    assert (session(prepared).run(None, {"x": batch})[0] == batch).all()
    swapped = prepare_graph(original, made_card(input=spec(layout="nhwc", color="rgb")))
    assert (session(swapped).run(None, {"x": batch})[0] == batch[..., ::-1]).all()


@pytest.mark.parametrize(
    ("changes", "kind", "field"),
    [
        ({"name": "images"}, TensorProto.FLOAT, "input.name"),
        ({"size": (9, 12)}, TensorProto.FLOAT, "input.size"),
        ({"layout": "nhwc"}, TensorProto.FLOAT, "input.size"),  # 3 is not the last side
        ({"mean": [1, 1, 1]}, TensorProto.UINT8, "input.mean"),
    ],
)
def test_a_card_that_does_not_fit_says_where(changes: dict[str, Any], kind: int, field: str) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    original = graph(nodes, kind=kind, output=[1, 3, *SIZE])
    with pytest.raises(CardError) as caught:
        prepare_graph(original, made_card(input=spec(**changes)))
    assert caught.value.field == field


@pytest.mark.parametrize("junk", [b"", b"not a graph", b"\x08\x08"])
def test_what_is_no_graph_is_refused(junk: bytes) -> None:
    with pytest.raises(SessionError):
        prepare_graph(junk, made_card())
    with pytest.raises(SessionError):
        custom_metadata(junk)


def test_metadata_is_read_and_kept() -> None:
    original = graph(CONV)
    expected = {"character": "a\nb", "stride": "8"}
    assert custom_metadata(original) == expected
    assert custom_metadata(prepare_graph(original, made_card(input=spec()))) == expected


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize(
    "name", ["yolox-nano", "nanodet-m-416", "fastestdet", "ultralight-320", "face-mask-aizoo"]
)
def test_real_graphs_give_the_same_and_take_batches(name: str, mirror: Path, media: Path) -> None:
    card = card_named(name)
    assert card.input is not None
    original = weights(card, mirror)
    rows, columns = card.input.size
    image = picture(media / "images/coco/000000005001.jpg")[:rows, :columns]
    batch = np.zeros((2, rows, columns, 3), np.uint8)
    batch[:, : image.shape[0], : image.shape[1]] = image
    batch[1] = batch[1, ::-1]
    single, ready = session(original), session(prepare_graph(original, card))
    together = ready.run(None, {card.input.name: batch})
    for item in range(2):
        expected = single.run(None, {card.input.name: by_hand(batch[item : item + 1], card.input)})
        for ours, theirs in zip(together, expected, strict=True):
            assert np.abs(ours[item] - theirs[0]).max() <= 2e-3 * max(1.0, np.abs(theirs).max())
