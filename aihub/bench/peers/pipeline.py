"""Roboflow's InferencePipeline as a watcher of cameras: a process in its own environment, which tells what it has done.

See `benchmarks/peers/inference/pipeline.py` for the other side and its settings.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from aihub.bench.peers.installed import Installed, end, environment_of
from aihub.bench.stand import NotHereError

START_S = 180.0
"""Longest time until it begins: importing the package takes half a minute on two cores."""

_STOP_S = 10.0


class PipelineWatcher:
    """Cameras watched by an InferencePipeline. See `aihub.bench.streams.watcher.Watcher`.

    Args:
        peer: the package, installed.
        settings: of the detector.
        work: a folder for its log.
        urls: the cameras.
        fps: analysed frames a second of each.

    Raises:
        NotHereError: it does not begin; with the last that it said.
    """

    def __init__(self, peer: Installed, settings: Path, work: Path, urls: Sequence[str], fps: float) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._log = work.absolute() / "pipeline.log"
        command = [str(peer.python), "-m", "benchmarks.peers.inference.pipeline", f"{fps:g}", *urls]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=work, env=environment_of(peer, settings, 0, work), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=out, start_new_session=True,
            )  # fmt: skip
        self._lock = threading.Lock()
        self._analysed, self._read = [0] * len(urls), [0] * len(urls)
        self._ages: list[float] = []
        self._begun, self._closing = threading.Event(), False
        self._reader = threading.Thread(target=self._listen, name="pipeline-peer", daemon=True)
        self._reader.start()
        if not self._begun.wait(START_S) or self._process.poll() is not None:
            said = self._said()
            self.close()
            raise NotHereError(f"InferencePipeline does not begin within {START_S:g} s; it said: {said}")

    def analysed(self) -> list[int]:
        """Frames analysed so far, by camera."""
        with self._lock:
            return list(self._analysed)

    def read(self) -> list[int]:
        """Pictures grabbed so far, by camera."""
        with self._lock:
            return list(self._read)

    def take_ages(self) -> list[float]:
        """Seconds from grabbed to analysed of all frames since this was last asked."""
        with self._lock:
            taken, self._ages = self._ages, []
            return taken

    def failing(self) -> list[str]:
        """Why nothing is watched: it has ended."""
        return [] if self._process.poll() is None else [f"InferencePipeline ended: {self._said()}"]

    def close(self) -> None:
        """End it; it ends by itself when its input does, and is made to otherwise."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        end(self._process, _STOP_S)
        self._reader.join(_STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        stdout = self._process.stdout
        if stdout is None:
            return
        for line in stdout:
            told = json.loads(line)
            if told:
                with self._lock:
                    self._analysed, self._read = told["analysed"], told["read"]
                    self._ages += told["ages"]
            self._begun.set()
        self._begun.set()  # it has ended: nobody is to wait for it

    def _said(self) -> str:
        time.sleep(0.1)  # what it said last may be on its way
        return " ".join(self._log.read_text(encoding="utf-8", errors="replace").split())[-600:] or "nothing"


def inference_pipeline(
    peer: Installed, settings: Path, work: Path
) -> Callable[[Sequence[str], float], PipelineWatcher]:
    """Opens InferencePipelines over the detector, for `aihub.bench.streams.watcher`."""
    return lambda urls, fps: PipelineWatcher(peer, settings, work, urls, fps)
