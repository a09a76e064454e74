"""Keys, scopes and the brake."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import ForbiddenError, RateLimitError, StorageError, UnauthorizedError
from aihub.serve import security
from aihub.serve.security import SCOPES, STALE_S, TTL_S, Brake, Caller, Door, hash_key, new_key
from aihub.storage.records import ApiKey, Tenant


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeKeys:
    """Keys in memory; counts how often it is asked, and fails on demand."""

    def __init__(self) -> None:
        self.rows: dict[str, ApiKey] = {}
        self.asked = 0
        self.down = False
        self.touched: list[str] = []
        self.tenants = {"default": Tenant("default", algorithms=("thing-*",), stream_groups=("yard",))}

    def add(self, *scopes: str, expires_at: float | None = None) -> str:
        key, hashed, prefix = new_key()
        self.rows[hashed] = ApiKey("1", "test", "default", prefix, scopes, 0.0, expires_at)
        return key

    def find_key(self, key_hash: str) -> ApiKey | None:
        self.asked += 1
        if self.down:
            raise StorageError("locked")
        return self.rows.get(key_hash)

    def find_tenant(self, tenant_id: str) -> Tenant | None:
        return self.tenants.get(tenant_id)

    def touch_key(self, key: ApiKey) -> None:
        if self.down:
            raise StorageError("locked")
        self.touched.append(key.id)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def door(keys: FakeKeys, clock: Clock) -> Door:
    return Door(keys, clock=clock)


def test_new_keys_are_long_distinct_and_stored_as_a_hash_only() -> None:
    made = [new_key() for _ in range(50)]
    assert len({key for key, _, _ in made}) == 50
    for key, hashed, prefix in made:
        assert key.startswith("aihub_")
        assert len(key) == 49
        assert hashed == hash_key(key)
        assert len(hashed) == 64
        assert key.startswith(prefix)
        assert len(prefix) == 12


async def test_a_valid_key_is_believed_for_some_seconds(door: Door, keys: FakeKeys, clock: Clock) -> None:
    key = keys.add("infer")
    for _ in range(5):
        assert (await door.caller(key, "a")).scopes == {"infer"}
    assert keys.asked == 1
    clock.now += TTL_S
    await door.caller(key, "a")
    assert keys.asked == 2


async def test_a_revoked_key_stops_after_the_ttl(door: Door, keys: FakeKeys, clock: Clock) -> None:
    key = keys.add("infer")
    await door.caller(key, "a")
    keys.rows.clear()
    await door.caller(key, "a")
    clock.now += TTL_S
    with pytest.raises(UnauthorizedError):
        await door.caller(key, "a")
    with pytest.raises(UnauthorizedError):
        await door.caller(key, "a")


async def test_an_expired_key_is_refused(door: Door, keys: FakeKeys) -> None:
    with pytest.raises(UnauthorizedError):
        await door.caller(keys.add("infer", expires_at=time.time() - 1), "a")
    await door.caller(keys.add("infer", expires_at=time.time() + 60), "a")


async def test_known_keys_outlive_a_database_that_does_not_answer(
    door: Door, keys: FakeKeys, clock: Clock
) -> None:
    key, stranger = keys.add("infer"), keys.add("infer")
    await door.caller(key, "a")
    keys.down = True
    clock.now += STALE_S - 1
    assert (await door.caller(key, "a")).name == "test"
    with pytest.raises(StorageError):
        await door.caller(stranger, "a")
    clock.now += 2
    with pytest.raises(StorageError):
        await door.caller(key, "a")


async def test_use_is_noted_without_being_waited_for(door: Door, keys: FakeKeys) -> None:
    await door.caller(keys.add("infer"), "a")
    assert keys.touched == []
    await asyncio.wait_for(_done(door), 2)
    assert keys.touched == ["1"]


async def _done(door: Door) -> None:
    assert door._touching is not None
    await door._touching


@pytest.mark.parametrize(
    "key",
    ["", "x", "aihub_short", "aihub_" + "ü" * 43, "aihub_" + "a" * 44, "Bearer", "aihub_" + "a" * 42 + "\n"],
)
async def test_what_cannot_be_a_key_never_reaches_the_database(key: str, door: Door, keys: FakeKeys) -> None:
    with pytest.raises(UnauthorizedError):
        await door.caller(key, "a")
    assert keys.asked == 0


async def test_guessing_is_braked_but_valid_keys_of_the_same_address_pass(
    door: Door, keys: FakeKeys, clock: Clock
) -> None:
    refused = []
    for _ in range(security.FAILURES_PER_MINUTE + 20):
        with pytest.raises((UnauthorizedError, RateLimitError)) as caught:
            await door.caller(new_key()[0], "shared")
        refused.append(caught.type)
    assert refused.count(RateLimitError) == 20
    assert refused[-20:] == [RateLimitError] * 20
    await door.caller(keys.add("infer"), "shared")
    with pytest.raises(UnauthorizedError):
        await door.caller(new_key()[0], "other")
    clock.now += 60
    with pytest.raises(UnauthorizedError):
        await door.caller(new_key()[0], "shared")


async def test_no_key_at_all_is_not_a_guess(door: Door) -> None:
    for _ in range(security.FAILURES_PER_MINUTE * 2):
        with pytest.raises(UnauthorizedError):
            await door.caller("", "a")


def test_tables_are_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "MAX_ENTRIES", 10)
    brake = Brake(clock=clock)
    for number in range(100):
        brake.failed(f"10.0.0.{number}")
    assert len(brake) == 10


async def test_known_keys_are_bounded(door: Door, keys: FakeKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "MAX_ENTRIES", 3)
    made = [keys.add("infer") for _ in range(5)]
    for key in made:
        await door.caller(key, "a")
    assert len(door._known) == 3
    await door.caller(made[-1], "a")
    assert keys.asked == 5


@given(st.lists(st.floats(0, 30), max_size=200))
def test_the_brake_lets_no_more_through_than_its_rate(pauses: list[float]) -> None:
    clock = Clock()
    brake = Brake(60, clock)
    passed, waits = 0, list[float]()
    for pause in pauses:
        clock.now += pause
        try:
            brake.failed("a")
            passed += 1
        except RateLimitError as error:
            waits.append(error.retry_after_s)
    assert all(0 < wait <= 1 for wait in waits)
    assert passed <= 60 + sum(pauses) + 1


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_scope_lets_through_what_it_names_and_admin_lets_through_all(scope: str) -> None:
    Caller("1", "a", "t", frozenset({scope})).require(scope)
    Caller("1", "a", "t", frozenset({"admin"})).require(scope)
    with pytest.raises(ForbiddenError, match=scope):
        Caller("1", "a", "t", frozenset(SCOPES) - {scope, "admin"}).require(scope)


def test_only_administrators_see_all_tenants() -> None:
    assert Caller("1", "a", "t", frozenset({"admin"})).sees is None
    assert Caller("1", "a", "t", frozenset({"events"})).sees == "t"


async def test_a_caller_comes_with_what_its_tenant_was_granted(door: Door, keys: FakeKeys) -> None:
    caller = await door.caller(keys.add("infer"), "a")
    assert caller.may_use("thing-detection")
    assert not caller.may_use("person-detection")
    assert caller.may_see_group("yard")
    assert not caller.may_see_group("gate")
    chief = await door.caller(keys.add("admin"), "a")
    assert chief.may_use("person-detection")
    assert chief.may_see_group("gate")


async def test_a_tenant_that_is_not_there_was_granted_nothing(door: Door, keys: FakeKeys) -> None:
    keys.tenants.clear()
    caller = await door.caller(keys.add("infer"), "a")
    assert not caller.may_use("thing-detection")
    assert not caller.may_see_group("yard")


async def test_changed_grants_are_felt_after_the_ttl_or_at_once_where_they_were_changed(
    door: Door, keys: FakeKeys, clock: Clock
) -> None:
    key = keys.add("infer")
    assert (await door.caller(key, "a")).may_use("thing-detection")
    keys.tenants["default"] = Tenant("default", concurrency=3)
    assert (await door.caller(key, "a")).may_use("thing-detection")
    clock.now += TTL_S
    assert not (await door.caller(key, "a")).may_use("thing-detection")
    keys.tenants["default"] = Tenant("default", algorithms=("*",))
    door.look_again()
    assert (await door.caller(key, "a")).may_use("thing-detection")


async def test_the_last_known_limits_outlive_a_database_that_does_not_answer(
    door: Door, keys: FakeKeys, clock: Clock
) -> None:
    keys.tenants["default"] = Tenant("default", concurrency=3)
    key = keys.add("infer")
    await door.caller(key, "a")
    keys.down = True
    clock.now += STALE_S - 1
    assert (await door.caller(key, "a")).account.concurrency == 3


async def test_a_key_that_runs_out_while_it_is_believed_is_refused(
    door: Door, keys: FakeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = time.time() + 100
    key = keys.add("infer", expires_at=ends)
    await door.caller(key, "a")
    monkeypatch.setattr("aihub.serve.security.time.time", lambda: ends)
    for down in (False, True):
        keys.down = down
        with pytest.raises(StorageError if down else UnauthorizedError):
            await door.caller(key, "a")
