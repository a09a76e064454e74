"""Fixtures of the client's tests: a hub without Ray, and both clients in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import stamina

from aihub.client import AihubClient
from tests.client.faces import FACES, Make
from tests.serve.conftest import database_template, hub, repository, url
from tests.serve.hub import TestHub

__all__ = ["database_template", "hub", "repository", "url"]


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture(params=FACES)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes clients of one kind, then of the other, and closes them."""
    with ExitStack() as stack:

        def made(*args: Any, **named: Any) -> AihubClient:
            return stack.enter_context(FACES[request.param](*args, **named))

        yield made


@pytest.fixture
def client(hub: TestHub, url: str, make: Make) -> AihubClient:
    """A client whose key may do everything but administer."""
    return make(url, hub.key("infer", "streams", "events", "metrics"), timeout=10)


@pytest.fixture
def admin(hub: TestHub, url: str, make: Make) -> AihubClient:
    """A client of an administrator."""
    return make(url, hub.key("admin"), timeout=10)
