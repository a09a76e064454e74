"""What is about a person is sealed before it is stored: AES-256-GCM, bound to the row that it belongs to.

A sealed value is a version, the first bytes of the key's digest, a nonce, and what AES-GCM makes. Moved to another row, cut or
changed, it does not open.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aihub.errors import ConfigError, StorageError

KEY_BYTES, NONCE_BYTES, MARK_BYTES = 32, 12, 4
_VERSION = b"\x01"
_HEAD = len(_VERSION) + MARK_BYTES + NONCE_BYTES


class Sealer:
    """Seals and opens with one key. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        """Take the key.

        Raises:
            ConfigError: it has not 32 bytes.
        """
        if len(key) != KEY_BYTES:
            raise ConfigError(
                f"the key of the face galleries has {len(key)} bytes, but must have {KEY_BYTES}",
                hint="AIHUB_GALLERY_KEY is 32 random bytes as base64: openssl rand -base64 32",
                field="gallery_key",
            )
        self._cipher = AESGCM(key)
        self._mark = hashlib.sha256(b"aihub gallery" + key).digest()[:MARK_BYTES]

    def seal(self, plain: bytes, about: str) -> bytes:
        """Encrypt; `about` names what it belongs to and is needed again to open it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        head = _VERSION + self._mark
        return head + nonce + self._cipher.encrypt(nonce, plain, head + about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Decrypt.

        Raises:
            ConfigError: it was sealed with another key.
            StorageError: it is damaged, or belongs to something else.
        """
        head = sealed[: len(_VERSION) + MARK_BYTES]
        if head[:1] != _VERSION or len(sealed) <= _HEAD:
            raise StorageError("what is stored about a face is no sealed value")
        if head[1:] != self._mark:
            raise ConfigError(
                "the face galleries were sealed with another key",
                hint="bring back gallery.key, or AIHUB_GALLERY_KEY, of the hub that enrolled them",
                field="gallery_key",
            )
        try:
            return self._cipher.decrypt(sealed[len(head) : _HEAD], sealed[_HEAD:], head + about.encode())
        except InvalidTag as error:
            raise StorageError("what is stored about a face is damaged or was moved") from error


def gallery_key(path: Path, given: str = "") -> bytes:
    """The key: as it was given, else that of the file, which is made (mode 0600) where there is none.

    Args:
        path: of the file, outside the database.
        given: 32 bytes as base64; empty takes the file.

    Raises:
        ConfigError: it is no base64, or the file cannot be read or made.
    """
    try:
        text = given or _kept(path)
    except OSError as error:
        raise ConfigError(
            f"the key of the face galleries cannot be read: {error}", field="gallery_key"
        ) from error
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError("the key of the face galleries is no base64", field="gallery_key") from error


def _kept(path: Path) -> str:
    """What the file says. Whoever of several processes makes it first has made it for all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Written whole under another name first: nobody may read half a key.
        fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    return path.read_text(encoding="ascii")
