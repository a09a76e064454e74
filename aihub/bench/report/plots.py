"""Curves, histograms and stacks as SVG that stands within a page: no fonts, no files, and the page's own text colour.

matplotlib draws them. It is imported when the first one is drawn, for pages without plots do not need it.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aihub.bench.results import Curve, Histogram, Stack
from aihub.errors import ConfigError

COLOURS = ("#2b7bba", "#e07b28", "#2f9e5f", "#c2487e", "#8a6fd1", "#a8791c", "#1f9fb0", "#c0504d", "#7a8794")
"""Of lines and parts, in turn; each can be told from white and from near-black."""
INK = "#0a0b0c"
"""What is drawn in it takes the colour of the page's text."""
WIDTH_IN, HEIGHT_IN = 6.0, 3.0
"""Inches at 72 points; the page scales it to its width."""
MOST_BARS = 40
"""Bars of a stack that are drawn; the table beside it has all."""

_LABEL = 46
"""Signs of a name that are shown beside a plot."""
_TICKS = 9
"""Measured values that have room to stand below an axis."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_STYLE = {
    "svg.fonttype": "none", "text.parse_math": False, "font.family": "sans-serif", "font.size": 9.0,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "axes.titlesize": 9.5,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": INK, "grid.alpha": 0.14, "grid.linewidth": 0.6, "legend.frameon": False,
    "lines.linewidth": 1.6, "lines.markersize": 3.5, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
}  # fmt: skip


def curve(one: Curve, salt: str = "") -> str:
    """Lines over a common x, with a legend; SVG. `salt` makes its ids its own: one a suite.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with _axes(f"{salt}/curve/{one.name}") as (figure, axes, done):
        for at, (name, points) in enumerate(one.lines.items()):
            across, up = [point[0] for point in points], [point[1] for point in points]
            axes.plot(across, up, marker="o", color=_colour(at), label=_shown(name))
        every = sorted({x for points in one.lines.values() for x, _ in points})
        if one.log_x and every and every[0] > 0:
            _logarithmic(axes, every if len(every) <= _TICKS else None)
        axes.set_xlabel(_shown(one.x))
        axes.set_ylabel(_shown(one.y))
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        _legend(figure, axes, len(one.lines))
    return done[0]


def histogram(one: Histogram, salt: str = "") -> str:
    """How often what was measured, over a logarithmic axis where the edges allow one; SVG. `salt` as of `curve`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with _axes(f"{salt}/histogram/{one.name}") as (figure, axes, done):
        for at, (name, counts) in enumerate(one.counts.items()):
            shown = len(counts) == len(one.edges) - 1
            if shown:
                axes.stairs(counts, one.edges, color=_colour(at), label=_shown(name), fill=True, alpha=0.35)
                axes.stairs(counts, one.edges, color=_colour(at))
        if one.edges and one.edges[0] > 0:
            _logarithmic(axes)
        axes.set_xlabel(_shown(one.unit))
        axes.set_ylabel("how often")
        _legend(figure, axes, len(one.counts))
    return done[0]


def stack(one: Stack, salt: str = "") -> str:
    """What one unit of work is made of, a bar for each thing; SVG. `salt` as of `curve`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    bars = dict(list(one.bars.items())[:MOST_BARS])
    parts = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    with _axes(f"{salt}/stack/{one.name}", height=max(1.5, 0.8 + 0.28 * len(bars))) as (figure, axes, done):
        left = dict.fromkeys(bars, 0.0)
        places = range(len(bars))
        for at, part in enumerate(parts):
            widths = [bar.get(part, 0.0) for bar in bars.values()]
            axes.barh(
                places, widths, left=list(left.values()), height=0.66, color=_colour(at), label=_shown(part)
            )
            left = {name: left[name] + width for name, width in zip(bars, widths, strict=True)}
        axes.set_yticks(list(places), [_shown(name) for name in bars])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(_shown(one.unit))
        _legend(figure, axes, len(parts))
    return done[0]


@contextmanager
def _axes(salt: str, height: float = HEIGHT_IN) -> Iterator[tuple[Any, Any, list[str]]]:
    """A figure with axes to draw on; when that is done, its SVG is in the list."""
    library, make = _library()
    done: list[str] = []
    # Ids in the SVG come from the salt: no two plots of a page share one, and they are the same each time.
    with library.rc_context({**_STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # letters that the measuring font lacks: the reader's browser has them
        figure = make(figsize=(WIDTH_IN, height), layout="constrained")
        yield figure, figure.add_subplot(), done
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    done.append(_inline(out.getvalue()))


def _library() -> tuple[Any, Any]:
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "the plots of a report need matplotlib, which is not installed", hint="pip install 'aihub[bench]'"
        ) from error

    def make(**options: Any) -> Any:
        figure = Figure(**options)
        FigureCanvasSVG(figure)  # of its own: pyplot keeps figures, and may look for a screen
        return figure

    return mpl, make


def _logarithmic(axes: Any, ticks: list[float] | None = None) -> None:
    """A logarithmic x axis with plain numbers: those that were measured, or 1, 2 and 5 of each power of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if ticks is None else FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(figure: Any, axes: Any, lines: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if lines > 1 and handles:
        figure.legend(
            handles, labels, loc="outside upper left", ncols=min(4, lines), fontsize=8.5, columnspacing=1.4
        )


def _colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]


def _shown(text: str) -> str:
    """Without what no XML may hold, and no longer than a plot has room for."""
    plain = _CONTROLS.sub(" ", text)
    return plain if len(plain) <= _LABEL else plain[: _LABEL - 1] + "…"


def _inline(svg: str) -> str:
    """From `<svg` on, without what only files want, and without ids that nothing points at: a page has many plots."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', _root, body, count=1, flags=re.DOTALL)
    return body.replace(INK, "currentColor").strip()


def _root(match: re.Match[str]) -> str:
    return f'<svg class="plot" {match[1]} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img">'


def sparkline(values: Mapping[str, float] | list[float], *, width: int = 96, height: int = 22) -> str:
    """How a figure went from run to run: a small line, its last point marked; SVG. Empty for fewer than two values."""
    rows = list(values.values()) if isinstance(values, Mapping) else list(values)
    if len(rows) < 2:
        return ""
    low, high = min(rows), max(rows)
    # A change of a per cent fills no more than a part of the height: noise is not to look like a cliff.
    room = max(high - low, 0.1 * max(abs(low), abs(high)), 1e-12)
    middle = (low + high) / 2
    across = (width - 8) / (len(rows) - 1)
    points = [(4 + at * across, height / 2 - (value - middle) / room * (height - 8)) for at, value in enumerate(rows)]  # fmt: skip
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">'
        f'<polyline points="{line}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.4"/></svg>'
    )
