"""What a model takes and gives, read from its graph alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aihub.engine import Engine, ModelStore
from aihub.engine.session import Port
from aihub.engine.signature import Signatures
from aihub.errors import ModelNotFoundError, WeightsMissingError
from aihub.types import Frame
from tests.engine.tiny import card_for, double_graph, mean_graph


def test_pictures_come_in_as_they_are_and_share_a_batch(tmp_path: Path) -> None:
    card = card_for(tmp_path, "mean", mean_graph(), detector="test-mean-box")
    found = Signatures(ModelStore([card], cache=tmp_path)).of(card)
    assert found.inputs == (Port("image", np.dtype(np.uint8), (None, 8, 12, 3)),)
    assert [(port.name, port.dtype, port.shape) for port in found.outputs] == [
        ("mean", np.dtype(np.float32), (None, 1, 1, 1))
    ]
    assert found.free_batch


@pytest.mark.parametrize(("first", "shape"), [("n", (None, 3)), (2, (2, 3))])
def test_tensors_stay_what_the_graph_says(
    tmp_path: Path, first: str | int, shape: tuple[int | None, ...]
) -> None:
    # What the first side of such a graph counts is not known, so requests are not put together.
    card = card_for(tmp_path, "double", double_graph(first))
    found = Signatures(ModelStore([card], cache=tmp_path)).of(card)
    assert (found.inputs[0].shape, found.free_batch) == (shape, False)


def test_a_graph_is_read_once(tmp_path: Path) -> None:
    card = card_for(tmp_path, "double", double_graph())
    signatures = Signatures(ModelStore([card], cache=tmp_path))
    assert signatures.known(card) is None
    assert signatures.of(card) is signatures.of(card) is signatures.known(card)


def test_without_weights_nothing_is_known(tmp_path: Path) -> None:
    card = card_for(tmp_path, "double", double_graph())
    Path(card.artifact.uri.removeprefix("file:")).unlink()
    with pytest.raises(WeightsMissingError):
        Signatures(ModelStore([card], cache=tmp_path)).of(card)


def test_unloading_gives_memory_back_until_the_next_request(tmp_path: Path) -> None:
    card = card_for(tmp_path, "mean", mean_graph(), detector="test-mean-box")
    with Engine(ModelStore([card], cache=tmp_path), threads=2) as engine:
        engine.warm(["mean"])
        assert engine.unload("mean")
        assert engine.loaded() == []
        assert engine.unload("mean")  # again
        frame = Frame(np.full((8, 12, 3), 200, np.uint8))
        assert len(engine.detect("mean", frame).result(timeout=20)) == 1
        with pytest.raises(ModelNotFoundError):
            engine.unload("nothing")
