"""Signed HTTP callbacks: one POST a step, CloudEvents 1.0 in structured JSON."""

from __future__ import annotations

import json
import time
from typing import Self
from urllib.parse import urlsplit

import httpx2
from pydantic import Field, SecretStr, field_validator, model_validator

from aihub.errors import AddressError, DeliveryError
from aihub.events.delivery import Sink, SinkParams, Surroundings
from aihub.events.pinned import PinnedTransport
from aihub.events.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from aihub.types import Event
from aihub.types.addresses import UnresolvedError

_RETRYABLE = {408, 425, 429}
_ANSWER_BYTES = 4096


class WebhookParams(SinkParams):
    """Where to, and the secret that proves the sender."""

    url: str = Field(max_length=2048, description="http(s) address that takes a POST.")
    secret: SecretStr = Field(description="Shared secret of the signature, at least 16 characters.")

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("must not hold user and password: the signature proves the sender")
        if parts.port == 0:  # asking for it also refuses what is no number
            raise ValueError("must not use port 0")
        try:
            httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise ValueError(str(error)) from error
        return url

    @model_validator(mode="after")
    def _long_secret(self) -> Self:
        if len(self.secret.get_secret_value()) < 16:
            raise ValueError("secret must have at least 16 characters")
        return self


class Webhook(Sink[WebhookParams]):
    """Posts to one address. Anything but 2xx is a failure; 4xx other than 408, 425 and 429 is one for good."""

    kind = "webhook"

    def __init__(self, params: WebhookParams, surroundings: Surroundings) -> None:
        super().__init__(params, surroundings)
        transport = PinnedTransport(surroundings.guard, timeout_s=surroundings.timeout_s)
        self._client = httpx2.Client(transport=transport, follow_redirects=False, trust_env=False)

    def deliver(self, event: Event) -> None:
        """Post one step.

        Raises:
            DeliveryError: not taken.
        """
        body = json.dumps(event.cloud_event(), ensure_ascii=False, separators=(",", ":")).encode()
        at = str(int(time.time()))
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "User-Agent": "aihub-webhook/1",
            "Idempotency-Key": event.delivery_id,
            TIMESTAMP_HEADER: at,
            SIGNATURE_HEADER: sign(self.params.secret.get_secret_value(), at, body),
        }
        try:
            with self._client.stream("POST", self.params.url, content=body, headers=headers) as answer:
                status, told = answer.status_code, _beginning(answer)
        except AddressError as error:
            raise DeliveryError(str(error), retryable=isinstance(error, UnresolvedError)) from error
        except httpx2.TimeoutException as error:
            raise DeliveryError(f"no answer within {self.surroundings.timeout_s:g} s") from error
        except httpx2.HTTPError as error:
            raise DeliveryError(f"{type(error).__name__}: {error}") from error
        if not 200 <= status < 300:
            lasting = 300 <= status < 500 and status not in _RETRYABLE
            raise DeliveryError(f"answered {status}: {told}", retryable=not lasting)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _beginning(answer: httpx2.Response) -> str:
    """The first bytes of a body, as sent: the rest is not read, nor anything unpacked."""
    read = b""
    for part in answer.iter_raw():
        read += part
        if len(read) >= _ANSWER_BYTES:
            break
    return read[:200].decode("utf-8", "replace")
