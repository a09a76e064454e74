"""The H.264 writer: codes round-trip, and an independent decoder (FFmpeg in OpenCV) shows the very same samples."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.bench.cameras import h264
from aihub.errors import InputError
from aihub.types.frame import Image


def _read_ue(data: bytes, at: int) -> tuple[int, int]:
    bits = "".join(f"{byte:08b}" for byte in data)
    zeros = bits.index("1", at) - at
    end = at + 2 * zeros + 1
    return int(bits[at + zeros : end], 2) - 1, end


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=20))
def test_exp_golomb_codes_can_be_read_back(values: list[int]) -> None:
    data = h264.Bits().ue(*values).stop().aligned()
    found, at = [], 0
    for _ in values:
        value, at = _read_ue(data, at)
        found.append(value)
    assert found == values


@pytest.mark.parametrize(
    ("value", "code"),
    [(0, "1"), (1, "010"), (-1, "011"), (2, "00100"), (-2, "00101"), (3, "00110")],
    ids=str,
)
def test_signed_codes_are_those_of_table_9_3(value: int, code: str) -> None:
    data = h264.Bits().se(value).aligned()
    assert f"{data[0]:08b}".startswith(code)


@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 255]), max_size=200).map(bytes))
def test_escaping_hides_every_start_code_and_can_be_undone(payload: bytes) -> None:
    # A payload always ends with its stop bit, so never with a zero byte.
    payload += b"\x80"
    escaped = h264.escape(payload)
    assert not any(code in escaped for code in (b"\x00\x00\x00", b"\x00\x00\x01", b"\x00\x00\x02"))
    assert h264.unescape(escaped) == payload


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_a_stream_splits_into_the_units_it_was_joined_from(payloads: list[bytes]) -> None:
    units = [h264.nal(1, payload + b"\x80") for payload in payloads]
    assert h264.split_annexb(h264.join_annexb(units)) == units


def _luma(image: Image) -> npt.NDArray[np.uint8]:
    height, width = image.shape[0] & ~1, image.shape[1] & ~1
    planes = cv2.cvtColor(image[:height, :width], cv2.COLOR_BGR2YUV_I420)
    return np.asarray(planes[:height], np.uint8)


def _decode(stream: bytes, folder: Path) -> list[npt.NDArray[np.uint8]]:
    """Luma of every picture, without conversion."""
    path = folder / "stream.h264"
    path.write_bytes(stream)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_CONVERT_RGB, 0])
    pictures: list[npt.NDArray[np.uint8]] = []
    while True:
        ok, picture = capture.read()
        if not ok:
            return pictures
        pictures.append(np.asarray(picture, np.uint8))


@pytest.mark.parametrize(
    ("width", "height", "why"),
    [
        (640, 360, "360 is no multiple of 16: cropping"),
        (320, 240, "whole macroblocks"),
        (101, 57, "odd: the last column and row are lost"),
        (16, 16, "one macroblock"),
        (2, 2, "the smallest"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
def test_a_decoder_shows_the_same_samples(width: int, height: int, why: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    encoder = h264.Encoder(width, height, fps=12)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    images: list[Image] = []
    stream = list(encoder.parameter_sets)
    for number in range(12):
        image = image.copy()
        left, top = rng.integers(0, width), rng.integers(0, height)
        image[top : top + 20, left : left + 30] = rng.integers(0, 256, 3, np.uint8)
        if number == 5:
            image = images[-1]  # nothing changes: every macroblock is skipped
        images.append(image)
        stream.append(encoder.encode(image, key=number == 8).nal)
    shown = _decode(h264.join_annexb(stream), tmp_path)
    assert len(shown) == len(images)
    for picture, image in zip(shown, images, strict=True):
        np.testing.assert_array_equal(picture, _luma(image))


def test_colours_come_back(tmp_path: Path) -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :32], image[:, 32:64], image[:, 64:] = (200, 40, 30), (40, 180, 60), (30, 60, 210)
    encoder = h264.Encoder(96, 64)
    path = tmp_path / "colours.h264"
    path.write_bytes(h264.join_annexb([*encoder.parameter_sets, encoder.encode(image).nal]))
    ok, shown = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()
    assert ok
    assert np.abs(np.asarray(shown, np.int16) - image).max() <= 6


def test_a_still_picture_costs_a_few_bytes() -> None:
    encoder = h264.Encoder(640, 360)
    image = np.full((360, 640, 3), 90, np.uint8)
    encoder.encode(image)
    coded = encoder.encode(image)
    assert (coded.changed, coded.key) == (0, False)
    assert len(coded.nal) < 16


def test_small_changes_are_skipped_but_do_not_add_up(tmp_path: Path) -> None:
    encoder = h264.Encoder(64, 64, threshold=4)
    stream, images = list(encoder.parameter_sets), []
    for number in range(20):
        images.append(np.full((64, 64, 3), 80 + number, np.uint8))
        stream.append(encoder.encode(images[-1]).nal)
    for picture, image in zip(_decode(h264.join_annexb(stream), tmp_path), images, strict=True):
        assert np.abs(picture.astype(int) - _luma(image)).max() <= 4


def test_the_picture_number_wraps(tmp_path: Path) -> None:
    encoder = h264.Encoder(16, 16)
    image = np.zeros((16, 16, 3), np.uint8)
    stream = [*encoder.parameter_sets, encoder.encode(image).nal]
    stream += [h264.skipped(encoder.macroblocks, number) for number in range(1, 600)]
    assert len(_decode(h264.join_annexb(stream), tmp_path)) == 600


@pytest.mark.parametrize(
    ("shape", "why"),
    [((48, 64, 3), "another size"), ((64, 64), "grey"), ((64, 64, 4), "four channels")],
    ids=str,
)
def test_pictures_of_another_form_are_refused(shape: tuple[int, ...], why: str) -> None:
    with pytest.raises(InputError):
        h264.Encoder(64, 64).encode(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (0, 10), (16384, 16384)])
def test_impossible_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(InputError):
        h264.Encoder(width, height)


def test_a_small_moving_object_takes_less_than_ten_milliseconds_a_frame() -> None:
    encoder = h264.Encoder(640, 360)
    still = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    encoder.encode(still)
    spent = []
    for number in range(40):
        image = still.copy()
        cv2.circle(image, (40 + 10 * number, 180), 24, (0, 0, 255), -1)
        begin = time.perf_counter()
        encoder.encode(image)
        spent.append(time.perf_counter() - begin)
    assert float(np.median(spent)) < 0.010
