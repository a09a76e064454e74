"""Tenants, their keys' rotation, their usage, the audit: on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from aihub.errors import AihubError, ConflictError, ParamsError
from aihub.storage.base import KeyNotFoundError, TenantNotFoundError
from aihub.storage.database import Database
from aihub.storage.records import Actor, ApiKey, SinkSpec, Tenant, Usage
from aihub.storage.repository import Repository
from aihub.storage.upgrade import migrations, upgrade
from tests.storage.databases import a_stream, empty_schema

ANN = Actor("ann", "default", "key-1", "10.0.0.9")
FIRE = Tenant("fire", "Fire brigade", ("fire-*", "people-counting"), ("yard",), 2.5, 10, 4, 1000)


def add_key(repository: Repository, name: str = "desk", tenant: str = "fire", **more: Any) -> ApiKey:
    return repository.add_key(
        name=name, key_hash=name * 8, prefix=name[:2], scopes=["infer"], tenant=tenant, now=1.0, **more
    )


# Tenants


def test_a_tenant_comes_back_as_it_was_given(repository: Repository) -> None:
    made = repository.add_tenant(FIRE, by=ANN, now=5.0)
    assert repository.get_tenant("fire") == made
    assert (made.created_at, made.updated_at) == (5.0, 5.0)
    assert "fire" in [tenant.id for tenant in repository.list_tenants()]
    with pytest.raises(ConflictError):
        repository.add_tenant(Tenant("fire"))
    assert repository.find_tenant("water") is None
    with pytest.raises(TenantNotFoundError):
        repository.get_tenant("water")


def test_what_is_not_named_in_a_change_stays_and_none_takes_a_limit_away(repository: Repository) -> None:
    repository.add_tenant(FIRE, now=1.0)
    changed = repository.update_tenant("fire", {"algorithms": ["*"], "burst": None}, by=ANN, now=9.0)
    assert changed.algorithms == ("*",)
    assert (changed.burst, changed.concurrency, changed.stream_groups) == (None, 4, ("yard",))
    assert changed == repository.get_tenant("fire")
    (entry,) = repository.list_audit(action="tenant.update").items
    assert entry.detail == {"algorithms": ["*"], "burst": None}, "what changed, and only that"
    repository.update_tenant("fire", {"algorithms": ["*"]}, now=10.0)
    assert repository.get_tenant("fire").updated_at == 9.0, "no change is no change"


@pytest.mark.parametrize(
    ("field", "why"),
    [("id", "keys name it"), ("created_at", "the past"), ("colour", "nobody knows it")],
)
def test_some_fields_cannot_be_changed(repository: Repository, field: str, why: str) -> None:
    repository.add_tenant(FIRE)
    with pytest.raises(ParamsError):
        repository.update_tenant("fire", {field: "x"})


def test_only_a_change_of_grants_tells_the_hosts_of_its_streams(repository: Repository) -> None:
    repository.add_tenant(FIRE)
    repository.add_stream(a_stream("a", tenant="fire"))
    repository.add_stream(a_stream("b", tenant="water"))
    repository.update_tenant("fire", {"title": "x", "concurrency": 9})
    assert repository.get_stream("a").revision == 1
    repository.update_tenant("fire", {"algorithms": []})
    assert (repository.get_stream("a").revision, repository.get_stream("b").revision) == (2, 1)


def test_a_tenant_is_removed_only_when_it_has_nothing_left(repository: Repository) -> None:
    repository.add_tenant(FIRE)
    key = add_key(repository)
    repository.add_stream(a_stream("a", tenant="fire"))
    repository.add_sink(SinkSpec("s", "s", "webhook", tenant="fire"))
    with pytest.raises(ConflictError, match="keys in force and streams and sinks"):
        repository.delete_tenant("fire")
    repository.revoke_key(key.id)
    repository.delete_stream("a")
    with pytest.raises(ConflictError, match="still has sinks"):
        repository.delete_tenant("fire")
    repository.delete_sink("s")
    repository.delete_tenant("fire", by=ANN)
    assert repository.find_tenant("fire") is None
    with pytest.raises(TenantNotFoundError):
        repository.delete_tenant("fire")


@given(
    patterns=st.lists(st.text("ab*?-", min_size=1, max_size=4), max_size=3),
    name=st.text("ab-", min_size=1, max_size=5),
)
def test_nothing_is_granted_that_no_pattern_names(patterns: list[str], name: str) -> None:
    tenant = Tenant("t", algorithms=tuple(patterns))
    assert not Tenant("t").may_use(name)
    assert Tenant("t", algorithms=("*",)).may_use(name)
    assert tenant.may_use(name) == any(Tenant("t", algorithms=(one,)).may_use(name) for one in patterns)
    assert Tenant("t", algorithms=(name,)).may_use(name)
    assert not Tenant("t", algorithms=(name,)).may_use(f"{name}x")


def test_a_group_is_seen_by_grant_too() -> None:
    assert FIRE.may_see_group("yard")
    assert not FIRE.may_see_group("backyard")
    assert not Tenant("t", algorithms=("*",)).may_see_group("default")


def test_streams_are_listed_by_group(repository: Repository) -> None:
    for name, group in (("a", "yard"), ("b", "gate"), ("c", "yard")):
        repository.add_stream(a_stream(name, group=group))
    assert repository.stream_groups() == ["gate", "yard"]
    assert repository.stream_groups("fire") == []
    assert [spec.id for spec in repository.list_streams(groups=["yard"]).items] == ["a", "c"]
    assert repository.list_streams(groups=[]).items == []
    assert repository.update_stream("a", {"group": "gate"}).group == "gate"


# Keys


def test_a_rotated_key_is_like_the_old_one_and_the_old_one_goes_on_for_a_while(
    repository: Repository,
) -> None:
    old = add_key(repository)
    new = repository.rotate_key(old.id, key_hash="n" * 64, prefix="ne", grace_s=60, by=ANN, now=100.0)
    assert (new.name, new.tenant, new.scopes, new.expires_at) == ("desk", "fire", ("infer",), None)
    found = repository.find_key("desk" * 8)
    assert found is not None
    assert (found.replaced_by, found.expires_at) == (new.id, 160.0)
    assert found.active(159.9)
    assert not found.active(160.0)
    assert repository.find_key("n" * 64) == new


def test_a_grace_time_never_lengthens_a_life(repository: Repository) -> None:
    old = add_key(repository, expires_at=130.0)
    new = repository.rotate_key(old.id, key_hash="n" * 64, prefix="ne", grace_s=60, now=100.0)
    assert new.expires_at == 130.0
    found = repository.find_key("desk" * 8)
    assert found is not None
    assert found.expires_at == 130.0


def test_what_cannot_be_rotated(repository: Repository) -> None:
    old = add_key(repository)
    with pytest.raises(KeyNotFoundError):
        repository.rotate_key("nobody", key_hash="n" * 64, prefix="ne", grace_s=1)
    repository.rotate_key(old.id, key_hash="n" * 64, prefix="ne", grace_s=1e6)
    with pytest.raises(ConflictError, match="rotated before"):
        repository.rotate_key(old.id, key_hash="m" * 64, prefix="me", grace_s=1)
    gone = add_key(repository, "old")
    repository.revoke_key(gone.id)
    with pytest.raises(ConflictError, match="no longer in force"):
        repository.rotate_key(gone.id, key_hash="m" * 64, prefix="me", grace_s=1)


# Audit


def test_every_change_of_keys_and_tenants_is_noted_with_who_and_from_where(repository: Repository) -> None:
    repository.add_tenant(FIRE, by=ANN)
    key = add_key(repository, by=ANN)
    new = repository.rotate_key(key.id, key_hash="n" * 64, prefix="ne", grace_s=1e6, by=ANN)
    for name in (key.id, new.id, key.id):  # the second time nothing changes
        repository.revoke_key(name, by=ANN)
    repository.update_tenant("fire", {"concurrency": None}, by=ANN)
    repository.delete_tenant("fire", by=ANN)
    notes = repository.list_audit().items[::-1]
    assert [(note.action, note.subject) for note in notes] == [
        ("tenant.create", "fire"), ("key.create", key.id), ("key.rotate", key.id),
        ("key.revoke", key.id), ("key.revoke", new.id), ("tenant.update", "fire"), ("tenant.delete", "fire"),
    ]  # fmt: skip
    assert {(n.actor, n.tenant, n.key_id, n.address, n.outcome) for n in notes} == {
        ("ann", "default", "key-1", "10.0.0.9", "ok")
    }
    assert "desk" * 8 not in str(notes), "not even hashes of keys"


def test_a_change_that_fails_leaves_no_note(repository: Repository) -> None:
    repository.add_tenant(FIRE)
    add_key(repository)
    before = repository.list_audit().items
    for wrong in (lambda: add_key(repository), lambda: repository.add_tenant(FIRE)):
        with pytest.raises(ConflictError):
            wrong()
    assert repository.list_audit().items == before


def test_the_database_itself_keeps_the_audit(url: str) -> None:
    repository = Repository.open(url)
    repository.add_audit("ann", "look", "it")
    before = repository.list_audit().items
    repository.close()
    database = Database(url)
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'nobody'"):
        with pytest.raises(AihubError), database.write() as connection:
            connection.execute(text(statement))
    database.close()
    repository = Repository.open(url)
    assert repository.list_audit().items == before
    repository.close()


def test_the_audit_is_paged_and_filtered(repository: Repository) -> None:
    for number in range(7):
        actor = Actor("ann" if number % 2 else "bob", tenant="fire" if number > 4 else "")
        action = "key.create" if number < 3 else "event.snapshot"
        repository.add_audit(actor, action, f"s{number}", now=float(number))
    first = repository.list_audit(3)
    rest = repository.list_audit(100, cursor=first.cursor)
    assert [n.subject for n in first.items + rest.items] == [f"s{n}" for n in range(6, -1, -1)]
    assert rest.cursor is None
    tries: tuple[tuple[dict[str, Any], str], ...] = (
        ({"actor": "ann"}, "531"),
        ({"action": "key.create"}, "210"),
        ({"action": "key."}, "210"),
        ({"action": "key"}, ""),
        ({"subject": "s4"}, "4"),
        ({"tenant": "fire"}, "65"),
        ({"since": 3.0, "until": 5.0}, "43"),
    )
    for wanted, found in tries:
        assert "".join(n.subject[1:] for n in repository.list_audit(**wanted).items) == found, wanted
    for cursor in ("x", "WyJhIl0", "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMF0", "Wy0xXQ"):
        with pytest.raises(ParamsError):
            repository.list_audit(cursor=cursor)


def test_a_subject_that_no_database_could_hold_is_noted_all_the_same(repository: Repository) -> None:
    repository.add_audit("ann", "event.snapshot", "a\0b" + "x" * 1000)
    assert repository.list_audit().items[0].subject == ("ab" + "x" * 1000)[:200]


# Usage

ROWS = st.lists(
    st.builds(
        Usage,
        day=st.sampled_from(["2026-01-01", "2026-01-02"]),
        tenant=st.sampled_from(["fire", "water"]),
        algorithm=st.sampled_from(["a", "b"]),
        calls=st.integers(0, 9),
        errors=st.integers(0, 9),
        frames=st.integers(0, 9),
        compute_s=st.floats(0, 9),
    ),
    max_size=12,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=ROWS)
def test_usage_adds_up_whatever_its_pieces(repository: Repository, rows: list[Usage]) -> None:
    with repository._database.write() as connection:
        connection.execute(text('DELETE FROM "usage"'))
    for row in rows:
        repository.add_usage([row])
    for day in ("2026-01-01", "2026-01-02"):
        expected = {
            tenant: sum(row.calls for row in rows if (row.day, row.tenant) == (day, tenant))
            for tenant in {row.tenant for row in rows if row.day == day}
        }
        assert repository.calls_of_day(day) == expected
    total = repository.total_usage()
    listed = repository.list_usage(limit=1000).items
    assert len(listed) == len({(row.day, row.tenant, row.algorithm) for row in rows})
    for name in ("calls", "errors", "frames", "compute_s"):
        added = sum(getattr(row, name) for row in rows)
        assert getattr(total, name) == pytest.approx(added)
        assert sum(getattr(row, name) for row in listed) == pytest.approx(added)


def test_processes_that_write_at_once_add_up(repository: Repository) -> None:
    rows = [Usage("2026-01-01", tenant, name, 1, 0, 2, 0.5) for tenant in "ab" for name in "xyz"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: repository.add_usage(rows if turn % 2 else rows[::-1]), range(12)))
    assert {row.calls for row in repository.list_usage().items} == {12}
    assert repository.total_usage().frames == 12 * 6 * 2


def test_usage_is_paged_newest_day_first(repository: Repository) -> None:
    days = [f"2026-01-{day:02d}" for day in (1, 2, 3)]
    repository.add_usage([Usage(day, tenant, name, 1) for day in days for tenant in "ab" for name in "xy"])
    seen: list[tuple[str, str, str]] = []
    cursor: str | None = None
    while True:
        page = repository.list_usage(cursor=cursor, limit=5)
        seen += [(row.day, row.tenant, row.algorithm) for row in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == sorted(sorted(seen), key=lambda row: row[0], reverse=True)
    assert len(seen) == 12
    assert {row.tenant for row in repository.list_usage(tenant="a").items} == {"a"}
    assert {row.algorithm for row in repository.list_usage(algorithm="y").items} == {"y"}
    some = repository.list_usage(since=days[1], until=days[1]).items
    assert {row.day for row in some} == {days[1]}
    assert repository.total_usage(tenant="a", algorithm="y", since=days[1]).calls == 2


# The way from the first version


@pytest.fixture(params=["sqlite", "postgres"])
def first_version(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database with the tables of the first version, of each kind in turn."""
    with (
        empty_schema() if request.param == "postgres" else nullcontext(f"sqlite:///{tmp_path}/old.db") as url
    ):
        database = Database(url)
        config = migrations()
        with database.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        database.close()
        yield url


def test_a_database_of_the_first_version_keeps_its_keys_and_what_they_could_do(first_version: str) -> None:
    database = Database(first_version)
    with database.write() as connection:
        for number, tenant in enumerate(("default", "fire")):
            connection.execute(
                text(
                    "INSERT INTO api_keys (id, name, tenant, key_hash, prefix, scopes, created_at)"
                    " VALUES (:id, 'desk', :tenant, :hash, 'aihub_', :scopes, 1.0)"
                ),
                {"id": f"k{number}", "tenant": tenant, "hash": f"{number}" * 64, "scopes": '["infer"]'},
            )
        connection.execute(
            text(
                "INSERT INTO audit (at, actor, action, subject, detail) VALUES (1.0, 'ann', 'look', 'it', '{}')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO sinks (id, name, kind, tenant, params, algorithms, severities, streams, enabled,"
                " created_at) VALUES ('s', '', 'jsonl', '*', '{}', '[]', '[]', '[]', true, 1.0)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO streams (id, name, url, username, password, transport, tasks, sampling, enabled,"
                " tenant, revision, created_at, lease_until) VALUES ('cam', '', 'rtsp://camera.example/1', '',"
                " '', 'tcp', '[]', '{}', true, 'water', 1, 1.0, 1.0)"
            )
        )
    database.close()
    upgrade(first_version)
    repository = Repository.open(first_version)
    key = repository.find_key("1" * 64)
    assert key == ApiKey("k1", "desk", "fire", "aihub_", ("infer",), 1.0)
    assert [tenant.id for tenant in repository.list_tenants()] == ["default", "fire", "water"]
    for account in repository.list_tenants():
        assert account.may_use("anything"), "who was there before goes on as before"
        assert account.may_see_group("default")
        assert account.calls_per_second is account.concurrency is account.calls_per_day is None
    assert repository.get_stream("cam").group == "default"
    (note,) = repository.list_audit().items
    assert (note.actor, note.outcome, note.address) == ("ann", "ok", "")
    repository.close()
