"""Drawn traffic whose ways, speeds and kinds are known: registered as `drawn:NAME` when this is imported.

All roads lie across the picture; who drives on the near side drives to the right.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from aihub.scenes.actors import WARDROBE, car, person
from aihub.scenes.brush import Colour
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, street, with_noise
from aihub.scenes.ground import heap
from aihub.scenes.vehicles import bus, cyclist, truck
from aihub.types import Image

F64 = npt.NDArray[np.float64]
NEAR, FAR = 345.0, 272.0
"""Where wheels stand in the near and in the far lane, pixels from the top."""
PAINT: tuple[Colour, ...] = ((60, 40, 170), (150, 90, 40), (200, 200, 205), (60, 140, 60), (40, 160, 220))
STRIDE = 6.0
"""Radians of a stride in a second of walking or pedalling."""

ROAD = ((0.0, 350.0), (640.0, 350.0), (560.0, 270.0), (80.0, 270.0))
"""Where the corners of a piece of road are, pixels, that is as large as this:"""
ROAD_M = (24.0, 8.0)
"""Metres across the picture and away from the camera."""
CAR_M, PERSON_M = 4.4, 1.75
NEAR_KMH, FAR_KMH = 30.0, 50.0
"""Speeds of the two cars of `speeds`."""

Draws = Callable[[Image, float, bool], None]
"""Draws one vehicle: picture, its left end, whether it drives to the left."""


def _road(moment: float, *vehicles: tuple[Draws, float, float, float]) -> Image:
    """A street with vehicles; each is drawn by something, is at a place (pixels, its left end), has a speed and a start (s)."""
    image = street()
    for draws, begin, speed, start in vehicles:
        place = begin + speed * (moment - start)
        if moment >= start and -400 < place < WIDTH + 20:
            draws(image, place, speed < 0)
    return with_noise(image, moment)


def _car(lane: float, paint: int = 0, length: float = 130) -> Draws:
    return lambda image, x, left: car(image, (x, lane), length, PAINT[paint], left=left)


def _bus(lane: float) -> Draws:
    return lambda image, x, left: bus(image, (x, lane), 320, left=left)


def _truck(lane: float) -> Draws:
    return lambda image, x, left: truck(image, (x, lane), 280, left=left)


@clip("one-way-road")
def one_way_road(moment: float) -> Image:
    """Cars to the right on both lanes."""
    return _road(
        moment, (_car(NEAR), -150, 160, 0.0), (_car(FAR, 1), -150, 140, 1.0), (_car(NEAR, 2), -150, 160, 3.0)
    )


@clip("wrong-way-driver")
def wrong_way_driver(moment: float) -> Image:
    """Cars to the right; on the far lane one comes to the left from 1.5 s on."""
    return _road(moment, (_car(NEAR), -150, 160, 0.0), (_car(FAR, 3), 640, -150, 1.5), (_car(NEAR, 2), -150, 160, 3.0))  # fmt: skip


@clip("mixed-traffic")
def mixed_traffic(moment: float) -> Image:
    """To the right a car, a bus and a car; to the left, while the near lane is empty, a lorry; nothing from 11 s on."""
    return _road(
        moment,
        (_car(NEAR), -150, 230, 0.0),
        (_bus(NEAR), -330, 230, 1.5),
        (_truck(NEAR - 25), 640, -230, 5.5),
        (_car(NEAR, 1), -150, 230, 8.5),
    )


@clip("lorry-passes")
def lorry_passes(moment: float) -> Image:
    """A lorry to the right, in the picture from 0 s to 5 s."""
    return _road(moment, (_truck(NEAR), -280, 190, 0.0))


@clip("bus-passes")
def bus_passes(moment: float) -> Image:
    """A bus to the right, in the picture from 0 s to 5 s."""
    return _road(moment, (_bus(NEAR), -320, 200, 0.0))


@clip("cyclist-passes")
def cyclist_passes(moment: float) -> Image:
    """A cyclist to the right, in the picture from 0 s to 6 s."""
    image = street()
    cyclist(image, (-150 + 130 * moment, NEAR), 140, STRIDE * moment)
    return with_noise(image, moment)


@clip("walker-and-cyclist")
def walker_and_cyclist(moment: float) -> Image:
    """Somebody walks on the road to the left; a cyclist rides to the right."""
    image = street()
    cyclist(image, (-120 + 110 * moment, NEAR), 140, STRIDE * moment)
    person(image, (600 - 40 * moment, 300), 130, STRIDE * moment, WARDROBE[2])
    return with_noise(image, moment)


@clip("u-turn")
def u_turn(moment: float) -> Image:
    """A car to the right on the near lane turns round between 3 s and 4 s, and goes back on the far lane."""
    image = street()
    there, back = 20 + 110 * min(moment, 3.0), 110 * max(moment - 4.0, 0.0)
    turned = float(np.clip(moment - 3.0, 0, 1))
    place = there + 30 * np.sin(np.pi * turned) - back
    car(image, (place, NEAR - (NEAR - FAR) * turned), 130, PAINT[4], left=moment > 3.5)
    return with_noise(image, moment)


@clip("queue-before-line")
def queue_before_line(moment: float) -> Image:
    """Four cars come one after the other and stand before a stop line at x = 600: all stand from 5 s on."""
    image = street()
    cv2.rectangle(image, (600, 305), (606, 352), (235, 235, 235), cv2.FILLED)
    for at in range(4):
        stop = 600 - 8 - 125 - at * 140
        car(image, (min(stop, -140 + 220 * (moment - 0.9 * at)), NEAR), 125, PAINT[at])
    return with_noise(image, moment)


@clip("jammed-road")
def jammed_road(moment: float) -> Image:
    """Eight cars on two lanes that creep at 3 pixels a second."""
    image = street()
    for at in range(4):
        car(image, (15 + 152 * at - 3 * moment, FAR), 128, PAINT[at], left=True)
    for at in range(4):
        car(image, (8 + 155 * at + 3 * moment, NEAR), 135, PAINT[at + 1])
    return with_noise(image, moment)


@clip("flowing-road")
def flowing_road(moment: float) -> Image:
    """As many cars on two lanes; they drive at 200 pixels a second."""
    image = street()
    for at in range(5):
        car(image, ((15 + 160 * at - 200 * moment) % 800 - 140, FAR), 128, PAINT[at], left=True)
    for at in range(5):
        car(image, ((8 + 160 * at + 200 * moment) % 800 - 140, NEAR), 135, PAINT[(at + 1) % 5])
    return with_noise(image, moment)


BAYS = ((10.0, 342.0), (630.0, 342.0), (630.0, 296.0), (10.0, 296.0))
"""Four bays along the street, pixels."""


@clip("row-of-bays")
def row_of_bays(moment: float) -> Image:
    """Three of four bays are taken; a car drives into the second at 3 s."""
    image = street()
    for line in range(5):
        x = 10 + 155 * line
        cv2.line(image, (x, 296), (x, 342), (235, 235, 235), 2)
    cv2.line(image, (10, 296), (630, 296), (235, 235, 235), 2)
    for at in (0, 2, 3):
        car(image, (24 + 155 * at, 338), 128, PAINT[at])
    if moment >= 2:
        glide = max(3 - moment, 0.0)
        car(image, (179 - 40 * glide, 338 + 18 * glide), 128, PAINT[4])
    return with_noise(image, moment)


@clip("junction")
def junction(moment: float) -> Image:
    """A crossing of two roads: one car from left to right, one from the left down, one from the right to the left."""
    image = np.full((HEIGHT, WIDTH, 3), (110, 150, 120), np.uint8)
    cv2.rectangle(image, (0, 120), (WIDTH, 270), (90, 90, 95), cv2.FILLED)
    cv2.rectangle(image, (230, 0), (410, HEIGHT), (90, 90, 95), cv2.FILLED)
    ways = (
        (0.0, ((-140, 260), (660, 260)), 150.0, 0),
        (2.6, ((-140, 260), (255, 260), (255, 420)), 130.0, 1),
        (1.0, ((640, 180), (-160, 180)), 150.0, 3),
    )
    for start, way, speed, paint in ways:
        place = _along(np.array(way, np.float64), speed * (moment - start))
        if place is not None:
            car(image, (float(place[0]), float(place[1])), 125, PAINT[paint], left=way[-1][0] < way[0][0])
    return with_noise(image, moment)


def _along(way: F64, distance: float) -> F64 | None:
    """The place after so many pixels of a way; None before it begins and after it ends."""
    lengths = np.hypot(*np.diff(way, axis=0).T)
    if not 0 <= distance <= lengths.sum():
        return None
    gone = np.concatenate([[0.0], np.cumsum(lengths)])
    return np.array([np.interp(distance, gone, way[:, side]) for side in (0, 1)])


def _seen(x: float, away: float) -> tuple[float, float]:
    """Metres on the road -> pixels."""
    true = np.array([[0, 0], [ROAD_M[0], 0], ROAD_M, [0, ROAD_M[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform(true, np.array(ROAD, np.float32))
    px, py, scale = matrix @ (x, away, 1.0)
    return float(px / scale), float(py / scale)


def _car_m(image: Image, middle: float, away: float, paint: int, *, left: bool = False) -> None:
    begin, end = _seen(middle - CAR_M / 2, away), _seen(middle + CAR_M / 2, away)
    car(image, begin, end[0] - begin[0], PAINT[paint], left=left)


def _person_m(image: Image, x: float, away: float, stride: float) -> None:
    foot, beside = _seen(x, away), _seen(x + 1, away)
    person(image, foot, PERSON_M * (beside[0] - foot[0]) * 1.6, stride, WARDROBE[3])


@clip("speeds")
def speeds(moment: float) -> Image:
    """A car to the right at `NEAR_KMH` on the near lane, from 1 s on one to the left at `FAR_KMH` on the far lane."""
    image = street()
    _car_m(image, -3 + NEAR_KMH / 3.6 * moment, 1.0, 0)
    if moment >= 1:
        _car_m(image, 27 - FAR_KMH / 3.6 * (moment - 1), 6.0, 2, left=True)
    return with_noise(image, moment)


@clip("close-call")
def close_call(moment: float) -> Image:
    """Somebody crosses the road; a car at 36 km/h brakes from 1.2 s on, and stands two metres from them at 2.2 s."""
    image = street()
    _person_m(image, 15.5, 5.5 - 1.4 * moment, STRIDE * moment)
    braking = float(np.clip(moment - 1.2, 0, 1.0))
    _car_m(image, -5.8 + 10 * min(moment, 1.2) + 10 * braking - 5 * braking**2, 2.6, 1)
    return with_noise(image, moment)


@clip("wide-berth")
def wide_berth(moment: float) -> Image:
    """Somebody walks along the far edge of the road; a car at 36 km/h passes on the near lane."""
    image = street()
    _person_m(image, 14 + 0.5 * moment, 7.0, STRIDE * moment)
    _car_m(image, -4 + 10 * moment, 1.0, 1)
    return with_noise(image, moment)


SIGNAL = ((540.0, 40.0), (590.0, 40.0), (590.0, 150.0), (540.0, 150.0))
"""Where the signal of the crossing hangs, pixels."""
_LAMPS: dict[str, tuple[int, Colour]] = {
    "red": (60, (40, 40, 250)), "yellow": (95, (40, 200, 255)), "green": (130, (150, 245, 60))
}  # fmt: skip


def _signal(image: Image, lit: str) -> None:
    cv2.rectangle(image, (560, 150), (570, 250), (70, 72, 74), cv2.FILLED)
    cv2.rectangle(image, (540, 40), (590, 150), (30, 30, 32), cv2.FILLED)
    for name, (y, colour) in _LAMPS.items():
        dark: Colour = (colour[0] // 6, colour[1] // 6, colour[2] // 6)
        cv2.circle(image, (565, y), 14, colour if name == lit else dark, cv2.FILLED, cv2.LINE_AA)
        if name == lit:
            cv2.circle(image, (565, y), 6, (235, 250, 255), cv2.FILLED, cv2.LINE_AA)


@clip("signal")
def signal(moment: float) -> Image:
    """A signal: red to 3 s, green to 6 s, yellow to 7 s, then off."""
    image = street()
    _signal(image, "red" if moment < 3 else "green" if moment < 6 else "yellow" if moment < 7 else "")
    return with_noise(image, moment)


def _crossing(moment: float, *walkers: float) -> Image:
    """A crossing whose signal is green to 3 s and red then; people step onto it (x = 200) at those seconds."""
    image = street()
    for stripe in range(6):
        cv2.rectangle(image, (200 + 42 * stripe, 270), (222 + 42 * stripe, 352), (225, 225, 225), cv2.FILLED)
    _signal(image, "green" if moment < 3 else "red")
    for at, start in enumerate(walkers):
        x = 200 + 70 * (moment - start)
        if -40 < x < WIDTH + 40:
            person(image, (x, 340 - 12 * at), 140, STRIDE * moment, WARDROBE[at])
    return with_noise(image, moment)


@clip("crossing-at-red")
def crossing_at_red(moment: float) -> Image:
    """One steps onto the crossing at 1 s, while it is green, and is still on it at red; one at 5 s, at red."""
    return _crossing(moment, 1.0, 5.0)


@clip("crossing-at-green")
def crossing_at_green(moment: float) -> Image:
    """One steps onto the crossing at 0.5 s and one at 1.5 s, while it is green; both are still on it at red."""
    return _crossing(moment, 0.5, 1.5)


def _visit_of_lorry(moment: float, *, dumps: bool) -> Image:
    image = street()
    if dumps and moment >= 4.2:
        heap(image, (150, 330), 110, np.random.default_rng(3))
    place = 200 - 330 * max(2.5 - moment, 0.0) + 330 * max(moment - 5.0, 0.0)
    if -300 < place < WIDTH + 20:
        truck(image, (place, 335), 280)
    return with_noise(image, moment)


@clip("lorry-dumps")
def lorry_dumps(moment: float) -> Image:
    """A lorry stands from 2.5 s to 5 s; at 4.2 s a heap of rubbish lies behind it, and stays."""
    return _visit_of_lorry(moment, dumps=True)


@clip("lorry-stops")
def lorry_stops(moment: float) -> Image:
    """A lorry stands from 2.5 s to 5 s, and leaves nothing behind."""
    return _visit_of_lorry(moment, dumps=False)
