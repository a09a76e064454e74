"""Requests and answers of RTSP (RFC 2326) on one connection, the camera's question for a password included.

Everything is bounded: each answer in size, each exchange in time. Whatever goes wrong on the network or in an answer
becomes an error with a type of its own.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from aihub.errors import AuthError, ConnectError, FormatError, StreamMissingError
from aihub.streams.description import Description, Track
from aihub.streams.sources import Source, redact_address

LARGEST_HEAD = 16 * 1024
LARGEST_BODY = 64 * 1024
"""Longest answer that is read, bytes."""

_STATUS = re.compile(rb"RTSP/\d\.\d (?P<code>\d{3})(?: (?P<reason>[^\r\n]{0,200}))?\r?\n")
_SIZE = re.compile(r"[0-9]{1,9}")
"""Not any number: Python reads none of more than 4,300 digits."""
_CHALLENGE_PAIR = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|([^\s,]+))")
_HASHES = {"md5": "md5", "sha-256": "sha256"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Header names are in lower case; `body` may still be on its way, `length` says how long it is."""

    code: int
    reason: str
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    length: int
    body: bytes = b""


def parse_head(head: bytes) -> Answer:
    """Read the head of an answer, without the empty line that ends it.

    Raises:
        ConnectError: it is not RTSP, or announces a body that is too large.
    """
    status = _STATUS.match(head + b"\r\n")
    if status is None or len(head) > LARGEST_HEAD:
        raise ConnectError("what answers there does not speak RTSP")
    headers: dict[str, str] = {}
    challenges: list[str] = []
    for line in head.decode("latin-1").splitlines()[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
        if name.strip().lower() == "www-authenticate":
            challenges.append(value.strip())
    length = headers.get("content-length", "0")
    if not _SIZE.fullmatch(length) or int(length) > LARGEST_BODY:
        raise ConnectError("the camera announces a description of impossible size")
    reason = (status["reason"] or b"").decode("latin-1").strip()
    return Answer(int(status["code"]), reason, headers, tuple(challenges), int(length))


class Conversation:
    """One RTSP connection: requests in turn, credentials added when they are asked for."""

    def __init__(self, connection: socket.socket, source: Source, deadline: float) -> None:
        self.connection = connection
        self.source = source
        self.deadline = deadline
        self.scheme = ""
        self._buffer = b""
        self._sequence = 0
        self._challenge: dict[str, str] = {}

    def ask(self, method: str, headers: Mapping[str, str] | None = None, url: str = "") -> Answer:
        """Send a request and wait for its answer, with user and password if the camera asks for them.

        Raises:
            AuthError: it wants another user or password.
            ConnectError: what it answers is not RTSP.
            OSError: the network failed, or the time is over.
        """
        answer = self._exchange(method, headers or {}, url)
        if answer.code != 401:
            return answer
        self.accept(answer)
        answer = self._exchange(method, headers or {}, url)
        if answer.code == 401:
            raise AuthError("the camera refuses this user or password")
        return answer

    def accept(self, answer: Answer) -> None:
        """Take the question for a password from an answer 401; the next requests carry its proof.

        Raises:
            AuthError: there is no password to prove, or no known way of doing so.
        """
        if not self.source.username:
            raise AuthError(
                "the camera asks for user and password and none are set", hint="set username and password"
            )
        self._accept_challenge(answer.challenges)

    def request(self, method: str, headers: Mapping[str, str], url: str = "") -> bytes:
        """The bytes of the next request. `url` is that of the stream when none is given."""
        url = url or self.source.url
        self._sequence += 1
        lines = [
            f"{method} {url} RTSP/1.0",
            f"CSeq: {self._sequence}",
            "User-Agent: aihub",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if self._challenge:
            lines.append(f"Authorization: {self._authorization(method, url)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def rest(self) -> bytes:
        """What was received beyond the last answer; it is handed over once."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _exchange(self, method: str, headers: Mapping[str, str], url: str) -> Answer:
        text = self.request(method, headers, url)
        self._arm()
        self.connection.sendall(text)
        return self._read_answer()

    @property
    def left_s(self) -> float:
        """Seconds until the whole conversation must be over."""
        return self.deadline - time.monotonic()

    def _arm(self) -> None:
        left = self.left_s
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)

    def _more(self) -> None:
        self._arm()
        received = self.connection.recv(8192)
        if not received:
            raise ConnectError("the camera closed the connection before it answered")
        self._buffer += received

    def _read_answer(self) -> Answer:
        while b"\r\n\r\n" not in self._buffer:
            if self._buffer and not b"RTSP/".startswith(self._buffer[:5]):
                raise ConnectError("what answers there does not speak RTSP")
            if len(self._buffer) > LARGEST_HEAD:
                raise ConnectError("the camera's answer has no end")
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        answer = parse_head(head)
        while len(self._buffer) < answer.length:
            self._more()
        body, self._buffer = self._buffer[: answer.length], self._buffer[answer.length :]
        return replace(answer, body=body)

    def _accept_challenge(self, challenges: tuple[str, ...]) -> None:
        """Take the strongest way of proving the password that both sides know."""
        offers: list[tuple[int, str, dict[str, str]]] = []
        for challenge in challenges:
            scheme, _, rest = challenge.partition(" ")
            pairs = {name.lower(): quoted or bare for name, quoted, bare in _CHALLENGE_PAIR.findall(rest)}
            if scheme.lower() == "basic":
                offers.append((0, "basic", pairs))
            elif scheme.lower() == "digest" and pairs.get("algorithm", "MD5").lower() in _HASHES:
                offers.append((1, "digest", pairs))
        if not offers:
            raise AuthError("the camera asks for a kind of password proof that is not known")
        _, self.scheme, self._challenge = max(offers, key=lambda offer: offer[0])
        self._challenge["scheme"] = self.scheme

    def _authorization(self, method: str, url: str) -> str:
        user, password = self.source.username, self.source.password
        if self.scheme == "basic":
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        asked = self._challenge
        algorithm = asked.get("algorithm", "MD5")

        def digest(text: str) -> str:
            name = _HASHES[algorithm.lower()]
            return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

        realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
        secret = digest(f"{user}:{realm}:{password}")
        wanted = digest(f"{method}:{url}")
        proof = {"username": user.replace("\\", "\\\\").replace('"', '\\"'), "realm": realm, "nonce": nonce}
        proof["uri"] = url
        extra = ""
        if "auth" in re.split(r"[,\s]+", asked.get("qop", "")):
            count, own = f"{self._sequence:08x}", secrets.token_hex(8)
            proof["response"] = digest(f"{secret}:{nonce}:{count}:{own}:auth:{wanted}")
            proof["cnonce"] = own
            extra = f", qop=auth, nc={count}"
        else:
            proof["response"] = digest(f"{secret}:{nonce}:{wanted}")
        if "opaque" in asked:
            proof["opaque"] = asked["opaque"]
        if "algorithm" in asked:
            extra += f", algorithm={algorithm}"
        return "Digest " + ", ".join(f'{name}="{value}"' for name, value in proof.items()) + extra


@contextmanager
def spoken_plainly(source: Source) -> Iterator[None]:
    """Turn the faults of sockets into a `ConnectError` that says what happened."""
    place = f"{source.host}:{source.port}"
    try:
        yield
    except socket.gaierror:
        raise ConnectError(f"the name {source.host} cannot be resolved") from None
    except ConnectionRefusedError:
        raise ConnectError(f"{place} refuses connections") from None
    except TimeoutError:
        raise ConnectError(f"{place} does not answer in time") from None
    except ssl.SSLError as error:
        raise ConnectError(f"no secure connection with {place}: {error.reason}") from None
    except OSError as error:
        raise ConnectError(f"no connection with {place}: {error.strerror or 'network error'}") from None


def connect(source: Source, deadline: float) -> socket.socket:
    """A connection with the camera, TLS where the address says so.

    Raises:
        OSError: no address of the host answers before `deadline` (monotonic seconds).
    """
    fault: OSError = TimeoutError()
    for family, kind, protocol, _, place in socket.getaddrinfo(
        source.host, source.port, type=socket.SOCK_STREAM
    ):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(left)
        try:
            connection.connect(place)
            return _secured(connection, source) if source.is_secure else connection
        except OSError as error:
            connection.close()
            fault = error
    raise fault


def _secured(connection: socket.socket, source: Source) -> socket.socket:
    # Cameras sign their own certificates; the decoder does not check them either, and must see what the probe saw.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=source.host)


def check(answer: Answer, source: Source) -> None:
    """Do nothing if the answer is 200.

    Raises:
        AuthError: the user may not see the stream.
        StreamMissingError: there is no such stream.
        FormatError: the camera cannot say it in a way that is understood.
        ConnectError: anything else.
    """
    code, reason = answer.code, redact_address(answer.reason)
    if code == 200:
        return
    if code == 403:
        raise AuthError("the camera does not let this user see the stream")
    if code in (404, 410, 454):
        raise StreamMissingError(f"the camera has no stream at this path ({code} {reason})")
    if 300 <= code < 400:
        target = redact_address(answer.headers.get("location", "elsewhere"))[:200]
        raise ConnectError(
            f"the camera points to another address: {target}", hint="use that address for the stream"
        )
    if code in (406, 415):
        raise FormatError(f"the camera does not describe the stream in SDP ({code} {reason})")
    raise ConnectError(f"{source.host} answers {code} {reason}".rstrip())


@dataclass(slots=True)
class Line:
    """A connection on which a camera has described its stream, for whoever wants to have it played.

    Attributes:
        conversation: the connection.
        description: what the camera offers.
        track: the video track to play.
        base: address that relative ones in the description belong to.
        methods: what the camera understands, upper case; empty when it does not say.
        taken: whether somebody has made the connection his own and will close it.
    """

    conversation: Conversation
    description: Description
    track: Track
    base: str
    methods: frozenset[str] = frozenset()
    taken: bool = False

    def address(self, control: str) -> str:
        """The whole address of a track or session by what the description calls it."""
        if not control or control == "*":
            return self.base
        if "://" in control:
            return control
        return f"{self.base}{'' if self.base.endswith('/') else '/'}{control}"
