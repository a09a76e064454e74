"""`aihub cameras`: media files as RTSP cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import typer

from aihub.bench.cameras import KINDS, CameraServer, send_fault
from aihub.cli.output import JsonFlag, error_console, print_json, print_table, say
from aihub.cli.stopping import stop_on_signals
from aihub.errors import InputError

app = typer.Typer(add_completion=False)

MENDED = "none"
FAULTS = (*sorted(KINDS), MENDED)


@app.command()
def cameras(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE", help="Video files or pictures; with more cameras than files they repeat."
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, max=1024, metavar="N", help="Number of cameras.", show_default="one a file"),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="RTSP port; 0 picks a free one.")
    ] = 8554,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    fps: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=120, metavar="FPS", help="Frames per second.", show_default="the file's own"
        ),
    ] = None,
    loop: Annotated[bool, typer.Option(help="Begin again at the end.")] = True,
    fault: Annotated[
        str | None,
        typer.Option(metavar="KIND", help=f"Break the cameras: {', '.join(sorted(KINDS))}; {MENDED} mends."),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Give --fault to the camera that runs there (path * means all)."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Serve media files as real RTSP cameras (H.264 over TCP or UDP) until Ctrl-C; or break one that runs.

    aihub cameras gate.mp4 yard.mp4 --count 8

    aihub cameras --command rtsp://127.0.0.1:8554/cam1 --fault freeze
    """
    if fault is not None and fault not in FAULTS:
        raise InputError(f"unknown fault {fault!r}", field="fault", hint=f"use {', '.join(FAULTS)}")
    if command is not None:
        _break_another(command, files, fault, json)
        return
    files = _existing(files)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # what cannot be opened is told of below
    stop = stop_on_signals()
    with CameraServer(files, count=count, port=port, host=host, fps=fps, loop=loop) as server:
        if fault not in (None, MENDED):
            server.fault(None, fault)
        if json:
            print_json({"cameras": server.urls, "fault": fault})
        else:
            print_table(
                ("CAMERA", "FILE"), ((url, files[i % len(files)].name) for i, url in enumerate(server.urls))
            )
            say("Ctrl-C stops")
        while not stop.wait(1.0):
            continue
    error_console.print("stopped")


def _break_another(command: str, files: list[Path] | None, fault: str | None, json: bool) -> None:
    """Give a fault to a camera that runs in another process."""
    if files or fault is None:
        raise InputError("--command goes with --fault and without files", field="command")
    if not command.startswith("rtsp://"):
        raise InputError(f"{command!r} is not an rtsp:// address", field="command")
    send_fault(command, None if fault == MENDED else fault)
    if json:
        print_json({"camera": command, "fault": fault})
    else:
        say(f"{command}: {'mended' if fault == MENDED else fault}")


def _existing(files: list[Path] | None) -> list[Path]:
    if not files:
        raise InputError("no files for the cameras to play", field="files", hint="aihub cameras FILE...")
    for file in files:
        if not file.is_file():
            raise InputError(f"no such file: {file}", field="files")
    return files
