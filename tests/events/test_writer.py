"""The writer: in order, in groups, and nothing accepted is ever lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from aihub.errors import StorageError
from aihub.events.journal import Journal, read_journal
from aihub.events.writer import MAX_PICTURES, EventWriter
from aihub.storage.records import RejectedError
from aihub.storage.repository import Repository
from aihub.types import Event, EventState, uuid7
from tests.storage.databases import an_event, next_step


class Store:
    """Keeps events in a list; can be made to fail, or to wait."""

    def __init__(self) -> None:
        self.saved: list[Event] = []
        self.groups: list[int] = []
        self.down = False
        self.refused: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def save_transitions(self, steps: Sequence[Event]) -> list[Event]:
        self.entered.set()
        assert self.gate.wait(10)
        if self.down:
            raise StorageError("away")
        if any(step.id in self.refused for step in steps):
            raise RejectedError("never")
        new = [step for step in steps if step not in self.saved]
        self.saved += new
        self.groups.append(len(steps))
        return new


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.002)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def writer(store: Store, tmp_path: Path) -> Iterator[EventWriter]:
    made = EventWriter(store, tmp_path / "spill", block_s=0.5, max_queue=8)
    made.start()
    yield made
    store.gate.set()
    made.close()


def events(count: int) -> list[Event]:
    return [an_event(id=uuid7(float(number))) for number in range(count)]


def test_write_returns_when_it_is_stored(writer: EventWriter, store: Store) -> None:
    made = events(3)
    writer.write(made)
    assert store.saved == made
    writer.write([])


def test_put_stores_soon_and_in_order(writer: EventWriter, store: Store) -> None:
    made = events(20)
    for event in made:
        writer.put([event])
    until(lambda: len(store.saved) == 20)
    assert store.saved == made


def test_what_waits_shares_a_transaction(writer: EventWriter, store: Store) -> None:
    store.gate.clear()
    made = events(7)
    writer.put(made[:1])
    assert store.entered.wait(5)
    for event in made[1:]:
        writer.put([event])
    store.gate.set()
    until(lambda: store.saved == made)
    assert store.groups == [1, 6]


def test_while_the_database_is_away_events_go_to_the_disk_and_come_back_in_order(
    writer: EventWriter, store: Store, tmp_path: Path
) -> None:
    store.down = True
    made = events(12)
    for event in made[:6]:
        writer.write([event])  # safe, though not stored
    assert writer.spilling
    (journal,) = (tmp_path / "spill").glob("*.jsonl")
    assert list(read_journal(journal)) == made[:6]
    assert journal.stat().st_mode & 0o777 == 0o600
    for event in made[6:]:
        writer.put([event])
    assert list(read_journal(journal)) == made
    store.down = False
    until(lambda: not writer.spilling)
    assert store.saved == made
    assert list((tmp_path / "spill").glob("*.jsonl")) == []
    writer.write([an_event()])
    assert len(store.saved) == 13


def test_a_database_that_hangs_holds_nobody_up_for_long(
    writer: EventWriter, store: Store, tmp_path: Path
) -> None:
    store.gate.clear()
    made = events(4)
    started = time.monotonic()
    for event in made:
        writer.write([event])
    assert time.monotonic() - started < 2.5  # the first waits 0.5 s, the others know
    (journal,) = (tmp_path / "spill").glob("*.jsonl")
    assert list(read_journal(journal)) == made
    store.gate.set()
    until(lambda: not writer.spilling)
    assert store.saved == made


def test_a_full_queue_blocks_then_spills_in_order(writer: EventWriter, store: Store, tmp_path: Path) -> None:
    store.gate.clear()
    made = events(20)
    for event in made:
        writer.put([event])  # eight fit, the tenth finds no room within 0.5 s
    assert writer.spilling
    (journal,) = (tmp_path / "spill").glob("*.jsonl")
    assert list(read_journal(journal)) == made
    store.gate.set()
    until(lambda: not writer.spilling)
    assert store.saved == made


def test_what_is_refused_for_good_is_set_aside_and_holds_up_nothing(
    writer: EventWriter, store: Store, tmp_path: Path
) -> None:
    made = events(5)
    store.refused = {made[2].id}
    store.gate.clear()
    writer.put(made[:1])
    store.entered.wait(5)
    writer.put(made[1:])
    store.gate.set()
    until(lambda: len(store.saved) == 4)
    assert store.saved == [*made[:2], *made[3:]]
    assert made[2].id in (tmp_path / "spill" / "rejected.txt").read_text()
    assert writer.health() is None


def test_pictures_are_kept_before_the_event_is_stored(writer: EventWriter, store: Store) -> None:
    writer.write([an_event()], lambda event: f"{event.id}.jpg")
    assert store.saved[0].snapshot == f"{store.saved[0].id}.jpg"


def test_a_picture_that_fails_does_not_stop_the_alarm(writer: EventWriter, store: Store) -> None:
    def fail(event: Event) -> str:
        raise StorageError("disk full")

    has = an_event(snapshot="events/1.jpg")
    writer.write([an_event(), has], fail)
    assert [event.snapshot for event in store.saved] == [None, "events/1.jpg"]


def test_frames_that_wait_are_bounded(store: Store, tmp_path: Path) -> None:
    writer = EventWriter(store, tmp_path / "spill", max_queue=100)
    writer.start()
    store.gate.clear()
    kept: list[str] = []

    def keep(event: Event) -> str:
        kept.append(threading.current_thread().name)
        return "x"

    writer.put([an_event()])
    store.entered.wait(5)
    for event in events(MAX_PICTURES + 3):
        writer.put([event], keep)
    assert kept == [threading.current_thread().name] * 3
    store.gate.set()
    until(lambda: len(store.saved) == MAX_PICTURES + 4)
    assert all(event.snapshot == "x" for event in store.saved[1:])
    writer.close()


def test_closing_stores_what_waits(store: Store, tmp_path: Path) -> None:
    writer = EventWriter(store, tmp_path / "spill")
    writer.start()
    made = events(50)
    for event in made:
        writer.put([event])
    writer.close()
    assert store.saved == made
    assert writer.health() is None


def test_what_cannot_be_stored_before_closing_is_stored_by_the_next(store: Store, tmp_path: Path) -> None:
    first = EventWriter(store, tmp_path / "spill", block_s=0.1)
    first.start()
    made = events(5)
    store.gate.clear()
    for event in made:
        first.put([event])
    first.close(timeout_s=0.1)
    store.gate.set()
    first.put([an_event(key="late")])  # after closing: to the journal as well
    first.close(timeout_s=0.1)
    second = EventWriter(store, tmp_path / "spill")
    second.start()
    until(lambda: len(store.saved) == 6 and not second.spilling)
    assert store.saved[:5] == made
    second.close()


def test_when_neither_database_nor_disk_takes_it_the_caller_knows(
    writer: EventWriter, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.gate.clear()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="local disk"):
        writer.write([an_event()])
    monkeypatch.undo()
    store.gate.set()
    until(lambda: len(store.saved) == 1)


def test_the_courier_is_woken(store: Store, tmp_path: Path) -> None:
    woken = threading.Event()
    writer = EventWriter(store, tmp_path, on_stored=woken.set)
    writer.start()
    writer.write([an_event()])
    assert woken.is_set()
    writer.close()


def test_a_line_cut_off_by_a_crash_is_left_out_and_swallows_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    one, two = events(2)
    journal.append([one])
    path = journal.close()
    assert path is not None
    text = path.read_text()
    path.write_text(text + one.model_dump_json()[:40] + "\n" + text.replace(one.id, two.id))
    assert list(read_journal(path)) == [one, two]
    assert journal.left() == [path]


def test_a_living_process_keeps_its_journal(tmp_path: Path) -> None:
    mine, other = Journal(tmp_path), Journal(tmp_path)
    mine.append(events(1))
    assert other.left() == []
    mine.close()
    assert len(other.left()) == 1


def test_a_locked_database_loses_nothing(sqlite_url: str, tmp_path: Path) -> None:
    repository = Repository.open(sqlite_url, timeout_s=0.3)
    writer = EventWriter(repository, tmp_path / "spill", block_s=0.2)
    writer.start()
    locker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    made: list[Event] = []
    started = time.monotonic()
    while time.monotonic() - started < 1.5:
        event = an_event(id=uuid7(float(len(made))))
        made += [event, next_step(event, EventState.CLOSED)]
        before = time.monotonic()
        writer.write(made[-2:])
        assert time.monotonic() - before < 3
    locker.rollback()
    locker.close()
    until(lambda: not writer.spilling and writer.waiting == 0)
    assert [step.event for step in repository.transitions_after(0, limit=1000)] == made[:1000]
    writer.close()
    repository.close()


_WRITER = """
import sys
from pathlib import Path
from aihub.events.writer import EventWriter
from aihub.storage.repository import Repository
from tests.storage.databases import an_event

writer = EventWriter(Repository.open(sys.argv[1], timeout_s=0.2), Path(sys.argv[2]), block_s=0.1)
writer.start()
while True:
    event = an_event()
    writer.write([event])
    print(event.id, flush=True)  # acknowledged
"""


def test_kill_9_loses_no_acknowledged_event_with_or_without_a_database(
    sqlite_url: str, tmp_path: Path
) -> None:
    locker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, sqlite_url, str(tmp_path / "spill")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(20)]
    locker.execute("BEGIN EXCLUSIVE")
    # What it said before the lock may still lie in the pipe, more lines of it the slower this reader is.
    deadline = time.monotonic() + 30
    while not any((tmp_path / "spill").glob("*.jsonl")):
        acknowledged.append(process.stdout.readline().strip())
        assert time.monotonic() < deadline, "nothing was put aside while the database was locked"
    acknowledged += [process.stdout.readline().strip() for _ in range(60)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait(5)
    locker.rollback()
    locker.close()
    assert list((tmp_path / "spill").glob("*.jsonl"))
    repository = Repository.open(sqlite_url)
    writer = EventWriter(repository, tmp_path / "spill")
    writer.start()
    until(lambda: not writer.spilling)
    stored: set[str] = set()
    seq = 0
    while steps := repository.transitions_after(seq, limit=1000):
        stored |= {step.event.id for step in steps}
        seq = steps[-1].seq
    assert set(acknowledged) <= stored
    writer.close()
    repository.close()
