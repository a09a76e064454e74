"""Drawn scenes: the same by seed, of the size asked for, and what the truth says is really in the pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice, pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from aihub.bench import footage
from aihub.bench.cameras import h264
from aihub.bench.footage import Footage, Truth
from aihub.errors import InputError
from aihub.types.frame import Image


def _at(clip: Footage, *times: float) -> list[Image]:
    """Pictures at some times, seconds, ascending."""
    wanted = [round(time * clip.fps) for time in times]
    shown = islice(clip.frames(), wanted[-1] + 1)
    return [image for number, image in enumerate(shown) if number in wanted]


def _sharpness(image: Image) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var())


def _flames(image: Image, box: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    height, width = image.shape[:2]
    left, top, right, bottom = box
    part = image[int(top * height) : int(bottom * height), int(left * width) : int(right * width)].astype(int)
    blue, green, red = part[..., 0], part[..., 1], part[..., 2]
    return np.asarray((red > 190) & (red > green) & (green > blue) & (red - blue > 80))


@pytest.mark.parametrize("name", list(footage.SCENES))
def test_scenes_are_the_same_each_time_and_as_asked(name: str) -> None:
    clip = footage.SCENES[name]()
    first = [image for image, _ in zip(clip.frames(), range(45), strict=False)]
    again = [image for image, _ in zip(clip.frames(), range(45), strict=False)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(image.shape == (clip.size[1], clip.size[0], 3) and image.dtype == np.uint8 for image in first)
    assert any(not np.array_equal(first[0], image) for image in first)
    assert len({id(image) for image in first}) == len(first)
    assert all(0 <= one.start < one.end for one in clip.truth)


def test_length_size_and_rate_can_be_chosen() -> None:
    clip = footage.quality(size=(320, 180), fps=5, seconds=3, seed=9)
    images = list(clip.frames())
    assert len(images) == 15
    assert images[0].shape == (180, 320, 3)
    other = next(footage.quality(size=(320, 180), fps=5, seconds=3, seed=10).frames())
    assert not np.array_equal(images[0], other)


@pytest.mark.parametrize(
    "options",
    [{"size": (10, 10)}, {"fps": 0}, {"seconds": -1}, {"seconds": 1e9}, {"size": (99999, 80)}],
    ids=str,
)
def test_impossible_footage_is_refused(options: dict[str, float]) -> None:
    make: Callable[..., Footage] = footage.fire
    with pytest.raises(InputError):
        make(**options)


def test_the_fire_burns_where_and_when_the_truth_says_and_flickers() -> None:
    clip = footage.fire()
    truth = next(one for one in clip.truth if one.kind == "fire")
    assert truth.box
    before, *burning = _at(clip, 2.0, 8.0, 8.1, 8.2, 8.3, 10.0)
    assert not _flames(before, (0, 0, 1, 1)).any()
    masks = [_flames(image, truth.box) for image in burning]
    assert all(0.1 < mask.mean() < 0.7 for mask in masks)
    assert all(np.mean(a != b) > 0.05 for a, b in pairwise(masks))
    for image, mask in zip(burning, masks, strict=True):
        assert _flames(image, (0, 0, 1, 1)).sum() == mask.sum()  # nothing burns elsewhere


def test_the_smoke_rises_above_the_fire() -> None:
    clip = footage.fire()
    before, after = _at(clip, 2.0, 8.0)
    changed = np.abs(after.astype(int) - before).max(axis=2) > 20
    top = changed[: clip.size[1] // 3]
    assert 0.02 < top.mean() < 0.4


def test_the_codes_can_be_read_while_the_vans_stand() -> None:
    clip = footage.codes()
    read = set()
    standing = [one for one in clip.truth if one.kind == "code" and one.end <= clip.seconds]
    images = _at(clip, *((one.start + one.end) / 2 for one in standing))
    for one, image in zip(standing, images, strict=True):
        text, _, _ = cv2.QRCodeDetector().detectAndDecode(image)
        assert text == one.text
        read.add(text)
    assert len(read) == 3


def test_the_camera_goes_black_freezes_and_blurs_when_the_truth_says() -> None:
    clip = footage.quality(spell_s=3.0)
    images = list(clip.frames())
    spells = {one.kind: one for one in clip.truth}
    assert list(spells) == ["black", "frozen", "blurred"]

    def shown(one: Truth) -> list[Image]:
        return images[round(one.start * clip.fps) : round(one.end * clip.fps)]

    good = images[: round(3 * clip.fps)]
    assert max(float(image.mean()) for image in shown(spells["black"])) < 10
    assert all(np.array_equal(shown(spells["frozen"])[0], image) for image in shown(spells["frozen"]))
    assert all(not np.array_equal(a, b) for a, b in pairwise(good))
    assert max(map(_sharpness, shown(spells["blurred"]))) < 0.1 * min(map(_sharpness, good))


def test_a_car_parks_in_the_yard() -> None:
    clip = footage.yard()
    box = next(one.box for one in clip.truth if one.kind == "parked")
    assert box
    empty, parked, later, gone = _at(clip, 1.0, 7.0, 14.0, 19.5)
    left, top, right, bottom = (round(v * s) for v, s in zip(box, clip.size * 2, strict=True))
    part = np.s_[top:bottom, left:right]
    assert np.abs(parked[part].astype(int) - empty[part]).mean() > 15
    assert np.abs(parked[part].astype(int) - later[part]).mean() < 8
    assert np.abs(gone[part].astype(int) - empty[part]).mean() < 8


@pytest.mark.parametrize("name", list(footage.SCENES))
def test_scenes_cost_little_to_draw_and_to_send(name: str) -> None:
    clip = footage.SCENES[name]()
    encoder = h264.Encoder(*clip.size)
    images = [image for image, _ in zip(clip.frames(), range(80), strict=False)]
    begin = time.process_time()
    sizes = [len(encoder.encode(image).nal) for image in images]
    assert (time.process_time() - begin) / len(images) < 0.010
    assert np.mean(sizes) < 80_000
