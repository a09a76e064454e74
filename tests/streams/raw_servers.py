"""Servers that are broken on purpose, on real sockets."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Handler = Callable[[socket.socket], None]

SDP_VIDEO = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkAUAW6EAAAAwAQAAADAyDxYuSA,aMuDyyA=\r\n"
    "a=framerate:12.5\r\na=control:track1\r\n"
)
SDP_SOUND = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=horn\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)


@contextmanager
def serving(handle: Handler) -> Iterator[int]:
    """Accept connections on a free port and hand each to `handle` in a thread of its own; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    ending = threading.Event()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            handle(connection)
            # Another thread may still read from it: closing alone would not end the connection then.
            connection.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while not ending.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ending.set()
        acceptor.join(2)
        listener.close()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def request(connection: socket.socket) -> tuple[str, dict[str, str]]:
    """Read one request: its first word and its headers, among them its address as `:url`."""
    text = b""
    while b"\r\n\r\n" not in text:
        received = connection.recv(4096)
        if not received:
            raise OSError("the client has gone")
        text += received
    first, *lines = text.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, url, _ = first.split()
    return method, {**headers, ":url": url}


def reply(
    connection: socket.socket, sequence: str, status: str = "200 OK", body: str = "", **headers: str
) -> None:
    lines = [f"RTSP/1.0 {status}", f"CSeq: {sequence}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def silent(connection: socket.socket) -> None:
    """Accept and say nothing."""
    while connection.recv(4096):
        pass


def answering(*, status: str = "200 OK", body: str = SDP_VIDEO, **headers: str) -> Handler:
    """Answer OPTIONS with OK and DESCRIBE with this."""

    def handle(connection: socket.socket) -> None:
        while True:
            method, asked = request(connection)
            if method == "DESCRIBE":
                reply(connection, asked["cseq"], status, body if status.startswith("200") else "", **headers)
            else:
                reply(connection, asked["cseq"])

    return handle


def saying(text: bytes) -> Handler:
    """Answer the first request with these bytes and hang up."""

    def handle(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(text)

    return handle


def mute_after_play(connection: socket.socket) -> None:
    """A whole session, and then not one packet."""
    while True:
        method, asked = request(connection)
        if method == "DESCRIBE":
            reply(connection, asked["cseq"], body=SDP_VIDEO)
        elif method == "SETUP":
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
            reply(connection, asked["cseq"], Transport=transport, Session="12345678;timeout=60")
        else:
            reply(connection, asked["cseq"], Session="12345678")


def secured(port: int, certificate: Path, key: Path) -> Handler:
    """Speak TLS and pass everything on to a server that does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def handle(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as secret,
            socket.create_connection(("127.0.0.1", port), 5) as good,
        ):
            good.settimeout(10)
            threading.Thread(target=_pass_requests, args=(secret, good), daemon=True).start()
            while received := good.recv(65536):
                secret.sendall(received)

    return handle


def corrupting(port: int, *, share: float, seconds: float) -> Handler:
    """Pass everything on to a good server; spoil this share of its video packets for a while, from one second on."""
    rng = random.Random(7)

    def handle(connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port), 5) as good:
            good.settimeout(10)
            back = threading.Thread(target=_pass_requests, args=(connection, good), daemon=True)
            back.start()
            started, buffer = time.monotonic(), b""
            while received := good.recv(65536):
                whole, buffer = _split_interleaved(buffer + received)
                at = time.monotonic() - started
                spoil = 1.0 < at < 1.0 + seconds
                out = [_spoiled(part, rng) if spoil and rng.random() < share else part for part in whole]
                connection.sendall(b"".join(out))

    return handle


def _pass_requests(connection: socket.socket, good: socket.socket) -> None:
    with suppress(OSError):
        while received := connection.recv(65536):
            good.sendall(received)


def _split_interleaved(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole packets and whatever else lies between them, and the rest."""
    whole: list[bytes] = []
    while data:
        if data[0] != 0x24:
            end = data.find(b"$")
            cut = len(data) if end < 0 else end
            whole.append(data[:cut])
            data = data[cut:]
            continue
        size = 4 + int.from_bytes(data[2:4], "big")
        if len(data) < size:
            break
        whole.append(data[:size])
        data = data[size:]
    return whole, data


def _spoiled(packet: bytes, rng: random.Random) -> bytes:
    if packet[:2] != b"$\x00" or len(packet) < 40:
        return packet
    broken = bytearray(packet)
    for _ in range(8):
        broken[rng.randrange(17, len(broken))] = rng.randrange(256)
    return bytes(broken)
