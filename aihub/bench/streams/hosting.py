"""Streams through the hub's own stream host in this process, and what they cost: CPU seconds, stage by stage."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import Registry
from aihub.bench.stand import NotHereError
from aihub.engine.engine import Engine
from aihub.errors import AihubError
from aihub.events.lifecycle import EventBook, Subject
from aihub.streams.host import StreamHost
from aihub.types import AnyResult, Frame, Sampling, StreamSpec, StreamState, StreamTask
from aihub.types.results import Findings

_LIVE_S = 40.0
FIRST = 2
"""Frames that each stream has been analysed before anything is counted."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One stream.

    Attributes:
        url: of the camera.
        algorithms: that watch it; none reads and hands over its frames and looks at nothing.
        fps: frames analysed a second.
        key_frames: whether only key frames are decoded.
    """

    url: str
    algorithms: tuple[str, ...] = ()
    fps: float = 5.0
    key_frames: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What was counted.

    Attributes:
        seconds: on the clock.
        cpu_s: CPU of this process.
        read: frames decoded, each stream.
        analysed: frames analysed, each stream.
        spent: seconds of each stage's own code and of its models, over all streams (see `Plan.spent`).
        size: width and height of each stream's pictures.
        codec: of each stream, "H264" or "H265".
    """

    seconds: float
    cpu_s: float
    read: tuple[int, ...]
    analysed: tuple[int, ...]
    spent: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    size: tuple[tuple[int, int], ...] = ()
    codec: tuple[str, ...] = ()

    @property
    def cores(self) -> float:
        """Cores that were busy."""
        return self.cpu_s / self.seconds


class Hosted:
    """Streams that run until it is closed.

    Args:
        engine: runs the models.
        registry: knows the algorithms.
        watched: the streams.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        watched: Sequence[Watched],
    ) -> None:
        self._registry = registry
        self._book = EventBook()
        self._subjects: dict[tuple[str, str], Subject] = {}
        self._plans: list[Plan] = []
        self.events = 0
        self._specs = [
            StreamSpec(
                id=f"stream-{number}",
                url=one.url,
                tasks=tuple(StreamTask(id=name, algorithm=name) for name in one.algorithms)
                or (StreamTask(id="nothing", algorithm=NOTHING),),
                sampling=Sampling(fps=one.fps, key_frames=one.key_frames),
            )
            for number, one in enumerate(watched)
        ]
        self._host: StreamHost[Plan] = StreamHost(
            name="measured",
            plan=lambda: self._plan(engine),
            bind=self._bind,
            on_results=self._on_results,
            deadline_s=10.0,
        )

    def start(self, first: int = FIRST) -> None:
        """Begin, and wait until every stream has had so many frames analysed.

        Raises:
            NotHereError: one is not live in time, or an algorithm cannot run here.
        """
        self._host.sync(self._specs)
        until = time.monotonic() + _LIVE_S
        while True:
            statuses = self._host.statuses()
            broken = [why for status in statuses.values() for why in status.broken_tasks.values()]
            if broken:
                raise NotHereError(broken[0])
            if all(
                status.state is StreamState.LIVE and status.frames_analysed >= first
                for status in statuses.values()
            ):
                return
            if time.monotonic() > until:
                late = next(
                    s
                    for s in statuses.values()
                    if s.frames_analysed < first or s.state is not StreamState.LIVE
                )
                raise NotHereError(
                    f"a stream was not analysed in {_LIVE_S:.0f} s: {late.error or late.state}"
                )
            time.sleep(0.02)

    def take(self, seconds: float) -> Taken:
        """Count for so long."""
        before, spent = self._host.statuses(), self._spent()
        begun, cpu = time.monotonic(), time.process_time()
        time.sleep(seconds)
        cpu, lasted = time.process_time() - cpu, time.monotonic() - begun
        after, now = self._host.statuses(), self._spent()
        ids = [spec.id for spec in self._specs]
        return Taken(
            seconds=lasted,
            cpu_s=cpu,
            read=tuple(after[one].frames_read - before[one].frames_read for one in ids),
            analysed=tuple(after[one].frames_analysed - before[one].frames_analysed for one in ids),
            spent={key: (own - spent.get(key, (0, 0))[0], ran - spent.get(key, (0, 0))[1]) for key, (own, ran) in now.items()},
            size=tuple((after[one].width, after[one].height) for one in ids),
            codec=tuple(after[one].codec for one in ids),
        )  # fmt: skip

    def close(self) -> None:
        """Stop the streams."""
        self._host.close()

    def _plan(self, engine: Engine) -> Plan:
        made = Plan(engine)
        self._plans.append(made)
        return made

    def _spent(self) -> dict[str, tuple[float, float]]:
        sums: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for plan in list(self._plans):
            for key, (own, ran) in plan.spent().items():
                sums[key] = (sums[key][0] + own, sums[key][1] + ran)
        return dict(sums)

    def _bind(self, plan: Plan, spec: StreamSpec) -> dict[str, str]:
        broken = {}
        for task in spec.tasks:
            if task.algorithm == NOTHING:
                continue
            try:
                algorithm = self._registry.get(task.algorithm)
                plan.set(task.id, algorithm, task.params)
            except AihubError as error:
                broken[task.id] = str(error)
                continue
            if algorithm.card.event is not None:
                self._subjects[spec.id, task.id] = Subject(
                    spec.id,
                    spec.tenant,
                    task.id,
                    task.algorithm,
                    algorithm.card.version,
                    algorithm.card.event,
                )
        return broken

    def _on_results(self, spec: StreamSpec, frame: Frame, results: dict[str, AnyResult | AihubError]) -> None:
        """As a stream host does, except that nothing is stored or sent."""
        for task, result in results.items():
            subject = self._subjects.get((spec.id, task))
            if subject is not None and isinstance(result, Findings):
                self.events += len(self._book.observe(subject, result.observations, frame.captured_at))


NOTHING = "nothing"


@contextmanager
def hosted(
    engine: Engine,
    registry: Registry,
    watched: Sequence[Watched],
    *,
    first: int = FIRST,
) -> Iterator[Hosted]:
    """Streams that run in the block, warmed up.

    Raises:
        NotHereError: see `Hosted.start`.
    """
    running = Hosted(engine, registry, watched)
    try:
        running.start(first)
        yield running
    finally:
        running.close()
