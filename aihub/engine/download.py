"""Fetching one file of known size and digest: streamed, bounded, timed, retried, and in place only when it is right."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx2
import stamina

from aihub.errors import ArtifactError

Progress = Callable[[int, int], None]
"""Called with bytes so far and bytes in all."""

_CHUNK = 1 << 18
_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)


class AbsentError(ArtifactError):
    """The server says that it does not have the file."""


class _BusyError(Exception):
    """The server asked to come back later."""


def fetch(url: str, target: Path, *, size: int, sha256: str, progress: Progress | None = None) -> None:
    """Bring a file and put it in place at once and whole.

    Args:
        url: http or https.
        target: where it belongs; its folder is made.
        size: bytes it has; the transfer stops at the first byte more.
        sha256: digest it must have.
        progress: called after every chunk.

    Raises:
        AbsentError: 404 or 410.
        ArtifactError: refused, unreachable after three attempts, or not what its size and digest say.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in stamina.retry_context(
            on=(httpx2.TransportError, _BusyError), attempts=3, wait_initial=0.2, wait_max=5.0, timeout=3600.0
        ):
            with attempt:
                digest = _stream(url, part, size, progress)
        if digest != sha256:
            raise ArtifactError(f"{url} has sha256 {digest}, but {sha256} was expected")
        part.replace(target)
    except (httpx2.HTTPError, httpx2.InvalidURL, _BusyError) as error:
        raise ArtifactError(f"{url} cannot be fetched: {error or type(error).__name__}") from error
    except OSError as error:
        raise ArtifactError(f"{target} cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            part.unlink()


def _stream(url: str, part: Path, size: int, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    done = 0
    with (
        httpx2.Client(timeout=_TIMEOUT, follow_redirects=True, max_redirects=5) as client,
        client.stream("GET", url) as answer,
        part.open("wb") as file,
    ):
        if answer.status_code in (404, 410):
            raise AbsentError(f"{url} answers {answer.status_code}")
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _BusyError(f"the server answers {answer.status_code}")
        answer.raise_for_status()
        for chunk in answer.iter_bytes(_CHUNK):
            done += len(chunk)
            if done > size:
                raise ArtifactError(f"{url} is longer than the {size} bytes of its card")
            digest.update(chunk)
            file.write(chunk)
            if progress is not None:
                progress(done, size)
    if done != size:
        raise ArtifactError(f"{url} has {done} bytes, but {size} were expected")
    return digest.hexdigest()
