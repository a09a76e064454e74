"""Copies of evidence that people gave feedback on, in a folder of their own: they outlive the event and its evidence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from aihub.errors import NotFoundError, StorageError
from aihub.events.evidence import write_whole

FOLDER = "feedback"
"""Folder below the hub's home."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OURS = re.compile(rf"{_ID.pattern}\.jpg|\.{_ID.pattern}\.jpg\.[0-9a-f]{{8}}")
_ORPHAN_S = 3600.0
"""A picture is written before its row; one without a row for so long has lost it."""


class FeedbackPictureNotFoundError(NotFoundError):
    """The feedback keeps no picture, or no longer."""

    kind = "picture of feedback"


class FeedbackPictures:
    """Pictures by the id of the feedback. Several processes may share the folder.

    Args:
        home: the hub's home.
    """

    def __init__(self, home: Path) -> None:
        self._root = home / FOLDER

    def save(self, feedback_id: str, jpeg: bytes) -> None:
        """Keep a picture.

        Raises:
            StorageError: it could not be written.
        """
        try:
            write_whole(self._path(feedback_id), jpeg)
        except OSError as error:
            raise StorageError(f"the picture of feedback {feedback_id} cannot be written: {error}") from error

    def read(self, feedback_id: str) -> bytes:
        """A picture, JPEG.

        Raises:
            FeedbackPictureNotFoundError: there is none.
        """
        try:
            return self._path(feedback_id).read_bytes()
        except OSError as error:
            raise FeedbackPictureNotFoundError(feedback_id) from error

    def remove(self, feedback_id: str) -> None:
        """Remove a picture, if there is one."""
        self._path(feedback_id).unlink(missing_ok=True)

    def sweep(self, known: Callable[[], set[str]], now: float | None = None) -> int:
        """Remove pictures whose feedback is gone: a process died between the row and the file.

        Args:
            known: tells of which feedback there is a picture; asked only if any lies here.
            now: epoch seconds, the clock's when None.

        Returns:
            How many went.
        """
        found = list(self._settled((time.time() if now is None else now) - _ORPHAN_S))
        if not found:
            return 0
        rows = known()
        strays = [path for path in found if path.stem not in rows]
        for stray in strays:
            stray.unlink(missing_ok=True)
        return len(strays)

    def _settled(self, limit: float) -> Iterator[Path]:
        """Pictures, and what writing one left half done, from before a time."""
        for path in self._root.glob("*"):
            try:
                if _OURS.fullmatch(path.name) and path.stat().st_mtime < limit:
                    yield path
            except FileNotFoundError:
                continue  # another process swept it

    def _path(self, feedback_id: str) -> Path:
        if not _ID.fullmatch(feedback_id):
            raise FeedbackPictureNotFoundError(feedback_id)
        return self._root / f"{feedback_id}.jpg"
