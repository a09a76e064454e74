"""`aihub datasets`: what people said about alarms, as labelled pictures to train and measure with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.feedback import SinceOption, epoch
from aihub.cli.listing import AlgorithmOption
from aihub.cli.output import JsonFlag, error_console, print_json, print_mapping
from aihub.client import AihubClient
from aihub.client.datasets import NO_PICTURE, DatasetFolder, choose
from aihub.errors import AihubError, NotFoundError
from aihub.types.feedback import Feedback

app = typer.Typer(
    help="Labelled pictures to train and measure with.", no_args_is_help=True, add_completion=False
)


@app.callback()
def datasets() -> None:
    """Labelled pictures to train and measure with."""


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it; an empty folder.")],
    algorithm: AlgorithmOption = None,
    since: SinceOption = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also into a folder that is not empty; replaces an earlier export."),
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Write feedback as COCO JSON with its pictures. Each picture that is fetched is noted in the hub's audit."""
    target = DatasetFolder(folder)
    target.check(force=force)
    with connect(url, key) as hub:
        chosen, left_out = choose(hub.feedback(algorithm=algorithm, since=epoch(since)))
        if not chosen:
            raise _nothing(left_out)
        target.begin()
        written = _fetch(hub, target, chosen, quiet=json)
    left_out[NO_PICTURE] += len(chosen) - len(written)
    if not written:
        raise _nothing(left_out)
    about = target.finish(written, +left_out)
    counts = about["counts"]
    if json:
        print_json(
            {"folder": str(folder)}
            | {name: about[name] for name in ("classes", "counts", "left_out", "sha256")}
        )
        return
    print_mapping(
        {
            "folder": folder,
            "pictures": f"{counts['images']}, {counts['images without boxes']} of them empty",
            "boxes": counts["boxes"],
            "classes": ", ".join(about["classes"]),
            "left out": _said(left_out) or "nothing",
        }
    )


def _fetch(
    hub: AihubClient, target: DatasetFolder, chosen: Sequence[Feedback], *, quiet: bool
) -> list[Feedback]:
    """Write the pictures; those that went since they were listed are passed over."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = quiet or not error_console.is_terminal
    written: list[Feedback] = []
    with Progress(*columns, console=error_console, disable=hidden, transient=True) as progress:
        for row in progress.track(chosen, description="pictures"):
            try:
                jpeg = hub.feedback_picture(row.id)
            except NotFoundError:
                continue
            target.add(row, jpeg)
            written.append(row)
    return written


def _nothing(left_out: Counter[str]) -> AihubError:
    because = f": {_said(left_out)}" if left_out.total() else ", nobody has said anything"
    hint = "pictures are kept from when AIHUB_FEEDBACK_PICTURES=true is set" if left_out[NO_PICTURE] else None
    return AihubError(f"there is no feedback to learn from{because}", hint=hint)


def _said(left_out: Counter[str]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in sorted(left_out.items()) if number)
