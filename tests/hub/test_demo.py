"""`aihub demo` as a stranger runs it, with nothing set and with real clips; and what Ctrl-C leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore

pytestmark = [pytest.mark.hub, pytest.mark.timeout(300)]

KEYS = {
    "streams",
    "frames_analysed",
    "events",
    "algorithms",
    "models",
    "event_latency_ms_p95",
    "cold_start_s",
}
STOPS_WITHIN_S = 20.0
Demo = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """Starts `aihub demo --json ARGUMENTS...` with only the settings that are given."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **settings: str) -> subprocess.Popen[str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("AIHUB_", "RAY_"))}
        process = subprocess.Popen(
            [sys.executable, "-m", "aihub", "demo", "--json", *arguments], text=True, env=bare | settings,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Algorithm -> its domain."""
    with Engine(ModelStore([], cache=tmp_path_factory.mktemp("cache"))) as engine:
        return {algorithm.card.id: algorithm.card.domain for algorithm in Registry(engine).list()}


def check(process: subprocess.Popen[str], domains: dict[str, str]) -> None:
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    said: dict[str, Any] = json.loads(out)
    assert set(said) == KEYS
    assert said["streams"] == 4
    assert said["frames_analysed"] > 0
    assert said["events"] >= 1
    assert len({domains[algorithm] for algorithm in said["algorithms"]}) >= 4
    assert said["event_latency_ms_p95"] > 0
    assert said["cold_start_s"] > 0


def test_with_nothing_set_it_shows_scenes_that_it_draws(demo: Demo, domains: dict[str, str]) -> None:
    check(demo("--seconds", "20"), domains)


@pytest.mark.media
@pytest.mark.weights
def test_with_media_and_weights_it_shows_real_clips(
    demo: Demo, domains: dict[str, str], media: Path, mirror: Path
) -> None:
    check(demo("--seconds", "20", AIHUB_TEST_MEDIA=str(media), AIHUB_MODEL_MIRROR=str(mirror)), domains)


@pytest.mark.parametrize("moment", ["while Ray starts", "while it runs"])
def test_ctrl_c_ends_it_and_leaves_no_process_behind(demo: Demo, moment: str) -> None:
    process = demo("--seconds", "120")
    family: dict[int, psutil.Process] = {}
    ripe = time.monotonic() + 60
    while not grown(process, family, moment) and time.monotonic() < ripe:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert time.monotonic() - begun < STOPS_WITHIN_S
    assert set(json.loads(out)) == KEYS
    assert err == ""
    gone = time.monotonic() + 5
    while (left := [relative for relative in family.values() if lives(relative)]) and time.monotonic() < gone:
        time.sleep(0.1)
    assert not left


def grown(process: subprocess.Popen[str], family: dict[int, psutil.Process], moment: str) -> bool:
    """Note its processes; whether the moment has come."""
    for relative in psutil.Process(process.pid).children(recursive=True):
        family.setdefault(relative.pid, relative)
    names = [name_of(relative) for relative in family.values()]
    if moment == "while Ray starts":
        return "raylet" in names
    return "haproxy" in names and sum(name.startswith("ray::ServeRep") for name in names) >= 2


def name_of(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
