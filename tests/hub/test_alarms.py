"""The whole hub: simulated cameras in, stored and delivered alarms out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aihub.bench.cameras import CameraServer
from aihub.bench.footage import SCENES
from tests.hub.conftest import Hub, Receiver, until

pytestmark = [pytest.mark.hub, pytest.mark.timeout(600)]

GATE = ({"id": "codes", "algorithm": "qr-and-barcode"},)


@pytest.fixture(scope="module")
def cameras() -> Iterator[CameraServer]:
    with CameraServer([SCENES["codes"](), SCENES["fire"](), SCENES["quality"]()], count=3) as server:
        yield server


@pytest.fixture
def gate(hub: Hub, cameras: CameraServer) -> Iterator[str]:
    """A stream on the gate camera that reads codes."""
    name = f"gate-{time.time_ns()}"
    hub.add_stream(name, cameras.url(0), *GATE)
    yield name
    hub.call("DELETE", f"/v1/streams/{name}")


def add_webhook(hub: Hub, receiver: Receiver, stream: str) -> str:
    body = {"kind": "webhook", "params": {"url": receiver.url, "secret": "s" * 32}, "streams": [stream]}
    answer = hub.call("POST", "/v1/sinks", json=body)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


def opened(events: list[dict[str, Any]]) -> set[str]:
    return {event["id"] for event in events}


def test_a_camera_becomes_live_and_its_alarms_are_stored_with_evidence(hub: Hub, gate: str) -> None:
    until(lambda: hub.state(gate) == "live", 15, "live")
    event = until(lambda: hub.events(gate), 30, "an event")[0]
    assert event["algorithm"] == "qr-and-barcode"
    picture = hub.call("GET", f"/v1/events/{event['id']}/snapshot")
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"


def test_the_live_picture_of_a_stream_can_be_had(hub: Hub, gate: str) -> None:
    until(lambda: hub.state(gate) == "live", 15, "live")
    answer = hub.call("GET", f"/v1/streams/{gate}/snapshot")
    assert answer.status_code == 200, answer.text
    assert answer.content[:2] == b"\xff\xd8"


def test_a_camera_that_cannot_be_reached_says_why_and_hurts_no_other(hub: Hub, gate: str) -> None:
    hub.add_stream("refused", "rtsp://127.0.0.1:9/none", *GATE)
    try:
        status = until(
            lambda: (s := hub.get("/v1/streams/refused")["status"]) and s["error_code"] and s,
            20,
            "an error code",
        )
        assert status["error_code"] == "connect"
        until(lambda: hub.state(gate) == "live", 15, "the other is live")
    finally:
        hub.call("DELETE", "/v1/streams/refused")


def test_an_unknown_algorithm_is_refused_with_the_nearest_name(hub: Hub, cameras: CameraServer) -> None:
    body = {"id": "typo", "url": cameras.url(0), "tasks": [{"algorithm": "intrusoin"}]}
    answer = hub.call("POST", "/v1/streams", json=body)
    assert answer.status_code == 404
    assert "intrusion" in answer.json()["hint"]


def test_pausing_stops_analysis_and_resuming_starts_it(hub: Hub, gate: str) -> None:
    until(lambda: hub.state(gate) == "live", 15, "live")
    hub.call("PATCH", f"/v1/streams/{gate}", json={"enabled": False})
    until(lambda: hub.state(gate) == "paused", 10, "paused")
    hub.call("PATCH", f"/v1/streams/{gate}", json={"enabled": True})
    until(lambda: hub.state(gate) == "live", 15, "live again")


def test_live_events_arrive_over_server_sent_events(hub: Hub, gate: str) -> None:
    key = (hub.home / "admin.key").read_text().strip()
    with httpx2.stream(
        "GET", f"{hub.url}/v1/events/live", params={"stream": gate}, headers={"X-API-Key": key}, timeout=40.0
    ) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if line.startswith("data:"):
                assert gate in line
                return
    raise AssertionError("the stream of events ended without one")


def test_no_route_answers_without_a_key(hub: Hub) -> None:
    assert httpx2.get(f"{hub.url}/v1/streams").status_code == 401
    assert httpx2.get(f"{hub.url}/healthz").status_code == 200


def test_metrics_join_all_processes(hub: Hub, gate: str) -> None:
    until(lambda: hub.state(gate) == "live", 15, "live")
    text = until(
        lambda: (t := hub.call("GET", "/metrics").text) and f'stream="{gate}"' in t and t,
        15,
        "metrics of the stream",
    )
    assert "aihub_stream_frames_total" in text
    assert 'process="stream-host' in text


class TestFaults:
    """What must survive. Every test leaves the hub as it found it."""

    def test_a_killed_stream_host_comes_back_and_no_alarm_changes_its_id(
        self, hub: Hub, cameras: CameraServer
    ) -> None:
        # A fire that never ends: one cause, so one event before and after the kill.
        hub.add_stream("burning", cameras.url(1), {"id": "fire", "algorithm": "fire-smoke-detection"})
        try:
            before = until(lambda: hub.events("burning"), 40, "a fire event")
            (victim,) = hub.pids("stream-host")
            _kill(victim)
            begun = time.monotonic()
            until(lambda: (p := hub.pids("stream-host")) and victim not in p, 30, "a new process")
            until(lambda: _analyses(hub, "burning"), 30, "frames are analysed again")
            assert time.monotonic() - begun <= 15
            time.sleep(3)
            assert opened(hub.events("burning")) == opened(before)
        finally:
            hub.call("DELETE", "/v1/streams/burning")

    def test_a_killed_gateway_comes_back(self, hub: Hub, gate: str) -> None:
        until(lambda: hub.state(gate) == "live", 15, "live")
        analysed = hub.get(f"/v1/streams/{gate}")["status"]["frames_analysed"]
        (victim,) = hub.pids("gateway")
        _kill(victim)
        begun = time.monotonic()
        until(lambda: _ready(hub), 30, "ready again")
        assert time.monotonic() - begun <= 15
        assert hub.get(f"/v1/streams/{gate}")["status"]["frames_analysed"] >= analysed

    def test_a_locked_database_loses_no_event(self, hub: Hub, receiver: Receiver, gate: str) -> None:
        import sqlite3

        add_webhook(hub, receiver, gate)
        until(lambda: receiver.received, 40, "a delivered event")
        lock = sqlite3.connect(hub.home / "aihub.db", timeout=10)
        try:
            lock.execute("BEGIN IMMEDIATE")
            time.sleep(5)
        finally:
            lock.rollback()
            lock.close()
        count = len(receiver.received)
        until(lambda: len(receiver.received) > count + 2, 40, "deliveries go on")
        _delivered_is_stored(hub, receiver, gate)

    def test_a_receiver_that_is_down_for_a_minute_gets_everything(
        self, hub: Hub, receiver: Receiver, gate: str
    ) -> None:
        receiver.down()
        add_webhook(hub, receiver, gate)
        until(lambda: len(hub.events(gate)) >= 2, 60, "events while it is down")
        time.sleep(60)
        receiver.up()
        stored = opened(hub.events(gate))
        until(lambda: stored <= {body["data"]["id"] for body in receiver.received}, 90, "all arrive")
        _delivered_is_stored(hub, receiver, gate)

    def test_a_camera_that_goes_and_comes_back_is_live_within_five_seconds(self, hub: Hub) -> None:
        with CameraServer([SCENES["yard"]()], count=1) as camera:
            port = camera.port
            hub.add_stream("flaky", camera.url(0), {"id": "m", "algorithm": "motion-detection"})
            until(lambda: hub.state("flaky") == "live", 15, "live")
        try:
            until(lambda: hub.state("flaky") != "live", 20, "noticed")
            time.sleep(30)
            with CameraServer([SCENES["yard"]()], count=1, port=port):
                begun = time.monotonic()
                until(lambda: hub.state("flaky") == "live", 15, "live again")
                assert time.monotonic() - begun <= 5
        finally:
            hub.call("DELETE", "/v1/streams/flaky")


def test_streams_survive_a_restart_of_everything(tmp_path: Path) -> None:
    with CameraServer([SCENES["codes"]()], count=1) as camera:
        own = Hub(tmp_path)
        try:
            own.start()
            own.add_stream("kept", camera.url(0), *GATE)
            until(lambda: own.events("kept"), 40, "an event")
            before = opened(own.events("kept"))
            own.stop()
            own.start()
            until(lambda: _analyses(own, "kept"), 20, "analysed again")
            assert before <= opened(own.events("kept"))
        finally:
            own.stop()


def _kill(pid: int) -> None:
    import os
    import signal

    os.kill(pid, signal.SIGKILL)


def _ready(hub: Hub) -> bool:
    try:
        return httpx2.get(f"{hub.url}/readyz", timeout=2.0).status_code == 200
    except httpx2.HTTPError:
        return False


def _analyses(hub: Hub, stream: str) -> bool:
    status = hub.get(f"/v1/streams/{stream}")["status"]
    return bool(
        status["state"] == "live" and status["fps_analysed"] > 0 and time.time() - status["updated_at"] < 3
    )


def _delivered_is_stored(hub: Hub, receiver: Receiver, stream: str) -> None:
    """Every delivery is of a stored event, and one idempotency key never carries two bodies."""
    stored = opened(hub.events(stream))
    bodies: dict[str, dict[str, Any]] = {}
    for body in receiver.received:
        assert body["data"]["id"] in stored
        assert bodies.setdefault(body["id"], body) == body
