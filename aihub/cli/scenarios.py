"""`aihub scenarios`: bundles of algorithms that one application system needs together."""

from __future__ import annotations

from typing import Annotated

import typer

from aihub.algorithms.scenarios import Scenarios
from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.local import quiet_settings
from aihub.cli.output import JsonFlag, print_json, print_mapping, print_table, say
from aihub.cli.values import no_strays, params_of, parse_params
from aihub.client import AihubClient, Stream
from aihub.errors import ConflictError
from aihub.serve.runtime import Runtime
from aihub.types import StreamTask

app = typer.Typer(
    help="Algorithms that one application system needs together.", no_args_is_help=True, add_completion=False
)

Id = Annotated[str, typer.Argument(metavar="SCENARIO", help="Id of a scenario.")]
TRIES = 3
"""Times that a stream is read and changed again when somebody else changed it meanwhile."""


@app.command("list")
def list_scenarios(json: JsonFlag = False) -> None:
    """List all scenarios."""
    with Runtime(quiet_settings(), kind="cli") as runtime:
        scenarios = Scenarios(runtime.registry)
        rows = [(one.card, len(one.tasks()), len(one.missing())) for one in scenarios.list()]
    if json:
        print_json([
            {"id": card.id, "version": card.version, "title": card.title, "watches": [p.algorithm for p in card.watches],
             "asks": list(card.asks), "not_ready": missing}
            for card, _, missing in rows
        ])  # fmt: skip
        return
    print_table(
        ("ID", "WATCHES", "ASKED", "NOT READY", "TITLE", "名称"),
        (
            (card.id, watching, len(card.asks), missing or "-", card.title["en"], card.title["zh"])
            for card, watching, missing in rows
        ),
        free=("TITLE",),
    )
    for failure in scenarios.failures:
        say(("broken card ", "red"), str(failure))


@app.command("show")
def show(scenario: Id, json: JsonFlag = False) -> None:
    """Show one scenario: its algorithms with their parameters, and what its users get."""
    with Runtime(quiet_settings(), kind="cli") as runtime:
        found = Scenarios(runtime.registry).get(scenario)
        missing = found.missing()
        titles = {one.card.id: one.card.title for one in [a for a, _ in found.parts()] + found.asked()}
    card = found.card
    if json:
        print_json(card.model_dump(mode="json") | {"missing": missing})
        return
    print_mapping({
        "id": f"{card.id} (version {card.version})", "title": f"{card.title['en']} / {card.title['zh']}",
        "summary": card.summary, "users get": "\n".join(card.gives), "frames a second": f"{card.fps:g}",
        "example": f"{card.example.media} ({card.example.evidence})" if card.example else "none",
    })  # fmt: skip
    say()
    parts = [(part.algorithm, "streams", part.params) for part in card.watches]
    parts += [(name, "calls", {}) for name in card.asks]
    print_table(
        ("ALGORITHM", "FOR", "TITLE", "名称", "PARAMS"),
        (
            (name, use, titles[name]["en"], titles[name]["zh"], _written(params))
            for name, use, params in parts
        ),
        free=("PARAMS",),
    )
    for reason in missing:
        say(("not ready ", "yellow"), reason)


def _written(params: dict[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in params.items()) or "defaults"


@app.command("apply")
def apply(
    scenario: Id,
    stream: Annotated[
        list[str], typer.Option("--stream", "-s", metavar="STREAM", help="Id of a stream. Repeat.")
    ],
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="ALGORITHM.NAME=VALUE",
            help="What this place asks for, such as a zone. Repeat.",
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Have streams of a hub watched by a scenario; what else watches them stays.

    aihub scenarios apply smart-emergency -s gate -s yard -p 'intrusion.zone=[[0,0.5],[1,0.5],[1,1],[0,1]]'
    """
    values = parse_params(param)
    with connect(url, key) as hub:
        bundle = hub.scenario(scenario)
        no_strays(values, [task.algorithm for task in bundle.tasks], "belongs to this scenario")
        tasks = [
            task.model_copy(update={"params": task.params | params_of(task.algorithm, values)})
            for task in bundle.tasks
        ]
        done = [_applied(hub, one, tasks, bundle.fps) for one in stream]
    if json:
        print_json([one.model_dump(mode="json") for one in done])
        return
    for one in done:
        say((one.id, "bold"), f" is watched by {', '.join(task.algorithm for task in one.tasks)}")
    for reason in bundle.missing:
        say(("not ready ", "yellow"), reason)


def _applied(hub: AihubClient, stream_id: str, tasks: list[StreamTask], fps: float) -> Stream:
    for left in reversed(range(TRIES)):
        known = hub.stream(stream_id)
        ids = {task.id for task in tasks}
        kept = [task for task in known.tasks if task.id not in ids]
        sampling = known.sampling.model_copy(update={"fps": max(known.sampling.fps, fps)})
        try:
            return hub.update_stream(
                stream_id, {"tasks": [*kept, *tasks], "sampling": sampling}, revision=known.revision
            )
        except ConflictError:
            if not left:
                raise
    raise AssertionError("unreachable")
