"""Clips that are encoded while they play."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

from aihub.bench.cameras import h264
from aihub.bench.cameras.clip import Clip, Unit
from aihub.bench.cameras.rtp import cut
from aihub.errors import InputError
from aihub.types.frame import Image

logger = logging.getLogger(__name__)

ENCODED_BYTES = 512 * 1024 * 1024
"""Coded pictures of one clip, at most: there it starts again."""

KEY_EVERY_S = 4.0
_AHEAD_S = 2.0


class EncodedClip(Clip):
    """Pictures encoded by a thread of its own that stays two seconds ahead of the players, and kept for the next loop.

    Args:
        name: for people.
        frames: called once; gives the pictures. Their size may change on the way.
        fps: frames a second.
        threshold: see `h264.Encoder`.

    Raises:
        InputError: there is no first picture, or it cannot be encoded.
    """

    def __init__(
        self, name: str, frames: Callable[[], Iterator[Image]], fps: float, *, threshold: int = 0
    ) -> None:
        self.name, self.fps = name, fps
        self._frames = frames()
        self._threshold = threshold
        self._units: list[Unit] = []
        self._macroblocks: dict[int, int] = {}
        self._still: dict[tuple[int, int], Unit] = {}
        self._bytes = 0
        self._key_every = max(round(KEY_EVERY_S * fps), 1)
        self._wanted = threading.Condition()
        self._asked = 0
        self._closed = False
        first = next(self._frames, None)
        if first is None:
            raise InputError(f"{name}: no pictures in it")
        self._encoder = self._begin(first)
        self.parameter_sets = self._encoder.parameter_sets
        self.width, self.height = self._encoder.width, self._encoder.height
        self._encode(first)
        self._thread = threading.Thread(target=self._run, name=f"encode {name}", daemon=True)
        self._thread.start()

    def unit(self, index: int, /) -> Unit | None:
        """The unit at `index`; none while it is not encoded yet."""
        if self.count is None and index + 1 > self._asked:
            with self._wanted:
                self._asked = index + 1
                self._wanted.notify()
        return self._units[index] if index < len(self._units) else None

    def key_before(self, index: int, /) -> int:
        """The last unit at or before `index` where decoding can start."""
        index = min(index, len(self._units) - 1)
        return next(i for i in range(index, -1, -1) if self._units[i].key)

    def key_after(self, index: int, /) -> int:
        """The first unit at or after `index` where decoding can start, which may lie beyond what is encoded yet."""
        have = len(self._units)
        found = next((i for i in range(index, have) if self._units[i].key), None)
        return -(-max(index, have) // self._key_every) * self._key_every if found is None else found

    def still(self, index: int, number: int, /) -> Unit:
        """The key picture before `index`, then pictures that repeat it."""
        key = self.key_before(index)
        place = number % self._key_every
        if not place:
            return self._units[key]
        name = (self._macroblocks[key], place)
        if name not in self._still:
            self._still[name] = self._unit([h264.skipped(*name)], key=False)
        return self._still[name]

    def close(self) -> None:
        """Stop encoding."""
        with self._wanted:
            self._closed = True
            self._wanted.notify()
        self._thread.join(timeout=10)

    def _begin(self, image: Image) -> h264.Encoder:
        height, width = image.shape[:2]
        return h264.Encoder(width, height, fps=self.fps, threshold=self._threshold)

    def _unit(self, nals: Sequence[bytes], *, key: bool) -> Unit:
        step = round(self.clock / self.fps)
        return Unit(cut(nals, self.codec), key, step, 0, sum(map(len, nals)))

    def _encode(self, image: Image) -> None:
        if (image.shape[1] & ~1, image.shape[0] & ~1) != (self._encoder.width, self._encoder.height):
            self._encoder = self._begin(image)
        coded = self._encoder.encode(image, key=len(self._units) % self._key_every == 0)
        if coded.key:
            self._macroblocks[len(self._units)] = self._encoder.macroblocks
        sets = self._encoder.parameter_sets if coded.key else ()
        unit = self._unit([*sets, coded.nal], key=coded.key)
        self._bytes += unit.size
        self._units.append(unit)

    def _run(self) -> None:
        ahead = max(round(_AHEAD_S * self.fps), 2)
        try:
            for image in self._frames:
                with self._wanted:
                    while not self._closed and len(self._units) >= self._asked + ahead:
                        self._wanted.wait(timeout=1.0)
                    if self._closed:
                        return
                self._encode(image)
                if self._bytes > ENCODED_BYTES:
                    logger.warning("%s is long: it starts again after %d frames", self.name, len(self._units))
                    break
        except InputError as error:
            logger.warning("%s ends at frame %d: %s", self.name, len(self._units), error)
        finally:
            self.ticks = sum(unit.step for unit in self._units)
            self.count = len(self._units)
