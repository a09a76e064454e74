"""`aihub bench`: measure this machine and this release, compare two runs, show where the time goes."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from aihub.bench import runner, suite
from aihub.bench.compare import Change, Comparison
from aihub.bench.compare import compare as set_side_by_side
from aihub.bench.report import markdown, page
from aihub.bench.results import Figure, Result, latest, load, load_all, save
from aihub.bench.stand import Kept
from aihub.cli.bench_profile import profile_stream
from aihub.cli.output import JsonFlag, error_console, print_json, print_table, say
from aihub.errors import InputError

REGRESSION = 3
"""Exit code of `compare` when something became worse."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Measure: how many cameras, at what delay, how accurate, worse than before?",
)
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where results are kept.")]


@app.command("list")
def list_suites(json: JsonFlag = False) -> None:
    """The suites, what each answers, and how long it takes."""
    cards = [suite.find(name).card for name in suite.names()]
    if json:
        print_json([card.model_dump() for card in cards])
    else:
        print_table(["suite", "minutes", "quick", "what it answers"],
                    [(card.name, f"{card.minutes:g}", f"{card.quick_minutes:g}", card.about) for card in cards],
                    free={"what it answers"})  # fmt: skip


@app.command("run")
def run_suites(
    names: Annotated[
        list[str], typer.Argument(metavar="SUITE...", help="Suites, a YAML of your own, or `all`.")
    ],
    out: Out = Path("bench"),
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the suite. Repeat.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The short selection of each suite.")] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    show: Annotated[
        bool, typer.Option("--open", help="Show the page in a browser, where there is a screen.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Run suites and write their results, a table and a page with pictures to DIR."""
    chosen = suite.all_of_them() if names == ["all"] else [suite.find(name) for name in names]
    settings = suite.parse_settings(given or [])
    for one in chosen:  # what is wrong with a setting is said before an hour of measuring begins
        one.settings(quick=quick, given=settings)
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="aihub-bench-", ignore_cleanup_errors=True) as work,
        closing(Kept()) as kept,
    ):
        for one in chosen:
            # A hub that is kept would take its part of the machine, and is not the first.
            if one.card.hub != "shared":
                kept.close()
            with _progress(one.card, quick=quick) as told:
                result = runner.run(
                    one, Path(work), given=settings, quick=quick, seed=seed, command=_command(), say=told,
                    kept=kept if quick and one.card.hub else None,
                )  # fmt: skip
            path = save(result, out)
            results.append(result)
            if not json:
                _show(result, path)
    _write(out)
    if json:
        print_json([result.model_dump(mode="json") for result in results])
    else:
        say("page: ", (str(out / "report.html"), "bold"))
    if show and _has_screen():
        webbrowser.open((out / "report.html").resolve().as_uri())
    if any(result.failure for result in results):
        raise typer.Exit(1)


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _command() -> str:
    """What repeats this run."""
    return " ".join(["aihub", *sys.argv[1:]])


@contextmanager
def _progress(card: suite.SuiteCard, *, quick: bool) -> Iterator[runner.Say]:
    """A bar by the clock: the suite says what it is at, its card about how long it takes."""
    expected = 60 * (card.quick_minutes if quick else card.minutes)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[suite]}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=error_console, transient=True) as bar:
        task = bar.add_task("starting", total=expected, suite=card.name)
        begun = time.monotonic()

        def told(what: str) -> None:
            bar.update(task, description=what, completed=min(time.monotonic() - begun, 0.99 * expected))

        yield told


def _show(result: Result, path: Path) -> None:
    say((result.suite, "bold"), f"  {result.seconds:.0f} s  {path}")
    rows = [(figure.title, f"{figure.value:.3g} {figure.unit}", _ends(figure), str(figure.target or ""), _met(figure))
            for figure in result.figures]  # fmt: skip
    print_table(["figure", "value", "95 %", "target", "met"], rows, free={"figure"})
    for what, why in result.skipped.items():
        say(("skipped ", "yellow"), f"{what}: {why}")
    if result.failure:
        say(("broke ", "red"), result.failure)


def _ends(figure: Figure) -> str:
    return "" if figure.interval is None else f"{figure.interval[0]:.3g}-{figure.interval[1]:.3g}"


def _met(figure: Figure) -> Text:
    return {None: Text(""), True: Text("yes", "green"), False: Text("no", "red")}[figure.met]


def _write(folder: Path) -> None:
    results = load_all(folder)
    (folder / "report.md").write_text(markdown.write(results), encoding="utf-8")
    (folder / "report.html").write_text(page.write(results), encoding="utf-8")


@app.command("compare")
def compare_results(
    first: Annotated[Path, typer.Argument(metavar="A", help="A result, or a folder of results: the older.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="A result, or a folder: the newer.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, max=10, help="Share that may change, by default 0.1. Accuracy: half a point, always."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also list what stayed the same.")] = False,
    json: JsonFlag = False,
) -> None:
    """Say what became worse from A to B, and exit with 3 if anything did."""
    pairs = _pairs(first, second)
    compared = {a.suite: set_side_by_side(a, b, tolerance=tolerance) for a, b in pairs}
    if json:
        print_json([{"suite": name, **asdict(one)} for name, one in compared.items()])
    else:
        for name, one in compared.items():
            _show_changes(name, one, every=every)
    if any(one.regressions for one in compared.values()):
        raise typer.Exit(REGRESSION)


def _pairs(first: Path, second: Path) -> list[tuple[Result, Result]]:
    """The latest result of each suite on both sides."""
    older, newer = _latest(first), _latest(second)
    missing = sorted(set(older) - set(newer))
    if missing:
        raise InputError(
            f"{second} has no result of {', '.join(missing)}", hint="run it there too, or name single files"
        )
    return [(older[name], newer[name]) for name in older]


def _latest(path: Path) -> dict[str, Result]:
    return {result.suite: result for result in latest(load_all(path) if path.is_dir() else [load(path)])}


def _show_changes(name: str, one: Comparison, *, every: bool) -> None:
    colours = {"worse": "red", "gone": "red", "better": "green", "unclear": "yellow"}
    shown = [change for change in one.changes if every or change.verdict not in ("same", "new")]
    say((name, "bold"), f"  {len(one.changes)} figures, {len(one.regressions)} worse")
    print_table(["figure", "verdict", "before", "after", "change", "95 %"],
                [(change.title, Text(change.verdict, colours.get(change.verdict, "")), *_numbers(change)) for change in shown],
                free={"figure"})  # fmt: skip
    for note in one.notes:
        say(("note ", "yellow"), note)


def _numbers(change: Change) -> tuple[str, str, str, str]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3g} {change.unit}"

    told = change.verdict not in ("gone", "new", "apart")
    share = f"{change.change:+.1%}" if told else ""
    ends = "" if change.interval is None else f"{change.interval[0]:+.1%} to {change.interval[1]:+.1%}"
    return number(change.before), number(change.after), share, ends


@app.command("report")
def report_results(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where `aihub bench run` put its results.")
    ] = Path("bench"),
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="FILE.md", help="Also write the table between the marks of this page."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write report.html (one page, with pictures and history) and report.md from all results in DIR."""
    _write(folder)
    if into is not None:
        markdown.replace_between_marks(into, markdown.write(load_all(folder)))
    if json:
        print_json({"page": str(folder / "report.html"), "markdown": str(folder / "report.md")})
    else:
        say("page: ", (str(folder / "report.html"), "bold"))


app.command("profile")(profile_stream)
