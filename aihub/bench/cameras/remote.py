"""Commands to a camera server in another process."""

from __future__ import annotations

import re
import socket
import time
from urllib.parse import unquote, urlsplit

from aihub.bench.cameras.auth import digest_response
from aihub.bench.cameras.faults import PARAMETER, format_fault, make_fault
from aihub.errors import AuthError, ConnectError, FormatError, ParamsError, StreamMissingError

_ANSWER_BYTES = 64 * 1024


def send_fault(url: str, kind: str | None, *, timeout_s: float = 5.0, **options: object) -> None:
    """Break a camera that another process serves, or mend it.

    Args:
        url: the camera's address, with user and password where it has some; path "*" for all cameras of the server.
        kind: "freeze", "drop", "corrupt", "slow", "jump"; none mends.
        timeout_s: for each step.
        options: see the fault's class.

    Raises:
        ParamsError: unknown kind or option, or the server does not understand it.
        ConnectError: no answer.
        AuthError: user or password are wrong.
        StreamMissingError: no such camera.
    """
    body = f"{PARAMETER}: {format_fault(make_fault(kind, **options))}\r\n".encode()
    parts = urlsplit(url)
    target = f"rtsp://{parts.hostname}:{parts.port or 554}/{parts.path.lstrip('/') or '*'}"
    address = (parts.hostname or "127.0.0.1", parts.port or 554)
    try:
        with socket.create_connection(address, timeout=timeout_s) as sock:
            sock.settimeout(timeout_s)
            status, head = _ask(sock, target, body, 1, "", timeout_s)
            if status == 401 and parts.username is not None:
                login = _login(head, unquote(parts.username), unquote(parts.password or ""), target)
                status, head = _ask(sock, target, body, 2, login, timeout_s)
    except OSError as error:
        raise ConnectError(f"no camera server at {address[0]}:{address[1]}: {error}") from None
    if status == 401:
        raise AuthError("the camera server refuses user and password")
    if status == 404:
        raise StreamMissingError(f"no camera at {target}")
    if status == 451:
        raise ParamsError("the server does not know this fault: is it aihub's?", field="fault")
    if status != 200:
        raise FormatError(f"the server answers {status}")


def _ask(
    sock: socket.socket, target: str, body: bytes, number: int, login: str, timeout_s: float
) -> tuple[int, str]:
    lines = [f"SET_PARAMETER {target} RTSP/1.0", f"CSeq: {number}", "Content-Type: text/parameters"]
    lines += [f"Content-Length: {len(body)}", *([f"Authorization: {login}"] if login else []), "", ""]
    sock.sendall("\r\n".join(lines).encode() + body)
    answer, until = b"", time.monotonic() + timeout_s
    while b"\r\n\r\n" not in answer:
        data = sock.recv(4096)
        answer += data
        if not data or len(answer) > _ANSWER_BYTES or time.monotonic() > until:
            raise ConnectionError("the connection ended without an answer")
    match = re.match(rb"RTSP/1\.0 (\d{3})", answer)
    if match is None:
        raise ConnectionError("what answers is not RTSP")
    return int(match[1]), answer.decode("utf-8", "replace")


def _login(head: str, user: str, password: str, target: str) -> str:
    found = re.search(r'Digest realm="([^"]*)", nonce="([^"]*)"', head)
    if found is None:
        return ""
    realm, nonce = found.groups()
    answer = digest_response(
        user=user, password=password, realm=realm, nonce=nonce, method="SET_PARAMETER", uri=target
    )
    return f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{target}", response="{answer}"'
