"""`aihub streams`: cameras under analysis."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.output import JsonFlag, print_ended, print_json, print_mapping, print_table, say
from aihub.cli.values import no_strays, params_of, parse_params
from aihub.client import Stream
from aihub.errors import StreamError
from aihub.streams.probe import probe as probe_camera
from aihub.types import StreamSpec, StreamState

app = typer.Typer(help="Cameras under analysis.", no_args_is_help=True, add_completion=False)

Id = Annotated[str, typer.Argument(metavar="STREAM", help="Id of a stream.")]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="rtsp://USER:PASSWORD@HOST:PORT/PATH")]
COLOURS = {StreamState.LIVE: "green", StreamState.FAILED: "red", StreamState.PAUSED: "dim"}


@app.command("add")
def add(
    address: Address,
    algorithm: Annotated[
        list[str],
        typer.Option("--algorithm", "-a", metavar="ID", help="Algorithm to watch it with. Repeat."),
    ],
    stream_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Id.", show_default="the hub makes one")
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name for people.")] = "",
    fps: Annotated[
        float, typer.Option(min=0.1, max=60, metavar="FPS", help="Analysed frames per second.")
    ] = 5.0,
    motion_gate: Annotated[
        bool, typer.Option("--motion-gate", help="Skip frames while nothing moves.")
    ] = False,
    key_frames: Annotated[
        bool,
        typer.Option(
            "--key-frames", help="Decode key frames only: one every second or two, many more cameras."
        ),
    ] = False,
    transport: Annotated[str, typer.Option(metavar="KIND", help="tcp or udp.")] = "tcp",
    group: Annotated[
        str, typer.Option("--group", "-g", metavar="NAME", help="Group; grants to tenants name groups.")
    ] = "default",
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="NAME=VALUE",
            help="A parameter of the algorithms; ALGORITHM.NAME=VALUE for one of them. Repeat.",
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Submit a camera with the algorithms that watch it.

    aihub streams add rtsp://10.1.2.3/1 -a intrusion -a black-screen -p 'intrusion.zone=[[0,0.5],[1,0.5],[1,1],[0,1]]'
    """
    values = parse_params(param)
    tasks = [{"algorithm": item, "params": params_of(item, values)} for item in algorithm]
    fields: dict[str, Any] = {
        "name": name,
        "transport": transport,
        "group": group,
        "sampling": {"fps": fps, "motion_gate": motion_gate, "key_frames": key_frames},
    }
    if stream_id is not None:
        fields["id"] = stream_id
    no_strays(values, algorithm, "watch this stream")
    with connect(url, key) as hub:
        stream = hub.add_stream(address, tasks, **fields)
    _print_one(stream, json)


@app.command("list")
def list_streams(
    state: Annotated[StreamState | None, typer.Option(help="Only streams in this state.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """List streams and how they are doing."""
    with connect(url, key) as hub:
        streams = list(hub.streams(state=state))
    if json:
        print_json([stream.model_dump(mode="json") for stream in streams])
        return
    print_table(
        ("ID", "STATE", "FPS READ", "ANALYSED", "DROPPED", "P95 MS", "ALGORITHMS", "ERROR"),
        (
            (s.id, coloured(s.status.state), f"{s.status.fps_read:.1f}", f"{s.status.fps_analysed:.1f}",
             sum(s.status.dropped.values()), f"{s.status.latency_ms_p95:.0f}",
             ", ".join(task.algorithm for task in s.tasks), _problem(s))
            for s in streams
        ),
        free=("ALGORITHMS", "ERROR"),
    )  # fmt: skip


def coloured(state: StreamState) -> Text:
    """The state in its colour."""
    return Text(state.value, style=COLOURS.get(state, "yellow"))


def _problem(stream: Stream) -> str:
    """What is wrong now; the last error of a stream that a person paused is not."""
    return "" if stream.status.state is StreamState.PAUSED else stream.status.error


@app.command("show")
def show(stream: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Show one stream."""
    with connect(url, key) as hub:
        found = hub.stream(stream)
    _print_one(found, json)


def _print_one(stream: Stream, json: bool) -> None:
    if json:
        print_json(stream.model_dump(mode="json"))
        return
    status = stream.status
    shown: dict[str, object] = {"id": stream.id}
    if stream.name:
        shown["name"] = stream.name
    shown |= {
        "address": stream.url + (" (with user and password)" if stream.has_credentials else ""),
        "state": Text.assemble(coloured(status.state), f"  {_problem(stream)}"),
        "algorithms": ", ".join(task.algorithm for task in stream.tasks),
    }
    if status.frames_read:
        shown |= {
            "picture": f"{status.width}x{status.height} {status.codec}",
            "fps": f"{status.fps_read:.1f} read, {status.fps_analysed:.1f} analysed",
            "dropped": ", ".join(f"{count} {why}" for why, count in status.dropped.items()) or "none",
            "latency": f"p50 {status.latency_ms_p50:.0f} ms, p95 {status.latency_ms_p95:.0f} ms",
        }
    if status.reconnects:
        shown["reconnects"] = status.reconnects
    print_mapping(shown)
    for task, reason in status.broken_tasks.items():
        say((f"{task} does not run: ", "red"), reason)


@app.command("pause")
def pause(
    stream: Id,
    resume: Annotated[bool, typer.Option("--resume", help="Resume instead.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Stop analysing a stream for now, or go on."""
    with connect(url, key) as hub:
        _print_one(hub.update_stream(stream, {"enabled": resume}), json)


@app.command("remove")
def remove(stream: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Stop and forget a stream; its events stay."""
    with connect(url, key) as hub:
        hub.delete_stream(stream)
    print_ended("removed", stream, json)


@app.command("probe")
def probe(
    address: Address,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, metavar="S", help="Seconds to wait.")] = 5.0,
    json: JsonFlag = False,
) -> None:
    """Ask a camera what it offers, from here and without a hub; says why when it does not answer."""
    try:
        found = probe_camera(StreamSpec(id="probe", url=address), timeout)
    except StreamError as error:
        if json:
            print_json({"ok": False, "code": error.code, "error": error.message})
            raise typer.Exit(1) from error
        raise
    if json:
        print_json({"ok": True} | found.model_dump(mode="json"))
    else:
        shown = found.model_dump() | {"tracks": ", ".join(found.tracks)}
        print_mapping({name: value for name, value in shown.items() if value})
