"""A real RTSP server that plays media files as cameras and breaks on command."""

from aihub.bench.cameras.clip import Clip, SilentClip
from aihub.bench.cameras.encoded import EncodedClip
from aihub.bench.cameras.faults import KINDS, make_fault
from aihub.bench.cameras.media import open_clip
from aihub.bench.cameras.remote import send_fault
from aihub.bench.cameras.server import CameraNotFoundError, CameraServer

__all__ = [
    "KINDS",
    "CameraNotFoundError",
    "CameraServer",
    "Clip",
    "EncodedClip",
    "SilentClip",
    "make_fault",
    "open_clip",
    "send_fault",
]
