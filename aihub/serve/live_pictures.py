"""The newest picture of a stream, handed from its host to the gateway through a folder both see."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from aihub.serve.schemas import ID

FOLDER = "live"
CLOCK_SLACK_S = 0.02
"""File systems stamp files with a clock that may lag by some milliseconds."""

_ID = re.compile(ID)


class LivePictures:
    """Pictures by stream id, one file each, overwritten.

    Args:
        root: the folder of artefacts; pictures lie in `live/` below it.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def write(self, stream_id: str, jpeg: bytes) -> None:
        """Replace the picture; a reader sees the old one or the new one, whole.

        Raises:
            OSError: it cannot be written.
        """
        path = self._path(stream_id)
        if path is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._folder / f".{stream_id}.{secrets.token_hex(4)}"
        try:
            part.write_bytes(jpeg)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def newer(self, stream_id: str, since: float) -> bytes | None:
        """The picture if it was written at or after `since`, epoch seconds."""
        path = self._path(stream_id)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                fresh = path.stat().st_mtime >= since - CLOCK_SLACK_S
                return file.read() if fresh else None
        except FileNotFoundError:
            return None

    def remove(self, stream_id: str) -> None:
        """Forget the picture of a stream."""
        path = self._path(stream_id)
        if path is not None:
            path.unlink(missing_ok=True)

    def _path(self, stream_id: str) -> Path | None:
        return self._folder / f"{stream_id}.jpg" if _ID.fullmatch(stream_id) else None
