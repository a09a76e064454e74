"""Generated scenes of things put down and taken away, with known truth: `python -m tests.algorithms.ground_scenes 200` measures.

Each scene has a ground of clouds, sensor noise, light that drifts and jumps, somebody who walks by (the detector sees them),
a soft shadow that falls, and at 6 s one change or none: a textured thing is put down or taken.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.builtin.ground_changes import GroundChanges, GroundChangesParams
from aihub.scenes.canvas import clouds
from aihub.types import Detections, Frame, Image
from aihub.types.geometry import box_iou

NO_MODELS: Any = None
WIDTH, HEIGHT = 320, 180
WHEN, UNTIL, FPS = 6.0, 16.0, 4.0
Kind = Literal["left", "removed", "nothing"]


@dataclass(frozen=True)
class Scene:
    """What happens, and where."""

    seed: int
    kind: Kind
    box: tuple[int, int, int, int]
    contrast: float

    @classmethod
    def of(cls, seed: int) -> Scene:
        rng = np.random.default_rng([seed, 1])
        kind: Kind = ("left", "removed", "nothing")[seed % 3]
        wide, tall = int(rng.integers(14, 50)), int(rng.integers(14, 50))
        x, y = int(rng.integers(5, WIDTH - wide - 5)), int(rng.integers(60, HEIGHT - tall - 5))
        return cls(seed, kind, (x, y, x + wide, y + tall), float(rng.uniform(35, 110)))

    def frames(self) -> Iterator[tuple[float, Image, Detections]]:
        rng = np.random.default_rng([self.seed, 2])
        ground = 60 + 130 * clouds(rng, HEIGHT, WIDTH, 48)
        thing = self._with_thing(ground, rng)
        speed, feet, jump = rng.uniform(25, 60), rng.uniform(110, 175), rng.uniform(0.75, 1.25)
        for k in range(round(UNTIL * FPS)):
            t = k / FPS
            there = (self.kind == "left") == (t >= WHEN) and self.kind != "nothing"
            picture = (thing if there else ground) * (1 + 0.01 * np.sin(t)) * (jump if t >= 10 else 1.0)
            picture = picture * (1 - 0.3 * self._shadow() if t >= 8 else 1.0)
            x = speed * t - 30
            people = self._person(picture, x, feet)
            noisy = picture + rng.normal(0, 2.5, picture.shape)
            yield t, np.repeat(noisy.clip(0, 255).astype(np.uint8)[..., None], 3, 2), people

    def _with_thing(
        self, ground: npt.NDArray[np.float32], rng: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        x1, y1, x2, y2 = self.box
        made = ground.copy()
        mean = float(ground[y1:y2, x1:x2].mean())
        level = mean + self.contrast if mean + self.contrast < 245 else mean - self.contrast
        pattern = cv2.resize(rng.uniform(-14, 14, (4, 4)).astype(np.float32), (x2 - x1, y2 - y1))
        made[y1:y2, x1:x2] = level + pattern
        return made

    def _shadow(self) -> npt.NDArray[np.float32]:
        rng = np.random.default_rng([self.seed, 3])
        shade = np.zeros((HEIGHT, WIDTH), np.float32)
        centre = int(rng.integers(40, WIDTH - 40)), int(rng.integers(60, HEIGHT - 20))
        cv2.ellipse(shade, centre, (45, 22), 0, 0, 360, 1.0, cv2.FILLED)
        return np.asarray(cv2.GaussianBlur(shade, (0, 0), 9), np.float32)

    @staticmethod
    def _person(picture: npt.NDArray[np.float32], x: float, feet: float) -> Detections:
        box = np.array([[x - 10, feet - 60, x + 10, feet]]).clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        x1, y1, x2, y2 = box[0].astype(int).tolist()
        if x2 - x1 < 4:
            return Detections.empty(("person",))
        picture[y1:y2, x1:x2] = 30
        sure, which = np.array([0.8], np.float32), np.zeros(1, np.int32)
        return Detections(box.astype(np.float32), sure, which, ("person",))


@dataclass
class Score:
    """Scenes by kind, changes found, rows that are none (by frames with one), the wrong kind."""

    changes: int = 0
    found: int = 0
    wrong_kind: int = 0
    scenes: int = 0
    raised_wrongly: int = 0
    iou: float = 0.0


def judge(seeds: range) -> Score:
    """A change is found when a row of confidence 0.5 and the right kind lies on it (IoU 0.3) in the last 2 s; a scene is raised wrongly when any other row that is sure stands for 2 s."""
    score = Score()
    for scene in map(Scene.of, seeds):
        stage = GroundChanges(GroundChangesParams(), NO_MODELS)
        hits, misfits = [], 0
        for t, image, people in scene.frames():
            rows = stage.process(Frame(image, monotonic=100 + t), people)
            sure = rows[rows.confidence >= 0.5].select(("left", "removed"))
            same = box_iou(sure.xyxy, np.array([scene.box], np.float32))[:, 0] if len(sure) else np.zeros(0)
            on = (same >= 0.3) & (t >= WHEN) & (scene.kind != "nothing")
            right = [name for name, hit in zip(sure.names(), on, strict=True) if hit]
            misfits += bool(len(sure) > on.sum())
            if t >= UNTIL - 2:
                hits.append((scene.kind in right, bool(right), float(same.max(initial=0))))
        score.scenes += 1
        score.raised_wrongly += misfits >= 2 * FPS
        if scene.kind != "nothing":
            score.changes += 1
            good = sum(hit for hit, _, _ in hits) > len(hits) / 2
            score.found += good
            score.iou += hits[-1][2] if good else 0.0
            score.wrong_kind += not good and sum(near for _, near, _ in hits) > len(hits) / 2
    return score


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    made = judge(range(5000, 5000 + number))
    print(
        f"{made.found} of {made.changes} changes found (mean IoU {made.iou / max(made.found, 1):.2f}), "
        f"{made.wrong_kind} called the wrong kind; {made.raised_wrongly} of {made.scenes} scenes with a wrong row for 2 s"
    )
