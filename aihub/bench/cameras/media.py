"""Opens what a camera shall play: MP4 files are sent as they are, anything else is encoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from aihub.bench.cameras import mp4
from aihub.bench.cameras.clip import Clip, Unit
from aihub.bench.cameras.encoded import KEY_EVERY_S, EncodedClip
from aihub.bench.cameras.rtp import cut
from aihub.bench.footage import Footage
from aihub.errors import InputError
from aihub.types.frame import Image

CACHE_BYTES = 64 * 1024 * 1024
"""Coded pictures of one file kept in memory, at most."""

_MAX_WIDTH = 640
_STILL_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


class FileClip(Clip):
    """An MP4 file whose coded pictures are sent as they are.

    Raises:
        InputError: not an MP4 file with H.264 or H.265 that can be read.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        track = mp4.read_track(path)
        if not fps and not track.fps:
            raise InputError("MP4: the pictures have no times; say how many frames a second", field="fps")
        self.name, self.codec, self.parameter_sets = path.name, track.codec, track.parameter_sets
        self.width, self.height, self.fps = track.width, track.height, fps or track.fps
        self.count = len(track.sizes)
        self._steps, self._ahead = track.steps, track.ahead
        if fps and track.fps:
            ends = np.round(np.cumsum(track.steps) * (track.fps / fps)).astype(np.int64)
            self._steps = np.diff(ends, prepend=0)
            self._ahead = np.round(track.ahead * (track.fps / fps)).astype(np.int64)
        elif fps:
            self._steps = np.full(self.count, round(mp4.CLOCK / fps), np.int64)
        self.ticks, self.reorder = int(self._steps.sum()), int(self._ahead.max())
        self._begins = np.cumsum(self._steps) - self._steps
        self._keys = np.flatnonzero(track.keys)
        self._track = track
        self._cache: dict[int, Unit] = {}
        self._cached = 0
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def unit(self, index: int, /) -> Unit | None:
        """The unit at `index`."""
        found = self._cache.get(index)
        return found if found is not None else self._read(index)

    def _read(self, index: int) -> Unit:
        track = self._track
        data = os.pread(self._file, int(track.sizes[index]), int(track.offsets[index]))
        nals = [unit for unit in _lengths(data, track.length_size) if not _delimits(unit, track.codec)]
        key = bool(track.keys[index])
        if key:
            nals = [*self.parameter_sets, *(unit for unit in nals if unit not in self.parameter_sets)]
        pieces = cut(nals, self.codec)
        size = sum(map(len, nals))
        unit = Unit(pieces, key, int(self._steps[index]), int(self._ahead[index]), size)
        self._cache[index] = unit
        self._cached += size
        while self._cached > CACHE_BYTES and len(self._cache) > 1:
            self._cached -= self._cache.pop(next(iter(self._cache))).size
        return unit

    def key_before(self, index: int, /) -> int:
        """The last unit at or before `index` where decoding can start."""
        place = int(np.searchsorted(self._keys, index, side="right")) - 1
        return int(self._keys[max(place, 0)])

    def key_after(self, index: int, /) -> int:
        """The first unit at or after `index` where decoding can start; `count` if there is none."""
        place = int(np.searchsorted(self._keys, index))
        return int(self._keys[place]) if place < len(self._keys) else len(self._begins)

    def at(self, seconds: float) -> int:
        """The unit that is due at a time of the clip."""
        place = np.searchsorted(self._begins, seconds * self.clock, side="right")
        return max(int(place) - 1, 0)

    def begins(self, index: int) -> float:
        """When a unit is due, seconds from the clip's start."""
        return float(self._begins[index]) / self.clock

    def still(self, index: int, _number: int, /) -> Unit:
        """The key picture before `index`, again and again."""
        unit = self._cache.get(key := self.key_before(index)) or self._read(key)
        return Unit(
            unit.pieces, key=True, step=round(self.clock / self.fps), ahead=unit.ahead, size=unit.size
        )

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _delimits(unit: bytes, codec: str) -> bool:
    """Whether it is an access unit delimiter, which may not follow the parameter sets put in front."""
    return unit[0] & 31 == 9 if codec == "H264" else unit[0] >> 1 & 63 == 35


def _lengths(data: bytes, length_size: int) -> list[bytes]:
    """The NAL units of a picture as MP4 stores it; a cut-off last one is left out."""
    found, at = [], 0
    while at + length_size <= len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        if at + size > len(data):
            break
        if size:
            found.append(data[at : at + size])
        at += size
    return found


def open_clip(source: Path | Footage | Clip, *, fps: float | None = None) -> Clip:
    """Open what a camera shall play.

    Args:
        source: an MP4 file with H.264 or H.265 is sent as it is; any other video OpenCV reads, a picture, and drawn
            footage are encoded, at most 640 pixels wide where they are files.
        fps: frames a second to play at, > 0; none takes the source's own (5 for a picture).

    Raises:
        InputError: the file is missing, or nothing that can be played.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise InputError(f"{fps} frames a second is not possible", field="fps")
    if isinstance(source, Clip):
        return source
    if isinstance(source, Footage):
        return EncodedClip(source.name, source.frames, fps or source.fps)
    if not source.is_file():
        raise InputError(f"no file {source}", field="files")
    if source.suffix.lower() in _STILL_SUFFIXES:
        return _open_picture(source, fps or 5.0)
    try:
        return FileClip(source, fps)
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error}", field="files") from None
    except InputError as error:
        return _open_video(source, fps, str(error))


def _fitted(image: Image) -> Image:
    height, width = image.shape[:2]
    if width <= _MAX_WIDTH:
        return image
    size = (_MAX_WIDTH, max(round(height * _MAX_WIDTH / width) & ~1, 2))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _open_picture(path: Path, fps: float) -> Clip:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path.name} is not a picture that can be read", field="files")
    shown = _fitted(np.asarray(image, np.uint8))
    return EncodedClip(path.name, lambda: (shown for _ in range(max(round(fps * KEY_EVERY_S), 1))), fps)


def _open_video(path: Path, fps: float | None, why: str) -> Clip:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(f"{path.name} cannot be played: {why}", field="files")
    own = capture.get(cv2.CAP_PROP_FPS)

    def frames() -> Iterator[Image]:
        while True:
            ok, image = capture.read()
            if not ok:
                capture.release()
                return
            yield _fitted(np.asarray(image, np.uint8))

    return EncodedClip(path.name, frames, fps or (own if 0 < own <= 1000 else 25.0), threshold=6)
