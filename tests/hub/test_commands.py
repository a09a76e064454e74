"""The command line against a running hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aihub.bench.cameras import CameraServer
from aihub.bench.footage import SCENES
from tests.hub.conftest import Hub, Receiver, until

pytestmark = [pytest.mark.hub, pytest.mark.timeout(300)]


class Person:
    """Somebody at a terminal of the machine on which the hub runs."""

    def __init__(self, hub: Hub) -> None:
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AIHUB_")
        }
        self.environment["AIHUB_HOME"] = str(hub.home)

    def types(self, *arguments: str, code: int = 0) -> str:
        """Run a command; its standard output. Where it fails, its standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "aihub", *arguments], capture_output=True, text=True, timeout=60,
            env=self.environment, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        if code:
            assert done.stdout == ""
            return done.stderr
        assert done.stderr == ""
        return done.stdout

    def asks(self, *arguments: str) -> Any:
        """Run a command with --json; the one value that it prints."""
        return json.loads(self.types(*arguments, "--json"))


@pytest.fixture
def person(hub: Hub) -> Person:
    return Person(hub)


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with CameraServer([SCENES["codes"]()]) as server:
        yield server.url(0)


@pytest.fixture
def stream(hub: Hub, camera: str, person: Person) -> Iterator[str]:
    """A camera that was added by command, without an id, so that the hub made one."""
    name: str = person.asks(
        "streams", "add", camera, "-a", "qr-and-barcode", "-a", "black-screen", "--name", "Gate"
    )["id"]
    until(lambda: hub.state(name) == "live", 15, "live")
    yield name
    hub.call("DELETE", f"/v1/streams/{name}")


def test_a_stream_is_added_looked_at_paused_and_removed(person: Person, hub: Hub, stream: str) -> None:
    until(lambda: hub.get(f"/v1/streams/{stream}")["status"]["frames_analysed"], 15, "analysed")
    (row,) = (line for line in person.types("streams", "list").splitlines() if line.startswith(stream))
    assert "live" in row
    assert "qr-and-barcode, black-screen" in row
    shown = person.types("streams", "show", stream)
    assert all(word in shown for word in (stream, "Gate", "H264", "analysed"))
    assert stream in {row["id"] for row in person.asks("streams", "list", "--state", "live")}
    assert person.asks("streams", "pause", stream)["enabled"] is False
    assert person.asks("streams", "pause", stream, "--resume")["enabled"] is True
    assert person.types("streams", "remove", stream) == f"removed {stream}\n"
    assert f"no stream named '{stream}'" in person.types("streams", "show", stream, code=2)


def test_parameters_reach_the_algorithm_they_name(person: Person, camera: str) -> None:
    watched = ("-a", "frozen-picture", "-a", "black-screen", "-p", "dwell=4", "-p", "black-screen.luma=20")
    made = person.asks("streams", "add", camera, "--id", "named", *watched)
    person.types("streams", "remove", "named", "--json")
    tasks = {task["algorithm"]: task["params"] for task in made["tasks"]}
    assert tasks == {"frozen-picture": {"dwell": 4}, "black-screen": {"dwell": 4, "luma": 20}}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("streams add {camera} -a intruson", 2, "did you mean 'intrusion'?"),
        ("streams add {camera} -a intrusion -p zone=3", 2, "zone must be"),
        ("streams add {camera} -a black-screen -a intrusion -p luma=20", 2, "tasks[1].params.luma"),  # which
        ("streams add http://h/1 -a intrusion", 2, "rtsp://"),
        ("streams add {camera} -a intrusion --transport pigeon", 2, "transport"),
        ("streams show nope", 2, "no stream named 'nope'"),
        ("streams list --key aihub_wrong", 1, "this API key is not valid"),
        ("sinks add pigeon", 2, "no sink kind named 'pigeon'"),
        ("sinks add webhook -p url=http://127.0.0.1:9/", 2, "-p secret="),  # how it is done
        ("sinks remove nope", 2, "no sink named 'nope'"),
        ("sinks replay nope", 2, "no sink named 'nope'"),
    ],
)
def test_mistakes(person: Person, camera: str, arguments: str, code: int, words: str) -> None:
    assert words in person.types(*arguments.format(camera=camera).split(), code=code)


def test_a_key_without_the_scope_is_told_which_it_lacks(person: Person) -> None:
    key = person.asks("keys", "create", "reader", "--scopes", "infer")["key"]
    complaint = person.types("streams", "list", "--key", key, code=1)
    assert "lacks the scope 'streams'" in complaint
    assert "aihub keys create" in complaint


def test_events_are_listed_whole_and_followed_until_ctrl_c(person: Person, hub: Hub, stream: str) -> None:
    command = [sys.executable, "-m", "aihub", "events", "tail", "--stream", stream, "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=person.environment
    ) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        step = json.loads(tail.stdout.readline())  # codes come and go all the time
        assert step["stream_id"] == stream
        tail.send_signal(signal.SIGINT)
        assert tail.wait(timeout=10) == 0
        assert tail.stderr.read() == ""
    events = person.asks("events", "list", "--stream", stream, "--limit", "1")
    assert len(events) == 1
    listed = person.types("events", "list", "--stream", stream)
    assert all(event["id"] in listed for event in hub.events(stream)[-1:])
    assert person.asks("events", "list", "--stream", stream, "--severity", "critical") == []


def test_sinks_come_deliver_and_go(person: Person, receiver: Receiver, stream: str) -> None:
    secret = "s" * 20
    given = ("-p", f"url={receiver.url}", "-p", f"secret={secret}", "--stream", stream, "--name", "desk")
    sink = person.asks("sinks", "add", "webhook", *given)
    assert secret not in json.dumps(sink)
    (row,) = (line for line in person.types("sinks", "list").splitlines() if sink["id"] in line)
    assert all(word in row for word in ("desk", "webhook", stream, "yes", "all"))
    until(lambda: receiver.received, 30, "a delivery")
    assert person.asks("sinks", "replay", sink["id"]) == {"replayed": 0}
    assert person.asks("sinks", "remove", sink["id"]) == {"removed": sink["id"]}
    assert sink["id"] not in {row["id"] for row in person.asks("sinks", "list")}


def test_a_second_hub_on_the_same_port_is_refused_at_once(person: Person, hub: Hub) -> None:
    begun = time.monotonic()
    complaint = person.types("up", "--port", str(hub.port), "--grpc-port", "0", code=2)
    assert f"port {hub.port} is taken" in complaint
    assert time.monotonic() - begun < 20
