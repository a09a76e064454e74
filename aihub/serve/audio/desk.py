"""Where sound is worked on: threads of its own, since a recording takes seconds where a picture takes milliseconds."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from prometheus_client import Counter, Gauge

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.hearing import HeardResult, hear, in_time
from aihub.algorithms.sound_files import SoundHeader, decode_sound, read_header
from aihub.serve.admission import Admission
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.serve.tickets import Ticket
from aihub.serve.workers import Gone, Workers
from aihub.telemetry import REGISTRY
from aihub.types import Bill, Segment, Sound

WAIT_S = 30.0
"""A recording is admitted when those before it are likely to be done within this."""
_NOTHING = np.zeros(0, np.float32)
BYTES_A_SECOND = 16_000
"""Of a file that does not tell its length: for the books only."""

SECONDS = Counter(
    "aihub_sound_seconds_total", "Seconds of sound listened to.", ["algorithm"], registry=REGISTRY
)
LIVE = Gauge("aihub_sound_live_sessions", "Live sound sessions open.", registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class Asked:
    """A recording and what to do with it.

    Attributes:
        algorithm: one that listens.
        params: as the caller wrote them.
        data: the file.
        timeout_s: seconds until nobody waits any more.
    """

    algorithm: Algorithm
    params: Mapping[str, Any]
    data: bytes
    timeout_s: float


class SoundDesk:
    """Recordings in, results out.

    Args:
        services: what there is.
        admission: lets requests in and books them.

    """

    def __init__(self, services: Services, admission: Admission) -> None:
        self._services, self._admission = services, admission
        cores = len(os.sched_getaffinity(0))
        self._workers = Workers(threads=max(2, cores), waiting=64, wait_s=WAIT_S)
        self._live: dict[str, int] = {}

    @property
    def live(self) -> int:
        """Live sessions that are open."""
        return sum(self._live.values())

    def seat(self, tenant: str) -> bool:
        """Take a place for a live session; False when there is none. One tenant gets half of them at most.

        To be called on the event loop, and `unseat` once for each place taken.
        """
        most, own = self._services.settings.max_live_sounds, self._live.get(tenant, 0)
        if self.live >= most or own >= (most + 1) // 2:
            return False
        self._live[tenant] = own + 1
        LIVE.inc()
        return True

    def unseat(self, tenant: str) -> None:
        """Give a place back."""
        LIVE.dec()
        self._live[tenant] -= 1
        if not self._live[tenant]:
            del self._live[tenant]

    def close(self) -> None:
        """Drop what waits; what runs ends by itself."""
        self._workers.close()

    async def open(self, caller: Caller, asked: Asked, *, gone: Gone | None = None) -> Recording:
        """Look at the header of a file and admit it.

        Raises:
            ParamsError: a parameter is wrong.
            SoundDecodeError, UnsupportedTypeError, TooLargeError: the file is.
            RateLimitError, QueueFullError: not now.
        """
        asked.algorithm.resolve(asked.params)
        deadline = time.monotonic() + asked.timeout_s
        read = partial(read_header, asked.data, max_seconds=self._services.settings.max_sound_s)
        header = await self._workers.run(read, asked.timeout_s, tenant=caller.tenant, gone=gone)
        seconds = header.duration or len(asked.data) / BYTES_A_SECOND
        return Recording(header, self._ticket(caller, asked.algorithm, seconds), asked, deadline)

    def _ticket(self, caller: Caller, algorithm: Algorithm, seconds: float) -> Ticket:
        frames = max(1, math.ceil(seconds))
        return Ticket(self._admission.enter(caller, [algorithm.card.id], frames=frames))

    async def listen(
        self,
        caller: Caller,
        recording: Recording,
        *,
        heard: Callable[[Segment], None] | None = None,
        gone: Gone | None = None,
    ) -> tuple[HeardResult, float]:
        """Decode a recording that was admitted and run its algorithm.

        Args:
            caller: who asks.
            recording: from `open`.
            heard: called from another thread with each segment of a transcript as soon as it is known.
            gone: see `Workers.run`.

        Returns:
            The result, and the length of the sound in seconds.

        Raises:
            AihubError: the file is broken further on, a model failed, or the time is over.
        """
        sound: list[Sound] = []

        def work() -> tuple[HeardResult, float]:
            with recording.ticket.held() as bill:
                made = recording.decode(self._services.settings.max_sound_s)
                made.source, made.heard, made.bill = f"{caller.tenant}/{caller.key_id}", heard, bill
                sound.append(made)
                return self._hear(recording.asked, made), made.duration

        with recording.ticket.held():
            left = recording.deadline - time.monotonic()
            try:
                return await self._workers.run(work, max(left, 0.0), tenant=caller.tenant, gone=gone)
            finally:  # whatever ended the wait, nobody wants more of it
                recording.give_up()
                for one in sound:
                    one.deadline = 0.0

    def _hear(self, asked: Asked, sound: Sound) -> HeardResult:
        left = sound.deadline - time.monotonic()
        result = hear(
            asked.algorithm, sound, asked.params, self._services.predictor, timeout_s=max(left, 0.0)
        )
        SECONDS.labels(asked.algorithm.card.id).inc(sound.duration)
        return result

    def book(self, caller: Caller, algorithm: Algorithm, seconds: float, spent: Bill) -> None:
        """Admit and book live sound on which all work is done already.

        Raises:
            RateLimitError: the tenant is over its limits.
        """
        with self._ticket(caller, algorithm, seconds).held() as bill:
            _put_down(spent, bill)

    async def listen_to(
        self,
        caller: Caller,
        algorithm: Algorithm,
        params: Mapping[str, Any],
        sound: Sound,
        timeout_s: float,
        *,
        spent: Bill,
    ) -> HeardResult:
        """Run an algorithm on a piece of live sound. `spent` is what it has cost to find the piece.

        Raises:
            AihubError: as of `open` and `listen`.
        """
        ticket = self._ticket(caller, algorithm, sound.duration)
        sound.deadline = time.monotonic() + timeout_s
        asked = Asked(algorithm, params, b"", timeout_s)

        def work() -> HeardResult:
            with ticket.held() as bill:
                sound.bill = bill
                return self._hear(asked, sound)

        with ticket.held() as bill:
            _put_down(spent, bill)
            try:
                return await self._workers.run(work, timeout_s, tenant=caller.tenant)
            finally:
                sound.deadline = 0.0


def _put_down(spent: Bill, bill: Bill) -> None:
    for what, seconds in spent.spent.items():
        bill.add(what, seconds)


class Recording:
    """A file that was admitted.

    Attributes:
        header: what it says of itself.
        ticket: to be held by whoever works on it.
        asked: the file and what to do with it.
        deadline: `time.monotonic()` by which it has to be done.
    """

    def __init__(self, header: SoundHeader, ticket: Ticket, asked: Asked, deadline: float) -> None:
        self.header, self.ticket, self.asked, self.deadline = header, ticket, asked, deadline
        self._nothing = Sound(_NOTHING, deadline=deadline)

    def decode(self, max_seconds: float) -> Sound:
        """The sound, as long as somebody waits for it. Blocks.

        Raises:
            AihubError: as of `decode_sound`; `DeadlineError` when nobody waits any more.
        """
        check = partial(in_time, self._nothing)
        samples = decode_sound(self.asked.data, max_seconds=max_seconds, check=check)
        return Sound(samples, deadline=min(self.deadline, self._nothing.deadline))

    def give_up(self) -> None:
        """Nobody waits any more."""
        self._nothing.deadline = 0.0
