"""Addresses of cameras that callers hand in: credentials taken out, and only where cameras may be."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from aihub.errors import AddressError
from aihub.types.addresses import AddressGuard

SCHEMES = {"rtsp": 554, "rtsps": 322}
"""Scheme -> its usual port."""


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """An address with its credentials apart.

    Attributes:
        url: without user and password.
        host: name or number, without brackets.
        port: given or usual.
        username: empty when there was none.
        password: empty when there was none.
    """

    url: str
    host: str
    port: int
    username: str
    password: str

    @classmethod
    def parse(cls, url: str) -> CameraAddress:
        """Take an address apart.

        Raises:
            AddressError: not an rtsp address. The address is not repeated, since it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AddressError("the address cannot be read", field="url") from error
        if parts.scheme not in SCHEMES:
            raise AddressError("the address must begin with rtsp:// or rtsps://", field="url")
        if not parts.hostname:
            raise AddressError("the address names no host", field="url")
        if parts.fragment or any(ord(char) <= 32 or ord(char) == 127 for char in url):
            raise AddressError(
                "the address holds '#' or blanks", hint="write # as %23 and a blank as %20", field="url"
            )
        return cls(
            _without_credentials(parts),
            parts.hostname,
            port or SCHEMES[parts.scheme],
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )


def _without_credentials(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


async def check_camera(guard: AddressGuard, camera: CameraAddress) -> None:
    """Refuse a camera that the hub must not connect to. Whoever connects checks again: names may change what they lead to.

    Raises:
        AddressError: it has no address, or none that is allowed.
    """
    try:
        if _is_literal(camera.host):
            guard.check(camera.host, camera.port)
        else:
            await asyncio.to_thread(guard.check, camera.host, camera.port)
    except AddressError as error:
        error.field = "url"
        error.hint = "the operator allows networks with AIHUB_CAMERA_NETWORKS" if error.hint else None
        raise


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
