"""A keyword spotter of our own: ten commands, eight more English words, twelve Mandarin ones, and what is none of them.

`unknown` is speech that is none of the words, `silence` all that is no speech. Both are labels, so that the shares of the words
go down where something else is heard: with a threshold alone the network must spread what it does not know over thirty words.
What the ears make of each mixed window is computed once and kept; the head then learns from it many times.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.recipes.record import digest, record
from models.recipes.sounds import LABELS, UNKNOWN, Clip, Mixer, digests, read_part, window_of
from models.recipes.spotter import Ears, Head, Spotter, export
from models.recipes.stepping import follow, step

NAME = "keywords"
USED = ("torch", "onnx", "numpy", "scipy", "soundfile")
DONORS = ("models/audio/yamnet.onnx", "models/audio/kws_ds_cnn_12.onnx")
"""Below the folder of weights."""
PART = 128
"""Windows that are heard at once."""
DOUBTS = tuple(at / 4 for at in range(11))
"""What may be taken off the logit of `unknown`: 0 to 2.5."""
Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train.

    Attributes:
        windows: mixed to learn from.
        heads: that learn from them, each by itself from other fresh weights.
        steps: of learning, of each head.
        batch: windows a step.
        rate: learning rate at its highest.
        seed: of windows, order and fresh weights.
        minutes: stop a head's learning after this long, with the rate brought down by then; 0 for no limit.
        every: steps between looks at the validation part.
    """

    windows: int = 20000
    heads: int = 3
    steps: int = 1500
    batch: int = 128
    rate: float = 2e-3
    seed: int = 1
    minutes: float = 0.0
    every: int = 150


@dataclass(frozen=True, slots=True)
class Bank:
    """What the ears made of windows, and what they are.

    Attributes:
        sounds: (n, 256, 12, 8) bfloat16.
        commands: (n, 64, 25, 5) bfloat16.
        labels: (n,) index into `LABELS`.
    """

    sounds: Tensor
    commands: Tensor
    labels: Tensor

    def some(self, which: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows in float32."""
        return self.sounds[which].float(), self.commands[which].float(), self.labels[which]


def make(data: Path, weights: Path, out: Path, plan: Plan | None = None) -> dict[str, Any]:
    """Train and export; what `made.json` says.

    Args:
        data: folder of the sets.
        weights: folder with `DONORS`.
        out: folder for what is made: `keywords.onnx`, `made.json`, `curve.jsonl`.
        plan: how to train.

    Raises:
        InputError: a set is not there.
        FileNotFoundError: a donor is not there.
    """
    plan = plan or Plan()
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    learned, checked = (read_part(data, split) for split in ("train", "val"))
    ears = Ears(*(weights / name for name in DONORS)).eval()
    bank, checks = mixed(ears, Mixer(learned, plan.seed), plan.windows), heard(ears, *_checked(checked))
    heads = []
    with (out / "curve.jsonl").open("w", encoding="utf-8") as curve:
        curve.write(json.dumps({"plan": dataclasses.asdict(plan), "checks": len(checks.labels)}) + "\n")
        for at in range(plan.heads):
            torch.manual_seed(plan.seed + at)
            heads.append(train(Head(), bank, checks, plan, partial(_noted, curve, at)))
    doubt = doubt_of(heads, checks)
    net = Spotter(ears, heads, doubt)
    export(net, out / f"{NAME}.onnx", {"license": "Apache-2.0", "labels": ",".join(LABELS)})
    facts = {
        "clips": {"train": len(learned), "val": len(checked)},
        "data": digests(data),
        "donors": {name: digest(weights / name) for name in DONORS},
        "threads": torch.get_num_threads(),
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "learned parameters": sum(weight.numel() for weight in net.heads.parameters()),
        "doubt": doubt,
    }
    return record(out, NAME, LABELS, plan, begun, USED, facts)


def mixed(ears: Ears, mixer: Mixer, count: int) -> Bank:
    """What the ears make of the first windows of a mixer."""
    parts = []
    for first in range(0, count, PART):
        made = [mixer.make(at) for at in range(first, min(first + PART, count))]
        parts.append(heard(ears, np.stack([samples for samples, _ in made]), [label for _, label in made]))
    return Bank(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("sounds", "commands", "labels"))
    )


def heard(ears: Ears, windows: np.ndarray, labels: Sequence[int]) -> Bank:
    """What the ears make of windows `(n, 16000)`."""
    with torch.no_grad():
        parts = [ears(part) for part in torch.from_numpy(windows).split(PART)]
    sounds, commands = (torch.cat([part[at] for part in parts]).bfloat16() for at in (0, 1))
    return Bank(sounds, commands, torch.tensor(labels))


def _checked(clips: Sequence[Clip]) -> tuple[np.ndarray, list[int]]:
    """Every clip in the middle of its window, and an eighth of a second before and after; noise as it begins."""
    windows, truth = [], []
    for clip in clips:
        for shift in (-2000, 0, 2000):
            windows.append(window_of(clip, shift))
            truth.append(LABELS.index(clip.label))
    return np.stack(windows), truth


def train(head: Head, learned: Bank, checks: Bank, plan: Plan, told: Callable[[Row], None]) -> Head:
    """Train, and give the averaged weights of the best look at `checks`.

    Args:
        head: is changed.
        learned: what it learns from.
        checks: nothing is learned from; chooses among the looks.
        plan: how.
        told: is given each look: the training curve.
    """
    average = copy.deepcopy(head).eval()
    optimiser = torch.optim.AdamW(head.parameters(), lr=plan.rate, weight_decay=0.05)
    best = (math.inf, average.state_dict())
    begun, losses = time.monotonic(), []
    for count in range(plan.steps):
        seconds = time.monotonic() - begun
        done = max(count / plan.steps, seconds / (plan.minutes * 60) if plan.minutes else 0.0)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * min(1.0, (count + 1) / 60) * (1 + math.cos(math.pi * min(done, 1))) / 2
        losses.append(
            _step(head, optimiser, *learned.some(torch.randint(len(learned.labels), (plan.batch,))))
        )
        follow(average, head, min(0.99, (1 + count) / (20 + count)))
        last = done >= 1 or count == plan.steps - 1
        if not last and count % plan.every != plan.every - 1:
            continue
        looked = _look(average, checks)
        row = {"step": count + 1, "loss": float(np.mean(losses)), "seconds": round(seconds), **looked}
        told({name: round(value, 4) for name, value in row.items()})
        losses.clear()
        if looked["val_loss"] < best[0]:
            best = (looked["val_loss"], copy.deepcopy(average.state_dict()))
        if last:
            break
    average.load_state_dict(best[1])
    return average


def _noted(curve: TextIO, head: int, row: Row) -> None:
    curve.write(json.dumps({"head": head, **row}) + "\n")
    curve.flush()
    sys.stderr.write(f"{row}\n")


def doubt_of(heads: Sequence[Head], checks: Bank) -> float:
    """The `doubt` of `Spotter` that names most of the checks right, the least of those that do; what is no word counts too."""
    hits = []
    with torch.no_grad():
        logits = torch.stack([head(checks.sounds.float(), checks.commands.float()) for head in heads])
    for doubt in DOUBTS:
        lowered = logits.clone()
        lowered[..., LABELS.index(UNKNOWN)] -= doubt
        hits.append(float((lowered.softmax(-1).mean(0).argmax(1) == checks.labels).float().mean()))
    return DOUBTS[int(np.argmax(hits))]


def _look(average: Head, checks: Bank) -> dict[str, float]:
    with torch.no_grad():
        logits = average(checks.sounds.float(), checks.commands.float())
    return {
        "val_loss": float(functional.cross_entropy(logits, checks.labels)),
        "val_accuracy": float((logits.argmax(1) == checks.labels).float().mean()),
    }


def _step(
    head: Head, optimiser: torch.optim.Optimizer, sounds: Tensor, commands: Tensor, labels: Tensor
) -> float:
    head.train()
    truth = functional.one_hot(labels, head.head.out_features).float()
    sounds, commands, truth = blended(masked(sounds), masked(commands), truth)
    loss = functional.cross_entropy(head(sounds, commands), truth, label_smoothing=0.03)
    return step(head, optimiser, loss, 5.0)


def masked(seen: Tensor) -> Tensor:
    """(n, channels, frames, bands) with up to a sixth of the time blotted out (SpecAugment)."""
    count, _, frames, _ = seen.shape
    wide = torch.randint(0, frames // 6 + 1, (count, 1, 1, 1))
    first = (torch.rand(count, 1, 1, 1) * (frames - wide)).long()
    at = torch.arange(frames).view(1, 1, frames, 1)
    return seen.masked_fill((at >= first) & (at < first + wide), 0.0)


def blended(sounds: Tensor, commands: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Half of them mixed with another, and the truth with it (mixup)."""
    count = len(truth)
    share = torch.distributions.Beta(0.4, 0.4).sample((count,))
    share = torch.where(torch.rand(count) < 0.5, share, torch.ones(count))
    other = torch.randperm(count)

    def blend(one: Tensor) -> Tensor:
        kept = share.view(-1, *[1] * (one.dim() - 1))
        return kept * one + (1 - kept) * one[other]

    return blend(sounds), blend(commands), blend(truth)
