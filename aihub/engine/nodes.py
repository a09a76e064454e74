"""Looking into an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import GraphProto, NodeProto, TensorProto


def nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """All nodes, those of nested graphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes(inner)


def constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Weights, and what nodes hold as their value, by name."""
    found = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found
