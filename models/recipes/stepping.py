"""One step of learning, and the average that follows it: the same for everything that is trained here."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def step(net: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, most: float) -> float:
    """Move the weights down the slope of a loss, no further than a gradient of norm `most`; the loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), most)
    optimiser.step()
    return float(loss.detach())


def follow(average: nn.Module, net: nn.Module, keep: float) -> None:
    """Move the averaged weights a little towards those being trained; what is counted, not learned, is taken over."""
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), net.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)
        for slow, fast in zip(average.buffers(), net.buffers(), strict=True):
            slow.copy_(fast)
