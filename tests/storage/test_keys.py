"""Keys, processes, audit."""

from __future__ import annotations

import pytest

from aihub.errors import ConflictError, ParamsError
from aihub.storage.base import KeyNotFoundError
from aihub.storage.records import ApiKey, ProcessInfo
from aihub.storage.repository import Repository


def add(repository: Repository, name: str = "desk", tenant: str = "default", at: float = 1.0) -> ApiKey:
    return repository.add_key(
        name=name, key_hash=name * 8, prefix=name[:2], scopes=["infer", "events"], tenant=tenant, now=at
    )


def test_a_key_is_found_by_its_hash_and_only_by_it(repository: Repository) -> None:
    key = add(repository)
    assert repository.find_key("desk" * 8) == key
    assert repository.find_key("other") is None
    assert key.scopes == ("infer", "events")


def test_the_same_key_twice_is_a_conflict(repository: Repository) -> None:
    add(repository)
    with pytest.raises(ConflictError):
        add(repository)


def test_revoking_ends_a_key_for_good_and_keeps_the_first_time(repository: Repository) -> None:
    key = add(repository)
    assert key.active(now=2.0)
    repository.revoke_key(key.id, now=5.0)
    again = repository.revoke_key(key.id, now=9.0)
    assert again.revoked_at == 5.0
    assert not again.active(now=6.0)


def test_a_key_of_another_tenant_cannot_be_revoked(repository: Repository) -> None:
    key = add(repository, tenant="fire")
    with pytest.raises(KeyNotFoundError):
        repository.revoke_key(key.id, tenant="police")
    assert repository.find_key("desk" * 8) == key


def test_expiry_counts_from_its_second() -> None:
    key = ApiKey("1", "n", "default", "p", (), created_at=0.0, expires_at=10.0)
    assert key.active(9.999)
    assert not key.active(10.0)


def test_keys_are_listed_by_tenant_oldest_first(repository: Repository) -> None:
    add(repository, "b", at=2.0)
    add(repository, "a", at=1.0)
    add(repository, "c", tenant="fire", at=0.0)
    assert [key.name for key in repository.list_keys()] == ["c", "a", "b"]
    assert [key.name for key in repository.list_keys("default")] == ["a", "b"]


def test_touching_writes_at_most_once_a_minute(repository: Repository) -> None:
    key = add(repository)
    repository.touch_key(key, now=100.0)
    touched = repository.find_key("desk" * 8)
    assert touched is not None
    assert touched.last_used_at == 100.0
    repository.touch_key(touched, now=130.0)
    assert repository.find_key("desk" * 8) == touched
    repository.touch_key(touched, now=161.0)
    later = repository.find_key("desk" * 8)
    assert later is not None
    assert later.last_used_at == 161.0


def test_processes_live_as_long_as_their_heart_beats(repository: Repository) -> None:
    host = ProcessInfo("h1", "stream-host", "node", 42, 0.0, 0.0, "metric 1")
    gateway = ProcessInfo("g1", "gateway", "node", 43, 0.0, 0.0)
    repository.heartbeat(host, now=100.0)
    repository.heartbeat(gateway, now=108.0)
    assert [p.id for p in repository.live_processes(10.0, now=110.0)] == ["g1", "h1"]
    assert [p.id for p in repository.live_processes(10.0, now=115.0)] == ["g1"]
    assert repository.live_processes(10.0, kind="stream-host", now=110.0)[0].metrics == "metric 1"
    repository.heartbeat(host, now=116.0)
    assert [p.id for p in repository.live_processes(10.0, now=117.0)] == ["g1", "h1"]
    repository.end_process("h1")
    assert [p.id for p in repository.live_processes(10.0, now=117.0)] == ["g1"]


def test_processes_silent_for_an_hour_are_forgotten(repository: Repository) -> None:
    repository.heartbeat(ProcessInfo("old", "gateway", "n", 1, 0.0, 0.0), now=0.0)
    repository.heartbeat(ProcessInfo("new", "gateway", "n", 2, 0.0, 0.0), now=4000.0)
    assert [p.id for p in repository.live_processes(1e9, now=4000.0)] == ["new"]


def test_audit_is_listed_newest_first(repository: Repository) -> None:
    repository.add_audit("ann", "snapshot.read", "e1", {"why": "shift"}, now=1.0)
    repository.add_audit("bob", "key.revoke", "k1", now=2.0)
    newest, oldest = repository.list_audit().items
    assert (newest.actor, newest.detail) == ("bob", {})
    assert (oldest.actor, oldest.detail) == ("ann", {"why": "shift"})
    with pytest.raises(ParamsError):
        repository.list_audit(limit=0)
