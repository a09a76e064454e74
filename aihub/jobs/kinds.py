"""What an uploaded file is, by its first bytes. Only these formats ever reach a decoder.

A playlist or a session description is text that makes a decoder open other files and addresses, so a file that is not one of the
containers here is refused before anything opens it.
"""

from __future__ import annotations

from aihub.errors import UnsupportedTypeError
from aihub.types.jobs import JobKind

HEAD = 1024
"""Bytes of a file that are looked at."""

READS = "send a film (MP4, MOV, MKV, WebM, AVI, FLV, MPEG-TS or MPEG-PS), sound (WAV, FLAC, MP3, OGG, M4A) or a ZIP of pictures"

FILM_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg"
"""The same for FFmpeg, which looks at more than the first bytes."""

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
_SOUND_BRANDS = (b"M4A ", b"M4B ")
_FILMS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\1\xba", b"\0\0\1\xb3")
_SOUNDS = (b"OggS", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*")
_ARCHIVES = (b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


def kind_of(head: bytes) -> JobKind:
    """What a file is.

    Args:
        head: its first `HEAD` bytes, fewer when it has fewer.

    Raises:
        UnsupportedTypeError: none of what a job reads; says what it is where that is known.
    """
    kind = _iso(head) or _riff(head) or _by_magic(head)
    if kind is not None:
        return kind
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        raise UnsupportedTypeError(
            "this is a single picture",
            field="file",
            hint="POST it to /v1/algorithms/ID/infer, or send a ZIP of pictures",
        )
    if head.startswith(_ARCHIVES):
        raise UnsupportedTypeError(
            "this archive is not read", field="file", hint="send the pictures as a ZIP"
        )
    raise UnsupportedTypeError(
        "the file is empty" if not head else "the file is none that a job reads", field="file", hint=READS
    )


def _iso(head: bytes) -> JobKind | None:
    if head[4:8] not in _BOXES:
        return None
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in _PICTURE_BRANDS:
        return None
    return JobKind.AUDIO if brand in _SOUND_BRANDS else JobKind.VIDEO


def _riff(head: bytes) -> JobKind | None:
    if head[:4] != b"RIFF":
        return None
    return {b"AVI ": JobKind.VIDEO, b"WAVE": JobKind.AUDIO}.get(head[8:12])


def _by_magic(head: bytes) -> JobKind | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return JobKind.PICTURES
    if head.startswith(_FILMS) or _transport_stream(head):
        return JobKind.VIDEO
    return JobKind.AUDIO if head.startswith(_SOUNDS) else None


def _transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes that begin with a sync byte, or of 192 with a time stamp before it."""
    return any(
        len(head) > first + 2 * size and {head[first], head[first + size], head[first + 2 * size]} == {0x47}
        for first, size in ((0, 188), (4, 192))
    )
