"""Drawn places that change: a fence that opens, a river that is dyed, lights at night, a street that is knocked."""

from __future__ import annotations

import cv2
import numpy as np

from aihub.scenes.actors import car
from aihub.scenes.canvas import clouds, slope
from aihub.scenes.degrade import noise
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, picture
from aihub.scenes.faults import lively_street
from aihub.types import Image


def _live(image: Image, moment: float, sigma: float = 1.5) -> Image:
    return np.clip(image + noise(moment, HEIGHT, WIDTH) * np.float32(sigma), 0, 255).astype(np.uint8)


def _fence(*, open_: bool) -> Image:
    image = slope(HEIGHT, WIDTH, (226, 206, 180), (200, 196, 190))
    rng = np.random.default_rng(3)
    cv2.rectangle(image, (60, 60), (240, 260), (130, 140, 150), cv2.FILLED)
    for y in range(80, 240, 34):
        for x in range(78, 230, 38):
            cv2.rectangle(image, (x, y), (x + 18, y + 22), (70, 66, 60), cv2.FILLED)
    cv2.line(image, (430, 40), (430, 250), (40, 170, 220), 6)
    cv2.line(image, (330, 60), (620, 60), (40, 170, 220), 5)
    image[250:] = slope(HEIGHT - 250, WIDTH, (120, 132, 140), (104, 112, 120))
    for left in range(0, WIDTH, 80):
        if open_ and 240 <= left < 400:
            for _ in range(30):
                place = (int(rng.integers(left, left + 80)), int(rng.integers(200, 290)))
                cv2.circle(image, place, int(rng.integers(4, 12)), (70, 92, 110), cv2.FILLED)
            continue
        cv2.rectangle(image, (left, 170), (left + 78, 296), (150, 96, 30), cv2.FILLED)
        for rib in range(left + 8, left + 78, 10):
            cv2.line(image, (rib, 172), (rib, 294), (176, 122, 54), 2)
        cv2.rectangle(image, (left, 170), (left + 78, 182), (230, 230, 230), cv2.FILLED)
    return image


_CLOSED, _OPEN = _fence(open_=False), _fence(open_=True)


@clip("fence-open-after-3s")
def fence_open_after_3s(moment: float) -> Image:
    """A site fence of blue panels; after three seconds two panels are gone."""
    return _live(_OPEN if moment >= 3 else _CLOSED, moment)


@clip("fence-passed")
def fence_passed(moment: float) -> Image:
    """The closed fence, and a car that drives by."""
    image = _CLOSED.copy()
    car(image, (moment * 160 - 80, 330), 150, (60, 60, 180))
    return _live(image, moment)


@picture("fence-closed")
def fence_closed() -> Image:
    """The fence as it should be."""
    return _live(_CLOSED, 0.0)


@picture("fence-open")
def fence_open() -> Image:
    """The fence with two panels gone."""
    return _live(_OPEN, 7.0)


def _river(moment: float, dyed: float) -> Image:
    rng = np.random.default_rng(9)
    image = slope(HEIGHT, WIDTH, (210, 190, 170), (200, 190, 180))
    image[90:130] = (70, 110, 80)
    water = slope(HEIGHT - 130, WIDTH, (128, 120, 96), (104, 98, 78)).astype(np.float32)
    ripples = clouds(rng, HEIGHT - 130, WIDTH, 20)
    ripples = np.roll(ripples, int(moment * 18), axis=1)[..., None] * np.float32(30) - np.float32(15)
    water += ripples
    if dyed > 0:
        spread = np.zeros(water.shape[:2], np.float32)
        cv2.ellipse(spread, (500, 90), (int(340 * dyed), int(150 * dyed)), 0, 0, 360, 1.0, cv2.FILLED)
        spread = np.asarray(cv2.GaussianBlur(spread, (0, 0), 12.0), np.float32)[..., None] * np.float32(0.6)
        water = water * (1 - spread) + np.array([40, 70, 150], np.float32) * spread + ripples * spread
    image[130:] = np.clip(water, 0, 255).astype(np.uint8)
    return image


@clip("river-dyed-after-3s")
def river_dyed_after_3s(moment: float) -> Image:
    """A grey-green river; after three seconds something red spreads in it."""
    return _live(_river(moment, min(max(moment - 3, 0.0), 1.0)), moment)


@clip("river-under-clouds")
def river_under_clouds(moment: float) -> Image:
    """The river while the light changes by a fifth."""
    light = np.float32(1 - 0.2 * min(moment / 4, 1.0))
    return _live(np.clip(_river(moment, 0.0) * light, 0, 255).astype(np.uint8), moment)


@clip("boat-light-after-3s")
def boat_light_after_3s(moment: float) -> Image:
    """A lake at night with two lamps on the shore; after three seconds a light on the water."""
    return _night(moment, boat=moment >= 3)


@clip("headlight-passes")
def headlight_passes(moment: float) -> Image:
    """The lake at night; a car drives along the shore with its lights on."""
    image = _night(moment, boat=False)
    cv2.circle(image, (int(moment * 150), 150), 7, (220, 240, 250), cv2.FILLED)
    return image


def _night(moment: float, *, boat: bool) -> Image:
    image = slope(HEIGHT, WIDTH, (30, 18, 12), (22, 16, 12))
    image[180:] = slope(HEIGHT - 180, WIDTH, (26, 22, 16), (14, 12, 10))
    for x in (120, 520):
        cv2.circle(image, (x, 120), 6, (150, 210, 250), cv2.FILLED)
        cv2.line(image, (x, 128), (x, 178), (40, 40, 40), 2)
    if boat:
        cv2.circle(image, (350, 230), 6, (230, 245, 250), cv2.FILLED)
        cv2.ellipse(image, (350, 262), (4, 18), 0, 0, 360, (110, 120, 120), cv2.FILLED)
    return _live(image, moment, 2.5)


@picture("street-held")
def street_held() -> Image:
    """The street, before the camera is knocked."""
    return lively_street(1.0)


@picture("street-knocked")
def street_knocked() -> Image:
    """The same street, 9 pixels to the left and 6 down, turned by one degree."""
    return knocked(lively_street(1.0), -9.0, 6.0, 1.0)


def knocked(image: Image, across: float, down: float, degrees: float) -> Image:
    """A picture moved right and down by pixels and turned about its middle."""
    height, width = image.shape[:2]
    move = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    move[:, 2] += np.array([across, down])
    return np.asarray(cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


@picture("dim-street")
def dim_street() -> Image:
    """The street with so little light that hardly anything can be seen."""
    return _live(np.clip(lively_street(1.0) * np.float32(0.12), 0, 255).astype(np.uint8), 1.0, 1.5)


@picture("hazy-street")
def hazy_street() -> Image:
    """The street through haze that thickens upwards."""
    through = np.linspace(0.25, 0.8, HEIGHT, dtype=np.float32)[:, None, None]
    return np.clip(lively_street(1.0) * through + np.float32(215) * (1 - through), 0, 255).astype(np.uint8)


@picture("smeared-street")
def smeared_street() -> Image:
    """The street, smeared sideways by a moving camera."""
    return np.asarray(cv2.blur(lively_street(1.0), (25, 1)), np.uint8)
