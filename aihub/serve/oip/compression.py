"""Compressed bodies: unpacked up to a bound, packed only for those who ask for exactly that."""

from __future__ import annotations

import zlib

from starlette.exceptions import HTTPException

from aihub.errors import InputError, TooLargeError

_WBITS = {"gzip": 31, "deflate": 15}
FAST = 1
"""Level: tensors hardly get smaller with higher ones, and take several times as long."""


def request_coding(header: str | None) -> str | None:
    """How a body is packed; None when it is not.

    Raises:
        HTTPException: 415, packed in a way that is not read here.
    """
    coding = (header or "identity").strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in _WBITS:
        raise HTTPException(
            415, f"Content-Encoding {coding[:32]!r} is not read here", {"Accept-Encoding": ", ".join(_WBITS)}
        )
    return coding


def response_coding(header: str | None) -> str | None:
    """How to pack an answer: as `Accept-Encoding` says when it names one coding alone.

    Clients that name several did not choose: their libraries always do, and packing tensors costs more than sending them.
    """
    asked = (header or "").strip().lower()
    return asked if asked in _WBITS else None


def unpack(coding: str, data: bytes, limit: int) -> bytes:
    """The body as it was before it was packed; never holds more than `limit` bytes and one more.

    Raises:
        TooLargeError: it has more than `limit` bytes.
        InputError: it is not packed like that, or not whole.
    """
    machine = zlib.decompressobj(_WBITS[coding])
    try:
        whole = machine.decompress(data, limit + 1)
    except zlib.error as error:
        raise InputError(f"the body is not {coding}", field="body") from error
    if len(whole) > limit:
        raise TooLargeError(f"the unpacked body may have {limit:,} bytes at most here", field="body")
    if not machine.eof:
        raise InputError(f"the {coding} body is cut off", field="body")
    if machine.unused_data:
        raise InputError(f"{len(machine.unused_data)} bytes follow the {coding} body", field="body")
    return whole


def pack(coding: str, data: bytes) -> bytes:
    """Pack an answer."""
    machine = zlib.compressobj(FAST, wbits=_WBITS[coding])
    return machine.compress(data) + machine.flush()
