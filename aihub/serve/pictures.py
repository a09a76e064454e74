"""Bytes from the network to a `Frame`: what they are and how large is read from the header before anything is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from aihub.errors import ImageDecodeError, TooLargeError, UnsupportedTypeError
from aihub.types import Frame

Format = Literal["jpeg", "png", "webp", "bmp"]

CONTENT_TYPES: dict[str, Format] = {
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/pjpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "image/bmp": "bmp",
    "image/x-ms-bmp": "bmp",
    "image/x-bmp": "bmp",
}
"""Content type -> format it promises."""

UNDECLARED = frozenset({"", "application/octet-stream", "image/*", "*/*"})
"""Content types that promise nothing: the bytes decide."""

READS = "send JPEG, PNG, WebP or BMP"

_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"%PDF", "PDF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftyp", "MP4"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
)
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PNG_PARTS = 65_536
_JPEG_END = b"\xff\xd9"
# Start-of-frame markers carry the size; C4, C8 and CC in their midst are tables and extensions.
_JPEG_SIZE = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes say.

    Attributes:
        format: what kind of picture.
        width: columns, pixels.
        height: rows, pixels.
        whole: False when the end that the format promises is not there.
    """

    format: Format
    width: int
    height: int
    whole: bool


def read_header(data: bytes) -> Header:
    """Format, size and completeness, without decoding; time is bounded by the number of header segments.

    Raises:
        UnsupportedTypeError: a picture or file of a kind that is not read here.
        ImageDecodeError: not a picture, or its header is broken.
    """
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
    except (struct.error, IndexError) as error:
        raise ImageDecodeError(
            "the picture ends inside its header", hint="was the upload cut off?"
        ) from error
    for offset, magic, name in _OTHERS:
        if data.startswith(magic, offset):
            raise UnsupportedTypeError(f"{name} is not read here", hint=READS)
    raise ImageDecodeError("the bytes are not a picture" if data else "the picture is empty", hint=READS)


def sniff(start: bytes | bytearray) -> None:
    """Whether a file that begins like this may be a picture that is read here; 16 bytes are enough to say.

    Raises:
        UnsupportedTypeError: a picture or file of a kind that is not read here.
        ImageDecodeError: not a picture.
    """
    known = (b"\xff\xd8\xff", _PNG, b"BM")
    if not start.startswith(known) and (start[:4], start[8:12]) != (b"RIFF", b"WEBP"):
        read_header(bytes(start))


def _jpeg(data: bytes) -> Header:
    width = height = 0
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ImageDecodeError("the JPEG header is broken")
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2
        if marker in _JPEG_BARE:
            continue
        if marker == 0xD9:
            raise ImageDecodeError("the JPEG has no picture in it")
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise ImageDecodeError("the JPEG header is broken")
        if marker in _JPEG_SIZE:
            height, width = struct.unpack_from(">HH", data, at + 3)
        if marker == 0xDA:
            # Searched behind the start of scan: a thumbnail inside the header has an end marker of its own.
            return Header("jpeg", width, height, data.rfind(_JPEG_END, at) >= 0)
        at += length


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise ImageDecodeError("the PNG header is broken")
    width, height = struct.unpack_from(">II", data, 16)
    return Header("png", width, height, _png_ends(data))


def _png_ends(data: bytes) -> bool:
    """Whether all parts are there up to the last. The decoder believes what a part says of its length: 80 bytes can have it take 4 GB."""
    at = 8
    for _ in range(_MOST_PNG_PARTS):
        if at + 12 > len(data):
            return False
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if at > len(data):
            return False
        if kind == b"IEND":
            # An end that is not empty is none to the decoder, which then reads what lies behind it.
            return bool(length == 0)
    raise ImageDecodeError("the PNG has too many parts")


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        width, height = (high_w << 16 | low_w) + 1, (high_h << 16 | low_h) + 1
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ImageDecodeError("the WebP header is broken")
    (size,) = struct.unpack_from("<I", data, 4)
    return Header("webp", width, height, len(data) >= size + 8)


def _bmp(data: bytes) -> Header:
    pixels, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative means top-down
    rows = (max(width, 0) * bits + 31) // 32 * 4
    return Header("bmp", max(width, 0), height, compression != 0 or len(data) >= pixels + rows * height)


def check_picture(data: bytes, content_type: str = "", *, max_pixels: int) -> Header:
    """Whether these bytes may be decoded.

    Args:
        data: the file.
        content_type: what the sender says it is, without parameters; empty when nothing was said.
        max_pixels: most pixels allowed.

    Returns:
        The header.

    Raises:
        UnsupportedTypeError: a kind that is not read, or not the kind that was declared.
        TooLargeError: more pixels than allowed.
        ImageDecodeError: not a picture, or not all of it.
    """
    declared = CONTENT_TYPES.get(content_type)
    if declared is None and content_type not in UNDECLARED:
        raise UnsupportedTypeError(f"content type {content_type!r} is not read here", hint=READS)
    header = read_header(data)
    if declared is not None and header.format != declared:
        raise UnsupportedTypeError(
            f"the content type says {declared} but the bytes are {header.format}",
            hint=f"send Content-Type: image/{header.format}",
        )
    if header.width < 1 or header.height < 1:
        raise ImageDecodeError("the picture has no pixels")
    if header.width * header.height > max_pixels:
        raise TooLargeError(
            f"the picture is {header.width} x {header.height} pixels, at most {max_pixels:,} are allowed",
            hint="send it smaller; detectors look at a few hundred pixels a side",
        )
    if not header.whole:
        raise ImageDecodeError("the picture is cut off", hint="was the upload complete?")
    return header


def decode_picture(
    data: bytes, content_type: str = "", *, max_pixels: int, max_bytes: int | None = None, source: str = ""
) -> Frame:
    """Decode one picture. Orientation in EXIF is applied, transparency and depth beyond 8 bits are dropped.

    Args:
        data: the file.
        content_type: what the sender says it is, without parameters.
        max_pixels: most pixels allowed.
        max_bytes: most bytes allowed, None when that was checked before.
        source: name for `Frame.source`.

    Raises:
        UnsupportedTypeError: see `check_picture`.
        TooLargeError: see `check_picture`.
        ImageDecodeError: see `check_picture`, or the decoder refused it.
    """
    if max_bytes is not None and len(data) > max_bytes:
        raise TooLargeError(f"the picture has {len(data):,} bytes, at most {max_bytes:,} are allowed")
    header = check_picture(data, content_type, max_pixels=max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageDecodeError(f"the {header.format} picture cannot be decoded") from error
    # OpenCV may give back a smaller or grey stand-in for a broken file; the header is what was promised.
    if image is None or image.ndim != 3 or {*image.shape[:2]} != {header.height, header.width}:
        raise ImageDecodeError(f"the {header.format} picture cannot be decoded")
    return Frame(np.asarray(image, np.uint8), source)  # no copy: it is of that type
