"""A hub that knows the cards about faces, with a predictor whose faces and templates are written into the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from shutil import copyfile

import cv2
import numpy as np

from aihub.algorithms.faces.chips import DLIB_150
from aihub.plugins import data_folder
from aihub.types import Bill, Detections, Frame, Image, Tensor

SIDE = 200
CARDS = ("face-search", "face-verification", "face-attendance")


def picture_of(person: int, faces: int = 1, noise: int = 0) -> Image:
    """A picture of 200 pixels a face: what is on it says who it is and how many."""
    rng = np.random.default_rng(noise)
    image = rng.integers(90, 160, (SIDE, SIDE * max(faces, 1), 3), np.uint8)
    image[:8, :8] = (10 * person, 10 * faces, 0)
    return image


def file_of(person: int, faces: int = 1, noise: int = 0) -> bytes:
    """The same as a PNG file."""
    done, data = cv2.imencode(".png", picture_of(person, faces, noise))
    assert done
    return data.tobytes()


class FacePredictor:
    """Finds as many faces as a picture says, and gives each the template of the person that it says."""

    def __init__(self) -> None:
        self.person = 0

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,
    ) -> Future[Detections]:
        self.person, faces = (round(int(value) / 10) for value in frame.image[2, 2, :2])
        boxes = np.array([[i * SIDE + 20, 20, i * SIDE + 180, 180] for i in range(faces)], np.float32)
        points = np.zeros((faces, 5, 3), np.float32)
        corners = np.stack([np.arange(faces) * SIDE + 25, np.full(faces, 25)], axis=1)
        points[:, :, :2] = DLIB_150.points[None] + corners[:, None]
        found = Detections(
            boxes.reshape(-1, 4), np.full(faces, 0.9, np.float32), np.zeros(faces, np.int32), ("face",), None, points
        )  # fmt: skip
        future: Future[Detections] = Future()
        future.set_result(found)
        return future

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        future: Future[dict[str, Tensor]] = Future()
        future.set_result({"embedding": template(self.person, len(inputs["chips"]))})
        return future

    def metadata(self, model: str) -> Mapping[str, str]:
        return {"template": "test", "chip": "dlib-150", "distance": "0.6"}

    def missing(self, models: Sequence[str]) -> list[str]:
        return []


def template(person: int, rows: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """The template of a person: one apart from that of every other."""
    made = np.zeros((rows, 128), np.float32)
    made[:, person] = 1.0
    return made


def face_cards(folder: Path) -> None:
    """Put the cards about faces among a hub's."""
    for name in CARDS:
        copyfile(data_folder("pipelines") / "faces" / f"{name}.yaml", folder / f"{name}.yaml")
