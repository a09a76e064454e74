"""Stand-ins at the seams of a reader: a clock that only moves when told, and a decoder that follows a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from aihub.errors import AihubError
from aihub.streams.conversation import Line
from aihub.streams.probe import Probed, ProbeResult
from aihub.streams.sources import Source
from aihub.types import Frame, Image, StreamSpec

GREY = np.full((48, 64, 3), 120, np.uint8)


def spec(stream_id: str = "gate", url: str = "rtsp://127.0.0.1:8554/cam", **changes: Any) -> StreamSpec:
    """A stream with one task."""
    return StreamSpec.model_validate(
        {"id": stream_id, "url": url, "tasks": ({"id": "t", "algorithm": "none"},), **changes}
    )


class FakeClock:
    """Time that passes only in waits and when a script says so. Remembers every wait."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        self.waits.append(seconds)
        self.now += seconds
        return event.is_set()


class ScriptedDecoder:
    """Follows a script of steps: a number is a good frame that took so many seconds, a negative one a miss that took
    as many, a picture a good frame with that picture after 40 ms, an exception is raised, a callable is called."""

    codec = "H264"
    corrupt = 0
    heard = 0.0

    def __init__(self, clock: FakeClock, steps: Iterable[Any]) -> None:
        self._clock = clock
        self._steps: Iterator[Any] = iter(steps)
        self._picture: Image | None = GREY
        self.retrieved = 0
        self.released = False
        self.ended = False

    def grab(self) -> bool:
        step = next(self._steps, "end")
        while callable(step):
            step()
            step = next(self._steps, "end")
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, str):
            self.ended = True
            return False
        self._picture = step if isinstance(step, np.ndarray) else GREY
        seconds = 0.04 if isinstance(step, np.ndarray) else float(step)
        self._clock.now += abs(seconds)
        return seconds >= 0

    def retrieve(self) -> Image | None:
        self.retrieved += 1
        return self._picture

    def release(self) -> None:
        self.released = True


class ScriptedCamera:
    """Attempts in turn: an error to raise when probed, or steps for a decoder. After the last one `done` is called."""

    def __init__(
        self, clock: FakeClock, attempts: Iterable[AihubError | list[Any]], done: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._attempts = iter(attempts)
        self._steps: list[Any] = []
        self._done = done
        self.decoders: list[ScriptedDecoder] = []
        self.probes: list[float] = []

    @contextmanager
    def probe(self, source: Source, timeout_s: float) -> Iterator[Probed]:
        self.probes.append(self._clock.now)
        attempt = next(self._attempts, None)
        if attempt is None:
            self._done()
            yield Probed(ProbeResult(address=""))
            return
        if isinstance(attempt, AihubError):
            raise attempt
        self._steps = attempt
        yield Probed(ProbeResult(address=source.redacted(), codec="H264"))

    def open(
        self, source: Source, open_timeout_s: float, read_timeout_s: float, line: Line | None = None
    ) -> ScriptedDecoder:
        self.decoders.append(ScriptedDecoder(self._clock, self._steps))
        return self.decoders[-1]


class CountingPlan:
    """Notes what it is shown."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.tasks: list[str] = []

    def run(self, frame: Frame) -> dict[str, Any]:
        self.frames.append(frame)
        return {}
