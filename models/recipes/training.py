"""Training of a detector on the CPU (or a GPU, where there is one): one loop for all recipes, bounded by time.

Without a limit of time the seed repeats it, as far as the runtime does. With one the learning rate follows the clock, and two
runs are alike, not equal.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from aihub.engine.postprocess import nms
from aihub.engine.preprocess import prepare
from aihub.evaluation import Predict, Truth, evaluate
from aihub.evaluation.detections import FLOOR
from aihub.types import Detections, Frame
from models.recipes.assignment import Wanted, loss_of
from models.recipes.branch import Branched
from models.recipes.donor import INPUT, Detector
from models.recipes.pictures import Picture, Shaker
from models.recipes.stepping import follow, step

Batch = tuple[Tensor, list[Wanted]]
OVERLAP = 0.5
"""Of two boxes of one class that overlap more, the weaker goes."""
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
        zoom: how large four pictures on one canvas are drawn: 1 shows them whole, each at half its size, 2 a quarter of them at its own.
        details: how often a picture that shows none of the labels is seen as a small part of itself: blank walls, roads, sky; 0 to 1.
    """

    epochs: int = 30
    batch: int = 16
    rate: float = 1.5e-3
    slower: float = 0.4
    frozen: int = 26
    seed: int = 1
    minutes: float = 0.0
    every: int = 3
    zoom: float = 1.0
    details: float = 0.0


class _Way:
    """How far training has come, by epochs or by time, whichever ends first."""

    def __init__(self, plan: Plan, pictures: int) -> None:
        self._plan = plan
        self._steps = max(1, pictures // plan.batch) * plan.epochs
        self._begun = time.monotonic()
        self.step = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    @property
    def late(self) -> bool:
        return bool(self._plan.minutes) and self.seconds > self._plan.minutes * 60

    @property
    def done(self) -> float:
        """0 to 1."""
        by_time = self.seconds / (self._plan.minutes * 60) if self._plan.minutes else 0.0
        return min(1.0, max(self.step / self._steps, by_time))

    @property
    def rate(self) -> float:
        """Learning rate of fresh weights now: up in 60 steps, then down along half a cosine."""
        rising = min(1.0, (self.step + 1) / 60)
        return self._plan.rate * rising * (0.02 + 0.98 * (1 + math.cos(math.pi * self.done)) / 2)


Net = TypeVar("Net", Detector, Branched)


def train(
    net: Net,
    pictures: Sequence[Picture],
    checks: Sequence[Truth],
    labels: tuple[str, ...],
    plan: Plan,
    log: Path,
) -> Net:
    """Train, and give the averaged weights of the best look at `checks`.

    Args:
        net: is changed.
        pictures: to learn from.
        checks: never learned from; choose among the epochs, each by the labels that it has.
        labels: of the detector, in its order.
        plan: how.
        log: JSON lines, one an epoch: the training curve.
    """
    torch.manual_seed(plan.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device, memory_format=torch.channels_last)
    _freeze(net, plan.frozen)
    average = copy.deepcopy(net).eval()
    optimiser = _optimiser(net, plan)
    way, shaker = _Way(plan, len(pictures)), Shaker(pictures, plan.seed, zoom=plan.zoom, details=plan.details)
    best = (-1.0, average.state_dict())  # no copy: without checks the last weights are the best
    with log.open("w", encoding="utf-8") as curve:
        head = {"plan": asdict(plan), "pictures": len(pictures), "checks": sum(len(t.pictures) for t in checks)}  # fmt: skip
        curve.write(json.dumps(head) + "\n")
        for epoch in range(plan.epochs):
            shaker.mosaic = 0.6 if way.done < 1 - CLEAN_SHARE else 0.0
            loss = _epoch(net, average, optimiser, _batches(shaker, len(pictures), plan.batch, plan.seed + epoch), way)  # fmt: skip
            last = way.late or epoch == plan.epochs - 1
            row: dict[str, float] = {"epoch": epoch, "loss": round(loss, 4), "seconds": round(way.seconds)}
            if checks and (last or epoch % plan.every == plan.every - 1):
                row |= {name: round(score, 4) for name, score in look(average, labels, checks).items()}
                if row["map50"] > best[0]:
                    best = (row["map50"], copy.deepcopy(average.state_dict()))
            curve.write(json.dumps(row) + "\n")
            curve.flush()
            sys.stderr.write(f"{row}\n")
            if last:
                break
    average.load_state_dict(best[1])
    return average


def _epoch(
    net: Net, average: Net, optimiser: torch.optim.Optimizer, batches: Iterator[Batch], way: _Way
) -> float:
    """Learn from batches until they end or the time does; the mean loss of a step."""
    net.train()
    device, losses = net.cells.device, []
    for inputs, truth in batches:
        for group in optimiser.param_groups:
            group["lr"] = way.rate * group["share"]
        moved = [Wanted(*(part.to(device) for part in one)) for one in truth]
        losses.append(_step(net, optimiser, inputs.to(device), moved))
        way.step += 1
        follow(average, net, min(0.998, (1 + way.step) / (20 + way.step)))
        if way.late:
            break
    return fmean(losses)


def _freeze(net: Detector | Branched, count: int) -> None:
    convolutions = [module for module in net.body.modules() if isinstance(module, nn.Conv2d)]
    for module in convolutions[:count]:
        for weight in module.parameters():
            weight.requires_grad_(requires_grad=False)


def _optimiser(net: Detector | Branched, plan: Plan) -> torch.optim.Optimizer:
    old = [weight for weight in net.body.parameters() if weight.requires_grad]
    known = {id(weight) for weight in net.body.parameters()}
    new = [weight for weight in net.parameters() if weight.requires_grad and id(weight) not in known]
    groups = [{"params": old, "share": plan.slower}, {"params": new, "share": 1.0}]
    return torch.optim.AdamW(groups, lr=plan.rate, weight_decay=5e-3)


def _step(
    net: Detector | Branched, optimiser: torch.optim.Optimizer, inputs: Tensor, truth: list[Wanted]
) -> float:
    fast = torch.autocast(inputs.device.type, torch.bfloat16)
    with fast if _computes_bfloat16(inputs.device) else contextlib.nullcontext():
        raw = net(inputs)
    loss, _ = loss_of(net, raw, truth)
    return step(net, optimiser, loss, 10.0)


def _computes_bfloat16(device: torch.device) -> bool:
    able = torch.ops.mkldnn._is_mkldnn_bf16_supported  # noqa: SLF001 - the only one that says so
    return device.type == "cuda" or bool(able())


def _batches(shaker: Shaker, count: int, size: int, seed: int) -> Iterator[Batch]:
    """Batches of an epoch, made by a thread while the one before is learned from."""
    order = np.random.default_rng(seed).permutation(count).tolist()
    ready: queue.Queue[Batch | None] = queue.Queue(4)

    def fill() -> None:
        for at in range(0, max(count - size + 1, 1), size):
            made = [shaker.make(index) for index in order[at : at + size]]
            pixels = np.stack([one.pixels for one in made]).transpose(0, 3, 1, 2)
            # Channels last, as `pixels` lies in memory already: 1.8 times as fast on a CPU as planes.
            inputs = torch.from_numpy(pixels).float()
            truth = [Wanted(*map(torch.from_numpy, (one.boxes, one.kinds, one.known))) for one in made]
            ready.put((inputs, truth))
        ready.put(None)

    cv2.setNumThreads(1)
    threading.Thread(target=fill, daemon=True).start()
    while (batch := ready.get(timeout=600)) is not None:
        yield batch


def look(net: Detector | Branched, labels: tuple[str, ...], checks: Sequence[Truth]) -> dict[str, float]:
    """How good it is on pictures that were not learned from; see `scores`."""
    return scores(partial(found_on, net, labels), labels, checks)


def scores(predict: Predict, labels: Sequence[str], checks: Sequence[Truth]) -> dict[str, float]:
    """AP at an overlap of 0.5 of each label (`ap50_fire`), the mean of the sets that have it, and `map50`, the mean of the labels."""
    found: dict[str, list[float]] = {}
    for truth in checks:
        figures = evaluate(predict, truth, model_labels=labels).to_json()
        for label, kind in figures["classes"].items():
            if kind["ap50"] is not None:
                found.setdefault(label, []).append(kind["ap50"])
    of_label = {f"ap50_{label}": fmean(found[label]) for label in labels if label in found}
    return {"map50": fmean(of_label.values()) if of_label else 0.0} | of_label


@torch.no_grad()
def found_on(
    net: Detector | Branched, labels: tuple[str, ...], frame: Frame, floor: float = FLOOR
) -> Detections:
    """What it finds on a frame, best first, as the engine will once it is exported: at most 100 boxes."""
    pixels, placement = prepare(frame, INPUT)
    inputs = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().to(net.cells.device)
    raw = net(inputs)[0].float()
    sure, kinds = (raw[:, 5:].sigmoid() * raw[:, 4:5].sigmoid()).max(1)
    kept = sure > floor
    columns = net.corners(raw)[kept], sure[kept], kinds[kept].int()
    boxes, confidence, class_id = (column.cpu().numpy() for column in columns)
    rows = nms(boxes, confidence, class_id, OVERLAP, max_det=100)
    return Detections(placement.to_frame(boxes[rows]), confidence[rows], class_id[rows], labels)
