"""How commands speak: tables for people, one JSON value for programs, errors that say what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from aihub.errors import AihubError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)

NARROWEST = 20
"""Columns a cell that may wrap has at least."""
_NATURAL = 100_000


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def say(*parts: str | tuple[str, str] | Text) -> None:
    """A line for people; `(text, style)` colours a part of it. Never cut and never read as mark-up."""
    console.print(Text.assemble(*parts), soft_wrap=True)


def print_ended(word: str, what: str, json: bool) -> None:
    """That a thing was `removed` or `revoked`: `{"removed": ID}` for programs, a line for people."""
    if json:
        print_json({word: what})
    else:
        say(f"{word} {what}")


def print_error(error: AihubError) -> None:
    """What went wrong, with which input, and what to do about it."""
    field = error.field or ""
    # The message names the field already, but not which of several: `tasks[1].params.zone`.
    where = f" ({field})" if "[" in field and field not in error.message else ""
    error_console.print(Text.assemble(("error: ", "red"), error.message, where), soft_wrap=True)
    if error.hint:
        error_console.print(Text(f"  hint: {error.hint}"), soft_wrap=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, free: Collection[str] = ()
) -> None:
    """A plain table; nothing in it is cut.

    Args:
        columns: headings.
        rows: cells; text is printed as it is, a `rich.text.Text` with its colour.
        free: columns of prose, which may wrap where the terminal is narrow; all others are never split.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column not in free, overflow="fold")
    _fill(table, rows)
    _print(table, [name in free for name in columns])


def print_mapping(values: Mapping[str, object]) -> None:
    """Name and value, one a line."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    _fill(table, values.items())
    _print(table, [False, True])


def _fill(table: Table, rows: Iterable[Sequence[object]]) -> None:
    for row in rows:
        table.add_row(
            *(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row)
        )


def _print(table: Table, free: Sequence[bool]) -> None:
    """Print as wide as the terminal, but never narrower than cells that must stay whole; piped, as wide as it takes."""
    unbounded = console.options.update_width(_NATURAL)
    width = Measurement.get(console, unbounded, table).maximum
    if console.is_terminal:
        spare = sum(
            max(
                0,
                Measurement.get(console, unbounded, Text("\n").join(_texts(column.cells))).maximum
                - NARROWEST,
            )
            for column, may_wrap in zip(table.columns, free, strict=True)
            if may_wrap
        )
        width = min(width, max(console.width, width - spare))
    lines = console.render_lines(table, console.options.update_width(width), pad=False)
    segments = [segment for line in lines for segment in (*_bare_end(line), Segment.line())]
    console.print(Segments(segments), soft_wrap=True, end="")


def _bare_end(line: list[Segment]) -> list[Segment]:
    """A line without the blanks that fill its last column."""
    while line and not line[-1].text.strip():
        line.pop()
    if line:
        line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
    return line


def _texts(cells: Iterable[object]) -> list[Text]:
    return [cell for cell in cells if isinstance(cell, Text)]
