"""Recordings as files to sound: the format told by its first bytes, the length by its header, then decoded piece by piece.

WAV, FLAC, OGG (Vorbis and Opus) and MP3 are read by libsndfile (package `soundfile`). M4A and WebM need PyAV: no
permissive package decodes AAC. What comes out is 16 kHz mono float32; only one piece is ever held at the file's own rate.
"""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.errors import SoundDecodeError, TooLargeError, UnsupportedTypeError
from aihub.types import SAMPLE_RATE, Samples

F32 = npt.NDArray[np.float32]

READS = "WAV, FLAC, OGG, MP3, M4A or WebM"
LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
MAX_CHANNELS = 8
PIECE = 1 << 16
"""Frames that are decoded at a time."""
SOUNDFILE = "reading sound needs the package soundfile: pip install 'aihub[speech]'"
PYAV = "AAC and WebM need PyAV, whose wheels carry GPL libraries: pip install 'aihub[keyframes]', or send WAV, FLAC, OGG or MP3"
KNOWN_LENGTH = 1 << 40
"""More frames than this is libsndfile's way to say that it does not know."""


@dataclass(frozen=True, slots=True)
class SoundHeader:
    """What a file says of itself.

    Attributes:
        format: `wav`, `flac`, `ogg`, `mp3`, `m4a` or `webm`.
        rate: samples a second.
        channels: how many.
        duration: seconds; None where the header does not tell.
    """

    format: str
    rate: int
    channels: int
    duration: float | None


def sniff(data: bytes) -> str | None:
    """The format by the first bytes, whatever the file is called; None for what is not read.

    >>> sniff(b"RIFF....WAVEfmt ")
    'wav'
    """
    head = data[:16]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6)):
        return "mp3"
    if head[4:8] == b"ftyp":
        return "m4a"
    return "webm" if head[:4] == b"\x1a\x45\xdf\xa3" else None


def read_header(data: bytes, *, max_seconds: float = math.inf) -> SoundHeader:
    """What a file says of itself; nothing is decoded.

    Args:
        data: the file.
        max_seconds: longest recording allowed.

    Raises:
        UnsupportedTypeError: a format that is not read here; says what to install.
        SoundDecodeError: a broken header.
        TooLargeError: it says that it is longer.
    """
    with _opened(data) as opened:
        _check_length(opened.header, max_seconds)
        return opened.header


def decode_sound(
    data: bytes, *, max_seconds: float = math.inf, check: Callable[[], None] | None = None
) -> Samples:
    """The whole recording as `(n,)` float32 mono at 16 kHz, in [-1, 1].

    Args:
        data: the file.
        max_seconds: longest recording allowed, whatever its header says.
        check: called between pieces; may raise to stop.

    Raises:
        UnsupportedTypeError, SoundDecodeError, TooLargeError: as of `read_header`, and while decoding.
    """
    pieces: list[Samples] = []
    with _opened(data) as opened:
        header = opened.header
        _check_length(header, max_seconds)
        resampler = Resampler(header.rate)
        seen, most = 0, max_seconds * header.rate
        for piece in opened.pieces:
            if check is not None:
                check()
            seen += len(piece)
            if seen > most:
                raise _too_long(max_seconds)
            pieces.append(resampler.push(_mono(piece)))
        pieces.append(resampler.finish())
    samples = np.concatenate(pieces)
    if not len(samples):
        raise SoundDecodeError("there is no sound in it")
    return samples


def _check_length(header: SoundHeader, max_seconds: float) -> None:
    if header.duration is not None and header.duration > max_seconds:
        raise _too_long(max_seconds, header.duration)


def _too_long(limit: float, length: float | None = None) -> TooLargeError:
    lasts = "the recording is longer" if length is None else f"the recording lasts {length:.1f} s"
    return TooLargeError(
        f"{lasts}, at most {limit:g} s are allowed", hint="send it in parts, or submit a job"
    )


def _mono(piece: F32) -> Samples:
    """Channels to their mean; what is no number is silence, what is too loud is clipped."""
    with np.errstate(over="ignore", invalid="ignore"):  # samples that are floats may be of any size
        mono = piece[:, 0] if piece.shape[1] == 1 else piece.mean(axis=1, dtype=np.float32)
    return np.clip(np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Opened:
    header: SoundHeader
    pieces: Iterator[F32]


@contextmanager
def _opened(data: bytes) -> Iterator[_Opened]:
    kind = sniff(data)
    if kind is None:
        raise UnsupportedTypeError("this is no recording that is read here", hint=f"send {READS}")
    opener = _open_container if kind in ("m4a", "webm") else _open_plain
    with opener(data, kind) as opened:
        header = opened.header
        if not LOWEST_RATE <= header.rate <= HIGHEST_RATE:
            raise SoundDecodeError(
                f"{header.rate} samples a second; {LOWEST_RATE} to {HIGHEST_RATE} are read"
            )
        if not 1 <= header.channels <= MAX_CHANNELS:
            raise SoundDecodeError(f"{header.channels} channels; 1 to {MAX_CHANNELS} are read")
        yield opened


@contextmanager
def _open_plain(data: bytes, kind: str) -> Iterator[_Opened]:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is here, its library is not
        raise UnsupportedTypeError("sound cannot be read in this installation", hint=SOUNDFILE) from error
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            frames = int(file.frames)
            known = 0 <= frames < KNOWN_LENGTH
            header = SoundHeader(
                kind, file.samplerate, file.channels, frames / file.samplerate if known else None
            )
            yield _Opened(header, _plain_pieces(file))
    except (soundfile.SoundFileError, ValueError, TypeError, OSError) as error:
        raise SoundDecodeError(f"the {kind.upper()} file cannot be read: {_short(error)}") from error


def _plain_pieces(file: Any) -> Iterator[F32]:
    while True:
        piece = file.read(PIECE, dtype="float32", always_2d=True)
        if not len(piece):
            return
        yield piece


@contextmanager
def _open_container(data: bytes, kind: str) -> Iterator[_Opened]:
    if importlib.util.find_spec("av") is None:
        raise UnsupportedTypeError(f"{kind.upper()} cannot be read in this installation", hint=PYAV)
    import av

    try:
        # Named, so that the demuxers of other formats, playlists with addresses in them among them, are never tried.
        with av.open(io.BytesIO(data), format="mp4" if kind == "m4a" else "matroska") as container:
            if not container.streams.audio:
                raise SoundDecodeError("there is no sound in it")
            stream = container.streams.audio[0]
            duration = None if container.duration is None else container.duration / 1_000_000
            header = SoundHeader(kind, int(stream.rate or 0), int(stream.channels), duration)
            yield _Opened(header, _container_pieces(av, container, header))
    except (av.FFmpegError, ValueError, OSError) as error:
        raise SoundDecodeError(f"the {kind.upper()} file cannot be read: {_short(error)}") from error


def _container_pieces(av: Any, container: Any, header: SoundHeader) -> Iterator[F32]:
    layout = "mono" if header.channels == 1 else "stereo"
    planes = av.AudioResampler(format="fltp", layout=layout, rate=header.rate)
    for frame in container.decode(audio=0):
        for made in planes.resample(frame):
            yield made.to_ndarray().T
    for made in planes.resample(None):
        yield made.to_ndarray().T


def _short(error: Exception) -> str:
    """What a library says, in one line without what it says about our objects."""
    words = str(getattr(error, "error_string", "") or getattr(error, "strerror", "") or error)
    return " ".join(words.split())[:160] or type(error).__name__


@lru_cache(maxsize=16)
def _low_pass(up: int, down: int) -> F32:
    """The filter between two rates: `2 * 10 * max(up, down) + 1` coefficients."""
    from scipy import signal

    most = max(up, down)
    return np.asarray(signal.firwin(20 * most + 1, 1.0 / most, window=("kaiser", 5.0)), np.float32)


class Resampler:
    """From any rate to 16 kHz, piece by piece; what comes out is what resampling all at once would give.

    Args:
        rate: of what will be pushed, samples a second.
    """

    def __init__(self, rate: int) -> None:
        common = math.gcd(SAMPLE_RATE, rate)
        self._up, self._down = SAMPLE_RATE // common, rate // common
        # The filter reaches this far; rounded up so that cuts fall where a sample comes out.
        reach = math.ceil(10 * max(self._up, self._down) / self._up)
        self._margin = math.ceil(reach / self._down) * self._down
        self._held: Samples = np.zeros(0, np.float32)
        self._base = 0
        self._done = 0

    def push(self, piece: Samples) -> Samples:
        """The next samples; gives what can be told for sure by now."""
        if self._up == self._down:
            return piece
        self._held = np.concatenate([self._held, piece])
        sure = (self._base + len(self._held) - self._margin) // self._down * self._down
        if sure - self._done < PIECE // 2:
            return self._held[:0]
        made = self._resampled()[self._out(self._done) : self._out(sure)]
        self._done = sure
        keep = max(0, sure - self._margin)
        self._held, self._base = self._held[keep - self._base :], keep
        return made

    def finish(self) -> Samples:
        """The rest."""
        if self._up == self._down or not len(self._held):
            return self._held[:0]
        return self._resampled()[self._out(self._done) :]

    def _out(self, at: int) -> int:
        return (at - self._base) * self._up // self._down

    def _resampled(self) -> Samples:
        from scipy import signal

        # Coefficients as an array are what it documents; its type stubs know only names of windows.
        window: Any = _low_pass(self._up, self._down)
        made = signal.resample_poly(self._held, self._up, self._down, window=window)
        return np.clip(np.asarray(made, np.float32), -1.0, 1.0)
