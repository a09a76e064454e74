"""RTP to pictures: whatever way units were cut, they come out whole; whatever was lost is known."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.streams.depacketise import CODECS, H264, H265, LARGEST_UNIT, AccessUnit, Codec, Depacketiser
from tests.streams.sending import Sender

IDR, DELTA, SPS, PPS = b"\x65\x88", b"\x41\x9a", b"\x67\x42\x00\x1e", b"\x68\xce\x3c"
IDR265, DELTA265, SPS265 = b"\x26\x01\xaf", b"\x02\x01\xd0", b"\x42\x01\x01"


def read(packets: list[bytes], codec: Codec = H264) -> tuple[list[AccessUnit], Depacketiser]:
    reader = Depacketiser(codec)
    for packet in packets:
        reader.push(packet)
    return list(reader.ready), reader


def body(codec: Codec, key: bool, size: int) -> bytes:
    start = (IDR if key else DELTA) if codec is H264 else (IDR265 if key else DELTA265)
    return start + random.Random(size).randbytes(size)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["H264", "H265"]),
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    piece=st.integers(20, 1500),
    together=st.booleans(),
)
def test_units_come_out_as_they_went_in(name: str, sizes: list[int], piece: int, together: bool) -> None:
    codec = CODECS[name]
    sender = Sender(codec)
    sets = [SPS, PPS] if codec is H264 else [SPS265]
    packets: list[bytes] = []
    for number, size in enumerate(sizes):
        if together and number == 0:
            packets.append(sender.packet(sender.together(sets)))
        packets += sender.picture([body(codec, number == 0, size)], piece)
    found, reader = read(packets, codec)
    assert [unit.units[-1] for unit in found] == [body(codec, i == 0, s) for i, s in enumerate(sizes)]
    assert found[0].units[:-1] == (sets if together else [])
    assert not any(unit.broken or unit.after_loss for unit in found)
    assert (found[0].is_key, found[0].has_sets, reader.lost) == (True, together, 0)
    assert not any(unit.is_key for unit in found[1:])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 5))
def test_no_loss_goes_unnoticed(seed: int, count: int) -> None:
    rng, sender = random.Random(seed), Sender()
    sent = [[DELTA + bytes((place,)) + bytes(rng.randrange(1, 6000))] for place in range(12)]
    packets = [packet for units in sent for packet in sender.picture(units)]
    kept = list(packets)
    for _ in range(count):
        del kept[rng.randrange(1, len(kept) - 1)]
    found, reader = read(kept)
    assert 1 <= reader.lost <= count
    whole = [unit.units for unit in found if not unit.broken]
    assert all(units in sent for units in whole), "what is called whole is whole"
    before = -1
    for unit in found:
        if not unit.broken:
            place = sent.index(unit.units)
            clean = not unit.after_loss and not any(u.broken for u in found[: found.index(unit)])
            assert not clean or place == before + 1, "a picture after a gap says so"
            before = place


def test_a_loss_between_pictures_is_told_by_the_next() -> None:
    sender = Sender()
    pictures = [sender.picture([body(H264, i == 3, 50)]) for i in range(4)]
    found, _ = read(pictures[0] + pictures[2] + pictures[3])
    assert [(unit.broken, unit.after_loss) for unit in found] == [
        (False, False),
        (False, True),
        (False, False),
    ]


def test_packets_that_come_again_are_left_out() -> None:
    packets = Sender().picture([body(H264, True, 4000)])
    found, reader = read([packets[0], *packets[:2], *packets[1:]])
    assert (len(found), found[0].broken, reader.lost) == (1, False, 0)


def test_another_source_is_a_gap() -> None:
    sender = Sender()
    packets = [sender.packet(body(H264, False, 5), last=True)]
    packets.append(sender.packet(body(H264, False, 5), last=True, ssrc=8))
    sender.stamp += 1
    found, _ = read(packets)
    assert [unit.after_loss for unit in found] == [False, True]


def test_markers_in_the_wrong_place_are_found_out() -> None:
    """Some cameras set the marker on every slice; their pictures end where the time changes."""
    sender, packets = Sender(), []
    second = bytes((DELTA[0], 0x1A)) + b"abc"  # first_mb_in_slice is not 0
    for _ in range(5):
        packets += [sender.packet(body(H264, False, 9), last=True), sender.packet(second, last=True)]
        sender.stamp += 3600
    found, _ = read(packets)
    assert [len(unit.units) for unit in found[2:]] == [2, 2, 2]
    assert not any(unit.broken for unit in found[2:])


def test_parameter_sets_with_a_marker_wait_for_their_picture() -> None:
    sender = Sender()
    found, _ = read(
        [sender.packet(SPS, last=True), sender.packet(PPS, last=True), *sender.picture([body(H264, True, 9)])]
    )
    assert [unit.units[:2] for unit in found] == [[SPS, PPS]]


def test_delimiters_are_left_out() -> None:
    found, _ = read(Sender().picture([b"\x09\xf0", body(H264, True, 9)]))
    assert [len(unit.units) for unit in found] == [1]


def test_header_extensions_and_padding_are_no_payload() -> None:
    unit = body(H264, True, 30)
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 96 | 128, 5, 1, 7) + bytes(8)
    packet = head + struct.pack("!HH", 0xABAC, 1) + bytes(4) + unit + b"\x00\x00\x03"
    found, _ = read([packet])
    assert found[0].units == [unit]


ENTRIES: list[tuple[str, list[bytes], bool]] = [
    ("IDR", [b"\x65\x88\x84"], True),
    ("P", [b"\x41\x9a\x00"], False),
    ("I, all slices", [b"\x41\x88\x80"], True),
    ("I, the only slice", [b"\x41\xb0\x80"], True),
    ("I, and another slice of any type", [b"\x41\xb0\x80", b"\x41\x1a\x00"], False),
    ("P with a recovery point", [b"\x06\x06\x01\xc4\x80", b"\x41\x9a\x00"], True),
    ("P with other information", [b"\x06\x05\x01\xc4\x80", b"\x41\x9a\x00"], False),
    ("recovery point behind other information", [b"\x06\x05\x01\xc4\x06\x01\xc4\x80", b"\x41\x9a\x00"], True),
    ("IDR without its start", [b"\x65\x08\x84"], False),
    ("nothing", [], False),
]


@pytest.mark.parametrize(("units", "entry"), [row[1:] for row in ENTRIES], ids=[row[0] for row in ENTRIES])
def test_where_decoding_can_start(units: list[bytes], entry: bool) -> None:
    assert AccessUnit(H264, units).is_entry is entry


@pytest.mark.parametrize(
    ("kind", "entry"), [(1, False), (16, True), (19, True), (20, True), (21, True), (22, False)]
)
def test_where_decoding_can_start_in_h265(kind: int, entry: bool) -> None:
    assert AccessUnit(H265, [bytes((kind << 1, 1, 0x80))]).is_entry is entry


def test_a_picture_without_end_is_dropped() -> None:
    sender = Sender()
    reader = Depacketiser(H264)
    reader.push(sender.packet(b"\x7c\x85" + bytes(1000)))
    for _ in range(LARGEST_UNIT // 60000 + 2):
        reader.push(sender.packet(b"\x7c\x05" + bytes(60000)))
    for packet in [sender.packet(b"\x7c\x45ab", last=True), *sender.picture([body(H264, True, 9)])]:
        reader.push(packet)
    assert [unit.broken for unit in reader.ready][-1:] == [False]
    assert reader.ready[0].broken
    assert not reader.ready[0].units


@settings(max_examples=300, deadline=None)
@given(packets=st.lists(st.binary(max_size=60), max_size=30), name=st.sampled_from(["H264", "H265"]))
def test_no_bytes_raise(packets: list[bytes], name: str) -> None:
    rng = random.Random(len(packets))
    heads = [
        struct.pack("!BBHII", rng.choice([0x80, 0x90, 0xA5]), 224, i, i // 3, 1) for i in range(len(packets))
    ]
    found, _ = read(
        [head + packet for head, packet in zip(heads, packets, strict=True)] + packets, CODECS[name]
    )
    for unit in found:
        assert unit.is_entry or not unit.is_key
