"""Bytes to frames: what is read, what is refused, and that it is refused before decoding."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aihub.errors import ImageDecodeError, InputError, TooLargeError, UnsupportedTypeError
from aihub.serve.pictures import check_picture, decode_picture, read_header
from tests.serve.hub import encoded, picture

MANY = 50_000_000
KINDS = ("jpg", "png", "webp", "bmp")


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    scan = b"\xff\xda" + struct.pack(">H", 8) + b"\x01\x01\x00\x00\x3f\x00"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame + scan + b"\xff\xd9"


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHI", 54, 0, 0, 54, 40, width, height, 1, 24, 0) + b"\0" * 20


def webp_header(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + sides
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (53, 37), (640, 360)])
def test_every_kind_is_read(kind: str, width: int, height: int) -> None:
    header = read_header(encoded(kind, width, height))
    assert (header.width, header.height, header.whole) == (width, height, True)
    frame = decode_picture(encoded(kind, width, height), max_pixels=MANY, source="me")
    assert frame.image.shape == (height, width, 3)
    assert frame.image.dtype == np.uint8
    assert frame.source == "me"
    if kind in ("png", "bmp"):
        assert np.array_equal(frame.image, picture(width, height))


@pytest.mark.parametrize("quality", [50, 101], ids=["VP8", "VP8L"])
def test_both_codings_of_webp(quality: int) -> None:
    done, data = cv2.imencode(".webp", picture(77, 41), [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done
    assert data.tobytes()[12:16] == (b"VP8 " if quality == 50 else b"VP8L")
    header = read_header(data.tobytes())
    assert (header.width, header.height) == (77, 41)


def test_progressive_grey_and_deep_pictures_become_8_bit_bgr() -> None:
    grey = cv2.imencode(".png", picture()[:, :, 0])[1].tobytes()
    deep = cv2.imencode(".png", picture().astype(np.uint16) * 257)[1].tobytes()
    progressive = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    for data in (grey, deep, progressive):
        frame = decode_picture(data, max_pixels=MANY)
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8


def test_orientation_in_exif_is_applied() -> None:
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    jpeg = encoded("jpg", 64, 48)
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    assert decode_picture(turned, max_pixels=MANY).image.shape == (64, 48, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_refused(kind: str) -> None:
    data = encoded(kind, 53, 37)
    for end in range(len(data)):
        with pytest.raises(ImageDecodeError):
            decode_picture(data[:end], max_pixels=MANY)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture() -> None:
    thumbnail = b"Exif\0\0" + encoded("jpg", 16, 16)
    jpeg = encoded("jpg", 320, 240)
    framed = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + jpeg[2:]
    assert read_header(framed).width == 320
    with pytest.raises(ImageDecodeError, match="cut off"):
        check_picture(framed[:-400], max_pixels=MANY)


@pytest.mark.parametrize("make", [png_header, jpeg_header, bmp_header, webp_header])
def test_a_huge_header_is_refused_before_decoding(
    make: Callable[[int, int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("aihub.serve.pictures.cv2.imdecode", forbidden)
    with pytest.raises(TooLargeError, match="20000 x 20000"):
        decode_picture(make(20_000, 20_000), max_pixels=MANY)


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (b"", ImageDecodeError, "nothing was sent"),
        (b"hello, world", ImageDecodeError, "text"),
        (b"\xff\xd8\xff", ImageDecodeError, "only the magic of a JPEG"),
        (b"\xff\xd8\xff\xd9", ImageDecodeError, "a JPEG that ends at once"),
        (b"\xff\xd8\xff\xe0\x00\x01", ImageDecodeError, "a segment shorter than its own length"),
        (b"\xff\xd8\xff\xe0\x00\x04ab??", ImageDecodeError, "no marker where one must be"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, ImageDecodeError, "a PNG without IHDR"),
        (b"RIFF\x20\0\0\0WEBPABCD" + b"\0" * 30, ImageDecodeError, "a WebP of an unknown chunk"),
        (b"BM" + b"\0" * 60, ImageDecodeError, "a BMP of no size"),
        (jpeg_header(0, 10), ImageDecodeError, "no columns"),
        (jpeg_header(10, 10), ImageDecodeError, "a header and an end and nothing in between"),
        (png_header(10, 10) + b"\0\0\0\0IEND\xaeB`\x82", ImageDecodeError, "no pixels in the file"),
        (
            png_header(10, 10) + b"\xd0\0\0\0tEXt" + b"\0\0\0\0IEND\xaeB`\x82",
            ImageDecodeError,
            "a part that says it has gigabytes, for which the decoder would make room",
        ),
        (
            png_header(10, 10) + b"\0\0\0\4IEND" + b"\0" * 8,
            ImageDecodeError,
            "an end that is not empty: the decoder reads on behind it and believes what it finds",
        ),
        (png_header(10, 10) + b"\0\0\0\0tEXt\0\0\0\0" * 70_000, ImageDecodeError, "parts without end"),
        (b"GIF89a" + b"\0" * 20, UnsupportedTypeError, "a GIF"),
        (b"II*\0" + b"\0" * 20, UnsupportedTypeError, "a TIFF"),
        (b"%PDF-1.7", UnsupportedTypeError, "a PDF"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 20, UnsupportedTypeError, "a video"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_a_picture_is_refused(data: bytes, error: type[InputError], reason: str) -> None:
    with pytest.raises(error):
        decode_picture(data, max_pixels=MANY)


@pytest.mark.parametrize(
    ("declared", "kind", "fits"),
    [
        ("image/jpeg", "jpg", True),
        ("image/jpg", "jpg", True),
        ("", "png", True),
        ("application/octet-stream", "webp", True),
        ("image/bmp", "bmp", True),
        ("image/png", "jpg", False),
        ("image/jpeg", "png", False),
        ("image/gif", "jpg", False),
        ("text/plain", "jpg", False),
    ],
)
def test_the_declared_type_must_be_true(declared: str, kind: str, fits: bool) -> None:
    if fits:
        check_picture(encoded(kind), declared, max_pixels=MANY)
    else:
        with pytest.raises(UnsupportedTypeError):
            check_picture(encoded(kind), declared, max_pixels=MANY)


def test_size_limits_are_inclusive() -> None:
    data = encoded("png", 20, 10)
    decode_picture(data, max_pixels=200, max_bytes=len(data))
    with pytest.raises(TooLargeError):
        decode_picture(data, max_pixels=199)
    with pytest.raises(TooLargeError):
        decode_picture(data, max_pixels=200, max_bytes=len(data) - 1)


STARTS = [encoded(kind, 21, 13) for kind in KINDS] + [webp_header(300, 200), b"", b"GIF89a"]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(STARTS), st.integers(0, 200), st.binary(max_size=80), st.integers(0, 200))
@example(b"", 0, b"\xff\xd8\xff\xff\xff\xff", 0)
def test_no_bytes_at_all_raise_anything_else(start: bytes, at: int, noise: bytes, skip: int) -> None:
    data = start[:at] + noise + start[at + skip :]
    try:
        frame = decode_picture(data, max_pixels=100_000)
    except InputError:
        return
    assert frame.image.ndim == 3
    assert frame.image.size <= 300_000


@pytest.mark.media
def test_real_pictures(media: Path) -> None:
    found = sorted(path for path in (media / "images").rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))
    assert found
    for path in found[:20]:
        frame = decode_picture(path.read_bytes(), max_pixels=MANY)
        assert frame.image.tobytes() == np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR)).tobytes(), (
            path.name
        )
