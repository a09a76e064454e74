"""What a person does wrong is told in words, with what to do about it; never in a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("infer black-screen nope.jpg", 2, ["no such file: nope.jpg"]),
        ("infer black-screen .", 2, ["no such file"]),  # a folder is none
        ("infer black-screen notes.txt", 2, ["notes.txt: the bytes are not a picture", "JPEG, PNG"]),
        ("infer black-screen empty.png", 2, ["empty.png: the picture is empty"]),
        ("infer black-screen cut.png", 2, ["cut.png: the picture is cut off"]),
        (
            "infer black-skreen grey.png",
            2,
            ["no algorithm named 'black-skreen'", "did you mean 'black-screen'?"],
        ),
        ("infer black-screen grey.png -p foo=1", 2, ["no parameter named 'foo'", "known: "]),
        ("infer black-screen grey.png -p luma=high", 2, ["luma must be a"]),
        ("infer black-screen grey.png -p luma", 2, ["'luma' is not NAME=VALUE"]),
        ("infer black-screen grey.png --out notes.txt", 2, ["notes.txt is no folder"]),
        ("infer audio-tagging hush.wav", 1, ["weights of", "are not here", "AIHUB_MODEL_MIRROR"]),
        ("algorithms show intruson", 2, ["did you mean 'intrusion'?"]),
        ("algorithms list --domain nope", 2, ["no domain named 'nope'", "use city-management, "]),
        ("algorithms check", 2, ["name one algorithm, or give --all, --domain or --file"]),
        ("algorithms check intrusion --all", 2, ["name one algorithm, or give --all, --domain or --file"]),
        ("models pull", 2, ["name models or give --all"]),
        ("models verify nope", 2, ["no model named 'nope'"]),
        ("models tune yolox-nano", 1, ["are not here", "aihub models pull yolox-nano"]),
        ("keys create me --scopes infer,fly", 2, ["unknown scopes: fly", "use admin, "]),
        ("keys create me --scopes ,", 2, ["no scopes given"]),
        ("keys revoke nope", 2, ["no key named 'nope'"]),
        ("streams list", 2, ["no API key, and no hub has run in", "aihub up"]),
        (
            "streams list --key k --url http://127.0.0.1:9",
            1,
            ["no hub answers at http://127.0.0.1:9", "--url"],
        ),
        ("streams list --key k --url hub:8000", 2, ["must begin with http:// or https://"]),
        ("streams add rtsp://h/1 -a intrusion -p zone", 2, ["'zone' is not NAME=VALUE"]),
        ("streams add rtsp://h/1 -a intrusion -p loitering.zone=3", 2, ["does not watch this stream"]),
        ("streams probe rtsp://127.0.0.1:9/1", 1, ["127.0.0.1:9 refuses"]),
        ("streams probe http://h/1", 2, ["rtsp://"]),
        ("events list --severity loud", 2, ["'loud' is not one of"]),
        ("cameras", 2, ["no files", "aihub cameras FILE"]),
        ("cameras nope.mp4", 2, ["no such file: nope.mp4"]),
        ("cameras notes.txt --port 0", 2, ["cannot be played"]),
        ("cameras grey.png --fault fire", 2, ["unknown fault 'fire'", "freeze"]),
        ("cameras --command rtsp://127.0.0.1:9/cam1", 2, ["--command goes with --fault"]),
        ("cameras --command rtsp://127.0.0.1:9/cam1 --fault freeze", 1, ["no camera server at 127.0.0.1:9"]),
        ("cameras --command cam1 --fault freeze", 2, ["'cam1' is not an rtsp:// address"]),
        ("up --port 70000", 2, ["the setting port is wrong", "AIHUB_PORT"]),
        ("up --address 127.0.0.1:9", 2, ["no Ray cluster answers at 127.0.0.1:9"]),
    ],
)
def test_mistakes(arguments: str, code: int, words: list[str], aihub: Run, here: Path, picture: Path) -> None:
    (here / "notes.txt").write_text("not a picture, not a film\n")
    (here / "empty.png").touch()
    with wave.open(str(here / "hush.wav"), "wb") as hush:
        hush.setparams((1, 2, 16000, 0, "NONE", ""))
        hush.writeframes(bytes(32000))
    (here / "cut.png").write_bytes(picture.read_bytes()[:-200])
    done = aihub(*arguments.split())
    assert done.code == code, done
    assert done.out == ""
    assert "Traceback" not in done.err
    assert not [word for word in words if word not in done.err], done.err


@pytest.mark.parametrize("verb", ["list", "tail"])
def test_a_hub_that_does_not_run_is_told_of_with_how_to_start_it(verb: str, aihub: Run, here: Path) -> None:
    assert aihub("keys", "list").code == 0  # makes the home with its key
    done = aihub("events", verb)
    assert done.code == 1
    assert done.out == ""
    assert "no hub answers at http://127.0.0.1:8000" in done.err
    assert "start one with `aihub up`" in done.err


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("AIHUB_PORT", "abc", 2, "AIHUB_PORT"),
        ("AIHUB_LOG_LEVEL", "LOUD", 2, "AIHUB_LOG_LEVEL"),
        ("AIHUB_DATABASE_URL", "garbage", 2, "database URL"),
        ("AIHUB_HOME", "notes.txt/home", 1, "notes.txt/home"),  # below a file there are no folders
    ],
)
def test_wrong_settings(
    name: str, value: str, code: int, words: str, aihub: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "notes.txt").touch()
    monkeypatch.setenv(name, value)
    done = aihub("keys", "list")
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "words"),
    [("port = ", "aihub.toml cannot be read"), ("prot = 1", "aihub.toml: there is no setting named 'prot'")],
)
def test_a_wrong_file_of_settings(text: str, words: str, aihub: Run, here: Path) -> None:
    (here / "aihub.toml").write_text(text)
    done = aihub("keys", "list")
    assert done.code == 2
    assert words in done.err


def test_a_taken_port_is_told_of_before_anything_starts(aihub: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = aihub("up", "--port", port, "--grpc-port", 0)
        assert done.code == 2
        assert f"port {port} is taken" in done.err
        assert aihub("cameras", __file__, "--port", port).code == 2


def test_a_reader_that_goes_away_ends_it_quietly(here: Path) -> None:
    command = [sys.executable, "-m", "aihub", "algorithms", "list", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1


def test_the_program_says_the_same_and_ends_with_the_same_code(here: Path) -> None:
    command = [sys.executable, "-m", "aihub", "algorithms", "show", "intruson", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no algorithm named 'intruson'\n  hint: did you mean 'intrusion'?\n"
