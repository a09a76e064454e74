"""Fixtures of the HTTP tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from aihub.storage.repository import Repository
from aihub.storage.upgrade import upgrade
from tests.serve.hub import TestHub, bearer, serving


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of this version with nothing in it; tests copy it."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def repository(database_template: Path, tmp_path: Path) -> Iterator[Repository]:
    """A database of this test's own."""
    path = tmp_path / "aihub.db"
    shutil.copyfile(database_template, path)
    opened = Repository.open(f"sqlite:///{path}", timeout_s=1)
    yield opened
    opened.close()


@pytest.fixture
def hub(repository: Repository, tmp_path: Path) -> TestHub:
    """A hub without Ray."""
    return TestHub(repository, tmp_path)


@pytest.fixture
def anonymous(hub: TestHub) -> Iterator[TestClient]:
    """Speaks to the hub without a key."""
    with TestClient(hub.app) as client:
        yield client


@pytest.fixture
def client(hub: TestHub, anonymous: TestClient) -> TestClient:
    """Speaks to the hub with a key that may do everything but administer."""
    anonymous.headers.update(bearer(hub.key("infer", "streams", "events", "metrics")))
    return anonymous


@pytest.fixture
def url(hub: TestHub) -> Iterator[str]:
    """The hub on a real socket."""
    with serving(hub.app) as address:
        yield address
