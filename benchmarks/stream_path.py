"""CPU of an analysed frame on the stream path against a bare loop over the same camera."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import Registry
from aihub.bench.cameras import CameraServer
from aihub.engine.engine import Engine
from aihub.engine.preprocess import prepare
from aihub.streams.host import StreamHost
from aihub.types import Frame, Sampling, StreamSpec, StreamTask
from benchmarks.engine_speed import bare_session
from benchmarks.measure import Figure, take_turns

COMMAND = "python -m benchmarks.run --only stream"
SECONDS = 12.0
FPS = 20.0


@contextmanager
def camera_process(clip: Path, fps: float) -> Iterator[str]:
    """A simulated camera in a process of its own, so that its CPU is not counted."""
    ready, wait = os.pipe()
    address_read, address_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(wait)
        with CameraServer([clip], fps=fps) as server:
            os.write(address_write, server.url(0).encode())
            os.close(address_write)
            os.read(ready, 1)
        os._exit(0)
    os.close(ready)
    os.close(address_write)
    try:
        yield os.read(address_read, 200).decode()
    finally:
        os.close(wait)
        os.waitpid(child, 0)
        os.close(address_read)


def bare_loop(engine: Engine, url: str) -> float:
    """Read, letterbox, run; nothing else. CPU seconds a frame, from the first frame on."""
    card, session = bare_session(engine, "coco")
    assert card.input is not None
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.read()[0]:
            raise SystemExit(f"the bare loop cannot read {url}")
        frames, begun, until = 0, time.process_time(), time.monotonic() + SECONDS
        while time.monotonic() < until:
            found, image = capture.read()
            if not found:
                raise SystemExit(f"the bare loop lost {url}")
            picture, _ = prepare(Frame(image), card.input)  # type: ignore[arg-type]
            session.run({card.input.name: picture[None]})
            frames += 1
        return (time.process_time() - begun) / frames
    finally:
        capture.release()
        session.close()


def stream_path(engine: Engine, registry: Registry, url: str) -> float:
    """The same camera through StreamHost: sampling, plan, tracker, rule. CPU seconds an analysed frame."""
    analysed: list[float] = []

    def bind(plan: Plan, spec: StreamSpec) -> dict[str, str]:
        for task in spec.tasks:
            plan.set(task.id, registry.get(task.algorithm), task.params)
        return {}

    def on_results(_: StreamSpec, frame: Frame, __: object) -> None:
        analysed.append(frame.captured_at)

    task = StreamTask(id="watch", algorithm="intrusion")
    spec = StreamSpec(id="bench", url=url, tasks=(task,), sampling=Sampling(fps=60))
    host = StreamHost(name="bench", plan=lambda: Plan(engine), bind=bind, on_results=on_results)
    try:
        host.sync([spec])
        while not analysed:
            time.sleep(0.01)
        before, begun = len(analysed), time.process_time()
        time.sleep(SECONDS)
        return (time.process_time() - begun) / (len(analysed) - before)
    finally:
        host.close()


def measure(engine: Engine, registry: Registry, media: Path, turns: int = 3) -> list[Figure]:
    """Stream path over bare loop, in turns."""
    clip = media / "video" / "one-by-one-person-detection.mp4"
    engine.warm(["coco"])
    with camera_process(clip, FPS) as url:
        taken = take_turns(
            {"bare": lambda: bare_loop(engine, url), "hub": lambda: stream_path(engine, registry, url)}, turns
        )
    ratio = taken.ratio("hub", "bare")
    detail = f"bare {taken.median('bare') * 1e3:.2f} ms, hub {taken.median('hub') * 1e3:.2f} ms CPU a frame; turns {taken.spread('hub', 'bare')}"
    name = "CPU per analysed frame: stream path / (bare decode + bare best session)"
    return [Figure(name, ratio, "x", "<= 1.25", ratio <= 1.25, detail, COMMAND)]
