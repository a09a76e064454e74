"""Graphs made ready: pictures go in as uint8, normalisation happens inside, a batch is possible where the graph allows.

    uint8 (n, H, W, 3) BGR -> Transpose -> [Gather: swap colours] -> Cast -> [Sub mean] -> [Mul 1/std] -> the graph

The order is the fast one: on the channel-last side a Gather, or a Sub of three means, costs more than a small
model's first layers, on the planes it costs next to nothing; and planes of uint8 are cheaper to move than floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError as ProtobufError
from onnx import GraphProto, ModelProto, helper, numpy_helper

from aihub.engine.focus import fold_focus
from aihub.engine.nodes import constants, nodes
from aihub.errors import CardError, SessionError
from aihub.types import InputSpec, ModelCard, Tensor

INSIDE = "aihub/"
"""Prefix of the names of what is added to a graph."""

ROUNDING = 0.02
"""What kernels may differ between batch sizes, of the largest output; a mixed-up batch differs by all of it."""

_SINCE_WEIGHTS_MAY_STAND_ALONE = 4
"""The first IR version in which initialisers need not be listed as inputs."""


def prepare_graph(model: bytes, card: ModelCard) -> bytes:
    """Make a graph take pictures as they are.

    Weights listed as inputs (which keep runtimes from folding constants) and unused weights are removed, and the copies that
    some detectors begin with (see `aihub.engine.focus`). Where the card describes an input, that input keeps its name and
    becomes uint8 `(n, H, W, 3)` BGR; `n` is symbolic when a trial run with two pictures gives what two runs give, else 1.
    A graph that takes such pictures already stays as it is. The trial takes some 0.1 s: keep the result.

    Args:
        model: the ONNX file.
        card: says what the graph expects.

    Raises:
        SessionError: not an ONNX graph.
        CardError: the card does not fit the graph; `field` says where.
    """
    proto = _parse(model)
    folded = fold_focus(proto.graph)
    cleaned = _clean(proto)
    if card.input is None:
        return bytes(proto.SerializeToString()) if folded or cleaned else model
    _feed_pictures(proto.graph, card.input, card.name)
    return bytes((_with_free_batch(proto, card.input) or proto).SerializeToString())


def custom_metadata(model: bytes) -> dict[str, str]:
    """The free-form texts that an ONNX file carries, for example the `character` set of a text recogniser.

    Raises:
        SessionError: not an ONNX graph.
    """
    return {entry.key: entry.value for entry in _parse(model).metadata_props}


def _parse(model: bytes) -> ModelProto:
    try:
        proto = onnx.load_model_from_string(model)
    except ProtobufError as error:
        raise SessionError(f"not an ONNX graph: {error}") from error
    if not proto.graph.node:
        raise SessionError("not an ONNX graph: it has no nodes")
    return proto


def _clean(proto: ModelProto) -> bool:
    """Remove weights from the inputs, and weights that nothing uses. Returns whether anything changed."""
    graph = proto.graph
    weights = {weight.name for weight in graph.initializer}
    used = {name for node in nodes(graph) for name in node.input} | {output.name for output in graph.output}
    inputs = [value for value in graph.input if value.name not in weights]
    kept = [weight for weight in graph.initializer if weight.name in used]
    if len(inputs) == len(graph.input) and len(kept) == len(graph.initializer):
        return False
    _replace(graph.input, inputs)
    _replace(graph.initializer, kept)
    proto.ir_version = max(proto.ir_version, _SINCE_WEIGHTS_MAY_STAND_ALONE)
    return True


def _replace(field: Any, values: list[Any]) -> None:
    del field[:]
    field.extend(values)


def _feed_pictures(graph: GraphProto, spec: InputSpec, card: str) -> None:
    """Put the nodes between uint8 pictures and what the graph expects."""
    public = next((value for value in graph.input if value.name == spec.name), None)
    if public is None:
        names = [value.name for value in graph.input]
        raise CardError(f"{card}: the graph has no input {spec.name!r}, but {names}", field="input.name")
    tensor = public.type.tensor_type
    _check_shape([dim.dim_value for dim in tensor.shape.dim], spec, card)
    kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if _scaled(spec) and not np.issubdtype(kind, np.floating):
        raise CardError(f"{card}: the graph takes integers: mean 0 and std 1 only", field="input.mean")

    here, steps = spec.name, []
    for number, (operator, constant, attributes) in enumerate(_steps(spec, kind)):
        there = f"{INSIDE}{number}-{operator.lower()}"
        inputs = [here]
        if constant is not None:
            inputs.append(f"{there}-by")
            graph.initializer.append(numpy_helper.from_array(constant, inputs[1]))
        steps.append(helper.make_node(operator, inputs, [there], name=there, **attributes))
        here = there
    if steps:
        _rename_uses(graph, spec.name, here)
        _replace(graph.node, [*steps, *graph.node])
    public.CopyFrom(helper.make_tensor_value_info(spec.name, onnx.TensorProto.UINT8, [1, *spec.size, 3]))


def _scaled(spec: InputSpec) -> bool:
    return any(spec.mean) or any(side != 1.0 for side in spec.std)


def _steps(spec: InputSpec, kind: np.dtype[Any]) -> Iterator[tuple[str, Tensor | None, dict[str, Any]]]:
    """Operator, constant and attributes of each step from uint8 pictures to what the graph expects."""
    planes = spec.layout == "nchw" or spec.color == "rgb" or _scaled(spec)
    if planes:
        yield "Transpose", None, {"perm": [0, 3, 1, 2]}
    if spec.color == "rgb":
        yield "Gather", np.array([2, 1, 0], np.int64), {"axis": 1}
    if kind != np.uint8:
        yield "Cast", None, {"to": helper.np_dtype_to_tensor_dtype(kind)}
    if any(spec.mean):
        yield "Sub", np.array(spec.mean, kind).reshape(1, 3, 1, 1), {}
    if any(side != 1.0 for side in spec.std):
        yield "Mul", (1 / np.array(spec.std)).astype(kind).reshape(1, 3, 1, 1), {}
    if planes and spec.layout == "nhwc":
        yield "Transpose", None, {"perm": [0, 2, 3, 1]}


def _check_shape(shape: list[int], spec: InputSpec, card: str) -> None:
    """Fixed sizes of the graph must be the card's; symbolic ones are 0 here and take any."""
    expected = [1, 3, *spec.size] if spec.layout == "nchw" else [1, *spec.size, 3]
    fits = len(shape) == len(expected) and all(
        have in (0, want) for have, want in zip(shape, expected, strict=True)
    )
    if not fits:
        raise CardError(
            f"{card}: the graph takes {shape}, the card says {expected} ({spec.layout})", field="input.size"
        )


def _rename_uses(graph: GraphProto, old: str, new: str) -> None:
    for node in nodes(graph):
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def _with_free_batch(proto: ModelProto, spec: InputSpec) -> ModelProto | None:
    """The same graph for any number of pictures, None when it cannot be had."""
    if len(proto.graph.input) != 1:
        return None
    free = ModelProto()
    free.CopyFrom(proto)
    graph = free.graph
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        shape = value.type.tensor_type.shape
        if not shape.dim:
            return None
        shape.dim[0].dim_param = "n"
    _free_reshapes(graph)
    return free if _batch_works(free.SerializeToString(), spec) else None


def _free_reshapes(graph: GraphProto) -> None:
    """Exporters write the batch of 1 into the shapes of Reshape: let the first side follow the data instead."""
    known = constants(graph)
    for node in nodes(graph):
        if node.op_type != "Reshape" or node.input[1] not in known or node.input[0] in known:
            continue
        shape = numpy_helper.to_array(known[node.input[1]]).copy()
        if shape.size and shape[0] == 1:
            shape[0] = 0  # copy the side of the data
        elif shape.size and (shape > 0).all():
            shape[0] = -1  # channel shuffles that mix the batch into the first side
        else:
            continue
        name = f"{node.input[1]}/{INSIDE}{'x'.join(map(str, shape))}"
        if name not in known:
            known[name] = numpy_helper.from_array(shape, name)
            graph.initializer.append(known[name])
        node.input[1] = name


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a graph that it cannot load or run; its errors have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    return (
        states.Fail,
        states.InvalidArgument,
        states.InvalidGraph,
        states.NotImplemented,
        states.RuntimeException,
    )


def _batch_works(model: bytes, spec: InputSpec) -> bool:
    """Whether a run with two pictures gives what two runs give."""
    try:
        import onnxruntime
    except ImportError:
        return False
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    pictures = np.random.default_rng(0).integers(0, 256, (2, *spec.size, 3), np.uint8)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        together = session.run(None, {spec.name: pictures})
        apart = [session.run(None, {spec.name: pictures[item : item + 1]}) for item in range(2)]
    except _refusals():
        return False
    for index, both in enumerate(together):
        singles = [run[index] for run in apart]
        if [len(single) for single in singles] != [1, 1] or both.shape[1:] != singles[0].shape[1:]:
            return False
        expected = np.concatenate(singles)
        allowed = ROUNDING * float(np.abs(expected).max(initial=0))
        if both.shape != expected.shape or not np.allclose(both, expected, rtol=0, atol=allowed):
            return False
    return True
