"""Every way in which a camera can be bad, all at once beside a good one, through the whole hub."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import pytest

from aihub.bench.cameras import CameraServer, SilentClip
from aihub.bench.footage import SCENES
from tests.hub.conftest import Hub, until

pytestmark = [pytest.mark.hub, pytest.mark.timeout(300)]

TASK = {"id": "m", "algorithm": "motion-detection"}


@contextmanager
def mute_server() -> Iterator[int]:
    """Accepts connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    ended = threading.Event()

    def accept() -> None:
        with ExitStack() as held:
            while not ended.is_set():
                with suppress(TimeoutError):
                    held.enter_context(listener.accept()[0])

    server = threading.Thread(target=accept, daemon=True)
    server.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        server.join(timeout=5)
        listener.close()


@pytest.fixture
def cameras() -> Iterator[dict[str, tuple[str, str]]]:
    """Name -> address and the error code that the stream must show; empty for the good one."""
    yard = SCENES["yard"]()
    with ExitStack() as stack:
        good = stack.enter_context(CameraServer([yard, SilentClip()], count=2))
        locked = stack.enter_context(CameraServer([yard], users={"viewer": "right"}))
        mute = stack.enter_context(mute_server())
        wrong = locked.url(0).replace("rtsp://", "rtsp://viewer:wrong@")
        yield {
            "good": (good.url(0), ""),
            "with-password": (locked.url(0, user="viewer"), ""),
            "refuses": ("rtsp://127.0.0.1:9/cam1", "connect"),
            "never-answers": (f"rtsp://127.0.0.1:{mute}/cam1", "connect"),
            "wrong-password": (wrong, "auth"),
            "not-there": (good.url(0).replace("cam1", "cam77"), "stream-missing"),
            "audio-only": (good.url(1), "format"),
        }


def is_live(hub: Hub, stream: str) -> bool:
    return hub.state(stream) == "live"


def error_code(hub: Hub, stream: str) -> str:
    """The first error that the stream shows."""
    code: str = until(
        lambda: hub.get(f"/v1/streams/{stream}")["status"]["error_code"], 30, f"{stream} says what is wrong"
    )
    return code


def test_each_bad_camera_says_what_is_wrong_and_the_good_ones_go_on(
    hub: Hub, cameras: dict[str, tuple[str, str]]
) -> None:
    for name, (address, _) in cameras.items():
        hub.add_stream(name, address, TASK)
    try:
        for name, (_, code) in cameras.items():
            if code:
                assert error_code(hub, name) == code, name
            else:
                until(partial(is_live, hub, name), 20, f"{name} is live")
        before = hub.get("/v1/streams/good")["status"]["frames_analysed"]
        until(
            lambda: hub.get("/v1/streams/good")["status"]["frames_analysed"] > before + 10,
            20,
            "the good one goes on",
        )
        listed = hub.call("GET", "/v1/streams").text
        assert "wrong@" not in listed
        assert "right" not in listed
    finally:
        for name in cameras:
            hub.call("DELETE", f"/v1/streams/{name}")


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("corrupt", {"probability": 0.2}),  # broken packets are no reason to stop
        ("slow", {}),  # late frames, then a burst: only the newest counts
    ],
)
def test_a_stream_lives_through_a_fault_of_its_camera(
    hub: Hub, fault: str, options: dict[str, float]
) -> None:
    name = f"faulty-{fault}"
    with CameraServer([SCENES["yard"]()]) as camera:
        hub.add_stream(name, camera.url(0), TASK)
        try:
            until(lambda: hub.state(name) == "live", 15, "live")
            camera.fault(0, fault, **options)
            threading.Event().wait(5)
            camera.fault(0, None)
            until(lambda: hub.state(name) == "live", 10, "live after the fault")
            before = hub.get(f"/v1/streams/{name}")["status"]["frames_analysed"]
            until(
                lambda: hub.get(f"/v1/streams/{name}")["status"]["frames_analysed"] > before + 5,
                15,
                "analysed again",
            )
        finally:
            hub.call("DELETE", f"/v1/streams/{name}")


def test_a_camera_that_goes_silent_is_stalled_and_comes_back(hub: Hub) -> None:
    with CameraServer([SCENES["yard"]()]) as camera:
        hub.add_stream("silent", camera.url(0), TASK)
        try:
            until(lambda: hub.state("silent") == "live", 15, "live")
            camera.fault(0, "drop")
            until(lambda: hub.state("silent") != "live", 20, "noticed")
            camera.fault(0, None)
            until(lambda: hub.state("silent") == "live", 15, "live again")
        finally:
            hub.call("DELETE", "/v1/streams/silent")
