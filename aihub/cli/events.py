"""`aihub events`: alarms, past and as they happen."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.listing import AlgorithmOption, LimitOption, clock
from aihub.cli.output import JsonFlag, print_json, print_table, say
from aihub.cli.stopping import interrupting
from aihub.types import Event, EventState, Severity

app = typer.Typer(help="Alarms, past and as they happen.", no_args_is_help=True, add_completion=False)

StreamOption = Annotated[str | None, typer.Option("--stream", metavar="ID", help="Only of this stream.")]
SeverityOption = Annotated[Severity | None, typer.Option("--severity", help="Only of this severity.")]
COLOURS = {
    Severity.INFO: "dim",
    Severity.WARNING: "yellow",
    Severity.ALERT: "red",
    Severity.CRITICAL: "bold red",
}


def coloured(severity: Severity) -> Text:
    """The severity in its colour."""
    return Text(severity.value, style=COLOURS[severity])


def seen(event: Event) -> str:
    """What was seen: what it reads, where it reads something, else how surely."""
    text = event.data.get("text")
    if not text:
        return f"{event.label} {event.confidence:.2f}"
    return f'{event.label} "{text if isinstance(text, str) else " ".join(map(str, text))}"'


def lasted(event: Event) -> str:
    """How long it has held."""
    return f"{(event.ended_at or event.updated_at) - event.started_at:.0f} s"


@app.command("list")
def list_events(
    stream: StreamOption = None,
    algorithm: AlgorithmOption = None,
    severity: SeverityOption = None,
    state: Annotated[EventState | None, typer.Option(help="Only in this state.")] = None,
    limit: LimitOption = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """List events, newest first."""
    with connect(url, key) as hub:
        events = list(
            hub.events(stream=stream, algorithm=algorithm, state=state, severity=severity, limit=limit)
        )
    if json:
        print_json([event.model_dump(mode="json") for event in events])
        return
    print_table(
        ("ID", "STARTED", "STATE", "SEVERITY", "ALGORITHM", "STREAM", "WHAT", "LASTED"),
        (
            (e.id, clock(e.started_at), e.state.value, coloured(e.severity), e.algorithm, e.stream_id, seen(e), lasted(e))
            for e in events
        ),
        free=("WHAT",),
    )  # fmt: skip


@app.command("tail")
def tail(
    stream: StreamOption = None,
    algorithm: AlgorithmOption = None,
    severity: SeverityOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Follow events as they happen until Ctrl-C; with --json one object a line. Waits for a hub that restarts."""
    stop = interrupting()
    with connect(url, key) as hub:
        hub.ready()  # a hub that is not there is told of now; one that goes away later is waited for
        try:
            for step in hub.live(stream=stream, algorithm=algorithm, severity=severity):
                if stop.is_set():
                    return
                if json:
                    print_json(step.event.model_dump(mode="json"))
                else:
                    _say_step(step.event)
        except KeyboardInterrupt:
            return


def _say_step(event: Event) -> None:
    after = "" if event.state is EventState.OPENED else f" after {lasted(event)}"
    say(
        f"{clock(event.updated_at)}  ", Text(f"{event.severity.value:<8}", style=COLOURS[event.severity]),
        f"  {event.stream_id:<12}  {event.algorithm:<20}  {event.state.value}{after}: {seen(event)}",
    )  # fmt: skip
