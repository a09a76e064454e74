"""A model in every way that this machine can run it: backend, precision, threads, batch; against one bare session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from aihub.bench.results import Curve
from aihub.bench.runtimes.bare import BareOnnxRuntime, Clock, Feeds, in_lanes
from aihub.bench.runtimes.subjects import Subject
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.turns import Turns, take_turns
from aihub.engine.backends import RUNS_ON_DEVICE, backends
from aihub.engine.machine import cores
from aihub.engine.measure import copied, deviation
from aihub.engine.session import RunSettings, Session
from aihub.errors import SessionError

BASE = "bare ONNX Runtime, 1 thread a run"


@dataclass(frozen=True, slots=True)
class Grid:
    """What is varied.

    Attributes:
        backends: names; empty for all that are installed.
        precisions: empty for all that a backend computes in here.
        threads: of one run; 0 stands for all cores.
        batches: items in one run.
    """

    backends: Sequence[str]
    precisions: Sequence[str]
    threads: Sequence[int]
    batches: Sequence[int]

    def groups(self, subject: Subject) -> dict[tuple[str, str], list[RunSettings]]:
        """Settings by backend and precision; those of one group are measured in turns."""
        return {
            (name, precision): self._group(subject, name, precision)
            for name, backend in backends().items()
            if not self.backends or name in self.backends
            for precision in backend.precisions()
            if not self.precisions or precision in self.precisions
        }

    def _group(self, subject: Subject, name: str, precision: str) -> list[RunSettings]:
        on_device = backends()[name].accelerator
        wanted = [1] if on_device else sorted({min(one or cores(), cores()) for one in self.threads})
        return [
            RunSettings(name, precision, threads=threads, batch=batch if batch > 1 or subject.pictures else 0,
                        parallel=RUNS_ON_DEVICE if on_device else max(1, cores() // threads))
            for threads in wanted for batch in sorted(set(self.batches))
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pass:
    """How the grid is measured.

    Attributes:
        turns: how often each setting is.
        seconds: of one measurement.
        clock: `wall` for what callers get; `cpu` for what it costs, on a machine with neighbours.
    """

    turns: int
    seconds: float
    clock: Clock = "wall"


def sweep(stand: Stand, subject: Subject, grid: Grid, how: Pass) -> None:
    """Add speeds as ratios to the base, curves of throughput and latency, and how close each precision is to float32.

    By the clock `cpu`, speeds are those of a second of CPU, and there are no curves of them.

    Raises:
        NotHereError: nothing of the grid runs here.
    """
    curves: dict[str, list[tuple[RunSettings, float]]] = {}
    reference = copied_run(subject, RunSettings(batch=1 if subject.pictures else 0))
    for (name, precision), group in grid.groups(subject).items():
        with stand.part(f"{subject.name}: {name} {precision}"):
            taken, ran = _measure(subject, group, how, stand)
            for settings in ran:
                _add(stand, subject, settings, taken, how)
                line = f"{name} {precision}, {settings.threads} x {settings.parallel}"
                curves.setdefault(line, []).append((settings, taken.median(str(settings))))
            _agreement(stand, subject, ran[0], reference)
    if not curves:
        raise NotHereError(f"{subject.name}: none of the backends and precisions asked for is here")
    if how.clock == "wall":
        _curves(stand, subject, curves)


def copied_run(subject: Subject, settings: RunSettings, feeds: Feeds | None = None) -> dict[str, np.ndarray]:
    """Outputs of one run of a session of its own.

    Raises:
        NotHereError: the runtime is not installed or refuses the graph.
    """
    session = _open(subject, settings)
    try:
        return copied(session.run(feeds or subject.feeds()))
    finally:
        session.close()


def _open(subject: Subject, settings: RunSettings) -> Session:
    if settings.backend not in backends():
        raise NotHereError(f"{settings.backend} is not installed")
    try:
        return backends()[settings.backend].load(subject.graph, settings)
    except SessionError as error:
        raise NotHereError(f"{settings}: {error.message}") from error


def _measure(
    subject: Subject, group: Sequence[RunSettings], how: Pass, stand: Stand
) -> tuple[Turns, list[RunSettings]]:
    """Costs of the group's settings and of the base, in seconds an item; and which of them could be run."""
    costs: dict[str, Callable[[], float]] = {}
    ran = []
    with ExitStack() as open_:
        base = BareOnnxRuntime(subject.graph, 1, spinning=False)
        open_.callback(base.close)
        one = subject.feeds()
        costs[BASE] = lambda: in_lanes(lambda: base.run(one), cores(), how.seconds, clock=how.clock)
        for settings in group:
            try:
                session = _open(subject, settings)
            except NotHereError as error:
                stand.skipped[f"{subject.name}: {settings}"] = error.message
                continue
            open_.callback(session.close)
            if settings.batch > 1 and not session.batchable:
                stand.skipped[f"{subject.name}: batches"] = "the graph takes one item at a time"
                continue
            costs[str(settings)] = _cost(session, settings, subject.feeds(max(1, settings.batch)), how)
            ran.append(settings)
        if not ran:
            raise NotHereError("no session opens")
        # The part takes the machine's pace at both its ends: taken at each of these short slices it would cost more than they.
        return take_turns(costs, how.turns, step=stand.say), ran


def _cost(session: Session, settings: RunSettings, feeds: Feeds, how: Pass) -> Callable[[], float]:
    items = max(1, settings.batch)
    return lambda: (
        in_lanes(lambda: session.run(feeds), settings.parallel, how.seconds, clock=how.clock) / items
    )


def _add(stand: Stand, subject: Subject, settings: RunSettings, taken: Turns, how: Pass) -> None:
    items = max(1, settings.batch)
    cost = taken.median(str(settings))
    told = f"{1 / cost:.4g} items/s, {_latency_ms(settings, cost):.3g} ms a run"
    if how.clock == "cpu":
        told = f"{1e3 * cost:.4g} ms of CPU an item"
    stand.ratio(
        f"speed/{subject.slug}/{settings.backend}-{settings.precision}-t{settings.threads}-b{items}",
        f"{subject.name} on {settings} / {BASE}", taken, BASE, str(settings), better="higher",
        detail=f"{told}; turns {taken.spread(BASE, str(settings))}",
        labels={"model": subject.name, "backend": settings.backend, "precision": settings.precision,
                "threads": str(settings.threads), "batch": str(items)},
    )  # fmt: skip


def _latency_ms(settings: RunSettings, cost: float) -> float:
    """Of one run, with all that go on beside it."""
    return 1e3 * cost * max(1, settings.batch) * settings.parallel


def _agreement(
    stand: Stand, subject: Subject, settings: RunSettings, reference: dict[str, np.ndarray]
) -> None:
    single = replace(settings, batch=1 if subject.pictures else 0)
    off = deviation(reference, copied_run(subject, single))
    stand.add(
        f"agreement/{subject.slug}/{settings.backend}-{settings.precision}",
        f"{subject.name}: {settings.backend} {settings.precision} agrees with float32",
        max(0.0, 1 - off), unit="", kind="accuracy",
        detail=f"outputs are off by {off:.3g} of their size (RMS), worst output, on one random picture",
        labels={"model": subject.name, "backend": settings.backend, "precision": settings.precision},
    )  # fmt: skip


def _curves(stand: Stand, subject: Subject, lines: dict[str, list[tuple[RunSettings, float]]]) -> None:
    def points(
        of: Callable[[RunSettings, float], float],
    ) -> dict[str, tuple[tuple[float, float], ...]]:
        return {
            name: tuple((float(max(1, settings.batch)), of(settings, cost)) for settings, cost in found)
            for name, found in lines.items()
        }

    stand.curves += [
        Curve(name=f"throughput/{subject.slug}", title=f"{subject.name}: throughput against batch", x="items in a run",
              y="items/s", lines=points(lambda _, cost: 1 / cost), log_x=True),
        Curve(name=f"latency/{subject.slug}", title=f"{subject.name}: latency against batch", x="items in a run", y="ms a run",
              lines=points(_latency_ms), log_x=True),
    ]  # fmt: skip
