"""What callers hand in, as the API takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from aihub.errors import InputError
from aihub.types import StreamTask

Picture = bytes | Path | str | npt.NDArray[np.uint8]
"""A file's content, where a file is, or a decoded picture `(H, W, 3)` uint8 BGR, which is sent as JPEG."""

TaskLike = str | StreamTask | Mapping[str, Any]
"""An algorithm's id, a task, or a task as the API takes it."""

JPEG_QUALITY = 95
BINARY = "application/octet-stream"


def file_of(image: Picture, field: str = "images") -> bytes:
    """A picture, or another file, as its content.

    Raises:
        InputError: it cannot be read or encoded.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | Path):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise InputError(f"{image} cannot be read: {error.strerror}", field=field) from error
    return _jpeg(image, field)


def _jpeg(image: npt.NDArray[np.uint8], field: str) -> bytes:
    # Imported here: whoever sends files needs no OpenCV.
    try:
        import cv2
    except ImportError as error:
        hint = "install opencv-python-headless, or send files"
        raise InputError("arrays are sent as JPEG, which OpenCV makes", field=field, hint=hint) from error
    try:
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error:
        done = False
    if not done:
        raise InputError("the picture cannot be made a JPEG", field=field, hint="(H, W, 3) uint8 BGR")
    return data.tobytes()


def task_of(task: TaskLike) -> dict[str, Any]:
    """A task as JSON takes it."""
    if isinstance(task, str):
        return {"algorithm": task}
    return task.model_dump(mode="json") if isinstance(task, StreamTask) else dict(task)


def plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as JSON takes them."""
    values = {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in fields.items()
    }
    if "tasks" in values:
        values["tasks"] = [task_of(task) for task in values["tasks"]]
    return values
