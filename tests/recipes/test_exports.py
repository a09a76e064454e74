"""Graphs of other libraries, with random weights: the hub gives what torch gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="recipes have an environment of their own: make recipetest")

from aihub.engine import Engine, ModelStore  # noqa: E402
from aihub.types import Frame, InputSpec  # noqa: E402
from models.recipes.exports import (  # noqa: E402
    Exported,
    card_for,
    from_torchvision,
    from_transformers,
    from_ultralytics,
    main,
    write,
)

CLOSE = 1e-3


def served(folder: Path, made: Exported, licence: str) -> tuple[dict[str, Any], InputSpec, Engine]:
    """Raw outputs of the hub's engine for one picture, through card and store."""
    card = card_for("it", made, licence)
    write(folder / "models", card, made.model)
    store = ModelStore.from_folder(folder / "models", cache=folder / "cache", allow_licenses=(licence,))
    engine = Engine(store)
    assert card.input is not None
    pixels = picture(card.input.size)
    outputs = engine.run("it", {card.input.name: pixels[None]}).result(60)
    return {name: np.asarray(value) for name, value in outputs.items()}, card.input, engine


def picture(size: tuple[int, int]) -> Any:
    return np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)


def fed(spec: InputSpec) -> Any:
    """The same picture as torch is given it by hand."""
    pixels: Any = picture(spec.size).astype(np.float32)
    pixels = pixels[..., ::-1] if spec.color == "rgb" else pixels
    pixels = (pixels - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))


def test_a_classifier_of_torchvision(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    made = from_torchvision("mobilenet_v3_small", "random", ["street", "yard", "hall"], size=96)
    outputs, spec, engine = served(tmp_path, made, "BSD-3-Clause")
    with engine, torch.no_grad():
        wanted = made.net(fed(spec)).numpy()
    np.testing.assert_allclose(outputs["scores"], wanted, atol=CLOSE)


def test_a_detector_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(7)
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=32, encoder_in_channels=[16, 32, 64], d_model=32,
        decoder_in_channels=[32, 32, 32], num_queries=336, decoder_layers=1, decoder_ffn_dim=32, encoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_attention_heads=2, id2label={0: "person", 1: "car"}, anchor_image_size=None,
    )  # fmt: skip
    made = from_transformers("random", 128, transformers.RTDetrForObjectDetection(config))
    assert made.labels == ("person", "car")
    outputs, spec, engine = served(tmp_path, made, "Apache-2.0")
    with engine, torch.no_grad():
        logits, boxes = made.net(fed(spec))
        wanted = np.concatenate([boxes.numpy()[0], logits.numpy()[0]], axis=1)
        given = np.concatenate([outputs["pred_boxes"][0], outputs["logits"][0]], axis=1)
        # All 336 cells are queries, in the order of scores that random weights make nearly equal: each has its twin.
        apart = np.abs(given[:, None] - wanted[None]).max(axis=2)
        assert apart.min(axis=1).max() < CLOSE
        assert apart.min(axis=0).max() < CLOSE
        found = engine.detect("it", Frame(picture((200, 300))), confidence=0.05).result(60)
    assert set(found.names()) <= {"person", "car"}


def test_a_detector_of_ultralytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ultralytics", reason="ultralytics is AGPL and installed by who wants it")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(7)
    made = from_ultralytics("yolov8n.yaml", 128)
    assert made.family.decoder == "yolov8"
    outputs, spec, engine = served(tmp_path, made, "AGPL-3.0")
    with engine, torch.no_grad():
        wanted = made.net(fed(spec))[0].numpy()
    (given,) = outputs.values()
    np.testing.assert_allclose(given, wanted, atol=CLOSE * max(1.0, float(np.abs(wanted).max())))


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    labels = str(tmp_path / "labels.txt")
    main(["torchvision", "mobilenet_v3_small", "--labels", labels, "--license", "BSD-3-Clause", "--size", "64",
          "--out", str(tmp_path / "out")])  # fmt: skip
    card = Path(capsys.readouterr().out.strip())
    assert card.is_file()
    assert "Random weights" in card.read_text(encoding="utf-8")
