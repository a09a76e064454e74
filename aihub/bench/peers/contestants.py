"""Who takes turns over HTTP: the hub, the peers, and the bare loop that no server can pass. All are driven alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from aihub.bench.clients.running import client
from aihub.bench.clients.seen import Seen
from aihub.bench.hub.process import hub_for
from aihub.bench.peers.installed import Installed, benchmarks_environment, cpu_share, running
from aihub.bench.stand import NotHereError, Stand
from aihub.errors import AihubError
from aihub.plugins import data_folder

HUB, BARE = "hub", "bare loop"
_MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """Where a server answers.

    Attributes:
        pid: of its first process.
        detect: address of JPEG in, boxes out.
        echo: address of a route that does nothing.
        key: to send along.
    """

    pid: int
    detect: str
    echo: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a turn of load gave.

    Attributes:
        per_second: good answers.
        times_ms: of each good answer, shortest first.
        failures: answers that were not good.
        said: what the client said when it gave up; empty when it did not.
    """

    per_second: float
    times_ms: list[float]
    failures: int
    said: str = ""

    def percentile(self, share: float) -> float:
        """Of the times, ms; 0 without any."""
        return (
            self.times_ms[min(len(self.times_ms) - 1, int(len(self.times_ms) * share))]
            if self.times_ms
            else 0.0
        )


@dataclass(slots=True)
class Contestant:
    """A server that is measured.

    It is started once and stays, so that turns need not wait for starts; one that does not keep quiet meanwhile is started for
    each of its turns and ended after it, so that it costs nobody else.

    Attributes:
        name: in figures.
        title: for people.
        version: of its package.
        starts: starts it, gives where it answers, ends it.
        idle: cores that it kept busy with nothing to do.
    """

    name: str
    title: str
    version: str
    starts: Callable[[], AbstractContextManager[Served]]
    idle: float = 0.0
    _standing: Served | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    def stand(self) -> Served:
        """Start it to stay, if it does not run.

        Raises:
            NotHereError: it does not start.
        """
        if self._standing is None:
            self._standing = self._open.enter_context(self.starts())
        return self._standing

    def leave(self) -> None:
        """End it."""
        self._standing = None
        self._open.close()

    @contextmanager
    def up(self) -> Iterator[Served]:
        """While it answers."""
        if self._standing is not None:
            yield self._standing
        else:
            with self.starts() as served:
                yield served

    def quiet(self, seconds: float, most: float) -> bool:
        """Look how busy it is with nothing to do; ended until its turn when that is more than `most` cores."""
        self.idle = cpu_share(self.stand().pid, seconds)
        if self.idle > most:
            self.leave()
        return self.idle <= most

    def ask(self, jpeg: bytes) -> list[dict[str, Any]]:
        """Boxes on a picture, once."""
        with self.up() as served:
            answer = httpx2.post(served.detect, content=jpeg, timeout=30.0, trust_env=False,
                                 headers={"Content-Type": "image/jpeg", "X-API-Key": served.key})  # fmt: skip
        body = answer.raise_for_status().json()
        return boxes_in(body)

    def detect(self, picture: Path, concurrency: int, seconds: float) -> Taken:
        """Pictures, so many in flight."""
        return self._driven(lambda served: drive(served.detect, served.key, concurrency, seconds, picture))

    def echo(self, concurrency: int, seconds: float) -> Taken:
        """Requests that do nothing, so many in flight."""
        return self._driven(lambda served: drive(served.echo, served.key, concurrency, seconds))

    def _driven(self, load: Callable[[Served], Taken]) -> Taken:
        try:
            with self.up() as served:
                return load(served)
        except NotHereError as error:  # it was ended between its turns, and did not start again
            return Taken(0.0, [], 1, error.message)


def boxes_in(body: Any) -> list[dict[str, Any]]:
    """The list of boxes in an answer, wherever it stands: the first list of objects that have a `box`."""
    if isinstance(body, list):
        if all(isinstance(one, dict) and "box" in one for one in body):
            return body
        return next((found for one in body if (found := boxes_in(one))), [])
    if isinstance(body, dict):
        return next((found for one in body.values() if (found := boxes_in(one))), [])
    return []


def disagreement(
    asked: list[dict[str, Any]], other: list[dict[str, Any]], *, sure: float = 0.5, pixels: float = 4.0
) -> str:
    """How two lists of boxes differ; empty when each sure box of one is in the other.

    Args:
        asked: of one server.
        other: of another.
        sure: boxes of less confidence may be on one side alone: precisions round differently at the border.
        pixels: a side may be off by so much.
    """
    for mine, theirs in ((asked, other), (other, asked)):
        for box in mine:
            if box["confidence"] < sure:
                continue
            alike = (one["label"] == box["label"] and all(
                abs(a - b) <= pixels for a, b in zip(one["box"], box["box"], strict=True)) for one in theirs)  # fmt: skip
            if not any(alike):
                return f"{box['label']} at {[round(side) for side in box['box']]} is found by one and not by the other"
    return ""


def drive(url: str, key: str, concurrency: int, seconds: float, picture: Path | None = None) -> Taken:
    """The load client in a process of its own. A server that is gone, or hangs, gave no good answer."""
    given = [url, "--concurrency", str(concurrency), "--seconds", f"{seconds:g}"]
    given += [] if picture is None else ["--body", str(picture)]
    try:
        seen = Seen.from_json(client("load", given, seconds, key=key))
    except AihubError as error:
        return Taken(0.0, [], concurrency, error.message)
    return Taken(seen.per_second, sorted(seen.answered), seen.failures + len(seen.refused))


def bare_loop(settings: Path, picture: Path, seconds: float) -> Taken:
    """The peers' detector without a server, a thread a core, in the hub's own environment."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.peers.loop",
        str(picture.absolute()),
        "--seconds",
        f"{seconds:g}",
    ]
    environment = os.environ | benchmarks_environment(settings)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment,
                          cwd=data_folder("benchmarks").parent, timeout=seconds + _MARGIN_S)  # fmt: skip
    told = json.loads(done.stdout)
    return Taken(told["per_second"], told["times_ms"], told["failures"])


def hub(stand: Stand, algorithm: str, version: str) -> Contestant:
    """The hub, with the profiles of models that were tuned before."""

    @contextmanager
    def starts() -> Iterator[Served]:
        with hub_for(stand) as it:
            yield Served(it.pid, f"{it.url}/v1/algorithms/{algorithm}/infer", f"{it.url}/v1/echo", it.key)

    return Contestant(HUB, "aihub", version, starts)


def peer(found: Installed, settings: Path, work: Path, jpeg: bytes) -> Contestant:
    """A peer; what it writes lies below `work`.

    Raises:
        NotHereError: it serves no HTTP of ours; says why.
    """
    if not found.card.command:
        raise NotHereError(found.card.no_server or f"{found.card.title} has no server")

    @contextmanager
    def starts() -> Iterator[Served]:
        folder = Path(tempfile.mkdtemp(prefix=f"{found.card.name}-", dir=work))
        with running(found, settings, folder, jpeg) as it:
            yield Served(it.pid, f"{it.url}/detect", f"{it.url}/echo")

    return Contestant(found.card.name, found.card.title, found.version, starts)
