"""The camera simulator: an RTSP server in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from aihub.bench.cameras.clip import Clip
from aihub.bench.cameras.connection import Connection
from aihub.bench.cameras.faults import Fault, make_fault
from aihub.bench.cameras.media import open_clip
from aihub.bench.cameras.player import Camera, OnSent
from aihub.bench.cameras.session import Site
from aihub.bench.footage import Footage
from aihub.errors import ConfigError, InputError, NotFoundError

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 2048
_SEND_BUFFER = 512 * 1024
_SWEEP_S = 0.5
_CALL_TIMEOUT_S = 30.0
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to replace, not to listen on
T = TypeVar("T")


class CameraNotFoundError(NotFoundError):
    """No camera of that name or number."""

    kind = "camera"


@dataclass(slots=True)
class _Errors:
    """Callbacks of the loop that failed: bugs, and what tests look at."""

    count: int = 0
    last: str = ""


class CameraServer:
    """Cameras that play files or drawn footage over RTSP, and break on command.

    Camera i (from 0) is `rtsp://HOST:PORT/cam{i+1}` and plays `files[i % len(files)]`. Every client has its own timeline
    that begins at the start of the clip. Use it as a context manager, or with `start` and `stop`; it can be started again
    on the same port.

    Args:
        files: what the cameras play, in turn: files, drawn footage, or opened clips, which stay
            open when the server stops and keep their own frame rate.
        count: how many cameras, 1..4096; none for one a file.
        port: TCP port; 0 lets the system choose.
        host: address to listen on.
        fps: frames a second to play at; none for each source's own.
        loop: start again at the end; else the stream ends with RTCP BYE.
        users: password by user; with it, every request but OPTIONS needs Digest or Basic authentication.
        advertise: host in `url`; none for `host`, or 127.0.0.1 where that is every address.
        session_timeout_s: a client without a sign of life for this long is dropped, seconds.
        on_sent: told the camera's name, the index of the picture in its clip and the time, epoch seconds, of every picture
            handed to the network, for each client that plays; on the server's thread, so it must be quick.

    Raises:
        InputError: no files, a bad number, or (on start) a file that cannot be played.
    """

    def __init__(
        self,
        files: Sequence[Path | Footage | Clip],
        count: int | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        fps: float | None = None,
        loop: bool = True,
        users: Mapping[str, str] | None = None,
        advertise: str | None = None,
        session_timeout_s: float = 60.0,
        on_sent: OnSent | None = None,
    ) -> None:
        if not files:
            raise InputError("no files for the cameras to play", field="files")
        self.count = len(files) if count is None else count
        if not 1 <= self.count <= 4096:
            raise InputError(f"{self.count} cameras: 1 to 4096 are possible", field="count")
        if session_timeout_s <= 0:
            raise InputError("the session time-out must be positive", field="session_timeout_s")
        self.port = port
        self._files = list(files)
        self._host = host
        self._fps = fps
        self._repeat = loop
        self._users = dict(users or {})
        self._advertise = advertise or _LOOPBACK.get(host, host)
        self._timeout_s = session_timeout_s
        self._on_sent = on_sent
        self._clips: list[Clip] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._site: Site | None = None
        self._errors = _Errors()

    def start(self) -> Self:
        """Open the files, listen, and serve until `stop`.

        Raises:
            InputError: a file cannot be played.
            ConfigError: the port cannot be had.
        """
        if self._thread:
            return self
        listener = self._listen()
        try:
            cameras = self._open_cameras()
        except Exception:
            listener.close()
            self._close_clips()
            raise
        self.port = int(listener.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._failed)
        self._site = Site(self._loop, cameras, self._users, self._timeout_s)
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, self._site, listener), name="cameras", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """End all connections and free the port; safe to call again."""
        if self._thread and self._loop:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=_CALL_TIMEOUT_S)
        self._thread = self._loop = self._site = None
        self._close_clips()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, camera: int | str = 0, *, user: str | None = None) -> str:
        """Address of a camera.

        Args:
            camera: number from 0, or name ("cam1").
            user: one of the users, whose name and password are put into the address.

        Raises:
            CameraNotFoundError: no such camera.
        """
        host = f"[{self._advertise}]" if ":" in self._advertise else self._advertise
        login = f"{quote(user, safe='')}:{quote(self._users[user], safe='')}@" if user else ""
        return f"rtsp://{login}{host}:{self.port}/{self._name(camera)}"

    @property
    def urls(self) -> list[str]:
        """Addresses of all cameras, without user and password."""
        return [self.url(i) for i in range(self.count)]

    def fault(self, camera: int | str | None, kind: str | None, **options: object) -> None:
        """Break a camera, or mend it.

        Args:
            camera: number from 0, name ("cam1"), or none for all.
            kind: "freeze", "drop", "corrupt", "slow", "jump"; none mends.
            options: see the fault's class in `aihub.bench.cameras.faults`.

        Raises:
            ParamsError: unknown kind or option.
            CameraNotFoundError: no such camera.
            InputError: the server does not run.
        """
        fault = make_fault(kind, **options)
        names = [f"cam{i + 1}" for i in range(self.count)] if camera is None else [self._name(camera)]

        def apply(site: Site) -> None:
            for name in names:
                site.set_fault(site.cameras[name], fault)

        self._call(apply)

    def faults(self) -> dict[str, Fault | None]:
        """What is wrong, by camera."""
        return self._call(lambda site: {name: camera.fault for name, camera in site.cameras.items()})

    def statistics(self) -> dict[str, Any]:
        """What the server has done.

        Returns:
            `connections` and `sessions` open, `expired` sessions, `refused` requests, `errors` (bugs), `cpu_s` of its
            thread, and `cameras`: per name the fields of `aihub.bench.cameras.player.Counts` and `clients`.
        """

        def gather(site: Site) -> dict[str, Any]:
            return {
                "connections": len(site.connections),
                "sessions": len(site.sessions),
                "expired": site.expired,
                "refused": site.refused,
                "errors": self._errors.count,
                "cpu_s": time.thread_time(),
                "cameras": {
                    name: {"clients": len(camera.players), **asdict(camera.counts)}
                    for name, camera in site.cameras.items()
                },
            }

        return self._call(gather)

    def _name(self, camera: int | str) -> str:
        name = f"cam{camera + 1}" if isinstance(camera, int) else camera
        known = [f"cam{i + 1}" for i in range(self.count)]
        if name not in known:
            raise CameraNotFoundError(name, known)
        return name

    def _call(self, function: Callable[[Site], T]) -> T:
        """Run a function in the loop's thread and wait for its value."""
        site, loop = self._site, self._loop
        if site is None or loop is None:
            raise InputError("the camera server does not run")
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(function(site))
            except Exception as error:
                done.set_exception(error)
                raise

        loop.call_soon_threadsafe(run)
        return done.result(timeout=_CALL_TIMEOUT_S)

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self.port), family=family, backlog=256)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"cannot listen on {self._host}:{self.port}: {error}", field="port") from None
        listener.setblocking(False)
        return listener

    def _open_cameras(self) -> dict[str, Camera]:
        opened: dict[int, Clip] = {}
        cameras = {}
        for i in range(self.count):
            place = i % len(self._files)
            if place not in opened:
                source = self._files[place]
                opened[place] = open_clip(source, fps=self._fps)
                if not isinstance(source, Clip):
                    self._clips.append(opened[place])
            name = f"cam{i + 1}"
            cameras[name] = Camera(name, opened[place], self._repeat, on_sent=self._on_sent)
        return cameras

    def _close_clips(self) -> None:
        while self._clips:
            self._clips.pop().close()

    def _run(self, loop: asyncio.AbstractEventLoop, site: Site, listener: socket.socket) -> None:
        def sweep() -> None:
            site.sweep()
            loop.call_later(_SWEEP_S, sweep)

        asyncio.set_event_loop(loop)
        loop.add_reader(listener, self._accept, site, listener)
        loop.call_later(_SWEEP_S, sweep)
        try:
            loop.run_forever()
        finally:
            loop.remove_reader(listener)
            listener.close()
            site.close()
            loop.close()

    def _accept(self, site: Site, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            logger.warning("a connection could not be accepted: %s", error)
            return
        if len(site.connections) >= MAX_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            Connection(site, sock)
        except OSError:
            sock.close()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._errors.count += 1
        self._errors.last = str(context.get("exception") or context.get("message"))
        logger.error("camera server: %s", self._errors.last, exc_info=context.get("exception"))
