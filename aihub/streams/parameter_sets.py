"""Sequence parameter sets: how large the pictures of a stream will be, read before the first one is decoded.

Clause numbers in comments are those of ITU-T H.264 and H.265. The bytes come from the network: whatever is cut off,
impossible or unknown gives None, and no input takes more than a few hundred steps.
"""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST = 4096
_LARGEST_SIDE = 16384
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_CHROMA_STEPS = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What a decoder must be set up for.

    Attributes:
        width: columns that are shown, 1..16384.
        height: rows that are shown, 1..16384.
        chroma: chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
        depth: bits per luma sample, 8..16.
    """

    width: int
    height: int
    chroma: int = 1
    depth: int = 8


def picture_format(codec: str, unit: bytes) -> PictureFormat | None:
    """Read a sequence parameter set.

    Args:
        codec: H264 or H265.
        unit: NAL unit with its header, without start code, as it travels.
    """
    if len(unit) > _LONGEST:
        return None
    try:
        found = _h264(unit) if codec == "H264" else _h265(unit)
    except _ShortError:
        return None
    if not (0 < found.width <= _LARGEST_SIDE and 0 < found.height <= _LARGEST_SIDE):
        return None
    return found if 0 <= found.chroma <= 3 and 8 <= found.depth <= 16 else None


class _ShortError(Exception):
    """The bits are at an end, or a code is longer than any that means something."""


class _Bits:
    __slots__ = ("_left", "_value")

    def __init__(self, payload: bytes) -> None:
        # Emulation prevention bytes are no part of the syntax (7.4.1).
        plain = payload.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def take(self, width: int) -> int:
        self._left -= width
        if self._left < 0:
            raise _ShortError
        return (self._value >> self._left) & ((1 << width) - 1)

    def ue(self) -> int:
        """Unsigned Exp-Golomb code (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise _ShortError
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        """Signed Exp-Golomb code (9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def _h264(unit: bytes) -> PictureFormat:
    bits = _Bits(unit[1:])
    profile = bits.take(8)
    bits.take(16)  # constraints, level
    bits.ue()  # id
    chroma, depth, separate = 1, 8, 0
    if profile in _WITH_CHROMA:
        chroma = bits.ue()
        separate = bits.take(1) if chroma == 3 else 0
        depth = 8 + bits.ue()
        bits.ue()
        bits.take(1)
        if bits.take(1):
            _skip_scaling(bits, 12 if chroma == 3 else 8)
    bits.ue()  # log2_max_frame_num
    _skip_order(bits)
    bits.ue()  # reference pictures
    bits.take(1)
    columns, rows = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.take(1)
    if not frames_only:
        rows *= 2
        bits.take(1)
    bits.take(1)
    left = right = top = bottom = 0
    if bits.take(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    step_x, step_y = (1, 1) if separate else _CHROMA_STEPS.get(chroma, (1, 1))
    step_y *= 2 - frames_only  # (7-20)
    return PictureFormat(
        16 * columns - step_x * (left + right), 16 * rows - step_y * (top + bottom), chroma, depth
    )


def _skip_scaling(bits: _Bits, lists: int) -> None:
    """Read over the scaling lists (7.3.2.1.1.1)."""
    for number in range(lists):
        if not bits.take(1):
            continue
        last = following = 8
        for _ in range(16 if number < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def _skip_order(bits: _Bits) -> None:
    """Read over what says in which order pictures are shown."""
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.take(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def _h265(unit: bytes) -> PictureFormat:
    bits = _Bits(unit[2:])
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    _skip_profile(bits, layers)
    bits.ue()  # id
    chroma = bits.ue()
    separate = bits.take(1) if chroma == 3 else 0
    width, height = bits.ue(), bits.ue()
    left = right = top = bottom = 0
    if bits.take(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    depth = 8 + bits.ue()
    step_x, step_y = (1, 1) if separate else _CHROMA_STEPS.get(chroma, (1, 1))
    return PictureFormat(width - step_x * (left + right), height - step_y * (top + bottom), chroma, depth)


def _skip_profile(bits: _Bits, layers: int) -> None:
    """Read over profile, tier and level (7.3.3)."""
    bits.take(88 + 8)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
