"""SDP: what a camera tells about its stream in answer to DESCRIBE (RFC 8866, RFC 6184, RFC 7798)."""

from __future__ import annotations

import base64
from collections.abc import Sequence

TRACK = "trackID=1"
"""Address of the only track, relative to the camera's."""

_ANY = {"IP4": "0.0.0.0", "IP6": "::"}  # noqa: S104 - SDP's word for "wherever the client is"


def describe(
    *,
    name: str,
    host: str,
    codec: str,
    payload_type: int,
    clock: int,
    parameter_sets: Sequence[bytes],
    fps: float = 0.0,
    seconds: float | None = None,
) -> bytes:
    """The description of a camera.

    Args:
        name: title of the session, one line.
        host: address of the server.
        codec: "H264", "H265" or a static audio name as "PCMU".
        payload_type: RTP payload type.
        clock: ticks a second.
        parameter_sets: NAL units a decoder needs first.
        fps: frames a second; 0 leaves it out.
        seconds: length of a stream that ends; none for one that does not.
    """
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0",
        f"o=- 1 1 IN {family} {host}",
        f"s={name}",
        f"c=IN {family} {_ANY[family]}",
        "t=0 0",
        "a=tool:aihub cameras",
        "a=control:*",
        "a=range:npt=now-" if seconds is None else f"a=range:npt=0-{seconds:.3f}",
        f"m={'video' if codec.startswith('H26') else 'audio'} 0 RTP/AVP {payload_type}",
        f"a=rtpmap:{payload_type} {codec}/{clock}",
    ]
    if parameters := _FORMATS.get(codec, lambda _: "")(parameter_sets):
        lines.append(f"a=fmtp:{payload_type} {parameters}")
    if fps:
        lines.append(f"a=framerate:{fps:.3f}")
    lines.append(f"a=control:{TRACK}")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _text(units: Sequence[bytes]) -> str:
    return ",".join(base64.b64encode(unit).decode() for unit in units)


def _h264(sets: Sequence[bytes]) -> str:
    sequence = next((unit for unit in sets if unit[0] & 31 == 7), b"")
    level = f"profile-level-id={sequence[1:4].hex().upper()};" if sequence else ""
    return f"packetization-mode=1;{level}sprop-parameter-sets={_text(sets)}"


def _h265(sets: Sequence[bytes]) -> str:
    kinds = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
    found = {
        name: _text([unit for unit in sets if unit[0] >> 1 & 63 == kind]) for kind, name in kinds.items()
    }
    return ";".join(f"{name}={text}" for name, text in found.items() if text)


_FORMATS = {"H264": _h264, "H265": _h265}
