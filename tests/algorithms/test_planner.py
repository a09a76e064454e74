"""The shared graph: equal beginnings run once, failures stay below their stage, state survives edits."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.base import StageError
from aihub.algorithms.planner import Plan
from aihub.errors import AihubError, ModelNotFoundError, ParamsError, QueueFullError
from aihub.testing import FakePredictor, boxes, clip, frame, picture
from aihub.types import AnyResult, Detections, Findings, Frame, Quality
from tests.algorithms.conftest import Counting, make_algorithm

DETECT = {"detect": {"model": "coco"}}
SHARE = {"share": {"type": "number", "default": 0.0, "minimum": 0, "maximum": 1, "description": "d"}}


def some_people(at: Frame) -> Detections:
    """0 to 4 people and cars, by the number of the frame."""
    rng = np.random.default_rng(at.seq)
    rows = [
        (str(rng.choice(["person", "car"])), float(rng.uniform(0.1, 1)), (1.0 * n, 2.0, 3.0 + n, 4.0))
        for n in range(int(rng.integers(0, 5)))
    ]
    return boxes(*rows, labels=("person", "car"))


def predictor() -> FakePredictor:
    return FakePredictor({"coco": some_people, "face-det": boxes(("face", 0.9, (0, 0, 5, 5)))})


def as_json(result: AnyResult | AihubError) -> Any:
    return str(result) if isinstance(result, AihubError) else result.to_json()


CHAINS = st.lists(
    st.sampled_from(
        [
            {"select": {"labels": ["person"]}},
            {"select": {"labels": ["car", "person"]}},
            {"filter": {"confidence": 0.5}},
            {"filter": {"confidence": 0.25, "max_rows": 2}},
            {"test-shift": {"by": 1}},
            {"test-shift": {"by": 2}},
        ]
    ),
    max_size=3,
)
ENDS: st.SearchStrategy[list[Any]] = st.sampled_from([[], [{"test-tally": {}}], [{"test-failing": {}}]])


@given(st.lists(st.tuples(CHAINS, ENDS), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_n_tasks_together_give_what_each_gives_alone(chains: list[tuple[list[Any], list[Any]]]) -> None:
    together = Plan(predictor())
    alone = [Plan(predictor()) for _ in chains]
    for task, (middle, end) in enumerate(chains):
        algorithm = make_algorithm(predictor(), DETECT, *middle, *end)
        together.set(str(task), algorithm, {})
        alone[task].set("it", algorithm, {})
    for at in clip([picture(8, 8)] * 4):
        found = together.run(at)
        assert set(found) == {str(task) for task in range(len(chains))}
        for task, plan in enumerate(alone):
            assert as_json(found[str(task)]) == as_json(plan.run(at)["it"])


@pytest.mark.parametrize("tasks", [1, 2, 10, 40])
def test_one_detection_a_frame_for_any_number_of_tasks(tasks: int) -> None:
    models = predictor()
    plan = Plan(models)
    for task in range(tasks):
        plan.set(
            str(task),
            make_algorithm(models, DETECT, {"filter": {"confidence": "$share"}}, params=SHARE),
            {"share": task / 100},
        )
    for at in clip([picture(8, 8)] * 3):
        plan.run(at)
    assert [call.seq for call in models.calls] == [0, 1, 2]
    assert plan.stages().count("detect") == 1
    assert plan.stages().count("filter") == tasks


def test_equal_chains_are_one_chain() -> None:
    plan = Plan(predictor())
    for task in "abc":
        plan.set(task, make_algorithm(predictor(), DETECT, {"test-shift": {"by": 1}}), {})
    assert plan.stages() == ["detect", "test-shift"]
    found = plan.run(frame(picture(8, 8)))
    assert found["a"] is found["b"] is found["c"]


def test_settings_are_compared_by_value_not_by_how_they_are_written() -> None:
    plan = Plan(predictor())
    plan.set("defaults", make_algorithm(predictor(), DETECT), {})
    plan.set("spelled", make_algorithm(predictor(), {"detect": {"confidence": 0.1, "model": "coco"}}), {})
    assert plan.stages() == ["detect"]


def test_a_task_may_end_where_another_goes_on() -> None:
    plan = Plan(predictor())
    plan.set("whole", make_algorithm(predictor(), DETECT, {"select": {"labels": ["person"]}}), {})
    plan.set("start", make_algorithm(predictor(), DETECT), {})
    found = plan.run(frame(picture(8, 8), seq=3))
    assert isinstance(found["whole"], Detections)
    assert isinstance(found["start"], Detections)
    assert len(found["whole"]) <= len(found["start"])
    plan.remove("whole")
    assert plan.stages() == ["detect"]
    assert set(plan.run(frame(picture(8, 8)))) == {"start"}


def test_models_of_one_frame_are_all_asked_before_any_is_waited_for() -> None:
    events: list[str] = []

    class Recording(FakePredictor):
        def detect(self, model: str, frame: Frame, **more: Any) -> Any:
            events.append(f"asked {model}")
            future = super().detect(model, frame, **more)
            real = future.result

            def waited(timeout: float | None = None) -> Any:
                events.append(f"waited {model}")
                return real(timeout)

            future.result = waited  # type: ignore[method-assign]
            return future

    models = Recording({"coco": some_people, "face-det": boxes(("face", 0.9, (0, 0, 5, 5)))})
    plan = Plan(models)
    plan.set("people", make_algorithm(models, DETECT), {})
    plan.set("faces", make_algorithm(models, {"detect": {"model": "face-det"}}), {})
    plan.run(frame(picture(8, 8)))
    assert events == ["asked coco", "asked face-det", "waited coco", "waited face-det"]


@pytest.mark.parametrize("at", ["begin", "process"])
def test_a_failing_stage_hurts_only_the_tasks_below_it(at: str) -> None:
    plan = Plan(predictor())
    bad = {"test-failing": {"at": at}}
    plan.set("good", make_algorithm(predictor(), DETECT), {})
    plan.set("bad", make_algorithm(predictor(), bad, {"test-shift": {}}), {})
    plan.set("also-bad", make_algorithm(predictor(), bad), {})
    for moment in clip([picture(8, 8)] * 2):
        found = plan.run(moment)
        assert isinstance(found["good"], Detections)
        for task in ("bad", "also-bad"):
            assert isinstance(found[task], StageError)
            assert "test-failing" in str(found[task])
            assert "ZeroDivisionError" in str(found[task])


def test_an_error_raised_on_purpose_passes_as_it_is() -> None:
    plan = Plan(predictor())
    plan.set("full", make_algorithm(predictor(), {"test-failing": {"on_purpose": True}}), {})
    plan.set("unknown", make_algorithm(predictor(), {"detect": {"model": "nobody"}}), {})
    found = plan.run(frame(picture(8, 8)))
    assert isinstance(found["full"], QueueFullError)
    assert isinstance(found["unknown"], ModelNotFoundError)


def test_a_failure_is_logged_once_a_minute_not_once_a_frame(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("aihub.algorithms.chains.time.monotonic", lambda: now[0])
    monkeypatch.setattr(logging.getLogger("aihub"), "propagate", True)
    plan = Plan(predictor())
    plan.set("bad", make_algorithm(predictor(), {"test-failing": {}}), {})
    for _ in range(50):
        plan.run(frame(picture(8, 8)))
        now[0] += 2
    assert len([r for r in caplog.records if "test-failing" in r.getMessage()]) == 2


def test_a_stage_that_cannot_be_made_leaves_the_plan_as_it_was() -> None:
    plan = Plan(predictor())
    plan.set("task", make_algorithm(predictor(), DETECT, {"test-tally": {}}), {})
    with pytest.raises(StageError, match="test-failing"):
        plan.set("task", make_algorithm(predictor(), DETECT, {"test-failing": {"at": "init"}}), {})
    with pytest.raises(ParamsError):
        plan.set("task", make_algorithm(predictor(), DETECT), {"nonsense": 1})
    assert plan.stages() == ["detect", "test-tally"]
    assert isinstance(plan.run(frame(picture(8, 8)))["task"], Findings)


def test_stages_that_stay_keep_their_state_and_the_rest_is_pruned() -> None:
    plan = Plan(predictor())
    counting: dict[str, Any] = {"test-counting": {}}
    shifted = make_algorithm(predictor(), counting, {"test-shift": {"by": "$share"}}, params=SHARE)
    plain = make_algorithm(predictor(), counting)
    before = Counting.made
    plan.set("a", shifted, {})
    plan.run(frame(picture(8, 8)))
    plan.set("b", plain, {})  # joins the counter that is there
    plan.set("a", shifted, {"share": 0.5})  # changes what comes after the counter
    found = plan.run(frame(picture(8, 8)))["b"]
    assert isinstance(found, Quality)
    assert found.measures == {"frames": 2.0}
    assert Counting.made == before + 1
    plan.remove("a")
    assert plan.stages() == ["test-counting"]
    plan.remove("b")
    plan.remove("never-there")
    assert plan.stages() == []
    assert plan.run(frame(picture(8, 8))) == {}
    plan.set("b", plain, {})
    fresh = plan.run(frame(picture(8, 8)))["b"]
    assert isinstance(fresh, Quality)
    assert fresh.measures == {"frames": 1.0}


def test_the_same_task_set_again_keeps_everything() -> None:
    plan = Plan(predictor())
    algorithm: Algorithm = make_algorithm(predictor(), {"test-counting": {}})
    for expected in (1.0, 2.0, 3.0):
        plan.set("a", algorithm, {})
        found = plan.run(frame(picture(8, 8)))["a"]
        assert isinstance(found, Quality)
        assert found.measures["frames"] == expected
    assert plan.tasks() == {"a": algorithm}


def test_tasks_come_and_go_while_frames_run() -> None:
    plan = Plan(predictor())
    plan.set("always", make_algorithm(predictor(), DETECT, {"test-tally": {}}), {})
    algorithm = make_algorithm(
        predictor(), DETECT, {"filter": {"confidence": "$share"}}, {"test-tally": {}}, params=SHARE
    )
    stop, broken = threading.Event(), []

    def edit() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            plan.set(f"task-{turn % 7}", algorithm, {"share": turn % 11 / 11})
            plan.remove(f"task-{(turn + 3) % 7}")

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        for at in clip([picture(8, 8)] * 400):
            found = plan.run(at)
            broken += [result for result in found.values() if isinstance(result, AihubError)]
            assert "always" in found
    finally:
        stop.set()
        editor.join(5)
    assert not editor.is_alive()
    assert broken == []
    for turn in range(7):
        plan.remove(f"task-{turn}")
    assert plan.stages() == ["detect", "test-tally"]
