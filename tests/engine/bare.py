"""A model run the plain way: one session, one picture. No engine, so that its parts can be judged alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from aihub.engine.decoding import Placement, decoder_for
from aihub.engine.graph import prepare_graph
from aihub.engine.postprocess import finish
from aihub.engine.preprocess import prepare
from aihub.plugins import data_folder
from aihub.types import Detections, Frame, Image, ModelCard, Tensor, load_card


def card_named(name: str) -> ModelCard:
    return load_card(next(data_folder("models").rglob(f"{name}.yaml")), ModelCard)


def made_card(**changes: object) -> ModelCard:
    """A card for graphs that a test makes up; `changes` replace its fields."""
    artifact = {"uri": "file:none", "sha256": "0" * 64, "bytes": 1, "license": "MIT"}
    body = {"name": "made-up", "task": "object-detection", "summary": "x", "artifact": artifact}
    return ModelCard.model_validate({**body, **changes})


def weights(card: ModelCard, mirror: Path) -> bytes:
    path = mirror / (card.artifact.mirror or "")
    if not path.is_file():
        pytest.skip(f"the mirror has no {card.artifact.mirror}")
    return path.read_bytes()


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def picture(path: Path) -> Image:
    image = cv2.imread(str(path))
    if image is None:
        pytest.skip(f"the media have no {path.name}")
    return np.asarray(image, np.uint8)


class Bare:
    """Card and weights -> detections of one picture."""

    def __init__(self, name: str, mirror: Path) -> None:
        self.card = card_named(name)
        self.session = session(prepare_graph(weights(self.card, mirror), self.card))
        self.decoder = decoder_for(self.card)
        self.names = [output.name for output in self.session.get_outputs()]

    def outputs(self, image: Image) -> tuple[dict[str, Tensor], Placement]:
        assert self.card.input is not None
        pixels, placement = prepare(Frame(image), self.card.input)
        values = self.session.run(None, {self.card.input.name: pixels[None]})
        return dict(zip(self.names, values, strict=True)), placement

    def detect(self, image: Image, confidence: float) -> Detections:
        outputs, placement = self.outputs(image)
        return finish(self.decoder.decode(outputs, confidence)[0], self.card, placement)
