"""What clients send to a simulated camera: RTSP requests, packets, who they are and what they want."""

from __future__ import annotations

from aihub.bench.cameras.auth import Guard
from aihub.bench.cameras.faults import format_fault, parse_fault
from aihub.bench.cameras.rtsp import (
    MAX_BODY,
    MAX_HEAD,
    REASONS,
    Request,
    RtspError,
    parse,
    parse_range,
    parse_transport,
    respond,
)
from tests.fuzz.law import read_or_refused

LONGEST = 2048
WORDS = (
    b"DESCRIBE rtsp://a/cam1 RTSP/1.0\r\n", b"CSeq: 1\r\n", b"\r\n\r\n", b"Content-Length: ", b"Transport: RTP/AVP/TCP;interleaved=0-1\r\n",
    b"Transport: RTP/AVP;unicast;client_port=5000-5001\r\n", b"Range: npt=0.5-\r\n", b"Range: npt=now-", b"Authorization: Basic ",
    b"Authorization: Digest username=\"u\", realm=\"aihub cameras\", nonce=\"n\"", b"corrupt probability=0.1 seed=7", b"slow rate=0.5", b"drop deaf=true", b"$\0\0\x04",
)  # fmt: skip


def check(data: bytes) -> bool:
    """Requests, each of bounded size, that are answered or refused with a status of RTSP; no wrong password gets in."""
    buffer = bytearray(data)
    read = 0
    try:
        while message := parse(buffer):
            read += 1
            if isinstance(message, Request):
                _look_at(message)
    except RtspError as error:
        _refused(error, fatal=True)
    return read > 0


def _look_at(request: Request) -> None:
    assert len(request.body) <= MAX_BODY
    assert sum(map(len, request.headers.values())) <= MAX_HEAD
    assert not request.path.startswith("/")
    assert not Guard({"u": "secret of nobody"}).allows(
        request.method, request.headers.get("authorization", "")
    )
    for parser, name in ((parse_transport, "transport"), (parse_range, "range")):
        try:
            parser(request.headers.get(name, ""))
        except RtspError as error:
            _refused(error, fatal=False)
    fault = read_or_refused(lambda: parse_fault(request.body.decode("utf-8", "replace")), named=True)
    assert parse_fault(format_fault(fault)) == fault
    respond(200, request.headers.get("cseq"), {"Session": request.session}, request.body)


def _refused(error: RtspError, *, fatal: bool) -> None:
    assert error.status in REASONS
    assert error.fatal is fatal


def seeds() -> list[bytes]:
    """A conversation with a packet in its midst, and each fault."""
    ask = "{} rtsp://a/cam1/{} RTSP/1.0\r\nCSeq: 1\r\n"
    whole = "".join(
        ask.format(method, place) + more + "\r\n"
        for method, place, more in (
            ("OPTIONS", "", ""),
            (
                "DESCRIBE",
                "",
                'Authorization: Digest username="u", realm="aihub cameras", nonce="n", response="r"\r\n',
            ),
            ("SETUP", "trackID=1", "Transport: RTP/AVP;multicast, RTP/AVP/TCP;interleaved=0-1\r\n"),
            ("PLAY", "", "Session: 1;timeout=60\r\nRange: npt=0.5-\r\n"),
        )
    )
    faults = [
        "none",
        "freeze",
        "drop close=true",
        "corrupt probability=0.1 seed=7",
        "slow rate=0.5 period_s=2",
    ]
    told = [
        ask.format("SET_PARAMETER", "") + f"Content-Length: {len(fault)}\r\n\r\n{fault}" for fault in faults
    ]
    return [whole.encode() + b"$\0\0\x04abcd", *(text.encode() for text in told)]
