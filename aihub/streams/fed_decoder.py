"""A decoder that is fed: our own receiver takes the pictures off the network, OpenCV's FFmpeg only decodes them.

    camera --RTSP, RTP in TCP--> RtspSession --packets--> Depacketiser --pictures--> FedDecoder --bytes--> FFmpeg

What this is good for, beside one connection instead of two:

- A camera may change the size of its pictures. OpenCV keeps the size of a capture's first picture, so the capture is
  fed to its end and another one goes on with the first picture of the new size. The session with the camera stays.
- After packets were lost, pictures are left out until one comes that needs no other. A picture is whole or not there;
  there are no grey ones.
- A picture is decoded when its last packet is there. Every picture is closed with a delimiter, else FFmpeg would wait for
  the next one to see where it ends.

No thread is added: FFmpeg asks for bytes from inside `grab`, and these calls wait for the network.
"""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import cv2

from aihub.errors import ConnectError, StreamError
from aihub.streams.capture import open_capture, picture_of
from aihub.streams.conversation import Line
from aihub.streams.depacketise import CODECS, START_CODE, AccessUnit, Codec, Depacketiser
from aihub.streams.parameter_sets import PictureFormat, picture_format
from aihub.streams.rtsp_session import RtspSession, UnsuitedError
from aihub.types import Image

_FORMATS = {"H264": "h264", "H265": "hevc"}
# The format is known and the first picture has its parameter sets with it: nothing needs to be found out.
_OPTIONS = "input_format;{}|probesize;32|analyzeduration;1|fpsprobesize;0"
_SETTINGS = (cv2.CAP_PROP_N_THREADS, 1)
_MOST_SETS = 64
_CAPTURES_PER_GRAB = 4
_GRABS_AT_END = 3
REST_S = 0.1
"""A key frame may so come a tenth of a second late; what a camera sends meanwhile waits in the system's buffer."""


class Session(Protocol):
    """Where packets come from: `RtspSession`, or a test's own."""

    def packets(self, deadline: float) -> list[bytes]:
        """RTP packets; none when none came before `deadline` (monotonic seconds)."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class FedDecoder:
    """Decodes what a session brings. See `aihub.streams.decoder.Decoder`.

    Args:
        session: a camera that plays; closed with this.
        codec: what it sends.
        sets: parameter sets known beforehand.
        read_timeout_s: longest time a picture may take to come, seconds.
        keyframes_only: decode only pictures where decoding can start.
        rest_s: pause after pictures that are left out, seconds: waking up for each of them would cost more than reading them.

    Attributes:
        codec: H264 or H265.
        corrupt: pictures left out because something was lost.
        heard: when the last whole picture came, decoded or not; monotonic seconds, 0 before the first.
        changes: times the size or format of the pictures has changed.
        received: packets.
        pictures: whole pictures among them.
    """

    def __init__(
        self,
        session: Session,
        codec: Codec,
        sets: list[bytes],
        read_timeout_s: float,
        *,
        keyframes_only: bool = False,
        rest_s: float = REST_S,
    ) -> None:
        self.codec = codec.name
        self.corrupt = 0
        self.heard = 0.0
        self.changes = 0
        self.received = 0
        self.pictures = 0
        self._session = session
        self._kind = codec
        self._read_timeout_s = read_timeout_s
        self._keyframes_only = keyframes_only
        self._rest_s = rest_s if keyframes_only else 0.0
        self._options = _OPTIONS.format(_FORMATS[codec.name])
        self._packets = Depacketiser(codec)
        self._sets: dict[int, list[bytes]] = {}
        self._learn([unit for unit in sets if codec.kind(unit) in codec.sets])
        self._known_sets: dict[bytes, PictureFormat | None] = {}
        self._format: PictureFormat | bytes | None = None
        self._lossy = False
        self._waiting = True
        self._next: deque[AccessUnit] = deque()
        self._held: bytes | None = None
        self._deadline = 0.0
        self._fault: BaseException | None = None
        self._feed: _Feed | None = None
        self._capture: cv2.VideoCapture | None = None

    @property
    def ended(self) -> bool:
        """A camera has no end."""
        return False

    def wait(self, deadline: float) -> bool:
        """Wait for a picture where decoding can start, and start; whether it came before `deadline`.

        Raises:
            UnsuitedError: FFmpeg makes nothing of it, or packets came and never a whole picture.
            StreamError: the connection was lost, or nothing came at all.
        """
        self._deadline = deadline
        if self._held is None:
            self._held = self._entry()
        if self._held is None:
            fault, self._fault = self._fault, None
            if fault is not None:
                raise fault
            return False
        if not self._begin():
            raise UnsuitedError("the decoder cannot start with what the camera sends")
        return True

    def grab(self) -> bool:
        """Decode the next picture. False: none came in time, or the connection is at its end."""
        self._deadline = time.monotonic() + self._read_timeout_s
        for _ in range(_CAPTURES_PER_GRAB):
            if self._capture is None:
                self._held = self._held or self._entry()
                if self._held is None or not self._begin():
                    break
            if self._capture is not None and self._capture.grab():
                return True
            if self._feed is not None and not self._feed.ended:
                # A picture that cannot be decoded; the capture goes on with the next.
                break
            # The last delimiter is no picture and costs a grab; pictures that FFmpeg holds back come after it.
            if self._capture is not None and any(self._capture.grab() for _ in range(_GRABS_AT_END)):
                return True
            self._end()
            if self._held is None:
                break
        self._raise_unexpected()
        return False

    def retrieve(self) -> Image | None:
        """The picture last grabbed as one of its own, None when it cannot be converted."""
        return None if self._capture is None else picture_of(self._capture)

    def release(self) -> None:
        """Close the capture and the session."""
        self._end()
        self._session.close()

    def _begin(self) -> bool:
        """Open a capture on the picture that is held; whether FFmpeg takes it."""
        first, self._held = self._held, None
        self._feed = _Feed(first or b"", self._more)
        capture = open_capture(self._feed, self._options, _SETTINGS)
        if capture.isOpened():
            self._capture = capture
            return True
        self._end()
        return False

    def _end(self) -> None:
        """Close the capture. What comes next has to be a picture where decoding can start."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
        self._feed = None
        if self._held is None:
            self._waiting = True

    def _entry(self) -> bytes | None:
        """The next picture where decoding can start, with its parameter sets; None when none came in time."""
        self._waiting = True
        return self._more(entry=True)

    def _more(self, *, entry: bool = False) -> bytes | None:
        """Bytes of the next picture to decode; None at the end of what one capture can decode."""
        rests = False
        try:
            while True:
                while self._next:
                    unit = self._next.popleft()
                    rests = self._rest_s > 0
                    if self._wanted(unit):
                        changed = self._changed(unit)
                        data = self._bytes(unit, with_sets=entry or changed)
                        if changed and not entry:
                            self.changes += 1
                            self._held = data
                            return None
                        return data
                # Packets may flow for ever without a picture that can be decoded.
                now = time.monotonic()
                overdue = now >= self._deadline
                if rests and not overdue:
                    time.sleep(min(self._rest_s, self._deadline - now))
                packets = [] if overdue else self._session.packets(self._deadline)
                if not packets:
                    return None
                self.received += len(packets)
                for packet in packets:
                    self._packets.push(packet)
                ready = self._packets.ready
                if ready:
                    self.pictures += len(ready)
                    self.heard = time.monotonic()
                self._next.extend(ready)
                ready.clear()
        except BaseException as error:  # noqa: BLE001 - OpenCV takes the process down when a read raises; see `grab`
            self._fault = error
            return None

    def _wanted(self, unit: AccessUnit) -> bool:
        """Whether a picture is to be decoded. Those that need one that was lost are not."""
        if unit.has_sets:
            self._learn([part for part in unit.units if self._kind.kind(part) in self._kind.sets])
        if unit.broken or unit.after_loss:
            self._waiting = self._lossy = True
        if self._waiting:
            if unit.broken or not unit.is_entry:
                self.corrupt += self._lossy
                return False
            self._waiting = self._lossy = False
        return not self._keyframes_only or unit.is_entry

    def _learn(self, sets: list[bytes]) -> None:
        """Keep the newest parameter sets. A new sequence set makes all others of its time void."""
        kinds = {self._kind.kind(unit) for unit in sets}
        if self._kind.sps in kinds:
            for kind in kinds:
                self._sets[kind] = []
        for unit in sets:
            known = self._sets.setdefault(self._kind.kind(unit), [])
            if unit not in known:
                known.append(unit)
                del known[:-_MOST_SETS]

    def _changed(self, unit: AccessUnit) -> bool:
        """Whether a picture has another size or format than those before. Notes what it has."""
        if self._format is not None and not (unit.has_sets and unit.is_entry):
            return False
        sequences = self._sets.get(self._kind.sps)
        if not sequences:
            return False
        newest = sequences[-1]
        if newest not in self._known_sets:
            if len(self._known_sets) >= _MOST_SETS:
                self._known_sets.clear()
            self._known_sets[newest] = picture_format(self.codec, newest)
        # Sets that cannot be read are compared as they are.
        found = self._known_sets[newest] or newest
        before, self._format = self._format, found
        return before is not None and before != found

    def _bytes(self, unit: AccessUnit, *, with_sets: bool) -> bytes:
        """A picture as a byte stream (annex B), closed by a delimiter."""
        codec, parts = self._kind, unit.units
        if with_sets and not any(codec.kind(part) == codec.sps for part in parts):
            known = [part for kind in codec.sets for part in self._sets.get(kind, ())]
            parts = [*known, *(part for part in parts if part not in known)]
        return START_CODE + START_CODE.join(parts) + codec.delimiter

    def _raise_unexpected(self) -> None:
        """Raise what went wrong inside a read, unless it is the camera's doing."""
        fault, self._fault = self._fault, None
        if fault is not None and not isinstance(fault, StreamError):
            raise fault


class _Feed(io.BufferedIOBase):
    """What FFmpeg reads from: one picture at a time, and the end where another capture has to go on."""

    def __init__(self, first: bytes, more: Callable[[], bytes | None]) -> None:
        super().__init__()
        self._data = first
        self._at = 0
        self._more = more
        self.ended = False

    def read(self, size: int | None = -1, /) -> bytes:
        if self._at >= len(self._data):
            data = None if self.ended else self._more()
            if data is None:
                self.ended = True
                return b""
            self._data, self._at = data, 0
        stop = len(self._data) if size is None or size < 0 else self._at + size
        chunk = self._data[self._at : stop]
        self._at += len(chunk)
        return chunk

    def seek(self, _offset: int, _whence: int = 0, /) -> int:
        # -1 is OpenCV's way of hearing no; an exception would take the process down.
        return -1


def open_fed(
    line: Line, open_timeout_s: float, read_timeout_s: float, *, keyframes_only: bool = False
) -> FedDecoder:
    """Have a camera play that has described itself.

    Raises:
        UnsuitedError: it does so in a way that is not read here; OpenCV's own receiver may do better.
        StreamError: it refuses, or does not play in time.
    """
    deadline = time.monotonic() + open_timeout_s
    session = RtspSession(line, deadline)
    decoder = FedDecoder(
        session,
        CODECS[line.track.codec],
        line.track.parameter_sets(),
        read_timeout_s,
        keyframes_only=keyframes_only,
    )
    try:
        if not decoder.wait(deadline):
            _judge(decoder, open_timeout_s)
    except BaseException:
        decoder.release()
        raise
    return decoder


def _judge(decoder: FedDecoder, open_timeout_s: float) -> None:
    """A picture where decoding can start may be long in coming; nothing at all is a fault."""
    if not decoder.received:
        raise ConnectError(
            f"the camera describes the stream but does not play it within {round(open_timeout_s * 1000)} ms"
        )
    if not decoder.pictures:
        raise UnsuitedError("packets came, but no picture")
