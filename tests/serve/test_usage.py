"""The book of usage: nothing is lost, nothing counted twice, and it adds up to the metrics."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.errors import StorageError
from aihub.serve import usage
from aihub.serve.usage import DAY_S, OTHER, UsageBook
from aihub.storage.records import RejectedError, Usage
from aihub.telemetry import REGISTRY

NOON = 20_000 * DAY_S + DAY_S / 2
TODAY = "2024-10-04"


class Store:
    """Usage in memory; fails on demand, and refuses what an algorithm named `bad` used."""

    def __init__(self) -> None:
        self.rows: list[Usage] = []
        self.down = False
        self.foreign: dict[str, int] = {}
        self.asked = 0

    def add_usage(self, rows: Iterable[Usage]) -> None:
        if self.down:
            raise StorageError("locked")
        found = list(rows)
        if any(row.algorithm == "bad" for row in found):
            raise RejectedError("never")
        self.rows += found

    def calls_of_day(self, day: str) -> dict[str, int]:
        self.asked += 1
        if self.down:
            raise StorageError("locked")
        calls = Counter(self.foreign)
        for row in self.rows:
            if row.day == day:
                calls[row.tenant] += row.calls
        return dict(calls)


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(store: Store, clock: Clock) -> UsageBook:
    return UsageBook(store, clock=clock)


COUNTERS = {
    "calls_total": usage.CALLS, "errors_total": usage.ERRORS, "frames_total": usage.FRAMES,
    "compute_seconds_total": usage.COMPUTE,
}  # fmt: skip


def metric(name: str, tenant: str, algorithm: str) -> float:
    """One counter alone: asking the registry collects all of them, which after five thousand tests takes a second."""
    of = {"tenant": tenant, "algorithm": algorithm}
    samples = (sample for family in COUNTERS[name].collect() for sample in family.samples)
    return sum(one.value for one in samples if one.name == f"aihub_usage_{name}" and one.labels == of)


def test_rows_are_gathered_by_day_tenant_and_algorithm(store: Store, book: UsageBook, clock: Clock) -> None:
    book.book("fire", "a", calls=1, frames=2, compute_s=0.5)
    book.book("fire", "a", calls=1, errors=1, compute_s=0.25)
    book.book("water", "a", frames=7)
    clock.now += DAY_S
    book.book("fire", "a", calls=1)
    assert store.rows == [], "not before it is flushed"
    assert book.flush()
    assert store.rows == [
        Usage(TODAY, "fire", "a", 2, 1, 2, 0.75),
        Usage(TODAY, "water", "a", 0, 0, 7, 0.0),
        Usage("2024-10-05", "fire", "a", 1, 0, 0, 0.0),
    ]
    assert book.flush()
    assert len(store.rows) == 3, "once"


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["fire", "water"]), st.sampled_from("ab"),
            st.integers(0, 3), st.integers(0, 2), st.integers(0, 9), st.floats(0, 5),
        ),
        st.sampled_from(["flush", "fail", "midnight"]),
    ),
    max_size=40,
)  # fmt: skip


@settings(deadline=None)
@given(steps=STEPS)
def test_usage_adds_up_to_the_metrics_whatever_the_database_does(steps: list[object]) -> None:
    store, clock = Store(), Clock()
    book = UsageBook(store, clock=clock)
    names = ("calls_total", "errors_total", "frames_total", "compute_seconds_total")
    pairs = [(tenant, name) for tenant in ("fire", "water") for name in "ab"]
    before = {(n, *pair): metric(n, *pair) for n in names for pair in pairs}
    for step in steps:
        if step == "midnight":
            clock.now += DAY_S
        elif isinstance(step, str):
            store.down = step == "fail"
            book.flush()
        else:
            assert isinstance(step, tuple)
            tenant, name, calls, errors, frames, compute_s = step
            book.book(tenant, name, calls=calls, errors=errors, frames=frames, compute_s=compute_s)
    store.down = False
    assert book.flush()
    for pair in pairs:
        rows = [row for row in store.rows if (row.tenant, row.algorithm) == pair]
        sums = [
            sum(row.calls for row in rows),
            sum(row.errors for row in rows),
            sum(row.frames for row in rows),
        ]
        risen = [metric(name, *pair) - before[(name, *pair)] for name in names]
        assert [*sums, sum(row.compute_s for row in rows)] == pytest.approx(risen)


def test_what_cannot_be_written_is_kept(store: Store, book: UsageBook) -> None:
    book.book("fire", "a", calls=1)
    store.down = True
    assert not book.flush()
    book.book("fire", "a", calls=1)
    store.down = False
    assert book.flush()
    assert store.rows == [Usage(TODAY, "fire", "a", 2)]


def test_one_row_that_is_refused_for_good_does_not_keep_the_others_back(
    store: Store, book: UsageBook
) -> None:
    lost = REGISTRY.get_sample_value("aihub_usage_lost_total") or 0.0
    book.book("fire", "bad", calls=1)
    book.book("fire", "a", calls=1)
    assert book.flush()
    assert [row.algorithm for row in store.rows] == ["a"]
    assert REGISTRY.get_sample_value("aihub_usage_lost_total") == lost + 1
    assert book.flush()


def test_calls_of_today_are_those_of_all_processes_and_of_this_one_at_once(
    store: Store, book: UsageBook, clock: Clock
) -> None:
    store.foreign = {"fire": 10}
    assert book.calls_today("fire") == 0, "not asked yet; never waits"
    book.flush()
    assert book.calls_today("fire") == 10
    book.book("fire", "a", calls=2)
    book.book("fire", "b", calls=1)
    assert book.calls_today("fire") == 13, "at once"
    book.flush()
    assert book.calls_today("fire") == 13, "and not twice when it is written"
    store.down = True
    book.book("fire", "a", calls=1)
    book.flush()
    assert book.calls_today("fire") == 14, "nor forgotten when it is not"
    store.down = False
    book.flush()
    assert book.calls_today("fire") == 14
    assert book.calls_today("water") == 0
    clock.now += DAY_S
    assert book.calls_today("fire") == 0, "a new day"
    assert 0 < book.seconds_to_midnight() <= DAY_S


def test_nobody_asks_the_database_for_quotas_when_there_are_none(
    store: Store, book: UsageBook, clock: Clock
) -> None:
    for _ in range(3):
        book.book("fire", "a", calls=1)
        book.flush()
    assert store.asked == 0
    assert book.calls_today("fire") == 3
    clock.now += 3600
    book.flush()
    assert store.asked == 0


def test_the_table_is_bounded_and_still_adds_up(
    store: Store, book: UsageBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MAX_ROWS", 5)
    for number in range(20):
        book.book("fire", f"a{number}", calls=1)
    assert len(book._pending) <= 6
    book.flush()
    assert sum(row.calls for row in store.rows) == 20
    assert (OTHER, OTHER) in {(row.tenant, row.algorithm) for row in store.rows}


def test_what_is_left_at_the_end_is_written_by_the_next_start(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "usage"
    store.down = True
    first = UsageBook(store, folder)
    first.start()
    first.book("fire", "a", calls=1, compute_s=0.5)
    first.close()
    (left,) = folder.iterdir()
    assert left.suffix == ".json"
    second = UsageBook(store, folder)
    second._adopt()
    assert list(folder.iterdir()) == [left], "the database is still away"
    store.down = False
    (folder / "broken.json").write_text("[{")
    others = [UsageBook(store, folder) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.close()
    assert [(row.tenant, row.calls, row.compute_s) for row in store.rows] == [("fire", 1, 0.5)], (
        "by one of them"
    )
    assert [path.name for path in folder.iterdir()] == ["broken.claimed"]


def test_the_rest_is_safe_before_the_database_is_waited_for(tmp_path: Path) -> None:
    hanging, released = threading.Event(), threading.Event()

    class Hanging(Store):
        def add_usage(self, rows: Iterable[Usage]) -> None:
            hanging.set()
            assert released.wait(20)
            super().add_usage(rows)

    store = Hanging()
    book = UsageBook(store, tmp_path)
    book.book("fire", "a", calls=1)
    closer = threading.Thread(target=book.close)
    closer.start()
    assert hanging.wait(10)
    (left,) = tmp_path.iterdir()
    assert '"calls": 1' in left.read_text()
    released.set()
    closer.join(20)
    assert [row.calls for row in store.rows] == [1]
    assert list(tmp_path.iterdir()) == []


def test_it_writes_by_itself_and_can_be_started_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "FLUSH_S", 0.02)
    book = UsageBook(store)
    for turn in range(1, 3):
        book.start()
        book.start()
        book.book("fire", "a", calls=1)
        until = time.monotonic() + 5
        while len(store.rows) < turn and time.monotonic() < until:
            time.sleep(0.01)
        book.close()
        book.close()
        assert len(store.rows) == turn
    assert "usage" not in {thread.name for thread in threading.enumerate()}


def test_threads_that_book_while_it_is_written_lose_nothing(store: Store) -> None:
    book = UsageBook(store)
    done = threading.Event()

    def flush_on_and_on() -> None:
        while not done.is_set():
            book.flush()

    flusher = threading.Thread(target=flush_on_and_on)
    flusher.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: book.book("fire", f"a{n % 3}", calls=1, frames=n), range(2000)))
    done.set()
    flusher.join()
    book.flush()
    assert sum(row.calls for row in store.rows) == 2000
    assert sum(row.frames for row in store.rows) == sum(range(2000))
