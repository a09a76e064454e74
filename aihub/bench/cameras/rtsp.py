"""RTSP 1.0 messages (RFC 2326): bytes in, requests out, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_HEAD = 16 * 1024
"""Bytes of the request line and headers, at most."""

MAX_BODY = 64 * 1024
"""Bytes of a request's body, at most."""

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    451: "Parameter Not Understood",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    457: "Invalid Range",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
    551: "Option Not Supported",
}


Headers = Mapping[str, str | tuple[str, ...]]
"""Headers of an answer; one with several values is written several times."""


class RtspError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: RTSP status code.
        headers: headers of the answer.
        fatal: the place where the next request begins is unknown: the connection must end.
    """

    def __init__(self, status: int, *, headers: Headers | None = None, fatal: bool = False) -> None:
        super().__init__(f"{status} {REASONS[status]}")
        self.status = status
        self.headers = dict(headers or {})
        self.fatal = fatal


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: as sent, "DESCRIBE".
        uri: as sent.
        version: as sent, "RTSP/1.0".
        headers: by lower-case name; of a repeated one the values are joined with commas.
        body: bytes.
    """

    method: str
    uri: str
    version: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path of the address without slashes around it: "cam1/trackID=1"."""
        rest = re.sub(r"^rtspu?://[^/]*", "", self.uri, flags=re.IGNORECASE)
        return rest.partition("?")[0].strip("/")

    @property
    def session(self) -> str:
        """The session's id; empty without one."""
        return self.headers.get("session", "").partition(";")[0].strip()


@dataclass(frozen=True, slots=True)
class Interleaved:
    """A packet between the requests: RTP or RTCP from the client."""

    channel: int
    data: bytes


def parse(buffer: bytearray) -> Request | Interleaved | None:
    """Take the next message off the front of the buffer; none while it is not there whole.

    Raises:
        RtspError: it is not RTSP (fatal), or too large (fatal).
    """
    while buffer and buffer[0] in b"\r\n":
        del buffer[0]
    if buffer and buffer[0] == 0x24:
        return _interleaved(buffer)
    end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        if len(buffer) >= MAX_HEAD:
            raise RtspError(413, fatal=True)
        if len(buffer) >= 16 and not re.match(rb"[A-Z_]+( |$)", buffer[:32].split(b" ")[0]):
            raise RtspError(400, fatal=True)
        return None
    head = bytes(buffer[:end])
    headers = _headers(head)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise RtspError(400, fatal=True)
    size = int(length[:9])
    if size > MAX_BODY:
        raise RtspError(413, fatal=True)
    if len(buffer) < end + 4 + size:
        return None
    line = head.partition(b"\r\n")[0].decode("utf-8", "replace").split(" ")
    if len(line) != 3 or not all(line) or not line[2].startswith("RTSP/"):
        raise RtspError(400, fatal=True)
    body = bytes(buffer[end + 4 : end + 4 + size])
    del buffer[: end + 4 + size]
    return Request(line[0], line[1], line[2], headers, body)


def _interleaved(buffer: bytearray) -> Interleaved | None:
    if len(buffer) < 4:
        return None
    size = int.from_bytes(buffer[2:4], "big")
    if len(buffer) < 4 + size:
        return None
    packet = Interleaved(buffer[1], bytes(buffer[4 : 4 + size]))
    del buffer[: 4 + size]
    return packet


def _headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for raw in head.split(b"\r\n")[1:]:
        line = raw.decode("utf-8", "replace")
        if line[:1] in {" ", "\t"} and name:
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise RtspError(400, fatal=True)
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers


def respond(status: int, cseq: str | None, headers: Headers | None = None, body: bytes = b"") -> bytes:
    """The bytes of an answer.

    Args:
        status: one of `REASONS`.
        cseq: the request's CSeq.
        headers: more headers.
        body: its length is written as Content-Length.
    """
    lines = [f"RTSP/1.0 {status} {REASONS[status]}"]
    if cseq is not None:
        lines.append(f"CSeq: {cseq}")
    lines.append("Server: aihub cameras")
    for name, values in (headers or {}).items():
        lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Transport:
    """What a client asks for in SETUP.

    Attributes:
        tcp: packets between the RTSP messages; else UDP.
        first: interleaved channel of RTP, or the client's RTP port; the next is RTCP's.
    """

    tcp: bool
    first: int


def parse_transport(text: str) -> Transport:
    """The first of the client's proposals that can be served.

    Raises:
        RtspError: 461, none of them.
    """
    for proposal in text.split(","):
        profile, *words = [word.strip() for word in proposal.split(";")]
        options = dict(word.partition("=")[::2] for word in words)
        if "multicast" in options or options.get("mode", "play").strip('"').lower() != "play":
            continue
        if profile.upper() == "RTP/AVP/TCP":
            first = _pair(options.get("interleaved", "0-1"), 254)
        elif profile.upper() in {"RTP/AVP", "RTP/AVP/UDP"}:
            first = _pair(options.get("client_port", ""), 65534)
            first = first or None
        else:
            continue
        if first is not None:
            return Transport(profile.upper() == "RTP/AVP/TCP", first)
    raise RtspError(461)


def _pair(text: str, most: int) -> int | None:
    match = re.fullmatch(r"(\d{1,5})(-\d{1,5})?", text.strip(), re.ASCII)
    return int(match[1]) if match and int(match[1]) <= most else None


def parse_range(text: str) -> float | None:
    """Where to start, seconds; none for "from where it is".

    Raises:
        RtspError: 457, not a range of normal play time.
    """
    if not text:
        return None
    match = re.fullmatch(r"npt\s*=\s*(now|\d{1,9}(?:\.\d{0,9})?)?\s*-.*", text.strip(), re.ASCII)
    if match is None:
        raise RtspError(457)
    start = match[1]
    return None if start in {None, "now"} else float(start)
