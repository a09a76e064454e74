"""The detector that every peer serves: JPEG in, boxes out, over NumPy, OpenCV and ONNX Runtime or OpenVINO alone.

It is written once, so that peers differ in how they serve and in nothing else. It takes what the hub's own engine takes:
the same graph (with pictures as uint8 and a free batch), the same size, padding, overlap and confidence, and the runtime
and precision that the hub's tuner found fastest on this machine. All of that stands in one JSON file, whose path is in the
environment variable `AIHUB_PEER_SETTINGS`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

SETTINGS = "AIHUB_PEER_SETTINGS"
"""Environment variable with the path of the settings."""

Picture = npt.NDArray[np.uint8]
Answer = list[dict[str, Any]]
"""Boxes of one picture, best first: `{"label", "confidence", "box": [x1, y1, x2, y2]}` in pixels of the picture."""


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """What to run and how.

    Attributes:
        model: path of an ONNX graph with one input, `(n, H, W, 3)` uint8 BGR.
        runtime: `onnxruntime` or `openvino`.
        precision: `f32`, or `bf16`, `f16` with OpenVINO where the processor computes in them.
        threads: cores that one run uses.
        workers: runs at once on the machine; each peer makes as many in its own way.
        batch: most pictures in one run; at 1 the graph's free side is fixed to 1, for which runtimes make faster code.
        size: height and width of the graph's input, pixels.
        pad: grey level beside the picture.
        labels: by class.
        keep: labels that are answered; empty keeps all.
        confidence: least confidence of a box.
        iou: most overlap of two boxes of a class.
        strides: of the graph's levels, pixels.
    """

    model: str
    runtime: str = "onnxruntime"
    precision: str = "f32"
    threads: int = 1
    workers: int = 1
    batch: int = 1
    size: tuple[int, int] = (416, 416)
    pad: int = 114
    labels: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    confidence: float = 0.4
    iou: float = 0.45
    strides: tuple[int, ...] = (8, 16, 32)

    @classmethod
    def read(cls, path: Path | None = None) -> DetectorSettings:
        """From a JSON file, by default the one that the environment names.

        Raises:
            KeyError: no path is given, and the environment names none.
            TypeError: the file has an unknown field, or lacks the model.
        """
        body: dict[str, Any] = json.loads((path or Path(os.environ[SETTINGS])).read_text(encoding="utf-8"))
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in body.items()
        }
        return cls(**fields)


class OnnxRuntimeRun:
    """ONNX Runtime on the CPU."""

    def __init__(self, settings: DetectorSettings, runs: int) -> None:
        import onnxruntime

        del runs  # runs at once need nothing here: each caller's thread computes its own
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if settings.batch == 1:
            options.add_free_dimension_override_by_name("n", 1)
        self._session = onnxruntime.InferenceSession(
            settings.model, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """First output of a run."""
        first: npt.NDArray[np.float32] = self._session.run(None, {self._input: pictures})[0]
        return first


class OpenVinoRun:
    """OpenVINO on the CPU: a stream a run at once, and a request a thread."""

    def __init__(self, settings: DetectorSettings, runs: int) -> None:
        import openvino

        core = openvino.Core()
        graph = core.read_model(settings.model)
        if settings.batch == 1:
            shape = graph.inputs[0].partial_shape
            shape[0] = 1
            graph.reshape(shape)
        self._compiled = core.compile_model(graph, "CPU", {
            "NUM_STREAMS": str(runs), "INFERENCE_NUM_THREADS": str(runs * settings.threads),
            "INFERENCE_PRECISION_HINT": settings.precision,
            # Workers in processes of their own would all be pinned to the same first cores.
            "ENABLE_CPU_PINNING": False,
        })  # fmt: skip
        self._requests = threading.local()

    def __call__(self, pictures: Picture) -> npt.NDArray[np.float32]:
        """First output of a run; it is overwritten by the same thread's next run."""
        request = getattr(self._requests, "mine", None)
        if request is None:
            request = self._requests.mine = self._compiled.create_infer_request()
        request.infer([pictures], share_inputs=True)
        first: npt.NDArray[np.float32] = request.get_output_tensor(0).data
        return first


class Detector:
    """YOLOX, from JPEG or pixels to boxes. May be called from several threads at once.

    Args:
        settings: what to run and how.
        runs: runs at once on this object; more than one only where workers are threads of one process.
    """

    def __init__(self, settings: DetectorSettings, runs: int = 1) -> None:
        self.settings = settings
        run = OpenVinoRun if settings.runtime == "openvino" else OnnxRuntimeRun
        self._run = run(settings, runs)
        self._cells, self._strides = _grid(settings.size, settings.strides)
        self._kept = np.array([not settings.keep or label in settings.keep for label in settings.labels])
        cv2.setNumThreads(
            1
        )  # pictures are worked on side by side: threads within one would be in each other's way

    @classmethod
    def from_environment(cls, runs: int = 1) -> Detector:
        """As the environment says; see the module."""
        return cls(DetectorSettings.read(), runs)

    def detect(self, jpeg: bytes) -> Answer:
        """Boxes on a JPEG.

        Raises:
            ValueError: it is no picture.
        """
        return self.look(decode(jpeg))

    def detect_many(self, jpegs: Sequence[bytes]) -> list[Answer]:
        """Boxes on several JPEGs, `batch` of them a run.

        Raises:
            ValueError: one is no picture.
        """
        return self.look_many([decode(jpeg) for jpeg in jpegs])

    def look(self, image: Picture) -> Answer:
        """Boxes on `(height, width, 3)` uint8 BGR."""
        return self.look_many([image])[0]

    def look_many(self, images: Sequence[Picture]) -> list[Answer]:
        """Boxes on several pictures, each of any size."""
        answers: list[Answer] = []
        for begun in range(0, len(images), self.settings.batch):
            group = images[begun : begun + self.settings.batch]
            placed = [_letterbox(image, self.settings) for image in group]
            rows = self._run(np.stack([picture for picture, _ in placed]))
            answers += [
                self._boxes(row, image, scale)
                for row, image, (_, scale) in zip(rows, group, placed, strict=True)
            ]
        return answers

    def _boxes(self, rows: npt.NDArray[np.float32], image: Picture, scale: tuple[float, float]) -> Answer:
        floor = self.settings.confidence
        likely = np.flatnonzero(rows[:, 4] >= floor)
        rows, cells, strides = rows[likely], self._cells[likely], self._strides[likely]
        classes = rows[:, 5:].argmax(axis=1)
        scores = rows[:, 4] * rows[np.arange(len(rows)), classes + 5]
        sure = np.flatnonzero((scores >= floor) & self._kept[classes])
        if not len(sure):
            return []
        rows, classes, scores, strides = rows[sure], classes[sure], scores[sure], strides[sure]
        centres, sides = (rows[:, :2] + cells[sure]) * strides, np.exp(rows[:, 2:4]) * strides
        rects = np.concatenate([centres - sides / 2, sides], axis=1).astype(np.float64)
        picked = cv2.dnn.NMSBoxesBatched(rects, scores, classes.astype(np.int32), floor, self.settings.iou)  # type: ignore[arg-type]
        chosen = np.asarray(picked, np.intp).ravel()
        boxes = rects[chosen]
        boxes[:, 2:] += boxes[:, :2]
        boxes /= np.array([*scale, *scale])
        height, width = image.shape[:2]
        boxes = np.clip(boxes, 0, [width, height, width, height])
        return [{"label": self.settings.labels[classes[at]], "confidence": float(scores[at]), "box": box}
                for at, box in zip(chosen, boxes.tolist(), strict=True)]  # fmt: skip


def decode(jpeg: bytes) -> Picture:
    """Pixels of a JPEG, BGR.

    Raises:
        ValueError: it is no picture.
    """
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("not a picture that OpenCV can read")
    return image  # type: ignore[return-value]  # imdecode gives uint8


def _letterbox(image: Picture, settings: DetectorSettings) -> tuple[Picture, tuple[float, float]]:
    """The picture at the graph's size, in the upper left corner, and by how much it was scaled (x, y)."""
    height, width = image.shape[:2]
    rows, columns = settings.size
    ratio = min(columns / width, rows / height)
    inner_w, inner_h = min(columns, max(1, round(width * ratio))), min(rows, max(1, round(height * ratio)))
    canvas = np.full((rows, columns, 3), settings.pad, np.uint8)
    cv2.resize(image, (inner_w, inner_h), dst=canvas[:inner_h, :inner_w], interpolation=cv2.INTER_LINEAR)
    return canvas, (inner_w / width, inner_h / height)


def _grid(
    size: tuple[int, int], strides: tuple[int, ...]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Column and row of every cell of every level, and its stride, `(N, 2)` and `(N, 1)`."""
    cells, steps = [], []
    for stride in strides:
        rows, columns = size[0] // stride, size[1] // stride
        y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        steps.append(np.full((rows * columns, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(steps).astype(np.float32)
