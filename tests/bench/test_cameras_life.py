"""The camera server over its life: sessions that end, slow clients, passwords, commands from outside, restarts."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aihub.bench import footage
from aihub.bench.cameras import (
    CameraNotFoundError,
    CameraServer,
    EncodedClip,
    SilentClip,
    make_fault,
    send_fault,
)
from aihub.bench.cameras.auth import digest_response
from aihub.errors import AuthError, ConfigError, ConnectError, InputError, ParamsError, StreamMissingError
from aihub.types.frame import Image

from .conftest import SMALL, until
from .rtsp_client import client


def test_a_connection_that_closes_takes_its_session_along(server: CameraServer) -> None:
    before = server.statistics()["sessions"]
    with client(server.url(2)) as one:
        one.setup()
        one.play()
        one.packets(5)
        assert server.statistics()["sessions"] == before + 1
    until(lambda: server.statistics()["sessions"] == before)
    assert server.statistics()["cameras"]["cam3"]["clients"] == 0


def test_sessions_without_a_sign_of_life_end_and_keep_alive_keeps_them() -> None:
    with (
        CameraServer([SMALL], session_timeout_s=0.5) as server,
        client(server.url()) as silent,
        client(server.url()) as lively,
    ):
        for one in (silent, lively):
            assert one.setup().headers["session"].endswith(";timeout=1")
            one.play()
        for _ in range(11):
            assert lively.ask("GET_PARAMETER").status == 200
            time.sleep(0.1)
        assert lively.packets(1)
        statistics = server.statistics()
        assert (statistics["expired"], statistics["sessions"]) == (1, 1)
        with pytest.raises((ConnectionResetError, AssertionError)):
            silent.packets(10_000, seconds=3)


def test_receiver_reports_keep_a_session_alive() -> None:
    with CameraServer([SMALL], session_timeout_s=0.5) as server, client(server.url()) as one:
        one.setup()
        one.play()
        for _ in range(11):
            one.send(b"$\x01\x00\x08" + struct.pack(">BBHI", 0x80, 201, 1, 7))
            time.sleep(0.1)
        assert server.statistics()["sessions"] == 1


def test_a_slow_client_loses_whole_pictures_and_starts_again_at_a_key_picture() -> None:
    rng = np.random.default_rng(0)
    noisy = [rng.integers(0, 256, (144, 256, 3), np.uint8) for _ in range(10)]

    def frames() -> Iterator[Image]:
        for _ in range(20):
            yield from noisy

    clip = EncodedClip("noise", frames, 200.0)  # 11 MB a second
    with CameraServer([clip]) as server, client(server.url()) as one:
        one.setup()
        one.play()
        until(lambda: server.statistics()["cameras"]["cam1"]["units_dropped"] > 20, 10)
        packets = one.packets(4000, seconds=10)
        seams = [i for i, (a, b) in enumerate(pairwise(packets)) if (b.sequence - a.sequence) % 2**16 != 1]
        assert seams
        assert all(packets[i].marker and packets[i + 1].payload[0] & 31 == 7 for i in seams)
    clip.close()


def test_a_clip_that_does_not_repeat_ends_with_goodbye() -> None:
    short = footage.yard(size=(160, 90), fps=100, seconds=0.2)
    with CameraServer([short], loop=False) as server, client(server.url()) as one:
        one.setup()
        one.play()
        kinds = []
        for channel, data in one.frames(5):
            kinds.append(data[1] if channel else 0)
            if kinds[-1] == 203:
                break
        assert kinds[-1] == 203
        assert one.play().status == 200  # once more from the start
        assert one.packets(1)[0].payload[0] & 31 == 7


def test_sound_only() -> None:
    with CameraServer([SilentClip()]) as server, client(server.url()) as one:
        assert b"m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000" in one.ask("DESCRIBE").body
        one.setup()
        one.play()
        packets = one.packets(5)
        assert {(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(packets)} == {160}


def test_names_and_passwords() -> None:
    users = {"ann": "p@ss w/1"}
    with CameraServer([SMALL], users=users) as server, client(server.url()) as one:
        assert one.ask("OPTIONS").status == 200
        refused = one.ask("DESCRIBE")
        assert refused.status == 401
        assert [challenge.partition(" ")[0] for challenge in refused.challenges] == ["Digest", "Basic"]
        nonce = refused.challenges[0].split('nonce="')[1].partition('"')[0]
        for password, status in (("wrong", 401), (users["ann"], 200)):
            response = digest_response(
                user="ann",
                password=password,
                realm="aihub cameras",
                nonce=nonce,
                method="DESCRIBE",
                uri=one.url,
            )
            login = f'Digest username="ann", realm="aihub cameras", nonce="{nonce}", uri="{one.url}", response="{response}"'
            assert one.ask("DESCRIBE", Authorization=login).status == status
        assert server.url(user="ann").startswith("rtsp://ann:p%40ss%20w%2F1@127.0.0.1:")
        send_fault(server.url(user="ann"), "freeze")
        assert server.faults() == {"cam1": make_fault("freeze")}
        with pytest.raises(AuthError):
            send_fault(server.url(), "freeze")
        with pytest.raises(AuthError):
            send_fault(server.url(user="ann").replace("p%40", "q%40"), "freeze")


def test_faults_are_commanded_from_outside(server: CameraServer) -> None:
    with client(server.url(3)) as one:
        send_fault(server.url(3), "corrupt", probability=0.5, seed=9)
        told = one.ask("GET_PARAMETER", body=b"aihub-fault\r\naihub-statistics\r\n").body.decode()
        lines = dict(line.split(": ", 1) for line in told.splitlines())
        assert lines["aihub-fault"] == "corrupt probability=0.5 seed=9"
        assert json.loads(lines["aihub-statistics"])["units_dropped"] == 0
        assert one.ask("GET_PARAMETER", body=b"weather").status == 451
        assert one.ask("SET_PARAMETER", body=b"aihub-fault: explode").status == 451
        assert one.ask("SET_PARAMETER", body=b"brightness: 3").status == 451
    base = server.url(3).removesuffix("cam4")
    send_fault(base + "*", "freeze")
    assert {fault.kind if fault else "" for fault in server.faults().values()} == {"freeze"}
    server.fault(None, None)
    assert set(server.faults().values()) == {None}
    with pytest.raises(StreamMissingError):
        send_fault(base + "cam77", "freeze")
    with pytest.raises(ParamsError):
        send_fault(base + "cam1", "explode")


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError):
            CameraServer([SMALL], port=port).start()
    with pytest.raises(ConnectError):
        send_fault(f"rtsp://127.0.0.1:{port}/cam1", "freeze", timeout_s=1)


def test_it_starts_again_on_the_same_port() -> None:
    server = CameraServer([SMALL])
    for _ in range(2):
        with server, client(server.url()) as one:
            port = server.port
            assert one.setup().status == 200
        assert server.port == port
        with pytest.raises(InputError):
            server.statistics()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"files": []}, "nothing to play"),
        ({"files": [SMALL], "count": 0}, "no cameras"),
        ({"files": [SMALL], "count": 5000}, "too many"),
        ({"files": [SMALL], "session_timeout_s": 0}, "no time"),
        ({"files": [Path("does-not-exist.mp4")]}, "no such file"),
        ({"files": [Path(__file__)]}, "not a film"),
        ({"files": [SMALL], "fps": 0}, "no frames"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_servers(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError):
        CameraServer(**options).start()


def test_unknown_cameras_are_named(server: CameraServer) -> None:
    with pytest.raises(CameraNotFoundError):
        server.url(4)
    with pytest.raises(CameraNotFoundError, match="cam2"):
        server.fault("camm2", "freeze")
    with pytest.raises(ParamsError):
        server.fault(0, "explode")
