"""`aihub bench profile`: where a frame's time goes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from aihub.bench.streams.profile import DRAWN, Asked, Profile, run
from aihub.cli.output import JsonFlag, error_console, print_json, print_table, say
from aihub.errors import InputError


def profile_stream(
    algorithms: Annotated[
        str, typer.Option(metavar="A,B,...", help="Algorithms, all on the one stream.")
    ] = "person-detection",
    media: Annotated[
        str,
        typer.Option(
            metavar="CLIP", help="A clip, a picture, or a drawn scene (drawn:yard@1920x1080,25fps)."
        ),
    ] = DRAWN,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Frames analysed a second.")] = 5.0,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long.")] = 10.0,
    flame: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Also draw a flame graph, by py-spy, from a second run."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Show where a frame's time goes, stage by stage: one stream through the stream host, in a process of its own."""
    names = tuple(name.strip() for name in algorithms.split(",") if name.strip())
    if not names:
        raise InputError("no algorithms", field="algorithms")
    profile, lacking = run(Asked(media, names, fps, seconds), flame)
    if lacking:
        error_console.print(f"no flame graph: {lacking}", style="yellow", soft_wrap=True)
    drawn = str(flame) if flame is not None and not lacking else None
    if json:
        print_json({**asdict(profile), "flame": drawn, "flame_error": lacking})
        return
    _show(profile)
    if drawn is not None:
        say("flame graph: ", (drawn, "bold"))


def _show(profile: Profile) -> None:
    say(
        (", ".join(profile.algorithms), "bold"),
        f" on {profile.media}: {profile.frames} frames in {profile.seconds:g} s",
    )
    print_table(
        ("STEP", "MS A FRAME", "SHARE", ""),
        [(step.name, f"{step.ms:.3f}", "" if step.share is None else f"{step.share:.1%}", step.detail)
         for step in profile.steps if step.ms > 0],
        free={""},
    )  # fmt: skip
    say(
        ("decoded to done ", "bold"),
        f"{profile.wall_ms:.2f} ms, CPU of the process {profile.cpu_ms:.2f} ms a frame",
    )
    if profile.parallel_ms > 0.01:
        say(f"{profile.parallel_ms:.2f} ms of the steps ran side by side")
