"""Signatures of webhooks, for the sender and for those who receive.

Every delivery carries three headers:

    X-Aihub-Timestamp: 1760000000                    epoch seconds of this attempt
    X-Aihub-Signature: v1=<HMAC-SHA256, hexadecimal> of `timestamp + "." + body` under the shared secret
    Idempotency-Key:   <event id>-<revision>         the same on every attempt: keep it, and pass over repeats

A receiver recomputes the signature over the raw body before it reads it, and refuses old timestamps, so that a
delivery that was overheard cannot be sent again later.
"""

from __future__ import annotations

import hashlib
import hmac
import time

TIMESTAMP_HEADER = "X-Aihub-Timestamp"
SIGNATURE_HEADER = "X-Aihub-Signature"
_VERSION = "v1="


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body sent at a time.

    >>> sign("secret", "1760000000", b"{}")[:12]
    'v1=53dc05473'
    """
    mac = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return _VERSION + mac.hexdigest()


def verify_signature(
    secret: str,
    timestamp: str,
    signature: str,
    body: bytes,
    *,
    tolerance_s: float = 300.0,
    now: float | None = None,
) -> bool:
    """Whether a delivery is from a sender that knows the secret, and fresh.

    Args:
        secret: what sender and receiver share.
        timestamp: the header `X-Aihub-Timestamp`.
        signature: the header `X-Aihub-Signature`; several may be given, separated by commas.
        body: the raw body, as received.
        tolerance_s: how far the clocks may differ, with the time on the way, seconds.
        now: epoch seconds, the clock's when None.
    """
    try:
        age = (time.time() if now is None else now) - float(timestamp)
    except ValueError:
        return False
    if not abs(age) <= tolerance_s:  # so that NaN is refused
        return False
    wanted = sign(secret, timestamp, body).encode()
    return any(hmac.compare_digest(wanted, part.strip().encode()) for part in signature.split(","))
