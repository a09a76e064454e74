"""The promise that is kept or broken, and those who watch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aihub.algorithms.registry import Registry
from aihub.bench import footage
from aihub.bench.cameras import CameraServer
from aihub.bench.streams.hub_streams import HubStreams, StageCosts, hub_streams
from aihub.bench.streams.plain_loop import PlainLoop
from aihub.bench.streams.watcher import Slo, Watcher, Window, watch
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.plugins import data_folder
from aihub.types import Image

from .conftest import until

FPS = 25.0
SMALL = footage.yard(size=(160, 90), fps=FPS, seconds=4)


def window(**changed: object) -> Window:
    whole: dict[str, object] = {
        "seconds": 4.0, "fps": 5.0, "pictures": 25.0, "analysed": (20, 20), "read": (100, 100), "ages_ms": (10.0, 20.0),
    }  # fmt: skip
    return Window(**{**whole, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "broken", "why"),
    [
        ({}, "", "all is well"),
        ({"analysed": (19, 19)}, "", "95 of 100 are enough"),
        ({"analysed": (18, 18)}, "90% of the asked frames", "too few of all"),
        ({"analysed": (18, 19)}, "", "one that fell just outside the window is not missing"),
        ({"analysed": (14, 25)}, "14 of 20 frames of one camera", "one starves while the other is fed"),
        ({"read": (90, 90)}, "90% of the pictures", "pictures wait in the network"),
        ({"ages_ms": (10.0,) * 90 + (900.0,) * 10}, "p95 of the age 900 ms", "one in ten is late"),
        ({"ages_ms": (10.0,) * 99 + (900.0,)}, "", "one in a hundred may be"),
        ({"failing": ("camera 1 is lost",)}, "camera 1 is lost", "that comes first"),
    ],
)
def test_the_promise(changed: dict[str, object], broken: str, why: str) -> None:
    said = window(**changed).broken(Slo())
    assert said.startswith(broken), why
    assert bool(said) is bool(broken), why


@pytest.fixture(scope="module")
def cameras() -> Iterator[CameraServer]:
    with CameraServer([SMALL], count=2) as server:
        yield server


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path_factory.mktemp("cache"))
    with Engine(store) as made:
        yield made


def looked_at(watcher: Watcher, fps: float, pictures: float = FPS) -> Window:
    try:
        return watch(watcher, fps=fps, pictures=pictures, seconds=2.0, settle_s=0.5, start_s=20.0)
    finally:
        watcher.close()


def test_the_hub_watches_at_the_rate_that_is_asked(cameras: CameraServer, engine: Engine) -> None:
    seen = looked_at(hub_streams(engine, Registry(engine), "motion-detection")(cameras.urls, 5.0), 5.0)
    assert not seen.failing
    assert len(seen.analysed) == len(seen.read) == 2
    assert sum(seen.analysed) <= 2 * (5 * seen.seconds + 3)
    assert len(seen.ages_ms) >= sum(seen.analysed) - 2
    assert min(seen.read) > max(seen.analysed) > 0
    assert seen.cpu_s > 0


def test_key_frames_alone_are_fewer(cameras: CameraServer, engine: Engine) -> None:
    opens = hub_streams(engine, Registry(engine), "motion-detection", key_frames=True)
    watcher = opens(cameras.urls[:1], 1.0)
    try:
        until(lambda: watcher.read()[0] >= 2, seconds=20)
        # One in a hundred pictures of this clip is a key frame.
        assert watcher.read()[0] < 10
        assert not watcher.failing()
    finally:
        watcher.close()


def test_a_task_that_cannot_run_is_a_failure(cameras: CameraServer, engine: Engine) -> None:
    watcher = hub_streams(engine, Registry(engine), "no-such-algorithm")(cameras.urls[:1], 5.0)
    try:
        until(lambda: bool(watcher.failing()) and "no-such-algorithm" in watcher.failing()[0], seconds=20)
    finally:
        watcher.close()


def test_stages_add_up_to_what_the_process_took(cameras: CameraServer, engine: Engine) -> None:
    watcher: HubStreams = hub_streams(engine, Registry(engine), "motion-detection")(cameras.urls, 25.0)
    try:
        until(lambda: min(watcher.analysed()) > 0, seconds=20)
        costs = StageCosts("yolox-nano")
        before = sum(watcher.analysed())
        until(lambda: sum(watcher.analysed()) > before + 40, seconds=30)
        parts = costs.seconds()
    finally:
        watcher.close()
    assert all(seconds >= 0 for seconds in parts.values())
    assert parts["decode"] > 0
    assert parts["tracker and rules"] > 0


def test_the_plain_loop_watches_at_the_rate_that_is_asked(cameras: CameraServer) -> None:
    looks: list[Image] = []
    seen = looked_at(PlainLoop(cameras.urls, 5.0, looks.append, at_once=2), 5.0)
    assert not seen.failing
    assert 0 < sum(seen.analysed) <= 2 * (5 * seen.seconds + 3)
    assert {image.shape for image in looks} == {(90, 160, 3)}


def test_no_more_looks_at_once_than_may_be(cameras: CameraServer) -> None:
    inside, most = threading.Semaphore(1), []

    def look(_: Image) -> None:
        most.append(inside.acquire(blocking=False))
        threading.Event().wait(0.02)
        inside.release()

    looked_at(PlainLoop(cameras.urls, 25.0, look, at_once=1), 25.0)
    assert most
    assert all(most)


def test_a_camera_that_goes_is_named() -> None:
    with CameraServer([SMALL]) as server:
        watcher = PlainLoop(server.urls, 5.0, lambda _: None)
        until(lambda: watcher.analysed()[0] > 0, seconds=20)
    try:
        until(lambda: watcher.failing() == ["camera 0 is lost"], seconds=40)
    finally:
        watcher.close()


def test_nobody_there_is_a_failure_in_time(tmp_path: Path) -> None:
    watcher = PlainLoop(["rtsp://127.0.0.1:9/none"], 5.0, lambda _: None)
    try:
        seen = watch(watcher, fps=5.0, pictures=25.0, seconds=1.0, settle_s=0.1, start_s=1.0)
    finally:
        watcher.close()
    assert seen.broken(Slo()).startswith("camera 0 is lost")
