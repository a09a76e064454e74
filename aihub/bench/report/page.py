"""Results as one HTML page that needs nothing beside it: no network, no files, no script.

The newest result of each suite has a section; all others of the folder show in the history of its figures, where they were
measured on the same machine with the same settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path

from aihub.bench.report import plots
from aihub.bench.results import Figure, Machine, Result, latest

BAR_WIDTH, BAR_HEIGHT = 132, 20
MOST_RUNS = 60
"""Runs that a history shows, the last ones."""


def write(results: Sequence[Result]) -> str:
    """The page.

    Args:
        results: of any suites, in any order; of each suite the newest is shown, the others are its history.

    Raises:
        ConfigError: there is something to plot, and matplotlib is not installed.
    """
    newest = latest(results)
    sections = [_section(result, _history(result, results)) for result in newest]
    title = "Benchmarks of " + (newest[0].machine.processor if newest else "nothing yet")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>aihub benchmarks</h1>\n{_summary(newest)}{''.join(sections)}</main>\n</body>\n</html>\n"
    )


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


# Above all sections.


def _summary(newest: Sequence[Result]) -> str:
    figures = [figure for result in newest for figure in result.figures]
    met, missed = (sum(figure.met is wanted for figure in figures) for wanted in (True, False))
    skipped = sum(len(result.skipped) for result in newest)
    broke = sum(bool(result.failure) for result in newest)
    tiles = [(str(len(newest)), "suites", ""), (str(len(figures)), "figures", ""), (str(met), "targets met", "good"),
             (str(missed), "targets not met", "bad" if missed else ""), (str(skipped), "skipped", "")]  # fmt: skip
    tiles += [(str(broke), "broke", "bad")] if broke else []
    shown = "".join(f'<div class="tile {kind}"><b>{number}</b> {name}</div>' for number, name, kind in tiles)
    rows = "".join(_summary_row(result) for result in newest)
    head = "<tr><th>suite</th><th>what</th><th>figures</th><th>met</th><th>not met</th><th>skipped</th><th>measured</th></tr>"
    return (
        f'<div class="tiles">{shown}</div>\n<div class="wide"><table class="suites"><thead>{head}</thead>'
        f"<tbody>{rows}</tbody></table></div>\n{_missed(newest)}"
    )


def _summary_row(result: Result) -> str:
    met, missed = (sum(figure.met is wanted for figure in result.figures) for wanted in (True, False))
    name = escape(result.suite, quote=True)
    state = ' <span class="bad">broke</span>' if result.failure else ""
    quick = " (quick)" if result.quick else ""
    cells = (
        f'<a href="#{name}">{name}</a>{state}',
        escape(result.title),
        str(len(result.figures)),
        f'<span class="good">{met}</span>' if met else "0",
        f'<span class="bad">{missed}</span>' if missed else "0",
        str(len(result.skipped)),
        f"{result.begun_at:%Y-%m-%d %H:%M} UTC{quick}",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _missed(newest: Sequence[Result]) -> str:
    """The targets that are not met, all in one place: nobody has to look for them."""
    rows = [
        f'<li><a href="#{escape(_anchor(result, figure), quote=True)}">{escape(figure.title)}</a>: '
        f"{escape(_number(figure.value, figure.unit))}, wanted {escape(str(figure.target))}</li>"
        for result in newest
        for figure in result.figures
        if figure.met is False
    ]
    return f'<h2>Targets not met</h2>\n<ul class="missed">{"".join(rows)}</ul>\n' if rows else ""


# A suite.


def _section(result: Result, history: Sequence[Result]) -> str:
    parts = [f'<section id="{escape(result.suite, quote=True)}">\n<h2>{escape(result.suite)}: {escape(result.title)}</h2>\n',
             _about(result)]  # fmt: skip
    if result.failure:
        parts.append(f'<p class="note bad">Broke before its end: {escape(result.failure)}</p>\n')
    if result.figures:
        parts.append(_table(result, history))
    parts += list(_plots(result))
    if result.skipped:
        rows = "".join(
            f"<li><b>{escape(what)}</b>: {escape(why)}</li>" for what, why in result.skipped.items()
        )
        parts.append(f"<h3>Skipped</h3>\n<ul>{rows}</ul>\n")
    return "".join([*parts, "</section>\n"])


def _about(result: Result) -> str:
    machine = result.machine
    rows = {
        "command": f"<code>{escape(result.command)}</code>",
        "measured": f"{result.begun_at:%Y-%m-%d %H:%M:%S} UTC, in {result.seconds / 60:.1f} minutes, seed {result.seed}",
        "machine": escape(_machine(machine)),
        "pace": f"{machine.pace_ms:.2f} ms for a fixed piece of work, spread {machine.pace_spread:.0%}; load a core "
        f"{machine.load_before:g} before, {machine.load_after:g} after",
        "versions": escape(", ".join(f"{name} {number}" for name, number in machine.versions.items())),
        "settings": f"<code>{escape(json.dumps(result.settings, ensure_ascii=False))}</code>",
    }
    said = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows.items() if value)
    return f"<details><summary>{escape(_machine(machine))}, {result.begun_at:%Y-%m-%d}</summary><dl>{said}</dl></details>\n"


def _machine(machine: Machine) -> str:
    flags = f" ({', '.join(machine.flags)})" if machine.flags else ""
    cards = "".join(f"; {one}" for one in machine.gpus)
    return f"{machine.cores} cores of {machine.processor}{flags}, {machine.memory_gb:g} GB{cards}"


def _plots(result: Result) -> Iterator[str]:
    drawn = [
        *((one.title, plots.curve(one, result.suite)) for one in result.curves if any(one.lines.values())),
        *((one.title, plots.histogram(one, result.suite)) for one in result.histograms if one.counts),
        *((one.title, plots.stack(one, result.suite)) for one in result.stacks if one.bars),
    ]
    if drawn:
        shown = "".join(
            f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in drawn
        )
        yield f'<div class="plots">{shown}</div>\n'


# Figures.


def _table(result: Result, history: Sequence[Result]) -> str:
    rows = [_cells(figure, history if len(history) > 1 else ()) for figure in result.figures]
    # A suite without turns has no intervals: columns in which nothing stands are left out.
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    head = "".join(f"<th>{name or 'figure'}</th>" for name in names)
    body = "".join(
        f'<tr id="{escape(_anchor(result, figure), quote=True)}">'
        + "".join(f'<td data-name="{name}">{row[name]}</td>' for name in names)
        + "</tr>"
        for figure, row in zip(result.figures, rows, strict=True)
    )
    return f'<div class="wide"><table class="figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'


def _cells(figure: Figure, history: Sequence[Result]) -> dict[str, str]:
    """HTML of each column by its head; the first has none on a phone."""
    detail = f"<small>{escape(figure.detail)}</small>" if figure.detail else ""
    against = f"<small>against {escape(figure.against)}</small>" if figure.against else ""
    return {
        "": f"{escape(figure.title)}{against}{detail}",
        "value": f"<b>{escape(_number(figure.value, figure.unit))}</b>",
        "95 %": _interval(figure),
        "target": escape(str(figure.target or "")),
        "met": _met(figure),
        "turns": str(len(figure.samples)) if figure.samples else "",
        "history": _spark(figure, history),
    }


def _anchor(result: Result, figure: Figure) -> str:
    return f"{result.suite}/{figure.name}"


def _met(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return {True: '<span class="good">yes</span>', False: '<span class="bad">no</span>', None: "-"}[
        figure.met
    ]


def _interval(figure: Figure) -> str:
    """The interval in numbers and as a bar, with the value on it and the target as a dashed line."""
    if figure.interval is None:
        return ""
    low, high = figure.interval
    marks = [low, high, figure.value, *figure.samples]
    target = figure.target.value if figure.target is not None and figure.target.applies else None
    left, right = min(marks), max(marks)
    near = target is not None and min(abs(target - left), abs(target - right)) <= 4 * max(
        right - left, 0.02 * abs(right)
    )
    if near and target is not None:
        left, right = min(left, target), max(right, target)
    room = (right - left) or abs(right) or 1.0

    def place(value: float) -> str:
        return f"{6 + (value - left) / room * (BAR_WIDTH - 12):.1f}"

    middle = BAR_HEIGHT / 2
    drawn = [f'<line class="rail" x1="6" x2="{BAR_WIDTH - 6}" y1="{middle}" y2="{middle}"/>']
    drawn.append(f'<line class="span" x1="{place(low)}" x2="{place(high)}" y1="{middle}" y2="{middle}"/>')
    if near and target is not None:
        drawn.append(
            f'<line class="target" x1="{place(target)}" x2="{place(target)}" y1="1" y2="{BAR_HEIGHT - 1}"/>'
        )
    drawn.append(f'<circle cx="{place(figure.value)}" cy="{middle}" r="3.4"/>')
    bar = f'<svg class="bar" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" width="{BAR_WIDTH}" height="{BAR_HEIGHT}" aria-hidden="true">{"".join(drawn)}</svg>'
    return f"{bar}<small>{escape(_number(low, ''))} to {escape(_number(high, ''))}</small>"


def _number(value: float, unit: str) -> str:
    """Three digits that count, without exponents where people expect none.

    >>> _number(1234.5, "MB"), _number(0.01234, "x")
    ('1,234 MB', '0.0123 x')
    """
    said = f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
    return f"{said} {unit}".strip()


# History.


def _history(result: Result, results: Sequence[Result]) -> list[Result]:
    """Runs of the same suite, machine and settings up to this one, oldest first: what can be laid side by side."""
    alike = [
        one for one in results
        if one.suite == result.suite and one.machine.fingerprint == result.machine.fingerprint
        and one.settings == result.settings and not one.failure
    ]  # fmt: skip
    return sorted(alike, key=lambda one: one.begun_at)[-MOST_RUNS:]


def _spark(figure: Figure, history: Sequence[Result]) -> str:
    values = [one.value for result in history for one in result.figures if one.name == figure.name]
    line = plots.sparkline(values)
    return (
        f"{line}<small>{len(values)} runs, {_number(min(values), '')} to {_number(max(values), '')}</small>"
        if line
        else ""
    )
