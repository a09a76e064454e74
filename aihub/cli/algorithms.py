"""`aihub algorithms`: what the hub can do by name, and the proof of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.text import Text

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.check import CheckReport, check_all
from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.local import output_folder, quiet_settings
from aihub.cli.output import JsonFlag, console, print_ended, print_json, print_mapping, print_table, say
from aihub.cli.scaffold import new
from aihub.engine.wanted import wanted_weights
from aihub.errors import CardError, InputError
from aihub.serve.runtime import Runtime
from aihub.types import AlgorithmCard, Param, Readiness, load_card

app = typer.Typer(help="What the hub can do, by name.", no_args_is_help=True, add_completion=False)
app.command("new")(new)

COLOURS = {Readiness.READY: "green", Readiness.NEEDS_WEIGHTS: "yellow", Readiness.BROKEN: "red"}
Id = Annotated[str, typer.Argument(metavar="ALGORITHM", help="Id of an algorithm.")]


@app.command("list")
def list_algorithms(
    domain: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Only this domain.")] = None,
    json: JsonFlag = False,
) -> None:
    """List all algorithms with their state."""
    with Runtime(quiet_settings(), kind="cli") as runtime:
        every = runtime.registry.list()
        domains = sorted({algorithm.card.domain for algorithm in every})
        if domain is not None and domain not in domains:
            raise InputError(f"no domain named {domain!r}", field="domain", hint=f"use {', '.join(domains)}")
        rows = [
            (algorithm.card, *algorithm.readiness())
            for algorithm in every
            if domain in (None, algorithm.card.domain)
        ]
        failures = runtime.registry.failures
    if json:
        print_json([
            {"id": c.id, "version": c.version, "title": c.title, "domain": c.domain, "state": state.value, "reason": reason}
            for c, state, reason in rows
        ])  # fmt: skip
        return
    print_table(
        ("ID", "STATE", "DOMAIN", "TITLE", "名称"),
        ((c.id, _coloured(state), c.domain, c.title["en"], c.title["zh"]) for c, state, _ in rows),
        free=("TITLE",),
    )
    _say_reasons(reason for _, state, reason in rows if state is not Readiness.READY)
    _say_broken(failures)


def _coloured(state: Readiness) -> Text:
    return Text(state.value, style=COLOURS[state])


def _say_reasons(reasons: Iterable[str]) -> None:
    for reason in sorted(set(reasons)):
        say(reason)


def _say_broken(failures: Sequence[CardError]) -> None:
    for failure in failures:
        say(("broken card ", "red"), str(failure))


@app.command("show")
def show(algorithm: Id, json: JsonFlag = False) -> None:
    """Show one algorithm: parameters, event, proof, limits."""
    with Runtime(quiet_settings(), kind="cli") as runtime:
        found = runtime.registry.get(algorithm)
        state, reason = found.readiness()
    card = found.card
    if json:
        print_json(
            card.model_dump(mode="json")
            | {"state": state.value, "reason": reason, "params_schema": found.params_schema()}
        )
        return
    event = f"{card.event.type} ({card.event.severity.value})" if card.event else "none"
    print_mapping({
        "id": f"{card.id} (version {card.version})", "title": f"{card.title['en']} / {card.title['zh']}",
        "state": Text.assemble(_coloured(state), f"  {reason}"), "domain": card.domain, "summary": card.summary,
        "stages": " -> ".join(next(iter(stage)) for stage in card.stages), "event": event,
        "intended use": card.intended_use, "limits": card.limits,
        "proof": "\n".join(f"{example.shown} ({example.evidence})" for example in card.examples) or "none",
    })  # fmt: skip
    say()
    if card.params:
        print_table(
            ("PARAM", "TYPE", "DEFAULT", "RANGE", "MEANING"),
            ((name, p.type, p.default, _range(p), p.description) for name, p in card.params.items()),
            free=("MEANING",),
        )
    else:
        say("no parameters")


def _range(param: Param) -> str:
    low = "" if param.minimum is None else f"{param.minimum:g}"
    high = "" if param.maximum is None else f"{param.maximum:g}"
    return f"{f'{low}..{high}' if low or high else ''} {param.unit or ''}".strip()


@app.command("check")
def check(
    algorithm: Annotated[
        str | None, typer.Argument(metavar="ALGORITHM", help="Id of an algorithm, or --all.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Check every algorithm.")] = False,
    domain: Annotated[
        str | None, typer.Option(metavar="NAME", help="Check every algorithm of a domain.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="CARD.yaml", help="Check a card that is no algorithm of the hub yet."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to draw the results of the examples.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Prove algorithms: schema, contract, laws, wire round trip, and the examples of the card on real media.

    Weights or media that are not here are no failure: what needs them is skipped, and it says so.
    """
    if [every, algorithm is not None, file is not None, domain is not None].count(True) != 1:
        raise InputError(
            "name one algorithm, or give --all, --domain or --file", hint="`aihub algorithms list` shows them"
        )
    here = quiet_settings()
    media = Path(here.test_media) if here.test_media else None
    begun = time.monotonic()
    with (
        Runtime(here, kind="cli") as runtime,
        Progress(console=console, transient=True, disable=json or not console.is_terminal) as progress,
    ):
        chosen = _chosen(runtime, algorithm, domain, file)
        failures = runtime.registry.failures if every else []
        bar = progress.add_task("checking", total=len(chosen))
        reports = check_all(
            chosen,
            runtime.predictor,
            media=media,
            out=output_folder(out) if out else None,
            progress=lambda name: progress.update(bar, advance=1, description=name),
        )
        reports = [_with_weights(runtime, one, report) for one, report in zip(chosen, reports, strict=True)]
    if json:
        print_json([report.model_dump(mode="json") for report in reports])
    else:
        _say_reports(reports)
        _say_broken(failures)
        say(f"{len(reports)} checked in {time.monotonic() - begun:.0f} s")
    if failures or any(not report.passed or report.state is Readiness.BROKEN for report in reports):
        raise typer.Exit(1)


def _chosen(runtime: Runtime, name: str | None, domain: str | None, file: Path | None) -> list[Algorithm]:
    """What is to be checked: one by name, a card's file, those of a domain, or all."""
    if name is not None:
        return [runtime.registry.get(name)]
    if file is not None:
        return [Algorithm(load_card(file, AlgorithmCard), runtime.predictor, file)]
    everything = runtime.registry.list()
    if domain is None:
        return everything
    domains = sorted({one.card.domain for one in everything})
    if domain not in domains:
        raise InputError(f"no domain {domain!r}", field="domain", hint=f"domains: {', '.join(domains)}")
    return [one for one in everything if one.card.domain == domain]


@app.command("add")
def add(
    cards: Annotated[list[Path], typer.Argument(metavar="CARD.yaml", help="Cards of algorithms.")],
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Give cards to a running hub, which uses them at once; a card given before is replaced."""
    with connect(url, key) as hub:
        done = [hub.put_algorithm(_id_of(card), card.read_text(encoding="utf-8")) for card in cards]
    if json:
        print_json([one.model_dump(mode="json") for one in done])
        return
    for one in done:
        say((one.id, "bold"), f" version {one.version} is {one.readiness.value}. {one.reason}".rstrip())


def _id_of(card: Path) -> str:
    if not card.is_file():
        raise InputError(f"no such file: {card}", field="cards")
    return load_card(card, AlgorithmCard).id


@app.command("remove")
def remove(algorithm: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Take an algorithm that was added away from a running hub."""
    with connect(url, key) as hub:
        hub.delete_algorithm(algorithm)
    print_ended("removed", algorithm, json)


def _with_weights(runtime: Runtime, algorithm: Algorithm, report: CheckReport) -> CheckReport:
    return report.model_copy(update={"wanted": wanted_weights(runtime.store, algorithm.models())})


def _say_reports(reports: Sequence[CheckReport]) -> None:
    print_table(
        ("ID", "STATE", "EVIDENCE", "PASSED", "SKIPPED", "FAILED"),
        (
            (r.id, _coloured(r.state), r.evidence or "-", sum(c.passed and not c.skipped for c in r.checks),
             sum(c.skipped for c in r.checks), Text(str(len(r.failures())), style="red" if r.failures() else ""))
            for r in reports
        ),
    )  # fmt: skip
    for report in reports:
        for failure in report.failures():
            say(("failed ", "red"), f"{report.id}: {failure}")
    skipped = sorted({check.detail for report in reports for check in report.checks if check.skipped})
    if skipped:
        say(f"skipped: {'; '.join(skipped)}")
    _say_reasons(report.reason for report in reports if report.reason)
    _say_reasons(one.words() for report in reports for one in report.wanted)
