"""The analysis side of a host: few threads that serve many streams in turn.

A stream joins the end of the line when it has a fresh frame and is in the line at most once, so a stream with many frames
cannot starve the others, and no stream is ever looked at by two threads at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

from aihub.errors import AihubError
from aihub.streams.sampling import MotionGate
from aihub.streams.slot import Slot
from aihub.streams.tally import Tally
from aihub.telemetry import FRAME_SECONDS
from aihub.types import AnyResult, Frame, StreamSpec

logger = logging.getLogger(__name__)

Results = dict[str, AnyResult | AihubError]

_WAIT, _ANALYSE, _RESULTS = (FRAME_SECONDS.labels(step) for step in ("wait", "analyse", "results"))


class FramePlan(Protocol):
    """What `aihub.algorithms.planner.Plan` offers the streams."""

    def run(self, frame: Frame) -> Results:
        """Result or error per task."""
        ...


PlanT = TypeVar("PlanT", bound=FramePlan)


class Job(Protocol):
    """Something a pool works on in small steps."""

    name: str

    def work(self) -> None:
        """Do one step."""
        ...

    @property
    def pending(self) -> bool:
        """Whether there is a further step to do now."""
        ...


class AnalysisPool:
    """Threads that take jobs in turn, one step at a time.

    Args:
        threads: how many work at once.
        name: for the names of the threads.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._lock = threading.Lock()
        self._line: SimpleQueue[Job | None] = SimpleQueue()  # holds each job at most once
        self._scheduled: set[Job] = set()
        self._busy: dict[int, tuple[str, float]] = {}
        self._closing = False
        self._threads = [
            threading.Thread(
                target=self._serve, args=(number,), name=f"{name}-analysis-{number}", daemon=True
            )
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Put a job at the end of the line, unless it is there or being worked on: then it is looked at again."""
        with self._lock:
            if job in self._scheduled or self._closing:
                return
            self._scheduled.add(job)
        self._line.put(job)

    def stuck(self, longest_s: float) -> str | None:
        """The job whose present step takes longer than this, and how long, else None."""
        now = time.monotonic()
        for name, since in list(self._busy.values()):
            if now - since > longest_s:
                return f"the analysis of {name} has not come back for {now - since:.0f} s"
        return None

    def close(self, timeout_s: float) -> None:
        """Take no more steps; wait for those under way, at most so long."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._closing = True
        for _ in self._threads:
            self._line.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self, number: int) -> None:
        while not self._closing:
            try:
                job = self._line.get(timeout=1.0)
            except Empty:
                continue
            if job is None or self._closing:
                return
            self._busy[number] = (job.name, time.monotonic())
            job.work()
            self._busy.pop(number, None)
            with self._lock:
                again = job.pending
                if not again:
                    self._scheduled.discard(job)
            if again:
                self._line.put(job)


class StreamAnalysis(Generic[PlanT]):
    """One stream's analysis: newest frame, motion gate, plan, results.

    Args:
        spec: what was asked for.
        tally: where frames are counted.
        plan: makes the stream's plan; called once, before the first frame.
        bind: puts the spec's tasks into the plan; gives task id -> why it does not run.
        on_results: takes the results of every analysed frame.
        deadline_s: a frame older than this is dropped as `late`, seconds.
    """

    def __init__(
        self,
        spec: StreamSpec,
        tally: Tally,
        *,
        plan: Callable[[], PlanT],
        bind: Callable[[PlanT, StreamSpec], Mapping[str, str]],
        on_results: Callable[[StreamSpec, Frame, Results], None],
        deadline_s: float,
    ) -> None:
        self.name = spec.id
        self.source = f"{spec.tenant}/{spec.id}"  # fairness goes by tenants first
        self.slot = Slot(tally.dropped)
        self.broken_tasks: dict[str, str] = {}
        self._wanted = spec
        self._bound: StreamSpec | None = None
        self._tally = tally
        self._make_plan = plan
        self._plan: PlanT | None = None
        self._bind = bind
        self._on_results = on_results
        self._deadline_s = deadline_s
        self._gate = MotionGate()
        self._closed = False
        self._complained = 0.0

    def rebind(self, spec: StreamSpec) -> None:
        """Analyse by this spec from the next step on; the plan keeps the state of tasks that stay."""
        self._wanted = spec

    def close(self) -> None:
        """Take no further step."""
        self._closed = True
        self.slot.clear()

    @property
    def pending(self) -> bool:
        """Whether a frame waits or tasks have changed."""
        return not self._closed and (self.slot.waiting or self._wanted is not self._bound)

    def work(self) -> None:
        """Bind changed tasks, then look at the newest frame. Whatever goes wrong in it stays in it."""
        if self._closed:
            return
        try:
            if self._wanted is not self._bound:
                self._rebind(self._wanted)
            frame = self.slot.take()
            if frame is not None:
                self._analyse(frame)
        except Exception as error:  # noqa: BLE001 - edge of one stream: the next frame and all other streams go on; counted
            self._tally.dropped["failed"] += 1
            self._complain(error)

    def _rebind(self, spec: StreamSpec) -> None:
        self._bound = spec
        try:
            if self._plan is None:
                self._plan = self._make_plan()
            self.broken_tasks = dict(self._bind(self._plan, spec))
        except Exception as error:  # noqa: BLE001 - edge of one stream; the status shows it for every task
            why = str(error) if isinstance(error, AihubError) else f"{type(error).__name__} while binding"
            self.broken_tasks = {task.id: why for task in spec.tasks}
            self._complain(error)

    def _analyse(self, frame: Frame) -> None:
        spec, tally = self._bound, self._tally
        if spec is None or self._plan is None:
            tally.dropped["failed"] += 1
            return
        begun = time.monotonic()
        age = begun - frame.monotonic
        if age > self._deadline_s:
            tally.dropped["late"] += 1
            return
        if spec.sampling.motion_gate and not self._gate.passes(frame):
            tally.dropped["still"] += 1
            return
        results = self._plan.run(frame)
        planned = time.monotonic()
        self._on_results(spec, frame, results)
        done = time.monotonic()
        _WAIT.observe(age)
        _ANALYSE.observe(planned - begun)
        _RESULTS.observe(done - planned)
        tally.analysed_after(done - frame.monotonic)

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._complained > 60.0 or not self._complained:
            self._complained = now
            logger.error(
                "stream %s: the analysis failed; this is said once a minute", self.name, exc_info=error
            )
