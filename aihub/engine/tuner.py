"""Measures how a model runs best on this machine, checks that it still computes the same, and remembers.

    1. which runtime and precision   each loaded, checked against float32, then raced; the slower half drops out
    2. how the cores are shared      one thread a run and a run on every core, against all threads on one run
    3. how large a batch             as long as a larger one is faster

Speed is items a second with as many runs at once as the settings allow. Slices of the candidates alternate and the best
slice counts, so that a neighbour on the machine who comes and goes does not decide.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aihub.engine.backends import RUNS_ON_DEVICE
from aihub.engine.measure import Runner, copied, deviation, example_feeds
from aihub.engine.profiles import ProfileBook
from aihub.engine.session import Backend, RunSettings, Session
from aihub.errors import SessionError

logger = logging.getLogger(__name__)

TOLERANCE = {"f32": 0.005, "bf16": 0.1, "f16": 0.05}
"""Largest deviation from float32 on ONNX Runtime, by precision; see `deviation`."""

PRECISION_GAIN = 1.05
"""A lower precision costs accuracy, so it must be this much faster than the best float32. Any more would leave speed lying about."""

WIDE_GAIN = 1.1
"""A run on all cores keeps every other model waiting, so it must be this much faster than runs side by side."""

BATCH_GAIN = 1.05
"""A larger batch costs latency and memory, so it must be this much faster."""

BATCHES = (2, 4, 8, 16, 32)
_SLICE_S = 0.04
_FAR_BEHIND = (0.5, 0.8, 0.8)
"""After each round, who has less than this share of the leader's speed drops out; one short slice proves little."""

_FINAL_SHARE = 0.25
"""Share of the budget in which the last two take turns: neighbours make single slices differ more than the two do."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate and what came of it.

    Attributes:
        settings: what was tried.
        items_per_s: best slice, 0 when it was not measured.
        latency_ms: median time of one run, a batch if there is one.
        deviation: from float32; None when it was not checked.
        rejected: why it cannot win, empty when it can.
    """

    settings: RunSettings
    items_per_s: float = 0.0
    latency_ms: float = 0.0
    deviation: float | None = None
    rejected: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "settings": self.settings.to_json(),
            "items_per_s": round(self.items_per_s, 2),
            "latency_ms": round(self.latency_ms, 3),
            "deviation": None if self.deviation is None else round(self.deviation, 6),
            "rejected": self.rejected,
        }


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What tuning one model found.

    Attributes:
        model: its name.
        chosen: the best settings that compute the same.
        trials: everything that was tried, in order.
        seconds: how long it took.
        profile: file that keeps it; None without a folder for profiles.
    """

    model: str
    chosen: RunSettings
    trials: tuple[Trial, ...]
    seconds: float
    profile: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.model,
            "chosen": self.chosen.to_json(),
            "trials": [trial.to_json() for trial in self.trials],
            "seconds": round(self.seconds, 2),
            "profile": str(self.profile) if self.profile else None,
        }


TuneProgress = Callable[[Trial], None]
"""Called with every trial when its outcome is known."""


class Tuner:
    """Tunes models on this machine.

    Args:
        backends: the runtimes to choose from.
        cores: cores that runs may use together.
        book: where profiles are kept.
    """

    def __init__(self, backends: Mapping[str, Backend], *, cores: int, book: ProfileBook) -> None:
        self._backends = backends
        self._cores = cores
        self._book = book

    def tune(
        self,
        name: str,
        digest: str,
        model: bytes,
        *,
        pictures: bool,
        budget_s: float = 3.0,
        batches: Sequence[int] = BATCHES,
        progress: TuneProgress | None = None,
    ) -> TuneReport:
        """Measure a model and store the best settings as its profile.

        Args:
            name: of the model.
            digest: of its weights; names the profile.
            model: the prepared graph.
            pictures: whether it takes pictures one by one, so that a free first side may be fixed to 1.
            budget_s: about how long to measure; the last load and slice may run over it.
            batches: batch sizes to try after 1, ascending, where the graph's first side is free.
            progress: told every trial.

        Raises:
            SessionError: not even the reference works.
            ConfigError: the inputs have free sizes, so there is nothing to measure by; or the profile cannot be written.
        """
        started = time.monotonic()
        with ThreadPoolExecutor(max(self._cores, RUNS_ON_DEVICE), thread_name_prefix="aihub-tuner") as pool:
            race = _Race(self._backends, self._cores, model, budget_s, pool, progress)
            try:
                chosen = race.run(1 if pictures else 0, batches)
            finally:
                race.close()
        trials = tuple(race.trials.values())
        path = self._book.store(digest, chosen, [trial.to_json() for trial in trials])
        seconds = time.monotonic() - started
        logger.info("tuned %s in %.1f s: %s", name, seconds, chosen)
        return TuneReport(name, chosen, trials, seconds, path)


class _Race:
    """One tuning. `trials` has every candidate by its settings, in the order they were tried."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        cores: int,
        model: bytes,
        budget_s: float,
        pool: ThreadPoolExecutor,
        progress: TuneProgress | None,
    ) -> None:
        self.trials: dict[RunSettings, Trial] = {}
        self._budget_s = budget_s
        self._backends, self._cores, self._model = backends, cores, model
        self._until, self._pool, self._progress = time.monotonic() + budget_s, pool, progress
        self._sessions: list[Session] = []

    def close(self) -> None:
        """Give all candidates' memory back."""
        for session in self._sessions:
            session.close()

    def run(self, batch: int, batches: Sequence[int]) -> RunSettings:
        """All three steps; the best settings."""
        reference = self._reference(batch)
        best = self._fastest([reference, *self._rivals(reference)], final=True)
        if self._cores > 1 and not self._backends[best.settings.backend].accelerator:
            whole = self._enter(replace(best.settings, threads=self._cores, parallel=1), reference)
            best = self._fastest([best, whole] if whole else [best])
        return self._batched(best, reference, batches).settings

    def _load(self, settings: RunSettings) -> Session:
        session = self._backends[settings.backend].load(self._model, settings)
        self._sessions.append(session)
        return session

    def _reference(self, batch: int) -> Runner:
        """Float32 on ONNX Runtime's CPU, whose word is taken; where it is not installed, the first runtime there is."""
        name = "onnxruntime" if "onnxruntime" in self._backends else next(iter(self._backends))
        settings = RunSettings(name, parallel=self._runs(name), batch=batch)
        session = self._load(settings)
        return Runner(settings, session, example_feeds(session.inputs, 1), 0.0)

    def _runs(self, backend: str) -> int:
        return RUNS_ON_DEVICE if self._backends[backend].accelerator else self._cores

    def _rivals(self, reference: Runner) -> list[Runner]:
        """Every other runtime and precision that gives the same outputs."""
        able = [
            replace(reference.settings, backend=name, precision=precision, parallel=self._runs(name))
            for name, backend in self._backends.items()
            for precision in backend.precisions()
        ]
        entered = [self._enter(settings, reference) for settings in able if settings != reference.settings]
        return [runner for runner in entered if runner is not None]

    def _enter(self, settings: RunSettings, reference: Runner) -> Runner | None:
        """Load and check a candidate; None, and a trial that says why, when it cannot take part."""
        if time.monotonic() > self._until:
            self._note(Trial(settings, rejected="no time was left to try it"))
            return None
        try:
            session = self._load(settings)
            items = max(1, settings.batch)
            if items > 1 and not session.batchable:
                self._note(Trial(settings, rejected="the graph takes one item at a time"))
                return None
            runner = Runner(settings, session, example_feeds(session.inputs, items))
            runner.deviation = _off(runner, reference)
        except SessionError as error:
            self._note(Trial(settings, rejected=error.message))
            return None
        if runner.deviation > TOLERANCE[settings.precision]:
            why = f"its outputs are off by {runner.deviation:.3g} of their size"
            self._note(Trial(settings, deviation=runner.deviation, rejected=why))
            return None
        return runner

    def _note(self, trial: Trial) -> None:
        self.trials[trial.settings] = trial
        if self._progress is not None:
            self._progress(trial)

    def _fastest(self, runners: list[Runner], *, final: bool = False) -> Runner:
        """Race in rounds of growing slices; who is far behind after a round, or in its slower half, drops out."""
        racing, slice_s = list(runners), _SLICE_S
        for turn in range(len(_FAR_BEHIND) if len(runners) > 1 else 1):
            for runner in racing:
                runner.measure(self._pool, slice_s)
            racing.sort(key=lambda runner: -runner.items_per_s)
            keep = len(racing) if turn == 0 else max(2, -(-len(racing) // 2))
            floor = _FAR_BEHIND[turn] * racing[0].items_per_s
            racing = [runner for runner in racing[:keep] if runner.items_per_s >= floor]
            slice_s *= 2
            if len(racing) == 1 or time.monotonic() + slice_s * len(racing) > self._until:
                break
        if final:
            self._final(racing[:2], slice_s)
        for runner in runners:
            self._note(Trial(runner.settings, runner.items_per_s, runner.latency_ms, runner.deviation))
        return _winner(runners)

    def _final(self, runners: list[Runner], slice_s: float) -> None:
        until = min(time.monotonic() + _FINAL_SHARE * self._budget_s, self._until)
        while len(runners) == 2 and time.monotonic() + 2 * slice_s < until:
            for runner in runners:
                runner.measure(self._pool, slice_s)

    def _batched(self, best: Runner, reference: Runner, batches: Sequence[int]) -> Runner:
        """Larger batches while they are clearly faster."""
        for size in batches:
            larger = self._enter(replace(best.settings, batch=size), reference)
            if larger is None:
                break
            self._fastest([best, larger])
            if larger.items_per_s < BATCH_GAIN * best.items_per_s:
                break
            best = larger
        return best


def _winner(runners: Sequence[Runner]) -> Runner:
    """The fastest, but what costs accuracy, or keeps other models waiting, must be clearly faster."""

    def worth(runner: Runner) -> float:
        settings = runner.settings
        price = 1.0 if settings.precision == "f32" else PRECISION_GAIN
        return runner.items_per_s / (price if settings.threads == 1 else price * WIDE_GAIN)

    return max(runners, key=worth)


def _off(runner: Runner, reference: Runner) -> float:
    """Deviation from the reference, item by item, so that a batch that mixes its items is found out."""
    together = copied(runner.session.run(runner.feeds))
    items = max(1, runner.settings.batch)
    if items == 1:
        return deviation(reference.session.run(runner.feeds), together)
    worst = 0.0
    for at in (0, items - 1):
        alone = reference.session.run({name: value[at : at + 1] for name, value in runner.feeds.items()})
        worst = max(worst, deviation(alone, {name: value[at : at + 1] for name, value in together.items()}))
    return worst
