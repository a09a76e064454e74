"""Routes that answer with one JPEG: their description, and the answer."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

A_JPEG: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        "description": "A JPEG.",
    }
}

EVIDENCE_S = 3600
"""Evidence never changes under its name; the browser of whoever may see it may keep it this long."""


def evidence(picture: bytes) -> Response:
    """The answer with a picture that stays as it is."""
    return Response(
        picture, media_type="image/jpeg", headers={"Cache-Control": f"private, max-age={EVIDENCE_S}"}
    )
