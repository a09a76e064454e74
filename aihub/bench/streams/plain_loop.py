"""The peer for streams: what one writes over OpenCV and ONNX Runtime in an afternoon, at its best settings.

One process, a thread a camera. Each thread decodes every picture, converts and letterboxes only those that are due, runs the
session itself, and goes on with the newest picture there is. What it leaves out (finding boxes in the output, tracking, rules,
events, reconnecting) it gets for free; the hub it is compared with does all of that.

Best settings: the hub's own prepared graph, so that colour and scale are done inside; OpenCV's decoder with one thread a camera;
of the ways to run a session (a thread a run, all cores a run, with and without spinning) that which was fastest here just before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from aihub.bench.runtimes.bare import BareOnnxRuntime, graph_of, in_lanes
from aihub.engine.engine import Engine
from aihub.engine.machine import cores
from aihub.engine.preprocess import prepare
from aihub.errors import ConfigError
from aihub.types import Frame, Image, InputSpec

_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Detector:
    """A session of ONNX Runtime and how it runs best.

    Attributes:
        spec: of the model's input.
        session: shared by all threads.
        at_once: runs at the same time.
        name: of the setting.
        ms: a picture takes, all cores at work; lower is better.
    """

    spec: InputSpec
    session: BareOnnxRuntime
    at_once: int
    name: str
    ms: float


def best_detector(engine: Engine, model: str, *, seconds: float = 1.0) -> Detector:
    """Try every way to run a model over ONNX Runtime alone and keep the fastest.

    Args:
        engine: knows the model; not used to run it.
        model: name or role.
        seconds: for each way.

    Raises:
        ConfigError: it takes no pictures.
        AihubError: the weights are not to be had.
    """
    card, graph = graph_of(engine, model)
    if card.input is None:
        raise ConfigError(f"{card.name} takes no pictures")
    made: list[Detector] = []
    for name, threads, spinning, at_once in (
        ("a thread a run", 1, False, cores()),
        ("all cores a run, no spinning", cores(), False, 1),
        ("ONNX Runtime's defaults", 0, True, 1),
    ):
        detector = Detector(
            card.input, BareOnnxRuntime(graph, threads, spinning=spinning), at_once, name, 0.0
        )
        ms = _pace(detector, seconds) * 1e3
        made.append(Detector(card.input, detector.session, at_once, name, ms))
    best = min(made, key=lambda one: one.ms)
    for other in made:
        if other is not best:
            other.session.close()
    return best


def _pace(detector: Detector, seconds: float) -> float:
    """Seconds a picture with as many threads as may run at once."""
    blank = np.zeros((*detector.spec.size, 3), np.uint8)
    feeds = {detector.spec.name: blank[None]}
    return in_lanes(lambda: detector.session.run(feeds), detector.at_once, seconds)


class PlainLoop:
    """A thread a camera. See `aihub.bench.streams.watcher.Watcher`.

    Args:
        urls: the cameras.
        fps: analysed frames a second of each.
        look: what is done with a picture, on the camera's thread.
        at_once: looks at the same time.
    """

    def __init__(
        self, urls: Sequence[str], fps: float, look: Callable[[Image], object], *, at_once: int = 1
    ) -> None:
        self._look = look
        self._period = 1.0 / fps
        self._turn = threading.Semaphore(at_once)
        self._stop = threading.Event()
        self._analysed, self._read = [0] * len(urls), [0] * len(urls)
        self._why = [""] * len(urls)
        self._ages: list[float] = []
        self._threads = [
            threading.Thread(target=self._serve, args=(index, url), name=f"plain-{index}", daemon=True)
            for index, url in enumerate(urls)
        ]
        for thread in self._threads:
            thread.start()

    def analysed(self) -> list[int]:
        """Frames analysed so far, by camera."""
        return list(self._analysed)

    def read(self) -> list[int]:
        """Pictures decoded so far, by camera."""
        return list(self._read)

    def take_ages(self) -> list[float]:
        """Seconds from decoded to analysed of all frames since this was last asked."""
        taken, self._ages = self._ages, []
        return taken

    def failing(self) -> list[str]:
        """Why cameras are not watched."""
        return [why for why in self._why if why]

    def close(self) -> None:
        """Stop all threads."""
        self._stop.set()
        until = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self, index: int, url: str) -> None:
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        try:
            due = 0.0
            while not self._stop.is_set():
                if not capture.grab():
                    self._why[index] = f"camera {index} is lost"
                    return
                self._read[index] += 1
                now = time.monotonic()
                if now < due:
                    continue
                # On a grid, so that jitter does not lower the rate; a backlog of more than two is let go.
                due = max(due, now - 2 * self._period) + self._period
                found, image = capture.retrieve()
                if not found:
                    continue
                with self._turn:
                    self._look(np.asarray(image, np.uint8))
                self._analysed[index] += 1
                self._ages.append(time.monotonic() - now)
        finally:
            capture.release()


def plain_loop(detector: Detector) -> Callable[[Sequence[str], float], PlainLoop]:
    """Opens plain loops over a detector."""
    spec, session = detector.spec, detector.session

    def look(image: Image) -> object:
        pixels, _ = prepare(Frame(image), spec)
        return session.run({spec.name: pixels[None]})

    return lambda urls, fps: PlainLoop(urls, fps, look, at_once=detector.at_once)
