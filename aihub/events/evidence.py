"""Evidence pictures of events, in a folder whose size and age are bounded."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from aihub.errors import NotFoundError, StorageError
from aihub.types import Event, Frame, Image, Observation

QUALITY = 85
MAX_SIDE = 1280
_NAME = re.compile(r"events/\d{4}/\d{2}/\d{2}/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d{1,9}\.jpg")
_SWEEP_EVERY = 256
_BOX_COLOR = (0, 200, 255)


class EvidenceNotFoundError(NotFoundError):
    """No picture of that name, or no longer."""

    kind = "evidence"


class ArtifactFolder:
    """Pictures by name. Several processes may share the folder.

    Args:
        root: the folder; made when first written to.
        max_bytes: most it may hold; the oldest go first. Passed by what is written between two sweeps, at most.
        max_age_s: older pictures are deleted, seconds.
    """

    def __init__(self, root: Path, *, max_bytes: int = 10 << 30, max_age_s: float = 30 * 86400.0) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._until_sweep = 0
        self._lock = threading.Lock()

    def save_snapshot(
        self,
        event: Event,
        frame: Frame,
        observations: Sequence[Observation] = (),
        *,
        draw: bool = False,
    ) -> str:
        """Keep the picture on which something happened.

        The picture is clean: what was seen is in the event (`box`), so that it can be drawn, or not, when it is shown.

        Args:
            event: names the picture, with its revision.
            frame: the picture; never written to.
            observations: conditions on it, drawn with `draw`.
            draw: whether to draw the boxes into the picture.

        Returns:
            Its name, for `Event.snapshot`.

        Raises:
            StorageError: the picture could not be written.
        """
        day = datetime.fromtimestamp(event.updated_at, UTC)
        name = f"events/{day:%Y/%m/%d}/{event.id}-{event.revision}.jpg"
        picture = _fitted(frame.image)
        if draw and observations:
            picture = _drawn(picture, observations)
        try:
            done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        except cv2.error as error:
            raise StorageError(f"the picture of event {event.id} cannot be encoded") from error
        if not done:
            raise StorageError(f"the picture of event {event.id} cannot be encoded")
        try:
            write_whole(self._root / name, data.tobytes())
        except OSError as error:
            raise StorageError(f"the picture of event {event.id} cannot be written: {error}") from error
        self._sweep_sometimes()
        return name

    def path(self, name: str) -> Path:
        """The file behind a name; names come back from outside, so nothing else passes.

        Raises:
            EvidenceNotFoundError: no such picture.
        """
        path = self._root / name if _NAME.fullmatch(name) else None
        if path is None or not path.resolve().is_relative_to(self._root.resolve()) or not path.is_file():
            raise EvidenceNotFoundError(name)
        return path

    def read(self, name: str) -> bytes:
        """A picture, JPEG.

        Raises:
            EvidenceNotFoundError: no such picture.
        """
        try:
            return self.path(name).read_bytes()
        except OSError as error:
            raise EvidenceNotFoundError(name) from error

    def sweep(self, now: float | None = None) -> int:
        """Delete what is too old, and the oldest of what is too much.

        Returns:
            Bytes freed.
        """
        at = time.time() if now is None else now
        files = sorted(self._files())
        total, freed = sum(size for _, size, _ in files), 0
        for changed, size, path in files:
            if changed >= at - self._max_age_s and total - freed <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            freed += size
        for folder in sorted((self._root / "events").glob("*/*/*"), reverse=True):
            _remove_empty(folder)
        return freed

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in (self._root / "events").rglob("*"):
            try:
                facts = path.stat()
            except OSError:
                continue  # another process swept it
            if path.is_file():
                yield facts.st_mtime, facts.st_size, path

    def _sweep_sometimes(self) -> None:
        with self._lock:
            self._until_sweep -= 1
            if self._until_sweep >= 0:
                return
            self._until_sweep = _SWEEP_EVERY
        self.sweep()


def _fitted(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = MAX_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _drawn(picture: Image, observations: Sequence[Observation]) -> Image:
    canvas = picture.copy()
    height, width = canvas.shape[:2]
    for seen in observations:
        if seen.box is not None:
            x1, y1, x2, y2 = (
                (np.array(seen.box) * (width, height, width, height)).round().astype(int).tolist()
            )
            cv2.rectangle(canvas, (x1, y1), (x2, y2), _BOX_COLOR, 1, cv2.LINE_AA)
    return canvas


def write_whole(path: Path, data: bytes) -> None:
    """Write a private file: whole or not at all, and on the disk before the row that names it is.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    try:
        if folder.is_dir():
            folder.rmdir()
    except OSError:
        pass  # not empty, or another process was quicker
