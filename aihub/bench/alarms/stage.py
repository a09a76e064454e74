"""A hub, cameras that say what they show, and a receiver of its alarms: what the suite `alarms` plays on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aihub.bench.alarms.truth import Raised, Sent
from aihub.bench.alarms.webhooks import SECRET, Receiver
from aihub.bench.cameras import CameraServer
from aihub.bench.footage import Footage
from aihub.bench.hub.process import RunningHub, hub_for
from aihub.bench.stand import NotHereError, Stand
from aihub.client import AihubClient
from aihub.errors import StreamNotFoundError
from aihub.types import StreamState

LIVE_S = 60.0
_TICK_S = 0.1


class Film:
    """What cameras have sent, by name of the camera."""

    def __init__(self) -> None:
        self._sent: dict[str, list[Sent]] = {}
        self._lock = threading.Lock()

    def note(self, camera: str, index: int, at: float) -> None:
        """A picture was sent; called on the server's thread."""
        with self._lock:
            self._sent.setdefault(camera, []).append((index, at))

    def sent(self, camera: str) -> list[Sent]:
        """What a camera has sent so far."""
        with self._lock:
            return list(self._sent.get(camera, ()))


@dataclass(slots=True)
class Scene:
    """Cameras of this process, each watched by one stream of the hub.

    Attributes:
        server: the cameras, "cam1" and on.
        film: what they have sent.
        streams: of the hub, in the order of the cameras.
    """

    server: CameraServer
    film: Film
    streams: list[str] = field(default_factory=list)

    def camera(self, stream: str) -> str:
        """The camera that a stream watches."""
        return f"cam{self.streams.index(stream) + 1}"

    def sent(self, stream: str) -> list[Sent]:
        """What the camera of a stream has sent so far."""
        return self.film.sent(self.camera(stream))


@dataclass(frozen=True, slots=True)
class Stage:
    """A hub with a receiver of its alarms.

    Attributes:
        hub: in processes of its own.
        client: speaks to it.
        receiver: in this process.
    """

    hub: RunningHub
    client: AihubClient
    receiver: Receiver

    @contextmanager
    def scene(
        self,
        files: Sequence[Path | Footage],
        tasks: Sequence[Mapping[str, Any]],
        *,
        name: str,
        fps: float,
        loop: bool = True,
    ) -> Iterator[Scene]:
        """Play files as cameras and have the hub watch them; at the end both stop.

        Args:
            files: what the cameras play, in turn.
            tasks: one for each camera, whose number they give.
            name: of the streams, with a number.
            fps: analysed frames a second, at most.
            loop: start again at the end.
        """
        film = Film()
        with CameraServer(list(files), count=len(tasks), loop=loop, on_sent=film.note) as server:
            scene = Scene(server, film, [f"{name}-{number}" for number in range(server.count)])
            try:
                for stream, url, task in zip(scene.streams, server.urls, tasks, strict=True):
                    self.client.add_stream(url, [task], id=stream, sampling={"fps": fps})
                yield scene
            finally:
                self.forget(scene.streams)

    def live(self, streams: Sequence[str]) -> None:
        """Wait until every stream has analysed a frame.

        Raises:
            NotHereError: one does not within a minute, or its task does not run.
        """
        waiting, until = set(streams), time.monotonic() + LIVE_S
        while waiting and time.monotonic() < until:
            for stream in sorted(waiting):
                status = self.client.stream(stream).status
                if status.broken_tasks:
                    raise NotHereError(f"{stream}: {next(iter(status.broken_tasks.values()))}")
                if status.state is StreamState.LIVE and status.frames_analysed > 0:
                    waiting.discard(stream)
            time.sleep(_TICK_S)
        if waiting:
            raise NotHereError(f"not live after {LIVE_S:g} s: {', '.join(sorted(waiting))}")

    def alarms(self, streams: Sequence[str]) -> list[Raised]:
        """Every event of these streams, as it was first received."""
        return self.receiver.alarms(streams)

    def pause(self, seconds: float) -> None:
        """Let things go on for a while."""
        time.sleep(seconds)

    def forget(self, streams: Sequence[str]) -> None:
        """Delete streams; those that are gone already are no error."""
        for stream in streams:
            with suppress(StreamNotFoundError):
                self.client.delete_stream(stream)


@contextmanager
def open_stage(stand: Stand) -> Iterator[Stage]:
    """A hub, and a webhook that receives all its alarms.

    Args:
        stand: of the suite; the hub reads its settings of models that were tuned here.

    Raises:
        AihubError: it does not start.
    """
    with Receiver() as receiver, hub_for(stand) as hub, AihubClient(hub.url, hub.key) as client:
        client.add_sink("webhook", {"url": receiver.url, "secret": SECRET})
        yield Stage(hub, client, receiver)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until a condition holds; whether it did in time."""
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_TICK_S)
    return True
