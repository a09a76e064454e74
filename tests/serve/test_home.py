"""The home of a hub: its first key works, at once and after an upgrade."""

from __future__ import annotations

import stat
from pathlib import Path

from alembic import command
from sqlalchemy import text

from aihub.serve.home import open_repository, prepare_home
from aihub.serve.security import Caller, Door, new_key
from aihub.settings import Settings
from aihub.storage.database import Database
from aihub.storage.upgrade import migrations


async def caller(settings: Settings, key: str) -> Caller:
    repository = open_repository(settings)
    try:
        door = Door(repository)
        found = await door.caller(key, "here")
        if door._touching is not None:
            await door._touching
    finally:
        repository.close()
    return found


async def test_the_first_key_of_a_new_home_may_do_everything(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    made = prepare_home(settings)
    assert stat.S_IMODE(made.admin_key_file.stat().st_mode) == 0o600
    first = await caller(settings, made.admin_key)
    assert first.admin
    assert first.tenant == "default"
    assert first.may_use("anything")
    assert first.account.may_use("anything"), "and so may every other key of its tenant"
    assert first.account.may_see_group("default")
    assert prepare_home(settings) == made, "once"


async def test_the_keys_of_a_home_of_the_first_version_go_on_working(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    admin, desk = new_key(), new_key()
    (tmp_path / "admin.key").write_text(admin[0] + "\n")
    database = Database(settings.database)
    config = migrations()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with database.write() as connection:
        rows = (("k1", "default", admin, '["admin"]'), ("k2", "fire", desk, '["infer"]'))
        for name, tenant, (_, digest, prefix), scopes in rows:
            connection.execute(
                text(
                    "INSERT INTO api_keys (id, name, tenant, key_hash, prefix, scopes, created_at)"
                    " VALUES (:name, 'k', :tenant, :digest, :prefix, :scopes, 1.0)"
                ),
                {"name": name, "tenant": tenant, "digest": digest, "prefix": prefix, "scopes": scopes},
            )
    database.close()
    assert prepare_home(settings).admin_key == admin[0]
    assert (await caller(settings, admin[0])).admin
    other = await caller(settings, desk[0])
    assert (other.tenant, other.scopes) == ("fire", frozenset({"infer"}))
    assert other.may_use("person-detection")
    assert other.account.concurrency is None
