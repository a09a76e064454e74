"""A bare RTSP client over one TCP connection, strict about what it is sent."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = b""
    challenges: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Packet:
    """One RTP packet."""

    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    arrived: float

    @classmethod
    def read(cls, data: bytes) -> Packet:
        first, kind, sequence, timestamp, ssrc = struct.unpack_from(">BBHII", data)
        assert first == 0x80
        return cls(bool(kind & 0x80), sequence, timestamp, ssrc, data[12:], time.monotonic())


class Client:
    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        parts = urlsplit(url)
        self.url = url
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout_s)
        self.session = ""
        self._buffer = b""
        self._number = 0

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, method: str, url: str | None = None, body: bytes = b"", **headers: str) -> Answer:
        """Send a request and wait for its answer; packets that come first are put aside."""
        self._number += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self._number}"]
        if self.session:
            lines.append(f"Session: {self.session}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)
        answer = self.answer()
        if answer.status == 200:
            assert answer.headers["cseq"] == str(self._number)
        return answer

    def answer(self) -> Answer:
        while True:
            self._need(4)
            if self._buffer[:1] != b"$":
                break
            self._take_frame()
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        body = self._take(int(headers.get("content-length", "0")))
        match = re.fullmatch(r"RTSP/1\.0 (\d{3}) .+", first)
        assert match
        challenges = [value for name, value in pairs if name == "WWW-Authenticate"]
        return Answer(int(match[1]), headers, body, challenges)

    def setup(self, transport: str = TCP) -> Answer:
        answer = self.ask("SETUP", f"{self.url}/trackID=1", Transport=transport)
        if answer.status == 200:
            self.session = answer.headers["session"].partition(";")[0]
        return answer

    def play(self, **headers: str) -> Answer:
        return self.ask("PLAY", None, b"", **headers)

    def frames(self, seconds: float) -> Iterator[tuple[int, bytes]]:
        """Interleaved frames as (channel, data) for some time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._need(4)
            assert self._buffer[:1] == b"$", self._buffer[:80]
            yield self._take_frame()

    def packets(self, count: int, seconds: float = 10.0) -> list[Packet]:
        """The next RTP packets."""
        found: list[Packet] = []
        for channel, data in self.frames(seconds):
            if channel == 0:
                found.append(Packet.read(data))
            if len(found) == count:
                return found
        raise AssertionError(f"{len(found)} packets of {count} after {seconds} s")

    def _take_frame(self) -> tuple[int, bytes]:
        self._need(4)
        channel, size = struct.unpack_from(">BH", self._buffer, 1)
        self._take(4)
        return channel, self._take(size)

    def _take(self, size: int) -> bytes:
        self._need(size)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _need(self, size: int) -> None:
        while len(self._buffer) < size:
            self._more()

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._buffer += data

    def close(self) -> None:
        self.socket.close()


@contextmanager
def client(url: str, timeout_s: float = 5.0) -> Iterator[Client]:
    one = Client(url, timeout_s)
    try:
        yield one
    finally:
        one.close()


def pictures(packets: list[Packet]) -> list[list[bytes]]:
    """NAL units by picture, put together as RFC 6184 says; a picture that is not whole at the end is left out."""
    found: list[list[bytes]] = []
    units: list[bytes] = []
    part = b""
    for packet in packets:
        kind = packet.payload[0] & 31
        if kind == 28:
            indicator, header = packet.payload[:2]
            if header & 0x80:
                part = bytes((indicator & 0xE0 | header & 31,))
            part += packet.payload[2:]
            if header & 0x40:
                units.append(part)
        else:
            assert 1 <= kind <= 23
            units.append(packet.payload)
        if packet.marker:
            found.append(units)
            units = []
    return found
