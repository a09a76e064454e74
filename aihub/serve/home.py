"""The hub's home folder: private, with a migrated database and the first key."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from aihub.serve.security import new_key
from aihub.settings import Settings
from aihub.storage.database import Database
from aihub.storage.repository import Repository

ADMIN_SCOPES = ("admin",)


@dataclass(frozen=True, slots=True)
class PreparedHome:
    """What a start needs to know of the home folder."""

    admin_key: str
    admin_key_file: Path


def open_repository(settings: Settings) -> Repository:
    """The repository over the database in force."""
    return Repository(Database(settings.database))


def prepare_home(settings: Settings) -> PreparedHome:
    """Make the folder (mode 0700), bring the database to the newest form, and make the admin key once.

    The key lies in `admin.key` (mode 0600); the command line finds it there.
    """
    from aihub.storage.upgrade import upgrade  # here: replicas never migrate, and Alembic is slow to import

    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    upgrade(settings.database)
    path = settings.home / "admin.key"
    if not path.exists():
        key, digest, prefix = new_key()
        open_repository(settings).add_key(
            name="admin", tenant="default", key_hash=digest, prefix=prefix, scopes=list(ADMIN_SCOPES)
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
    return PreparedHome(path.read_text().strip(), path)


def local_url(settings: Settings) -> str:
    """Address of the HTTP face as seen from this machine."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    return f"http://{host}:{settings.port}"


def note_running(settings: Settings) -> None:
    """Leave the address of the running hub in its home, so that commands find it whatever its port."""
    (settings.home / "hub.json").write_text(json.dumps({"url": local_url(settings), "pid": os.getpid()}))


def running_url(settings: Settings) -> str:
    """Address that the hub of this home last ran at, else the one it would run at."""
    try:
        return str(json.loads((settings.home / "hub.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return local_url(settings)
