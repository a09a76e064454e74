"""Small films and ZIPs, and a predictor that sees the white square in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from aihub.algorithms.registry import Registry
from aihub.jobs.folders import JobFolders
from aihub.jobs.workplace import Workplace
from aihub.serve.pictures import decode_picture
from aihub.testing import FakePredictor
from aihub.types import Detections, Frame, Image, StreamTask, uuid7
from aihub.types.jobs import JobKind, JobOutput, JobSpec

WIDTH, HEIGHT = 128, 96
TASKS = (
    StreamTask(id="people", algorithm="person-detection"),
    StreamTask(id="guard", algorithm="intrusion", params={"zone": [[0.4, 0], [1, 0], [1, 1], [0.4, 1]]}),
    StreamTask(id="moves", algorithm="motion-detection"),
)


def scene(index: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """A white square that crosses a grey ground; gone on every fifteenth picture and before the fifth."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([60 + x // 8, 70 + y // 8, 80 + (x + y) // 16], axis=-1).astype(np.uint8)
    if index >= 5 and index % 15:
        left = (index * 3) % (width - 24)
        image[height // 3 : height // 3 + 30, left : left + 20] = 255
    return image


def write_film(
    path: Path, frames: int = 60, fps: float = 10.0, width: int = WIDTH, height: int = HEIGHT
) -> Path:
    """An MP4 of the scene. OpenCV guesses the container from the ending, so it is written with one."""
    writer = cv2.VideoWriter(
        f"{path}.mp4", cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height)
    )
    assert writer.isOpened()
    for index in range(frames):
        writer.write(scene(index, width, height))
    writer.release()
    Path(f"{path}.mp4").rename(path)
    return path


def film_bytes(folder: Path, frames: int = 60, fps: float = 10.0) -> bytes:
    """The same as bytes."""
    return write_film(folder / "made-film", frames, fps).read_bytes()


def jpeg(index: int = 20) -> bytes:
    """A picture of the scene as a file."""
    done, data = cv2.imencode(".jpg", scene(index))
    assert done
    return data.tobytes()


def zip_of(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of these files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def see_square(frame: Frame) -> Detections:
    """A person where the picture is white."""
    mask = (frame.image.min(axis=2) > 200).astype(np.uint8)
    if mask.sum() < 50:
        return Detections.empty(("person", "car"))
    x, y, width, height = cv2.boundingRect(mask)
    box = np.array([[x, y, x + width, y + height]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32), ("person", "car"))


def workplace(home: Path, predictor: FakePredictor | None = None, **changes: object) -> Workplace:
    """Everything that jobs need, with all algorithms of the project and a checkpoint after every frame."""
    eyes = predictor or FakePredictor({"coco": see_square})
    fields: dict[str, object] = {
        "registry": Registry(eyes),
        "predictor": eyes,
        "folders": JobFolders(home),
        "read_picture": lambda data: decode_picture(data, max_pixels=1_000_000),
        "version": "test",
        "checkpoint_s": 0.0,
        "patience_s": 0.2,
    }
    return Workplace(**(fields | changes))  # type: ignore[arg-type]


def film_spec(*outputs: JobOutput, tasks: tuple[StreamTask, ...] = TASKS, fps: float = 5.0) -> JobSpec:
    """A job on a film."""
    return JobSpec(
        id=uuid7(),
        name="film.mp4",
        kind=JobKind.VIDEO,
        tasks=tasks,
        fps=fps,
        outputs=(JobOutput.JSONL, *outputs),
    )
