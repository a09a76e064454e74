"""All that a camera says from the first answer on: RTSP, its description, and packets between the answers.

Input: a byte with the size of the pieces in which it arrives, then what is said, whatever is asked.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import cast

from aihub.errors import AihubError, StreamError
from aihub.streams.conversation import Conversation, Line
from aihub.streams.parameter_sets import picture_format
from aihub.streams.probe import _ask
from aihub.streams.rtsp_session import RtspSession, UnsuitedError
from aihub.streams.sources import Source
from tests.fuzz.law import judge

LONGEST = 8192
PLENTY_S = 60.0
PASSWORD = "a secret"
WORDS = (
    b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 401 Unauthorized\r\n", b"\r\n\r\n", b"Content-Length: ", b"CSeq: 1\r\n", b"Transport: RTP/AVP/TCP;interleaved=2-3\r\n",
    b"Session: 1;timeout=1\r\n", b"WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", algorithm=SHA-256\r\n", b"WWW-Authenticate: Basic\r\n",
    b"m=video 0 RTP/AVP 96\r\n", b"a=rtpmap:96 H264/90000\r\n", b"a=fmtp:96 sprop-parameter-sets=", b"a=control:", b"a=framerate:", b"rtsp://a:b@c/",
    b"$\0\0\x0c", b"$\x01\0\x08", b"\x81\xcb", b"ANNOUNCE rtsp://x RTSP/1.0\r\n", b"Content-Base: ", b"Public: GET_PARAMETER\r\n", b"Location: ",
)  # fmt: skip
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkAUAW6EAAAAwAQAAADAyDxYuSA,aMuDyyA=\r\n"
    b"a=framerate:12.5\r\na=control:track1\r\n"
)


class Saying:
    """The socket of a camera that says what it has to say and hangs up."""

    def __init__(self, text: bytes, size: int) -> None:
        self._text, self._size = text, size

    def recv(self, most: int) -> bytes:
        size = min(self._size, most)
        piece, self._text = self._text[:size], self._text[size:]
        return piece

    def recv_into(self, buffer: memoryview) -> int:
        piece = self.recv(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def sendall(self, data: bytes) -> None:
        assert data.isascii() or data.decode(), "requests are text"

    def settimeout(self, seconds: float | None) -> None:
        assert seconds is None or seconds > 0

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """There is nothing to set."""

    def close(self) -> None:
        """There is nothing to close."""


def check(data: bytes) -> bool:
    """Packets that were sent, then the end; or an error that says what is wrong with the camera and no password."""
    camera = Saying(data[1:], 16 * data[0] + 1 if data else 1)
    deadline = time.monotonic() + PLENTY_S
    received = 0
    try:
        for packet in _played(cast("socket.socket", camera), deadline):
            received += len(packet)
    except UnsuitedError:
        return False
    except AihubError as error:
        _refused(error)
    assert received <= len(data)
    assert time.monotonic() < deadline
    return received > 0


def _played(connection: socket.socket, deadline: float) -> Iterator[bytes]:
    source = Source("rtsp://127.0.0.1/cam", "user", PASSWORD)
    line = _ask(source, Conversation(connection, source, deadline), PLENTY_S).line
    assert line is not None
    _look_at(line)
    session = RtspSession(line, deadline)
    try:
        while packets := session.packets(deadline):
            yield from packets
    finally:
        session.close()


def _refused(error: AihubError) -> None:
    judge(error, named=False)
    assert isinstance(error, StreamError), "the reader knows what to do about these alone"
    assert PASSWORD not in str(error)


def _look_at(line: Line) -> None:
    assert 0 <= line.description.fps <= 1000
    assert len(line.description.tracks) <= 64
    assert line.address(line.track.control)
    for unit in line.track.parameter_sets():
        for codec in ("H264", "H265"):
            size = picture_format(codec, unit)
            assert size is None or 1 <= size.width <= 16384


def seeds() -> list[bytes]:
    """A session as it should be, one with a question for the password, each in large and small pieces."""
    ok, end = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n", b"\r\n"
    question = (
        b'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="a", nonce="b", qop="auth"\r\n\r\n'
    )
    options = ok + b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n" + end
    described = ok + b"Content-Base: rtsp://127.0.0.1/cam/\r\nContent-Length: %d\r\n\r\n" % len(SDP) + SDP
    setup = ok + b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 12;timeout=60\r\n" + end
    packet = struct.pack("!BBH", 0x24, 0, 15) + struct.pack("!BBHII", 0x80, 224, 1, 1, 7) + b"\x41\x9a\0"
    report = struct.pack("!BBH", 0x24, 1, 8) + struct.pack("!BBHI", 0x80, 201, 1, 7)
    asked = b"SET_PARAMETER rtsp://x RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc"
    bye = struct.pack("!BBH", 0x24, 1, 8) + struct.pack("!BBHI", 0x81, 203, 1, 7)
    plain = (
        options
        + described
        + setup
        + packet
        + ok
        + end
        + packet
        + report
        + b"\r\nnoise"
        + asked
        + packet
        + bye
    )
    return [
        bytes((size,)) + text
        for size in (255, 0)
        for text in (plain, options + question + plain[len(options) :])
    ]
