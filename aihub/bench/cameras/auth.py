"""Who may watch a camera: Basic and Digest authentication (RFC 7617, RFC 2617) for RTSP."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

REALM = "aihub cameras"
_PAIR = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def digest_response(
    *, user: str, password: str, realm: str, nonce: str, method: str, uri: str, extra: tuple[str, ...] = ()
) -> str:
    """The `response` of a Digest header.

    Args:
        user: name.
        password: in clear.
        realm: from the challenge.
        nonce: from the challenge.
        method: RTSP method.
        uri: the `uri` of the header.
        extra: nc, cnonce and qop where a qop is used.
    """
    return _md5(_md5(user, realm, password), nonce, *extra, _md5(method, uri))


class Guard:
    """Checks the `Authorization` header of one connection's requests.

    Args:
        users: password by user; empty lets everybody in.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users
        self._nonce = secrets.token_hex(16)

    @property
    def challenges(self) -> tuple[str, str]:
        """Values of `WWW-Authenticate`: Digest first, as clients take the first they know."""
        return f'Digest realm="{REALM}", nonce="{self._nonce}", algorithm=MD5', f'Basic realm="{REALM}"'

    def allows(self, method: str, header: str) -> bool:
        """Whether a request with this header may pass."""
        if not self._users:
            return True
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() == "basic":
            return self._basic(rest)
        if scheme.lower() == "digest":
            return self._digest(method, rest)
        return False

    def _basic(self, text: str) -> bool:
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return False
        return self._same(password, self._users.get(user))

    def _digest(self, method: str, text: str) -> bool:
        given = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(text)}
        password = self._users.get(given.get("username", ""))
        if password is None or given.get("realm") != REALM or given.get("nonce") != self._nonce:
            return False
        extra: tuple[str, ...] = ()
        if qop := given.get("qop"):
            extra = (given.get("nc", ""), given.get("cnonce", ""), qop)
        wanted = digest_response(
            user=given["username"],
            password=password,
            realm=REALM,
            nonce=self._nonce,
            method=method,
            uri=given.get("uri", ""),
            extra=extra,
        )
        return self._same(given.get("response", ""), wanted)

    @staticmethod
    def _same(given: str, wanted: str | None) -> bool:
        return wanted is not None and hmac.compare_digest(given.encode(), wanted.encode())
