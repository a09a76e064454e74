"""The gateway over HTTP: against Serve's own proxy, and against the bare in-process loop. The client shares the cores."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np

from aihub.engine.engine import Engine
from aihub.engine.machine import cores
from aihub.engine.preprocess import prepare
from aihub.types import Frame
from benchmarks.engine_speed import bare_session
from benchmarks.hub import RunningHub, running_hub
from benchmarks.measure import Figure, take_turns

COMMAND = "python -m benchmarks.run --only http"
SECONDS = 5.0


def bare_loop(engine: Engine, picture: Path) -> float:
    """Seconds a picture: decode the JPEG, letterbox, run, one thread a core; no server, no result."""
    card, session = bare_session(engine, "coco")
    assert card.input is not None
    spec, data, counts = card.input, np.frombuffer(picture.read_bytes(), np.uint8), [0] * cores()
    until = time.perf_counter() + SECONDS

    def loop(index: int) -> None:
        while time.perf_counter() < until:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
            prepared, _ = prepare(Frame(image), spec)  # type: ignore[arg-type]
            session.run({spec.name: prepared[None]})
            counts[index] += 1

    threads = [threading.Thread(target=loop, args=(index,)) for index in range(cores())]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    session.close()
    return took / sum(counts)


def over_http(hub: RunningHub, picture: Path) -> float:
    """Seconds a picture through the gateway with 16 requests in flight."""
    figures = hub.load("/v1/algorithms/person-detection/infer", body=picture, seconds=SECONDS)
    assert not figures["failures"], figures
    return 1 / figures["per_second"]


def measure(engine: Engine, media: Path, profiles: Path, turns: int = 5) -> list[Figure]:
    """Echo against the Python proxy, then pictures against the bare loop."""
    picture = media / "images" / "coco" / "000000000036.jpg"
    with running_hub(profiles=profiles) as hub:
        echo = take_turns({"echo": lambda: 1 / hub.load("/v1/echo", seconds=3.0)["per_second"]}, turns)
        taken = take_turns(
            {"bare": lambda: bare_loop(engine, picture), "http": lambda: over_http(hub, picture)}, turns
        )
        latency = hub.load("/v1/algorithms/person-detection/infer", body=picture, concurrency=1, seconds=3.0)
    with running_hub({"RAY_SERVE_ENABLE_HA_PROXY": "0"}, profiles=profiles) as hub:
        proxy = take_turns({"proxy": lambda: 1 / hub.load("/v1/echo", seconds=3.0)["per_second"]}, turns)
    faster = proxy.median("proxy") / echo.median("echo")
    ratio = 1 / taken.ratio("http", "bare")
    return [
        Figure("Echo through HAProxy / through Serve's Python proxy", faster, "x", ">= 4", faster >= 4,
               f"{1 / echo.median('echo'):.0f} against {1 / proxy.median('proxy'):.0f} requests/s, concurrency 16", COMMAND),
        Figure("JPEG to detections over HTTP, concurrency 16 / bare in-process loop", ratio, "x", ">= 0.85", ratio >= 0.85,
               f"{1 / taken.median('http'):.1f} against {1 / taken.median('bare'):.1f} pictures/s; at concurrency 1 p50 "
               f"{latency['p50_ms']:.1f} ms", COMMAND),
    ]  # fmt: skip
