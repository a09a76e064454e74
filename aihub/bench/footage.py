"""Footage the project draws itself: scenes with known truth, for machines without media.

Pictures are deterministic by seed. Movement is kept to a part of the picture, and sensor noise is renewed in a few blocks
at a time, because the camera simulator sends changed blocks as raw samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import MappingProxyType

import cv2
import numpy as np

from aihub.errors import InputError
from aihub.scenes import fire as fire_scene
from aihub.scenes import gate, street
from aihub.scenes import yard as yard_scene
from aihub.scenes.canvas import SIZE
from aihub.types.frame import Image

Draw = Callable[[float, int], Iterator[Image]]


@dataclass(frozen=True, slots=True)
class Truth:
    """Something that is to be found in the footage.

    Attributes:
        kind: "fire", "smoke", "code", "text", "black", "frozen", "blurred", "parked" or "moving".
        start: seconds from the start of the footage.
        end: seconds, > start.
        box: left, top, right, bottom relative to the picture, 0..1, over the whole time; none for the whole picture.
        text: what is to be read.
    """

    kind: str
    start: float
    end: float
    box: tuple[float, float, float, float] | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Footage:
    """A drawn clip.

    Attributes:
        name: of the scene.
        size: width, height; pixels.
        fps: frames a second.
        seconds: length.
        draw: begins the scene anew and gives its pictures without end, of any size.
        truth: what is to be found.
        about: one sentence for people.
    """

    name: str
    size: tuple[int, int]
    fps: float
    seconds: float
    draw: Callable[[], Iterator[Image]]
    truth: tuple[Truth, ...] = ()
    about: str = ""

    def frames(self) -> Iterator[Image]:
        """The pictures, `(height, width, 3)` uint8 BGR of `size`; the same ones each time."""
        for image in islice(self.draw(), max(round(self.seconds * self.fps), 1)):
            if image.shape[1::-1] == self.size:
                yield image
            else:
                yield np.asarray(cv2.resize(image, self.size, interpolation=cv2.INTER_AREA), np.uint8)


def _footage(
    name: str,
    draw: Draw,
    truth: tuple[Truth, ...],
    about: str,
    *,
    size: tuple[int, int],
    fps: float,
    seconds: float,
    seed: int,
) -> Footage:
    if not (64 <= size[0] <= 4096 and 64 <= size[1] <= 2304) or not 0 < fps <= 120 or not 0 < seconds <= 3600:
        raise InputError(
            f"footage of {size[0]}x{size[1]}, {fps} frames a second, {seconds} s is not possible"
        )
    seen = tuple(one for one in truth if one.start < seconds)
    return Footage(name, size, fps, seconds, lambda: draw(fps, seed), seen, about)


def _box(pixels: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = pixels
    return left / SIZE[0], top / SIZE[1], right / SIZE[0], bottom / SIZE[1]


def fire(size: tuple[int, int] = SIZE, fps: float = 10.0, seconds: float = 40.0, seed: int = 1) -> Footage:
    """A yard at night where a heap of crates catches fire after 3 s: a flickering flame, smoke above it."""
    truth = (
        Truth("fire", 5.0, seconds, _box(fire_scene.FLAME)),
        Truth("smoke", 5.0, seconds, _box(fire_scene.SMOKE)),
    )
    about = "A yard at night; after 3 s a heap of crates catches fire."
    return _footage("fire", fire_scene.draw, truth, about, size=size, fps=fps, seconds=seconds, seed=seed)


def codes(size: tuple[int, int] = SIZE, fps: float = 10.0, seconds: float = 27.0, seed: int = 2) -> Footage:
    """A gate where vans stop, each with a QR code and a large text on its side."""
    truth = []
    for number in range(int(seconds // gate.CYCLE_S) + 1):
        start = number * gate.CYCLE_S + gate.ARRIVE_S
        code, text, _ = gate.VANS[number % len(gate.VANS)]
        box, end = _box(gate.STAND), start + gate.STAND_S
        truth += [Truth("code", start, end, box, code), Truth("text", start, end, box, text)]
    about = "A gate; vans with a QR code and a number stop, one every nine seconds."
    return _footage("codes", gate.draw, tuple(truth), about, size=size, fps=fps, seconds=seconds, seed=seed)


def quality(
    size: tuple[int, int] = SIZE,
    fps: float = 10.0,
    seconds: float | None = None,
    seed: int = 3,
    *,
    spell_s: float = 6.0,
) -> Footage:
    """A street whose camera goes black, freezes and loses focus in turn, and is well for as long in between.

    Args:
        size: width, height; pixels.
        fps: frames a second.
        seconds: length; none for all six spells.
        seed: of noise and texture.
        spell_s: length of each spell; longer than the time an alarm waits.
    """
    length = len(street.SPELLS) * spell_s if seconds is None else seconds
    if not 0.1 <= spell_s <= 600:
        raise InputError(f"spells of {spell_s} s are not possible")
    truth = []
    for number in range(int(length // spell_s) + 1):
        kind = street.SPELLS[number % len(street.SPELLS)]
        if kind != "good":
            truth.append(Truth(kind, number * spell_s, (number + 1) * spell_s))
    about = f"A street; the camera goes black, freezes and loses focus, {spell_s:g} seconds each."
    draw = partial(street.draw, spell_s=spell_s)
    return _footage("quality", draw, tuple(truth), about, size=size, fps=fps, seconds=length, seed=seed)


def yard(size: tuple[int, int] = SIZE, fps: float = 10.0, seconds: float = 40.0, seed: int = 4) -> Footage:
    """A yard with people who walk and a car that comes, parks and leaves."""
    truth = [Truth("moving", 0.0, seconds)]
    for number in range(int(seconds // yard_scene.CYCLE_S) + 1):
        begin = number * yard_scene.CYCLE_S
        truth.append(Truth("parked", begin + 6, begin + 15, _box(yard_scene.PARKED)))
    about = "A yard; people walk, a car comes, parks for nine seconds and leaves."
    return _footage(
        "yard", yard_scene.draw, tuple(truth), about, size=size, fps=fps, seconds=seconds, seed=seed
    )


SCENES: Mapping[str, Callable[..., Footage]] = MappingProxyType(
    {"fire": fire, "codes": codes, "quality": quality, "yard": yard}
)
"""Every scene by name; each takes size, frames a second and seconds, and has defaults for all."""
