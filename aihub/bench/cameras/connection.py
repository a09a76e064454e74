"""One RTSP connection: reads requests, answers them (RFC 2326, method by method)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict

from aihub.bench.cameras import sdp
from aihub.bench.cameras.auth import Guard
from aihub.bench.cameras.faults import PARAMETER, Drop, format_fault, parse_fault
from aihub.bench.cameras.player import Camera
from aihub.bench.cameras.rtsp import (
    Headers,
    Interleaved,
    Request,
    RtspError,
    Transport,
    parse,
    parse_range,
    parse_transport,
    respond,
)
from aihub.bench.cameras.session import Session, Site
from aihub.bench.cameras.wire import ANSWER_BYTES, TcpSink, UdpSink, Wire
from aihub.errors import ParamsError

STATISTICS = "aihub-statistics"
"""Name of the RTSP parameter that tells what a camera has done, as JSON."""

Answer = tuple[Headers, bytes]
_OK: Answer = ({}, b"")


class _Unanswered(Exception):  # noqa: N818 - not an error: a camera that is to keep silent
    """The camera is deaf."""


class Connection:
    """One RTSP connection.

    Args:
        site: the server it belongs to.
        sock: connected, non-blocking.

    Attributes:
        seen: loop time of the last bytes from the client.
        sessions: those whose packets it carries.
    """

    def __init__(self, site: Site, sock: socket.socket) -> None:
        self._site = site
        self._sock = sock
        self._wire = Wire(site.loop, sock, self.close)
        self._guard = Guard(site.users)
        self._buffer = bytearray()
        self._own = sock.getsockname()
        self._peer = sock.getpeername()
        self._closed = False
        self.seen = site.loop.time()
        self.sessions: set[Session] = set()
        site.connections.add(self)
        site.loop.add_reader(sock, self._readable)
        self._methods: dict[str, Callable[[Request], Answer]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "TEARDOWN": self._teardown,
            "GET_PARAMETER": self._get_parameter,
            "SET_PARAMETER": self._set_parameter,
        }
        self._public = ", ".join(self._methods)

    def close(self) -> None:
        """End it with the sessions whose packets it carries; safe to call again."""
        if self._closed:
            return
        self._closed = True
        for session in list(self.sessions):
            session.close(farewell=False)
        self._site.loop.remove_reader(self._sock)
        self._wire.close()
        self._site.connections.discard(self)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._buffer += data
        self.seen = self._site.loop.time()
        while not self._closed:
            try:
                message = parse(self._buffer)
            except RtspError as error:
                self._refuse(error, None)
                return
            if message is None:
                return
            if isinstance(message, Interleaved):
                for session in self.sessions:
                    session.touch()
            else:
                self._serve(message)

    def _serve(self, request: Request) -> None:
        cseq = request.headers.get("cseq")
        try:
            headers, body = self._answer(request, cseq)
        except _Unanswered:
            return
        except RtspError as error:
            self._refuse(error, cseq)
            return
        except Exception:
            # A bug of ours: this client is told and let go, the loop's handler logs and counts it.
            self._refuse(RtspError(500, fatal=True), cseq)
            raise
        self._send(respond(200, cseq, headers, body))

    def _answer(self, request: Request, cseq: str | None) -> Answer:
        if cseq is None:
            raise RtspError(400)
        if request.version != "RTSP/1.0":
            raise RtspError(505)
        handler = self._methods.get(request.method)
        if handler is None:
            known = request.method in {"ANNOUNCE", "RECORD", "REDIRECT"}
            raise RtspError(405 if known else 501, headers={"Allow": self._public})
        if needed := request.headers.get("require"):
            raise RtspError(551, headers={"Unsupported": needed})
        if request.method != "OPTIONS":
            self._admit(request)
        camera = self._site.cameras.get(request.path.partition("/")[0])
        # A command that mends a camera must reach it, whatever is wrong with it.
        commands = request.method == "SET_PARAMETER" and PARAMETER.encode() in request.body
        if camera and isinstance(camera.fault, Drop) and not commands:
            if camera.fault.deaf:
                raise _Unanswered
            if camera.fault.close:
                raise RtspError(503, fatal=True)
        if request.session and request.session not in self._site.sessions:
            raise RtspError(454)
        if request.session:
            self._site.sessions[request.session].touch()
        return handler(request)

    def _admit(self, request: Request) -> None:
        if self._guard.allows(request.method, request.headers.get("authorization", "")):
            return
        raise RtspError(401, headers={"WWW-Authenticate": self._guard.challenges})

    def _refuse(self, error: RtspError, cseq: str | None) -> None:
        self._site.refused += 1
        self._send(respond(error.status, cseq, error.headers))
        if error.fatal:
            self.close()

    def _send(self, data: bytes) -> None:
        if not self._wire.send([data], most=ANSWER_BYTES):
            self.close()

    def _camera(self, request: Request) -> Camera:
        camera = self._site.cameras.get(request.path.partition("/")[0])
        if camera is None:
            raise RtspError(404)
        return camera

    def _session(self, request: Request) -> Session:
        session = self._site.sessions.get(request.session)
        if session is None:
            raise RtspError(454)
        if self._camera(request) is not session.camera:
            raise RtspError(455)
        return session

    def _tagged(self, session: Session, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Session": f"{session.id};timeout={max(round(self._site.timeout_s), 1)}", **(more or {})}

    def _options(self, _request: Request) -> Answer:
        return {"Public": self._public}, b""

    def _base(self, request: Request) -> str:
        return request.uri.partition("?")[0].rstrip("/")

    def _describe(self, request: Request) -> Answer:
        camera = self._camera(request)
        if request.path != camera.name:
            raise RtspError(404)
        clip = camera.clip
        body = sdp.describe(
            name=camera.name,
            host=str(self._own[0]),
            codec=clip.codec,
            payload_type=clip.payload_type,
            clock=clip.clock,
            parameter_sets=clip.parameter_sets,
            fps=clip.fps if clip.width else 0.0,
            seconds=None if camera.repeat else clip.seconds,
        )
        base = f"{self._base(request)}/"
        return {"Content-Type": "application/sdp", "Content-Base": base, "Cache-Control": "no-cache"}, body

    def _setup(self, request: Request) -> Answer:
        camera = self._camera(request)
        if request.path == camera.name:
            raise RtspError(459)
        if request.path != f"{camera.name}/{sdp.TRACK}":
            raise RtspError(404)
        transport = parse_transport(request.headers.get("transport", ""))
        if request.session:
            former = self._session(request)
            if former.player.playing:
                raise RtspError(455)
            former.close(farewell=False)
        if transport.tcp:
            sink = TcpSink(self._wire, transport.first)
            session = Session(self._site, camera, sink, self)
            chosen = f"RTP/AVP/TCP;unicast;interleaved={transport.first}-{transport.first + 1}"
        else:
            session, chosen = self._setup_udp(camera, transport)
        chosen += f';ssrc={session.player.lane.ssrc:08X};mode="PLAY"'
        return self._tagged(session, {"Transport": chosen}), b""

    def _setup_udp(self, camera: Camera, transport: Transport) -> tuple[Session, str]:
        host = str(self._own[0])
        try:
            sink = UdpSink(self._site.loop, host, str(self._peer[0]), transport.first)
        except OSError:
            raise RtspError(503) from None
        session = Session(self._site, camera, sink, None)
        sink.watch(session.touch, lambda: session.close(farewell=False))
        ports = f"client_port={transport.first}-{transport.first + 1};server_port={sink.port}-{sink.port + 1}"
        return session, f"RTP/AVP;unicast;{ports};source={host}"

    def _play(self, request: Request) -> Answer:
        session = self._session(request)
        start = parse_range(request.headers.get("range", ""))
        sequence, stamp, place = session.player.play(start)
        track = f"{self._base(request).removesuffix('/' + sdp.TRACK)}/{sdp.TRACK}"
        more = {"Range": f"npt={place:.3f}-", "RTP-Info": f"url={track};seq={sequence};rtptime={stamp}"}
        return self._tagged(session, more), b""

    def _pause(self, request: Request) -> Answer:
        session = self._session(request)
        if not session.player.playing:
            raise RtspError(455)
        session.player.pause()
        return self._tagged(session), b""

    def _teardown(self, request: Request) -> Answer:
        session = self._session(request)
        session.close(farewell=False)
        return {"Session": session.id}, b""

    def _get_parameter(self, request: Request) -> Answer:
        names = request.body.decode("utf-8", "replace").split()
        values = []
        for name in names:
            camera = self._camera(request)
            if name == PARAMETER:
                values.append(f"{name}: {format_fault(camera.fault)}")
            elif name == STATISTICS:
                values.append(f"{name}: {json.dumps(asdict(camera.counts))}")
            else:
                raise RtspError(451)
        tags = self._tagged(self._site.sessions[request.session]) if request.session else {}
        if values:
            tags["Content-Type"] = "text/parameters"
        return tags, "".join(f"{line}\r\n" for line in values).encode()

    def _set_parameter(self, request: Request) -> Answer:
        for line in request.body.decode("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if not name.strip():
                continue
            if name.strip() != PARAMETER:
                raise RtspError(451)
            try:
                fault = parse_fault(value)
            except ParamsError:
                raise RtspError(451) from None
            everyone = request.path in {"", "*"}
            for camera in list(self._site.cameras.values()) if everyone else [self._camera(request)]:
                self._site.set_fault(camera, fault)
        return (self._tagged(self._site.sessions[request.session]), b"") if request.session else _OK
