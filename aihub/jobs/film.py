"""Frames of a film by the time stamps in it, and a film made of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from aihub.errors import AihubError, FormatError, TooLargeError
from aihub.jobs.kinds import FILM_FORMATS
from aihub.streams.capture import grab_next, open_capture, picture_of
from aihub.types import Image
from aihub.types.jobs import JobCodec

# A film cannot make FFmpeg open anything else: neither other files and addresses, nor formats that list such.
_READ_OPTIONS = f"protocol_whitelist;file|format_whitelist;{FILM_FORMATS}|allowed_media_types;video"
_OPEN_MS = 20_000
_READ_MS = 20_000
_CHECK_EVERY = 64
_LEAST_STEP_S = 1e-3
_JUMP_S = 3600.0
"""Time stamps that leap further are broken; the frame rate is believed instead."""
FALLBACK_FPS = 25.0
LARGEST = {JobCodec.VP9: 960, JobCodec.MPEG4: 1920}
"""Longest side of an annotated film, pixels, by what its encoder can do in reasonable time."""
_FOURCC = {JobCodec.VP9: "vp09", JobCodec.MPEG4: "mp4v"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a film: what is needed to go on from there.

    Attributes:
        index: number of the next frame of the file.
        t: time of the frame before, seconds; below zero before the first.
        wanted: number of the next moment at which a frame is wanted.
    """

    index: int = 0
    t: float = -1.0
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame of a film that is to be looked at.

    Attributes:
        index: number of the frame in the file, from 0.
        t: its time in the film, seconds.
        image: `(height, width, 3)` uint8 BGR.
        after: where to go on behind it.
    """

    index: int
    t: float
    image: Image
    after: Moment


class Film:
    """A film in a file. One thread at a time; `with` closes it.

    Attributes:
        width: columns of its frames, pixels.
        height: rows.
        fps: frames per second as the file says, or a guess.
        frames: how many frames it has as far as the file says, None when it does not.
    """

    def __init__(self, path: Path, *, max_pixels: int) -> None:
        """Open it.

        Args:
            path: a file of one of the formats of `aihub.jobs.kinds`.
            max_pixels: most pixels of a frame.

        Raises:
            FormatError: not a film, or no video in it that can be decoded.
            TooLargeError: its frames are larger than allowed.
        """
        settings = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_MS),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_MS),
            *(cv2.CAP_PROP_N_THREADS, 1),
        ]
        self._capture = open_capture(str(path), _READ_OPTIONS, settings)
        self._max_pixels = max_pixels
        if not self._capture.isOpened():
            raise FormatError("the file has no video that can be read", hint="was the upload complete?")
        self.width, self.height = (
            round(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        try:
            self._check_size(self.width, self.height)
        except TooLargeError:
            self.close()
            raise
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.1 <= fps <= 1000 else FALLBACK_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = round(count) if 1 <= count < 1e9 else None

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise TooLargeError(
                f"the film has {width} x {height} pixels, at most {self._max_pixels:,} are allowed",
                field="file",
            )

    def expected(self, fps: float) -> int | None:
        """How many frames `shots` is going to give, as far as the file says."""
        if self.frames is None:
            return None
        return max(1, min(self.frames, math.ceil(self.frames / self.fps * fps)))

    def shots(
        self, fps: float, start: Moment | None = None, check: Callable[[], None] = lambda: None
    ) -> Iterator[Shot]:
        """For each moment `k / fps` the first frame at or after it, each frame once.

        Args:
            fps: moments per second.
            start: where an earlier run left off; frames before it are passed over, not shown.
            check: called now and then while frames are passed over; what it raises ends it.
        """
        here = start or Moment()
        for passed in range(here.index):
            if passed % _CHECK_EVERY == 0:
                check()
            if not grab_next(self._capture):
                return
        while grab_next(self._capture):
            t = self._time(here)
            if t * fps + 1e-6 < here.wanted:
                here = Moment(here.index + 1, t, here.wanted)
                continue
            here = Moment(here.index + 1, t, math.floor(t * fps + 1e-6) + 1)
            image = self._picture()
            if image is not None:
                yield Shot(here.index - 1, t, image, here)

    def _time(self, before: Moment) -> float:
        """Time of the frame just grabbed. It only grows, whatever a file says."""
        said = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        believable = math.isfinite(said) and before.t < said <= max(before.t, 0.0) + _JUMP_S
        if believable and (before.index > 0 or said >= 0):
            return round(said, 6)
        return 0.0 if before.index == 0 else round(before.t + max(1 / self.fps, _LEAST_STEP_S), 6)

    def _picture(self) -> Image | None:
        picture = picture_of(self._capture)
        if picture is not None:
            self._check_size(picture.shape[1], picture.shape[0])
        return picture

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EncoderError(AihubError):
    """The film cannot be written."""


class FilmWriter:
    """Writes an MP4 at a constant rate; the longest side of its pictures is bounded (`LARGEST`).

    OpenCV's wheels carry no H.264 encoder that needs no hardware. Browsers show VP9, which takes 170 ms of a core for a picture of
    960 x 540; MPEG-4 part 2 takes 2 ms, but no browser shows it.

    Args:
        path: where; replaced.
        width: columns of the pictures, pixels.
        height: rows.
        fps: pictures per second.
        codec: how it is packed.

    Raises:
        EncoderError: OpenCV cannot open it.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, codec: JobCodec) -> None:
        scale = min(1.0, LARGEST[codec] / max(width, height))
        self.size = (max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2))
        self.path = path
        fourcc = cv2.VideoWriter.fourcc(*_FOURCC[codec])
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, self.size)
        if not self._writer.isOpened():
            raise EncoderError("the annotated film cannot be written")

    def write(self, image: Image) -> None:
        """Append one picture."""
        fits = (image.shape[1], image.shape[0]) == self.size
        self._writer.write(image if fits else cv2.resize(image, self.size, interpolation=cv2.INTER_AREA))

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
