"""One camera, one thread: connect, decode, notice that it went away, come back.

    connecting --first decoded frame--> live --no frame for stall_s--> stalled
        ^                                                                 |
        +------ backoff (seconds) / failed (a minute) <-------------------+
                (see aihub.streams.faults)

The thread spends its life inside FFmpeg, which may not come back. So nobody ever waits for it: stopping is a wish the
thread finds when it next comes out, its state is one object replaced whole, and no lock is held while it is inside.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from aihub.errors import AihubError, ConnectError, FormatError, StallError, StreamError
from aihub.streams.conversation import Line
from aihub.streams.decoder import DECODABLE, Decoder, open_stream
from aihub.streams.faults import RetryPolicy
from aihub.streams.probe import Probed, probing
from aihub.streams.sampling import RateGuard
from aihub.streams.sources import Source, redact_address
from aihub.streams.tally import Tally
from aihub.telemetry import FRAME_SECONDS
from aihub.types import Image, StreamState

logger = logging.getLogger(__name__)

_RECEIVE, _CONVERT = FRAME_SECONDS.labels("receive"), FRAME_SECONDS.labels("convert")

_MISSES = 50
"""Grabs in a row without a frame, each at once, after which a connection is taken for lost."""


class Clock(Protocol):
    """Time as the reader sees it."""

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most so long; whether it is."""
        ...


class SystemClock:
    """The machine's clock."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most so long; whether it is."""
        return event.wait(seconds)


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """How long each step may take.

    Attributes:
        open_timeout_s: for the probe, and again for the decoder's open, seconds.
        read_timeout_s: for one frame, seconds.
        first_frame_s: from the open to the first decoded frame, seconds: a proxy may start in the middle of a long
            group of pictures.
        stall_s: without a frame before a live stream is stalled, seconds.
        key_frame_s: where only key frames are decoded, without one although pictures come, before the camera is asked
            anew, seconds: most send one at once to who connects.
        hang_margin_s: beyond its own time-out before the decoder is taken for hung, seconds.
        max_fps: frames per second read from one source for any length of time.
    """

    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    first_frame_s: float = 10.0
    stall_s: float = 4.0
    key_frame_s: float = 30.0
    hang_margin_s: float = 10.0
    max_fps: float = 120.0


@dataclass(frozen=True, slots=True)
class ReaderView:
    """How a reader is doing at one moment. `since` is in seconds since the epoch."""

    state: StreamState = StreamState.PENDING
    since: float = 0.0
    error_code: str = ""
    error: str = ""
    codec: str = ""
    width: int = 0
    height: int = 0


class Reader:
    """Reads one source until it is stopped.

    Args:
        source: what to read.
        name: stream id, for the log.
        wants: whether a frame of this monotonic moment is to be handed over; others are never converted.
        deliver: takes a picture, when it was decoded since the epoch, and the same on the monotonic clock.
        tally: where frames and reconnects are counted.
        limits: time-outs.
        policy: when to try again.
        start_delay_s: wait before the first attempt, so that a host's cameras do not all connect at once.
        open_source: opens the decoder; tests put theirs here.
        probe: asks the camera first and holds the line while the decoder connects; tests put theirs here.
        clock: time; tests put theirs here.
        rng: source of the jitter.
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        wants: Callable[[float], bool],
        deliver: Callable[[Image, float, float], None],
        tally: Tally,
        limits: ReaderLimits | None = None,
        policy: RetryPolicy | None = None,
        start_delay_s: float = 0.0,
        open_source: Callable[[Source, float, float, Line | None], Decoder] = open_stream,
        probe: Callable[[Source, float], AbstractContextManager[Probed]] = probing,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._source = source
        self.name = name
        self._wants = wants
        self._deliver = deliver
        self._tally = tally
        self._limits = limits or ReaderLimits()
        self._policy = policy or RetryPolicy()
        self._start_delay_s = start_delay_s
        self._open_source = open_source
        self._probe = probe
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name=f"reader-{name}", daemon=True)
        self._view = ReaderView(since=self._clock.time())
        # What the thread is doing inside FFmpeg: the step, when it went in, when it should be out again.
        self._inside: tuple[str, float, float] | None = None
        self._last_frame = 0.0
        self._decoder: Decoder | None = None
        self._live_since: float | None = None
        self._seen_live = False
        self._failures = 0
        self._trouble_since = 0.0

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; returns at once. No frame is handed over after this, save one that is on its way."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end, at most so long; whether it has ended."""
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def view(self) -> ReaderView:
        """How it is doing now. A thread that is stuck cannot say so itself: that is worked out here."""
        view = self._view
        stuck = self.hung()
        if stuck is not None:
            return replace(view, state=StreamState.STALLED, error_code="stall", error=stuck)
        silent = self._clock.monotonic() - self._heard()
        if view.state is StreamState.LIVE and silent > self._limits.stall_s:
            error = f"no frame for {silent:.0f} s"
            return replace(view, state=StreamState.STALLED, error_code="stall", error=error)
        return view

    def _heard(self) -> float:
        """When the camera last sent a picture. Where only key frames are decoded, those between them count, for a time."""
        decoder, last = self._decoder, self._last_frame
        if decoder is None or not self._source.key_frames:
            return last
        return min(max(last, decoder.heard), last + self._limits.key_frame_s)

    def hung(self) -> str | None:
        """What the decoder has not come back from although its own time-out is long over, else None."""
        inside = self._inside
        if inside is None:
            return None
        step, entered, expected = inside
        now = self._clock.monotonic()
        if now <= expected + self._limits.hang_margin_s:
            return None
        return f"the decoder does not answer ({step}, {now - entered:.0f} s)"

    def run(self) -> None:
        """Read until stopped, or to the end of a file. Runs in its own thread."""
        if self._start_delay_s and self._clock.wait(self._stopping, self._start_delay_s):
            return
        while not self._stopping.is_set():
            started = self._clock.monotonic()
            error = self._attempt()
            if error is None:
                break
            self._retreat(error, started)
        if not self._stopping.is_set():
            self._become(StreamState.PAUSED, error="the file has ended")

    def _attempt(self) -> AihubError | None:
        """Connect and read until something goes wrong; None when there is no more to read."""
        self._become(StreamState.CONNECTING)
        try:
            with self._probe(self._source, self._limits.open_timeout_s) as probed:
                decoder = None if self._stopping.is_set() else self._connect(probed)
            if decoder is not None:
                self._play(decoder, probed.result.codec or decoder.codec)
        except AihubError as error:
            return error
        except Exception as error:
            if not self._failures:
                logger.exception("stream %s: the reader failed", self.name)
            return StreamError(f"the reader failed: {type(error).__name__}")
        return None

    def _connect(self, probed: Probed) -> Decoder:
        limits, found = self._limits, probed.result
        self._enter("open", limits.open_timeout_s)
        try:
            return self._open_source(self._source, limits.open_timeout_s, limits.read_timeout_s, probed.line)
        except ConnectError:
            if found.codec and found.codec not in DECODABLE:
                raise FormatError(f"video in {found.codec} cannot be decoded") from None
            raise
        finally:
            self._inside = None

    def _play(self, decoder: Decoder, codec: str) -> None:
        self._decoder = decoder
        try:
            self._read(decoder, codec)
        finally:
            self._decoder = None
            self._enter("close", self._limits.read_timeout_s)
            decoder.release()
            self._inside = None

    def _read(self, decoder: Decoder, codec: str) -> None:
        self._live_since = None
        clock, tally, stopping = self._clock, self._tally, self._stopping
        guard = RateGuard(self._limits.max_fps)
        read_timeout_s = self._limits.read_timeout_s
        last, misses = clock.monotonic(), 0
        corrupt_before = tally.dropped["corrupt"]
        while not stopping.is_set():
            self._enter("read", read_timeout_s)
            # CPU of this thread, since most of a grab is waiting for the network.
            began = time.thread_time()
            grabbed = decoder.grab()
            self._inside = None
            now = clock.monotonic()
            tally.dropped["corrupt"] = corrupt_before + decoder.corrupt
            if not grabbed:
                if decoder.ended:
                    return
                misses += 1
                self._check_silence(now - (last if self._live_since is None else self._heard()), misses)
                continue
            _RECEIVE.observe(time.thread_time() - began)
            last, misses = now, 0
            self._last_frame = now
            if self._live_since is None:
                self._go_live(now, codec)
            tally.read += 1
            if self._wants(now):
                self._hand_over(decoder, now)
            pause_s = guard.pause_s(now)
            if pause_s > 0:
                clock.wait(stopping, pause_s)

    def _hand_over(self, decoder: Decoder, now: float) -> None:
        began = time.thread_time()
        picture = decoder.retrieve()
        _CONVERT.observe(time.thread_time() - began)
        if self._stopping.is_set():
            return
        self._tally.sampled += 1
        if picture is None:
            self._tally.dropped["undecodable"] += 1
            return
        height, width = picture.shape[:2]
        if (width, height) != (self._view.width, self._view.height):
            self._view = replace(self._view, width=width, height=height)
        self._deliver(picture, self._clock.time(), now)

    def _check_silence(self, silent_s: float, misses: int) -> None:
        """Judge a grab that gave nothing: a broken packet, a pause, or the end of the connection.

        Raises:
            StallError: a live stream has gone silent or its connection is lost.
            ConnectError: no picture came although the camera plays.
        """
        live = self._live_since is not None
        if silent_s >= (self._limits.stall_s if live else self._limits.first_frame_s):
            if live:
                raise StallError(f"no frame for {silent_s:.0f} s")
            raise ConnectError(f"connected, but no picture within {silent_s:.0f} s")
        if misses >= _MISSES:
            if live:
                raise StallError("the connection was lost")
            raise ConnectError("the connection was lost before the first picture")

    def _go_live(self, now: float, codec: str) -> None:
        self._live_since = now
        self._seen_live = True
        self._view = replace(self._view, codec=codec)
        self._become(StreamState.LIVE)
        logger.info("stream %s is live", self.name)

    def _retreat(self, error: AihubError, started: float) -> None:
        """Say what is wrong and wait for the next attempt."""
        now = self._clock.monotonic()
        was_live_s = now - self._live_since if self._live_since is not None else 0.0
        if was_live_s >= self._policy.settle_s:
            self._failures = 0
        if not self._failures:
            self._trouble_since = now
        self._failures += 1
        text = redact_address(str(error))
        if isinstance(error, StallError):
            self._become(StreamState.STALLED, error.code, text)
        retreat = self._policy.after(
            error,
            failures=self._failures,
            trouble_s=now - self._trouble_since,
            seen_live=self._seen_live,
            rng=self._rng,
        )
        self._become(retreat.state, error.code, text)
        level = (
            logging.WARNING if self._failures == 1 or retreat.state is StreamState.FAILED else logging.DEBUG
        )
        logger.log(level, "stream %s: %s; next attempt in %.1f s", self.name, text, retreat.delay_s)
        # An attempt that took its whole time-out has waited already.
        begun = started if self._live_since is None else now
        self._live_since = None
        self._clock.wait(self._stopping, max(0.1, retreat.delay_s - (now - begun)))
        if not self._stopping.is_set():
            self._tally.reconnects[error.code] += 1

    def _enter(self, step: str, allowed_s: float) -> None:
        now = self._clock.monotonic()
        self._inside = (step, now, now + allowed_s)

    def _become(self, state: StreamState, error_code: str = "", error: str = "") -> None:
        if state is StreamState.CONNECTING:
            # What went wrong last stays to be seen until the stream is live.
            error_code, error = self._view.error_code, self._view.error
        if self._view.state is state:
            self._view = replace(self._view, error_code=error_code, error=error)
            return
        since = self._clock.time()
        self._view = replace(self._view, state=state, since=since, error_code=error_code, error=error)
