"""An RTSP server that is not ours: GStreamer's, run by the system's Python, so that two of our own parts cannot agree on a mistake.

    /usr/bin/python3 gstreamer_server.py --port 0 --user u --password p --auth digest /cam="( videotestsrc ! ... name=pay0 )"

Prints `{"port": N}` once it listens and ends when its standard input is closed, so it never outlives its test.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions come first

ROLE = "camera-user"
TRANSPORTS = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "both": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mounts", nargs="+", metavar="/PATH=LAUNCH")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=("basic", "digest"), default="basic")
    parser.add_argument("--transport", choices=tuple(TRANSPORTS), default="both")
    return parser.parse_args()


def protect(server: Any, user: str, password: str, method: str) -> None:
    """Ask every client for user and password."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    auth = GstRtspServer.RTSPAuth()
    if method == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)


def main() -> int:
    options = arguments()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(options.host)
    server.set_service(str(options.port))
    if options.user:
        protect(server, options.user, options.password, options.auth)
    for mount in options.mounts:
        path, _, launch = mount.partition("=")
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        factory.set_protocols(TRANSPORTS[options.transport])
        if options.user:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role(ROLE, "media.factory.access", True)
            permissions.add_permission_for_role(ROLE, "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    loop = GLib.MainLoop()
    if not server.attach(None):
        print(f"cannot listen on port {options.port}", file=sys.stderr)
        return 1
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP, lambda *_: loop.quit())
    print(json.dumps({"port": server.get_bound_port()}), flush=True)
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
