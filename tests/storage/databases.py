"""Fixtures that give the same tests both databases: SQLite files, and PostgreSQL where one answers."""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from aihub.storage.repository import Repository
from aihub.storage.tables import metadata
from aihub.storage.upgrade import upgrade
from aihub.types import Event, EventState, Severity, StreamSpec, StreamTask, uuid7

POSTGRES = os.environ.get("AIHUB_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded, empty SQLite file to copy: quicker than an upgrade per test."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a fresh SQLite database."""
    path = tmp_path / "hub.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@contextmanager
def empty_schema() -> Iterator[str]:
    """URL that leads into a PostgreSQL schema of its own without tables, dropped at the end."""
    address = make_url(POSTGRES)
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    try:
        socket.create_connection((address.host or "127.0.0.1", address.port or 5432), timeout=1).close()
    except OSError as error:
        pytest.skip(f"no PostgreSQL answers at {address.host}:{address.port}: {error}")
    engine = create_engine(address, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    schema = f"aihub_test_{uuid.uuid4().hex[:12]}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = f"{POSTGRES}?options={quote(f'-csearch_path={schema}')}"
    try:
        yield url
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


@pytest.fixture(scope="session")
def postgres_schema() -> Iterator[str]:
    """URL that leads into an upgraded schema of its own, dropped at the end."""
    with empty_schema() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def postgres_engine(postgres_schema: str) -> Iterator[Engine]:
    engine = create_engine(postgres_schema)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_url(postgres_schema: str, postgres_engine: Engine) -> str:
    """URL of an empty PostgreSQL schema."""
    with postgres_engine.begin() as connection:
        # Not DELETE: the audit refuses that.
        names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    return postgres_schema


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database, of each kind in turn."""
    chosen: str = request.getfixturevalue(f"{request.param}_url")
    return chosen


@pytest.fixture
def repository(url: str) -> Iterator[Repository]:
    """A repository on an empty database, of each kind in turn."""
    made = Repository.open(url, timeout_s=3)
    yield made
    made.close()


def an_event(**changes: object) -> Event:
    """An opened event at time 100 of stream `gate`."""
    fields: dict[str, object] = {
        "id": uuid7(100.0),
        "revision": 1,
        "state": EventState.OPENED,
        "type": "intrusion",
        "severity": Severity.ALERT,
        "stream_id": "gate",
        "task_id": "t1",
        "algorithm": "intrusion",
        "algorithm_version": 1,
        "key": "track/1",
        "label": "person",
        "confidence": 0.9,
        "box": (0.1, 0.2, 0.3, 0.4),
        "started_at": 100.0,
        "updated_at": 100.0,
    }
    return Event.model_validate(fields | changes)


def next_step(event: Event, state: EventState = EventState.UPDATED, **changes: object) -> Event:
    """The step after, a second later."""
    at = event.updated_at + 1
    fields: dict[str, object] = {"revision": event.revision + 1, "state": state, "updated_at": at}
    if state is EventState.CLOSED:
        fields["ended_at"] = at
    return event.model_copy(update=fields | changes)


def a_stream(stream_id: str = "gate", **changes: object) -> StreamSpec:
    """A stream with one task."""
    fields: dict[str, object] = {
        "id": stream_id,
        "url": "rtsp://camera.example/1",
        "tasks": (StreamTask(id="t1", algorithm="intrusion"),),
    }
    return StreamSpec.model_validate(fields | changes)
