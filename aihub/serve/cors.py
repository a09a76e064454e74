"""Pages in browsers: which may call the hub. None, unless the operator names their origins (`cors_origins`).

Keys travel in headers and never in cookies, so no page can borrow the key of another; what is decided here is only which
pages may read the hub's answers at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from aihub.serve.deadlines import HEADER

_METHODS = ("GET", "POST", "PATCH", "DELETE")
_SENT = (
    "Authorization",
    "X-API-Key",
    "X-Request-Id",
    HEADER,
    "If-Match",
    "Last-Event-ID",
    "Range",
    "Inference-Header-Content-Length",
)
"""Headers that pages may send beyond those that browsers always let through."""
_READ = (
    "X-Request-Id",
    "Retry-After",
    "ETag",
    "Location",
    "WWW-Authenticate",
    "Inference-Header-Content-Length",
)
"""Headers of answers that pages may read beyond those that browsers always show."""
MAX_AGE_S = 600
"""How long a browser remembers what it was told."""


def let_pages_in(app: FastAPI, origins: Sequence[str]) -> None:
    """Answer the questions that browsers ask first, for pages of these origins only. To be added last, so that it stands
    outside the door: a browser sends no key when it asks.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=tuple(origins),
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_READ,
            allow_private_network=True,  # whoever is named here was meant to reach a hub on the inside
            max_age=MAX_AGE_S,
        )
