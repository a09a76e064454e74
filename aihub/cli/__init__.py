"""The command line: nouns, then verbs; `--json` everywhere; exit codes 0 ok, 1 failed, 2 usage."""

from __future__ import annotations

import errno
import logging
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from aihub import __version__
from aihub.cli.output import JsonFlag, print_error, print_json
from aihub.errors import AihubError, ConfigError, InputError, NotFoundError

USAGE_ERRORS = (ConfigError, InputError, NotFoundError)
RUN = "Run"
MANAGE = "Look and manage"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is, and what the list of commands says of it."""

    module: str
    help: str
    panel: str


PLACES = {
    "up": Place("hub", "Start the hub and keep it running until Ctrl-C.", RUN),
    "demo": Place("demo", "Start the hub and four simulated cameras; watch what it sees.", RUN),
    "cameras": Place("cameras", "Serve media files as RTSP cameras, or break such cameras.", RUN),
    "infer": Place("infer", "Run one algorithm on pictures, here, without a hub.", RUN),
    "bench": Place("bench", "Measure this machine and this release; compare two runs.", RUN),
    "plan": Place("plan", "How many machines so many cameras take, from measured costs.", RUN),
    "algorithms": Place("algorithms", "What the hub can do, by name.", MANAGE),
    "scenarios": Place("scenarios", "Algorithms that one application system needs together.", MANAGE),
    "models": Place("models", "Weights: list, bring, verify, tune, evaluate, compare.", MANAGE),
    "streams": Place("streams", "Cameras under analysis.", MANAGE),
    "events": Place("events", "Alarms, past and as they happen.", MANAGE),
    "feedback": Place("feedback", "Tell the hub whether its alarms were right.", MANAGE),
    "datasets": Place("datasets", "What was said about alarms, as labelled pictures.", MANAGE),
    "sinks": Place("sinks", "Where alarms are delivered to.", MANAGE),
    "jobs": Place("jobs", "Films and pictures, analysed once from beginning to end.", MANAGE),
    "galleries": Place("galleries", "Faces of people who agreed to be known.", MANAGE),
    "tenants": Place("tenants", "Who shares the hub, and what each may use.", MANAGE),
    "usage": Place("usage", "What tenants used, by day and algorithm.", MANAGE),
    "audit": Place("audit", "Who did what, when, from where.", MANAGE),
    "keys": Place("keys", "API keys of the hub whose home is here.", MANAGE),
}
"""The commands. Each is imported when it is called: together they take a second, most of it OpenCV and SciPy."""


class LateCommands(TyperGroup):
    """A group that knows its commands by name and imports the one that is called."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        own = dict(self.commands)
        self.commands.clear()
        for name, place in PLACES.items():
            self.add_command(TyperCommand(name, help=place.help, rich_help_panel=place.panel))
        self.commands.update(own)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in PLACES else command, rest


def load(name: str) -> Any:
    """Import a command."""
    return typer.main.get_command(import_module(f"aihub.cli.{PLACES[name].module}").app)


app = typer.Typer(
    name="aihub",
    cls=LateCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version_at_once(wanted: bool) -> None:
    if wanted:
        show_version()
        raise typer.Exit


@app.callback()
def aihub(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version_at_once),
    ] = False,
) -> None:
    """An AI algorithm serving hub: cameras, pictures and sound in; answers and alarms out."""


@app.command("version", rich_help_panel=MANAGE)
def show_version(json: JsonFlag = False) -> None:
    """Print the version."""
    if json:
        print_json({"version": __version__})
    else:
        sys.stdout.write(f"aihub {__version__}\n")


def main() -> None:
    """Run the command line; errors go to standard error with what to do about them."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        app()
    except AihubError as error:
        print_error(error)
        sys.exit(2 if isinstance(error, USAGE_ERRORS) else 1)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        print_error(
            AihubError(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        )
        sys.exit(1)
