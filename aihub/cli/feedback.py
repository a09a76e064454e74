"""`aihub feedback`: tell the hub whether its alarms were right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.listing import AlgorithmOption, LimitOption, clock
from aihub.cli.output import JsonFlag, print_ended, print_json, print_mapping, print_table
from aihub.client.feedback import Place
from aihub.errors import ParamsError
from aihub.types.feedback import Feedback, Verdict


class OrAnEvent(TyperGroup):
    """Takes `aihub feedback EVENT VERDICT` for `aihub feedback give EVENT VERDICT`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with, or `give` where they begin with none but go on."""
        meant = len(args) > 1 and args[0] not in self.commands
        return super().resolve_command(ctx, ["give", *args] if meant else args)


app = typer.Typer(
    cls=OrAnEvent,
    help="Tell the hub whether its alarms were right: aihub feedback EVENT true|false|missed.",
    no_args_is_help=True,
    add_completion=False,
)

SinceOption = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        help="Only what was said since then, in the time of this machine.",
        show_default=False,
    ),
]
COLOURS = {Verdict.TRUE: "green", Verdict.FALSE: "red", Verdict.MISSED: "yellow"}


def epoch(since: datetime | None) -> float | None:
    """A time of this machine as the API takes it."""
    return None if since is None else since.timestamp()


@app.command("give")
def give(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Id of an event.")],
    verdict: Annotated[
        Verdict,
        typer.Argument(help="It was right, it was a false alarm, or something on its picture was not found."),
    ],
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            "-b",
            metavar="LABEL,X,Y,W,H",
            help="What is on the event's picture, and where in its pixels. Name all; for true the event's own box "
            "is taken where none is named. Repeat.",
        ),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="For people.", show_default=False)] = "",
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Say whether an alarm was right; the short form is aihub feedback EVENT VERDICT. Said again, it replaces the last."""
    boxes = None if box is None else [parse_box(text) for text in box]
    with connect(url, key) as hub:
        said = hub.give_feedback(event, verdict, note=note, boxes=boxes)
    if json:
        print_json(said.model_dump(mode="json"))
        return
    print_mapping(
        {
            "id": said.id,
            "event": said.event_id,
            "verdict": coloured(said.verdict),
            "boxes": _boxes(said) or "none",
            "picture": said.picture.value,
        }
    )


@app.command("list")
def list_feedback(
    algorithm: AlgorithmOption = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Only this verdict.")] = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """List what was said, newest first."""
    with connect(url, key) as hub:
        rows = list(hub.feedback(algorithm=algorithm, verdict=verdict, since=epoch(since), limit=limit))
    if json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ("ID", "SAID", "VERDICT", "ALGORITHM", "EVENT", "BOXES", "PICTURE", "BY", "NOTE"),
        (
            (r.id, clock(r.at), coloured(r.verdict), r.algorithm, r.event_id, _boxes(r), r.picture.value, r.given_by,
             r.note)
            for r in rows
        ),
        free=("BOXES", "BY", "NOTE"),
    )  # fmt: skip


@app.command("remove")
def remove(
    feedback: Annotated[str, typer.Argument(metavar="ID", help="Id of feedback, not of an event.")],
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Remove what was said, with its picture."""
    with connect(url, key) as hub:
        hub.delete_feedback(feedback)
    print_ended("removed", feedback, json)


def parse_box(text: str) -> tuple[str, Place]:
    """Label and place; the label may have commas.

    Raises:
        ParamsError: not five parts, or a number that is none.

    >>> parse_box("person,10,20,30.5,40")
    ('person', (10.0, 20.0, 30.5, 40.0))
    """
    label, *places = text.rsplit(",", 4)
    sides = _numbers(places)
    if not label or len(sides) != 4:
        raise ParamsError(
            f"{text!r} is not LABEL,X,Y,W,H", field="box", hint="such as --box person,120,80,40,110"
        )
    return label, (sides[0], sides[1], sides[2], sides[3])


def _numbers(texts: Sequence[str]) -> list[float]:
    try:
        found = [float(text) for text in texts]
    except ValueError:
        return []
    return found if all(map(math.isfinite, found)) else []


def coloured(verdict: Verdict) -> Text:
    """The verdict in its colour."""
    return Text(verdict.value, style=COLOURS[verdict])


def _boxes(said: Feedback) -> str:
    return "; ".join(f"{box.label} {','.join(f'{side:g}' for side in box.box)}" for box in said.boxes)
