"""Calls about the hub itself."""

from __future__ import annotations

from typing import Any

import httpx2

from aihub.client.calls import Call, call, many, one, text
from aihub.client.inputs import BINARY
from aihub.types.answers import ErrorCode, Health, Ready


class StatusCalls:
    """Whether the hub lives and is ready, its metrics, and its description."""

    @call("GET", "/readyz")
    def ready(self) -> Call[Ready]:
        """Whether the hub can be used, and what is missing. Needs no key; asked once.

        Raises:
            HubUnreachableError: nobody answers.
        """
        return Call(one(Ready), again=False, also=frozenset({503}))

    @call("GET", "/healthz")
    def health(self) -> Call[Health]:
        """Whether a process of the hub answers. Needs no key; asked once.

        Raises:
            HubUnreachableError: nobody answers.
        """
        return Call(one(Health), again=False)

    @call("GET", "/metrics")
    def metrics(self) -> Call[str]:
        """Metrics of all processes in Prometheus text form; needs the scope `metrics`."""
        return Call(text)

    @call("GET", "/docs/errors")
    def error_codes(self) -> Call[list[ErrorCode]]:
        """Every code that an error of this hub may have, with its HTTP status and meaning."""
        return Call(many(ErrorCode))

    @call("GET", "/openapi.json")
    def openapi(self) -> Call[dict[str, Any]]:
        """The description of the API, OpenAPI 3.1."""
        return Call(_document)

    @call("POST", "/v1/echo")
    def echo(self, data: bytes) -> Call[int]:
        """How many bytes arrived: what the way to the hub costs without any work at its end."""
        return Call(
            lambda response: int(response.json()["bytes"]),
            headers={"Content-Type": BINARY},
            body=lambda: {"content": data},
            again=True,
        )


def _document(response: httpx2.Response) -> dict[str, Any]:
    document: dict[str, Any] = response.json()
    return document
