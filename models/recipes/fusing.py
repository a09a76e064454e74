"""A graph read from a file computes its activations in two passes over memory; training spends a third of its time there."""

from __future__ import annotations

import torch
from torch import fx, nn


def with_silu(graph: fx.GraphModule) -> fx.GraphModule:
    """The same graph with `x * sigmoid(x)` as one operation; whatever else a sigmoid serves stays as it is.

    Args:
        graph: as `onnx2torch.convert` makes it; is changed.
    """
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.Sigmoid):
            continue
        product = next(iter(node.users)) if len(node.users) == 1 else None
        if (
            product is None
            or not _multiplies(modules.get(str(product.target)))
            or {*product.args} != {node, node.args[0]}
        ):
            continue
        modules[node.target] = nn.SiLU()
        graph.add_submodule(node.target, modules[node.target])
        product.replace_all_uses_with(node)
        graph.graph.erase_node(product)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _multiplies(module: nn.Module | None) -> bool:
    """Whether it is onnx2torch's product of two values."""
    return getattr(module, "math_op_function", None) is torch.mul
