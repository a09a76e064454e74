"""Recordings as files: every format comes out as 16 kHz mono, bounds hold before decoding, broken bytes are told."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms import sound_files
from aihub.algorithms.sound_files import Resampler, decode_sound, read_header, sniff
from aihub.errors import InputError, SoundDecodeError, TooLargeError, UnsupportedTypeError
from aihub.types import SAMPLE_RATE, Samples
from tests.algorithms.sound.making import as_file, talk

TONE = talk((2.0, True))


def read_or_refuse(data: bytes, max_seconds: float) -> Samples | None:
    """The sound, or None where an error of ours says that there is none."""
    try:
        return decode_sound(data, max_seconds=max_seconds)
    except InputError:
        return None


@pytest.mark.parametrize(
    ("form", "subtype", "rate", "kind", "error"),
    [
        ("WAV", "PCM_16", 16_000, "wav", 1e-3),  # what microphones give
        ("WAV", "PCM_24", 48_000, "wav", 2e-2),
        ("WAV", "PCM_U8", 8_000, "wav", 3e-2),  # telephones
        ("WAV", "ULAW", 8_000, "wav", 5e-2),
        ("WAV", "FLOAT", 44_100, "wav", 2e-2),
        ("WAV", "DOUBLE", 22_050, "wav", 2e-2),
        ("FLAC", "PCM_16", 44_100, "flac", 2e-2),
        ("OGG", "VORBIS", 44_100, "ogg", 5e-2),
        ("OGG", "OPUS", 48_000, "ogg", 8e-2),
        ("MP3", "MPEG_LAYER_III", 44_100, "mp3", 8e-2),
    ],
)
def test_every_format_gives_the_same_sound(
    form: str, subtype: str, rate: int, kind: str, error: float
) -> None:
    if not soundfile.check_format(form, subtype):
        pytest.skip(f"this libsndfile has no {subtype}")
    data = as_file(talk((2.0, True), rate=rate), rate, form, subtype)
    assert sniff(data) == kind
    header = read_header(data)
    assert (header.format, header.rate, header.channels) == (kind, rate, 1)
    assert header.duration == pytest.approx(2.0, abs=0.1)
    samples = decode_sound(data)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert np.abs(samples).max() <= 1
    middle = samples[SAMPLE_RATE // 2 : 3 * SAMPLE_RATE // 2]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), abs=error)
    loudest = np.abs(np.fft.rfft(middle)).argmax()
    assert loudest == pytest.approx(440, abs=2), "the tone keeps its pitch"


def test_channels_become_one() -> None:
    both = np.stack([TONE, np.zeros_like(TONE)], axis=1)
    samples = decode_sound(as_file(both))
    np.testing.assert_allclose(samples, TONE / 2, atol=1e-3)


def test_what_is_no_number_is_silence() -> None:
    odd = TONE.copy()
    odd[10], odd[11], odd[12] = np.nan, np.inf, 7.0
    samples = decode_sound(as_file(odd, subtype="FLOAT"))
    assert samples[10:13].tolist() == [0.0, 1.0, 1.0]


def test_channels_too_loud_for_any_number_are_clipped() -> None:
    loud = np.full((100, 2), 3e38, np.float32)
    loud[50:, 1] = -3e38
    samples = decode_sound(as_file(loud, subtype="FLOAT"))
    assert samples.tolist() == [1.0] * 50 + [0.0] * 50


def test_what_is_too_long_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = as_file(TONE)

    def no(*_: Any) -> Iterator[None]:
        raise AssertionError("decoded")
        yield

    monkeypatch.setattr(sound_files, "_plain_pieces", no)
    with pytest.raises(TooLargeError, match=r"lasts 2\.0 s, at most 1\.5 s"):
        decode_sound(data, max_seconds=1.5)
    with pytest.raises(TooLargeError):
        read_header(data, max_seconds=1.5)


def test_a_header_that_lies_does_not_help() -> None:
    data = bytearray(as_file(talk((10.0, True))))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 16)  # says eight samples
    assert len(decode_sound(bytes(data), max_seconds=1.0)) <= SAMPLE_RATE
    data[at : at + 4] = struct.pack("<I", 0x7FFFFFF0)  # says 18 hours
    samples = read_or_refuse(bytes(data), 11.0)
    assert samples is None or len(samples) <= 11 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", UnsupportedTypeError, "nothing"),
        (b"hello", UnsupportedTypeError, "text"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 64, UnsupportedTypeError, "a JPEG"),
        (b"RIFF\x24\0\0\0WAVEfmt ", SoundDecodeError, "a header that is cut off"),
        (b"RIFF\x24\0\0\0WAVE" + b"\0" * 64, SoundDecodeError, "a header of zeros"),
        (b"fLaC" + b"\xff" * 64, SoundDecodeError, "no FLAC inside"),
        (b"OggS" + b"\0" * 64, SoundDecodeError, "no OGG inside"),
        (b"ID3\x04" + b"\0" * 64, SoundDecodeError, "no MP3 inside"),
        (as_file(np.zeros(0, np.float32)), SoundDecodeError, "no samples"),
        (as_file(TONE, 1_000), SoundDecodeError, "a rate too low"),
        (as_file(TONE, 384_000), SoundDecodeError, "a rate too high"),
        (as_file(np.zeros((100, 9), np.float32)), SoundDecodeError, "nine channels"),
    ],
)
def test_what_cannot_be_read_is_told(data: bytes, kind: type[InputError], reason: str) -> None:
    with pytest.raises(kind) as told:
        decode_sound(data, max_seconds=60)
    assert type(told.value) is kind, reason
    assert "object at 0x" not in str(told.value), "nothing about our inside"


@pytest.mark.parametrize("head", [b"\0\0\0\x20ftypM4A \0\0\0\0", b"\x1a\x45\xdf\xa3" + b"\0" * 16])
def test_containers_say_what_they_need(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedTypeError, match=r"pip install 'aihub\[keyframes\]'"):
        decode_sound(head + b"\0" * 64)


def test_m4a_works_where_pyav_is_installed() -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    import io

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(talk((2.0, True), rate=44_100)[None], format="fltp", layout="mono")
        frame.sample_rate = 44_100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    data = file.getvalue()
    header = read_header(data)
    assert (header.format, header.rate, header.channels) == ("m4a", 44_100, 1)
    samples = decode_sound(data, max_seconds=3)
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert np.abs(np.fft.rfft(samples[8000:24000])).argmax() == pytest.approx(440, abs=2)
    with pytest.raises(TooLargeError):
        read_header(data, max_seconds=1)
    with pytest.raises(SoundDecodeError):
        decode_sound(data[:200])


def test_decoding_can_be_stopped() -> None:
    from aihub.errors import DeadlineError

    def stop() -> None:
        raise DeadlineError("nobody waits")

    with pytest.raises(DeadlineError):
        decode_sound(as_file(TONE), check=stop)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([4_000, 8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 15_999]),
    cuts=st.lists(st.integers(1, 60_000), max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_resampling_in_pieces_is_resampling_at_once(rate: int, cuts: list[int], seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, 150_000).astype(np.float32)
    whole = Resampler(rate)
    expected = np.concatenate([whole.push(noise), whole.finish()])
    pieces, parts = Resampler(rate), np.split(noise, np.cumsum(cuts))
    got = np.concatenate([*(pieces.push(part) for part in parts), pieces.finish()])
    assert len(got) == len(expected) == -(-len(noise) * SAMPLE_RATE // rate)
    np.testing.assert_allclose(got, expected, atol=2e-5)


FILES = [as_file(TONE[:4000], 16_000, form) for form in ("WAV", "FLAC", "OGG", "MP3")]


@settings(max_examples=150, deadline=None)
@given(
    file=st.sampled_from(FILES),
    cut=st.integers(0, 8_000),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
)
def test_damaged_files_are_sound_or_an_error_of_ours(
    file: bytes, cut: int, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(file[: max(len(file) - cut, 0)])
    for at, value in changes:
        if at < len(data):
            data[at] = value
    samples = read_or_refuse(bytes(data), 30)
    if samples is None:
        return
    assert samples.dtype == np.float32
    assert 0 < len(samples) <= 30 * SAMPLE_RATE + 1
    assert np.abs(samples).max() <= 1


@settings(max_examples=200, deadline=None)
@given(
    head=st.sampled_from([b"RIFF0000WAVE", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b""]),
    rest=st.binary(max_size=600),
)
def test_nonsense_is_an_error_of_ours(head: bytes, rest: bytes) -> None:
    read_or_refuse(head + rest, 5)
