"""Session descriptions (SDP, RFC 8866) as cameras write them: which tracks there are and how each is asked for."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass, field

_STATIC_CODECS = {"26": "JPEG", "31": "H261", "32": "MPV", "33": "MP2T", "34": "H263"}
_MOST_TRACKS = 64


@dataclass(slots=True)
class Track:
    """One track of a description.

    Attributes:
        kind: `video`, `audio`, `application`, ...
        codec: encoding name, upper case: H264, H265, JPEG, ...
        control: address of the track as written, relative or absolute; empty when none is given.
        parameters: format parameters by lower-case name.
    """

    kind: str
    codec: str
    control: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    def parameter_sets(self) -> list[bytes]:
        """NAL units without start codes that a decoder needs before the first picture; those that can be read."""
        found: list[bytes] = []
        for name in ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets"):
            for text in self.parameters.get(name, "").split(","):
                try:
                    found.append(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
                except (binascii.Error, ValueError):
                    continue
        return [unit for unit in found if len(unit) > 3]


@dataclass(slots=True)
class Description:
    """What a camera offers.

    Attributes:
        tracks: in the order of the description.
        fps: frame rate as announced, 0..1000; 0 when it is not.
        control: address of the whole session as written, empty when none is given.
    """

    tracks: list[Track] = field(default_factory=list)
    fps: float = 0.0
    control: str = ""


def parse_description(text: str) -> Description:
    """Read a description; whatever is not understood is left out."""
    found, payload = Description(), ""
    for line in text.splitlines():
        name, _, value = line.strip().partition("=")
        words = value.split()
        if name == "m" and len(words) >= 4 and len(found.tracks) < _MOST_TRACKS:
            payload = words[3]
            found.tracks.append(Track(words[0].lower(), _STATIC_CODECS.get(payload, payload)))
        elif name == "a":
            _attribute(found, payload, value)
    return found


def _attribute(found: Description, payload: str, line: str) -> None:
    name, _, value = line.partition(":")
    words = value.split()
    if not found.tracks:
        if name == "control":
            found.control = value.strip()
        return
    track = found.tracks[-1]
    if name == "control":
        track.control = value.strip()
    elif name == "rtpmap" and len(words) >= 2 and words[0] == payload:
        track.codec = words[1].partition("/")[0].upper()
    elif name == "fmtp" and words and words[0] == payload:
        for pair in value.partition(" ")[2].split(";"):
            key, _, content = pair.strip().partition("=")
            track.parameters[key.lower()] = content.strip()
    elif name == "framerate" and track.kind == "video":
        found.fps = _number(value)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return 0.0 if math.isnan(number) else min(max(number, 0.0), 1000.0)
