"""The hub's side of the streams suite: a stream host as a deployment runs it, and where its CPU goes.

A deployment runs one process with one engine and one `StreamHost` (`AIHUB_STREAM_HOST_REPLICAS` is 1 by default), whose readers
decode, whose pool analyses and whose engine batches over all cores: so does this, in this process, with the defaults of
`aihub.serve.stream_service`. Left out is what stands beside it and hardly grows with the cameras: leases, the gateway, Ray.
Storing and delivering events is measured by the suite `alarms`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.streams.host import StreamHost
from aihub.streams.worker import Results
from aihub.telemetry import REGISTRY
from aihub.types import Frame, Sampling, StreamSpec, StreamState, StreamTask

_FASTEST = 60.0
_TASKS = Path("/proc/self/task")


class HubStreams:
    """Streams in a host. See `aihub.bench.streams.watcher.Watcher`.

    Args:
        engine: runs the models.
        registry: knows the algorithms.
        urls: the cameras.
        fps: analysed frames a second of each.
        tasks: of each camera.
        key_frames: whether only key frames are decoded.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        urls: Sequence[str],
        fps: float,
        *,
        tasks: Sequence[StreamTask],
        key_frames: bool = False,
    ) -> None:
        self._registry = registry
        self._names = [f"camera-{index}" for index in range(len(urls))]
        self._ages: list[float] = []
        # Key frames come at the very rate that is asked, or more rarely: at twice the rate none is passed over for
        # coming a moment early.
        sampling = Sampling(fps=min(2 * fps if key_frames else fps, _FASTEST), key_frames=key_frames)
        specs = [
            StreamSpec(id=name, url=url, tasks=tuple(tasks), sampling=sampling)
            for name, url in zip(self._names, urls, strict=True)
        ]
        self._host: StreamHost[Plan] = StreamHost(
            name="bench",
            plan=lambda: Plan(engine),
            bind=self._bind,
            on_results=self._on_results,
        )
        self._host.sync(specs)

    def analysed(self) -> list[int]:
        """Frames analysed so far, by camera."""
        statuses = self._host.statuses()
        return [statuses[name].frames_analysed for name in self._names]

    def read(self) -> list[int]:
        """Pictures decoded so far, by camera."""
        statuses = self._host.statuses()
        return [statuses[name].frames_read for name in self._names]

    def take_ages(self) -> list[float]:
        """Seconds from decoded to analysed of all frames since this was last asked."""
        taken, self._ages = self._ages, []
        return taken

    def failing(self) -> list[str]:
        """Streams that are not live, or have a task that does not run."""
        found = []
        for name, status in self._host.statuses().items():
            if status.broken_tasks:
                found.append(f"{name}: {next(iter(status.broken_tasks.values()))}")
            elif status.state is not StreamState.LIVE:
                found.append(f"{name} is {status.state.value}: {status.error}")
        return found

    def close(self) -> None:
        """Stop the host."""
        self._host.close()

    def _bind(self, plan: Plan, spec: StreamSpec) -> dict[str, str]:
        for task in spec.tasks:
            plan.set(task.id, self._registry.get(task.algorithm), task.params)
        return {}

    def _on_results(self, _spec: StreamSpec, frame: Frame, _results: Results) -> None:
        self._ages.append(time.monotonic() - frame.monotonic)


def hub_streams(
    engine: Engine, registry: Registry, algorithm: str, *, key_frames: bool = False
) -> Callable[[Sequence[str], float], HubStreams]:
    """Opens streams with one task each."""
    tasks = (StreamTask(id="watch", algorithm=algorithm),)
    return lambda urls, fps: HubStreams(engine, registry, urls, fps, tasks=tasks, key_frames=key_frames)


STAGES = ("decode", "letterbox", "model", "boxes", "tracker and rules", "rest")
"""Parts of an analysed frame, in its order."""


class StageCosts:
    """Where this process's CPU goes while streams are watched, from now until asked.

    Threads say most of it: readers receive and decode, the pool's letterbox, track and rule, the engine's and the
    runtime's own run models. Letterboxing and finding boxes are told apart by the engine's own clock
    (`aihub_inference_duration_seconds`), which runs on while a thread has no core: with more cameras than cores they
    look dearer than they are, and what they share a thread with cheaper.

    Args:
        model: name of the model that is run.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._threads = _cpu_by_thread()
        self._clocks = {stage: self._clock(stage) for stage in ("prepare", "decode")}
        self._cpu = time.process_time()

    def seconds(self) -> dict[str, float]:
        """CPU seconds by stage since this was made; all stages of `STAGES`, each >= 0."""
        used = dict.fromkeys(("reader", "analysis", "model", "other"), 0.0)
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        for thread, cpu in _cpu_by_thread().items():
            used[_kind(names.get(thread))] += cpu - self._threads.get(thread, 0.0)
        letterbox = min(used["analysis"], self._clock("prepare") - self._clocks["prepare"])
        boxes = min(used["model"], self._clock("decode") - self._clocks["decode"])
        parts = {
            "decode": used["reader"],
            "letterbox": letterbox,
            "model": used["model"] - boxes,
            "boxes": boxes,
            "tracker and rules": used["analysis"] - letterbox,
        }
        whole = time.process_time() - self._cpu
        return parts | {"rest": max(0.0, whole - sum(parts.values()))}

    def _clock(self, stage: str) -> float:
        labels = {"model": self._model, "stage": stage}
        return REGISTRY.get_sample_value("aihub_inference_duration_seconds_sum", labels) or 0.0


def _kind(name: str | None) -> str:
    """What a thread is for; those without a Python name are a model runtime's own."""
    if name is None or name.startswith("aihub-engine-"):
        return "model"
    if name.startswith("reader-"):
        return "reader"
    return "analysis" if "-analysis-" in name else "other"


def _cpu_by_thread() -> dict[int, float]:
    """CPU seconds by thread: to the nanosecond where Linux tells, else in its ticks of 10 ms."""
    found: dict[int, float] = {}
    for task in _TASKS.iterdir() if _TASKS.is_dir() else ():
        with suppress(OSError, ValueError, IndexError):  # a thread may end meanwhile
            found[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
    if not found:
        with suppress(psutil.Error):
            found = {one.id: one.user_time + one.system_time for one in psutil.Process().threads()}
    return found
