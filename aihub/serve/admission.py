"""Every computing request passes here once: may this tenant, now, and what did it cost."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Counter

from aihub.errors import AlgorithmNotFoundError, CapacityError, DeadlineError, RateLimitError
from aihub.serve.security import Caller
from aihub.serve.usage import UsageBook
from aihub.storage.records import Tenant
from aihub.telemetry import REGISTRY
from aihub.types import Bill

MAX_TENANTS = 4096
"""Tenants remembered at once; who is at rest and has waited longest goes first, which at most forgives a little."""
BUSY_RETRY_S = 1.0

REFUSED = Counter(
    "aihub_admission_refused_total",
    "Requests refused for their tenant's limits; with the reason `capacity`, calls that were let in and then refused because "
    "the hub had no room for them.",
    ["tenant", "reason"],
    registry=REGISTRY,
)


class Bucket:
    """Tokens that come at a steady rate, up to a bound. Not thread-safe.

    A demand for more than the bound is let through when the bucket is full, and leaves a debt, so that the rate holds.
    """

    def __init__(self, rate: float, size: float, now: float) -> None:
        self.rate, self.size = rate, size
        self._level, self._at = size, now

    def reshape(self, rate: float, size: float, now: float) -> None:
        """Go on with another rate and bound; what was saved stays, up to the bound."""
        if (rate, size) != (self.rate, self.size):
            self._level, self._at = min(self.level(now), size), now
            self.rate, self.size = rate, size

    def level(self, now: float) -> float:
        """Tokens there now."""
        return min(self.size, self._level + (now - self._at) * self.rate)

    def wait_for(self, tokens: float, now: float) -> float:
        """Seconds until that many can be had; 0 when now."""
        return max(0.0, (min(tokens, self.size) - self.level(now)) / self.rate)

    def take(self, tokens: float, now: float) -> None:
        """Take them."""
        self._level, self._at = self.level(now) - tokens, now


class Tab(Bill):
    """The bill of one admitted request, and what became of each of its algorithms where one may fail without the others."""

    __slots__ = ("outcomes",)

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: Sequence[BaseException | None] = ()

    def ended(self, outcomes: Sequence[BaseException | None]) -> None:
        """Say for each algorithm, in the order in which they were admitted, why it failed; None for one that did not.

        Never said, each ends as the request does. One that ended well fails all the same if its request does.
        """
        self.outcomes = tuple(outcomes)


class _Account:
    """How a tenant stands in this process."""

    __slots__ = ("bucket", "calls", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.calls = 0
        self.bucket: Bucket | None = None


class Admission:
    """Lets requests in and books what they used. Never blocks, so it may be called on any thread or event loop.

    Args:
        usage: where what was used is booked, and how much that is today.
        replicas: processes that share a tenant's rate and concurrency evenly; each has at least one.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        usage: UsageBook,
        *,
        replicas: int = 1,
        clock: Callable[[], float] = time.monotonic,
        needs: Callable[[str], Sequence[str]] = lambda _: (),
    ) -> None:
        self.usage = usage
        self._replicas, self._clock, self._needs = replicas, clock, needs
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}

    @contextmanager
    def enter(self, caller: Caller, algorithms: Sequence[str], *, frames: int = 1) -> Iterator[Tab]:
        """Admit one request; give the bill that its work is put on; book it when the request has ended.

        What the hub then refuses for want of capacity was no call: it is counted as refused, and only what was spent on it
        until then is booked.

        Args:
            caller: who asks.
            algorithms: ids of what is to be run (models by name), each a call of its own; each pays what
                the bill says it owes, and an even share of the rest.
            frames: pictures, or seconds of sound begun.

        Raises:
            NotFoundError: no such algorithm for this tenant; the same as if nobody knew it.
            ForbiddenError: an algorithm needs a scope that the key lacks.
            RateLimitError: too many, too often, or the day's quota is used up; says when to come back.
        """
        for algorithm in algorithms:
            if not caller.may_use(algorithm):
                raise AlgorithmNotFoundError(algorithm)
            for scope in self._needs(algorithm):
                caller.require(scope)
        self._admit(caller, len(algorithms))
        tab = Tab()
        error: BaseException | None = None
        try:
            yield tab
        except BaseException as caught:
            error = caught
            raise
        finally:
            try:
                self._book(caller.tenant, algorithms, frames, tab, error)
            finally:
                # Last, so that a call is counted for the quota all the time: first as one at work, then as one booked.
                self._leave(caller.tenant, len(algorithms))

    def _book(
        self, tenant: str, algorithms: Sequence[str], frames: int, tab: Tab, error: BaseException | None
    ) -> None:
        """Book each algorithm by its own outcome, and where it has none by that of the request."""
        outcomes = tab.outcomes or [None] * len(algorithms)
        for algorithm, share, outcome in zip(algorithms, tab.split(algorithms), outcomes, strict=True):
            why = error if outcome is None else outcome
            if _no_room(why):
                REFUSED.labels(tenant, "capacity").inc()
                if share:
                    self.usage.book(tenant, algorithm, compute_s=share)
                continue
            failed = why is not None
            self.usage.book(
                tenant,
                algorithm,
                calls=1,
                errors=int(failed),
                frames=0 if failed else frames,
                compute_s=share,
            )

    def _admit(self, caller: Caller, calls: int) -> None:
        limits, now = caller.account, self._clock()
        with self._lock:
            account = self._account(caller.tenant)
            self._check_concurrency(caller.tenant, limits, account)
            self._check_quota(caller.tenant, limits, account, calls)
            self._check_rate(caller.tenant, limits, account, calls, now)
            account.requests += 1
            account.calls += calls

    def _leave(self, tenant: str, calls: int) -> None:
        with self._lock:
            account = self._accounts[tenant]
            account.requests -= 1
            account.calls -= calls

    def _account(self, tenant: str) -> _Account:
        account = self._accounts.pop(tenant, None) or _Account()
        self._accounts[tenant] = account  # now the youngest
        if len(self._accounts) > MAX_TENANTS:
            oldest = next((name for name, known in self._accounts.items() if not known.requests), None)
            if oldest not in (None, tenant):
                del self._accounts[oldest]
        return account

    def _check_concurrency(self, tenant: str, limits: Tenant, account: _Account) -> None:
        if limits.concurrency is None:
            return
        if account.requests >= max(1, limits.concurrency // self._replicas):
            raise _refused(
                tenant,
                "concurrency",
                f"this tenant may have {limits.concurrency} requests at work at the same time",
                BUSY_RETRY_S,
            )

    def _check_quota(self, tenant: str, limits: Tenant, account: _Account, calls: int) -> None:
        if limits.calls_per_day is None:
            return
        if self.usage.calls_today(tenant) + account.calls + calls > limits.calls_per_day:
            raise _refused(
                tenant,
                "quota",
                f"this tenant may make {limits.calls_per_day:,} calls a day (UTC), and they are used up",
                self.usage.seconds_to_midnight(),
            )

    def _check_rate(self, tenant: str, limits: Tenant, account: _Account, calls: int, now: float) -> None:
        if limits.calls_per_second is None:
            account.bucket = None
            return
        rate = limits.calls_per_second / self._replicas
        burst = math.ceil(limits.calls_per_second) if limits.burst is None else limits.burst
        size = max(1.0, burst / self._replicas)
        if account.bucket is None:
            account.bucket = Bucket(rate, size, now)
        account.bucket.reshape(rate, size, now)
        wait_s = account.bucket.wait_for(calls, now)
        if wait_s > 0:
            raise _refused(
                tenant,
                "rate",
                f"this tenant may make {limits.calls_per_second:g} calls a second",
                wait_s,
            )
        account.bucket.take(calls, now)


def _no_room(error: BaseException | None) -> bool:
    """Whether the hub refused for want of capacity. Time that ran out is a failed call: work may have gone on all the while."""
    return isinstance(error, CapacityError) and not isinstance(error, DeadlineError)


def _refused(tenant: str, reason: str, message: str, retry_after_s: float) -> RateLimitError:
    REFUSED.labels(tenant, reason).inc()
    return RateLimitError(
        message, retry_after_s=retry_after_s, hint="ask the operator for more, or spread the work"
    )
