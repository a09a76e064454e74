"""A camera server of four small cameras, and waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from aihub.bench import footage
from aihub.bench.cameras import CameraServer

from .rtsp_client import Client, client

SMALL = footage.yard(size=(160, 90), fps=100, seconds=2)


@pytest.fixture(scope="module")
def server() -> Iterator[CameraServer]:
    with CameraServer([SMALL], count=4) as one:
        yield one
        assert one.statistics()["errors"] == 0


@pytest.fixture
def camera(server: CameraServer) -> Iterator[Client]:
    with client(server.url(0)) as one:
        yield one


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
