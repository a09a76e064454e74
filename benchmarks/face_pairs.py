"""How well faces are told apart: false acceptance and false rejection over the likeness, with a threshold chosen on one half only.

    python -m benchmarks.face_pairs                    # people of the test media
    python -m benchmarks.face_pairs --strangers DIR    # and strangers: pictures of workers in the training data

Pairs of one person: portraits of two presidents years apart, one woman before a camera and on a print, two people over a clip. Pairs
of different people: all others of these, and of strangers those on different pictures. Who the strangers are nobody knows, and some
were taken more than once; pairs above `--one-person` were looked at, show one person each, and are left out. One person may still be
among what is left, which would make the rate of false acceptance look higher than it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.builtin.face_quality import FIT, FaceQuality, FaceQualityParams
from aihub.algorithms.faces.embedding import Templates, embed
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.plugins import data_folder
from aihub.settings import settings
from aihub.types import Detections, Frame, Image, Predictor

F64 = npt.NDArray[np.float64]

PORTRAITS = {
    "train_obama_obama.jpg": "a", "train_obama_obama2.jpg": "a", "train_biden_biden.jpg": "b", "train_biden_biden2.jpg": "b",
}  # fmt: skip
TOGETHER, CLIP = "test_obama_and_biden.jpg", "head-pose-face-detection-female-and-male_preview.mp4"
SETS = ("hard_hat", "hard_hat_workers", "construction_site")
FIRST_HALF = frozenset({"a", "woman-of-the-clip"})
WANTED = (0.01, 0.001)
"""Rates of false acceptance for which a threshold is chosen."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face: whose it is (nobody's name), the half it belongs to, and its template."""

    who: str
    half: int
    template: Templates


class Faces:
    """Fit faces of pictures, with their templates."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._judge = FaceQuality(FaceQualityParams(min_eye_distance=18), predictor)

    def of(self, image: Image) -> Iterator[tuple[float, Templates]]:
        """Where each face is, as a share of the width, and its template."""
        frame = Frame(image)
        found = self._predictor.detect("face-points", frame, confidence=0.7).result(60)
        judged = self._judge.process(frame, found)
        fit = np.array([row["comparison"] in (FIT, "turned") for row in judged.attributes or ()], np.bool_)
        fit &= _frontal(judged)
        judged = judged[fit]
        made = embed(self._predictor, frame, judged)
        for row, box in enumerate(judged.xyxy):
            middle = float(box[0] + box[2]) / 2 / frame.width
            yield middle, Templates(made.kind, made.vectors[row : row + 1])


def _frontal(judged: Detections) -> npt.NDArray[np.bool_]:
    yaw = np.array([abs(row.get("yaw_deg", 90)) for row in judged.attributes or ()])
    return yaw <= 30


def known(media: Path, faces: Faces) -> Iterator[Face]:
    """People of the test media."""
    for name, who in PORTRAITS.items():
        for _, template in faces.of(_read(media / "images/faces" / name)):
            yield _face(who, template)
    for place, template in faces.of(_read(media / "images/faces" / TOGETHER)):
        if place < 0.7:  # a child at the edge is nobody's pair
            yield _face("b" if place < 0.5 else "a", template)
    for name in ("image_T1.jpg", "image_F1.jpg"):
        for _, template in faces.of(_read(media / "images/liveness" / name)):
            yield _face("woman-of-the-print", template)
    clip = cv2.VideoCapture(str(media / "video" / CLIP))
    for index in range(10_000):
        ok, image = clip.read()
        if not ok:
            return
        if index % 5 == 0:
            for place, template in faces.of(np.asarray(image, np.uint8)):
                yield _face(f"{'woman' if place < 0.5 else 'man'}-of-the-clip", template)


def _face(who: str, template: Templates) -> Face:
    return Face(who, 0 if who in FIRST_HALF else 1, template)


def strangers(folder: Path, faces: Faces) -> Iterator[Face]:
    """One person each, for all that is known; every other picture belongs to the second half."""
    paths = sorted(path for name in SETS for path in (folder / name / "images").glob("*.jpg"))
    for index, path in enumerate(paths):
        for place, template in faces.of(_read(path)):
            yield Face(f"{path.name}/{place:.3f}", index % 2, template)


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        sys.exit(f"{path} is not there")
    return np.asarray(image, np.uint8)


def pairs(faces: list[Face], one_person: float) -> tuple[F64, F64]:
    """Likeness of all pairs of one person, and of different people."""
    if len(faces) < 2:
        return np.zeros(0), np.zeros(0)
    kind = faces[0].template.kind
    vectors = np.concatenate([face.template.vectors for face in faces])
    alike = Templates(kind, vectors).likeness(vectors).astype(np.float64)
    first, second = np.triu_indices(len(faces), 1)
    who = np.array([face.who for face in faces])
    same, unknown = who[first] == who[second], np.array(["/" in one for one in who])
    shares = alike[first, second]
    doubtful = (unknown[first] & unknown[second]) & (shares >= one_person)
    return shares[same], shares[~same & ~doubtful]


def rates(same: F64, other: F64, threshold: float) -> dict[str, float]:
    """False acceptance and false rejection at a threshold."""
    accepted = float((other >= threshold).mean()) if len(other) else 0.0
    rejected = float((same < threshold).mean()) if len(same) else 0.0
    return {"threshold": round(threshold, 3), "far": round(accepted, 5), "frr": round(rejected, 4)}


def chosen(other: F64, far: float) -> float:
    """The least threshold at which no more than that share of pairs of different people is accepted."""
    ordered = np.sort(other)[::-1]
    allowed = int(far * len(ordered))
    return float(ordered[allowed]) + 1e-4 if len(ordered) else 1.0


def main() -> None:
    """Measure and say what came out, as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strangers", type=Path, help="folder of the training data")
    parser.add_argument("--one-person", type=float, default=0.74)
    asked = parser.parse_args()
    media = Path(settings().test_media or os.environ.get("AIHUB_TEST_MEDIA", ""))
    with TemporaryDirectory() as cache:
        store = ModelStore.from_folder(
            data_folder("models"), cache=Path(cache), mirror=settings().model_mirror
        )
        with Engine(store) as engine:
            found = Faces(engine)
            people = list(known(media, found))
            if asked.strangers:
                people += strangers(asked.strangers, found)
    halves = [pairs([face for face in people if face.half == half], asked.one_person) for half in (0, 1)]
    same, other = pairs(people, asked.one_person)
    said = {
        "faces": len(people),
        "pairs of one person": [len(half[0]) for half in halves],
        "pairs of different people": [len(half[1]) for half in halves],
        "chosen on the first half, measured on the second": {
            f"far {far:g}": rates(*halves[1], chosen(halves[0][1], far)) for far in WANTED
        },
        "all": [rates(same, other, threshold) for threshold in np.arange(0.4, 0.76, 0.04).tolist()],
    }
    sys.stdout.write(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
