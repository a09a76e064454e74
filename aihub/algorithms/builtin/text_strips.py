"""What lines of text say: quadrangles to upright strips, strips to batches, scores to characters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.builtin.text_lines import F32, side_lengths
from aihub.types import Image

HEIGHT = 48
"""Pixels: the height of a strip that the recogniser reads."""
MIN_WIDTH, MAX_WIDTH, STEP = 64, 3200, 32
"""Pixels: strips are padded to a multiple of `STEP`, so that few shapes occur; longer lines are squeezed."""
TALL = 1.5
"""Height over width from which a line runs from top to bottom and is turned."""
BATCH_WIDTH, WASTE = 2560, 1.25
"""Pixels read together (the scores of one pixel take 9 KB), and how much wider than its narrowest strip a batch is."""


def cut_strips(image: Image, quads: F32) -> list[Image]:
    """Each line as an upright strip.

    Args:
        image: `(H, W, 3)` uint8 BGR.
        quads: `(N, 4, 2)` corners, clockwise from the top left; lines from top to bottom are turned to the left.

    Returns:
        N pictures `(48, w, 3)` uint8 BGR, w in 1 .. `MAX_WIDTH`.
    """
    quads, sides = quads.copy(), side_lengths(quads)
    tall = sides[:, 1] >= TALL * sides[:, 0]
    quads[tall], sides[tall] = np.roll(quads[tall], -1, axis=1), sides[tall][:, ::-1]
    widths = np.clip(np.ceil(HEIGHT * sides[:, 0] / np.maximum(sides[:, 1], 1)), 1, MAX_WIDTH)
    strips: list[Image] = []
    for quad, width in zip(quads, widths.astype(int).tolist(), strict=True):
        target = np.array([[0, 0], [width, 0], [width, HEIGHT], [0, HEIGHT]], np.float32)
        turn = cv2.getPerspectiveTransform(quad, target)
        strip = cv2.warpPerspective(image, turn, (width, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        strips.append(cast("Image", strip))
    return strips


def batches(strips: list[Image]) -> Iterator[tuple[list[int], F32]]:
    """Strips of like width together.

    Yields:
        Indices into `strips`, and their pixels `(n, 3, 48, W)` float32 in [-1, 1], 0 where a strip has ended.
    """
    order = sorted(range(len(strips)), key=lambda index: strips[index].shape[1])
    start = 0
    while start < len(order):
        limit = max(MIN_WIDTH, strips[order[start]].shape[1]) * WASTE
        most = start + max(1, int(BATCH_WIDTH / limit))
        end = start + 1
        while end < min(len(order), most) and strips[order[end]].shape[1] <= limit:
            end += 1
        chosen = order[start:end]
        yield chosen, tensor([strips[index] for index in chosen])
        start = end


def tensor(strips: list[Image], width: int | None = None) -> F32:
    """Strips side by side in one tensor.

    Args:
        strips: pictures `(48, w, 3)`.
        width: of the tensor; wider strips are squeezed. None for the widest, rounded up.

    Returns:
        `(n, 3, 48, W)` float32 in [-1, 1], 0 where a strip has ended.
    """
    if width is None:
        widest = max(MIN_WIDTH, *(strip.shape[1] for strip in strips))
        width = -(-widest // STEP) * STEP
    filled = np.zeros((len(strips), 3, HEIGHT, width), np.float32)
    for row, strip in zip(filled, strips, strict=True):
        squeezed = cv2.resize(strip, (width, HEIGHT)) if strip.shape[1] > width else strip
        row[:, :, : squeezed.shape[1]] = normalised(cast("Image", squeezed))[0]
    return filled


def normalised(image: Image) -> F32:
    """`(H, W, 3)` uint8 -> `(1, 3, H, W)` float32 in [-1, 1]."""
    return cast("F32", cv2.dnn.blobFromImage(image, 1 / 127.5, mean=(127.5, 127.5, 127.5)))


@lru_cache(maxsize=4)
def alphabet(characters: str) -> tuple[str, ...]:
    """What each score of the recogniser means: nothing (the blank), the characters (one a line), the space."""
    return ("", *characters.split("\n"), " ")


def spell(scores: F32, meaning: tuple[str, ...]) -> list[tuple[str, float]]:
    """Greedy CTC: repeated characters count once unless a blank stands between them.

    Args:
        scores: `(n, T, C)` probabilities, the blank first.
        meaning: C texts.

    Returns:
        For each line what it says, and the mean probability of its characters (0 for an empty line).

    >>> spell(np.eye(3, dtype=np.float32)[None, [1, 1, 0, 1, 2]], ("", "a", "b"))
    [('aab', 1.0)]
    """
    best: npt.NDArray[np.intp] = scores.argmax(axis=2)
    sure = np.take_along_axis(scores, best[..., None], axis=2)[..., 0]
    fresh = best != 0
    fresh[:, 1:] &= best[:, 1:] != best[:, :-1]
    return [
        ("".join(meaning[index] for index in row[new]), float(how[new].mean()) if new.any() else 0.0)
        for row, new, how in zip(best, fresh, sure, strict=True)
    ]
