"""Inputs for decoders that read files."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


def on_disk(data: bytes) -> Path:
    """A file with these bytes; the next call writes over it."""
    path = _folder() / "input"
    path.write_bytes(data)
    return path


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="aihub-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
