"""Fetching one file: streamed, bounded, timed, retried, and in place only when it is right."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import stamina

from aihub.errors import ArtifactError

Progress = Callable[[int, int], None]
"""Called with bytes so far and bytes in all, 0 while those are not known."""

_CHUNK = 1 << 18
_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)


class AbsentError(ArtifactError):
    """The server says that it does not have the file."""


class _BusyError(Exception):
    """The server asked to come back later."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file must be.

    Attributes:
        most: bytes it may have; the transfer stops at the first byte more.
        size: bytes it has; None takes any number up to `most`, where the server says how many come.
        sha256: its digest; None takes any.
        check: told the whole file before it is put in place; raises `ArtifactError` when it will not do.
    """

    most: int
    size: int | None = None
    sha256: str | None = None
    check: Callable[[Path], None] | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: where it lies now, its digest and its size."""

    path: Path
    sha256: str
    bytes: int


def fetch(
    url: str, place: Callable[[str], Path], wanted: Wanted, *, part: Path, progress: Progress | None = None
) -> Fetched:
    """Bring a file and put it in place at once and whole.

    Args:
        url: http or https; from https no redirect leads to anything else.
        place: from its digest to where it belongs.
        wanted: what it must be.
        part: where it grows, on the same disk; its folder is made, and what is in the way of its name is not.
        progress: called after every chunk.

    Raises:
        AbsentError: 404 or 410.
        ArtifactError: refused, unreachable after three attempts, or not what is wanted.
    """
    part = part.with_name(f".{part.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        for attempt in stamina.retry_context(
            on=(httpx2.TransportError, _BusyError), attempts=3, wait_initial=0.2, wait_max=5.0, timeout=3600.0
        ):
            with attempt:
                digest, size = _stream(url, part, wanted, progress)
        if wanted.sha256 not in (None, digest):
            raise ArtifactError(f"{url} has sha256 {digest}, but {wanted.sha256} was expected")
        if wanted.check is not None:
            wanted.check(part)
        target = place(digest)
        part.replace(target)
        return Fetched(target, digest, size)
    except (httpx2.HTTPError, httpx2.InvalidURL, _BusyError) as error:
        raise ArtifactError(f"{url} cannot be fetched: {error or type(error).__name__}") from error
    except OSError as error:
        raise ArtifactError(f"{part.parent} cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            part.unlink()


def _stream(url: str, part: Path, wanted: Wanted, progress: Progress | None) -> tuple[str, int]:
    digest = hashlib.sha256()
    done = 0
    hooks = {"request": [_stays_encrypted]} if url.startswith("https:") else {}
    with (
        httpx2.Client(timeout=_TIMEOUT, follow_redirects=True, max_redirects=5, event_hooks=hooks) as client,
        client.stream("GET", url) as answer,
        part.open("wb") as file,
    ):
        if answer.status_code in (404, 410):
            raise AbsentError(f"{url} answers {answer.status_code}")
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _BusyError(f"the server answers {answer.status_code}")
        answer.raise_for_status()
        total = wanted.size or _announced(answer, url, wanted.most)
        for chunk in answer.iter_bytes(_CHUNK):
            done += len(chunk)
            if done > (wanted.size or wanted.most):
                raise ArtifactError(_too_long(url, wanted))
            digest.update(chunk)
            file.write(chunk)
            if progress is not None:
                progress(done, total)
    if wanted.size not in (None, done):
        raise ArtifactError(f"{url} has {done} bytes, but {wanted.size} were expected")
    return digest.hexdigest(), done


def _stays_encrypted(request: httpx2.Request) -> None:
    if request.url.scheme != "https":
        raise ArtifactError(f"the server redirects to {request.url}, which is not https")


def _announced(answer: httpx2.Response, url: str, most: int) -> int:
    """Bytes that will come, 0 when they come in chunks with an end mark; with neither, a cut-off file would pass for a whole one."""
    length = answer.headers.get("Content-Length", "")
    if not length.isdecimal():
        if "Transfer-Encoding" in answer.headers:
            return 0
        raise ArtifactError(f"{url} does not say how long it is, so nobody could tell when it is cut off")
    if int(length) > most:
        raise ArtifactError(f"{url} has {length} bytes, but its card allows {most} (max_bytes)")
    return int(length) if "Content-Encoding" not in answer.headers else 0


def _too_long(url: str, wanted: Wanted) -> str:
    if wanted.size is not None:
        return f"{url} is longer than the {wanted.size} bytes of its card"
    return f"{url} is longer than the {wanted.most} bytes that its card allows (max_bytes)"
