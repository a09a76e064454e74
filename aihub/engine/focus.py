"""YOLOX and the older YOLOv5 begin with a `Focus`: every other pixel of every other row, four times, stacked as channels and convolved.

A convolution twice as wide that steps by two gives the same sums from the picture itself, without eight copies of it.
Those copies are 5 to 8 % of a small detector's run on ONNX Runtime in float32 (decision 53).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from aihub.engine.nodes import constants, nodes

NAME = "aihub/focus/"
"""Prefix of the names of folded weights."""

_ROWS, _COLUMNS = 2, 3
_ALL_VIEWS = frozenset(itertools.product((0, 1), (0, 1)))
_OPEN = 2**31 - 1
"""From here on the end of a slice means: to the end."""


@dataclass(frozen=True, slots=True)
class _Focus:
    """A convolution of stacked views.

    Attributes:
        source: name of what is looked at.
        views: first row and column of each view, in the order in which they are stacked.
        convolution: of the stack.
    """

    source: str
    views: tuple[tuple[int, int], ...]
    convolution: NodeProto


def fold_focus(graph: GraphProto) -> bool:
    """Fold each `Focus` into the convolution behind it. What has another form stays as it is.

    Args:
        graph: is changed.

    Returns:
        Whether anything changed. What is no longer used is gone, but for weights.
    """
    makers = {output: node for node in graph.node for output in node.output}
    known = _known(graph)
    found = [focus for node in graph.node if (focus := _focus(graph, node, makers, known)) is not None]
    for focus in found:
        _fold(graph, focus, known)
    if found:
        _sweep(graph)
    return bool(found)


def _known(graph: GraphProto) -> dict[str, TensorProto]:
    """Constants by name; `Identity` of one is one."""
    known = constants(graph)
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
    return known


def _focus(
    graph: GraphProto, stack: NodeProto, makers: Mapping[str, NodeProto], known: Mapping[str, TensorProto]
) -> _Focus | None:
    """What this node stacks, if it is a `Focus`."""
    if stack.op_type != "Concat" or len(stack.input) != len(_ALL_VIEWS) or _attributes(stack) != {"axis": 1}:
        return None
    views = [view for name in stack.input if (view := _view(name, makers, known)) is not None]
    if len(views) < len(stack.input):
        return None
    sources, places = zip(*views, strict=True)
    readers = [node for node in nodes(graph) if stack.output[0] in node.input]
    shown = stack.output[0] in {output.name for output in graph.output}
    if len({*sources}) != 1 or {*places} != _ALL_VIEWS or len(readers) != 1 or shown:
        return None
    return _Focus(sources[0], places, readers[0]) if _suits(readers[0], known) else None


def _view(
    name: str, makers: Mapping[str, NodeProto], known: Mapping[str, TensorProto]
) -> tuple[str, tuple[int, int]] | None:
    """Name of what a chain of slices looks at, and the first row and column that it takes; None if it is no view by two."""
    first: dict[int, int] = {}
    while (node := makers.get(name)) is not None and node.op_type == "Slice":
        given = [numpy_helper.to_array(known[value]).ravel() for value in node.input[1:] if value in known]
        if len(given) != 4 or len(node.input) != 5 or len({len(values) for values in given}) != 1:
            return None
        for start, end, axis, step in zip(*(values.tolist() for values in given), strict=True):
            if start not in (0, 1) or end < _OPEN or step != 2 or axis not in (_ROWS, _COLUMNS) or axis in first:  # fmt: skip
                return None
            first[axis] = start
        name = node.input[0]
    return (name, (first[_ROWS], first[_COLUMNS])) if len(first) == 2 else None


def _suits(node: NodeProto, known: Mapping[str, TensorProto]) -> bool:
    """Whether it is a plain convolution, three by three, of channels that four views share evenly."""
    weight = known.get(node.input[1]) if node.op_type == "Conv" else None
    if weight is None or list(weight.dims[2:]) != [3, 3] or weight.dims[1] % len(_ALL_VIEWS):
        return False
    plain: dict[str, Any] = {"dilations": [1, 1], "group": 1, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1]}  # fmt: skip
    said = _attributes(node)
    return said.get("pads") == plain["pads"] and said.items() <= plain.items()


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _fold(graph: GraphProto, focus: _Focus, known: Mapping[str, TensorProto]) -> None:
    """Make the convolution look at the source: each weight goes where its pixel lies."""
    node = focus.convolution
    narrow = numpy_helper.to_array(known[node.input[1]])
    channels = narrow.shape[1] // len(focus.views)
    wide = np.zeros((narrow.shape[0], channels, 6, 6), narrow.dtype)
    for at, (row, column) in enumerate(focus.views):
        wide[:, :, row::2, column::2] = narrow[:, at * channels : (at + 1) * channels]
    weight = NAME + node.output[0]
    graph.initializer.append(numpy_helper.from_array(wide, weight))
    node.input[0], node.input[1] = focus.source, weight
    del node.attribute[:]
    for name, value in (("kernel_shape", [6, 6]), ("pads", [2, 2, 2, 2]), ("strides", [2, 2])):
        node.attribute.append(helper.make_attribute(name, value))


def _sweep(graph: GraphProto) -> None:
    """Remove nodes that nothing reads, and then those that only they read."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    needed.update(name for one in nodes(inner) for name in one.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
