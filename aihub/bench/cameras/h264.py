"""A small H.264 writer of our own: macroblocks that changed travel as raw samples, all others are skipped.

The pictures arrive bit-exact (after conversion to 4:2:0), any decoder reads them, no library and no licence is
involved, and drawing a camera costs a few milliseconds a frame. It compresses still scenes only: a changed macroblock
takes 386 bytes. Constrained Baseline, CAVLC, one slice a picture, one reference, no deblocking, output order = coding
order.

Clause numbers in comments are those of ITU-T H.264.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from aihub.errors import InputError
from aihub.types.frame import Image

START_CODE = b"\x00\x00\x00\x01"
SLICE, IDR, SEI, SPS, PPS, AUD = 1, 5, 6, 7, 8, 9
"""NAL unit types used here (table 7-1)."""

_MB_BYTES = 384
_FRAME_NUM_BITS = 8
_LEVELS = ((1620, 30), (3600, 31), (8192, 40), (22080, 50), (36864, 51))


class Bits:
    """A string of bits that grows at its end."""

    __slots__ = ("_length", "_value")

    def __init__(self) -> None:
        self._value = 0
        self._length = 0

    def put(self, value: int, width: int) -> Bits:
        """Append the lowest `width` bits of `value`, highest first."""
        self._value = (self._value << width) | (value & ((1 << width) - 1))
        self._length += width
        return self

    def flags(self, *values: int) -> Bits:
        """Append one bit for each value."""
        for value in values:
            self.put(value, 1)
        return self

    def ue(self, *values: int) -> Bits:
        """Append unsigned Exp-Golomb codes (9.1); each value is >= 0."""
        for value in values:
            self.put(value + 1, 2 * (value + 1).bit_length() - 1)
        return self

    def se(self, value: int) -> Bits:
        """Append a signed Exp-Golomb code (9.1.1)."""
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def stop(self) -> Bits:
        """Append the stop bit that ends a NAL unit's payload (7.3.2.11)."""
        return self.put(1, 1)

    def aligned(self) -> bytes:
        """The bits, filled with zeros to a whole number of bytes."""
        fill = -self._length % 8
        return (self._value << fill).to_bytes((self._length + fill) // 8, "big")


_UNSAFE = re.compile(rb"\x00\x00(?=[\x00-\x03])")


def escape(payload: bytes) -> bytes:
    """Insert emulation prevention bytes, so that no start code can appear inside (7.4.1)."""
    return _UNSAFE.sub(b"\x00\x00\x03", payload) if b"\x00\x00" in payload else payload


def unescape(data: bytes) -> bytes:
    """Undo `escape`."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


def nal(kind: int, payload: bytes, *, reference: int = 3) -> bytes:
    """A NAL unit: header byte and escaped payload.

    Args:
        kind: nal_unit_type, 1..23.
        payload: raw byte sequence that ends with the stop bit.
        reference: nal_ref_idc, 0..3.
    """
    return bytes((reference << 5 | kind,)) + escape(payload)


def split_annexb(stream: bytes) -> list[bytes]:
    """The NAL units of a byte stream with start codes, without the start codes and the zeros around them."""
    parts = re.split(rb"\x00\x00\x01", stream)[1:]
    return [part.rstrip(b"\x00") for part in parts if part.rstrip(b"\x00")]


def join_annexb(nals: tuple[bytes, ...] | list[bytes]) -> bytes:
    """A byte stream that decoders read from a `.h264` file."""
    return b"".join(START_CODE + unit for unit in nals)


def _sps(width: int, height: int, fps: float) -> bytes:
    columns, rows = -(-width // 16), -(-height // 16)
    level = next((level for most, level in _LEVELS if columns * rows <= most), None)
    if level is None:
        raise InputError(f"{width}x{height} is too large to encode", field="size")
    bits = Bits().put(66, 8).put(0b11000000, 8).put(level, 8)  # Constrained Baseline
    bits.ue(0, _FRAME_NUM_BITS - 4, 2, 1).flags(0)  # id, frame_num bits, POC type 2, one reference, no gaps
    bits.ue(columns - 1, rows - 1).flags(1, 1)  # frames only, direct 8x8 inference
    right, bottom = (columns * 16 - width) // 2, (rows * 16 - height) // 2
    if right or bottom:
        bits.flags(1).ue(0, right, 0, bottom)
    else:
        bits.flags(0)
    bits.flags(1, 0, 0)  # VUI; no aspect ratio, no overscan
    bits.flags(1).put(5, 3).flags(0, 1).put(6, 8).put(6, 8).put(6, 8)  # limited range, BT.601
    bits.flags(0, 1).put(1000, 32).put(round(2000 * fps), 32).flags(1)  # timing: two ticks a frame
    bits.flags(0, 0, 0)  # no HRD, no picture structure
    bits.flags(1, 1).ue(0, 0, 16, 16, 0, 1)  # bitstream restriction: no reordering, one picture held
    return nal(SPS, bits.stop().aligned())


def _pps() -> bytes:
    bits = Bits().ue(0, 0).flags(0, 0).ue(0, 0, 0).flags(0).put(0, 2)
    bits.se(0).se(0).se(0).flags(1, 0, 0)  # QPs; deblocking is controlled by the slices
    return nal(PPS, bits.stop().aligned())


def _header(*, key: bool, frame_num: int, idr_id: int) -> Bits:
    """Slice header (7.3.3) of a picture of one slice, deblocking off."""
    bits = Bits().ue(0, 7 if key else 5, 0).put(frame_num, _FRAME_NUM_BITS)
    if key:
        bits.ue(idr_id).flags(0, 0)
    else:
        bits.flags(0, 0, 0)
    return bits.se(0).ue(1)


def skipped(macroblocks: int, frame_num: int) -> bytes:
    """A P picture that repeats the one before it.

    Args:
        macroblocks: macroblocks in the picture.
        frame_num: number of the picture after the last IDR picture, from 1; wraps by itself.
    """
    bits = _header(key=False, frame_num=frame_num, idr_id=0).ue(macroblocks)
    return nal(SLICE, bits.stop().aligned())


@dataclass(frozen=True, slots=True)
class Coded:
    """One coded picture.

    Attributes:
        nal: its only slice, a NAL unit without start code.
        key: whether decoding can start here.
        changed: macroblocks sent as samples.
    """

    nal: bytes
    key: bool
    changed: int


class Encoder:
    """Turns pictures into H.264, one at a time.

    Args:
        width: columns; an odd one loses its last column, as 4:2:0 needs even sizes.
        height: rows, likewise.
        fps: written into the stream for players that show it.
        threshold: a macroblock whose samples all differ by at most this (0..255) from what the decoder shows is
            skipped. Errors do not add up: the comparison is with the decoder's picture.

    Raises:
        InputError: the picture is smaller than 2x2 or larger than level 5.1 allows.
    """

    def __init__(self, width: int, height: int, *, fps: float = 10.0, threshold: int = 0) -> None:
        if width < 2 or height < 2:
            raise InputError(f"{width}x{height} is too small to encode", field="size")
        self.width, self.height = width & ~1, height & ~1
        self.threshold = threshold
        self._columns, self._rows = -(-width // 16), -(-height // 16)
        self.parameter_sets = (_sps(self.width, self.height, fps), _pps())
        self._shown: npt.NDArray[np.uint8] | None = None
        self._number = 0
        self._keys = 0

    @property
    def macroblocks(self) -> int:
        """Macroblocks in a picture."""
        return self._columns * self._rows

    def encode(self, image: Image, *, key: bool = False) -> Coded:
        """Encode the next picture.

        Args:
            image: `(height, width, 3)` uint8 BGR of this encoder's size.
            key: make it an IDR picture; the first is one anyway.

        Raises:
            InputError: the picture has another size or type.
        """
        planes = self._planes(image)
        shown = self._shown
        if key or shown is None:
            self._shown, self._number = planes, 0
            self._keys += 1
            every = np.arange(self.macroblocks)
            return Coded(self._slice(planes, every, key=True), key=True, changed=self.macroblocks)
        self._number = (self._number + 1) % (1 << _FRAME_NUM_BITS)
        changed = self._changed(planes, shown)
        if self.threshold:
            self._copy(planes, shown, changed)
        else:
            self._shown = planes
        if not len(changed):
            return Coded(skipped(self.macroblocks, self._number), key=False, changed=0)
        return Coded(self._slice(planes, changed, key=False), key=False, changed=len(changed))

    def _planes(self, image: Image) -> npt.NDArray[np.uint8]:
        """I420 of the picture, grown to whole macroblocks by repeating its border."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(f"a BGR picture of bytes is needed, not {image.shape} {image.dtype}")
        if (image.shape[1] & ~1, image.shape[0] & ~1) != (self.width, self.height):
            raise InputError(
                f"a picture of {self.width}x{self.height} is needed, not {image.shape[:2][::-1]}"
            )
        down, right = self._rows * 16 - self.height, self._columns * 16 - self.width
        part: npt.NDArray[np.uint8] = image[: self.height, : self.width]
        if down or right:
            part = np.asarray(cv2.copyMakeBorder(part, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        return np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2YUV_I420), np.uint8)

    def _blocks(
        self, planes: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Views of the three planes as `(rows, side, columns, side)`."""
        rows, columns = self._rows, self._columns
        luma = planes[: rows * 16].reshape(rows, 16, columns, 16)
        blue, red = planes[rows * 16 :].reshape(2, rows, 8, columns, 8)
        return luma, blue, red

    def _changed(self, planes: npt.NDArray[np.uint8], shown: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
        """Numbers of the macroblocks that differ by more than the threshold, ascending."""
        difference = np.asarray(cv2.absdiff(planes, shown), np.uint8)
        most = np.zeros((self._rows, self._columns), np.uint8)
        for plane in self._blocks(difference):
            np.maximum(most, plane.max(axis=1).max(axis=-1), out=most)
        return np.flatnonzero(most.ravel() > self.threshold)

    def _copy(
        self,
        planes: npt.NDArray[np.uint8],
        shown: npt.NDArray[np.uint8],
        changed: npt.NDArray[np.intp],
    ) -> None:
        rows, columns = np.divmod(changed, self._columns)
        for new, old in zip(self._blocks(planes), self._blocks(shown), strict=True):
            old[rows, :, columns, :] = new[rows, :, columns, :]

    def _slice(self, planes: npt.NDArray[np.uint8], which: npt.NDArray[np.intp], *, key: bool) -> bytes:
        """One slice with the macroblocks `which` as samples (I_PCM, 7.3.5) and runs of skips between them."""
        count = len(which)
        rows, columns = np.divmod(which, self._columns)
        lead = _between(0, key=key)
        coded = np.empty((count, len(lead) + _MB_BYTES), np.uint8)
        coded[:, : len(lead)] = np.frombuffer(lead, np.uint8)
        at = len(lead)
        for plane in self._blocks(planes):
            size = plane.shape[1] * plane.shape[3]
            coded[:, at : at + size] = plane[rows, :, columns, :].reshape(count, size)
            at += size
        flat, step = memoryview(coded.tobytes()), coded.shape[1]
        head = _header(key=key, frame_num=self._number, idr_id=self._keys % 2)
        first = int(which[0])
        parts: list[bytes | memoryview] = [
            (head if key else head.ue(first)).ue(25 if key else 30).aligned(),
        ]
        gaps = np.diff(which) - 1
        starts = [0, *(np.flatnonzero(gaps) + 1).tolist(), count]
        for begin, end in pairwise(starts):
            if begin:
                parts.append(_between(int(gaps[begin - 1]), key=key))
            parts.append(flat[begin * step + len(lead) : end * step])
        left = self.macroblocks - 1 - int(which[-1])
        parts.append((Bits().ue(left) if left else Bits()).stop().aligned())
        return nal(IDR if key else SLICE, b"".join(parts))


def _between(skips: int, *, key: bool) -> bytes:
    """What stands before a macroblock of samples that does not open its slice: run of skips, type, alignment."""
    return Bits().ue(25).aligned() if key else Bits().ue(skips, 30).aligned()
