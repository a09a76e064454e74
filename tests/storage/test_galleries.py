"""Galleries in the database: sealed, bound to their place, per tenant, for a time, and gone when they go."""

from __future__ import annotations

import base64
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from aihub.errors import ConfigError, ConflictError, GalleryNotFoundError, StorageError
from aihub.storage import galleries as module
from aihub.storage.galleries import DAY_S, SealedSubject, SealedTemplate, SubjectNotFoundError
from aihub.storage.records import Actor, Tenant
from aihub.storage.repository import Repository
from aihub.storage.sealing import Sealer, gallery_key

ME = Actor("key", "city", "k1", "10.0.0.9")


def enrol(repository: Repository, subject: str, gallery: str = "staff", tenant: str = "city", now: float = 100.0) -> None:  # fmt: skip
    templates = [SealedTemplate(subject, "net", f"{subject}-{face}".encode()) for face in range(2)]
    one = SealedSubject(subject, f"who {subject}".encode(), 0, 0, 0)
    repository.add_subject(tenant, gallery, one, templates, by=ME, now=now)


def test_the_life_of_somebody(repository: Repository) -> None:
    made = repository.add_gallery("city", "staff", "entry", 30, by=ME, now=50.0)
    enrol(repository, "a")
    enrol(repository, "b")
    there = repository.get_gallery("city", "staff")
    assert (there.subjects, there.purpose, there.retention_days) == (2, "entry", 30)
    assert there.revision > made.revision
    first = repository.list_subjects("city", "staff", limit=1, now=100.0)
    assert [one.id for one in first.items] == ["a"]
    assert first.items[0] == SealedSubject("a", b"who a", 100.0, 100.0 + 30 * DAY_S, 2)
    rest = repository.list_subjects("city", "staff", cursor=first.cursor, now=100.0)
    assert ([one.id for one in rest.items], rest.cursor) == (["b"], None)
    people, faces = repository.templates("city", "staff", now=100.0)
    assert sorted((face.subject_id, face.sealed) for face in faces) == [
        ("a", b"a-0"), ("a", b"a-1"), ("b", b"b-0"), ("b", b"b-1"),
    ]  # fmt: skip
    repository.erase_subject("city", "staff", "a", by=ME)
    people, faces = repository.templates("city", "staff", now=100.0)
    assert ({one.id for one in people}, {face.subject_id for face in faces}) == ({"b"}, {"b"})
    with pytest.raises(SubjectNotFoundError):
        repository.erase_subject("city", "staff", "a", by=ME)
    repository.delete_gallery("city", "staff", by=ME)
    assert repository.list_galleries("city") == []
    actions = [(row.action, row.actor, row.address) for row in repository.list_audit().items]
    assert actions == [
        (action, "key", "10.0.0.9")
        for action in ("gallery.delete", "face.erase", "face.enrol", "face.enrol", "gallery.create")
    ]


def test_a_tenant_sees_its_own_only(repository: Repository) -> None:
    repository.add_gallery("city", "staff", "entry", 30)
    repository.add_gallery("port", "staff", "entry", 30)
    enrol(repository, "a")
    assert repository.get_gallery("port", "staff").subjects == 0
    assert repository.templates("port", "staff", now=100.0) == ([], [])
    with pytest.raises(GalleryNotFoundError) as caught:
        repository.get_gallery("village", "staff")
    assert caught.value.hint is None
    with pytest.raises(SubjectNotFoundError):
        repository.get_subject("port", "staff", "a", now=100.0)
    with pytest.raises(SubjectNotFoundError):
        repository.erase_subject("port", "staff", "a")
    repository.delete_gallery("port", "staff")
    assert repository.get_gallery("city", "staff").subjects == 1


def test_who_is_over_their_time_is_not_given_and_goes(repository: Repository) -> None:
    repository.add_gallery("city", "staff", "entry", 1)
    enrol(repository, "old", now=0.0)
    enrol(repository, "young", now=DAY_S / 2)
    later = DAY_S + 1
    assert [one.id for one in repository.list_subjects("city", "staff", now=later).items] == ["young"]
    assert {face.subject_id for face in repository.templates("city", "staff", now=later)[1]} == {"young"}
    with pytest.raises(SubjectNotFoundError):
        repository.get_subject("city", "staff", "old", now=later)
    assert repository.expire_subjects(now=later) == 1
    assert repository.expire_subjects(now=later) == 0
    assert {one.id for one in repository.templates("city", "staff", now=0.0)[0]} == {"young"}
    assert repository.list_audit(action="face.expire").items[0].detail == {"subjects": 1}


def test_bounds_and_names(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GALLERIES", 2)
    monkeypatch.setattr(module, "MAX_SUBJECTS", 1)
    repository.add_gallery("city", "staff", "entry", 30)
    with pytest.raises(ConflictError, match="exists"):
        repository.add_gallery("city", "staff", "entry", 30)
    repository.add_gallery("city", "guests", "entry", 30)
    with pytest.raises(ConflictError, match="2 galleries"):
        repository.add_gallery("city", "more", "entry", 30)
    enrol(repository, "a")
    with pytest.raises(ConflictError, match="1 people"):
        enrol(repository, "b")
    with pytest.raises(GalleryNotFoundError) as caught:
        enrol(repository, "c", gallery="staf")
    assert caught.value.hint == "did you mean 'staff'?"


def test_a_tenant_with_galleries_is_not_removed(repository: Repository) -> None:
    repository.add_tenant(Tenant("city"))
    repository.add_gallery("city", "staff", "entry", 30)
    with pytest.raises(ConflictError, match="face galleries"):
        repository.delete_tenant("city")


def test_what_was_erased_is_overwritten_in_the_file(sqlite_url: str) -> None:
    repository = Repository.open(sqlite_url)
    repository.add_gallery("city", "staff", "entry", 30)
    marks = [os.urandom(600) for _ in range(2)]
    for index, mark in enumerate(marks):
        one = SealedSubject(f"s{index}", mark[:300], 0, 0, 0)
        repository.add_subject("city", "staff", one, [SealedTemplate(one.id, "net", mark[300:])])
    repository.erase_subject("city", "staff", "s0")
    repository.close()
    with create_engine(sqlite_url).connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    data = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    assert marks[1][:300] in data
    assert marks[1][300:] in data
    assert marks[0][20:80] not in data
    assert marks[0][320:380] not in data


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=600), st.text(max_size=40))
def test_what_is_sealed_opens_where_it_belongs_and_nowhere_else(plain: bytes, about: str) -> None:
    sealer = Sealer(bytes(32))
    sealed = sealer.seal(plain, about)
    assert sealer.open(sealed, about) == plain
    assert sealer.seal(plain, about) != sealed, "never the same twice"
    if len(plain) > 8:
        assert plain not in sealed
    with pytest.raises(StorageError):
        sealer.open(sealed, about + "x")
    for index in {0, len(sealed) // 2, len(sealed) - 1}:
        with pytest.raises((StorageError, ConfigError)):
            sealer.open(sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :], about)
    with pytest.raises((StorageError, ConfigError)):
        sealer.open(sealed[:-1], about)


def test_another_key_is_told_from_damage() -> None:
    sealed = Sealer(bytes(32)).seal(b"x", "a")
    with pytest.raises(ConfigError, match="another key"):
        Sealer(bytes(31) + b"1").open(sealed, "a")


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33)])
def test_a_key_has_32_bytes(key: bytes) -> None:
    with pytest.raises(ConfigError, match="32"):
        Sealer(key)


def test_the_key_is_given_or_made_once(tmp_path: Path) -> None:
    path = tmp_path / "home" / "gallery.key"
    given = base64.b64encode(bytes(32)).decode()
    assert gallery_key(path, given) == bytes(32)
    assert not path.exists(), "a key that is given makes no file"
    first = gallery_key(path)
    assert len(first) == 32
    assert gallery_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["gallery.key"]
    with pytest.raises(ConfigError, match="base64"):
        gallery_key(path, "not base64!")


def test_processes_that_make_the_key_at_once_have_the_same(tmp_path: Path) -> None:
    path = tmp_path / "gallery.key"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        keys = pool.map(gallery_key, [path] * 3)
    assert len(set(keys)) == 1
