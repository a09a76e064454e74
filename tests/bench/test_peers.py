"""Peers: the same detector behind each, how they are started and ended, and what is said when they are not here."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil
import pytest

from aihub.bench import suite
from aihub.bench.peers import contestants
from aihub.bench.peers import installed as peers
from aihub.bench.peers.contestants import Contestant, Served, boxes_in, disagreement, drive
from aihub.bench.peers.installed import Installed, PeerCard
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suites.peers import Settings, run, write_settings
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.plugins import data_folder
from aihub.types import Frame
from benchmarks.peers import setup
from benchmarks.peers.detector import SETTINGS, Detector, DetectorSettings, decode

ALL = ["bentoml", "inference", "litserve", "mlserver", "ray-serve"]

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = json.dumps({"bytes": len(self.rfile.read(int(self.headers["Content-Length"])))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def installed(*command: str, **more: str) -> Installed:
    """A peer whose environment is this process's own."""
    card = PeerCard(
        name="tried", title="Tried", package="tried", license="MIT", command=command, environment=more
    )
    return Installed(card, Path(sys.executable), {"tried": "1.2"})


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings of a detector whose model is nowhere: for what does not run one."""
    path = tmp_path / "detector.json"
    path.write_text(json.dumps({"model": "nowhere.onnx"}))
    return path


# The detector.


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize("number", ["000000000036", "000000000009"])
def test_peers_find_what_the_hub_finds(number: str, media: Path, mirror: Path, tmp_path: Path) -> None:
    picture = media / "images" / "coco" / f"{number}.jpg"
    if not picture.exists():
        pytest.skip(f"no {picture.name} among the media")
    with Engine(ModelStore.from_folder(data_folder("models"), cache=tmp_path, mirror=str(mirror))) as engine:
        stand = Stand(tmp_path)
        stand._engine = engine
        path = write_settings(stand, Settings(keep=()))
        theirs = engine.detect("coco", Frame(decode(picture.read_bytes())), confidence=0.4).result(timeout=30)
        mine = Detector(DetectorSettings.read(path)).detect(picture.read_bytes())
    assert len(mine) == len(theirs)
    assert len(mine) > 0
    labels = [theirs.labels[class_id] for class_id in theirs.class_id]
    for box in mine:
        near = [index for index, label in enumerate(labels) if label == box["label"]
                and np.abs(theirs.xyxy[index] - box["box"]).max() <= 1.0]  # fmt: skip
        assert near, box
        assert min(abs(float(theirs.confidence[index]) - box["confidence"]) for index in near) < 0.01


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not a picture"):
        decode(b"not a picture at all")


def test_settings_are_read_from_where_the_environment_says(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_text(json.dumps({"model": "a.onnx", "labels": ["person"], "size": [640, 480]}))
    monkeypatch.setenv(SETTINGS, str(settings))
    assert peers.SETTINGS == SETTINGS
    assert DetectorSettings.read() == DetectorSettings("a.onnx", labels=("person",), size=(640, 480))


# Cards and environments.


def test_every_peer_has_a_card_that_says_how_and_on_whose_word() -> None:
    cards = peers.cards()
    assert [card.name for card in cards] == ALL
    for card in cards:
        assert (peers.place(card) / "requirements.txt").is_file()
        assert bool(card.command) != bool(card.no_server)
        assert all(
            advice.what and advice.why and advice.page.startswith("https://") for advice in card.settings
        )


def test_a_command_has_its_port_and_its_own_interpreter(tmp_path: Path) -> None:
    peer = installed("{bin}/tried", "--port", "{port}", "{work}", PLACE="{work}/home")
    bin_ = Path(sys.executable).parent
    assert peers.command_of(peer, 8123, tmp_path) == [f"{bin_}/tried", "--port", "8123", str(tmp_path)]
    environment = peers.environment_of(peer, tmp_path / "d.json", 8123, tmp_path)
    assert environment["PLACE"] == f"{tmp_path}/home"
    assert environment["PATH"].startswith(str(bin_))
    assert environment[SETTINGS] == str(tmp_path / "d.json")


def test_the_hubs_own_settings_do_not_reach_a_peer(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AIHUB_HOME", "RAY_ADDRESS", "RAY_SERVE_ENABLE_HA_PROXY"):
        monkeypatch.setenv(name, "mine")
    environment = peers.environment_of(installed(), settings, 1, tmp_path)
    assert {name for name in environment if name.startswith(("AIHUB_", "RAY_"))} == {SETTINGS}


def test_a_peer_that_is_not_installed_names_what_installs_it(tmp_path: Path) -> None:
    card = next(card for card in peers.cards() if card.name == "litserve")
    with pytest.raises(NotHereError, match=f"setup litserve --into {tmp_path}$"):
        peers.installed(card, tmp_path)


def test_a_peer_that_did_not_install_says_why(tmp_path: Path) -> None:
    card = next(card for card in peers.cards() if card.name == "litserve")
    (tmp_path / "litserve").mkdir()
    (tmp_path / "litserve" / peers.MARK).write_text(json.dumps({"failed": "No matching distribution"}))
    with pytest.raises(NotHereError, match="does not install here: No matching distribution"):
        peers.installed(card, tmp_path)


def test_pips_errors_are_the_reason() -> None:
    said = (
        "WARNING: slow\nERROR: Could not find a version\nnoise\nERROR: No matching distribution found for x\n"
    )
    assert setup.reason(said) == "Could not find a version No matching distribution found for x"
    assert setup.reason("something\nlast words\n") == "last words"


# Servers.


def test_a_server_is_waited_for_and_ended_with_all_that_came_of_it(settings: Path, tmp_path: Path) -> None:
    server, parent = tmp_path / "server.py", tmp_path / "parent.py"
    server.write_text(SERVER)
    parent.write_text("import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])")
    tried = installed("{python}", str(parent), str(server), "{port}")
    with peers.running(tried, settings, tmp_path / "w", b"jpeg") as it:
        everyone = peers.processes(it.pid)
        assert len(everyone) == 2
        taken = drive(f"{it.url}/detect", "", 2, 0.3)
        assert taken.per_second > 0
        assert not taken.failures
    assert not [one for one in everyone if psutil.pid_exists(one.pid) and one.status() != "zombie"]


def test_a_server_that_ends_says_its_last_words(settings: Path, tmp_path: Path) -> None:
    broken = installed("{python}", "-c", "raise SystemExit('no such model')")
    with (
        pytest.raises(NotHereError, match="no such model"),
        peers.running(broken, settings, tmp_path, b"jpeg"),
    ):
        pass


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "START_S", 0.5)
    silent = installed("{python}", "-c", "import time; time.sleep(60)")
    with (
        pytest.raises(NotHereError, match=r"does not answer within 0\.5 s"),
        peers.running(silent, settings, tmp_path, b""),
    ):
        pass


def test_a_server_that_is_gone_gave_no_answer() -> None:
    taken = drive("http://127.0.0.1:9/detect", "", 4, 0.2)
    assert (taken.per_second, taken.failures) == (0.0, 4)
    assert "refused" in taken.said


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"detections": [{"box": [0, 0, 4, 4], "label": "person", "confidence": 0.9}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def answering() -> Iterator[Served]:
    """A server in this process."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield Served(psutil.Process().pid, f"{url}/detect", f"{url}/echo")
        server.shutdown()


def test_who_is_not_quiet_is_started_for_its_turns_alone(
    answering: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[str] = []

    @contextmanager
    def started() -> Iterator[Served]:
        starts.append("up")
        yield answering
        starts.append("down")

    one = Contestant("tried", "Tried", "1", started)
    monkeypatch.setattr(contestants, "cpu_share", lambda *_: 0.05)
    assert one.quiet(0.1, 0.1)
    one.ask(b"x")
    assert starts == ["up"]
    monkeypatch.setattr(contestants, "cpu_share", lambda *_: 0.9)
    assert not one.quiet(0.1, 0.1)
    assert starts == ["up", "down"]
    assert one.ask(b"x")[0]["label"] == "person"
    assert starts == ["up", "down"] * 2


# Answers.


def test_boxes_are_found_wherever_they_stand() -> None:
    box = {"box": [0, 0, 1, 1], "label": "person", "confidence": 0.9}
    assert boxes_in({"results": [{"task": "x", "detections": [box]}], "ms": 3}) == [box]
    assert boxes_in([box]) == [box]
    assert boxes_in({"detections": []}) == []


@pytest.mark.parametrize(
    ("box", "differs"),
    [
        ({"box": [10, 10, 50, 52], "label": "person", "confidence": 0.8}, False),
        ({"box": [10, 10, 50, 90], "label": "person", "confidence": 0.8}, True),
        ({"box": [10, 10, 50, 50], "label": "dog", "confidence": 0.8}, True),
    ],
)
def test_answers_agree_where_sure_boxes_do(box: dict[str, object], differs: bool) -> None:
    mine = [{"box": [10, 10, 50, 50], "label": "person", "confidence": 0.9}]
    unsure = [{"box": [1, 1, 2, 2], "label": "cat", "confidence": 0.41}]
    assert bool(disagreement(mine, [box])) == differs
    assert bool(disagreement([box], mine + unsure)) == differs


def test_an_answer_without_boxes_disagrees_with_one_that_has_some() -> None:
    assert disagreement([{"box": [0, 0, 9, 9], "label": "person", "confidence": 0.9}], [])


# The suite.


def test_the_card_of_the_suite_is_sound() -> None:
    one = suite.find("peers")
    assert one.settings(quick=True).model_dump()["turns"] == 2
    assert set(one.settings().model_dump()["peers"]) == set(ALL)


@pytest.mark.media
@pytest.mark.weights
def test_where_no_peer_is_installed_each_is_skipped_by_name(
    media: Path, mirror: Path, tmp_path: Path, answering: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIHUB_TEST_MEDIA", str(media))
    monkeypatch.setenv("AIHUB_MODEL_MIRROR", str(mirror))
    hub = Contestant("hub", "aihub", "0", lambda: nullcontext(answering))
    monkeypatch.setattr(contestants, "hub", lambda *_: hub)
    stand = Stand(tmp_path, quick=True)
    try:
        run(stand, Settings(environments=tmp_path / "none", turns=1, warm_up=0, seconds=0.5, echo_s=0.5, curve_s=0, tune_s=0,
                            idle_s=0.5, idle=64))  # fmt: skip
    finally:
        stand.close()
    for title in ("BentoML", "LitServe", "MLServer", "plain Ray Serve"):
        assert "python -m benchmarks.peers.setup" in stand.skipped[title]
    assert "no peer took part" in stand.skipped["hub / best peer"]
    assert "cameras held by InferencePipeline" in stand.skipped
    names = {figure.name for figure in stand.figures}
    assert {"detect/hub", "detect/bare-loop", "echo/hub", "hub-over-bare", "idle-cpu/hub"} <= names
    assert not [name for name in names if "best-peer" in name or "litserve" in name]
