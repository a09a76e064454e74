"""The frames or the sound of a card's example, by its `media`:

images/...          a picture of the real test media
video/...           a clip of the real test media, read at the example's rate
audio/...           a recording of the real test media
still:images/...    a real picture held for the example's seconds under sensor noise: what stands still in a clip
drawn:NAME          a picture, clip, sound or series that the project draws (see `aihub.scenes.drawings` and `.waves`)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from aihub.algorithms.sound_files import decode_sound
from aihub.errors import CardError, ImageDecodeError
from aihub.scenes import load_scenes
from aihub.scenes.drawings import Drawing, drawing, with_noise
from aihub.scenes.waves import drawn_series, drawn_sound
from aihub.types import Example, Frame, Image, Series, Sound

EPOCH = 1_767_225_600.0
"""Frame time of the first frame of an example: 2026-01-01, so that examples are the same on every day."""

DRAWN, STILL = "drawn:", "still:"
CLIPS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".ts"})


@dataclass(frozen=True, slots=True)
class Footage:
    """What an example shows.

    Attributes:
        clip: frames that follow each other, or a single picture.
        frames: the frames; `monotonic` is seconds since the first.
    """

    clip: bool
    frames: Iterator[Frame]


def footage(example: Example, media: Path | None) -> Footage | None:
    """Open an example's media.

    Args:
        example: from a card.
        media: folder of the real test media, None when it is not on this machine.

    Returns:
        None when the media is not here.

    Raises:
        DrawingNotFoundError: the card names a drawing that nobody drew.
        ImageDecodeError: the file is here but cannot be read; raised while reading in the case of a clip.
    """
    if example.media.startswith(DRAWN):
        drawn = _drawn(example.media)
        return Footage(drawn.clip, _timed(drawn.frames(example.fps, example.seconds), example))
    path = media / example.media.removeprefix(STILL) if media is not None else None
    if path is None or not path.is_file():
        return None
    if path.suffix.lower() in CLIPS:
        return Footage(True, _timed(_read_clip(path, example), example))
    picture = _picture(path, example.media)
    if example.media.startswith(STILL):
        moments = (index / example.fps for index in range(round(example.fps * example.seconds)))
        return Footage(True, _timed((with_noise(picture, moment) for moment in moments), example))
    return Footage(False, _timed(iter([picture]), example))


def earlier(example: Example, media: Path | None) -> list[Frame] | None:
    """The pictures that come before an example's own in its request, in order; None when one is not here.

    Raises:
        DrawingNotFoundError: the card names a drawing that nobody drew.
        ImageDecodeError: a file is here but cannot be read.
    """
    frames: list[Frame] = []
    for seq, name in enumerate(example.before):
        if name.startswith(DRAWN):
            image = next(_drawn(name).frames(1.0, 1.0))
        elif media is None or not (media / name).is_file():
            return None
        else:
            image = _picture(media / name, name)
        frames.append(Frame(image, example.media, seq, EPOCH + seq, float(seq)))
    return frames


def _picture(path: Path, name: str) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageDecodeError(f"{name} cannot be read")
    return np.asarray(image, np.uint8)


def numbers(example: Example) -> Series:
    """The series of an example.

    Raises:
        CardError: it names none that the project draws.
        DrawingNotFoundError: nobody drew that one.
    """
    if not example.media.startswith(DRAWN):
        raise CardError("media: a series is named `drawn:NAME`", field="media")
    load_scenes()
    return drawn_series(example.media.removeprefix(DRAWN))


def recording(example: Example, media: Path | None) -> Sound | None:
    """The first `seconds` of an example's recording.

    Args:
        example: from a card of an algorithm that listens.
        media: folder of the real test media, None when it is not on this machine.

    Returns:
        None when the recording is not here.

    Raises:
        DrawingNotFoundError: the card names a sound that nobody drew.
        SoundDecodeError: the file is here but cannot be read.
        UnsupportedTypeError: it is no recording, or what reads it is not installed.
    """
    if example.media.startswith(DRAWN):
        load_scenes()
        return Sound(drawn_sound(example.media.removeprefix(DRAWN)), source=example.media).cut(
            0, example.seconds
        )
    path = media / example.media if media is not None else None
    if path is None or not path.is_file():
        return None
    return Sound(decode_sound(path.read_bytes()), source=example.media).cut(0, example.seconds)


def _drawn(media: str) -> Drawing:
    """What `drawn:NAME` names. The scenes are imported here: a hub that shows none need not hold them."""
    load_scenes()
    return drawing(media.removeprefix(DRAWN))


def is_synthetic(example: Example) -> bool:
    """Whether what is shown was drawn or made up, or holds a picture still that was no clip."""
    return bool(example.texts) or example.media.startswith((DRAWN, STILL))


def _timed(images: Iterator[Image], example: Example) -> Iterator[Frame]:
    for seq, image in zip(count(), images):
        moment = seq / example.fps
        yield Frame(image, example.media, seq, EPOCH + moment, moment)


def _read_clip(path: Path, example: Example) -> Iterator[Image]:
    """Frames of a file at the example's rate: for each moment the first frame at or after it."""
    capture = cv2.VideoCapture(str(path))
    try:
        fps = capture.get(cv2.CAP_PROP_FPS)
        if not capture.isOpened() or fps <= 0:
            raise ImageDecodeError(f"{example.media} cannot be read")
        wanted = 0
        for index in count():
            if index / fps >= example.seconds or not capture.grab():
                return
            if index / fps + 1e-6 >= wanted / example.fps:
                wanted += 1
                ok, image = capture.retrieve()
                if ok:
                    yield np.asarray(image, np.uint8)
    finally:
        capture.release()
