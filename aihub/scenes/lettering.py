"""Print on what the project draws: Chinese and Latin, and paper as a camera sees it, aslant and with noise."""

from __future__ import annotations

import cv2
import numpy as np

from aihub.scenes.brush import Colour
from aihub.types import Image

INK: Colour = (40, 36, 32)
Place = tuple[int, int]


def write(image: Image, text: str, place: Place, size: int, ink: Colour = INK, weight: int = 400) -> int:
    """A line of text; `place` is its lower left corner, `size` its height, pixels. Returns where it ends, x.

    Args:
        image: is drawn upon.
        text: OpenCV 4 has no Chinese letters and writes question marks.
        place: x, y.
        size: pixels.
        ink: BGR.
        weight: 400 is plain, 700 bold.
    """
    if hasattr(cv2, "FontFace"):
        end, _ = cv2.putText(image, text, place, ink, cv2.FontFace("uni"), size, weight)
        return int(end[0])
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(image, plain, place, cv2.FONT_HERSHEY_SIMPLEX, size / 28, ink, 1 + weight // 500, cv2.LINE_AA)
    return place[0] + int(cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, size / 28, 1)[0][0])


def sheet(width: int, height: int, colour: Colour = (246, 248, 248)) -> Image:
    """An empty paper with a little grain."""
    rng = np.random.default_rng(width * 7 + height)
    grain = rng.normal(0, 1.5, (height, width, 1)).astype(np.float32)
    return np.asarray(np.clip(np.full((height, width, 3), colour, np.float32) + grain, 0, 255), np.uint8)


def seen(paper: Image, seed: int, tilt: float = 0.03, noise: float = 3.0, blur: float = 0.4) -> Image:
    """A paper on a desk as a camera sees it; of the same size.

    Args:
        paper: fills the picture but for a margin.
        seed: of the chance in it.
        tilt: how far corners stray, share of a side.
        noise: standard deviation, grey levels.
        blur: standard deviation, pixels; 0 for none.
    """
    rng = np.random.default_rng(seed)
    height, width = paper.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    margin = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32) * (0.03 * width, 0.03 * height)
    stray = rng.uniform(-tilt, tilt, (4, 2)).astype(np.float32) * (width, height)
    target = np.clip(corners + margin + stray, 0, (width - 1, height - 1)).astype(np.float32)
    turn = cv2.getPerspectiveTransform(corners, target)
    desk = tuple(int(part) for part in rng.integers(70, 130, 3))
    picture = cv2.warpPerspective(
        paper, turn, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=desk
    )
    if blur > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    light = np.linspace(rng.uniform(0.8, 1.0), rng.uniform(0.8, 1.0), width, dtype=np.float32)[None, :, None]
    grain = rng.normal(0, noise, (height, width, 1)).astype(np.float32)
    return np.asarray(np.clip(picture * light + grain, 0, 255), np.uint8)
