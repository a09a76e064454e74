"""Single pictures: fresh state each, shared work once, failures their own, and every second of work on a bill."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.inference import infer, infer_many
from aihub.algorithms.planner import Plan
from aihub.errors import AihubError, DeadlineError, ModelNotFoundError, ParamsError
from aihub.testing import FakePredictor, clip, frame, picture
from aihub.types import AnyResult, Bill, Detections, Frame, Quality, Tensor
from tests.algorithms.conftest import make_algorithm
from tests.algorithms.test_planner import CHAINS, DETECT, ENDS, SHARE, as_json, predictor

RUN_S = 0.25


class Asking(Stage[StageParams]):
    """Asks a model for raw tensors, waits for them, then works."""

    name = "test-asking"

    @classmethod
    def models(cls, params: StageParams) -> tuple[str, ...]:
        return ("raw",)

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        self.predictor.run("raw", {"x": np.zeros(1)}).result(5)
        work(0.02)
        return Quality(False, 0.0)


class Working(Stage[StageParams]):
    """Works and asks nobody."""

    name = "test-working"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        work(0.03)
        return Quality(False, 0.0)


def work(seconds: float) -> None:
    """Keep this thread busy."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Billing(FakePredictor):
    """Answers a little later, like an engine, and puts `RUN_S` on the bill first. Notes deadlines."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.deadlines: list[float | None] = []

    def detect(
        self, model: str, frame: Frame, *, deadline: float | None = None, **more: Any
    ) -> Future[Detections]:
        self.deadlines.append(deadline)
        return frame.memo.get(
            ("detect", model),
            lambda: self._later(super(Billing, self).detect(model, frame, **more), model, frame.bill),
        )

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        self.deadlines.append(deadline)
        return self._later(super().run(model, inputs), model, bill)

    def _later(self, answer: Future[Any], model: str, bill: Bill | None) -> Future[Any]:
        later: Future[Any] = Future()

        def settle() -> None:
            if bill is not None:
                bill.add(model, RUN_S)
            later.set_result(answer.result())

        threading.Timer(0.02, settle).start()
        return later


def billing() -> Billing:
    return Billing({"coco": predictor()._answers["coco"]}, runs={"raw": dict})


@given(st.lists(st.tuples(CHAINS, ENDS), min_size=1, max_size=6), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_many_together_give_what_each_gives_alone(
    chains: list[tuple[list[Any], list[Any]]], pictures: int
) -> None:
    requests: list[tuple[Any, dict[str, Any]]] = [
        (make_algorithm(predictor(), DETECT, *middle, *end), {}) for middle, end in chains
    ]
    frames = list(clip([picture(8, 8)] * pictures))
    together = infer_many(requests, frames, predictor())
    assert len(together) == len(requests)
    for (algorithm, params), answer in zip(requests, together, strict=True):
        if isinstance(answer, AihubError):
            with pytest.raises(type(answer)) as caught:
                infer(algorithm, frames, params, predictor())
            assert str(caught.value) == str(answer)
        else:
            alone = infer(algorithm, frames, params, predictor())
            assert [as_json(one) for one in answer] == [as_json(one) for one in alone]


@pytest.mark.parametrize("algorithms", [1, 2, 10])
def test_one_detection_a_picture_for_any_number_of_algorithms(algorithms: int) -> None:
    models = predictor()
    requests = [
        (
            make_algorithm(models, DETECT, {"filter": {"confidence": "$share"}}, params=SHARE),
            {"share": n / 10},
        )
        for n in range(algorithms)
    ]
    answers = infer_many(requests, list(clip([picture(8, 8)] * 3)), models)
    assert [call.seq for call in models.calls] == [0, 1, 2]
    assert [len(answer) for answer in answers if not isinstance(answer, AihubError)] == [3] * algorithms


def test_pictures_share_no_state() -> None:
    counting = make_algorithm(predictor(), {"test-counting": {}})
    answers = infer_many([(counting, {}), (counting, {})], list(clip([picture(8, 8)] * 3)), predictor())
    for answer in answers:
        assert not isinstance(answer, AihubError)
        assert [one.measures["frames"] for one in answer if isinstance(one, Quality)] == [1.0] * 3


def test_one_that_fails_hurts_no_other() -> None:
    requests: list[tuple[Any, dict[str, Any]]] = [
        (make_algorithm(predictor(), DETECT), {}),
        (make_algorithm(predictor(), DETECT), {"nonsense": 1}),
        (make_algorithm(predictor(), {"detect": {"model": "nobody"}}), {}),
        (make_algorithm(predictor(), DETECT, {"test-failing": {}}), {}),
        (make_algorithm(predictor(), {"test-failing": {"at": "begin"}}), {}),
        (make_algorithm(predictor(), DETECT, {"test-failing": {"at": "init"}}), {}),
        (make_algorithm(predictor(), DETECT, {"filter": {}}), {}),
    ]
    answers = infer_many(requests, list(clip([picture(8, 8)] * 2)), predictor())
    kinds = [list, ParamsError, ModelNotFoundError, StageError, StageError, StageError, list]
    assert [type(answer) for answer in answers] == kinds
    assert [len(answer) for answer in answers if isinstance(answer, list)] == [2, 2]


def test_all_pictures_are_begun_before_any_is_waited_for() -> None:
    models = billing()
    begun = time.monotonic()
    infer_many([(make_algorithm(models, DETECT), {})], list(clip([picture(8, 8)] * 50)), models)
    assert time.monotonic() - begun < 50 * 0.02 + 3  # 20 ms each, one after the other, would be a second


@pytest.mark.parametrize(
    ("given_s", "timeout_s", "expected_s"),
    [
        (None, 2.0, 2.0),  # the time of the request, though the stage would wait longer
        (1.0, 2.0, 1.0),  # a deadline that is sooner
        (9.0, 2.0, 2.0),  # or later
        (None, 60.0, 10.0),  # the stage's own patience
    ],
)
def test_models_see_the_deadline(given_s: float | None, timeout_s: float, expected_s: float) -> None:
    models = billing()
    now = time.monotonic()
    deadline = None if given_s is None else now + given_s
    infer(
        make_algorithm(models, DETECT),
        [frame(picture(8, 8))],
        {},
        models,
        timeout_s=timeout_s,
        deadline=deadline,
    )
    (seen,) = models.deadlines
    assert seen is not None
    assert expected_s - 0.01 <= seen - now <= expected_s + 3


def test_when_the_time_is_over_no_further_stage_is_run() -> None:
    models = billing()
    requests: list[tuple[Any, dict[str, Any]]] = [(make_algorithm(models, {"test-working": {}}), {})]
    (answer,) = infer_many(requests, [frame()], models, deadline=time.monotonic() - 1)
    assert isinstance(answer, DeadlineError)


def test_a_bill_has_the_runs_of_models_and_the_own_work_of_stages() -> None:
    models, bill = billing(), Bill()
    requests: list[tuple[Any, dict[str, Any]]] = [
        (make_algorithm(models, DETECT, {"filter": {}}), {}),
        (make_algorithm(models, {"test-asking": {}}), {}),
        (make_algorithm(models, {"test-working": {}}), {}),
    ]
    frames = [Frame(picture(8, 8), "a/k", seq, bill=bill) for seq in range(2)]
    infer_many(requests, frames, models)
    spent = bill.spent
    assert set(spent) == {"coco", "raw", "detect", "filter", "test-asking", "test-working"}
    assert spent["coco"] == spent["raw"] == 2 * RUN_S
    assert spent["test-asking"] >= 2 * 0.02
    assert spent["test-working"] >= 2 * 0.03
    assert spent["detect"] < 2 * 0.015  # each waited 20 ms for the model, and that is no work


def test_a_plan_splits_what_is_shared() -> None:
    models = billing()
    plan = Plan(models)
    for task in ("a", "b"):
        plan.set(task, make_algorithm(models, DETECT, {"test-tally": {}}), {})
    plan.set("c", make_algorithm(models, DETECT, {"test-working": {}}), {})
    plan.set("d", make_algorithm(models, {"test-asking": {}}), {})
    for at in clip([picture(8, 8)] * 2):
        plan.run(at)
    costs = plan.costs()
    third = 2 * RUN_S / 3
    for task in ("a", "b"):
        assert third <= costs[task] < third + 0.02
    assert third + 2 * 0.03 <= costs["c"]
    assert costs["d"] >= 2 * (RUN_S + 0.02)
    assert plan.costs() == dict.fromkeys("abcd", 0.0)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["set", "remove", "run", "ask"]), st.sampled_from("abc"), CHAINS),
        max_size=20,
    )
)
def test_costs_add_up_to_what_was_spent(steps: list[tuple[str, str, list[Any]]]) -> None:
    class Counted(FakePredictor):
        """Puts one second on the bill of every detection."""

        def detect(self, model: str, frame: Frame, **more: Any) -> Future[Detections]:
            assert frame.bill is not None
            frame.bill.add(model, 1.0)
            return super().detect(model, frame, **more)

    models = Counted({"coco": predictor()._answers["coco"]})
    plan = Plan(models)
    told = 0.0
    for kind, task, chain in steps:
        if kind == "set":
            plan.set(task, make_algorithm(models, DETECT, *chain), {})
        elif kind == "remove":
            plan.remove(task)
        elif kind == "run":
            plan.run(frame(picture(8, 8)))
        else:
            told += sum(plan.costs().values())
    costs = plan.costs()
    told += sum(costs.values())
    assert all(cost >= 0 for cost in costs.values())
    assert (
        len(models.calls) <= told < len(models.calls) + 1.0
    )  # stages' own work is little, and never negative
