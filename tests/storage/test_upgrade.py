"""Migrations make exactly the tables the code knows, once, however many processes ask."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from aihub.errors import ConfigError, StorageError
from aihub.storage.database import Database
from aihub.storage.repository import Repository
from aihub.storage.tables import metadata
from aihub.storage.upgrade import upgrade


def test_migrations_equal_the_tables(url: str) -> None:
    database = Database(url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_upgrade_twice_changes_nothing(url: str) -> None:
    upgrade(url)


def test_processes_that_start_at_once_all_succeed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/hub.db"
    context = multiprocessing.get_context("spawn")
    starters = [context.Process(target=upgrade, args=(url,)) for _ in range(3)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(30)
    assert [starter.exitcode for starter in starters] == [0, 0, 0]
    repository = Repository.open(url)
    assert repository.list_keys() == []
    repository.close()


def test_database_file_is_private(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/hub.db")
    repository = Repository.open(f"sqlite:///{tmp_path}/hub.db")
    repository.add_audit("me", "look", "it")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    repository.close()
    assert set(modes.values()) == {0o600}, modes
    assert "hub.db-wal" in modes  # so several processes can read while one writes


def test_a_database_of_a_newer_version_is_refused(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(ConfigError, match="newer"):
        upgrade(sqlite_url)


def test_a_database_without_tables_says_what_to_do(tmp_path: Path) -> None:
    repository = Repository.open(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(StorageError, match="aihub up"):
        repository.list_keys()
    repository.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("not a url", "no URL at all"),
        ("mysql://x/y", "a database nobody tests"),
        ("sqlite://", "memory is not shared between processes"),
    ],
)
def test_wrong_urls_are_config_errors(url: str, why: str) -> None:
    with pytest.raises(ConfigError):
        Database(url)
