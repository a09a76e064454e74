"""A file server on this machine, plain or with TLS, that answers what a test tells it to."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest


class Answer(NamedTuple):
    """What the server says; a header of None is left out."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str | None] = {}


@dataclass
class Server:
    """A file server on this machine: path -> the answers it gives, one a request, the last one for good."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def gives(self, path: str, *answers: Answer) -> None:
        """Answer so from now on."""
        self.answers[path] = list(answers)


Answers = Mapping[str, Sequence[tuple[int, bytes] | Answer]]


@contextmanager
def serving(answers: Answers, *, certificate: Path | None = None) -> Iterator[Server]:
    """A server; with a certificate (one file with its key) it speaks https."""
    server = Server(answers={path: [Answer(*one) for one in many] for path, many in answers.items()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            queued = server.answers.get(self.path, [Answer(404)])
            status, body, headers = queued.pop(0) if len(queued) > 1 else queued[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - signature of the library
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    server.url = f"{scheme}://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


def self_signed(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on this machine")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    request = (
        f"req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 2 -subj /CN=127.0.0.1 "
        "-addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([openssl, *request.split()], check=True, capture_output=True, timeout=30)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both
