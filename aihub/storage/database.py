"""The connection to the database: SQLite set up for several processes at once, or PostgreSQL by URL."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from aihub.errors import AihubError, ConfigError, ConflictError, StorageError
from aihub.storage.records import RejectedError

BUSY_TIMEOUT_S = 10.0
_POOL = 8
_WRITES = "aihub_writes"


class Database:
    """One database for all threads of a process. Make a new one after a fork.

    Args:
        url: SQLAlchemy URL, `sqlite:///PATH` or `postgresql+psycopg://...`.
        timeout_s: longest wait for a lock or a connection, seconds.

    Raises:
        ConfigError: the URL is not one, or names a database the hub does not know.
    """

    def __init__(self, url: str, *, timeout_s: float = BUSY_TIMEOUT_S) -> None:
        try:
            parsed = make_url(url)
        except exc.ArgumentError as error:
            raise ConfigError("the database URL is not an SQLAlchemy URL", field="database_url") from error
        self.timeout_s = timeout_s
        self.dialect = parsed.get_backend_name()
        self._writer = threading.Lock()
        self._engine = self._make_engine(parsed)

    def _make_engine(self, url: URL) -> Engine:
        if self.dialect == "sqlite":
            return _sqlite(url, self.timeout_s)
        if self.dialect == "postgresql":
            return _postgres(url, self.timeout_s)
        raise ConfigError(
            f"database {self.dialect!r} is not supported",
            hint="use sqlite:///PATH or postgresql+psycopg://...",
            field="database_url",
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database.

        Raises:
            StorageError: the database did not answer in time.
        """
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, or wholly undone.

        On SQLite it takes the write lock at its start, so that it cannot fail half-way because another process wrote.

        Raises:
            StorageError: the database did not answer in time.
            RejectedError: the database will never take this.
            ConflictError: a row of that identity is there already.
        """
        with _translated(), self._turn(), self._engine.connect() as connection:
            writing = connection.execution_options(**{_WRITES: True})
            with writing.begin():
                yield writing

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # SQLite lets waiters sleep and poll; threads of one process queue here instead and go on at once.
        if self.dialect != "sqlite":
            yield
            return
        if not self._writer.acquire(timeout=self.timeout_s):
            raise StorageError("the database was busy for too long")
        try:
            yield
        finally:
            self._writer.release()

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()


def _sqlite(url: URL, timeout_s: float) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError(
            "the database must be a file: several processes share it",
            hint="sqlite:///PATH",
            field="database_url",
        )
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made here so that it is private from its first byte; SQLite gives -wal and -shm the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=_POOL,
        max_overflow=_POOL,
        pool_timeout=timeout_s,
        connect_args={"timeout": timeout_s},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL, not NORMAL: NORMAL survives kill -9 but may lose the last commits when the power goes, and an alarm
        # that was acknowledged must not be lost. It costs one fsync a commit (measured 0.28 against 0.03 ms on a
        # virtual disk); transitions are committed in groups, so that a burst pays it once.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -16384")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(url: URL, timeout_s: float) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_size=_POOL,
            max_overflow=_POOL,
            pool_timeout=timeout_s,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5},
        )
    except ImportError as error:
        raise ConfigError("PostgreSQL needs its driver", hint="pip install 'aihub[postgres]'") from error
    millis = int(timeout_s * 1000)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: ConnectionPoolEntry) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {millis}")
            cursor.execute(f"SET statement_timeout = {3 * millis}")
            cursor.execute(f"SET idle_in_transaction_session_timeout = {3 * millis}")
        connection.commit()

    return engine


_MISSING_TABLE = ("no such table", "no such column", "UndefinedTable", "UndefinedColumn")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the library's errors into ours; what a retry may cure stays apart from what it cannot."""
    try:
        yield
    except AihubError:
        raise
    except exc.IntegrityError as error:
        raise ConflictError("a row of that identity exists already, or what it belongs to is gone") from error
    except exc.TimeoutError as error:
        raise StorageError("no connection to the database became free in time") from error
    except exc.DBAPIError as error:
        cause = (
            f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0]}" if error.orig else str(error)
        )
        if any(sign in cause for sign in _MISSING_TABLE):
            raise StorageError("the database has not the tables of this version", hint="aihub up") from error
        if isinstance(error, (exc.DataError, exc.ProgrammingError, exc.NotSupportedError)):
            raise RejectedError(f"the database refuses the values: {cause}") from error
        raise StorageError(f"the database did not answer: {cause}") from error
    except (exc.StatementError, ValueError, OverflowError) as error:
        raise RejectedError(f"the database cannot hold these values: {error}") from error
