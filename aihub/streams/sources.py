"""Where pictures come from: the address of a stream, taken apart and checked.

Credentials are split from the address at the first touch and joined again only for the decoder, so that whatever prints
an address cannot print a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from aihub.errors import AddressError
from aihub.telemetry import redact
from aihub.types import StreamSpec

PORTS = {"rtsp": 554, "rtsps": 322}
"""Scheme -> port when the address names none."""

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+:")
_SECRET_WORDS = re.compile(r"(?i)(?<![a-z])(?P<key>pass(?:word|wd)?|pwd|token|secret)=[^&;_/\s]*")
# What FFmpeg reads as itself between `//` and `@`; everything else is percent-encoded.
_AUTH_SAFE = "!$&'()*+,;=~-._"
_PATH_SAFE = "/%:=&?~#+!$,;'@()*[]-._"
_LONGEST_AUTH = 127
_LONGEST_ADDRESS = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """A checked address.

    Attributes:
        url: `rtsp://`, `rtsps://` or `file:` address without user and password.
        username: as typed by a person, not percent-encoded.
        password: likewise.
        transport: `tcp` (with UDP where the camera refuses TCP) or `udp`.
        loop: start a file again at its end.
        paced: give a file's pictures at its own frame rate, else as fast as they are taken.
        key_frames: decode only pictures that need no other, where our own receiver reads the camera.
    """

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    transport: str = "tcp"
    loop: bool = False
    paced: bool = True
    key_frames: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it is a file of this machine and not a camera."""
        return self.url.startswith("file:")

    @property
    def is_secure(self) -> bool:
        """Whether the control connection is TLS."""
        return self.url.startswith("rtsps:")

    @property
    def path(self) -> str:
        """Path of a file on disk."""
        return self.url.removeprefix("file:")

    @property
    def host(self) -> str:
        """Name or address of the camera, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port of the control connection."""
        parts = urlsplit(self.url)
        return parts.port or PORTS.get(parts.scheme, 0)

    def joined(self) -> str:
        """The address with user and password, for the decoder and nobody else."""
        if self.is_file or not self.username:
            return self.url
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{_auth(self.username, self.password)}@{rest}"

    def redacted(self) -> str:
        """The address as it may be shown: user and password replaced by `***`."""
        scheme, separator, rest = self.url.partition("://")
        shown = f"{scheme}://***@{rest}" if separator and self.username else self.url
        return redact_address(shown)


def redact_address(text: str) -> str:
    """Hide user and password in every address of a text, those in queries too.

    >>> redact_address("rtsp://admin:s3cret@10.0.0.7/live?token=abc&channel=1")
    'rtsp://***@10.0.0.7/live?token=***&channel=1'
    """
    return _SECRET_WORDS.sub(r"\g<key>=***", redact(text))


def split_credentials(url: str) -> tuple[str, str, str]:
    """Take an address apart: address without credentials, user, password (both percent-decoded).

    >>> split_credentials("rtsp://admin:p%40ss@10.0.0.7:554/1")
    ('rtsp://10.0.0.7:554/1', 'admin', 'p@ss')

    Raises:
        AddressError: it cannot be read as an address.
    """
    parts = _split(url)
    auth, _, place = parts.netloc.rpartition("@")
    username, _, password = auth.partition(":")
    return parts._replace(netloc=place).geturl(), unquote(username), unquote(password)


def parse_source(spec: StreamSpec, *, allow_files: bool = False) -> Source:
    """Check a stream's address and make a source of it.

    Credentials inside the address are accepted too; those of the spec's own fields win.

    Args:
        spec: what was asked for.
        allow_files: whether `file:` addresses and bare paths may be read. `file:clip.mp4?loop=1` starts again at the
            end, `?pace=0` gives pictures as fast as they are taken.

    Raises:
        AddressError: not an address the hub reads.
    """
    url = spec.url.strip()
    scheme = url.partition(":")[0].lower() if _SCHEME.match(url) else "file"
    if scheme == "file":
        if not allow_files:
            raise AddressError(
                "files are not read here", hint="give an rtsp:// or rtsps:// address", field="url"
            )
        return _file(url)
    if scheme not in PORTS:
        raise AddressError(
            f"addresses that start with {scheme}: are not read", hint="give rtsp:// or rtsps://", field="url"
        )
    address, username, password = split_credentials(url)
    username, password = spec.username or username, spec.password or password
    _check_credentials(username, password)
    parts = urlsplit(address)
    clean = SplitResult(
        scheme, parts.netloc, quote(parts.path, safe=_PATH_SAFE), quote(parts.query, safe=_PATH_SAFE), ""
    )
    return Source(clean.geturl(), username, password, spec.transport, key_frames=spec.sampling.key_frames)


def _file(url: str) -> Source:
    if not _SCHEME.match(url):
        return Source(f"file:{url}")
    name, _, query = url.partition(":")[2].partition("?")
    options = parse_qs(query)
    path = unquote(name.removeprefix("//") if name.startswith("///") else name)
    return Source(
        f"file:{path}",
        loop=options.get("loop", ["0"])[-1] == "1",
        paced=options.get("pace", ["1"])[-1] != "0",
    )


def _split(url: str) -> SplitResult:
    # Python drops line ends from addresses silently: they would be a way into the request that the decoder writes.
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise AddressError("the address holds blanks or control characters", field="url")
    if len(url) > _LONGEST_ADDRESS:
        raise AddressError(f"the address is longer than {_LONGEST_ADDRESS} characters", field="url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The cause would quote the address, and what follows a stray `/` or `#` of a password.
        raise AddressError(
            "the address cannot be read",
            hint="percent-encode special characters of the password",
            field="url",
        ) from None
    if not host or port == 0:
        raise AddressError("the address names no host", hint="rtsp://HOST[:PORT]/PATH", field="url")
    return parts


def _check_credentials(username: str, password: str) -> None:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in username + password):
        raise AddressError("user or password hold control characters", field="username")
    if len(_auth(username, password).encode()) > _LONGEST_AUTH:
        raise AddressError(
            f"user and password take more than {_LONGEST_AUTH} bytes together, more than the decoder reads",
            field="password",
        )


def _auth(username: str, password: str) -> str:
    return f"{quote(username, safe=_AUTH_SAFE)}:{quote(password, safe=_AUTH_SAFE)}"
