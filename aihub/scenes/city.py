"""Drawn scenes with people and cars, for algorithms that watch them: registered as `drawn:NAME` when this is imported."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from aihub.scenes.actors import WARDROBE, car, excavator, person
from aihub.scenes.drawings import WIDTH, clip, picture, street, with_noise
from aihub.types import Image

STEPS_PER_SECOND = 6.0
"""Radians of a stride in a second of walking."""
GROUND = 335.0
TALL = 150.0
VISIT = ((0.0, -80.0), (2.0, -80.0), (6.0, 320.0), (20.0, 320.0), (24.0, 720.0))
"""Seconds, and where the visitor is then, pixels from the left: in from 3 s to 23.4 s, in the middle from 6 s to 20 s."""
YELLOW = (40, 200, 240)
PARKED = (225.0, 300.0)
"""Where the rear bumper of the parked car stands."""


@picture("people-and-car")
def people_and_car() -> Image:
    """Three people and a car in a street."""
    image = street()
    car(image, (120, 300), 190)
    for at, x in enumerate((60.0, 420.0, 560.0)):
        person(image, (x, GROUND + 4 * at), TALL, 1.2 * at, WARDROBE[at])
    return with_noise(image, 0)


@picture("two-faces")
def two_faces() -> Image:
    """Two people from near: their faces are 60 pixels wide."""
    image = street()
    for at, x in enumerate((200.0, 440.0)):
        person(image, (x, 560), 500, 0, WARDROBE[at])
    return with_noise(image, 0)


@clip("passers-by")
def passers_by(moment: float) -> Image:
    """Three people: one walks to the right, one to the left, one steps on the spot."""
    image = street()
    for at, (start, speed) in enumerate(((120, 30), (500, -22), (330, 0))):
        x = start + speed * moment
        person(image, (x, GROUND + 5 * at), TALL, STEPS_PER_SECOND * moment + at, WARDROBE[at])
    return with_noise(image, moment)


@clip("visitor")
def visitor(moment: float) -> Image:
    """Nobody; then somebody comes from the left, stays in the middle from 6 s to 20 s, and leaves to the right (see `VISIT`)."""
    image = street()
    x, moves = _along(VISIT, moment)
    if -60 < x < WIDTH + 60:
        person(image, (x, GROUND), TALL, STEPS_PER_SECOND * moment if moves else 0.0)
    return with_noise(image, moment)


@clip("crowd-from-4s")
def crowd_from_4s(moment: float) -> Image:
    """One person; from 4 s on six who stand close together."""
    image = street()
    for at in range(6 if moment >= 4 else 1):
        x = 200 + 48 * at
        person(image, (x, GROUND - 6 * (at % 2)), TALL, 0.4 * at, WARDROBE[at])
    return with_noise(image, moment)


@clip("drive-by")
def drive_by(moment: float) -> Image:
    """A car comes from the left at 1 s, and is gone at 7 s."""
    image = street()
    if 1 <= moment < 7:
        car(image, (-200 + 140 * (moment - 1), 300), 190)
    return with_noise(image, moment)


@clip("parked-car")
def parked_car(moment: float) -> Image:
    """A car comes from the left and stands from 3 s on (see `PARKED`)."""
    image = street()
    left, ground = PARKED
    car(image, (min(left, left - 170 * (3 - moment)), ground), 190, (150, 90, 40))
    return with_noise(image, moment)


def _along(way: tuple[tuple[float, float], ...], moment: float) -> tuple[float, bool]:
    """Where somebody is on a way of (seconds, place), and whether they move."""
    for (begin, here), (end, there) in pairwise(way):
        if moment < end:
            return here + (there - here) * (moment - begin) / (end - begin), here != there
    return way[-1][1], False


@clip("site-with-helmets")
def site_with_helmets(moment: float) -> Image:
    """An excavator, and two people with hard hats who step on the spot."""
    return _site(moment, bare=False)


@clip("site-without-helmet")
def site_without_helmet(moment: float) -> Image:
    """An excavator, and two people who step on the spot; one has a hard hat, the other none."""
    return _site(moment, bare=True)


def _site(moment: float, *, bare: bool) -> Image:
    image = street()
    excavator(image, (60, 320), 330)
    for at, x in enumerate((460.0, 560.0)):
        clothes = WARDROBE[at + 1] if bare and not at else replace(WARDROBE[at + 1], helmet=YELLOW)
        person(image, (x, 340), 170, STEPS_PER_SECOND * moment + at, clothes)
    return with_noise(image, moment)
