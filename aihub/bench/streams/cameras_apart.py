"""Simulated cameras in a process of their own: what they cost is not counted, but it is taken from the same cores.

The process ends when its standard input does, so none is left behind whatever becomes of the one that started it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from aihub.bench.cameras import CameraServer
from aihub.bench.footage import SCENES, Footage
from aihub.errors import ConnectError, InputError

_START_S = 60.0
_STOP_S = 10.0
_DRAWN = re.compile(r"drawn:(?P<scene>[a-z]+)@(?P<width>\d{2,4})x(?P<height>\d{2,4})(,(?P<fps>\d{1,3})fps)?")
_DRAWN_S = 8.0


def source_of(name: str) -> Path | Footage:
    """What a camera plays: a file, or `drawn:SCENE@WIDTHxHEIGHT,FPSfps`.

    Raises:
        InputError: there is no such scene or file.
    """
    drawn = _DRAWN.fullmatch(name)
    if drawn is None:
        if not Path(name).is_file():
            raise InputError(f"no such file: {name}", field="clips", hint="or drawn:yard@1920x1080,25fps")
        return Path(name)
    if drawn["scene"] not in SCENES:
        raise InputError(f"no scene {drawn['scene']!r}", field="clips", hint=f"scenes: {', '.join(SCENES)}")
    size = (int(drawn["width"]), int(drawn["height"]))
    return SCENES[drawn["scene"]](size, float(drawn["fps"] or 25), _DRAWN_S)


@dataclass(frozen=True, slots=True)
class CamerasApart:
    """Cameras that another process serves.

    Attributes:
        urls: address of each.
        pid: the process.
    """

    urls: list[str]
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds that serving them has taken so far; 0 when the process is gone."""
        with suppress(psutil.Error):
            times = psutil.Process(self.pid).cpu_times()
            return float(times.user + times.system)
        return 0.0


@contextmanager
def cameras_apart(
    sources: Sequence[str | Path], count: int | None = None, *, fps: float | None = None
) -> Iterator[CamerasApart]:
    """Cameras that play until the block ends.

    Args:
        sources: see `source_of`; with more cameras than sources they repeat.
        count: how many; none for one a source.
        fps: frames a second; none for each source's own.

    Raises:
        InputError: a source is none.
        ConnectError: they did not start.
    """
    named = [str(source) for source in sources]
    for name in named:
        source_of(name)
    asked = json.dumps({"sources": named, "count": count, "fps": fps})
    with subprocess.Popen(
        [sys.executable, "-m", "aihub.bench.streams.cameras_apart", asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        into, out = child.stdin, child.stdout
        if into is None or out is None:
            raise ConnectError("the simulated cameras have no pipes")
        killer = threading.Timer(_START_S, child.kill)
        killer.start()
        try:
            line = out.readline()
            killer.cancel()
            if not line:
                raise ConnectError("the simulated cameras did not start")
            yield CamerasApart(json.loads(line), child.pid)
        finally:
            killer.cancel()
            into.close()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()


def main() -> None:
    """Serve what the argument says until standard input ends."""
    asked = json.loads(sys.argv[1])
    with CameraServer(
        [source_of(name) for name in asked["sources"]], asked["count"], fps=asked["fps"]
    ) as server:
        sys.stdout.write(json.dumps(server.urls) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
