"""The probe against real sockets: every fault of a camera has its own type, within its time, whatever the server says."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.errors import AuthError, ConnectError, FormatError, StreamError, StreamMissingError
from aihub.streams.description import parse_description
from aihub.streams.probe import probe
from tests.streams.conftest import SOUND, TEST_PICTURE, GStreamerServer, h264, h265
from tests.streams.fakes import spec
from tests.streams.raw_servers import (
    SDP_SOUND,
    Handler,
    answering,
    free_port,
    reply,
    request,
    saying,
    serving,
    silent,
)

SDP_JPEG = "v=0\r\nm=video 0 RTP/AVP 26\r\n"


def ask(port: int, timeout_s: float = 2.0, **changes: str) -> None:
    probe(spec(url=f"rtsp://127.0.0.1:{port}/cam", **changes), timeout_s)


FAULTS: list[tuple[str, Handler, type[StreamError], str]] = [
    ("wrong path", answering(status="404 Not Found"), StreamMissingError, "no stream"),
    ("forbidden", answering(status="403 Forbidden"), AuthError, "does not let"),
    ("asks for a password, none is set", answering(status="401 Unauthorized"), AuthError, "none are set"),
    ("only sound", answering(body=SDP_SOUND), FormatError, "offers audio"),
    ("empty description", answering(body="v=0\r\n"), FormatError, "nothing"),
    ("overloaded", answering(status="503 Service Unavailable"), ConnectError, "503 Service Unavailable"),
    ("moved", answering(status="302 Found", Location="rtsp://u:p@x/y"), ConnectError, r"rtsp://\*\*\*@x/y"),
    ("a web server", saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ConnectError, "does not speak RTSP"),
    ("noise", saying(bytes(range(256)) * 8), ConnectError, "does not speak RTSP"),
    ("half an answer", saying(b"RTSP/1.0 200 OK\r\nCSeq"), ConnectError, "closed"),
    ("an answer without end", saying(b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 9000), ConnectError, "no end"),
    (
        "a description of a gigabyte",
        saying(b"RTSP/1.0 200 OK\r\nContent-Length: 1000000000\r\n\r\n"),
        ConnectError,
        "impossible size",
    ),
    (
        "a size of more digits than are read as a number",
        saying(b"RTSP/1.0 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"),
        ConnectError,
        "impossible size",
    ),
    (
        "a description of nothing in many words",
        answering(body=f"m={'x' * 5000} 0 RTP/AVP 96\r\n"),
        FormatError,
        "offers x{100}$",
    ),
    ("hangs up at once", lambda connection: None, ConnectError, "closed|no connection"),
]


@pytest.mark.parametrize(
    ("server", "error", "words"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_fault_has_a_type(server: Handler, error: type[StreamError], words: str) -> None:
    with serving(server) as port, pytest.raises(error, match=words):
        ask(port)


def test_refused_port() -> None:
    with pytest.raises(ConnectError, match="refuses"):
        ask(free_port())


def test_unknown_name() -> None:
    with pytest.raises(ConnectError, match="cannot be resolved"):
        probe(spec(url="rtsp://no-such-camera.invalid/x"), 2.0)


def test_silent_server_costs_the_time_out_and_no_more() -> None:
    started = time.monotonic()
    with serving(silent) as port, pytest.raises(ConnectError, match="in time"):
        ask(port, 0.4)
    assert 0.35 < time.monotonic() - started < 5


def test_server_that_drips_is_bounded_by_the_same_time() -> None:
    def drip(connection: socket.socket) -> None:
        for letter in b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 500:
            connection.sendall(bytes([letter]))
            time.sleep(0.02)

    started = time.monotonic()
    with serving(drip) as port, pytest.raises(ConnectError, match="in time"):
        ask(port, 0.5)
    assert time.monotonic() - started < 5


def test_server_without_tls_is_no_secure_camera() -> None:
    with serving(saying(b"RTSP/1.0 200 OK\r\n\r\n")) as port, pytest.raises(ConnectError):
        probe(spec(url=f"rtsps://127.0.0.1:{port}/cam"), 0.3)


def test_what_a_camera_has() -> None:
    with serving(answering(Server="Cam/1.0")) as port:
        found = probe(spec(url=f"rtsp://u:p@127.0.0.1:{port}/cam"), 2.0)
    assert (found.codec, found.tracks, found.fps, found.server) == ("H264", ("video/H264",), 12.5, "Cam/1.0")
    assert found.address == f"rtsp://***@127.0.0.1:{port}/cam"


@pytest.mark.parametrize(
    ("said", "fps"), [("25", 25.0), ("-1", 0.0), ("nan", 0.0), ("inf", 1000.0), ("1e999", 1000.0), ("x", 0.0)]
)
def test_a_frame_rate_is_a_number_whatever_is_said(said: str, fps: float) -> None:
    assert parse_description(f"m=video 0 RTP/AVP 96\na=framerate:{said}").fps == fps


@pytest.mark.parametrize(
    ("algorithm", "qop", "hashed"),
    [("", "", "md5"), ("MD5", "auth", "md5"), ("SHA-256", "auth,auth-int", "sha256")],
    ids=["as in RFC 2069", "with qop", "SHA-256"],
)
def test_digest_proof_is_what_the_rfc_says(algorithm: str, qop: str, hashed: str) -> None:
    """The server works the proof out by itself, from the words of RFC 7616."""
    seen: list[bool] = []

    def digest(text: str) -> str:
        return hashlib.new(hashed, text.encode()).hexdigest()

    def check(connection: socket.socket) -> None:
        while True:
            method, asked = request(connection)
            if method == "OPTIONS":
                reply(connection, asked["cseq"])
            elif "authorization" not in asked:
                extra = f', qop="{qop}"' if qop else ""
                extra += f", algorithm={algorithm}" if algorithm else ""
                challenge = f'Digest realm="r, 1", nonce="n0", opaque="o"{extra}'
                reply(connection, asked["cseq"], "401 Unauthorized", WWW_Authenticate=challenge)
            else:
                fields = dict(
                    part.split("=", 1)
                    for part in asked["authorization"].removeprefix("Digest ").split(", ")
                    if "=" in part
                )
                given = {name: value.strip('"') for name, value in fields.items()}
                url = f"rtsp://127.0.0.1:{port}/cam"
                one, two = digest("u:r, 1:p"), digest(f"DESCRIBE:{url}")
                middle = f"n0:{given['nc']}:{given['cnonce']}:auth" if qop else "n0"
                seen.append(given["response"] == digest(f"{one}:{middle}:{two}") and given["opaque"] == "o")
                reply(connection, asked["cseq"], body=SDP_JPEG)

    with serving(check) as port:
        found = probe(spec(url=f"rtsp://127.0.0.1:{port}/cam", username="u", password="p"), 2.0)
    assert seen == [True]
    assert (found.codec, found.auth) == ("JPEG", "digest")


def test_wrong_password_knocks_only_once() -> None:
    """Cameras lock accounts that are tried too often."""
    tries: list[str] = []

    def refuse(connection: socket.socket) -> None:
        while True:
            _, asked = request(connection)
            if "authorization" in asked:
                tries.append(asked["authorization"])
            reply(connection, asked["cseq"], "401 Unauthorized", WWW_Authenticate='Basic realm="r"')

    with serving(refuse) as port, pytest.raises(AuthError, match="refuses"):
        ask(port, username="u", password="wrong")
    assert len(tries) == 1


def test_password_is_not_sent_before_it_is_asked_for() -> None:
    seen: list[bool] = []

    def watch(connection: socket.socket) -> None:
        while True:
            method, asked = request(connection)
            seen.append("authorization" in asked)
            reply(connection, asked["cseq"], body=SDP_JPEG if method == "DESCRIBE" else "")

    with serving(watch) as port:
        ask(port, username="u", password="p")
    assert seen == [False, False]


@settings(max_examples=40, deadline=None)
@given(answer=st.binary(max_size=200))
def test_no_answer_makes_anything_but_a_stream_error(answer: bytes) -> None:
    with serving(saying(b"RTSP/1.0 200 OK\r\n" + answer)) as port, pytest.raises(StreamError):
        ask(port, 1.0)


@pytest.mark.gstreamer
def test_gstreamer_answers_are_understood(
    gstreamer: Callable[..., GStreamerServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    both = f"( {TEST_PICTURE.format(width=320, height=180)} ! x264enc ! rtph264pay name=pay0 {SOUND.format(number=1)} )"
    server = gstreamer(
        {"/cam": h264(), "/h265": h265(), "/both": both, "/horn": f"( {SOUND.format(number=0)} )"}
    )
    assert probe(spec(url=server.url("/cam"))).codec == "H264"
    assert probe(spec(url=server.url("/h265"))).codec == "H265"
    assert probe(spec(url=server.url("/both"))).tracks == ("video/H264", "audio/PCMA")
    with pytest.raises(FormatError, match="offers audio"):
        probe(spec(url=server.url("/horn")))
    with pytest.raises(StreamMissingError):
        probe(spec(url=server.url("/nothing")))


@pytest.mark.gstreamer
@pytest.mark.parametrize("method", ["basic", "digest"])
def test_gstreamer_lets_the_right_password_in(gstreamer: Callable[..., GStreamerServer], method: str) -> None:
    word = 'p@:/ß%&+"x'
    server = gstreamer({"/cam": h264()}, "--user", "ad min", "--password", word, "--auth", method)
    found = probe(spec(url=server.url(), username="ad min", password=word))
    assert found.auth == method
    for user, password in (("ad min", "wrong"), ("", "")):
        with pytest.raises(AuthError):
            probe(spec(url=server.url(), username=user, password=password))
