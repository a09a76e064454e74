"""Results as Markdown: a table a suite, and what it was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aihub.bench.results import Figure, Result, latest
from aihub.errors import InputError

BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
"""What lies between these lines of a page is written by a run; the rest by people."""
HEAD = "| what | figure | 95 % | target | met | numbers behind it |\n|---|---|---|---|---|---|\n"
MET = {None: "-", True: "yes", False: "**no**"}


def write(results: Sequence[Result]) -> str:
    """Markdown of the newest result of each suite: what had a target, then everything."""
    newest = latest(results)
    return "\n".join([*_targets(newest), *(_section(result) for result in newest)])


def _targets(results: Sequence[Result]) -> list[str]:
    """All figures that had to reach something, those that did not first; nothing where none had."""
    wanted = [(result, figure) for result in results for figure in result.figures if figure.met is not None]
    if not wanted:
        return []
    met = sum(figure.met is True for _, figure in wanted)
    rows = [
        f"| {result.suite} | {_safe(figure.title)} | {figure.value:.3g} {figure.unit} | {figure.target} | {MET[figure.met]} |\n"
        for result, figure in sorted(wanted, key=lambda one: one[1].met is True)
    ]
    head = "| suite | what | figure | target | met |\n|---|---|---|---|---|\n"
    return [f"### Targets: {met} of {len(wanted)} met\n\n{head}{''.join(rows)}"]


def _section(result: Result) -> str:
    machine = result.machine
    parts = [
        f"### {result.suite}: {result.title}\n\n",
        (
            f"{result.begun_at:%Y-%m-%d}, {machine.cores} cores of {machine.processor}"
            f"{' (' + ', '.join(machine.flags) + ')' if machine.flags else ''}{''.join('; ' + gpu for gpu in machine.gpus)}, "
            f"load before {machine.load_before:g} a core, pace {machine.pace_ms:.2f} ms "
            f"(spread {machine.pace_spread:.0%}); `{result.command}`, {result.seconds / 60:.1f} minutes.\n\n"
        ),
    ]
    if result.figures:
        parts += [HEAD, *(_row(figure) for figure in result.figures)]
    parts += [f"\nSkipped: {what}: {why}\n" for what, why in result.skipped.items()]
    if result.failure:
        parts.append(f"\n**Broke before its end**: {result.failure}\n")
    return "".join(parts)


def _row(figure: Figure) -> str:
    ends = "" if figure.interval is None else f"{figure.interval[0]:.3g} to {figure.interval[1]:.3g}"
    cells = (
        figure.title,
        f"{figure.value:.3g} {figure.unit}",
        ends,
        str(figure.target or ""),
        MET[figure.met],
        figure.detail,
    )
    return "| " + " | ".join(map(_safe, cells)) + " |\n"


def _safe(text: str) -> str:
    """For a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def replace_between_marks(path: Path, text: str) -> None:
    """Write `text` between the marks of a page.

    Raises:
        InputError: the page has no marks.
    """
    page = path.read_text(encoding="utf-8")
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{path} has no lines {BEGIN.strip()} and {END.strip()}", field="into")
    path.write_text(head + BEGIN + text + END + tail, encoding="utf-8")
