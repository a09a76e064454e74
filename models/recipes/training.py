"""Training of a detector on the CPU (or a GPU, where there is one): one loop for all recipes, bounded by time, repeatable by its seed."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import queue
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from models.recipes.assignment import loss_of
from models.recipes.donor import Detector
from models.recipes.pictures import Picture, Shaker, letterbox, load
from models.recipes.score import average_precision

Batch = tuple[Tensor, list[tuple[Tensor, Tensor]]]
CLEAN_SHARE = 0.25
"""The last part of training sees whole pictures only: four on one canvas is not what cameras show."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train.

    Attributes:
        epochs: times that every picture is seen.
        batch: pictures a step.
        rate: learning rate at its highest; the donor's part learns at `slower` of it.
        slower: share of the rate for what was learned already.
        frozen: convolutions at the bottom of the body that stay as they are.
        seed: of pictures, order and fresh weights.
        minutes: stop after this long, with the rate brought down by then; 0 for no limit.
        every: epochs between looks at the validation part.
    """

    epochs: int = 30
    batch: int = 16
    rate: float = 1.5e-3
    slower: float = 0.4
    frozen: int = 26
    seed: int = 1
    minutes: float = 0.0
    every: int = 3


def train(
    net: Detector, pictures: Sequence[Picture], checks: Sequence[Picture], plan: Plan, log: Path
) -> Detector:
    """Train, and give the averaged weights of the best look at `checks`.

    Args:
        net: is changed.
        pictures: to learn from.
        checks: never learned from; choose among the epochs.
        plan: how.
        log: JSON lines, one an epoch: the training curve.
    """
    random.seed(plan.seed)
    torch.manual_seed(plan.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device, memory_format=torch.channels_last)
    _freeze(net, plan.frozen)
    average = copy.deepcopy(net).eval()
    optimiser = _optimiser(net, plan)
    steps = max(1, len(pictures) // plan.batch)
    begun, step, best = time.monotonic(), 0, (-1.0, copy.deepcopy(average.state_dict()))
    shaker = Shaker(pictures, plan.seed)
    with log.open("w", encoding="utf-8") as curve:
        curve.write(
            json.dumps({"plan": asdict(plan), "pictures": len(pictures), "checks": len(checks)}) + "\n"
        )
        for epoch in range(plan.epochs):
            done = _done(epoch, plan, begun)
            shaker.mosaic = 0.6 if done < 1 - CLEAN_SHARE else 0.0
            net.train()
            total = 0.0
            for inputs, truth in _batches(shaker, len(pictures), plan.batch, plan.seed + epoch):
                done = max(_done(epoch + (step % steps) / steps, plan, begun), 0.0)
                _set_rate(optimiser, plan, done, step)
                value = _step(
                    net, optimiser, inputs.to(device), [(b.to(device), k.to(device)) for b, k in truth]
                )
                total += value
                step += 1
                _follow(average, net, min(0.998, (1 + step) / (20 + step)))
                if plan.minutes and time.monotonic() - begun > plan.minutes * 60:
                    break
            over = bool(plan.minutes) and time.monotonic() - begun > plan.minutes * 60
            row = {
                "epoch": epoch,
                "loss": round(total / steps, 4),
                "seconds": round(time.monotonic() - begun),
            }
            if checks and (epoch % plan.every == plan.every - 1 or over or epoch == plan.epochs - 1):
                row |= {name: round(score, 4) for name, score in look(average, checks).items()}
                if row["map50"] > best[0]:
                    best = (row["map50"], copy.deepcopy(average.state_dict()))
            curve.write(json.dumps(row) + "\n")
            curve.flush()
            sys.stderr.write(f"{row}\n")
            if over:
                break
    if best[0] >= 0:
        average.load_state_dict(best[1])
    return average


def _done(epochs: float, plan: Plan, begun: float) -> float:
    """Share of the training that is over, by epochs or by time, whichever ends first."""
    by_time = (time.monotonic() - begun) / (plan.minutes * 60) if plan.minutes else 0.0
    return min(1.0, max(epochs / plan.epochs, by_time))


def _freeze(net: Detector, count: int) -> None:
    convolutions = [module for module in net.body.modules() if isinstance(module, nn.Conv2d)]
    for module in convolutions[:count]:
        for weight in module.parameters():
            weight.requires_grad_(requires_grad=False)


def _optimiser(net: Detector, plan: Plan) -> torch.optim.Optimizer:
    old = [weight for weight in net.body.parameters() if weight.requires_grad]
    known = {id(weight) for weight in net.body.parameters()}
    new = [weight for weight in net.parameters() if id(weight) not in known]
    groups = [{"params": old, "share": plan.slower}, {"params": new, "share": 1.0}]
    return torch.optim.AdamW(groups, lr=plan.rate, weight_decay=5e-3)


def _set_rate(optimiser: torch.optim.Optimizer, plan: Plan, done: float, step: int) -> None:
    rate = plan.rate * min(1.0, (step + 1) / 60) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]


def _step(
    net: Detector, optimiser: torch.optim.Optimizer, inputs: Tensor, truth: list[tuple[Tensor, Tensor]]
) -> float:
    fast = torch.autocast(inputs.device.type, torch.bfloat16)
    with fast if _computes_bfloat16(inputs.device) else contextlib.nullcontext():
        raw = net(inputs)
    loss, _ = loss_of(net, raw, truth)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    optimiser.step()
    return float(loss.detach())


def _computes_bfloat16(device: torch.device) -> bool:
    able = torch.ops.mkldnn._is_mkldnn_bf16_supported  # noqa: SLF001 - the only one that says so
    return device.type == "cuda" or bool(able())


def _follow(average: nn.Module, net: nn.Module, keep: float) -> None:
    """Move the averaged weights a little towards those being trained."""
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), net.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)


def _batches(shaker: Shaker, count: int, size: int, seed: int) -> Iterator[Batch]:
    """Batches of an epoch, made by a thread while the one before is learned from."""
    order = np.random.default_rng(seed).permutation(count).tolist()
    ready: queue.Queue[Batch | None] = queue.Queue(4)

    def fill() -> None:
        for at in range(0, max(count - size + 1, 1), size):
            made = [shaker.make(index) for index in order[at : at + size]]
            pixels = np.stack([one for one, _, _ in made]).transpose(0, 3, 1, 2)
            # Channels last, as `pixels` lies in memory already: 1.8 times as fast on a CPU as planes.
            inputs = torch.from_numpy(pixels).float()
            ready.put((inputs, [(torch.from_numpy(b), torch.from_numpy(k)) for _, b, k in made]))
        ready.put(None)

    cv2.setNumThreads(1)
    threading.Thread(target=fill, daemon=True).start()
    while (batch := ready.get(timeout=600)) is not None:
        yield batch


@torch.no_grad()
def look(net: Detector, pictures: Sequence[Picture]) -> dict[str, float]:
    """mAP at an overlap of 0.5 and over 0.5 to 0.95, on pictures that were not learned from."""
    return average_precision([found_on(net, picture) for picture in pictures], pictures, net.classes)


@torch.no_grad()
def found_on(
    net: Detector, picture: Picture, floor: float = 0.01
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners in the picture's own pixels (k, 4), scores (k,), classes (k,), best first."""
    pixels = load(picture)
    made, _ = letterbox(pixels, picture.boxes)
    device = net.cells.device
    raw = net(torch.from_numpy(made.transpose(2, 0, 1)[None].copy()).float().to(device))[0].float()
    scores = raw[:, 5:].sigmoid() * raw[:, 4:5].sigmoid()
    best, kinds = scores.max(1)
    kept = best > floor
    boxes = net.corners(raw)[kept] * (max(pixels.shape[:2]) / made.shape[0])
    chosen = batched_nms(boxes, best[kept], kinds[kept], 0.5)[:100]
    return boxes[chosen].cpu().numpy(), best[kept][chosen].cpu().numpy(), kinds[kept][chosen].cpu().numpy()
