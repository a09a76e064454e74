"""`aihub plan`: how many machines so many cameras take, from what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError
from rich.text import Text

from aihub.capacity.costs import load, remembered
from aihub.capacity.planner import plan as make_plan
from aihub.cli.local import quiet_settings
from aihub.cli.output import JsonFlag, print_json, print_mapping, print_table, say
from aihub.errors import InputError
from aihub.types.capacity import CapacityPlan, PlanAsked

app = typer.Typer(add_completion=False)

_LATENCY = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>ms|s)?")


Streams = Annotated[int | None, typer.Option(metavar="N", help="Cameras.")]
Algorithms = Annotated[str | None, typer.Option(metavar="A,B,...", help="Algorithms, all on every camera.")]
Fps = Annotated[float, typer.Option(help="Analysed frames a second of each camera.")]
Resolution = Annotated[str, typer.Option(help="Of the cameras: 2160p to 240p.")]
Codec = Annotated[str, typer.Option(help="h264 or h265.")]
SourceFps = Annotated[float, typer.Option(help="Frames a second that a camera sends.")]
KeyFrames = Annotated[bool, typer.Option("--key-frames", help="Decode key frames only.")]
Mbit = Annotated[float | None, typer.Option(help="Mbit/s of a camera.", show_default="by its pictures")]
Latency = Annotated[str, typer.Option(metavar="300ms", help="95 % of the frames have results by then.")]
Cores = Annotated[
    int | None,
    typer.Option("--cores-per-machine", metavar="N", help="Cores of a machine.", show_default="as measured"),
]
Gpus = Annotated[int, typer.Option("--gpus-per-machine", "--gpus", help="GPUs of a machine.")]
MemoryGb = Annotated[
    float | None, typer.Option("--memory-gb", help="Memory of a machine, GB.", show_default="as measured")
]
NetworkMbit = Annotated[float, typer.Option("--network-mbit", help="What a machine can receive, Mbit/s.")]
Machines = Annotated[
    int | None, typer.Option(help="Machines that there are; what to give up is planned to fit them.")
]
EventsPerDay = Annotated[float, typer.Option("--events-per-day", help="Events of a camera a day.")]
RetentionDays = Annotated[float, typer.Option("--retention-days", help="How long events are kept.")]
Mix = Annotated[
    Path | None,
    typer.Option(metavar="FILE.yaml", help="Several groups of cameras: the document of POST /v1/plan."),
]
CostsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Measured costs.", show_default="those measured on this machine"),
]


@app.command()
def plan(
    streams: Streams = None,
    algorithms: Algorithms = None,
    fps: Fps = 5.0,
    resolution: Resolution = "1080p",
    codec: Codec = "h264",
    source_fps: SourceFps = 25.0,
    key_frames: KeyFrames = False,
    mbit: Mbit = None,
    latency: Latency = "300ms",
    cores: Cores = None,
    gpus: Gpus = 0,
    memory: MemoryGb = None,
    network: NetworkMbit = 1000.0,
    machines: Machines = None,
    events: EventsPerDay = 10.0,
    retention: RetentionDays = 30.0,
    mix: Mix = None,
    costs: CostsFile = None,
    json: JsonFlag = False,
) -> None:
    """Say how many machines so many cameras take, what runs out first, and what to give up where there are too few.

    aihub bench run costs

    aihub plan --streams 49000 --algorithms person-detection,fire-smoke-detection --fps 1 --latency 300ms
    """
    if mix is None:
        if streams is None or not algorithms:
            raise InputError(
                "say how many --streams and which --algorithms, or name a --mix", field="streams"
            )
        group: dict[str, Any] = {
            "streams": streams, "algorithms": [name.strip() for name in algorithms.split(",") if name.strip()], "fps": fps,
            "resolution": resolution, "codec": codec, "source_fps": source_fps, "key_frames": key_frames, "mbit": mbit,
            "events_per_day": events, "least_fps": min(1.0, fps),
        }  # fmt: skip
        document: dict[str, Any] = {
            "groups": [group],
            "latency_ms": _milliseconds(latency),
            "machine": {"cores": cores, "gpus": gpus, "memory_gb": memory, "network_mbit": network},
            "machines": machines,
            "retention_days": retention,
        }
    else:
        if streams is not None or algorithms:
            raise InputError("--mix says which streams and algorithms; leave the flags out", field="mix")
        document = _read(mix)
    asked = _checked(document)
    known = remembered(quiet_settings().home) if costs is None else load(costs)
    made = make_plan(asked, known)
    if json:
        print_json(made.model_dump(mode="json"))
    else:
        _show(made, asked)


def _milliseconds(said: str) -> float:
    match = _LATENCY.fullmatch(said.strip())
    if match is None:
        raise InputError(f"{said!r} is no time", field="latency", hint="such as 300ms or 1.5s")
    return float(match["number"]) * (1e3 if match["unit"] == "s" else 1.0)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no such file: {path}", field="mix") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {error}", field="mix") from None
    if not isinstance(document, Mapping):
        raise InputError(f"{path} has no `groups`", field="mix")
    return dict(document)


def _checked(document: dict[str, Any]) -> PlanAsked:
    try:
        return PlanAsked.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(
            "."
        )
        raise InputError(f"{where}: {first['msg']}", field=where) from None


def _show(made: CapacityPlan, asked: PlanAsked) -> None:
    if made.machines is None:
        say(("no number of machines will do: ", "red"), made.why)
    else:
        there = "" if asked.machines is None else f" ({asked.machines} there are)"
        style = "green" if made.fits else "red"
        say((f"{made.machines:,} machines", f"bold {style}"), f"{there}; {made.why}")
    print_mapping({
        "cores busy": f"{made.cores:,.1f}, {made.load:.0%} of those there are",
        "streams a machine": f"{made.streams_a_machine:,.1f}",
        "GPUs": made.gpus or "none",
        "memory": f"{made.memory_gb:,.1f} GB",
        "network in": f"{made.network_mbit:,.0f} Mbit/s",
        "storage": f"{made.storage.total_gb:,.1f} GB for {asked.retention_days:g} days, {made.storage.events_per_day:,.0f} events a day",
    })  # fmt: skip
    print_table(
        ("RESOURCE", "NEEDED", "A MACHINE", "MACHINES"),
        [(need.resource, f"{need.total:,.2f} {need.unit}", f"{need.a_machine:,.2f}", f"{need.machines:,}")
         for need in made.needs if need.total],
    )  # fmt: skip
    print_table(
        ("STREAMS", "COUNT", "FPS", "MILLI-CORES", "OF WHICH", "FRAME", "95 % BY"),
        [(one.name, f"{one.streams:,}", f"{one.fps:g}", f"{1e3 * one.cores:.1f}",
          ", ".join(f"{name} {part:.1f}" for name, part in one.parts.items() if part >= 0.05),
          f"{one.service_ms:.0f} ms", f"{one.latency_ms:.0f} ms") for one in made.groups],
        free={"OF WHICH"},
    )  # fmt: skip
    if made.degrade:
        say(("give up, in this order", "bold"))
        print_table(
            ("STEP", "WHAT", "SAVES", "MACHINES", "FITS", "LOST"),
            [(step.step, "; ".join(f"{name}: {what}" for name, what in step.groups.items()), f"{step.saves_cores:,.1f} cores",
              "-" if step.machines is None else f"{step.machines:,}", Text("yes", "green") if step.fits else Text("no", "red"),
              step.loses) for step in made.degrade],
            free={"WHAT", "LOST"},
        )  # fmt: skip
    for note in made.assumed:
        say(("assumed ", "yellow"), note)
    measured = made.measured
    say(f"measured {measured.at[:10]} on {measured.processor}, {measured.cores} cores; {measured.footage}")
