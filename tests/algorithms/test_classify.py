"""Stage `classify`: scores of a graph become names of the picture."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest

from aihub.algorithms.builtin.classify import Classify, ClassifyParams
from aihub.engine.postprocess import probabilities
from aihub.errors import DeadlineError, DecodeError
from aihub.testing import FakePredictor, frame, picture
from aihub.types import Labels, Tensor

PARAMS = ClassifyParams(model="scenes", port="images", size=(32, 48), labels=("street", "yard", "hall"))


def answered(scores: list[float], params: ClassifyParams = PARAMS) -> tuple[Labels, list[Tensor]]:
    fed: list[Tensor] = []

    def run(inputs: object) -> dict[str, Tensor]:
        fed.append(inputs["images"])  # type: ignore[index]
        return {"scores": np.array([scores], np.float32)}

    stage = Classify(params, FakePredictor(runs={"scenes": run}))
    shown = frame(picture(90, 160))
    stage.begin(shown)
    return stage.process(shown, None), fed


def test_probabilities_stay_and_scores_become_some() -> None:
    assert probabilities(np.array([0.25, 0.75])).tolist() == [0.25, 0.75]
    assert probabilities(np.array([0.0, np.log(3)])).tolist() == pytest.approx([0.25, 0.75])
    assert probabilities(np.array([1e6, -1e6])).tolist() == [1.0, 0.0]


def test_the_likeliest_come_first_and_the_unlikely_are_left_out() -> None:
    found, fed = answered([0.08, 0.62, 0.3])
    assert found.label == ("yard", "hall")
    assert found.confidence == pytest.approx((0.62, 0.3))
    (pixels,) = fed
    assert pixels.shape == (1, 32, 48, 3)
    assert pixels.dtype == np.uint8


def test_no_more_names_than_asked_for() -> None:
    found, _ = answered([0.2, 0.5, 0.3], PARAMS.model_copy(update={"most": 1}))
    assert found.label == ("yard",)


def test_a_graph_of_other_classes_is_told() -> None:
    with pytest.raises(DecodeError, match="3 labels"):
        answered([0.5, 0.5])


def test_a_model_that_never_answers_is_not_waited_for() -> None:
    class Silent(FakePredictor):
        def run(self, *_: object, **__: object) -> Future[dict[str, Tensor]]:
            return Future()

    stage = Classify(PARAMS.model_copy(update={"timeout_s": 0.05}), Silent())
    with pytest.raises(DeadlineError, match="scenes"):
        stage.process(frame(), None)
