"""More tiny graphs."""

from __future__ import annotations

from onnx import TensorProto, helper


def text_graph() -> bytes:
    """Strings `(n,)` -> the same."""
    x = helper.make_tensor_value_info("x", TensorProto.STRING, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.STRING, ["n"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "text", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    body: bytes = model.SerializeToString()
    return body
