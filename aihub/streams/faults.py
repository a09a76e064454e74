"""What a fault of a camera means for the next attempt: how long to wait, and what to call the state meanwhile.

    fault                     while new                         when it lasts
    refused, silent, stalled  0.5, 1, 2, 3, 3, ... s            up to 30 s once the trouble is older than ten minutes
    no such path, no video    as above, `tries` times           failed, once a minute
    wrong password            failed, once a minute             the same: cameras lock accounts that knock too often
    the address itself        failed, once a minute             the same

A path or picture that was there before is treated as silent: a restarted recorder answers 404 until its camera is back.
Every delay is jittered downwards, so that a switch that comes back is not met by a thousand cameras in step.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from aihub.errors import AihubError, AuthError, FormatError, InputError, StreamMissingError
from aihub.types import StreamState


@dataclass(frozen=True, slots=True)
class Retreat:
    """What to do after a fault."""

    state: StreamState
    delay_s: float


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again.

    Attributes:
        first_s: delay after the first fault, seconds; doubles with each further one.
        quick_cap_s: longest delay while the trouble is younger than `quick_for_s`, so that a camera that comes back is
            live within five seconds.
        quick_for_s: how long trouble counts as new, seconds.
        cap_s: longest delay after that, seconds.
        slow_s: delay of a failed stream, seconds.
        tries: faults in a row of a kind that does not pass by itself before the stream is `failed`.
        settle_s: a stream that was live for less than this is still in the same trouble, seconds.
    """

    first_s: float = 0.5
    quick_cap_s: float = 3.0
    quick_for_s: float = 600.0
    cap_s: float = 30.0
    slow_s: float = 60.0
    tries: int = 3
    settle_s: float = 10.0

    def after(
        self, error: AihubError, *, failures: int, trouble_s: float, seen_live: bool, rng: random.Random
    ) -> Retreat:
        """What to do now.

        Args:
            error: the fault.
            failures: faults in a row, this one included, so at least 1.
            trouble_s: seconds since the first of them.
            seen_live: whether this address gave pictures before.
            rng: source of the jitter.
        """
        if self._gives_up(error, failures=failures, recent=seen_live and trouble_s < self.quick_for_s):
            return Retreat(StreamState.FAILED, self.slow_s * rng.uniform(0.8, 1.0))
        cap = self.quick_cap_s if trouble_s < self.quick_for_s else self.cap_s
        grown = self.first_s * 2.0 ** min(failures - 1, 16)
        return Retreat(StreamState.BACKOFF, min(grown, cap) * rng.uniform(0.5, 1.0))

    def _gives_up(self, error: AihubError, *, failures: int, recent: bool) -> bool:
        if isinstance(error, StreamMissingError | FormatError):
            return failures >= self.tries and not recent
        return isinstance(error, AuthError | InputError)
