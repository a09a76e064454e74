"""The streams of one process: what runs is made equal to what is asked for, and told how it is doing."""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Generic

from aihub.errors import AddressError
from aihub.streams.conversation import Line
from aihub.streams.decoder import Decoder, open_stream
from aihub.streams.faults import RetryPolicy
from aihub.streams.probe import Probed, probing
from aihub.streams.reader import Reader, ReaderLimits, ReaderView
from aihub.streams.sampling import RateSampler
from aihub.streams.sources import Source, parse_source
from aihub.streams.tally import Tally
from aihub.streams.worker import AnalysisPool, PlanT, Results, StreamAnalysis
from aihub.types import Frame, Image, StreamSpec, StreamState, StreamStatus

logger = logging.getLogger(__name__)

_TEND_S = 1.0
_IDLE_FPS = 1.0
"""Rate of a stream without tasks: enough for a snapshot."""


class StreamHost(Generic[PlanT]):
    """Runs streams: a reader thread each, and a few analysis threads for all.

    Args:
        name: of this host, shown in statuses.
        plan: makes an empty plan; called once per stream, on an analysis thread.
        bind: puts a spec's tasks into a plan and gives task id -> why it does not run; called again when they change.
        on_results: takes what the plan made of a frame; called on analysis threads, never twice at once for a stream.
        open_timeout_s: longest a camera may take to answer, and again to play, seconds.
        read_timeout_s: longest a frame may take, seconds.
        stall_s: a live stream without a frame for this long is stalled, seconds.
        deadline_s: frames older than this are not analysed, seconds.
        stuck_s: one frame's analysis that takes longer than this makes the host unhealthy, seconds.
        threads: analysis threads; 0 means one per core, at least 2.
        allow_files: whether `file:` addresses may be read.
        limits: all limits of the readers, instead of the three time-outs above.
        policy: when readers try again.
        open_source: opens decoders; tests put theirs here.
        probe: asks cameras; tests put theirs here.
    """

    def __init__(
        self,
        *,
        name: str,
        plan: Callable[[], PlanT],
        bind: Callable[[PlanT, StreamSpec], Mapping[str, str]],
        on_results: Callable[[StreamSpec, Frame, Results], None],
        open_timeout_s: float = 5.0,
        read_timeout_s: float = 5.0,
        stall_s: float = 4.0,
        deadline_s: float = 2.0,
        stuck_s: float = 30.0,
        threads: int = 0,
        allow_files: bool = False,
        limits: ReaderLimits | None = None,
        policy: RetryPolicy | None = None,
        open_source: Callable[[Source, float, float, Line | None], Decoder] = open_stream,
        probe: Callable[[Source, float], AbstractContextManager[Probed]] = probing,
    ) -> None:
        self.name = name
        self._plan = plan
        self._bind = bind
        self._on_results = on_results
        self._deadline_s = deadline_s
        self._stuck_s = stuck_s
        self._allow_files = allow_files
        self._limits = limits or ReaderLimits(
            open_timeout_s=open_timeout_s, read_timeout_s=read_timeout_s, stall_s=stall_s
        )
        self._policy = policy or RetryPolicy()
        self._open_source = open_source
        self._probe = probe
        self._rng = random.Random()
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream[PlanT]] = {}
        self._leaving: list[Reader] = []
        self._closing = threading.Event()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._pool = AnalysisPool(threads or max(2, cores), name)
        self._tender = threading.Thread(target=self._tend, name=f"{name}-tend", daemon=True)
        self._tender.start()

    def sync(self, specs: Sequence[StreamSpec]) -> None:
        """Make what runs equal to `specs`: start, stop, change. Returns at once; nothing waits for a camera.

        A changed address, transport or password restarts the reader; changed tasks or sampling only bind the plan anew,
        which keeps the state of the tasks that stay.
        """
        wanted = {spec.id: spec for spec in specs}
        with self._lock:
            if self._closing.is_set():
                return
            for stream_id in self._streams.keys() - wanted.keys():
                self._remove(self._streams.pop(stream_id))
            fresh = wanted.keys() - self._streams.keys()
            spread_s = min(2.0, 0.05 * len(fresh))
            for stream_id, spec in wanted.items():
                if stream_id in fresh:
                    stream = self._streams[stream_id] = _Stream(spec, self._analysis, self._parse)
                    stream.apply(spec, self._reader, start_delay_s=self._rng.uniform(0.0, spread_s))
                    self._pool.submit(stream.analysis)
                elif spec != self._streams[stream_id].spec:
                    stream = self._streams[stream_id]
                    self._let_go(stream.apply(spec, self._reader))
                    self._pool.submit(stream.analysis)

    def statuses(self) -> dict[str, StreamStatus]:
        """How every stream is doing now, by id."""
        with self._lock:
            streams = dict(self._streams)
        now, moment = time.monotonic(), time.time()
        return {stream_id: stream.status(self.name, now, moment) for stream_id, stream in streams.items()}

    def snapshot(self, stream_id: str) -> Frame | None:
        """The newest sampled frame of a stream; None before the first, and when it is not here or paused."""
        with self._lock:
            stream = self._streams.get(stream_id)
        return stream.analysis.slot.latest if stream is not None and stream.spec.enabled else None

    def health(self) -> str | None:
        """None while all is well, else why this process should be replaced: a decoder or an analysis that hangs."""
        with self._lock:
            present = [stream.reader for stream in self._streams.values() if stream.reader is not None]
            readers = present + self._leaving
        for reader in readers:
            if (stuck := reader.hung()) is not None:
                return f"stream {reader.name}: {stuck}"
        return self._pool.stuck(self._stuck_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop everything and wait for it, at most so long. A decoder that hangs is left behind. Idempotent."""
        deadline = time.monotonic() + timeout_s
        self._closing.set()
        with self._lock:
            streams = list(self._streams.values())
            self._streams.clear()
            for stream in streams:
                self._remove(stream)
            leaving = list(self._leaving)
        self._pool.close(timeout_s / 2)
        for reader in leaving:
            reader.join(deadline - time.monotonic())
        self._tender.join(max(0.0, deadline - time.monotonic()))

    def _parse(self, spec: StreamSpec) -> Source:
        return parse_source(spec, allow_files=self._allow_files)

    def _analysis(self, spec: StreamSpec, tally: Tally) -> StreamAnalysis[PlanT]:
        return StreamAnalysis(
            spec,
            tally,
            plan=self._plan,
            bind=self._bind,
            on_results=self._on_results,
            deadline_s=self._deadline_s,
        )

    def _reader(self, stream: _Stream[PlanT], source: Source, start_delay_s: float) -> Reader:
        analysis, numbers, pool = stream.analysis, stream.numbers, self._pool

        def deliver(image: Image, captured_at: float, monotonic: float) -> None:
            analysis.slot.put(Frame(image, analysis.source, next(numbers), captured_at, monotonic))
            pool.submit(analysis)

        reader = Reader(
            source,
            name=analysis.name,
            wants=lambda now: stream.sampler.wants(now),
            deliver=deliver,
            tally=stream.tally,
            limits=self._limits,
            policy=self._policy,
            start_delay_s=start_delay_s,
            open_source=self._open_source,
            probe=self._probe,
        )
        reader.start()
        return reader

    def _remove(self, stream: _Stream[PlanT]) -> None:
        stream.analysis.close()
        self._let_go(stream.halt())
        stream.tally.remove()

    def _let_go(self, reader: Reader | None) -> None:
        """Keep an eye on a reader that was told to stop until it has."""
        if reader is not None and reader.alive:
            self._leaving.append(reader)

    def _tend(self) -> None:
        while not self._closing.wait(_TEND_S):
            now = time.monotonic()
            with self._lock:
                self._leaving = [reader for reader in self._leaving if reader.alive]
                for stream in self._streams.values():
                    stream.tally.mark(now, live=stream.view().state is StreamState.LIVE)


class _Stream(Generic[PlanT]):
    """One stream of a host: its spec, its reader while it is enabled, its analysis."""

    def __init__(
        self,
        spec: StreamSpec,
        analysis: Callable[[StreamSpec, Tally], StreamAnalysis[PlanT]],
        parse: Callable[[StreamSpec], Source],
    ) -> None:
        self.spec = spec
        self.tally = Tally(spec.id)
        self.analysis = analysis(spec, self.tally)
        self.numbers = itertools.count()
        self.sampler = RateSampler(_rate(spec))
        self.reader: Reader | None = None
        self._parse = parse
        self._source: Source | None = None
        self._fault: AddressError | None = None
        self._changed_at = time.time()

    def apply(
        self,
        spec: StreamSpec,
        start: Callable[[_Stream[PlanT], Source, float], Reader],
        start_delay_s: float = 0.0,
    ) -> Reader | None:
        """Do as the spec says; gives the reader that was told to stop, if one was."""
        if _rate(spec) != _rate(self.spec):
            self.sampler = RateSampler(_rate(spec))
        self.spec = spec
        self.analysis.rebind(spec)
        try:
            source = self._parse(spec) if spec.enabled else None
            self._fault = None
        except AddressError as error:
            source, self._fault = None, error
        if source == self._source:
            return None
        former = self.halt()
        self._source = source
        if source is not None:
            self.reader = start(self, source, start_delay_s)
        return former

    def halt(self) -> Reader | None:
        """Tell the reader to stop and forget its frames; gives it."""
        former, self.reader, self._source = self.reader, None, None
        self._changed_at = time.time()
        if former is not None:
            former.stop()
            self.analysis.slot.clear()
        return former

    def view(self) -> ReaderView:
        """State of the reader, or why there is none."""
        if self._fault is not None:
            return ReaderView(StreamState.FAILED, self._changed_at, self._fault.code, str(self._fault))
        if self.reader is None:
            return ReaderView(StreamState.PAUSED, self._changed_at)
        return self.reader.view()

    def status(self, host: str, now: float, moment: float) -> StreamStatus:
        """Everything about it, for people and programs."""
        view, tally = self.view(), self.tally
        fps_read, fps_analysed = tally.rates(now)
        median, high = tally.latency_ms()
        return StreamStatus(
            state=view.state,
            error_code=view.error_code,
            error=view.error,
            host=host,
            since=view.since,
            width=view.width,
            height=view.height,
            codec=view.codec,
            fps_read=round(fps_read, 2),
            fps_analysed=round(fps_analysed, 2),
            frames_read=tally.read,
            frames_analysed=tally.analysed,
            dropped={reason: count for reason, count in tally.dropped.items() if count},
            reconnects=sum(tally.reconnects.copy().values()),
            latency_ms_p50=round(median, 2),
            latency_ms_p95=round(high, 2),
            broken_tasks=dict(self.analysis.broken_tasks),
            updated_at=moment,
        )


def _rate(spec: StreamSpec) -> float:
    return spec.sampling.fps if spec.tasks else min(spec.sampling.fps, _IDLE_FPS)
