"""Labelled pictures: read from COCO JSON, and shaken up for training so that what is learned is the thing and not its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from aihub.errors import InputError
from aihub.evaluation import Predict, Truth, read_truth
from models.recipes.assignment import UNSURE
from models.recipes.donor import PAD, SIZE
from models.recipes.teaching import taught

LEAST = 5.0
"""Pixels: what is smaller on a training picture counts neither as there nor as absent."""

F32 = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A file and what is on it.

    Attributes:
        path: JPEG or PNG.
        boxes: (m, 4) corners in its own pixels.
        kinds: (m,) indices into the recipe's labels; `UNSURE` where it is open what is there, if anything.
        known: (labels,) True for what is marked wherever it shows; of the others nobody knows whether they are there.
    """

    path: Path
    boxes: F32
    kinds: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shaken:
    """A training picture.

    Attributes:
        pixels: (416, 416, 3) BGR.
        boxes: (m, 4) corners in it.
        kinds: (m,) indices into the recipe's labels.
        known: see `Picture`.
    """

    pixels: Pixels
    boxes: F32
    kinds: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Split:
    """Parts of data sets, and digests of the files that list them. The labels of each are those that it marks throughout."""

    truths: tuple[Truth, ...]
    digests: Mapping[str, str]

    def pictures(self, labels: Sequence[str]) -> list[Picture]:
        """All pictures in order, each with its own boxes; kinds count in `labels`."""
        found = []
        for truth in self.truths:
            known = np.array([label in truth.labels for label in labels])
            kinds = np.array([labels.index(label) for label in truth.labels], np.int64)
            for at, picture in enumerate(truth.pictures):
                mine = truth.picture == at
                of_mine = np.where(truth.crowd[mine], UNSURE, kinds[truth.class_id[mine]])
                found.append(Picture(picture.path, truth.xyxy[mine].astype(np.float32), of_mine, known))
        return found

    def some(self, count: int, random: np.random.Generator) -> Split:
        """At most so many pictures, drawn at random, in their order. Of one part only."""
        (truth,) = self.truths
        wanted = np.zeros(len(truth.pictures), np.bool_)
        wanted[random.permutation(len(wanted))[:count]] = True
        return Split((truth.with_pictures(wanted),), self.digests)

    def labelled_by(self, teacher: Predict, labels: Sequence[str]) -> Split:
        """The same pictures with a teacher's boxes; see `taught`."""
        return Split(tuple(taught(truth, teacher, labels) for truth in self.truths), self.digests)

    @classmethod
    def joined(cls, parts: Sequence[Split]) -> Split:
        """All of them in order."""
        digests = {name: digest for part in parts for name, digest in part.digests.items()}
        return cls(tuple(truth for part in parts for truth in part.truths), digests)


def read(folder: Path, split: str, labels: Sequence[str]) -> Split:
    """One part of a data set.

    Args:
        folder: of the set.
        split: `train`, `val`, `test`, or `annotations` of a set that is not split.
        labels: what the set marks wherever it shows, or what shows nowhere in it; boxes of anything else are left out.

    Raises:
        InputError: no such part, or it is not what `aihub.evaluation` reads.
    """
    truth = read_truth(folder, split)
    if truth.split != split:  # one list for everything is no list for this part
        raise InputError(f"{folder}: no {split}.json in it", field="split")
    listed = folder / f"{split}.json"
    digest = hashlib.sha256(listed.read_bytes()).hexdigest()
    return Split((truth.with_labels(labels),), {f"{folder.name}/{listed.name}": digest})


def load(picture: Picture) -> Pixels:
    """Its pixels, BGR.

    Raises:
        ValueError: it cannot be read.
    """
    pixels = cv2.imread(str(picture.path))
    if pixels is None:
        raise ValueError(f"{picture.path} cannot be read as a picture")
    return pixels  # type: ignore[return-value]


class Shaker:
    """Makes training pictures of labelled ones: four on one canvas, moved, scaled, mirrored, recoloured. Seeded.

    Args:
        pictures: to draw from.
        seed: equal seeds give equal pictures.
        mosaic: how often four are put together; 0 to 1.
        zoom: see `Plan`.
        details: see `Plan`.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        seed: int,
        mosaic: float = 0.6,
        zoom: float = 1.0,
        details: float = 0.0,
    ) -> None:
        self._zoom, self._details = zoom, details
        self._pictures, self._random, self.mosaic = pictures, np.random.default_rng(seed), mosaic
        # Four on one canvas know the same things, or it would be none of the four's.
        self._alike: dict[bytes, list[int]] = {}
        for at, picture in enumerate(pictures):
            self._alike.setdefault(picture.known.tobytes(), []).append(at)

    def make(self, index: int) -> Shaken:
        """Picture `index`, shaken."""
        picture = self._pictures[index]
        if self._random.random() < self.mosaic:
            alike = self._alike[picture.known.tobytes()]
            others = [alike[at] for at in self._random.integers(0, len(alike), 3).tolist()]
            pixels, boxes, kinds = self._four([index, *others])
        else:
            pixels, boxes, kinds = load(picture), picture.boxes, picture.kinds
            if not len(boxes) and self._random.random() < self._details:
                pixels = self._detail(pixels)
        pixels, boxes, kinds = self._move(pixels, boxes, kinds)
        if self._random.random() < 0.5:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
            boxes = np.stack((SIZE - boxes[:, 2], boxes[:, 1], SIZE - boxes[:, 0], boxes[:, 3]), 1)
        return Shaken(self._recolour(pixels), boxes.astype(np.float32), kinds, picture.known)

    def _four(self, indices: Sequence[int]) -> tuple[Pixels, F32, npt.NDArray[np.int64]]:
        side = 2 * SIZE
        canvas = np.full((side, side, 3), PAD, np.uint8)
        middle = self._random.integers(SIZE // 2, side - SIZE // 2, 2)
        boxes, kinds = [], []
        for place, index in enumerate(indices):
            picture = self._pictures[index]
            pixels = load(picture)
            scale = SIZE / max(pixels.shape[:2]) * self._random.uniform(0.8, 1.3)
            pixels = cv2.resize(pixels, None, fx=scale, fy=scale)  # type: ignore[assignment]
            height, width = pixels.shape[:2]
            x = int(middle[0]) - (width if place % 2 == 0 else 0)
            y = int(middle[1]) - (height if place < 2 else 0)
            left, top = max(0, x), max(0, y)
            right, bottom = min(side, x + width), min(side, y + height)
            if right > left and bottom > top:
                canvas[top:bottom, left:right] = pixels[top - y : bottom - y, left - x : right - x]
            boxes.append(picture.boxes * scale + np.array([x, y, x, y], np.float32))
            kinds.append(picture.kinds)
        return canvas, np.concatenate(boxes).astype(np.float32), np.concatenate(kinds)

    def _detail(self, pixels: Pixels) -> Pixels:
        """A small part of a picture, as large as the whole: walls, roads, sky."""
        height, width = pixels.shape[:2]
        share = self._random.uniform(0.12, 0.4)
        rows, columns = max(8, round(height * share)), max(8, round(width * share))
        top, left = self._random.integers(0, (height - rows + 1, width - columns + 1))
        part = pixels[top : top + rows, left : left + columns]
        return cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]

    def _move(
        self, pixels: Pixels, boxes: F32, kinds: npt.NDArray[np.int64]
    ) -> tuple[Pixels, F32, npt.NDArray[np.int64]]:
        height, width = pixels.shape[:2]
        base = SIZE / max(height, width) * (self._zoom if max(height, width) > SIZE * 1.5 else 1.0)
        scale = base * self._random.uniform(0.7, 1.6)
        stretch = self._random.uniform(0.85, 1.18)
        sx, sy = scale * stretch, scale / stretch
        spare = np.array([SIZE - width * sx, SIZE - height * sy])
        shift = spare * self._random.uniform(0, 1, 2)
        matrix = np.array([[sx, 0, shift[0]], [0, sy, shift[1]]], np.float32)
        made = cv2.warpAffine(pixels, matrix, (SIZE, SIZE), borderValue=(PAD, PAD, PAD))
        moved = boxes * np.array([sx, sy, sx, sy], np.float32) + np.tile(shift, 2).astype(np.float32)
        clipped = moved.clip(0, SIZE)
        area = (moved[:, 2:] - moved[:, :2]).prod(1)
        seen = (clipped[:, 2:] - clipped[:, :2]).prod(1)
        # What is hardly there any more is neither to be found nor wrong to find.
        doubtful = (seen <= 0.25 * area) | ((clipped[:, 2:] - clipped[:, :2]).min(1, initial=SIZE) < LEAST)
        kept = seen > 0
        return made, clipped[kept], np.where(doubtful, UNSURE, kinds)[kept]  # type: ignore[return-value]

    def _recolour(self, pixels: Pixels) -> Pixels:
        hue, saturation, value = self._random.uniform(-1, 1, 3) * (6, 0.45, 0.4)
        planes = cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV).astype(np.int16)
        planes[..., 0] = (planes[..., 0] + round(hue)) % 180
        planes[..., 1] = np.clip(planes[..., 1] * (1 + saturation), 0, 255)
        planes[..., 2] = np.clip(planes[..., 2] * (1 + value), 0, 255)
        made = cv2.cvtColor(planes.astype(np.uint8), cv2.COLOR_HSV2BGR)
        if self._random.random() < 0.1:
            made = cv2.cvtColor(
                cv2.cvtColor(made, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR
            )  # cameras at night
        return made  # type: ignore[return-value]
