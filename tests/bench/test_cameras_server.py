"""The camera server spoken to over a bare socket: methods, states, sessions, clients that misbehave."""

from __future__ import annotations

import random
import socket
import struct
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from aihub.bench import footage
from aihub.bench.cameras import (
    CameraServer,
    h264,
)

from .conftest import SMALL, until
from .rtsp_client import TCP, Client, Packet, client, pictures


def test_a_whole_conversation(camera: Client) -> None:
    public = camera.ask("OPTIONS").headers["public"]
    for method in ("DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER"):
        assert method in public
    described = camera.ask("DESCRIBE", Accept="application/sdp")
    assert described.headers["content-type"] == "application/sdp"
    assert described.headers["content-base"] == camera.url + "/"
    assert b"a=control:trackID=1" in described.body
    transport = camera.setup().headers["transport"]
    played = camera.play(Range="npt=0.000-")
    info = dict(part.split("=", 1) for part in played.headers["rtp-info"].split(";"))
    first = camera.packets(1)[0]
    assert info["url"] == camera.url + "/trackID=1"
    assert (int(info["seq"]), int(info["rtptime"])) == (first.sequence, first.timestamp)
    assert f"ssrc={first.ssrc:08X}" in transport
    assert camera.ask("GET_PARAMETER").headers["session"].startswith(camera.session)
    assert camera.ask("PAUSE").status == 200
    assert camera.ask("TEARDOWN").status == 200
    assert camera.ask("GET_PARAMETER").status == 454


def test_what_arrives_is_what_was_drawn(server: CameraServer, camera: Client, tmp_path: Path) -> None:
    camera.setup()
    camera.play()
    found = pictures(camera.packets(60))[:20]
    path = tmp_path / "stream.h264"
    path.write_bytes(b"".join(h264.join_annexb(units) for units in found))
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_CONVERT_RGB, 0])
    for image, _ in zip(SMALL.frames(), range(20), strict=False):
        ok, luma = capture.read()
        assert ok
        expected = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)[: image.shape[0]]
        np.testing.assert_array_equal(luma, expected)


def test_parameter_sets_stand_before_every_key_picture_and_time_goes_on_at_the_loop() -> None:
    short = footage.yard(size=(160, 90), fps=100, seconds=0.15)
    with CameraServer([short]) as server, client(server.url()) as one:
        one.setup()
        one.play()
        packets = one.packets(150)
    kinds = [[unit[0] & 31 for unit in units] for units in pictures(packets)]
    keys = [number for number, one in enumerate(kinds) if 5 in one]
    assert keys[:3] == [0, 15, 30]
    assert all(kinds[number] == [7, 8, 5] for number in keys)
    stamps = list(dict.fromkeys(packet.timestamp for packet in packets))
    assert {(after - before) % 2**32 for before, after in pairwise(stamps)} == {900}
    assert {(after.sequence - before.sequence) % 2**16 for before, after in pairwise(packets)} == {1}


def test_pictures_come_at_their_rate(camera: Client) -> None:
    camera.setup()
    camera.play()
    packets = [packet for packet in camera.packets(80) if packet.marker]
    spent = packets[-1].arrived - packets[0].arrived
    assert spent == pytest.approx((len(packets) - 1) / 100, rel=0.1, abs=0.05)


def test_a_report_comes_first_and_its_clock_is_the_wall_clock(camera: Client) -> None:
    camera.setup()
    camera.play()
    channel, data = next(camera.frames(5))
    packet = camera.packets(1)[0]
    assert (channel, data[1]) == (1, 200)
    whole, part, stamp = struct.unpack_from(">III", data, 8)
    assert whole - 2_208_988_800 + part / 2**32 == pytest.approx(time.time(), abs=1.0)
    assert abs((packet.timestamp - stamp + 2**31) % 2**32 - 2**31) < 9000


def test_every_client_has_its_own_timeline_and_all_share_the_pictures(server: CameraServer) -> None:
    with client(server.url(1)) as one, client(server.url(1)) as two:
        for each in (one, two):
            each.setup()
            each.play()
        a, b = one.packets(20), two.packets(20)
        assert [packet.payload for packet in a] == [packet.payload for packet in b]
        assert a[0].ssrc != b[0].ssrc
        assert server.statistics()["cameras"]["cam2"]["clients"] == 2


def test_pause_stops_and_play_goes_on_where_it_was(camera: Client) -> None:
    camera.setup()
    camera.play()
    before = camera.packets(20)
    camera.ask("PAUSE")
    camera.socket.settimeout(0.15)
    with pytest.raises(TimeoutError):
        camera.packets(1)
    camera.socket.settimeout(5)
    played = camera.play()
    after = camera.packets(1)[0]
    assert f"seq={after.sequence}" in played.headers["rtp-info"]
    # What was on its way when PAUSE came was read by the waiting above: time and numbers go on behind it.
    assert 0 < (after.timestamp - before[-1].timestamp) % 2**32 < 90_000
    assert after.payload[0] & 31 in {1, 5, 7, 28}


def test_udp_packets_come_to_the_clients_port(server: CameraServer, camera: Client) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp:
        rtp.bind(("127.0.0.1", 0))
        rtp.settimeout(5)
        port = rtp.getsockname()[1]
        answer = camera.setup(f"RTP/AVP;unicast;client_port={port}-{port + 1}")
        transport = answer.headers["transport"]
        assert f"client_port={port}-{port + 1}" in transport
        ours = int(transport.split("server_port=")[1].partition("-")[0])
        assert ours % 2 == 0
        camera.play()
        data, sender = rtp.recvfrom(2048)
        assert sender == ("127.0.0.1", ours)
        assert len(data) <= 1500
        assert Packet.read(data).payload[0] & 31 == 7
    sessions = server.statistics()["sessions"]
    until(lambda: server.statistics()["sessions"] < sessions)  # the port is closed: the session ends


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "why"),
    [
        ("DESCRIBE", "/cam99", {}, 404, "no such camera"),
        ("DESCRIBE", "/cam1/trackID=1", {}, 404, "a track is no presentation"),
        ("DESCRIBE", "/", {}, 404, "no path"),
        ("SETUP", "/cam1", {"Transport": TCP}, 459, "the presentation is set up by its track"),
        ("SETUP", "/cam1/trackID=2", {"Transport": TCP}, 404, "no such track"),
        ("SETUP", "/cam1/trackID=1", {}, 461, "no transport"),
        ("SETUP", "/cam1/trackID=1", {"Transport": "RTP/AVP;multicast"}, 461, "multicast"),
        ("SETUP", "/cam1/trackID=1", {"Transport": TCP, "Session": "x"}, 454, "unknown session"),
        ("PLAY", "/cam1", {}, 454, "no session"),
        ("PLAY", "/cam1", {"Session": "0000"}, 454, "unknown session"),
        ("PAUSE", "/cam1", {}, 454, "no session"),
        ("TEARDOWN", "/cam1", {"Session": "0000"}, 454, "unknown session"),
        ("GET_PARAMETER", "/cam1", {"Session": "0000"}, 454, "unknown session"),
        ("RECORD", "/cam1", {}, 405, "a camera does not record"),
        ("BREW", "/cam1", {}, 501, "unknown method"),
        ("OPTIONS", "/cam1", {"Require": "funky"}, 551, "unknown feature"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_requests_that_cannot_be_served(
    server: CameraServer, method: str, path: str, headers: dict[str, str], status: int, why: str
) -> None:
    with client(server.url(0)) as one:
        base = server.url(0).removesuffix("/cam1")
        assert one.ask(method, base + path, b"", **headers).status == status
        assert one.ask("OPTIONS").status == 200  # the connection lives on


def test_methods_in_the_wrong_state(camera: Client) -> None:
    camera.setup()
    assert camera.ask("PAUSE").status == 455
    assert camera.play(Range="clock=2026-").status == 457
    camera.play()
    assert camera.setup().status == 455
    assert camera.ask("PLAY", camera.url.replace("cam1", "cam2")).status == 455


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505),
        (b"OPTIONS * RTSP/1.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"DESCRIBE\r\n\r\n", 400),
        (b"\x80" * 64, 400),
        (b"PLAY " + b"a" * 20_000, 413),
        (b"PLAY rtsp://x/cam1 RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n", 413),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_broken_requests_are_answered_and_the_server_lives(
    server: CameraServer, data: bytes, status: int
) -> None:
    with client(server.url(0)) as one:
        one.send(data)
        assert one.answer().status == status
    with client(server.url(0)) as one:
        assert one.ask("DESCRIBE").status == 200


def test_noise_does_not_hurt_the_server(server: CameraServer) -> None:
    rng = random.Random(5)
    good = b"SETUP rtsp://h/cam1/trackID=1 RTSP/1.0\r\nCSeq: 1\r\nTransport: " + TCP.encode() + b"\r\n\r\n"
    for _ in range(60):
        data = bytearray(good * 2)
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with client(server.url(0)) as one:
            one.send(bytes(data[: rng.randrange(1, len(data))]))
    with client(server.url(0)) as one:
        assert one.setup().status == 200
    assert server.statistics()["errors"] == 0
