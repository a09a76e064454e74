"""Pictures. Input: a byte that chooses the declared content type, then the file."""

from __future__ import annotations

import cv2
import numpy as np

from aihub.serve.pictures import CONTENT_TYPES, check_picture, decode_picture
from aihub.types import Frame
from tests.fuzz.law import read_or_refused
from tests.serve.hub import encoded

LONGEST = 4096
MAX_PIXELS = 128 * 128
WORDS = (
    b"\xff\xd8\xff\xe0", b"\xff\xc0\x00\x11\x08", b"\xff\xc4", b"\xff\xda", b"\xff\xd9", b"\x89PNG\r\n\x1a\n", b"IHDR", b"IDAT", b"acTL",
    b"fcTL", b"IEND\xaeB`\x82", b"RIFF", b"WEBPVP8 ", b"WEBPVP8L", b"WEBPVP8X", b"ANIM", b"ANMF", b"BM", b"\x28\0\0\0", b"\xff\xe1Exif\0\0",
)  # fmt: skip
_TYPES = ("", "image/webp; x", *CONTENT_TYPES)


def check(data: bytes) -> bool:
    """A picture of the size that its header said, within the bound, or a refusal."""
    kind, file = _TYPES[data[0] % len(_TYPES)] if data else "", data[1:]
    frame = read_or_refused(lambda: decode_picture(file, kind, max_pixels=MAX_PIXELS), named=False)
    if frame is None:
        return False
    _law(frame, file)
    return True


def _law(frame: Frame, file: bytes) -> None:
    header = check_picture(file, max_pixels=MAX_PIXELS)
    assert frame.image.dtype == np.uint8
    assert frame.image.shape[2] == 3
    assert {frame.width, frame.height} == {header.width, header.height}
    assert 1 <= frame.width * frame.height <= MAX_PIXELS


def seeds() -> list[bytes]:
    """Each format in both its usual forms."""
    grey = np.full((9, 7), 40, np.uint8)
    made = [encoded(kind, 12, 8) for kind in ("jpg", "png", "webp", "bmp")]
    for kind, given in (
        (".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE),
        (".png", cv2.IMWRITE_PNG_BILEVEL),
        (".webp", None),
    ):
        options = [cv2.IMWRITE_WEBP_QUALITY, 101] if given is None else [given, 1]
        done, data = cv2.imencode(kind, grey, options)
        assert done
        made.append(data.tobytes())
    return [b"\0" + data for data in made]
