"""Recordings, in all formats that are read here."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from aihub.algorithms.sound_files import HIGHEST_RATE, LOWEST_RATE, MAX_CHANNELS, decode_sound, read_header
from aihub.types import SAMPLE_RATE
from tests.fuzz.law import read_or_refused

LONGEST = 4096
MAX_SECONDS = 2.0
WORDS = (
    b"RIFF", b"RIFX", b"RF64", b"WAVEfmt ", b"data", b"fact", b"\xfe\xff", b"fLaC", b"OggS", b"\x01vorbis", b"OpusHead", b"OpusTags", b"ID3",
    b"\xff\xfb", b"\xff\xf3", b"Xing", b"\x80\xbb\0\0", b"\xff\xff\xff\xff", b"ds64", b"ftypM4A ", b"\x1a\x45\xdf\xa3",
)  # fmt: skip


def check(data: bytes) -> bool:
    """Sound within [-1, 1] of no more than the allowed length, or a refusal."""
    header = read_or_refused(lambda: read_header(data, max_seconds=MAX_SECONDS), named=False)
    samples = read_or_refused(lambda: decode_sound(data, max_seconds=MAX_SECONDS), named=False)
    if header is not None:
        assert LOWEST_RATE <= header.rate <= HIGHEST_RATE
        assert 1 <= header.channels <= MAX_CHANNELS
    if samples is None:
        return False
    assert header is not None, "what is decoded has a header"
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0 < len(samples) <= MAX_SECONDS * SAMPLE_RATE + 1
    assert np.abs(samples).max() <= 1
    return True


def seeds() -> list[bytes]:
    """A tone of a hundredth of a second in every container and a few widths and rates."""
    moments = np.arange(480) / 48_000
    tone = np.sin(2 * np.pi * 440 * moments).astype(np.float32) / 2
    made = []
    for kind, subtype, rate, channels in (
        ("WAV", "PCM_16", 8_000, 1),
        ("WAV", "FLOAT", 48_000, 2),
        ("WAV", "ULAW", 8_000, 1),
        ("WAV", "IMA_ADPCM", 16_000, 1),
        ("RF64", "PCM_24", 44_100, 1),
        ("FLAC", "PCM_16", 16_000, 2),
        ("MP3", "MPEG_LAYER_III", 16_000, 1),
        ("OGG", "OPUS", 48_000, 1),
    ):
        file = io.BytesIO()
        wave = np.repeat(tone[:, None], channels, axis=1)
        soundfile.write(file, wave, rate, format=kind, subtype=subtype)
        made.append(file.getvalue())
    return [data for data in made if len(data) <= LONGEST]
