"""The analysis pool: in turn, one at a time, and what goes wrong in one stream stays there."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from aihub.errors import ModelNotFoundError
from aihub.streams.tally import Tally
from aihub.streams.worker import AnalysisPool, StreamAnalysis
from aihub.telemetry import FRAME_AGE, STREAM_FRAMES, STREAM_RECONNECTS, exposition
from aihub.types import Frame, Sampling, StreamSpec
from tests.streams.fakes import GREY, CountingPlan, spec


class Busy:
    """A job that always has more to do, and notes when two threads are in it."""

    def __init__(self, name: str, diary: list[str], steps: int, seconds: float = 0.0) -> None:
        self.name = name
        self._diary = diary
        self._steps = steps
        self._seconds = seconds
        self._inside = threading.Lock()
        self.overlaps = 0

    def work(self) -> None:
        if not self._inside.acquire(blocking=False):
            self.overlaps += 1
            return
        try:
            self._diary.append(self.name)
            self._steps -= 1
            time.sleep(self._seconds)
        finally:
            self._inside.release()

    @property
    def pending(self) -> bool:
        return self._steps > 0


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_streams_take_turns() -> None:
    diary: list[str] = []
    pool = AnalysisPool(1, "test")
    blocker = Busy("blocker", [], 1, 0.1)
    pool.submit(blocker)
    time.sleep(0.02)
    for name in "abc":
        pool.submit(Busy(name, diary, 20))
    until(lambda: len(diary) == 60)
    pool.close(2)
    assert diary == list("abc") * 20


def test_a_slow_stream_takes_one_thread_and_no_more() -> None:
    diary: list[str] = []
    pool = AnalysisPool(2, "test")
    slow, quick = Busy("slow", diary, 5, 0.1), Busy("quick", diary, 200)
    for _ in range(10):
        pool.submit(slow)
        pool.submit(quick)
    until(lambda: diary.count("quick") == 200)
    assert diary.count("slow") <= 2
    pool.close(2)
    assert (slow.overlaps, quick.overlaps) == (0, 0)


def test_a_job_that_hangs_is_told() -> None:
    pool, release = AnalysisPool(2, "test"), threading.Event()

    class Hanging(Busy):
        def work(self) -> None:
            release.wait(10)

    pool.submit(Hanging("gate", [], 1))
    until(lambda: pool.stuck(0.05) is not None)
    assert "gate" in str(pool.stuck(0.05))
    assert pool.stuck(30) is None
    started = time.monotonic()
    pool.close(0.2)
    assert time.monotonic() - started < 5, "closing waits no longer than told"
    release.set()


class Desk:
    """A stream's analysis with a plan that notes what it sees."""

    def __init__(self, **changes: Any) -> None:
        self.plan = CountingPlan()
        self.bound: list[StreamSpec] = []
        self.given: list[tuple[StreamSpec, Frame]] = []
        self.tally = Tally("gate")
        self.spec = spec(**changes)
        self.analysis = StreamAnalysis(
            self.spec,
            self.tally,
            plan=lambda: self.plan,
            bind=self.bind,
            on_results=lambda found, frame, results: self.given.append((found, frame)),
            deadline_s=2.0,
        )

    def bind(self, plan: CountingPlan, wanted: StreamSpec) -> dict[str, str]:
        self.bound.append(wanted)
        return {"x": "needs weights"}

    def show(self, seq: int = 0, age_s: float = 0.0, at: float | None = None) -> None:
        moment = time.monotonic() - age_s if at is None else at
        self.analysis.slot.put(Frame(GREY, "gate", seq, time.time(), moment))
        self.analysis.work()


def test_tasks_are_bound_before_the_first_frame() -> None:
    desk = Desk()
    assert desk.analysis.pending
    desk.analysis.work()
    assert (desk.bound, desk.analysis.broken_tasks, desk.analysis.pending) == (
        [desk.spec],
        {"x": "needs weights"},
        False,
    )


def test_changed_tasks_are_bound_into_the_same_plan() -> None:
    desk = Desk()
    desk.show(0)
    changed = desk.spec.model_copy(update={"tasks": (), "revision": 2})
    desk.analysis.rebind(changed)
    assert desk.analysis.pending
    desk.show(1)
    assert desk.bound == [desk.spec, changed]
    assert [found.revision for found, _ in desk.given] == [1, 2]
    assert len(desk.plan.frames) == 2


def test_an_old_frame_is_dropped_as_late() -> None:
    desk = Desk()
    desk.show(age_s=2.5)
    assert (desk.tally.dropped["late"], desk.tally.analysed, desk.given) == (1, 0, [])


def test_a_still_picture_is_dropped_by_the_gate() -> None:
    desk = Desk(sampling=Sampling(fps=10, motion_gate=True))
    start = time.monotonic()
    for number in range(10):
        desk.show(number, at=start + number / 100)
    assert (desk.tally.dropped["still"], desk.tally.analysed) == (9, 1)


@pytest.mark.parametrize("where", ["plan", "results"])
def test_what_raises_is_counted_and_the_next_frame_goes_on(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    run, give = desk.plan.run, desk.analysis._on_results
    faults = iter([True] * 3)

    def fail(*_: object) -> Any:
        if next(faults, False):
            raise RuntimeError("bug")
        return run(_[0]) if where == "plan" else give(*_)  # type: ignore[arg-type]

    if where == "plan":
        desk.plan.run = fail  # type: ignore[method-assign,assignment]
    else:
        desk.analysis._on_results = fail
    for number in range(5):
        desk.show(number)
    assert (desk.tally.dropped["failed"], desk.tally.analysed) == (3, 2)
    assert caplog.text.count("said once a minute") == 1


def test_tasks_that_cannot_be_bound_say_why() -> None:
    desk = Desk()

    def refuse(plan: CountingPlan, wanted: StreamSpec) -> dict[str, str]:
        raise ModelNotFoundError("yolo")

    desk.analysis._bind = refuse
    desk.analysis.work()
    assert "yolo" in desk.analysis.broken_tasks["t"]
    assert desk.tally.dropped["failed"] == 0, "no frame was lost"


def test_a_closed_analysis_does_nothing() -> None:
    desk = Desk()
    desk.analysis.close()
    desk.show()
    assert (desk.given, desk.bound, desk.analysis.pending) == ([], [], False)


def value(name: str, **labels: str) -> float | None:
    found = [
        sample.value
        for metric in (STREAM_FRAMES, STREAM_RECONNECTS, FRAME_AGE)
        for family in metric.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


def test_counts_reach_the_metrics_once_and_leave_with_the_stream() -> None:
    tally = Tally("counted")
    tally.read, tally.sampled = 10, 4
    tally.dropped["late"] = 1
    tally.reconnects["connect"] += 2
    tally.analysed_after(0.05)
    tally.mark(0.0, live=True)
    tally.read += 5
    tally.mark(1.0, live=True)
    outcomes = {"read": 15, "sampled": 4, "analysed": 1, "dropped_late": 1}
    for outcome, count in outcomes.items():
        assert value("aihub_stream_frames_total", stream="counted", outcome=outcome) == count
    assert value("aihub_stream_reconnects_total", stream="counted", reason="connect") == 2
    assert value("aihub_stream_frame_age_seconds_count", stream="counted") == 1
    tally.remove()
    assert 'stream="counted"' not in exposition()


def test_rates_and_latency() -> None:
    tally = Tally("rated")
    assert tally.rates(0.0) == (0.0, 0.0)
    assert tally.latency_ms() == (0.0, 0.0)
    for second in range(10):
        tally.mark(float(second), live=True)
        tally.read += 25
        tally.analysed += 5
    assert tally.rates(10.0) == (25.0, 5.0)
    tally.ages.extend([0.01] * 95 + [1.0] * 5)
    median, high = tally.latency_ms()
    assert median == pytest.approx(10)
    assert high > 10
    tally.remove()


def test_fairness_under_load_is_even() -> None:
    """Ten streams that always have a fresh frame are analysed equally often."""
    diary: list[str] = []
    pool = AnalysisPool(2, "test")
    for number in range(10):
        pool.submit(Busy(str(number), diary, 10_000))
    until(lambda: len(diary) > 2000)
    pool.close(2)
    counts = Counter(diary[:2000])
    assert max(counts.values()) - min(counts.values()) <= 20
