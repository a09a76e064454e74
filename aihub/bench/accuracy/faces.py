"""How well faces are told apart: pairs of one person and of different people, and false acceptance and rejection over a threshold.

Three sources of pairs:

- `known`: people of the test media: portraits of two presidents years apart, one woman before a camera and on a print, two people
  over a clip.
- `strangers`: pictures of workers in the training data. Who they are nobody knows, and some were taken more than once; pairs above
  a likeness were looked at, show one person each, and are left out. One person may still be among what is left, which would make
  the rate of false acceptance look higher than it is.
- `listed`: a folder in the form of LFW (Labeled Faces in the Wild): `NAME/NAME_0001.jpg` and `pairs.txt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.builtin.face_quality import FIT, FaceQuality, FaceQualityParams
from aihub.algorithms.faces.embedding import Templates, embed
from aihub.bench.accuracy.assets import read_image
from aihub.errors import InputError
from aihub.types import Detections, Frame, Image, Predictor

F64 = npt.NDArray[np.float64]

PORTRAITS = {
    "train_obama_obama.jpg": "a", "train_obama_obama2.jpg": "a", "train_biden_biden.jpg": "b", "train_biden_biden2.jpg": "b",
}  # fmt: skip
TOGETHER, CLIP = "test_obama_and_biden.jpg", "head-pose-face-detection-female-and-male_preview.mp4"
SETS = ("hard_hat", "hard_hat_workers", "construction_site")
FIRST_HALF = frozenset({"a", "woman-of-the-clip"})
ONE_PERSON = 0.74
"""Likeness from which two strangers are taken for one person who was taken twice."""


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


def known(media: Path, faces: Faces, every: int = 5) -> Iterator[Face]:
    """People of the test media; of the clip each `every`-th frame.

    Raises:
        NotHereError: a picture is not there.
    """
    for name, who in PORTRAITS.items():
        for _, template in faces.of(read_image(media / "images/faces" / name)):
            yield _face(who, template)
    for place, template in faces.of(read_image(media / "images/faces" / TOGETHER)):
        if place < 0.7:  # a child at the edge is nobody's pair
            yield _face("b" if place < 0.5 else "a", template)
    for name in ("image_T1.jpg", "image_F1.jpg"):
        for _, template in faces.of(read_image(media / "images/liveness" / name)):
            yield _face("woman-of-the-print", template)
    clip = cv2.VideoCapture(str(media / "video" / CLIP))
    for index in range(10_000):
        ok, image = clip.read()
        if not ok:
            break
        if index % every == 0:
            for place, template in faces.of(np.asarray(image, np.uint8)):
                yield _face(f"{'woman' if place < 0.5 else 'man'}-of-the-clip", template)
    clip.release()


def _face(who: str, template: Templates) -> Face:
    return Face(who, 0 if who in FIRST_HALF else 1, template)


def strangers(folder: Path, faces: Faces) -> Iterator[Face]:
    """One person each, for all that is known; every other picture belongs to the second half."""
    paths = sorted(path for name in SETS for path in (folder / name / "images").glob("*.jpg"))
    for index, path in enumerate(paths):
        for place, template in faces.of(read_image(path)):
            yield Face(f"{path.name}/{place:.3f}", index % 2, template)


def pairs(faces: Sequence[Face], one_person: float = ONE_PERSON) -> tuple[F64, F64]:
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


def equal_error(same: F64, other: F64) -> float:
    """Equal error rate: where as many pairs of one person are rejected as pairs of different people are accepted, in [0, 1].

    Between two thresholds the mean of both rates where they come nearest to each other.

    >>> round(equal_error(np.array([0.9, 0.8, 0.4]), np.array([0.5, 0.3, 0.2])), 4)
    0.3333
    """
    if not len(same) or not len(other):
        return 0.0
    thresholds = np.unique(np.concatenate([same, other, [np.inf]]))
    rejected = np.searchsorted(np.sort(same), thresholds, side="left") / len(same)
    accepted = 1 - np.searchsorted(np.sort(other), thresholds, side="left") / len(other)
    at = int(np.argmin(np.abs(rejected - accepted)))
    return float(rejected[at] + accepted[at]) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Pairs of a folder.

    Attributes:
        same: likeness of each pair of one person.
        other: of each pair of different people.
        unseen: pictures without a face that was found; their pairs have likeness 0, so that they count as rejected.
        pictures: that were looked at.
    """

    same: F64
    other: F64
    unseen: int
    pictures: int


Pair = tuple[Path, Path, bool]


def read_pairs(folder: Path) -> list[Pair]:
    """Pairs that a folder in the form of LFW lists, with whether they are of one person.

    `pairs.txt`: lines `NAME  3  7` (two pictures of one person) and `NAME  3  OTHER  1`; a first line with counts is passed over.
    Pictures: `NAME/NAME_0003.jpg`, also below `lfw/` or `images/`.

    Raises:
        InputError: no such file, a line of another form, or a picture that is not there; names the line.
    """
    path = folder / "pairs.txt"
    if not path.is_file():
        raise InputError(
            f"{folder} has no pairs.txt", field="faces", hint="the form is that of LFW's pairs.txt"
        )
    root = next((folder / name for name in ("lfw", "images") if (folder / name).is_dir()), folder)
    made: list[Pair] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        cells = line.split("\t") if "\t" in line else line.split()
        if not cells or (number == 1 and all(cell.strip().isdigit() for cell in cells)):
            continue
        if len(cells) == 3:
            cells = [*cells[:2], cells[0], cells[2]]
        if len(cells) != 4 or not (cells[1].strip().isdigit() and cells[3].strip().isdigit()):
            raise InputError(f"pairs.txt, line {number}: {line[:80]!r} is no pair", field="faces")
        one, other = (_portrait(root, cells[at], int(cells[at + 1]), number) for at in (0, 2))
        made.append((one, other, cells[0] == cells[2]))
    if not made:
        raise InputError("pairs.txt lists no pair", field="faces")
    return made


def _portrait(root: Path, name: str, number: int, line: int) -> Path:
    if "/" in name or "\\" in name or name.startswith("."):
        raise InputError(f"pairs.txt, line {line}: {name!r} is no name of a folder", field="faces")
    for ending in ("jpg", "jpeg", "png"):
        path = root / name / f"{name}_{number:04d}.{ending}"
        if path.is_file():
            return path
    raise InputError(f"pairs.txt, line {line}: there is no {name}/{name}_{number:04d}.jpg", field="faces")


def listed(rows: Sequence[Pair], faces: Faces) -> Listed:
    """Likeness of listed pairs, by the face nearest to the middle of each picture.

    Args:
        rows: from `read_pairs`.
        faces: finds them.
    """
    templates = {path: _middle(path, faces) for path in sorted({path for row in rows for path in row[:2]})}
    likeness: dict[bool, list[float]] = {True: [], False: []}
    for one, other, same in rows:
        first, second = templates[one], templates[other]
        alike = 0.0 if first is None or second is None else float(first.likeness(second.vectors)[0, 0])
        likeness[same].append(alike)
    unseen = sum(template is None for template in templates.values())
    return Listed(np.array(likeness[True]), np.array(likeness[False]), unseen, len(templates))


def _middle(path: Path, faces: Faces) -> Templates | None:
    found = sorted(faces.of(read_image(path)), key=lambda one: abs(one[0] - 0.5))
    return found[0][1] if found else None
