"""Pictures and clips that the project draws itself, for examples that need no file: `drawn:NAME` in a card.

They show a known truth, and are marked `synthetic` wherever they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from aihub.errors import NotFoundError
from aihub.types import Image

WIDTH, HEIGHT = 640, 360
QR_TEXT = "https://example.org/aihub?id=42"
EAN_TEXT = "6901234567892"
SIGN_TEXT = ("AIHUB CAMERA 07", "NO PARKING", "2026-01-31")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn picture or clip.

    Attributes:
        name: what follows `drawn:`.
        clip: whether it moves.
        frames: frames a second, seconds -> its frames; one frame for a picture.
    """

    name: str
    clip: bool
    frames: Callable[[float, float], Iterator[Image]]


class DrawingNotFoundError(NotFoundError):
    """No drawing of that name."""

    kind = "drawing"


_drawings: dict[str, Drawing] = {}


def drawing(name: str) -> Drawing:
    """The drawing of that name.

    Raises:
        DrawingNotFoundError: none has it; suggests the nearest.
    """
    if name not in _drawings:
        raise DrawingNotFoundError(name, _drawings)
    return _drawings[name]


def register(made: Drawing) -> Drawing:
    """Make a drawing known to the cards; third parties may add theirs when their stages are imported."""
    _drawings[made.name] = made
    return made


def picture(name: str) -> Callable[[Callable[[], Image]], Callable[[], Image]]:
    """Register a function that draws a picture."""

    def add(make: Callable[[], Image]) -> Callable[[], Image]:
        register(Drawing(name, clip=False, frames=lambda _fps, _seconds: iter((make(),))))
        return make

    return add


def clip(name: str) -> Callable[[Callable[[float], Image]], Callable[[float], Image]]:
    """Register a function of the time in seconds as a clip."""

    def add(make: Callable[[float], Image]) -> Callable[[float], Image]:
        def frames(fps: float, seconds: float) -> Iterator[Image]:
            return (make(index / fps) for index in range(round(fps * seconds)))

        register(Drawing(name, clip=True, frames=frames))
        return make

    return add


def street() -> Image:
    """A street with houses, windows and a road: hard edges everywhere."""
    image = np.full((HEIGHT, WIDTH, 3), (200, 180, 160), np.uint8)
    cv2.rectangle(image, (0, 240), (WIDTH, HEIGHT), (90, 90, 95), cv2.FILLED)
    for house, shade in enumerate((120, 90, 150, 110)):
        left = house * 160 + 8
        cv2.rectangle(image, (left, 70), (left + 140, 240), (shade, shade + 20, shade + 45), cv2.FILLED)
        for row in range(3):
            for column in range(3):
                x, y = left + 14 + column * 42, 86 + row * 50
                cv2.rectangle(image, (x, y), (x + 26, y + 32), (60, 50, 40), cv2.FILLED)
                cv2.line(image, (x + 13, y), (x + 13, y + 32), (215, 220, 225), 1)
    for mark in range(0, WIDTH, 80):
        cv2.rectangle(image, (mark, 298), (mark + 40, 303), (230, 230, 230), cv2.FILLED)
    return image


def with_noise(image: Image, moment: float, sigma: float = 2.0) -> Image:
    """The picture as a sensor sees it at that moment: Gaussian noise, the same for the same moment."""
    rng = np.random.default_rng(round(moment * 1000))
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(sigma)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@clip("still-street")
def still_street(moment: float) -> Image:
    """An empty street, seen by a live camera: nothing moves but the noise."""
    return with_noise(street(), moment)


@clip("black-after-3s")
def black_after_3s(moment: float) -> Image:
    """The street for three seconds, then the lens is capped."""
    scene = street() if moment < 3 else np.full((HEIGHT, WIDTH, 3), 4, np.uint8)
    return with_noise(scene, moment)


@clip("frozen-after-3s")
def frozen_after_3s(moment: float) -> Image:
    """The street for three seconds, then one picture for ever under a clock that runs on."""
    image = with_noise(street(), min(moment, 3.0))
    cv2.putText(image, f"10:00:{int(moment):02d}", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return image


@clip("blurred-after-3s")
def blurred_after_3s(moment: float) -> Image:
    """The street for three seconds, then out of focus."""
    scene = street() if moment < 3 else np.asarray(cv2.GaussianBlur(street(), (0, 0), 4.0), np.uint8)
    return with_noise(scene, moment, 1.0)


@clip("moving-box")
def moving_box(moment: float) -> Image:
    """A box that crosses the street from left to right, 90 pixels a second, after two seconds of nothing."""
    image = street()
    if moment >= 2:
        left = int((moment - 2) * 90) - 60
        cv2.rectangle(image, (left, 220), (left + 60, 290), (40, 40, 220), cv2.FILLED)
    return with_noise(image, moment)


@picture("qr-and-barcode")
def qr_and_barcode() -> Image:
    """A QR code and an EAN-13 on a label."""
    image = np.full((HEIGHT, WIDTH, 3), 235, np.uint8)
    code = np.asarray(cv2.QRCodeEncoder.create().encode(QR_TEXT), np.uint8)
    code = np.pad(code, 4, constant_values=255)
    side = 240
    qr = np.asarray(cv2.resize(code, (side, side), interpolation=cv2.INTER_NEAREST), np.uint8)
    image[60 : 60 + side, 40 : 40 + side] = qr[..., None]
    bars = np.repeat(np.array([ean13(EAN_TEXT)], np.uint8), 100, axis=0)
    wide = np.repeat(np.pad(bars, ((0, 0), (10, 10))), 2, axis=1)
    image[120:220, 340 : 340 + wide.shape[1]] = np.where(wide, 0, 255)[..., None]
    return image


def ean13(digits: str) -> list[int]:
    """The 95 modules of an EAN-13, 1 is black.

    >>> sum(ean13("6901234567892")), len(ean13("6901234567892"))
    (47, 95)
    """
    right = list(map("{:07b}".format, (114, 102, 108, 66, 92, 78, 80, 68, 72, 116)))
    odd = ["".join("10"[int(bit)] for bit in code) for code in right]
    even = [code[::-1] for code in right]
    parity = f"{(0, 11, 13, 14, 19, 25, 28, 21, 22, 26)[int(digits[0])]:06b}"
    first = "".join((even if p == "1" else odd)[int(d)] for p, d in zip(parity, digits[1:7], strict=True))
    last = "".join(right[int(d)] for d in digits[7:])
    return [int(bit) for bit in f"101{first}01010{last}101"]


@picture("sign")
def sign() -> Image:
    """A sign with three lines of printed text."""
    image = np.full((HEIGHT, WIDTH, 3), (245, 245, 245), np.uint8)
    cv2.rectangle(image, (20, 20), (WIDTH - 20, HEIGHT - 20), (160, 60, 20), 3)
    for row, text in enumerate(SIGN_TEXT):
        cv2.putText(
            image, text, (60, 110 + row * 90), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (20, 20, 20), 3, cv2.LINE_AA
        )
    return image


@picture("blank")
def blank() -> Image:
    """A flat grey picture with nothing on it."""
    return np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
