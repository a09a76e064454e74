"""English speech to words with PocketSphinx, in a few processes that all recordings of this process share."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import queue
import selectors
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from aihub.errors import DeadlineError, SessionError
from aihub.types import Samples, Sound, Word

LANGUAGE = "en"
MISSING = "speech to text needs the package pocketsphinx: pip install 'aihub[speech]'"
MOST = 4
"""Processes at most; each holds some 100 MB."""
LONGEST_WAIT_S = 600.0
_FRAME_S = 0.01
_CHILD = Path(__file__).with_name("sphinx_child.py")


def installed() -> bool:
    """Whether the package is here; it is not imported in this process."""
    return importlib.util.find_spec("pocketsphinx") is not None


class _Child:
    """One process with one recogniser: of all English words, or of those of a grammar."""

    def __init__(self, grammar: str = "") -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own file, by our own interpreter
            [sys.executable, "-I", str(_CHILD), *([grammar] if grammar else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._ready = selectors.DefaultSelector()

    def ask(self, pcm: bytes, deadline: float) -> dict[str, object]:
        """The answer of the process.

        Raises:
            DeadlineError: not in time. The process is of no use any more.
            SessionError: it has ended.
        """
        try:
            self._write(struct.pack("<I", len(pcm)) + pcm, deadline)
            (length,) = struct.unpack("<I", self._read(4, deadline))
            answer: dict[str, object] = json.loads(self._read(length, deadline))
        except (OSError, ValueError, struct.error) as error:
            raise SessionError(f"the recogniser's process ended: {error}") from error
        return answer

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._in, selectors.EVENT_WRITE, deadline)
            view = view[os.write(self._in, view[: 1 << 16]) :]

    def _read(self, length: int, deadline: float) -> bytes:
        data = b""
        while len(data) < length:
            self._wait(self._out, selectors.EVENT_READ, deadline)
            part = os.read(self._out, length - len(data))
            if not part:
                raise OSError("no answer")
            data += part
        return data

    def _wait(self, file: int, event: int, deadline: float) -> None:
        self._ready.register(file, event)
        try:
            if not self._ready.select(max(deadline - time.monotonic(), 0.0)):
                raise DeadlineError("the recogniser did not answer in time", hint="send a shorter recording")
        finally:
            self._ready.unregister(file)

    def close(self) -> None:
        """End it. Calling it again does nothing."""
        self._ready.close()
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(timeout=10)


class Pool:
    """Recognisers, started when first needed, never more than `size`. Thread-safe.

    Args:
        size: most processes.
        grammar: the words they know, as JSGF; empty is all of English.
    """

    def __init__(self, size: int, grammar: str = "") -> None:
        self._grammar = grammar
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._closed = False
        for _ in range(size):
            self._idle.put(None)

    def words(self, sound: Sound, samples: Samples, start: float) -> list[Word]:
        """What was said in a stretch of speech.

        Args:
            sound: whose stretch it is: its deadline and bill.
            samples: the stretch.
            start: where it begins, seconds; times of words count from the same zero.

        Raises:
            DeadlineError: no recogniser was free, or it was not done, before the sound's deadline.
            SessionError: the recogniser's process ended, twice.
        """
        pcm = (samples * np.float32(32767.0)).astype("<i2").tobytes()
        deadline = min(sound.deadline, time.monotonic() + LONGEST_WAIT_S)
        left = deadline - time.monotonic()
        if left <= 0:  # a recogniser that is asked too late would be given up for nothing
            raise DeadlineError("listening took longer than it may", hint="send a shorter recording")
        try:
            child = self._idle.get(timeout=left)
        except queue.Empty as error:
            raise DeadlineError("all recognisers are busy", hint="try again later") from error
        answer: dict[str, object] | None = None
        try:
            child, answer = self._ask(child, pcm, deadline)
        finally:
            # One that failed or is still at work is of no use: the next one to ask starts another.
            self._idle.put(child if answer is not None else None)
        if sound.bill is not None:
            sound.bill.add("pocketsphinx", float(answer["cpu_s"]))  # type: ignore[arg-type]
        return [
            Word(text, start + first * _FRAME_S, start + last * _FRAME_S, sure)
            for text, first, last, sure in answer["words"]  # type: ignore[attr-defined]
        ]

    def _ask(self, child: _Child | None, pcm: bytes, deadline: float) -> tuple[_Child, dict[str, object]]:
        """Ask, and once more with a fresh process where the old one turns out to have ended."""
        for fresh in (child is None, True):
            if child is None:
                child = _Child(self._grammar)
            try:
                return child, child.ask(pcm, deadline)
            except SessionError:
                child.close()
                child = None
                if fresh:
                    raise
            except BaseException:
                child.close()
                raise
        raise AssertionError("both turns return or raise")

    def close(self) -> None:
        """End all processes that are not at work."""
        while True:
            try:
                child = self._idle.get_nowait()
            except queue.Empty:
                return
            if child is not None:
                child.close()


_lock = threading.Lock()
_pools: dict[str, Pool] = {}


def pool(grammar: str = "") -> Pool:
    """The recognisers of this process for all English words, or for those of a grammar that comes with the hub."""
    with _lock:
        if grammar not in _pools:
            _pools[grammar] = Pool(min(MOST, len(os.sched_getaffinity(0))), grammar)
            atexit.register(_pools[grammar].close)
        return _pools[grammar]
