"""RTSP messages, authentication and faults as text: pure functions, so laws and tables."""

from __future__ import annotations

import base64
import contextlib
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.bench.cameras.auth import REALM, Guard, digest_response
from aihub.bench.cameras.faults import (
    Corrupt,
    Damage,
    Drop,
    Fault,
    Freeze,
    Slow,
    format_fault,
    make_fault,
    parse_fault,
)
from aihub.bench.cameras.rtsp import (
    MAX_BODY,
    MAX_HEAD,
    Interleaved,
    Request,
    RtspError,
    parse,
    parse_range,
    parse_transport,
)
from aihub.errors import ParamsError

REQUEST = b"SET_PARAMETER rtsp://h:1/cam1/?x=1 RTSP/1.0\r\nCSeq: 7\r\nContent-Length: 5\r\nX: a\r\n b\r\nX: c\r\n\r\nhello"


def test_a_request_is_read_with_headers_and_body() -> None:
    buffer = bytearray(b"\r\n" + REQUEST + b"$")
    request = parse(buffer)
    assert isinstance(request, Request)
    assert (request.method, request.path, request.version) == ("SET_PARAMETER", "cam1", "RTSP/1.0")
    assert request.headers == {"cseq": "7", "content-length": "5", "x": "a b, c"}
    assert request.body == b"hello"
    assert buffer == b"$"


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(0, 300))
def test_messages_are_the_same_however_they_arrive(cuts: list[int], size: int) -> None:
    packet = b"$\x01" + size.to_bytes(2, "big") + bytes(size)
    stream = REQUEST + packet + REQUEST
    buffer, found = bytearray(), []
    places = [0, *sorted({min(sum(cuts[:i]), len(stream)) for i in range(1, len(cuts) + 1)}), len(stream)]
    for begin, end in pairwise(places):
        buffer += stream[begin:end]
        while message := parse(buffer):
            found.append(message)
    assert [type(message) for message in found] == [Request, Interleaved, Request]
    assert found[1] == Interleaved(1, bytes(size))
    assert not buffer


@given(st.binary(max_size=400))
def test_whatever_comes_is_read_refused_or_waited_for(data: bytes) -> None:
    buffer = bytearray(data)
    with contextlib.suppress(RtspError):
        while parse(buffer):
            continue
    assert len(buffer) <= len(data)


@pytest.mark.parametrize(
    ("data", "status", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "HTTP"),
        (b"DESCRIBE rtsp://h/cam1\r\nCSeq: 1\r\n\r\n", 400, "no version"),
        (b"DESCRIBE  RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400, "no address"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(30), 400, "TLS"),
        (b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n", 400, "a header without colon"),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n", 400, "a negative length"),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 1e3\r\n\r\n", 400, "a length that is no number"),
        (f"OPTIONS * RTSP/1.0\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode(), 413, "a huge body"),
        (b"OPTIONS * RTSP/1.0\r\nX: " + b"a" * MAX_HEAD, 413, "headers without end"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_rtsp_is_refused(data: bytes, status: int, why: str) -> None:
    with pytest.raises(RtspError) as caught:
        parse(bytearray(data))
    assert (caught.value.status, caught.value.fatal) == (status, True)


@pytest.mark.parametrize(
    ("text", "tcp", "first"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=2-3", True, 2),
        ('RTP/AVP/TCP;interleaved=0-1;mode="PLAY"', True, 0),
        ("RTP/AVP/TCP", True, 0),
        ("RTP/AVP;unicast;client_port=5000-5001", False, 5000),
        ("RTP/AVP/UDP;unicast;client_port=5000", False, 5000),
        ("RTP/AVP;multicast, RTP/AVP/TCP;interleaved=4-5", True, 4),
    ],
)
def test_the_first_transport_that_can_be_served_is_taken(text: str, tcp: bool, first: int) -> None:
    transport = parse_transport(text)
    assert (transport.tcp, transport.first) == (tcp, first)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing"),
        ("RTP/AVP;multicast", "multicast"),
        ("RTP/SAVP;unicast;client_port=1-2", "encrypted"),
        ("RTP/AVP;unicast", "no port"),
        ("RTP/AVP;unicast;client_port=0-1", "port 0"),
        ("RTP/AVP;unicast;client_port=70000-70001", "no such port"),
        ("RTP/AVP/TCP;interleaved=255-256", "no such channel"),
        ("RTP/AVP/TCP;mode=record", "recording"),
    ],
    ids=str,
)
def test_other_transports_are_refused(text: str, why: str) -> None:
    with pytest.raises(RtspError) as caught:
        parse_transport(text)
    assert caught.value.status == 461


@pytest.mark.parametrize(
    ("text", "start"),
    [("", None), ("npt=now-", None), ("npt=0.000-", 0.0), ("npt=12.5-20", 12.5), ("npt=-5", None)],
)
def test_ranges(text: str, start: float | None) -> None:
    assert parse_range(text) == start


@pytest.mark.parametrize("text", ["clock=19961108T143720Z-", "npt=a-", "smpte=0:10-", "npt=1e9-", "0-"])
def test_ranges_of_other_kinds_are_refused(text: str) -> None:
    with pytest.raises(RtspError) as caught:
        parse_range(text)
    assert caught.value.status == 457


USERS = {"ann": "p:w/1", "bo": ""}


def _digest(
    guard: Guard, *, user: str = "ann", password: str = "p:w/1", extra: str = "", **changes: str
) -> str:
    nonce = guard.challenges[0].split('nonce="')[1].partition('"')[0]
    given = {"realm": REALM, "nonce": nonce, "method": "PLAY", "uri": "rtsp://h/cam1"} | changes
    more = ("00000001", "abc", "auth") if extra else ()
    response = digest_response(user=user, password=password, extra=more, **given)
    header = f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", '
    return header + f'uri="{given["uri"]}", response="{response}"{extra}'


def test_digest_and_basic_let_the_right_people_in() -> None:
    guard = Guard(USERS)
    assert guard.allows("PLAY", _digest(guard))
    assert guard.allows("PLAY", _digest(guard, extra=', qop=auth, nc=00000001, cnonce="abc"'))
    assert guard.allows("PLAY", "Basic " + base64.b64encode(b"ann:p:w/1").decode())
    assert Guard({}).allows("PLAY", "")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"password": "wrong"}, "wrong password"),
        ({"user": "eve"}, "unknown user"),
        ({"nonce": "0" * 32}, "a nonce of another connection"),
        ({"realm": "elsewhere"}, "another realm"),
        ({"method": "TEARDOWN"}, "made for another method"),
    ],
    ids=str,
)
def test_digest_keeps_the_others_out(changes: dict[str, str], why: str) -> None:
    guard = Guard(USERS)
    assert not guard.allows("PLAY", _digest(guard, **changes))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"eve:").decode(),
        "Bearer x",
        "Digest",
        "Digest a=b",
    ],
)
def test_other_headers_keep_out(header: str) -> None:
    assert not Guard(USERS).allows("PLAY", header)


@given(st.text(max_size=80))
def test_no_header_breaks_the_guard(header: str) -> None:
    Guard(USERS).allows("PLAY", "Digest " + header)
    Guard(USERS).allows("PLAY", header)


FAULTS = st.one_of(
    st.none(),
    st.just(Freeze()),
    st.builds(Drop, close=st.booleans(), deaf=st.booleans()),
    st.builds(Corrupt, probability=st.floats(0, 1), lost=st.floats(0, 1), seed=st.integers(0, 2**31)),
    st.builds(Slow, rate=st.floats(0.01, 0.99), period_s=st.floats(0.1, 600)),
)


@given(FAULTS)
def test_a_fault_survives_as_text(fault: Fault | None) -> None:
    assert parse_fault(format_fault(fault)) == fault


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("explode", "fault"),
        ("", "fault"),
        ("freeze now", "fault"),
        ("freeze x=1", "x"),
        ("corrupt probability=2", "probability"),
        ("slow rate=0", "rate"),
        ("slow rate=fast", "rate"),
        ("slow =1", "fault"),
        ("none x=1", "fault"),
        ("freeze kind=drop", "fault"),
    ],
)
def test_other_texts_are_refused_and_the_field_is_named(text: str, field: str) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_fault(text)
    assert caught.value.field == field
    assert make_fault(None) is None


@given(
    st.builds(Slow, rate=st.floats(0.01, 0.99), period_s=st.floats(0.1, 60)),
    st.lists(st.floats(0, 1e4), min_size=2),
)
def test_slow_keeps_the_order_is_never_early_and_catches_up(fault: Slow, times: list[float]) -> None:
    times.sort()
    sent = [fault.delayed(time) for time in times]
    assert all(before <= after + 1e-6 for before, after in pairwise(sent))
    for time, when in zip(times, sent, strict=True):
        assert time - 1e-6 <= when <= time + fault.period_s + 1e-6


def test_damage_hits_as_many_packets_as_it_says_and_the_same_ones_again() -> None:
    body = memoryview(random.Random(1).randbytes(200))
    packets = [(number.to_bytes(2, "big"), body) for number in range(4000)]
    fault = Corrupt(probability=0.1, lost=0.25, seed=3)
    first, second = Damage(fault), Damage(fault)
    left = first.apply(packets)
    assert left == second.apply(packets)
    assert first.hit == pytest.approx(400, abs=80)
    assert len(packets) - len(left) == pytest.approx(100, abs=40)
    flipped = [data for _, data in left if data is not body]
    assert flipped
    assert all(bytes(data) != bytes(body) and len(data) == 200 for data in flipped)
    assert bytes(body) == random.Random(1).randbytes(200)
