"""The ways out of the server: an RTSP connection, or a pair of UDP sockets. Never blocking, never unbounded.

A picture is taken whole or refused whole, so that a slow client loses pictures and never parts of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Protocol

from aihub.bench.cameras.clip import Unit
from aihub.bench.cameras.faults import Damage
from aihub.bench.cameras.rtp import Buffer, Lane, framed_control

QUEUE_BYTES = 1024 * 1024
"""Bytes that wait for one client, at most; one picture is always taken when nothing waits."""

ANSWER_BYTES = 8 * QUEUE_BYTES
"""The same for answers to requests: a client too slow for the pictures may still talk."""

_VECTOR = 1024
"""Buffers in one `sendmsg`, at most (IOV_MAX)."""

_BURST = 16
"""Datagrams sent at once: more, and the receiver's socket buffer overflows on large pictures."""

_BURST_GAP_S = 0.001


class Sink(Protocol):
    """Where a player puts its packets."""

    def send(self, lane: Lane, unit: Unit, ticks: int, damage: Damage | None) -> bool:
        """Number and send a picture; False if there is no room and nothing was sent."""

    def control(self, packet: bytes) -> None:
        """Send an RTCP packet, if there is room."""

    def close(self) -> None:
        """Send nothing more."""


class Wire:
    """A TCP connection with a bounded queue.

    Args:
        loop: the loop all calls come from.
        sock: connected, non-blocking.
        on_lost: called once when the peer is gone.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, on_lost: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._on_lost = on_lost
        self._queue: deque[memoryview] = deque()
        self._closed = False
        self.pending = 0

    def send(self, parts: Sequence[Buffer], *, most: int = QUEUE_BYTES) -> bool:
        """Send the buffers in order, all or none; False if more than `most` bytes wait already."""
        if self._closed or self.pending > most:
            return False
        if not self.pending:
            sent = self._write(parts)
            self._enqueue(parts, sent)
        else:
            self._enqueue(parts, 0)
        return True

    def _write(self, parts: Sequence[Buffer]) -> int:
        """Bytes the system took."""
        try:
            return self._sock.sendmsg(parts[:_VECTOR] if len(parts) > _VECTOR else parts)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._lose()
            return 0

    def _enqueue(self, parts: Sequence[Buffer], sent: int) -> None:
        if self._closed:
            return
        waited = self.pending
        for part in parts:
            if sent >= len(part):
                sent -= len(part)
                continue
            view = memoryview(part)[sent:]
            sent = 0
            self._queue.append(view)
            self.pending += len(view)
        if self.pending and not waited:
            self._loop.add_writer(self._sock, self._flush)

    def _flush(self) -> None:
        parts = [self._queue[i] for i in range(min(len(self._queue), _VECTOR))]
        sent = self._write(parts)
        self.pending -= sent
        while sent and self._queue:
            first = self._queue[0]
            if sent < len(first):
                self._queue[0] = first[sent:]
                break
            sent -= len(first)
            self._queue.popleft()
        if not self.pending and not self._closed:
            self._loop.remove_writer(self._sock)

    def _lose(self) -> None:
        if not self._closed:
            self._loop.call_soon(self._on_lost)

    def close(self) -> None:
        """Close the socket; what waits is lost."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_writer(self._sock)
        self._queue.clear()
        self.pending = 0
        self._sock.close()


class TcpSink:
    """Packets between the messages of an RTSP connection."""

    def __init__(self, wire: Wire, channel: int) -> None:
        self._wire = wire
        self._channel = channel
        self._closed = False

    def send(self, lane: Lane, unit: Unit, ticks: int, damage: Damage | None) -> bool:
        """Number and send a picture; False if there is no room and nothing was sent."""
        if (
            self._closed
            or self._wire.pending > QUEUE_BYTES
            or (self._wire.pending and self._wire.pending + unit.size > QUEUE_BYTES)
        ):
            return False
        parts = lane.framed(unit.pieces, ticks, self._channel)
        if damage:
            left = damage.apply(list(zip(parts[::2], parts[1::2], strict=True)))
            parts = list(chain.from_iterable(left))
        return self._wire.send(parts)

    def control(self, packet: bytes) -> None:
        """Send an RTCP packet, if there is room."""
        if not self._closed:
            self._wire.send([framed_control(packet, self._channel + 1)])

    def close(self) -> None:
        """Send nothing more; the connection stays."""
        self._closed = True


class UdpSink:
    """Packets as datagrams from a pair of ports of its own.

    Args:
        loop: the loop all calls come from.
        host: own address, as the client connected to it.
        peer: the client's address.
        port: the client's RTP port; RTCP goes to the next.

    Raises:
        OSError: no pair of ports is free, or the client's cannot be reached.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, peer: str, port: int) -> None:
        self._loop = loop
        self._on_alive: Callable[[], None] = _nothing
        self._on_lost: Callable[[], None] = _nothing
        self._queue: deque[tuple[Buffer, ...]] = deque()
        self._pending = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._rtp, self._rtcp = _port_pair(host)
        try:
            for sock, to in ((self._rtp, port), (self._rtcp, port + 1)):
                sock.setblocking(False)
                sock.connect((peer, to))
        except OSError:
            self._rtp.close()
            self._rtcp.close()
            raise
        self.port = int(self._rtp.getsockname()[1])

    def watch(self, on_alive: Callable[[], None], on_lost: Callable[[], None]) -> None:
        """Listen to the client.

        Args:
            on_alive: called when it reports.
            on_lost: called when its port turns out to be closed; more than once, maybe.
        """
        self._on_alive, self._on_lost = on_alive, on_lost
        self._loop.add_reader(self._rtp, self._drain, self._rtp)
        self._loop.add_reader(self._rtcp, self._drain, self._rtcp)

    def send(self, lane: Lane, unit: Unit, ticks: int, damage: Damage | None) -> bool:
        """Number and send a picture; False if there is no room and nothing was sent."""
        if self._closed or (self._pending and self._pending + unit.size > QUEUE_BYTES):
            return False
        packets = lane.datagrams(unit.pieces, ticks)
        self._queue.extend(damage.apply(packets) if damage else packets)
        self._pending += unit.size
        if self._timer is None:
            self._pump()
        return True

    def _pump(self) -> None:
        self._timer = None
        for _ in range(min(_BURST, len(self._queue))):
            try:
                self._rtp.sendmsg(self._queue[0])
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionRefusedError:
                self._loop.call_soon(self._on_lost)
                return
            except OSError:
                pass  # one datagram lost, as on any network
            self._queue.popleft()
        if self._queue:
            self._timer = self._loop.call_later(_BURST_GAP_S, self._pump)
        else:
            self._pending = 0

    def control(self, packet: bytes) -> None:
        """Send an RTCP packet, if there is room and the client listens for reports."""
        if not self._closed:
            with contextlib.suppress(OSError):
                self._rtcp.send(packet)

    def _drain(self, sock: socket.socket) -> None:
        try:
            sock.recv(2048)
        except ConnectionRefusedError:
            if sock is self._rtp:
                self._on_lost()
            return
        except OSError:
            return
        if sock is self._rtcp:
            self._on_alive()

    def close(self) -> None:
        """Close the sockets."""
        if self._closed:
            return
        self._closed = True
        if self._timer:
            self._timer.cancel()
        self._queue.clear()
        for sock in (self._rtp, self._rtcp):
            self._loop.remove_reader(sock)
            sock.close()


def _nothing() -> None:
    """Before `watch`."""


def _port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Two UDP sockets: an even port, and the one after it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(64):
        first = socket.socket(family, socket.SOCK_DGRAM)
        first.bind((host, 0))
        port = first.getsockname()[1]
        if port % 2 == 0:
            second = socket.socket(family, socket.SOCK_DGRAM)
            try:
                second.bind((host, port + 1))
            except OSError:
                second.close()
            else:
                return first, second
        first.close()
    raise OSError("no pair of UDP ports is free")
