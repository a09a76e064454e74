"""`aihub sinks`: where alarms are delivered to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.output import JsonFlag, print_ended, print_json, print_table, say
from aihub.cli.values import parse_params
from aihub.errors import InputError, NotFoundError
from aihub.types import Severity

app = typer.Typer(help="Where alarms are delivered to.", no_args_is_help=True, add_completion=False)

Id = Annotated[str, typer.Argument(metavar="SINK", help="Id of a sink.")]
USAGE = {
    "webhook": "aihub sinks add webhook -p url=https://HOST/PATH -p secret=AT-LEAST-16-CHARACTERS",
    "jsonl": "aihub sinks add jsonl -p file=alarms.jsonl",
}


@app.command("add")
def add(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="webhook, jsonl, or that of a plug-in.")],
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="NAME=VALUE",
            help="For a webhook url and secret, for jsonl file. Repeat.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name for people.")] = "",
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", metavar="ID", help="Only events of these algorithms. Repeat."),
    ] = None,
    severity: Annotated[
        list[Severity] | None, typer.Option("--severity", help="Only events of these severities. Repeat.")
    ] = None,
    stream: Annotated[
        list[str] | None, typer.Option("--stream", metavar="ID", help="Only events of these streams. Repeat.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Deliver alarms to a webhook or to a file in the hub's `out` folder."""
    fields: dict[str, Any] = {
        "name": name, "algorithms": algorithm or [], "severities": severity or [], "streams": stream or [],
    }  # fmt: skip
    params = parse_params(param)
    with connect(url, key) as hub:
        try:
            sink = hub.add_sink(kind, params, **fields)
        except (InputError, NotFoundError) as error:
            error.hint = error.hint or USAGE.get(kind) or f"kinds of the hub itself: {', '.join(USAGE)}"
            raise
    if json:
        print_json(sink.model_dump(mode="json"))
    else:
        say(f"{sink.id}  {sink.kind}  {sink.target}")


@app.command("list")
def list_sinks(url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """List sinks."""
    with connect(url, key) as hub:
        sinks = hub.sinks()
    if json:
        print_json([sink.model_dump(mode="json") for sink in sinks])
        return
    print_table(
        ("ID", "NAME", "KIND", "TARGET", "ENABLED", "ALGORITHMS", "SEVERITIES", "STREAMS"),
        (
            (s.id, s.name, s.kind, s.target, "yes" if s.enabled else "no", *map(_only, (s.algorithms, s.severities, s.streams)))
            for s in sinks
        ),
    )  # fmt: skip


def _only(names: list[str]) -> str:
    return ",".join(names) or "all"


@app.command("remove")
def remove(sink: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Remove a sink and what waits for it."""
    with connect(url, key) as hub:
        hub.delete_sink(sink)
    print_ended("removed", sink, json)


@app.command("replay")
def replay(sink: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Try deliveries that were given up again."""
    with connect(url, key) as hub:
        count = hub.replay_sink(sink)
    if json:
        print_json({"replayed": count})
    else:
        say("nothing was given up" if not count else f"deliveries tried again: {count}")
