"""`aihub models`: the weights, where they come from, how fast they run here, and how good they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from aihub.cli.bring import All, Names, chosen, drop, pull, report, tried
from aihub.cli.evaluate import compare_models, evaluate_model
from aihub.cli.import_model import import_model
from aihub.cli.local import output_folder, quiet_settings
from aihub.cli.output import JsonFlag, console, print_json, print_table, say
from aihub.engine import ModelStore, machine
from aihub.engine.backends import backends
from aihub.engine.profiles import ProfileBook
from aihub.engine.session import RunSettings
from aihub.engine.tuner import TuneReport
from aihub.errors import ArtifactError, ConfigError
from aihub.serve.runtime import Runtime
from aihub.types import ModelCard

app = typer.Typer(
    help="Weights: list, pull, drop, verify, tune, evaluate, compare, import.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("evaluate")(evaluate_model)
app.command("compare")(compare_models)
app.command("import")(import_model)


@app.command("list")
def list_models(json: JsonFlag = False) -> None:
    """List model cards, whether their weights are here, what says that they are right, and how they run best here.

    HERE: yes, no, licence (of the weights, not allowed here), on request (an upgrade, brought by its own name only), pin damaged.
    DIGEST: of the card; or pinned, with the day; or not pinned: nobody has pulled yet what is trusted on first use.
    """
    here = quiet_settings()
    with Runtime(here, kind="cli") as runtime:
        store, profile = runtime.store, _profiles(runtime.store, here.home / "profiles")
        rows = [_row(store, card, profile(card)) for card in store.cards()]
        failures = store.failures
    if json:
        print_json(rows)
        return
    print_table(
        ("NAME", "HERE", "TASK", "ROLES", "LICENCE", "MB", "DIGEST", "TUNED"),
        ((row["name"], Text(row["state"], style="green" if row["available"] else "yellow"), row["task"],
          ",".join(row["roles"]), row["license"], _megabytes(row), _proof(row), _in_words(row["tuned"])) for row in rows),
    )  # fmt: skip
    for failure in failures:
        say(("broken card ", "red"), str(failure))


def _row(store: ModelStore, card: ModelCard, tuned: dict[str, Any] | None) -> dict[str, Any]:
    available, artifact = store.available(card), card.artifact
    try:
        pin, damaged = store.pin(card), None
    except ArtifactError as error:
        pin, damaged = None, error.message
    state = "yes" if available else "no"
    if not available and not store.allowed(card):
        state = "licence"
    elif not available and damaged:
        state = "pin damaged"
    elif not available and card.upgrade:
        state = "on request"
    return {
        "name": card.name, "version": card.version, "task": card.task.value, "roles": list(card.roles), "rank": card.rank,
        "upgrade": card.upgrade, "available": available, "state": state, "license": artifact.license,
        "bytes": artifact.bytes or (pin.bytes if pin else None), "max_bytes": artifact.max_bytes,
        "sha256": artifact.sha256 or (pin.sha256 if pin else None), "trust": artifact.trust,
        "pinned": pin.model_dump(mode="json") if pin else None, "damaged": damaged, "uri": artifact.uri, "tuned": tuned,
    }  # fmt: skip


def _megabytes(row: dict[str, Any]) -> str:
    return f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else f"<={row['max_bytes'] / 1e6:.0f}"


def _proof(row: dict[str, Any]) -> str:
    if row["trust"] == "card":
        return "card"
    return f"pinned {row['pinned']['at'][:10]}" if row["pinned"] else "not pinned"


def _profiles(store: ModelStore, folder: Path) -> Callable[[ModelCard], dict[str, Any] | None]:
    """What tuning found on this machine, by card."""
    if not folder.is_dir():
        return lambda _: None  # looking at the runtimes takes time, so only where there is something to find
    try:
        book = ProfileBook(folder, machine.fingerprint(tuple(sorted(backends()))))
    except ConfigError:
        return lambda _: None

    def find(card: ModelCard) -> dict[str, Any] | None:
        try:
            digest = store.digest(card)
        except ArtifactError:
            return None
        found = book.find(digest) if digest else None
        return found.to_json() if found else None

    return find


def _in_words(tuned: dict[str, Any] | None) -> str:
    if tuned is None:
        return "-"
    return (
        f"{tuned['backend']} {tuned['precision']}, {tuned['threads']} threads, batch {max(1, tuned['batch'])}"
    )


app.command("pull")(pull)
app.command("drop")(drop)


@app.command("verify")
def verify(names: Names = None, every: All = False, json: JsonFlag = False) -> None:
    """Check the digests of weights that are here."""
    with Runtime(quiet_settings(), kind="cli") as runtime:
        results = [
            tried(name, "sha256", partial(runtime.store.verify, name))
            for name in chosen(runtime, names, every, here_only=True)
        ]
    report(results, json)


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
        models = chosen(runtime, names, every, here_only=True)
        for name in models if names else ():
            runtime.store.path(runtime.store.resolve(name))  # said before anything is measured
        bar = progress.add_task("tuning", total=len(models))
        for name in models:
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
