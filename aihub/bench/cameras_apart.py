"""Simulated cameras in a process of their own: their CPU is not counted, but it is taken from the same cores."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from aihub.errors import ConfigError

START_S = 60.0
_STOP_S = 20.0


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
    clips: Sequence[Path], count: int | None = None, *, fps: float | None = None
) -> Iterator[CamerasApart]:
    """Start `aihub cameras`, give it, end it.

    Args:
        clips: what the cameras play, in turn, in a loop.
        count: how many cameras, 1..1024; none for one a clip.
        fps: pictures a second; none for each clip's own.

    Raises:
        ConfigError: it does not serve within a minute; holds what it said.
    """
    command = [sys.executable, "-m", "aihub", "cameras", *map(str, clips), "--port", "0", "--json"]
    command += [] if count is None else ["--count", str(count)]
    command += [] if fps is None else ["--fps", f"{fps:g}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield CamerasApart(_first_line(process), process.pid)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate(timeout=_STOP_S)


def _first_line(process: subprocess.Popen[str]) -> list[str]:
    stdout = process.stdout
    ready = [] if stdout is None else select.select([stdout], [], [], START_S)[0]
    line = stdout.readline() if stdout is not None and ready else ""
    if not line:
        process.kill()
        said = process.stderr.read() if process.stderr is not None else ""
        raise ConfigError(f"the simulated cameras do not start: {said.strip()[-500:] or 'no word from them'}")
    urls: list[str] = json.loads(line)["cameras"]
    return urls
