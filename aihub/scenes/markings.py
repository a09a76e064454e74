"""Things that carry letters: containers, vehicle plates, meters, packages, banners, shops, gauges, cameras' clocks."""

from __future__ import annotations

import datetime as dt

import cv2
import numpy as np

from aihub.scenes.brush import Colour
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, picture, street, with_noise
from aihub.scenes.lettering import INK, seen, sheet, write
from aihub.types import Image

WHITE: Colour = (245, 245, 245)
CONTAINER = "CSQU3054383"
"""The example of ISO 6346; as made up as its owner."""
VIN = "1M8GDM9AXKP042788"
"""The example of the check digit's definition."""
START = dt.datetime(2026, 1, 1, 8, tzinfo=dt.timezone(dt.timedelta(hours=8)))
"""What clocks in China show at the first frame of an example, `EPOCH`."""


def container(code: str = CONTAINER, *, upright: bool = False) -> Image:
    """The door end of a container with its number; `upright` writes it from top to bottom in three parts."""
    image = np.full((HEIGHT, WIDTH, 3), (90, 80, 150), np.uint8)
    for x in range(0, WIDTH, 32):
        cv2.rectangle(image, (x, 0), (x + 12, HEIGHT), (76, 66, 132), cv2.FILLED)
    owner, serial, check = code[:4], code[4:10], code[10:]
    if upright:
        write(image, owner, (240, 110), 46, WHITE, 600)
        write(image, serial, (240, 172), 46, WHITE, 600)
        write(image, check, (240, 234), 46, WHITE, 600)
        return with_noise(image, 1.0, 3.0)
    end = write(image, f"{owner} {serial}", (110, 120), 52, WHITE, 600)
    cv2.rectangle(image, (end + 12, 74), (end + 58, 132), WHITE, 2)
    write(image, check, (end + 20, 120), 52, WHITE, 600)
    write(image, "22G1", (110, 190), 46, WHITE, 600)
    write(image, "MAX GROSS 30480 KG", (110, 260), 24, WHITE)
    return with_noise(image, 1.0, 3.0)


@picture("container")
def _container() -> Image:
    return container()


@picture("container-in-three-lines")
def _container_upright() -> Image:
    return container(upright=True)


@picture("container-wrong")
def _container_wrong() -> Image:
    return container("CSQU3054384")


def vehicle_plate(code: str = VIN) -> Image:
    """A maker's plate under a bonnet."""
    plate = sheet(WIDTH, HEIGHT, (176, 178, 180))
    cv2.rectangle(plate, (8, 8), (WIDTH - 8, HEIGHT - 8), (110, 112, 116), 3)
    write(plate, "SPECIMEN MOTORS", (40, 80), 34)
    write(plate, "VIN", (40, 150), 26)
    write(plate, code, (40, 210), 42)
    write(plate, "GVWR 2150 KG  MFD 06/2019", (40, 290), 28)
    return plate


@picture("vehicle-plate")
def _vehicle_plate() -> Image:
    return seen(vehicle_plate(), 21)


@picture("vehicle-plate-wrong")
def _vehicle_plate_wrong() -> Image:
    return seen(vehicle_plate(VIN.replace("042788", "042789")), 22)


def meter(reading: str = "04817.6") -> Image:
    """A water meter: white digits on black drums behind glass."""
    image = np.full((HEIGHT, WIDTH, 3), (120, 130, 130), np.uint8)
    cv2.circle(image, (320, 180), 170, (235, 238, 238), cv2.FILLED, cv2.LINE_AA)
    cv2.circle(image, (320, 180), 170, (90, 90, 90), 6, cv2.LINE_AA)
    cv2.rectangle(image, (190, 120), (450, 190), (30, 30, 30), cv2.FILLED)
    write(image, reading, (206, 176), 56, WHITE, 600)
    write(image, "m3", (458, 176), 24, INK)
    write(image, "Qn 2.5  No 778812", (220, 250), 20, INK)
    return with_noise(image, 2.0, 3.0)


@picture("water-meter")
def _meter() -> Image:
    return meter()


def package(lines: tuple[str, ...]) -> Image:
    """A label with dates."""
    paper = sheet(WIDTH, HEIGHT, (238, 244, 246))
    for row, text in enumerate(lines):
        write(paper, text, (50, 90 + row * 72), 34)
    return paper


@picture("package-expired")
def _package_expired() -> Image:
    return seen(package(("样本牛奶", "生产日期：2025年06月01日", "有效期至：2025年12月31日")), 23)


@picture("package-fresh")
def _package_fresh() -> Image:
    return seen(package(("SPECIMEN MILK", "MFG 01 DEC 2025", "BEST BEFORE 15 MAR 2026")), 24)


@picture("package-keeps")
def _package_keeps() -> Image:
    return seen(package(("样本饼干", "生产日期 2025/03/10", "保质期 9个月")), 25)


def _over_street(text: str, cloth: Colour, ink: Colour) -> Image:
    image = street()
    cv2.rectangle(image, (60, 30), (580, 86), cloth, cv2.FILLED)
    write(image, text, (80, 74), 40, ink, 600)
    return with_noise(image, 3.0)


@picture("banner")
def _banner() -> Image:
    """A banner over the street: red cloth, white letters."""
    return _over_street("清仓大甩卖 全场一折起", (40, 40, 200), WHITE)


@picture("banner-allowed")
def _banner_allowed() -> Image:
    return _over_street("文明城市 你我共建", (40, 40, 200), WHITE)


@picture("shop")
def _shop() -> Image:
    """A shop: its sign over the door, small print in the window."""
    image = street()
    cv2.rectangle(image, (150, 60), (500, 240), (150, 170, 190), cv2.FILLED)
    cv2.rectangle(image, (150, 60), (500, 120), (60, 90, 30), cv2.FILLED)
    write(image, "样本便民超市", (180, 108), 46, WHITE, 700)
    cv2.rectangle(image, (180, 140), (300, 220), (230, 232, 232), cv2.FILLED)
    write(image, "营业时间 8:00-22:00", (184, 170), 11)
    return with_noise(image, 4.0)


def clock(moment: float, ahead_s: float) -> Image:
    """A camera's picture with its clock burnt in, that many seconds ahead of the true time."""
    image = with_noise(street(), moment)
    shown = START + dt.timedelta(seconds=moment + ahead_s)
    cv2.rectangle(image, (4, 4), (330, 36), (30, 30, 30), cv2.FILLED)
    write(image, f"{shown:%Y-%m-%d %H:%M:%S}", (12, 30), 26, WHITE)
    return image


@clip("clock-right")
def _clock_right(moment: float) -> Image:
    return clock(moment, 0.0)


@clip("clock-behind")
def _clock_behind(moment: float) -> Image:
    """Ninety seconds behind."""
    return clock(moment, -90.0)


@clip("clock-stopped")
def _clock_stopped(moment: float) -> Image:
    """The clock says for ever what it said an hour ago."""
    return clock(moment, -3600.0 - moment)
