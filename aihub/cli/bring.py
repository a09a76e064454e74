"""`aihub models pull` and `drop`: weights come here and go again, and what was trusted is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from aihub.cli.local import hush_retries, quiet_settings
from aihub.cli.output import JsonFlag, console, print_json, say
from aihub.engine import ModelStore
from aihub.errors import AihubError, InputError
from aihub.serve.runtime import Runtime
from aihub.types import ModelCard

Names = Annotated[
    list[str] | None, typer.Argument(metavar="MODEL", help="Names or roles of models; or --all.")
]
All = Annotated[bool, typer.Option("--all", help="Every model; of `pull`, every one that is no upgrade.")]
Result = dict[str, Any]


def chosen(runtime: Runtime, names: list[str] | None, every: bool, *, here_only: bool = False) -> list[str]:
    """The models that were named, or all of them; with `here_only` those whose weights are here."""
    if every == bool(names):
        raise InputError("name models or give --all", hint="`aihub models list` shows them")
    if names:
        return [runtime.store.resolve(name).name for name in names]
    return [card.name for card in runtime.store.cards() if not here_only or runtime.store.available(card)]


def pull(
    names: Names = None,
    every: All = False,
    repin: Annotated[
        bool,
        typer.Option(
            "--repin", help="Trust what is there now of a model trusted on first use, instead of what was."
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Bring weights: from the mirror first, else from the address in the card. Checked against their digest.

    Where the card states no digest, the first copy is trusted: its digest is pinned, told, and counts from then on. A role
    brings its best model that is no upgrade; upgrades come by name, and take over the roles in which they rank better.
    """
    if repin and every:
        raise InputError("--repin trusts anew: name the models", field="repin")
    hush_retries()
    results: list[Result] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    quiet = json or not console.is_terminal
    with (
        Runtime(quiet_settings(), kind="cli") as runtime,
        Progress(*columns, console=console, disable=quiet, transient=True) as progress,
    ):
        store = runtime.store
        for name in chosen(runtime, names, every):
            card = store.resolve(name)
            if every and card.upgrade:
                continue
            bar = progress.add_task(name, total=card.artifact.bytes)
            bring = partial(_pulled, store, card, partial(_advance, progress, bar), repin=repin)
            results.append(tried(name, "", bring))
            progress.remove_task(bar)
    report(results, json)


def _advance(progress: Progress, bar: TaskID, done: int, total: int) -> None:
    progress.update(bar, completed=done, total=total or None)


def _pulled(
    store: ModelStore, card: ModelCard, progress: Callable[[int, int], None], *, repin: bool
) -> Result:
    """Bring one; what came, whether it was trusted just now, and the roles that it answers from now on."""
    answered = {role: store.resolve(role).name for role in card.roles}
    known = card.artifact.sha256 is not None or (not repin and store.pin(card) is not None)
    path = store.pull(card.name, progress, repin=repin)
    takes = {role: was for role, was in answered.items() if was != card.name == store.resolve(role).name}
    return {
        "path": str(path), "sha256": store.digest(card), "license": card.artifact.license, "trusted_on_first_use": not known,
        "takes_over": takes,
    }  # fmt: skip


def drop(names: Names = None, json: JsonFlag = False) -> None:
    """Remove weights that were brought here, with their pins; roles go back to the next best model that is here.

    Files of a mirror or of an installed package stay where they are.
    """
    with Runtime(quiet_settings(), kind="cli") as runtime:
        results = [
            tried(name, "", partial(_dropped, runtime.store, name)) for name in chosen(runtime, names, False)
        ]
    report(results, json)


def _dropped(store: ModelStore, name: str) -> Result:
    return {"removed": [str(path) for path in store.drop(name)]}


def tried(name: str, what: str, attempt: Callable[[], object]) -> Result:
    """What an attempt gave, under `what` (a mapping is taken as it is), or its error and hint."""
    try:
        value = attempt()
        return {"name": name, **value} if isinstance(value, dict) else {"name": name, what: str(value)}
    except AihubError as error:
        return {"name": name, "error": error.message, "hint": error.hint or ""}


def report(results: list[Result], json: bool) -> None:
    """Tell what became of each; exit code 1 where one failed."""
    if json:
        print_json(results)
    else:
        width = max((len(result["name"]) for result in results), default=0)
        for result in results:
            _say(f"{result['name']:<{width}}  ", result)
    if any("error" in result for result in results):
        raise typer.Exit(1)


def _say(name: str, result: Result) -> None:
    if "error" in result:
        say(name, (result["error"], "red"), f" ({result['hint']})" if result["hint"] else "")
        return
    if "removed" in result:
        gone = ", ".join(result["removed"])
        say(name, ("removed", "green"), f"  {gone}") if gone else say(name, "nothing was brought here")
        return
    say(name, ("ok", "green"), f"  {result.get('path') or result.get('sha256', '')}")
    if result.get("trusted_on_first_use"):
        say(
            " " * len(name),
            ("trusted on first use: ", "yellow"),
            f"sha256 {result['sha256']} counts from now on",
        )
    for role, was in result.get("takes_over", {}).items():
        back = f"`aihub models drop {result['name']}` goes back"
        say(" " * len(name), f"answers {role} from now on, instead of {was}; {back}")
