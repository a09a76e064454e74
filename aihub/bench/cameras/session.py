"""RTSP sessions: one client's agreement to get one camera, and what all connections of a server share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aihub.bench.cameras.faults import Drop, Fault
from aihub.bench.cameras.player import Camera, Player
from aihub.bench.cameras.wire import Sink

if TYPE_CHECKING:
    from aihub.bench.cameras.connection import Connection


class Session:
    """One client's agreement to get one camera.

    Args:
        site: the server it belongs to.
        camera: what it gets.
        sink: where the packets go.
        connection: the RTSP connection that carries the packets; none for UDP.
    """

    def __init__(self, site: Site, camera: Camera, sink: Sink, connection: Connection | None) -> None:
        self.id = secrets.token_hex(8)
        self.camera = camera
        self.connection = connection
        self.player = Player(site.loop, camera, sink, self.touch)
        self._site = site
        self.seen = site.loop.time()
        site.sessions[self.id] = self
        if connection:
            connection.sessions.add(self)

    def touch(self) -> None:
        """The client is alive."""
        self.seen = self._site.loop.time()

    def close(self, *, farewell: bool = True) -> None:
        """End it; safe to call again."""
        if self.connection:
            self.connection.sessions.discard(self)
        if self._site.sessions.pop(self.id, None):
            self.player.close(farewell=farewell)


@dataclass(slots=True, eq=False)
class Site:
    """What the connections of one server share. All of it is touched by the loop's thread only.

    Attributes:
        loop: the server's loop.
        cameras: by name.
        users: password by user; empty lets everybody in.
        timeout_s: a session without a sign of life ends after this.
        connections: open ones.
        sessions: by id.
        expired: sessions that timed out.
        refused: requests answered with an error.
    """

    loop: asyncio.AbstractEventLoop
    cameras: Mapping[str, Camera]
    users: Mapping[str, str]
    timeout_s: float
    connections: set[Connection] = field(default_factory=set)
    sessions: dict[str, Session] = field(default_factory=dict)
    expired: int = 0
    refused: int = 0

    def set_fault(self, camera: Camera, fault: Fault | None) -> None:
        """Break a camera, or mend it with none."""
        before, camera.fault = camera.fault, fault
        camera.fault_since = self.loop.time()
        if isinstance(fault, Drop) and fault.close:
            for session in [one for one in self.sessions.values() if one.camera is camera]:
                session.close(farewell=False)
                if session.connection:
                    session.connection.close()
        for player in list(camera.players):
            player.fault_changed(before)

    def sweep(self) -> None:
        """End what has given no sign of life for too long."""
        now = self.loop.time()
        for session in [one for one in self.sessions.values() if now - one.seen > self.timeout_s]:
            self.expired += 1
            session.close()
            if session.connection:
                session.connection.close()
        for connection in list(self.connections):
            if not connection.sessions and now - connection.seen > self.timeout_s:
                connection.close()

    def close(self) -> None:
        """End every session and connection."""
        for session in list(self.sessions.values()):
            session.close()
        for connection in list(self.connections):
            connection.close()
