"""What each cell is to answer for, chosen by how well it does already (SimOTA, arXiv:2107.08430), and the loss of its answer."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou

from models.recipes.branch import Branched
from models.recipes.donor import Detector

REACH = 2.5
"""Cells this many strides around a box's middle may answer for it."""
MOST = 10
"""Cells that may answer for one box."""
BOX_WEIGHT = 5.0
FAR = 1e6
UNSURE = -1
"""In place of a class: nobody knows what is in this box, if anything."""


class Wanted(NamedTuple):
    """What is on a picture.

    Attributes:
        boxes: (m, 4) corners in pixels; m may be 0.
        kinds: (m,) classes, or `UNSURE`.
        known: (classes,) True for those that are marked wherever they show.
    """

    boxes: Tensor
    kinds: Tensor
    known: Tensor


def loss_of(net: Detector | Branched, raw: Tensor, truth: list[Wanted]) -> tuple[Tensor, dict[str, float]]:
    """Mean loss of a batch for each box in it.

    Args:
        net: knows the cells.
        raw: (n, cells, 5 + classes), see `Detector.forward`.
        truth: one for each picture.

    Returns:
        The loss, and its parts by name.
    """
    raw = raw.float()
    boxes = net.corners(raw)
    of_boxes, of_objects, of_kinds = raw.new_zeros(()), raw.new_zeros(()), raw.new_zeros(())
    answering = 0
    for at, told in enumerate(truth):
        wanted, open_ = _parted(told, net)
        target = torch.zeros_like(raw[at, :, 4])
        cells, which, overlap = assign(net, raw[at].detach(), boxes[at].detach(), wanted.boxes, wanted.kinds)
        if len(cells):
            answering += len(cells)
            target[cells] = 1.0
            now = _pairwise_iou(boxes[at, cells], wanted.boxes[which])
            of_boxes = of_boxes + (1 - now**2).sum()
            kind_target = functional.one_hot(wanted.kinds[which], net.classes) * overlap[:, None]
            # Whatever a set marks: a thing that is marked as one class is none of the others.
            of_kinds = of_kinds + functional.binary_cross_entropy_with_logits(
                raw[at, cells, 5:], kind_target, reduction="sum"
            )
        asked = ~open_ | (target > 0)
        of_objects = of_objects + _object_loss(raw[at, asked], target[asked], wanted.known)
    count = max(answering, 1)
    total = (BOX_WEIGHT * of_boxes + of_objects + of_kinds) / count
    parts = {"boxes": of_boxes, "objects": of_objects, "kinds": of_kinds}
    return total, {name: float(part.detach()) / count for name, part in parts.items()}


def _parted(told: Wanted, net: Detector | Branched) -> tuple[Wanted, Tensor]:
    """What is surely there, and (cells,) True for those whose middle lies where that is open."""
    sure = told.kinds != UNSURE
    open_ = _within((net.cells + 0.5) * net.strides, told.boxes[~sure]).any(0)
    return Wanted(told.boxes[sure], told.kinds[sure], told.known), open_


def _object_loss(raw: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cells that answer say that something is there, the others that nothing is.

    Where a picture does not tell of every class, the others say no more than that none of the known ones is there: whatever they
    hold of an unknown class costs nothing.
    """
    if bool(known.all()):
        return functional.binary_cross_entropy_with_logits(raw[:, 4], target, reduction="sum")
    here = target > 0
    found = functional.binary_cross_entropy_with_logits(raw[here, 4], target[here], reduction="sum")
    scores = raw[~here, 4:5].sigmoid() * raw[~here, 5:][:, known].sigmoid()
    return found - torch.log1p(-scores.clamp(max=1 - 1e-6)).sum()


def assign(
    net: Detector | Branched, raw: Tensor, boxes: Tensor, wanted: Tensor, kinds: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Cells that answer for a box each.

    Args:
        net: knows the cells.
        raw: (cells, 5 + classes) of one picture.
        boxes: the same answers as corners, (cells, 4).
        wanted: (m, 4) corners of what is there.
        kinds: (m,) classes of it.

    Returns:
        Cells (k,), the box that each answers for (k,), and how well the two overlap now (k,).
    """
    if not len(wanted):
        nothing = torch.zeros(0, dtype=torch.int64, device=raw.device)
        return nothing, nothing, raw.new_zeros(0)
    middles = (net.cells + 0.5) * net.strides
    inside = _within(middles, wanted)
    centre = (wanted[:, :2] + wanted[:, 2:]) / 2
    near = ((middles[None] - centre[:, None]).abs() < REACH * net.strides[None, :, 0, None]).all(-1)
    able = (inside | near).any(0).nonzero()[:, 0]
    if not len(able):
        return able, able, raw.new_zeros(0)
    overlap = box_iou(wanted, boxes[able])
    likely = (raw[able, 5:].sigmoid() * raw[able, 4:5].sigmoid()).sqrt()
    target = functional.one_hot(kinds, net.classes).float()
    unlike = functional.binary_cross_entropy(
        likely[None].expand(len(wanted), -1, -1),
        target[:, None].expand(-1, len(able), -1),
        reduction="none",
    ).sum(-1)
    both = inside[:, able] & near[:, able]
    cost = unlike - 3.0 * torch.log(overlap + 1e-8) + FAR * ~both
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    room = min(MOST, len(able))
    counts = overlap.topk(room, 1).values.sum(1).int().clamp(min=1)
    for row, count in enumerate(counts.tolist()):
        chosen[row, cost[row].topk(min(count, room), largest=False).indices] = True
    rivals = chosen.sum(0) > 1  # a cell answers for one box: the one it suits best
    if rivals.any():
        best = cost[:, rivals].argmin(0)
        chosen[:, rivals] = False
        chosen[best, rivals.nonzero()[:, 0]] = True
    which, cells = chosen.nonzero(as_tuple=True)
    return able[cells], which, overlap[which, cells]


def _within(points: Tensor, boxes: Tensor) -> Tensor:
    """(m, cells): whether each point lies inside each box."""
    over = points[None] > boxes[:, None, :2]
    under = points[None] < boxes[:, None, 2:]
    return (over & under).all(-1)


def _pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """Overlap of row i with row i, (k,)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1)
    return shared / (areas - shared + 1e-8)
