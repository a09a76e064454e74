"""Who is calling and what they may do: API keys, scopes, and a brake on guessing.

Only the SHA-256 of a key is ever stored. Keys are 256 random bits, so a plain hash is enough: there is no dictionary to
try. What the brake counts are failures: behind the ingress all callers share one address, so a key that is valid is never
refused for the failures of others. A key that was accepted is believed for `TTL_S` seconds without asking the database,
and so are the grants and limits of its tenant; revoking and changing take that long to be felt. When the database does
not answer, both are believed for `STALE_S`, so that inference outlives a locked database.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from prometheus_client import Counter

from aihub.errors import ForbiddenError, RateLimitError, StorageError, UnauthorizedError
from aihub.storage.records import ApiKey, Tenant
from aihub.telemetry import REGISTRY

logger = logging.getLogger(__name__)

SCOPES = {
    "infer": "send pictures to algorithms",
    "streams": "add, change, remove and see streams",
    "events": "read events and their evidence, change their state, give feedback, manage sinks",
    "faces": "enrol, find and remove faces",
    "metrics": "read /metrics, which tell of all tenants",
    "admin": "everything, for every tenant",
}
"""What a key can be allowed to do."""

TTL_S = 5.0
STALE_S = 60.0
FAILURES_PER_MINUTE = 60
MAX_ENTRIES = 4096

REFUSED = Counter(
    "aihub_http_refused_total", "Requests refused at the door, by reason.", ["reason"], registry=REGISTRY
)

NOTHING = Tenant("")
"""What a tenant has that was granted nothing."""

_KEY = re.compile(r"aihub_[A-Za-z0-9_-]{43}")
_PREFIX = len("aihub_") + 6


class Keys(Protocol):
    """Where keys and tenants are kept. All may block; all raise `StorageError` when the database does not answer."""

    def find_key(self, key_hash: str) -> ApiKey | None:
        """The key of that SHA-256, in force or not."""
        ...

    def find_tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant of that id."""
        ...

    def touch_key(self, key: ApiKey) -> None:
        """Note that it was used."""
        ...


def new_key() -> tuple[str, str, str]:
    """A fresh key: `(key, hash, prefix)`. The key is shown once and never stored; the prefix names it in lists."""
    key = f"aihub_{secrets.token_urlsafe(32)}"
    return key, hash_key(key), key[:_PREFIX]


def hash_key(key: str) -> str:
    """SHA-256 of a key in hexadecimal: what is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """The key behind a request.

    Attributes:
        key_id: id of the key, for the audit.
        name: what the key is called.
        tenant: whose streams and events it sees.
        scopes: what it may do.
        account: grants and limits of its tenant.
    """

    key_id: str
    name: str
    tenant: str
    scopes: frozenset[str]
    account: Tenant = field(default=NOTHING, repr=False)

    @property
    def admin(self) -> bool:
        """Whether it may do everything."""
        return "admin" in self.scopes

    @property
    def sees(self) -> str | None:
        """The tenant to which its view is limited; None sees all."""
        return None if self.admin else self.tenant

    def may_use(self, algorithm_id: str) -> bool:
        """Whether its tenant has a grant for this algorithm (or model, by name). Administrators may use all."""
        return self.admin or self.account.may_use(algorithm_id)

    def may_see_group(self, group: str) -> bool:
        """Whether its tenant has a grant for this group of streams. Administrators see all."""
        return self.admin or self.account.may_see_group(group)

    def require(self, *scopes: str) -> None:
        """Let it pass only with one of these scopes (or `admin`).

        Raises:
            ForbiddenError: names the missing scope.
        """
        if self.scopes.isdisjoint(scopes) and not self.admin:
            raise ForbiddenError(
                f"this key lacks the scope {' or '.join(map(repr, scopes))}",
                hint=f"aihub keys create NAME --scopes {','.join(sorted({*self.scopes, scopes[0]}))}",
            )


@dataclass(slots=True)
class _Known:
    caller: Caller
    key: ApiKey
    hash: str
    age: int
    fresh_until: float
    stale_until: float


class Brake:
    """Failed attempts per address: a bucket that refills, in a table of bounded size (the longest unseen goes first)."""

    def __init__(
        self, per_minute: int = FAILURES_PER_MINUTE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._full, self._clock = per_minute / 60, float(per_minute), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def _level(self, address: str) -> float:
        level, at = self._buckets.get(address, (self._full, 0.0))
        return min(self._full, level + (self._clock() - at) * self._rate)

    def failed(self, address: str) -> None:
        """Count one failed attempt.

        Raises:
            RateLimitError: there were too many; says when to come back.
        """
        level = self._level(address)
        if level < 1:
            REFUSED.labels("brake").inc()
            raise RateLimitError(
                "too many attempts without a valid key from this address",
                retry_after_s=(1 - level) / self._rate,
                hint="check the key",
            )
        self._buckets[address] = (level - 1, self._clock())
        self._buckets.move_to_end(address)
        if len(self._buckets) > MAX_ENTRIES:
            self._buckets.popitem(last=False)


class Door:
    """Turns the credentials of a request into a `Caller`, or refuses."""

    def __init__(self, keys: Keys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._clock = keys, clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._age = 0
        self._touching: asyncio.Task[None] | None = None
        self.brake = Brake(clock=clock)

    async def caller(self, key: str, address: str) -> Caller:
        """Who holds this key.

        Args:
            key: as it came, empty when none did.
            address: of the client, for the brake.

        Raises:
            UnauthorizedError: no key, or not one in force.
            RateLimitError: not one in force, and this address failed too often.
            StorageError: the database does not answer and the key was not seen lately.
        """
        # Found by its hash, so the time that takes tells nothing about a key; compared in constant time all the same.
        hashed = hash_key(key)
        known = self._known.get(hashed)
        now = self._clock()
        if known is not None and not (
            hmac.compare_digest(known.hash, hashed) and known.key.active(time.time())
        ):
            known = None
        if known is not None and now < known.fresh_until and known.age == self._age:
            return known.caller
        age = self._age  # from before it is looked up: a change made meanwhile must not be missed
        if not _KEY.fullmatch(key):
            self._refuse(address, "form" if key else "no-key")
        try:
            stored, account = await asyncio.to_thread(self._look_up, hashed)
        except StorageError:
            if known is not None and now < known.stale_until:
                return known.caller
            raise
        if stored is None or not stored.active(time.time()):
            self._known.pop(hashed, None)
            self._refuse(address, "unknown")
        # Not waited for, and one at a time: noting the use writes, and a locked database must not hold up a reader.
        if self._touching is None or self._touching.done():
            self._touching = asyncio.create_task(self._touch(stored), name="aihub-touch-key")
        return self._remember(hashed, stored, account, now, age)

    def look_again(self) -> None:
        """Ask the database anew for every key: keys or tenants were just changed here. From any thread."""
        self._age += 1

    def _look_up(self, hashed: str) -> tuple[ApiKey | None, Tenant]:
        stored = self._keys.find_key(hashed)
        found = None if stored is None else self._keys.find_tenant(stored.tenant)
        # A tenant that is not there (any more) was granted nothing.
        return stored, found or Tenant("" if stored is None else stored.tenant)

    def _refuse(self, address: str, reason: str) -> NoReturn:
        if reason != "no-key":
            self.brake.failed(address)
        REFUSED.labels(reason).inc()
        raise UnauthorizedError(
            "this needs an API key" if reason == "no-key" else "this API key is not valid",
            hint="send Authorization: Bearer KEY or X-API-Key: KEY; `aihub keys create` makes one",
        )

    async def _touch(self, key: ApiKey) -> None:
        try:
            await asyncio.to_thread(self._keys.touch_key, key)
        except StorageError as error:
            logger.warning("the use of key %s could not be noted: %s", key.id, error)

    def _remember(self, hashed: str, stored: ApiKey, account: Tenant, now: float, age: int) -> Caller:
        caller = Caller(stored.id, stored.name, stored.tenant, frozenset(stored.scopes), account)
        self._known[hashed] = _Known(caller, stored, hashed, age, now + TTL_S, now + STALE_S)
        self._known.move_to_end(hashed)
        if len(self._known) > MAX_ENTRIES:
            self._known.popitem(last=False)
        return caller
