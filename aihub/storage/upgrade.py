"""Bring a database to the tables of this version. Safe when many processes start at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from aihub.errors import ConfigError
from aihub.storage.database import Database

_ADVISORY_LOCK = 0x61_69_68_75_62_01
_WAIT_S = 60.0


def upgrade(url: str) -> None:
    """Run all migrations that are missing. Does nothing when there are none.

    The whole upgrade is one transaction under the database's write lock: others wait for it, and one that is killed
    half-way leaves the database as it was.

    Raises:
        ConfigError: the database was made by a newer version, or the URL is wrong.
        StorageError: the database did not answer, or another upgrade took more than a minute.
    """
    config = migrations()
    head = ScriptDirectory.from_config(config).get_current_head()
    database = Database(url, timeout_s=_WAIT_S)
    try:
        with database.read() as connection:
            if _revision(connection) == head:
                return
        with database.write() as connection:
            if database.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            "the database was made by a newer aihub", hint="update aihub, or use another database"
        ) from error
    finally:
        database.close()


def migrations() -> Config:
    """Alembic's configuration for our migrations; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
