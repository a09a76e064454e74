"""The suite `soak`: slopes, growth, what is stale, and what its figures say of a hub that leaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.bench import suite
from aihub.bench.hub.soaking import Held, grown, slope
from aihub.bench.results import Figure
from aihub.bench.stand import Stand
from aihub.bench.suites import soak
from aihub.errors import AihubError, InputError
from aihub.types import StreamState, StreamStatus


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    one = Stand(tmp_path)
    yield one
    one.close()


@given(st.floats(-50, 50), st.floats(100, 2000), st.integers(5, 60))
def test_the_slope_of_a_line_is_its_slope(an_hour: float, base: float, count: int) -> None:
    times = np.arange(count) * 30.0
    found = slope(times.tolist(), (base + an_hour * times / 3600).tolist())
    assert found is not None
    assert found.an_hour == pytest.approx(an_hour, abs=1e-6)
    assert found.low <= found.an_hour + 1e-9
    assert found.an_hour <= found.high + 1e-9


def test_a_leak_is_told_from_noise() -> None:
    random = np.random.default_rng(3)
    times = np.arange(360) * 10.0
    noise = 800 + random.normal(0, 4, len(times))
    quiet, leak = (
        slope(times.tolist(), noise.tolist()),
        slope(times.tolist(), (noise + 30 * times / 3600).tolist()),
    )
    assert quiet is not None
    assert leak is not None
    assert not quiet.rises
    assert leak.rises
    assert leak.low < 30 < leak.high


def test_one_burst_does_not_tilt_the_slope() -> None:
    values = [800.0] * 60
    values[-1] = 2000.0
    found = slope([10.0 * at for at in range(60)], values)
    assert found is not None
    assert found.an_hour == 0.0


def test_few_samples_have_no_slope() -> None:
    assert slope([0, 1, 2], [1, 2, 3]) is None


def test_growth_is_the_end_over_the_beginning() -> None:
    assert grown([100.0] * 6 + [150.0] * 24 + [103.0] * 6) == pytest.approx(1.03)
    assert grown([100.0]) == 1.0
    for bad in ([], [0.0, 1.0]):
        with pytest.raises(ValueError):
            grown(bad)


def status(**changes: object) -> StreamStatus:
    body = {"state": StreamState.LIVE, "fps_analysed": 5.0, "latency_ms_p95": 20.0, "updated_at": 1000.0}
    return StreamStatus.model_validate({**body, **changes})


@pytest.mark.parametrize(
    ("changes", "stale"),
    [({}, False), ({"state": StreamState.STALLED}, True), ({"fps_analysed": 0.0}, True), ({"latency_ms_p95": 2001.0}, True),
     ({"updated_at": 996.0}, True), ({"latency_ms_p95": 1999.0}, False)],
)  # fmt: skip
def test_what_is_stale(changes: dict[str, object], *, stale: bool) -> None:
    assert soak.is_stale(status(**changes), 2.0, 1001.0) is stale


def record(growth: float = 1.0, **changes: object) -> soak.Record:
    steps = np.linspace(0, 1, 36)
    samples = [
        Held(600 * at, 800 * (1 + (growth - 1) * at), round(400 * (1 + (growth - 1) * at)), 90)
        for at in steps.tolist()
    ]
    made = soak.Record(
        samples=samples, looked=36, read=15_000, analysed=2_990, dropped=10, events=30, metrics=True
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def told(stand: Stand, one: soak.Record, minutes: float = 10.0) -> dict[str, Figure]:
    soak.note(stand, soak.Settings(minutes=minutes), one, "a test")
    return {figure.name: figure for figure in stand.figures}


def test_a_steady_hub_reaches_every_target(stand: Stand) -> None:
    figures = told(stand, record())
    assert {name for name, one in figures.items() if one.target is not None} == {
        "growth/memory", "growth/handles", "growth/threads", "stale", "metrics-missing",
    }  # fmt: skip
    assert all(one.met for one in figures.values() if one.target is not None)
    assert figures["analysed"].value == pytest.approx(2_990 / 3_000)
    assert {one.name for one in stand.curves} == {"memory", "handles", "threads"}


def test_a_hub_that_leaks_is_found_out(stand: Stand) -> None:
    figures = told(stand, record(growth=1.2))
    assert figures["growth/memory"].met is False
    assert figures["growth/handles"].met is False
    assert figures["growth/threads"].met is True
    one = figures["slope/memory"]
    assert one.interval is not None
    assert one.interval[0] > 0
    assert one.value == pytest.approx(160 * 6, rel=0.01)  # a fifth of 800 MB in ten minutes


def test_growth_of_a_short_run_is_shown_and_not_judged(stand: Stand) -> None:
    figures = told(stand, record(growth=1.2), minutes=1.0)
    assert figures["growth/memory"].value > 1.02
    assert figures["growth/memory"].met is None
    assert figures["stale"].met is True


def test_stale_samples_and_missing_metrics_are_losses(stand: Stand) -> None:
    figures = told(stand, record(stale=1, metrics=False))
    assert figures["stale"].met is False
    assert figures["metrics-missing"].met is False


@pytest.mark.parametrize("changes", [{"samples": []}, {"analysed": 0}])
def test_a_hub_that_did_nothing_is_no_result(stand: Stand, changes: dict[str, Any]) -> None:
    with pytest.raises(AihubError):
        soak.note(stand, soak.Settings(), record(**changes), "a test")


def test_the_yaml_is_whole_and_quick_is_a_minute_at_most() -> None:
    one = suite.find("soak")
    quick = one.settings(quick=True)
    assert isinstance(quick, soak.Settings)
    assert quick.minutes <= 1.0
    with pytest.raises(InputError, match="minutes"):
        one.settings(given={"minutes": 0})


def test_cameras_of_ones_own_need_no_server(stand: Stand) -> None:
    with soak._cameras(stand, soak.Settings(url="rtsp://192.0.2.1/one")) as (urls, server):
        assert (urls, server) == (["rtsp://192.0.2.1/one"], "one's own")


def test_the_simulator_serves_as_many_cameras_as_asked_for(stand: Stand) -> None:
    with soak._cameras(stand, soak.Settings(server="simulator", cameras=2)) as (urls, server):
        assert len(set(urls)) == 2
        assert server == "the simulator"


@pytest.mark.gstreamer
@pytest.mark.media
def test_gstreamer_serves_a_clip_for_as_long_as_is_asked(media: Path) -> None:
    if lacks := soak.gstreamer_lacks():
        pytest.skip(lacks)
    import cv2

    begun = time.monotonic()
    with soak.gstreamer(media.joinpath(*soak.CLIP), 0.1) as url:
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
        ok, image = capture.read()
        capture.release()
    assert ok
    assert image is not None
    assert time.monotonic() - begun < 120
