"""The audit's old rows go when their time is over, a note says so, and nothing else can go: on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from aihub.errors import AihubError
from aihub.serve.housekeeping import forget_the_old
from aihub.settings import Settings
from aihub.storage.database import Database
from aihub.storage.repository import Repository
from aihub.storage.upgrade import migrations, upgrade
from aihub.types import EventState
from tests.storage.databases import an_event, next_step


def in_one_transaction(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def empty(repository: Repository) -> None:
    """Open the gate by hand, for the next example."""
    in_one_transaction(
        repository._database,
        "INSERT INTO audit_pruning (id, older_than) VALUES (1, 1e300)",
        "DELETE FROM audit",
        "DELETE FROM audit_pruning",
    )


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ages=st.lists(st.floats(0, 20), max_size=12), days=st.floats(0.5, 12), limit=st.integers(1, 5),
    hour=st.integers(0, 23),
)  # fmt: skip
def test_what_goes_from_the_audit_is_old_and_was_noted(
    repository: Repository, ages: list[float], days: float, limit: int, hour: int
) -> None:
    empty(repository)
    now = (20_000 + hour / 24) * 86_400
    for number, age in enumerate(ages):
        repository.add_audit("ann", "look", f"s{number}", now=now - age * 86_400)
    last_day = (now - days * 86_400) // 86_400 * 86_400
    old = sorted(at for age in ages if (at := now - age * 86_400) < last_day)
    gone: list[int] = []
    while rows := repository.prune_audit(days=days, limit=limit, now=now):
        gone.append(rows)
        assert rows <= limit
        assert sum(gone) <= len(old), "more than was old: without this it might never end"
    assert sum(gone) == len(old)
    left = repository.list_audit(action="look").items
    assert len(left) == len(ages) - len(old), "nothing younger went"
    assert all(note.at >= last_day for note in left)
    said = repository.list_audit(action="audit.prune").items[::-1]
    assert [note.detail["rows"] for note in said] == gone, "each transaction left its note"
    ends = [sum(gone[: index + 1]) for index in range(len(gone))]
    assert [note.detail["until"] for note in said] == [old[end - 1] for end in ends], "the oldest go first"
    assert {(note.actor, note.at) for note in said} <= {("hub", now)}


def test_a_note_of_pruning_is_readable(repository: Repository) -> None:
    for at in (86_400.0, 86_401.0, 10 * 86_400.0):
        repository.add_audit("ann", "look", "it", now=at)
    assert repository.prune_audit(days=5, now=10 * 86_400.0) == 2
    newest, kept = repository.list_audit().items
    assert (newest.actor, newest.action, newest.subject) == (
        "hub", "audit.prune", "2 notes up to 1970-01-02T00:00:01Z",
    )  # fmt: skip
    assert newest.detail == {"rows": 2, "from": 86_400.0, "until": 86_401.0, "days": 5}
    assert kept.at == 10 * 86_400.0
    assert repository.prune_audit(days=5, now=10 * 86_400.0) == 0
    assert len(repository.list_audit().items) == 2, "nothing went, so nothing is noted"


def test_hosts_that_prune_at_once_share_the_work_and_note_each_row_once(url: str) -> None:
    repositories = [Repository.open(url) for _ in range(3)]
    for number in range(60):
        repositories[0].add_audit("ann", "look", "it", now=float(number))

    def prune(repository: Repository) -> int:
        return sum(iter(partial(repository.prune_audit, days=1, limit=7, now=1e9), 0))

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(prune, repositories)) == 60
    notes = repositories[0].list_audit().items
    assert {note.action for note in notes} == {"audit.prune"}
    assert sum(note.detail["rows"] for note in notes) == 60
    for one in repositories:
        one.close()


def test_after_pruning_the_database_keeps_the_rest_even_what_is_old(url: str) -> None:
    repository = Repository.open(url)
    for at in (1.0, 2.0):
        repository.add_audit("ann", "look", "it", now=at)
    assert repository.prune_audit(days=1, limit=1, now=1e9) == 1
    repository.close()
    database = Database(url)
    gate = "INSERT INTO audit_pruning (id, older_than) VALUES (1, {})"
    for statements in (
        ("DELETE FROM audit WHERE at = 2.0",),
        (gate.format(2.0), "DELETE FROM audit WHERE at = 2.0"),  # an open gate lets nothing younger through
        (gate.format(9.0), "UPDATE audit SET actor = 'nobody' WHERE at = 2.0"),
    ):
        with pytest.raises(AihubError):
            in_one_transaction(database, *statements)
    with database.read() as connection:
        assert list(connection.execute(text("SELECT older_than FROM audit_pruning"))) == []
        assert list(connection.execute(text("SELECT at, actor FROM audit WHERE at = 2.0"))) == [(2.0, "ann")]
    database.close()


def test_housekeeping_follows_the_settings(repository: Repository, tmp_path: Path) -> None:
    steps = [an_event()]
    steps.append(next_step(steps[0], EventState.CLOSED))
    repository.save_transitions(steps)
    repository.add_audit("ann", "look", "it", now=1.0)
    forget_the_old(repository, Settings(home=tmp_path, audit_days=0, keep_events_days=36500))
    assert repository.history(steps[0].id) == steps
    assert [note.action for note in repository.list_audit().items] == ["look"], "0 keeps the audit for ever"
    forget_the_old(repository, Settings(home=tmp_path))
    assert repository.history(steps[0].id) == []
    (note,) = repository.list_audit().items
    assert (note.action, note.detail["rows"], note.detail["days"]) == ("audit.prune", 1, 365)


def test_the_way_to_this_version_and_back_loses_no_note(url: str) -> None:
    repository = Repository.open(url)
    repository.add_audit("ann", "look", "it", now=1.0)
    before = repository.list_audit().items
    config = migrations()
    with repository._database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    with pytest.raises(AihubError):
        in_one_transaction(repository._database, "DELETE FROM audit")
    upgrade(url)
    assert repository.list_audit().items == before
    assert repository.prune_audit(days=1) == 1
    repository.close()
