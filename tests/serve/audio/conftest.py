"""A hub without Ray whose algorithms listen, with ears that need no weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.algorithms.registry import Registry
from aihub.algorithms.sound import sphinx
from aihub.plugins import data_folder
from aihub.serve.app import create_app
from aihub.storage.repository import Repository
from tests.algorithms.sound.making import LoudEars
from tests.serve.hub import TestHub, bearer, serving

MakeHub = Callable[..., TestHub]


@pytest.fixture
def ears() -> LoudEars:
    return LoudEars()


@pytest.fixture
def make_hub(
    repository: Repository, tmp_path: Path, ears: LoudEars, monkeypatch: pytest.MonkeyPatch
) -> MakeHub:
    """Makes a hub with the shipped cards for sound."""
    monkeypatch.setattr(sphinx, "installed", lambda: True)  # the ears know words without it

    def make(**settings: Any) -> TestHub:
        hub = TestHub(repository, tmp_path, **settings)
        shutil.copytree(data_folder("pipelines") / "speech", hub.cards / "speech")
        registry = Registry(ears, [hub.cards])
        hub.services = replace(hub.services, registry=registry, predictor=ears)
        hub.app = create_app(hub.services)
        return hub

    return make


@pytest.fixture
def hub(make_hub: MakeHub) -> TestHub:
    return make_hub()


@pytest.fixture
def client(hub: TestHub) -> Iterator[TestClient]:
    """Speaks to the hub with a key that may infer."""
    with TestClient(hub.app) as made:
        made.headers.update(bearer(hub.key("infer")))
        yield made


@pytest.fixture
def url(hub: TestHub) -> Iterator[str]:
    with serving(hub.app) as address:
        yield address
