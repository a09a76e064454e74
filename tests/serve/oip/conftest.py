"""A hub with a real engine on tiny graphs, so that models and algorithms can both be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from aihub.engine import Engine, ModelStore
from aihub.serve.app import create_app
from aihub.storage.repository import Repository
from tests.engine.tiny import card_for, double_graph, mean_graph, picky_graph
from tests.serve.hub import TestHub, bearer, serving
from tests.serve.oip.graphs import text_graph


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Models: `mean` (pictures), `double` (floats), `picky` (whole numbers), `text` (strings), two that cannot be had."""
    gone = card_for(tmp_path, "gone", double_graph("n", 4))
    Path(gone.artifact.uri.removeprefix("file:")).unlink()
    cards = [
        card_for(tmp_path, "mean", mean_graph(), detector="test-mean-box"),
        card_for(tmp_path, "double", double_graph()),
        card_for(tmp_path, "picky", picky_graph()),
        card_for(tmp_path, "text", text_graph()),
        card_for(tmp_path, "unfree", double_graph("n", 5), license="AGPL-3.0-only"),
        gone,
    ]
    store = ModelStore(cards, cache=tmp_path / "cache")
    with Engine(store, threads=2, profiles=tmp_path / "profiles") as made:
        yield made


@pytest.fixture
def hub(repository: Repository, tmp_path: Path, engine: Engine) -> TestHub:
    """The hub of the other tests with that engine."""
    hub = TestHub(repository, tmp_path, max_body_bytes=2_000_000, max_images=4)
    hub.services = replace(hub.services, engine=engine)
    hub.app = create_app(hub.services)
    return hub


@pytest.fixture
def client(hub: TestHub, anonymous: TestClient) -> TestClient:
    """Speaks to the hub with a key for inference."""
    anonymous.headers.update(bearer(hub.key("infer")))
    return anonymous


@pytest.fixture
def url(hub: TestHub) -> Iterator[str]:
    """The hub on a real socket: `host:port`, as the clients of this protocol want it."""
    with serving(hub.app) as address:
        yield address.removeprefix("http://")
