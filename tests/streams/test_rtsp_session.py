"""The session: what a camera may answer, when, and what becomes of it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.bench.cameras import CameraServer
from aihub.bench.footage import SCENES
from aihub.errors import AuthError, ConnectError, StreamError, StreamMissingError
from aihub.streams.conversation import Line
from aihub.streams.probe import probing
from aihub.streams.rtsp_session import RtspSession, UnsuitedError
from aihub.streams.sources import Source
from tests.streams.raw_servers import SDP_VIDEO, Handler, reply, request, serving

TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"


def rtp(payload: bytes = b"\x41\x9a", number: int = 0, channel: int = 0) -> bytes:
    packet = struct.pack("!BBHII", 0x80, 224, number, 1, 7) + payload
    return struct.pack("!BBH", 0x24, channel, len(packet)) + packet


BYE = (
    struct.pack("!BBH", 0x24, 1, 16)
    + struct.pack("!BBHI", 0x80, 201, 1, 7)
    + struct.pack("!BBHI", 0x81, 203, 1, 7)
)


class Script:
    """A camera that answers as it is told and notes what it was asked."""

    def __init__(self, play: bytes = b"", before: bytes = b"", **changes: str) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.play, self.before = play, before
        self.setup = changes.get("setup", "200 OK")
        self.played = changes.get("played", "200 OK")
        self.transport = changes.get("transport", TCP)
        self.session = changes.get("session", "1234;timeout=60")
        self.public = changes.get("public", "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER")
        self.base = changes.get("base", "")

    def handle(self, connection: socket.socket) -> None:
        while True:
            method, asked = request(connection)
            self.asked.append((method, asked))
            sequence = asked["cseq"]
            if method == "OPTIONS":
                reply(connection, sequence, Public=self.public)
            elif method == "DESCRIBE":
                headers = {"Content_Base": self.base} if self.base else {}
                reply(connection, sequence, body=SDP_VIDEO, **headers)
            elif method == "SETUP":
                reply(connection, sequence, self.setup, Transport=self.transport, Session=self.session)
            elif method == "PLAY":
                connection.sendall(self.before)
                reply(connection, sequence, self.played)
                connection.sendall(self.play)
            else:
                reply(connection, sequence)

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]


@contextmanager
def session(handle: Handler, timeout_s: float = 2.0) -> Iterator[RtspSession]:
    with ExitStack() as stack:
        port = stack.enter_context(serving(handle))
        probed = stack.enter_context(probing(Source(f"rtsp://127.0.0.1:{port}/cam", "u", "p"), timeout_s))
        assert probed.line is not None
        playing = RtspSession(probed.line, time.monotonic() + timeout_s)
        stack.callback(playing.close)
        yield playing


def soon(seconds: float = 2.0) -> float:
    return time.monotonic() + seconds


def read(playing: RtspSession, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        packets = playing.packets(soon())
        assert packets, "in time"
        found += packets
    return found


def test_packets_sent_before_the_answer_are_not_lost() -> None:
    with session(Script(before=rtp(number=1), play=rtp(number=2)).handle) as playing:
        assert [packet[3] for packet in read(playing, 2)] == [1, 2]


def test_other_channels_requests_and_noise_between_packets_are_read_over() -> None:
    between = [
        rtp(number=9, channel=4),
        struct.pack("!BBH", 0x24, 1, 8) + struct.pack("!BBHI", 0x80, 201, 1, 7),
        b"SET_PARAMETER rtsp://x RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc",
        b"\r\n",
        b"\x00\x01 noise",
        b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n",
    ]
    play = b"".join(rtp(number=i) + part for i, part in enumerate(between)) + rtp(number=len(between))
    with session(Script(play=play).handle) as playing:
        assert [packet[3] for packet in read(playing, 7)] == list(range(7))


def test_the_camera_chooses_the_channel_and_the_address() -> None:
    script = Script(
        play=rtp(number=1) + rtp(number=2, channel=6),
        transport="RTP/AVP/TCP;interleaved=6-7",
        base="rtsp://inside/x/",
    )
    with session(script.handle) as playing:
        assert [packet[3] for packet in read(playing, 1)] == [2]
    assert [asked[":url"] for _, asked in script.asked[2:]] == [
        "rtsp://inside/x/track1",
        "rtsp://inside/x/",
        "rtsp://inside/x/",
    ]
    assert script.methods()[-1] == "TEARDOWN"


@pytest.mark.parametrize(("public", "sign"), [("GET_PARAMETER", "GET_PARAMETER"), ("PLAY", "OPTIONS")])
def test_signs_of_life_go_out_in_time(public: str, sign: str) -> None:
    script = Script(play=rtp(), session="9;timeout=2", public=public)
    with session(script.handle) as playing:
        read(playing, 1)
        assert playing.packets(soon(1.7)) == []
    assert script.methods()[4:] == [sign, "TEARDOWN"]
    assert script.asked[4][1]["session"] == "9"


def test_a_farewell_ends_it() -> None:
    with session(Script(play=rtp() + BYE).handle) as playing:
        read(playing, 1)
        with pytest.raises(ConnectError, match="ended"):
            playing.packets(soon())


def test_a_connection_that_is_lost_is_told() -> None:
    def hang_up(connection: socket.socket) -> None:
        threading.Timer(0.4, lambda: connection.shutdown(socket.SHUT_RDWR)).start()
        Script(play=rtp()).handle(connection)

    with session(hang_up) as playing:
        read(playing, 1)
        with pytest.raises(ConnectError):
            playing.packets(soon())


def test_silence_costs_the_time_out_and_no_more() -> None:
    with session(Script().handle) as playing:
        started = time.monotonic()
        assert playing.packets(soon(0.3)) == []
        assert time.monotonic() - started < 5


REFUSALS: list[tuple[str, Script, type[Exception]]] = [
    ("no TCP", Script(setup="461 Unsupported Transport"), UnsuitedError),
    ("UDP all the same", Script(transport="RTP/AVP;unicast;client_port=5000-5001"), UnsuitedError),
    ("no such track", Script(setup="404 Not Found"), StreamMissingError),
    ("may not set up", Script(setup="403 Forbidden"), AuthError),
    ("may not play", Script(played="401 Unauthorized"), AuthError),
    ("too many viewers", Script(played="453 Not Enough Bandwidth"), ConnectError),
    ("restarting", Script(setup="503 Service Unavailable"), ConnectError),
    ("an answer without end", Script(before=b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 20000), ConnectError),
    ("two megabytes of noise", Script(before=b"\x01" * 2_000_000), ConnectError),
    ("sends and never answers", Script(before=rtp(bytes(60000)) * 80), ConnectError),
]


@pytest.mark.parametrize(("script", "error"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_refusal_has_a_type(script: Script, error: type[Exception]) -> None:
    with pytest.raises(error), session(script.handle):
        pass


def test_the_connection_is_closed_when_the_camera_refuses_and_kept_when_it_plays() -> None:
    def line(script: Script) -> tuple[Line, bool]:
        with serving(script.handle) as port, probing(Source(f"rtsp://127.0.0.1:{port}/cam"), 2) as probed:
            assert probed.line is not None
            try:
                RtspSession(probed.line, soon()).close()
            except StreamError:
                return probed.line, False
            return probed.line, True

    played, done = line(Script(play=rtp()))
    assert (played.taken, done) == (True, True)
    refused, done = line(Script(setup="503 Service Unavailable"))
    assert (refused.taken, done) == (False, False)
    assert refused.conversation.connection.fileno() == -1


@settings(max_examples=30, deadline=None)
@given(noise=st.lists(st.one_of(st.binary(max_size=80), st.just(rtp())), max_size=8))
def test_no_bytes_make_anything_but_a_stream_error(noise: list[bytes]) -> None:
    with session(Script(play=b"".join(noise)).handle) as playing:
        try:
            for packet in playing.packets(soon(0.05)):
                assert len(packet) < 65536
        except StreamError:
            pass


@pytest.mark.parametrize("users", [{}, {"u": "p"}], ids=["open", "digest"])
def test_our_simulator_plays(users: dict[str, str]) -> None:
    with CameraServer([SCENES["yard"]()], users=users) as cameras:
        with probing(Source(cameras.url(0).replace("u:p@", ""), "u", "p"), 5) as probed:
            assert probed.line is not None
            playing = RtspSession(probed.line, soon())
        assert len(read(playing, 20)) >= 20
        playing.close()
