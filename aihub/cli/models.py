"""`aihub models`: the weights, where they come from, how fast they run here, and how good they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from aihub.cli.evaluate import compare_models, evaluate_model
from aihub.cli.local import hush_retries, output_folder, quiet_settings
from aihub.cli.output import JsonFlag, console, print_json, print_table, say
from aihub.engine import machine
from aihub.engine.backends import backends
from aihub.engine.profiles import ProfileBook
from aihub.engine.session import RunSettings
from aihub.engine.tuner import TuneReport
from aihub.errors import AihubError, ConfigError, InputError
from aihub.serve.runtime import Runtime
from aihub.types import ModelCard

app = typer.Typer(
    help="Weights: list, bring, verify, tune, evaluate, compare.", no_args_is_help=True, add_completion=False
)
app.command("evaluate")(evaluate_model)
app.command("compare")(compare_models)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="MODEL", help="Names or roles of models; or --all.")
]
All = Annotated[bool, typer.Option("--all", help="Every model.")]


def _chosen(runtime: Runtime, names: list[str] | None, every: bool, *, here_only: bool = False) -> list[str]:
    if every == bool(names):
        raise InputError("name models or give --all", hint="`aihub models list` shows them")
    if names:
        return [runtime.store.resolve(name).name for name in names]
    return [card.name for card in runtime.store.cards() if not here_only or runtime.store.available(card)]


@app.command("list")
def list_models(json: JsonFlag = False) -> None:
    """List model cards, whether their weights are here, and how `tune` found that they run best here."""
    here = quiet_settings()
    with Runtime(here, kind="cli") as runtime:
        store, profile = runtime.store, _profiles(here.home / "profiles")
        rows = [(card, store.available(card), profile(card)) for card in store.cards()]
        failures = store.failures
    if json:
        print_json([
            {"name": c.name, "version": c.version, "task": c.task.value, "roles": list(c.roles), "available": here,
             "license": c.artifact.license, "bytes": c.artifact.bytes, "sha256": c.artifact.sha256,
             "uri": c.artifact.uri, "tuned": tuned}
            for c, here, tuned in rows
        ])  # fmt: skip
        return
    print_table(
        ("NAME", "HERE", "TASK", "ROLES", "LICENCE", "MB", "TUNED"),
        ((c.name, Text("yes", style="green") if here else Text("no", style="yellow"), c.task.value, ",".join(c.roles),
          c.artifact.license, f"{c.artifact.bytes / 1e6:.1f}", _in_words(tuned)) for c, here, tuned in rows),
    )  # fmt: skip
    for failure in failures:
        say(("broken card ", "red"), str(failure))


def _profiles(folder: Path) -> Callable[[ModelCard], dict[str, Any] | None]:
    """What tuning found on this machine, by card."""
    if not folder.is_dir():
        return lambda _: None  # looking at the runtimes takes time, so only where there is something to find
    try:
        book = ProfileBook(folder, machine.fingerprint(tuple(sorted(backends()))))
    except ConfigError:
        return lambda _: None

    def find(card: ModelCard) -> dict[str, Any] | None:
        found = book.find(card.artifact.sha256)
        return found.to_json() if found else None

    return find


def _in_words(tuned: dict[str, Any] | None) -> str:
    if tuned is None:
        return "-"
    return (
        f"{tuned['backend']} {tuned['precision']}, {tuned['threads']} threads, batch {max(1, tuned['batch'])}"
    )


@app.command("pull")
def pull(names: Names = None, every: All = False, json: JsonFlag = False) -> None:
    """Bring weights: from the mirror first, else from the address in the card. Checked against their digest."""
    hush_retries()
    results: list[dict[str, str]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    quiet = json or not console.is_terminal
    with (
        Runtime(quiet_settings(), kind="cli") as runtime,
        Progress(*columns, console=console, disable=quiet, transient=True) as progress,
    ):
        for name in _chosen(runtime, names, every):
            bar = progress.add_task(name, total=runtime.store.resolve(name).artifact.bytes)
            bring = partial(runtime.store.pull, name, partial(_advance, progress, bar))
            results.append(_tried(name, "path", bring))
            progress.remove_task(bar)
    _report(results, json)


def _advance(progress: Progress, bar: TaskID, done: int, total: int) -> None:
    progress.update(bar, completed=done, total=total)


@app.command("verify")
def verify(names: Names = None, every: All = False, json: JsonFlag = False) -> None:
    """Check the digests of weights that are here."""
    with Runtime(quiet_settings(), kind="cli") as runtime:
        results = [
            _tried(name, "sha256", partial(runtime.store.verify, name))
            for name in _chosen(runtime, names, every, here_only=True)
        ]
    _report(results, json)


def _tried(name: str, what: str, attempt: Callable[[], object]) -> dict[str, str]:
    try:
        return {"name": name, what: str(attempt())}
    except AihubError as error:
        return {"name": name, "error": error.message, "hint": error.hint or ""}


def _report(results: list[dict[str, str]], json: bool) -> None:
    if json:
        print_json(results)
    else:
        width = max((len(result["name"]) for result in results), default=0)
        for result in results:
            name = f"{result['name']:<{width}}  "
            if "error" in result:
                say(name, (result["error"], "red"), f" ({result['hint']})" if result["hint"] else "")
            else:
                say(name, ("ok", "green"), f"  {result.get('path') or result.get('sha256', '')}")
    if any("error" in result for result in results):
        raise typer.Exit(1)


@app.command("tune")
def tune(
    names: Names = None,
    every: All = False,
    seconds: Annotated[
        float, typer.Option(min=0.2, max=600, metavar="S", help="Time for one model, seconds.")
    ] = 5.0,
    json: JsonFlag = False,
) -> None:
    """Measure backend, precision, threads and batch on this machine, check the output, and remember the best.

    With --all, what is not here or cannot be measured is left out. Run it while the machine has nothing else to do.
    """
    here = quiet_settings()
    if not os.access(output_folder(here.home / "profiles"), os.W_OK):
        raise ConfigError(f"{here.home / 'profiles'} cannot be written")
    reports: list[TuneReport] = []
    left_out: dict[str, str] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    quiet = json or not console.is_terminal
    with (
        Runtime(here, kind="cli") as runtime,
        Progress(*columns, console=console, transient=True, disable=quiet) as progress,
    ):
        chosen = _chosen(runtime, names, every, here_only=True)
        for name in chosen if names else ():
            runtime.store.path(runtime.store.resolve(name))  # said before anything is measured
        bar = progress.add_task("tuning", total=len(chosen))
        for name in chosen:
            progress.update(bar, description=f"tuning {name}")
            try:
                reports.append(runtime.engine.tune(name, budget_s=seconds))
            except ConfigError as error:
                if not every:
                    raise
                left_out[name] = error.message
            progress.advance(bar)
    if json:
        unmeasured = [{"model": name, "left_out": why} for name, why in left_out.items()]
        print_json([*(report.to_json() for report in reports), *unmeasured])
        return
    _say_reports(reports)
    for name, why in left_out.items():
        say(f"left out {name}: {why}")


def _say_reports(reports: list[TuneReport]) -> None:
    print_table(
        ("MODEL", "BACKEND", "PRECISION", "THREADS", "AT ONCE", "BATCH", "ITEMS/S", "BY DEFAULT", "TRIED", "SECONDS"),
        (
            (r.model, r.chosen.backend, r.chosen.precision, r.chosen.threads, r.chosen.parallel, max(1, r.chosen.batch),
             f"{_speed(r, r.chosen):.1f}", f"{_speed(r, _reference(r)):.1f}", sum(t.items_per_s > 0 for t in r.trials),
             f"{r.seconds:.1f}")
            for r in reports
        ),
    )  # fmt: skip


def _speed(report: TuneReport, settings: RunSettings | None) -> float:
    return max((trial.items_per_s for trial in report.trials if trial.settings == settings), default=0.0)


def _reference(report: TuneReport) -> RunSettings | None:
    """What an untuned model runs with: float32 on ONNX Runtime, one thread a run."""
    plain = (t.settings for t in report.trials if t.settings.precision == "f32" and t.settings.threads == 1)
    return next((s for s in plain if s.backend == "onnxruntime" and s.batch <= 1), None)
