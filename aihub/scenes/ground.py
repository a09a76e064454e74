"""Drawn streets that want cleaning and roads that want mending: registered as `drawn:NAME` when this is imported."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from aihub.scenes.brush import Brush, Colour, Point, dimmed
from aihub.scenes.drawings import HEIGHT, WIDTH, picture, street, with_noise
from aihub.types import Image

F64 = npt.NDArray[np.float64]
_RUBBISH: tuple[Colour, ...] = (
    (235, 235, 235), (40, 40, 45), (60, 60, 200), (200, 180, 90), (90, 190, 220), (120, 160, 190), (225, 225, 240), (60, 150, 80),
)  # fmt: skip
_GREEN: Colour = (70, 120, 50)
_BLUE: Colour = (170, 110, 40)


def bin_(image: Image, foot: Point, height: float, colour: Colour, full: np.random.Generator | None = None) -> None:  # fmt: skip
    """Draw a bin on wheels.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        foot: the middle of its foot, pixels.
        height: of the closed bin, pixels.
        colour: of it.
        full: what it runs over with is drawn by this; None for a closed bin.
    """
    brush = Brush(image, foot, height / 10)
    brush.oval((0, -0.1), (4.2, 0.5), (60, 60, 60))
    for side in (-1, 1):
        brush.oval((side * 2.4, -0.6), (0.7, 0.7), (30, 30, 30))
    brush.fill([(-3.2, -8), (3.2, -8), (2.6, -0.6), (-2.6, -0.6)], colour)
    brush.fill([(1.2, -8), (3.2, -8), (2.6, -0.6), (1, -0.6)], dimmed(colour, 0.75))
    for rib in (-1.6, 0.0, 1.6):
        brush.limb((rib, -7), (rib * 0.85, -1.2), (0.12, 0.12), dimmed(colour, 0.7))
    brush.fill([(-3.5, -8.5), (3.5, -8.5), (3.4, -7.6), (-3.4, -7.6)], dimmed(colour, 1.2))
    if full is None:
        brush.fill([(-3.7, -8.4), (3.7, -8.4), (3.2, -9.3), (-3.2, -9.3)], dimmed(colour, 1.1))
        return
    for _ in range(26):
        across = full.uniform(-3, 3)
        up = full.uniform(8.2, 8.4 + 2.6 * (1 - (abs(across) / 3.4) ** 2))
        shade = _RUBBISH[full.integers(len(_RUBBISH))]
        brush.oval((across, -up), (full.uniform(0.5, 1.1), full.uniform(0.35, 0.8)), shade)
        brush.oval((across - 0.2, -up - 0.2), (0.3, 0.15), dimmed(shade, 1.25))
    brush.fill([(-3.5, -8.5), (-3.9, -12), (-3.2, -12.2), (-2.9, -8.6)], dimmed(colour, 0.9))


def heap(image: Image, foot: Point, width: float, random: np.random.Generator) -> None:
    """Draw a heap of garbage. Arguments as for `bin_`; `width` in pixels."""
    brush = Brush(image, foot, width / 10)
    for number in range(160):
        across = random.uniform(-5, 5)
        up = random.uniform(-0.2, max(3.6 * (1 - (abs(across) / 5.2) ** 1.5), 0.1))
        shade = _RUBBISH[random.integers(len(_RUBBISH))]
        corners = random.uniform((-0.7, -0.5), (0.7, 0.5), (5, 2)) + np.array((across, -up))
        brush.fill([(x, y) for x, y in corners.tolist()], shade)
        if number % 3 == 0:
            brush.oval(
                (across, -up), (random.uniform(0.2, 0.6), random.uniform(0.2, 0.45)), dimmed(shade, 0.9)
            )


@picture("full-bins")
def full_bins() -> Image:
    """Two bins that run over."""
    image, random = street(), np.random.default_rng(7)
    bin_(image, (200, 330), 130, _GREEN, random)
    bin_(image, (430, 330), 130, _BLUE, random)
    return with_noise(image, 0)


@picture("closed-bins")
def closed_bins() -> Image:
    """Two bins with their lids closed."""
    image = street()
    bin_(image, (200, 330), 130, _GREEN)
    bin_(image, (430, 330), 130, _BLUE)
    return with_noise(image, 0)


@picture("garbage-heap")
def garbage_heap() -> Image:
    """A heap of garbage in the street."""
    image = street()
    heap(image, (300, 330), 300, np.random.default_rng(7))
    return with_noise(image, 0)


@picture("litter-on-grass")
def litter_on_grass() -> Image:
    """A bottle and a can on grass, from near."""
    random = np.random.default_rng(7)
    blades = [
        low + span * _clouds(random, cell) for low, span, cell in ((60, 50, 10), (120, 70, 8), (75, 50, 12))
    ]
    image = np.clip(np.stack(blades, -1) + random.normal(0, 14, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    bottle = Brush(image, (200, 220), 14)
    bottle.limb((-4, 0), (2.2, 0), (2.2, 2.2), (235, 225, 210))
    bottle.limb((2.2, 0), (4, 0), (1.9, 0.8), (235, 228, 215))
    bottle.limb((4.2, 0), (4.7, 0), (0.95, 0.95), (200, 80, 30))
    bottle.limb((-3.4, -0.55), (2, -0.55), (0.35, 0.3), (255, 255, 255))
    bottle.fill([(-2.2, -1.1), (0.6, -1.1), (0.6, 1.1), (-2.2, 1.1)], (60, 60, 210))
    can = Brush(image, (450, 150), 12)
    can.limb((-2, 0), (2, 0), (2.6, 2.6), (190, 190, 195))
    can.fill([(-1.4, -1.3), (1.4, -1.3), (1.4, 1.3), (-1.4, 1.3)], (40, 40, 200))
    can.oval((2.1, 0), (0.5, 1.3), (215, 215, 220))
    can.limb((-1.8, -0.7), (1.8, -0.7), (0.3, 0.3), (240, 240, 245))
    return image


@picture("potholes")
def potholes() -> Image:
    """Two holes in a road, from near."""
    random = np.random.default_rng(7)
    road = _asphalt(random)
    rough = _clouds(random, 60) * 0.9
    for hole in ((230.0, 200.0, 95.0, 48.0), (480.0, 270.0, 60.0, 28.0)):
        road = _with_hole(road, hole, rough, random)
    return np.clip(road, 0, 255).astype(np.uint8)


@picture("good-road")
def good_road() -> Image:
    """A road without holes, from near."""
    return np.clip(_asphalt(np.random.default_rng(8)), 0, 255).astype(np.uint8)


def _asphalt(random: np.random.Generator) -> F64:
    grey = 120 + 40 * (_clouds(random, 64) - 0.5) + random.normal(0, 9, (HEIGHT, WIDTH))
    return np.asarray(np.clip(grey, 0, 255)[..., None] * np.array([1.0, 1.02, 1.05]))


def _with_hole(road: F64, hole: tuple[float, float, float, float], rough: F64, random: np.random.Generator) -> F64:  # fmt: skip
    """A hole with ragged edges, its far wall in the shade and its near edge in the light."""
    x, y, half_width, half_height = hole
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    deep = (rows - y) / half_height
    far = ((columns - x) / half_width) ** 2 + deep**2 + (rough - 0.45) * 0.9
    inside = np.clip((1 - far) * 3, 0, 1)[..., None]
    edge = np.exp(-(((far - 1.05) / 0.18) ** 2))[..., None]
    gravel = (70 + 60 * (_clouds(random, 12) - 0.3)) * (0.65 + 0.5 * np.clip((deep + 1) / 2, 0, 1))
    made = road * (1 - inside) + gravel[..., None] * np.array([0.95, 1.0, 1.05]) * inside
    shade, light = (np.clip(side, 0, None)[..., None] for side in (0.6 - deep, deep))
    return np.asarray(made + edge * (14 * light - 28 * shade))


def _clouds(random: np.random.Generator, cell: int) -> F64:
    """Smooth noise, (HEIGHT, WIDTH) in 0..1."""
    total = np.zeros((HEIGHT, WIDTH))
    for octave in range(4):
        step = max(cell >> octave, 2)
        coarse = random.random((HEIGHT // step + 3, WIDTH // step + 3))
        total += np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)) * 0.6**octave
    total -= total.min()
    return np.asarray(total / total.max())
