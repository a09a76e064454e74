"""A locked database, a killed process: errors are clear, and what was acknowledged is there."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from aihub.errors import StorageError
from aihub.storage.database import Database
from aihub.storage.records import RejectedError, SinkSpec
from aihub.storage.repository import Repository
from tests.storage.databases import an_event


def lock(url: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_a_short_lock_is_waited_for(sqlite_url: str) -> None:
    repository = Repository.open(sqlite_url, timeout_s=5)
    locker = lock(sqlite_url)
    threading.Timer(0.7, locker.rollback).start()
    started = time.monotonic()
    event = an_event()
    assert repository.save_transitions([event]) == [event]
    assert 0.5 < time.monotonic() - started < 4
    locker.close()
    repository.close()


def test_a_long_lock_is_a_storage_error_and_the_call_can_be_made_again(sqlite_url: str) -> None:
    repository = Repository.open(sqlite_url, timeout_s=0.3)
    locker = lock(sqlite_url)
    with pytest.raises(StorageError) as caught:
        repository.save_transitions([an_event()])
    assert not isinstance(caught.value, RejectedError)
    assert repository.last_seq() == 0  # readers go on in WAL mode
    locker.rollback()
    locker.close()
    assert len(repository.save_transitions([an_event()])) == 1
    repository.close()


def test_threads_of_one_process_do_not_wait_for_ever_for_their_turn(sqlite_url: str) -> None:
    database = Database(sqlite_url, timeout_s=0.2)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            inside.set()
            leave.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(5)
    with pytest.raises(StorageError, match="busy"), database.write():
        pytest.fail("two writers at once")
    leave.set()
    holder.join(5)
    database.close()


def test_a_failed_block_leaves_nothing(url: str) -> None:
    database = Database(url)

    def fail() -> None:
        with database.write() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
    database.close()


def test_a_locked_row_on_postgres_is_a_storage_error(postgres_url: str) -> None:
    holder, repository = Database(postgres_url), Repository.open(postgres_url, timeout_s=0.3)
    with holder.write() as connection:
        connection.execute(text("LOCK TABLE transitions IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StorageError) as caught:
            repository.save_transitions([an_event()])
    assert not isinstance(caught.value, RejectedError)
    assert len(repository.save_transitions([an_event()])) == 1
    holder.close()
    repository.close()


def test_a_server_that_is_not_there_is_a_storage_error() -> None:
    pytest.importorskip("psycopg")
    repository = Repository.open("postgresql+psycopg://nobody@127.0.0.1:1/none", timeout_s=1)
    with pytest.raises(StorageError):
        repository.list_keys()
    repository.close()


def test_values_no_database_holds_are_rejected_for_good(repository: Repository) -> None:
    with pytest.raises(RejectedError):
        repository.add_audit("ann", "\ud800", "x")


_WRITER = """
import sys
from aihub.storage.repository import Repository
from tests.storage.databases import an_event

repository = Repository.open(sys.argv[1])
number = 0
while True:
    number += 1
    event = an_event(key=f"track/{number}")
    repository.save_transitions([event])
    print(event.id, flush=True)  # acknowledged
"""


def test_kill_9_loses_no_acknowledged_event(sqlite_url: str) -> None:
    repository = Repository.open(sqlite_url)
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    acknowledged: list[str] = []
    for _ in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, sqlite_url],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline().strip() for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
        writer.stdout.close()
        writer.wait(5)
    stored = {step.event.id for step in repository.transitions_after(0, limit=1000)}
    assert set(acknowledged) <= stored
    # The step, its row and its outbox row are one: a kill in between leaves none of them alone.
    assert {event.id for event in repository.open_events()} == stored
    assert repository.outbox_stats().pending == len(stored)
    repository.close()
