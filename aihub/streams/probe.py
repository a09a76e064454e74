"""Ask a camera what it has before the decoder is let near it.

FFmpeg tells "wrong password", "no such stream" and "only sound" apart in its log at best. This small RTSP client sends
OPTIONS and DESCRIBE itself, so that every such fault has its own type, and so that a camera that is silent never occupies a decoder.
Everything is bounded: each answer in size, the whole conversation in time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from aihub.errors import FormatError, StreamMissingError
from aihub.streams.conversation import Conversation, Line, check, connect, spoken_plainly
from aihub.streams.description import parse_description
from aihub.streams.sources import Source, parse_source, redact_address
from aihub.types import StreamSpec


class ProbeResult(BaseModel):
    """What a camera says it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(description="The address, without credentials.")
    codec: str = Field("", description="Encoding of the first video track: H264, H265, JPEG, ...")
    tracks: tuple[str, ...] = Field((), description="All tracks as `kind/encoding`.")
    fps: float = Field(0.0, description="Frame rate as announced, 0 when it is not.")
    server: str = Field("", description="What the server calls itself.")
    auth: str = Field("", description="How it asks for the password: empty, `basic` or `digest`.")
    seconds: float = Field(0.0, description="Time the answers took.")


def probe(spec: StreamSpec, timeout_s: float = 5.0) -> ProbeResult:
    """Ask the camera of a stream what it has.

    Raises:
        AddressError: not an address the hub reads.
        ConnectError: refused, unreachable, silent, or it does not speak RTSP.
        AuthError: it wants another user or password.
        StreamMissingError: it has nothing at that path.
        FormatError: there is no video in it.
    """
    return probe_source(parse_source(spec), timeout_s)


def probe_source(source: Source, timeout_s: float = 5.0) -> ProbeResult:
    """`probe` for an address that is already checked; for files it only looks whether they are there."""
    with probing(source, timeout_s) as probed:
        return probed.result


@dataclass(slots=True)
class Probed:
    """What a camera says it has, and the connection on which it said so, if there is one."""

    result: ProbeResult
    line: Line | None = None


@contextmanager
def probing(source: Source, timeout_s: float = 5.0) -> Iterator[Probed]:
    """`probe_source` that keeps its connection until the block is left, or for good if somebody takes it.

    Servers that start a camera for the first client and stop it after the last one would answer the decoder in the
    middle of stopping; while the probe holds the line, the decoder finds the camera running.
    """
    if source.is_file:
        if not Path(source.path).is_file():
            raise StreamMissingError(f"there is no file {source.path}")
        yield Probed(ProbeResult(address=source.redacted()))
        return
    deadline = time.monotonic() + timeout_s
    with spoken_plainly(source):
        connection = connect(source, deadline)
    probed: Probed | None = None
    try:
        with spoken_plainly(source):
            probed = _ask(source, Conversation(connection, source, deadline), timeout_s)
        yield probed
    finally:
        if probed is None or probed.line is None or not probed.line.taken:
            connection.close()


def _ask(source: Source, conversation: Conversation, timeout_s: float) -> Probed:
    options = conversation.ask("OPTIONS")
    described = conversation.ask("DESCRIBE", {"Accept": "application/sdp"})
    check(described, source)
    description = parse_description(described.body.decode("utf-8", "replace"))
    video = next((track for track in description.tracks if track.kind == "video"), None)
    if video is None:
        kinds = ", ".join(sorted({track.kind for track in description.tracks})) or "nothing"
        raise FormatError(f"no video in the stream, it offers {kinds[:100]}")
    server = described.headers.get("server", "") or options.headers.get("server", "")
    result = ProbeResult(
        address=source.redacted(),
        codec=video.codec,
        tracks=tuple(f"{track.kind}/{track.codec}" for track in description.tracks),
        fps=description.fps,
        server=redact_address(server)[:100],
        auth=conversation.scheme,
        seconds=round(timeout_s - conversation.left_s, 4),
    )
    headers = described.headers
    base = headers.get("content-base") or headers.get("content-location") or source.url
    methods = frozenset(word.strip().upper() for word in options.headers.get("public", "").split(","))
    return Probed(result, Line(conversation, description, video, base, methods - {""}))
