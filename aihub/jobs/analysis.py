"""The work itself: frames of a film or pictures in, JSON lines out, with checkpoints from which a restart goes on.

Lines, in this order: `{"job": {...}}` once; for every frame one line a task, `{"t", "frame", "task", "algorithm", "result"}`, or
`"error"` in place of the result; behind a frame's results the `{"event": {...}}` lines that it led to. Pictures have their `picture`
and `size` instead of a `t`, and no events: each is looked at as the only one there ever was. Sound comes in pieces: `frame` is the
number of the piece, `t` its begin, `duration` its length, and the times in its results are those of the whole recording.

A restart cuts the lines at the last checkpoint and goes on behind it with all that the rules remembered, so that the lines are the
same as without it. Nothing in them depends on when or how often it was run; ids of events are counted, not drawn.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aihub.algorithms.hearing import hear, shifted
from aihub.algorithms.planner import Plan
from aihub.errors import AihubError
from aihub.events.lifecycle import EventBook, Subject
from aihub.jobs.checkpoint import Checkpoint, freeze, thaw
from aihub.jobs.film import Moment
from aihub.jobs.folders import JobFolder, check_room
from aihub.jobs.lines import Lines
from aihub.jobs.patience import PatientPredictor
from aihub.jobs.workplace import Desk, Pace, Workplace, fingerprint_of
from aihub.types import AnyResult, Bill, Event, Findings, Frame, Sound
from aihub.types.jobs import JobKind, JobSpec

Outcome = AnyResult | AihubError
PIECE_TIMEOUT_S = 300.0
HOPELESS = 25
"""A job ends as failed when so many frames from its first on gave nothing but errors."""


@dataclass
class Memory:
    """What a job remembers from frame to frame; all of it goes into a checkpoint.

    Attributes:
        plan: the stages with their state; None for pictures, which get a fresh one each.
        book: the lives of conditions.
        event_ids: id that the book drew -> id in the lines.
        place: where to go on in the film.
        index: number of the next picture.
        frames: analysed so far.
        failed: frames on which an algorithm failed.
        barren: frames from the first on that gave nothing but errors; None once one gave more.
        events: lines of events so far.
        t: time of the newest frame, seconds.
    """

    plan: Plan | None = None
    book: EventBook = field(default_factory=EventBook)
    event_ids: dict[str, str] = field(default_factory=dict)
    place: Moment = field(default_factory=Moment)
    index: int = 0
    frames: int = 0
    failed: int = 0
    barren: int | None = 0
    events: int = 0
    t: float = 0.0


class Analysis:
    """One run of the analysis of one job, from its beginning or from its checkpoint.

    Attributes:
        memory: as far as it is.
    """

    def __init__(self, spec: JobSpec, place: Workplace, desk: Desk) -> None:
        """Prepare.

        Raises:
            AihubError: an algorithm has gone, or cannot be made.
        """
        self._spec, self._place, self._desk = spec, place, desk
        self._folder: JobFolder = place.folders.of(spec.id)
        self._predictor = PatientPredictor(place.predictor, patience_s=place.patience_s, stopped=desk.stopped)
        self._described = place.described(spec)
        self._fingerprint = fingerprint_of(self._described)
        self._subjects = _subjects(spec, place)
        self._algorithms = {task.id: task.algorithm for task in spec.tasks}
        self._seen: Counter[str] = Counter()
        self._costs: defaultdict[str, float] = defaultdict(float)
        self.memory = Memory()

    @property
    def source(self) -> str:
        """Name of the job's frames: the engine is fair between tenants first."""
        return f"{self._spec.tenant}/{self._spec.id}"

    def run(self, look: Callable[[], Iterable[None]]) -> None:
        """Look at everything, and write.

        Args:
            look: looks at one frame each time it is asked for the next; begins behind `memory`.

        Raises:
            Stopped: somebody asked for it; what was done since the last checkpoint will be done again.
            AihubError: the job cannot go on.
            OSError: the disk is full, for one.
        """
        lines = self._lines = self._resume()
        saved_at, pace = time.monotonic(), Pace(self._place.busy)
        try:
            for _ in look():
                self._desk.check()
                pace.frame_done()
                if time.monotonic() - saved_at >= self._place.checkpoint_s:
                    self._save(lines)
                    saved_at = time.monotonic()
            self._desk.check()
            self._end_events()
            lines.sync()
        finally:
            self._book()
            lines.close()

    def fresh_plan(self) -> Plan:
        """A plan with the job's tasks and no memory.

        Raises:
            AihubError: a task cannot run.
        """
        plan = Plan(self._predictor)
        for task in self._spec.tasks:
            plan.set(task.id, self._place.registry.get(task.algorithm), task.params)
        return plan

    def see(self, plan: Plan, frame: Frame, head: dict[str, Any]) -> None:
        """Analyse one frame and write its lines.

        Args:
            plan: what to run.
            frame: the frame; its `monotonic` is the time in the film.
            head: what its lines begin with.

        Raises:
            Stopped: before anything was written.
            AihubError: nothing but errors so far.
        """
        found = plan.run(frame)
        self._desk.check()  # a model that refused because nobody waits any more is no result
        for task, cost in plan.costs().items():
            self._spend(task, cost)
        self._tell(found, head)
        if self._spec.kind is JobKind.VIDEO:
            self._follow(found, frame.monotonic)

    def listen(self, sound: Sound, head: dict[str, Any], amount: int) -> None:
        """Hear one piece of a recording and write its lines.

        Args:
            sound: the piece.
            head: what its lines begin with.
            amount: seconds of it, for progress and usage.

        Raises:
            Stopped: before anything was written.
            AihubError: nothing but errors so far.
        """
        found: dict[str, Outcome] = {}
        for task in self._spec.tasks:
            algorithm = self._place.registry.get(task.algorithm)
            sound.deadline, sound.bill = math.inf, Bill()
            try:
                heard = hear(algorithm, sound, task.params, self._predictor, timeout_s=PIECE_TIMEOUT_S)
                found[task.id] = shifted(heard, sound.start)
            except AihubError as error:
                found[task.id] = error
            self._desk.check()
            self._spend(task.id, sound.bill.total)
        self._tell(found, head, amount)

    def refuse(self, head: dict[str, Any], error: AihubError) -> None:
        """Write that a picture cannot be read, once for all tasks."""
        self._lines.write(head | {"error": _problem(error)})
        self.memory.frames += 1
        self.memory.failed += 1

    def _tell(self, found: dict[str, Outcome], head: dict[str, Any], amount: int = 1) -> None:
        failures = []
        for task in self._spec.tasks:
            outcome = found.get(task.id)
            if outcome is None:
                continue
            line = head | {"task": task.id, "algorithm": task.algorithm}
            if not isinstance(outcome, AihubError):
                try:
                    self._lines.write(line | {"result": outcome.to_json()})
                    self._seen[task.algorithm] += amount
                    continue
                except ValueError:
                    outcome = AihubError("the result holds a number that is not finite")
            failures.append(outcome)
            self._lines.write(line | {"error": _problem(outcome)})
        memory = self.memory
        memory.frames += amount
        memory.failed += bool(failures)
        if len(failures) < len(found):
            memory.barren = None
        elif memory.barren is not None:
            memory.barren += 1
            if memory.barren >= HOPELESS:
                raise failures[-1]

    def _follow(self, found: dict[str, Outcome], t: float) -> None:
        self.memory.t = t
        for task, outcome in found.items():
            subject = self._subjects.get(task)
            if subject is not None and isinstance(outcome, Findings):
                self._tell_events(self.memory.book.observe(subject, outcome.observations, t))

    def _tell_events(self, events: Iterable[Event]) -> None:
        ids = self.memory.event_ids
        for event in events:
            if event.id not in ids:
                name = f"{self._spec.id}/{len(ids)}"
                ids[event.id] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"aihub:jobs/{name}"))
            told = event.model_dump(mode="json") | {"id": ids[event.id]}
            self._lines.write({"event": told})
            self.memory.events += 1

    def _end_events(self) -> None:
        """The film is over, and with it everything that still stood."""
        if self._spec.kind is JobKind.VIDEO:
            self._tell_events(self.memory.book.forget(self._spec.id, None, self.memory.t))

    def _resume(self) -> Lines:
        found = Checkpoint.load(self._folder.checkpoint, self._fingerprint)
        if found is not None:
            memory = thaw(found.memory, self._predictor, self._place.registry.get)
            if isinstance(memory, Memory):
                try:
                    lines = Lines(self._folder.lines, found.offset)
                except (AihubError, OSError):
                    pass  # the lines are not those of the checkpoint: begin again
                else:
                    self.memory = memory
                    return lines
        self.memory = Memory()
        lines = Lines(self._folder.lines)
        lines.write({"job": self._described})
        return lines

    def _save(self, lines: Lines) -> None:
        check_room(self._folder.path)
        memory = freeze(self.memory, self._predictor)
        if memory is not None:
            Checkpoint(self._fingerprint, lines.sync(), memory).save(self._folder.checkpoint)
        self._book()

    def _spend(self, task: str, seconds: float) -> None:
        self._costs[self._algorithms[task]] += seconds

    def _book(self) -> None:
        seen, self._seen = self._seen, Counter()
        costs, self._costs = self._costs, defaultdict(float)
        for algorithm in {*seen, *costs}:
            self._place.book(
                self._spec.tenant, algorithm, frames=seen[algorithm], compute_s=costs.get(algorithm, 0.0)
            )


def _subjects(spec: JobSpec, place: Workplace) -> dict[str, Subject]:
    made = {}
    for task in spec.tasks:
        algorithm = place.registry.get(task.algorithm)
        card = algorithm.card
        if card.event is not None:
            made[task.id] = Subject(
                stream_id=spec.id, tenant=spec.tenant, task_id=task.id, algorithm=card.id,
                algorithm_version=card.version, spec=card.event,
                models=dict(place.digests(algorithm.models())),
            )  # fmt: skip
    return made


def _problem(error: AihubError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}
