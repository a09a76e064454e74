"""Folding the copies that a detector begins with: the same sums, or hands off."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from aihub.engine.focus import fold_focus
from aihub.engine.graph import prepare_graph
from aihub.engine.store import ModelStore
from aihub.plugins import data_folder
from tests.engine.bare import session

VIEWS = ((0, 0), (1, 0), (0, 1), (1, 1))
"""First row and column, in YOLOX's order."""


def made(
    *,
    views: tuple[tuple[int, int], ...] = VIEWS,
    channels: int = 3,
    sides: tuple[Any, Any] = (8, 12),
    plain: bool = True,
    identity: bool = False,
    together: bool = False,
    **convolution: Any,
) -> ModelProto:
    """A `Focus` and its convolution.

    Args:
        views: that are stacked.
        channels: of the picture.
        sides: height and width.
        plain: whether nothing but the convolution reads the stack.
        identity: whether constants come through `Identity`, as torch writes those that are equal.
        together: whether one slice takes rows and columns.
        convolution: attributes other than a `Focus` has.
    """
    weights = {
        "end": np.array([2**63 - 1]),
        "two": np.array([2]),
        "rows": np.array([2]),
        "columns": np.array([3]),
    }
    weights |= {"at0": np.array([0]), "at1": np.array([1])}
    kernel = convolution.get("kernel_shape", [3, 3])
    group = convolution.get("group", 1)
    weight = (
        np.random.default_rng(0).normal(size=(4, channels * len(views) // group, *kernel)).astype(np.float32)
    )
    nodes: list[NodeProto] = []
    two = "two"
    if identity:
        nodes.append(helper.make_node("Identity", ["two"], ["same"]))
        two = "same"
    for number, (row, column) in enumerate(views):
        if together:
            for name, values in (
                ("first", (row, column)),
                ("ends", (2**63 - 1,) * 2),
                ("axes", (2, 3)),
                ("steps", (2, 2)),
            ):
                weights[f"{name}{number}"] = np.array(values)
            nodes.append(
                helper.make_node(
                    "Slice",
                    ["x", *(f"{name}{number}" for name in ("first", "ends", "axes", "steps"))],
                    [f"v{number}"],
                )
            )
        else:
            nodes.append(helper.make_node("Slice", ["x", f"at{row}", "end", "rows", "two"], [f"r{number}"]))
            nodes.append(
                helper.make_node(
                    "Slice", [f"r{number}", f"at{column}", "end", "columns", two], [f"v{number}"]
                )
            )
    nodes.append(
        helper.make_node("Concat", [f"v{number}" for number in range(len(views))], ["stack"], axis=1)
    )
    said: dict[str, Any] = {
        "kernel_shape": [3, 3],
        "pads": [1, 1, 1, 1],
        "strides": [1, 1],
        "dilations": [1, 1],
        "group": 1,
    } | convolution
    nodes.append(helper.make_node("Conv", ["stack", "w", "b"], ["y"], **said))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)]
    if not plain:
        nodes.append(helper.make_node("Relu", ["stack"], ["other"]))
        outputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [None] * 4))
    held = [numpy_helper.from_array(value.astype(np.int64), name) for name, value in weights.items()]
    held += [
        numpy_helper.from_array(weight, "w"),
        numpy_helper.from_array(np.arange(4, dtype=np.float32), "b"),
    ]
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, *sides])
    graph = helper.make_graph(nodes, "focus", [picture], outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def computed(model: ModelProto, picture: np.ndarray) -> np.ndarray:
    return np.asarray(session(model.SerializeToString()).run(["y"], {"x": picture})[0])


def operators(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@settings(deadline=None, max_examples=40)
@given(
    views=st.permutations(VIEWS),
    channels=st.integers(1, 4),
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    identity=st.booleans(),
    together=st.booleans(),
)
def test_the_sums_are_the_same(
    views: list[tuple[int, int]], channels: int, sides: tuple[int, int], identity: bool, together: bool
) -> None:
    height, width = 2 * sides[0], 2 * sides[1]
    form: dict[str, Any] = {
        "views": tuple(views),
        "channels": channels,
        "sides": ("h", "w"),
        "identity": identity,
        "together": together,
    }
    before, after = made(**form), made(**form)
    assert fold_focus(after.graph)
    assert operators(after) == ["Conv"]
    onnx.checker.check_model(after)
    picture = np.random.default_rng(1).normal(size=(2, channels, height, width)).astype(np.float32)
    np.testing.assert_allclose(computed(after, picture), computed(before, picture), atol=1e-4)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"plain": False}, "the stack is needed by something else"),
        ({"views": VIEWS[:3]}, "three views are no Focus"),
        ({"views": (VIEWS[0], *VIEWS[:3])}, "one view twice and one never"),
        ({"pads": [0, 0, 0, 0]}, "the border is another"),
        ({"strides": [2, 2]}, "it steps"),
        ({"dilations": [2, 2], "pads": [2, 2, 2, 2]}, "it looks further"),
        (
            {"kernel_shape": [1, 1], "pads": [0, 0, 0, 0]},
            "it looks at one place: six by six would look at more",
        ),
        ({"group": 2, "channels": 2}, "its channels are apart"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_another_form_stays(form: dict[str, Any], why: str) -> None:
    model = made(**form)
    before = model.SerializeToString()
    assert not fold_focus(model.graph), why
    assert model.SerializeToString() == before


@pytest.mark.parametrize(("name", "value"), [("two", 3), ("end", 6), ("at1", 2), ("rows", 1)])
def test_slices_of_another_kind_stay(name: str, value: int) -> None:
    model = made(sides=(12, 12))
    (weight,) = [weight for weight in model.graph.initializer if weight.name == name]
    weight.CopyFrom(numpy_helper.from_array(np.array([value]), name))
    assert not fold_focus(model.graph)


def test_slices_that_are_computed_stay() -> None:
    model = made()
    model.graph.input.append(helper.make_tensor_value_info("two", TensorProto.INT64, [1]))
    kept = [weight for weight in model.graph.initializer if weight.name != "two"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    assert not fold_focus(model.graph)


@pytest.mark.parametrize("name", ["city-detector", "fire-smoke", "site-safety", "street-hygiene"])
def test_models_of_our_own_find_the_same_without_it(name: str, tmp_path: Path) -> None:
    same_outputs(ModelStore.from_folder(data_folder("models"), cache=tmp_path), name)


@pytest.mark.weights
def test_yolox_finds_the_same_without_it(mirror: Path, tmp_path: Path) -> None:
    same_outputs(
        ModelStore.from_folder(data_folder("models"), cache=tmp_path, mirror=str(mirror)), "yolox-nano"
    )


def same_outputs(store: ModelStore, name: str) -> None:
    card = store.resolve(name)
    assert card.input is not None
    given = store.path(card).read_bytes()
    prepared = prepare_graph(given, card)
    kinds = operators(onnx.load_model_from_string(prepared))
    assert "Slice" not in kinds[: kinds.index("Conv")]
    picture = np.random.default_rng(0).integers(0, 256, (1, *card.input.size, 3), np.uint8)
    theirs = picture if card.input.layout == "nhwc" else picture.transpose(0, 3, 1, 2).astype(np.float32)
    (before,), (after,) = (
        session(model).run(None, {card.input.name: fed})
        for model, fed in ((given, theirs), (prepared, picture))
    )
    np.testing.assert_allclose(after, before, atol=2e-3, rtol=1e-4)


def test_all_places_of_a_view_are_needed() -> None:
    """Every set of four places that is not each once is left alone."""
    places = list(itertools.product((0, 1), (0, 1)))
    for views in itertools.product(places, repeat=4):
        if len({*views}) < 4:
            assert not fold_focus(made(views=views).graph)
