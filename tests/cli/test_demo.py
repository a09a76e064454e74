from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from aihub.bench.footage import Footage
from aihub.cli import demo
from aihub.cli.demo import Watch, demo_settings, scenes, screen
from aihub.client import AihubClient, Stream
from aihub.settings import Settings
from aihub.types import Event, EventState, Sampling, StreamState, StreamStatus, StreamTask

ALGORITHMS = ("vehicle-detection", "person-detection", "black-screen", "frozen-picture", "blurred-picture")


def event(state: EventState, at: float = 1e9, **fields: Any) -> Event:
    base: dict[str, Any] = {
        "id": "e", "revision": 1, "type": "intrusion", "severity": "alert", "stream_id": "yard", "task_id": "t",
        "algorithm": "intrusion", "algorithm_version": 1, "key": "k", "label": "person", "confidence": 0.9,
        "started_at": 1e9,
    }  # fmt: skip
    return Event.model_validate(base | fields | {"state": state, "updated_at": at})


def stream(name: str) -> Stream:
    return Stream(
        id=name, name="", url="rtsp://h/1", has_credentials=False, transport="tcp", enabled=True, tenant="default",
        revision=1, sampling=Sampling(), tasks=[StreamTask(id=a, algorithm=a) for a in ALGORITHMS],
        status=StreamStatus(state=StreamState.LIVE, dropped={"replaced": 2}),
    )  # fmt: skip


@pytest.fixture
def watch() -> Watch:
    return Watch(AihubClient())


def drawn(watch: Watch, width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The screen on a terminal of that size."""
    stream_out = io.StringIO()
    console = Console(file=stream_out, width=width, height=height, force_terminal=True, color_system=None)
    monkeypatch.setattr(demo, "console", console)
    console.print(screen([stream(name) for name in ("entrance", "street")], watch))
    return stream_out.getvalue().splitlines()


def test_alarms_are_counted_when_they_open_and_each_place_shows_its_last_step(watch: Watch) -> None:
    for step in (
        event(EventState.OPENED),
        event(EventState.UPDATED, 1e9 + 30),
        event(EventState.CLOSED, 1e9 + 40),
        event(EventState.OPENED, 1e9 + 50),
        event(EventState.OPENED, 1e9 + 51, stream_id="gate"),
    ):
        watch.see(step)
    assert watch.opened == 3
    assert {place: (a.opened, a.last.updated_at - 1e9) for place, a in watch.alarms.items()} == {
        ("yard", "intrusion"): (2, 50.0),
        ("gate", "intrusion"): (1, 51.0),
    }


def test_latency_is_unknown_then_measured(watch: Watch) -> None:
    assert watch.p95_ms() is None
    for age in (10.0, 20.0, 400.0):
        watch.latencies_ms.append(age)
    assert watch.p95_ms() == pytest.approx(362.0)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (200, 60)])
def test_the_screen_fits_the_terminal(
    width: int, height: int, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        watch.see(event(EventState.OPENED, 1e9 + number, stream_id=f"cam-{number}"))
    lines = drawn(watch, width, height, monkeypatch)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert any("cam-39" in line for line in lines)  # the newest is there
    assert any("40 alarms" in line for line in lines)


def test_long_and_hostile_texts_neither_spread_nor_become_markup(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.see(event(EventState.OPENED, label="code", data={"text": "[red]" + "x" * 500}))
    lines = drawn(watch, 120, 30, monkeypatch)
    assert any("[red]xx" in line for line in lines)
    assert len(lines) < 15


def test_without_media_or_weights_scenes_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AIHUB_TEST_MEDIA", "AIHUB_MODEL_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    for given in (
        {},
        {"test_media": str(tmp_path)},
        {"test_media": str(tmp_path), "model_mirror": str(tmp_path)},
    ):
        assert all(isinstance(scene.source, Footage) for scene in scenes(Settings(**given)))  # type: ignore[arg-type]


def test_the_demo_leaves_the_hub_of_the_machine_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIHUB_DATABASE_URL", "postgresql://real/one")
    monkeypatch.setenv("AIHUB_HOST", "0.0.0.0")
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(demo, "PORT", other.getsockname()[1])
        chosen = demo_settings(here / "demo", None)
        assert chosen.port != other.getsockname()[1]
    assert chosen.database == f"sqlite:///{here / 'demo' / 'aihub.db'}"
    assert (chosen.host, chosen.grpc_port) == ("127.0.0.1", 0)
    assert "AIHUB_DATABASE_URL" not in os.environ  # Ray's processes would take it
