"""A camera playing to us: RTSP with the packets of its video between the answers (RFC 2326, 10.12).

One thread does everything: it waits for bytes, takes the packets out, and sends a sign of life when one is due. What
is held is one buffer of fixed size.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from contextlib import suppress
from dataclasses import replace

from aihub.errors import AuthError, ConnectError
from aihub.streams.conversation import (
    LARGEST_BODY,
    LARGEST_HEAD,
    Answer,
    Line,
    check,
    parse_head,
    spoken_plainly,
)

_BUFFER = 256 * 1024
_LARGEST_FRAME = 4 + 65535
_MOST_NOISE = 1024 * 1024
_MOST_EARLY = 4 * 1024 * 1024
_TICK_S = 0.25
_FAREWELL_S = 0.3
_USUAL_TIMEOUT_S = 60.0
_BYE = 203
_FRAME = struct.Struct("!BBH")
_MESSAGE = re.compile(rb"RTSP/|[A-Z_]{3,16} ")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,9})", re.IGNORECASE)
_CHANNELS = re.compile(r"interleaved=(\d{1,3})", re.IGNORECASE)
_TIMEOUT = re.compile(r"timeout=(\d{1,6})", re.IGNORECASE)


class UnsuitedError(Exception):
    """The camera does not send its video in a way that is read here; another receiver may do better."""


class RtspSession:
    """Has a camera play and gives the packets of its video.

    Args:
        line: the camera as it has described itself. It is taken over once the camera plays.
        deadline: monotonic seconds by which it must play.

    Raises:
        UnsuitedError: it does not send over the connection.
        AuthError, StreamMissingError, FormatError, ConnectError: it refuses, or does not answer in time.
    """

    def __init__(self, line: Line, deadline: float) -> None:
        talk = line.conversation
        self._line = line
        self._talk = talk
        self._socket: socket.socket = talk.connection
        self._buffer = memoryview(bytearray(_BUFFER))
        self._at = self._end = 0
        self._channel = 0
        self._answer: Answer | None = None
        self._early: list[bytes] = []
        self._noise = 0
        self._ended = False
        self._session = ""
        self._sign_every_s = _USUAL_TIMEOUT_S / 2
        self._sign_due = 0.0
        talk.deadline = deadline
        with spoken_plainly(talk.source):
            self._set_up()
            self._play(deadline)
        line.taken = True

    def packets(self, deadline: float) -> list[bytes]:
        """Wait for packets.

        Returns:
            At least one RTP packet; none when no packet came before `deadline` (monotonic seconds).

        Raises:
            ConnectError: the connection is at its end, or what comes makes no sense.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        try:
            return self._wait(deadline)
        except OSError:
            # Naming the fault costs more than a packet, so it is done only when there is one.
            with spoken_plainly(self._talk.source):
                raise

    def _wait(self, deadline: float) -> list[bytes]:
        while True:
            now = time.monotonic()
            if now >= self._sign_due:
                self._give_sign(now)
            if self._ended:
                raise ConnectError("the camera has ended the stream")
            if self._fill():
                found = self._parse()
                if found:
                    return found
            if now >= deadline:
                return []

    def close(self) -> None:
        """Tell the camera to stop and hang up; takes at most a moment."""
        with suppress(OSError, ConnectError, AuthError):
            self._answer = None
            self._send("TEARDOWN")
            # A camera that is hung up on with packets unread sees a broken connection, and may not read the request.
            self._tick(_FAREWELL_S / 3)
            until = time.monotonic() + _FAREWELL_S
            while self._answer is None and time.monotonic() < until:
                self._fill()
                self._parse()
        self._socket.close()

    def _set_up(self) -> None:
        line = self._line
        asked = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        answer = self._talk.ask("SETUP", asked, line.address(line.track.control))
        if answer.code == 461:
            raise UnsuitedError("not over TCP")
        check(answer, self._talk.source)
        transport = answer.headers.get("transport", "")
        if transport and "tcp" not in transport.lower():
            raise UnsuitedError("not over TCP")
        if channels := _CHANNELS.search(transport):
            self._channel = int(channels[1])
        session = answer.headers.get("session", "")
        self._session = session.partition(";")[0].strip()
        if timeout := _TIMEOUT.search(session):
            self._sign_every_s = min(max(int(timeout[1]) / 2, 1.0), _USUAL_TIMEOUT_S)
        rest = self._talk.rest()[:_BUFFER]
        self._buffer[: len(rest)] = rest
        self._end = len(rest)

    def _play(self, deadline: float) -> None:
        self._tick(_TICK_S)
        for _ in range(2):
            self._send("PLAY", {"Range": "npt=0.000-"})
            answer = self._wait_for_answer(deadline)
            if answer.code != 401:
                break
            self._talk.accept(answer)
        else:
            raise AuthError("the camera refuses this user or password")
        check(answer, self._talk.source)
        self._sign_due = time.monotonic() + self._sign_every_s

    def _tick(self, seconds: float) -> None:
        """Let no call into the network take longer than this."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(seconds)
            return
        # Python's own time-outs ask the system twice for every packet.
        self._socket.settimeout(None)
        limit = struct.pack("@ll", int(seconds), round(seconds % 1 * 1e6))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, limit)

    def _wait_for_answer(self, deadline: float) -> Answer:
        self._answer = None
        held = 0
        while self._answer is None:
            if time.monotonic() >= deadline:
                raise TimeoutError
            # Cameras begin to send before they answer; those packets hold the first picture.
            for packet in self._parse():
                held += len(packet)
                if held > _MOST_EARLY:
                    raise ConnectError("the camera sends without answering")
                self._early.append(packet)
            if self._answer is None:
                self._fill()
        return self._answer

    def _send(self, method: str, headers: dict[str, str] | None = None) -> None:
        known = {"Session": self._session} if self._session else {}
        line = self._line
        self._socket.sendall(
            self._talk.request(method, {**known, **(headers or {})}, line.address(line.description.control))
        )

    def _give_sign(self, now: float) -> None:
        """Keep the session from timing out. A password proof that has become stale is made anew."""
        answer, self._answer = self._answer, None
        if answer is not None and answer.code == 401:
            self._talk.accept(answer)
        methods = self._line.methods
        self._send("GET_PARAMETER" if "GET_PARAMETER" in methods else "OPTIONS")
        self._sign_due = now + self._sign_every_s

    def _fill(self) -> bool:
        """Receive once; False when nothing came for a tick."""
        if self._at == self._end:
            self._at = self._end = 0
        elif _BUFFER - self._end < _LARGEST_FRAME:
            rest = self._end - self._at
            self._buffer[:rest] = self._buffer[self._at : self._end]
            self._at, self._end = 0, rest
        try:
            received = self._socket.recv_into(self._buffer[self._end :])
        except (TimeoutError, BlockingIOError):
            return False
        if not received:
            raise ConnectError("the connection was lost")
        self._end += received
        return True

    def _parse(self) -> list[bytes]:
        """Take the whole packets and messages out of the buffer."""
        # Parts of bytes are had for a third of the time that parts of a view take.
        data, channel = bytes(self._buffer[self._at : self._end]), self._channel
        found: list[bytes] = []
        at, end = 0, len(data)
        while end - at >= 4:
            mark, place, size = _FRAME.unpack_from(data, at)
            if mark != 0x24:
                size = self._message(data[at : at + LARGEST_HEAD + LARGEST_BODY])
                if not size:
                    break
                at += size
                continue
            stop = at + 4 + size
            if stop > end:
                break
            if place == channel:
                found.append(data[at + 4 : stop])
            elif place == channel + 1:
                self._control(data[at + 4 : stop])
            at = stop
        self._at += at
        if found:
            self._noise = 0
        return found

    def _message(self, text: bytes) -> int:
        """Read an answer, or over a request or noise; gives its length, 0 while it is not there whole."""
        if text[0] in b"\r\n":
            return 1
        if not _MESSAGE.match(text) and not (len(text) < 20 and text.isupper()):
            size = text.find(b"$", 1)
            size = len(text) if size < 0 else size
            self._noise += size
            if self._noise > _MOST_NOISE:
                raise ConnectError("what the camera sends makes no sense")
            return size
        end = text.find(b"\r\n\r\n")
        if end < 0:
            if len(text) > LARGEST_HEAD:
                raise ConnectError("the camera's answer has no end")
            return 0
        head = text[:end]
        if not head.startswith(b"RTSP/"):
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if size > LARGEST_BODY:
                raise ConnectError("the camera's request has no end")
            return end + 4 + size if len(text) >= end + 4 + size else 0
        answer = parse_head(head)
        if len(text) < end + 4 + answer.length:
            return 0
        self._answer = replace(answer, body=text[end + 4 : end + 4 + answer.length])
        return end + 4 + answer.length

    def _control(self, packet: bytes) -> None:
        """Look for a farewell in what is said about the stream (RTCP)."""
        at = 0
        while at + 4 <= len(packet):
            if packet[at + 1] == _BYE:
                self._ended = True
            at += 4 + 4 * (packet[at + 2] << 8 | packet[at + 3])
