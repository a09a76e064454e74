from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from aihub.cli import output
from aihub.errors import ParamsError

ID = "01a1fc1f-664d-7642-8f71-5c73e1c8d760"
WORDS = st.text(
    st.characters(whitelist_categories=("L", "N"), whitelist_characters="[]/:-_."), min_size=1, max_size=30
)


def printed(
    columns: list[str], rows: list[list[object]], width: int | None, free: tuple[str, ...] = ()
) -> list[str]:
    """The lines of a table; on a terminal of that width, or piped."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=width or 80, force_terminal=width is not None, color_system=None, highlight=False
    )
    before, output.console = output.console, console
    try:
        output.print_table(columns, rows, free=free)
    finally:
        output.console = before
    return stream.getvalue().splitlines()


@given(
    rows=st.lists(st.tuples(WORDS, WORDS, WORDS).map(list), max_size=5),
    width=st.one_of(st.none(), st.integers(1, 200)),
)
def test_no_cell_is_ever_cut_and_none_is_read_as_markup(rows: list[list[object]], width: int | None) -> None:
    lines = printed(["ID", "NAME", "STATE"], rows, width)
    assert len(lines) == 1 + len(rows)
    for line, row in zip(lines[1:], rows, strict=True):
        assert line.split() == row


@given(
    prose=st.lists(WORDS.filter(lambda word: cell_len(word) < 18), min_size=1, max_size=20),
    width=st.integers(60, 120),
)
def test_prose_wraps_to_the_terminal_and_ids_stay_whole(prose: list[str], width: int) -> None:
    lines = printed(["ID", "WHY"], [[ID, " ".join(prose)]], width, free=("WHY",))
    assert ID in lines[1]
    assert " ".join(prose) == " ".join(" ".join(lines[1:]).split()).replace(ID, "", 1).strip()
    assert all(len(line) <= width or len(line) <= len(ID) + 2 + output.NARROWEST for line in lines)


def test_piped_tables_are_as_wide_as_it_takes_and_without_blanks_at_the_end() -> None:
    lines = printed(["ID", "WHY"], [[ID, "because " * 40], [ID, "no"]], None, free=("WHY",))
    assert len(lines) == 3
    assert lines == [line.rstrip() for line in lines]


def test_none_is_empty_and_colour_is_kept_apart_from_the_words() -> None:
    assert printed(["A", "B", "C"], [[None, Text("[x]", style="red"), 3]], None)[1].split() == ["[x]", "3"]


@pytest.mark.parametrize(
    ("field", "message", "said"),
    [
        ("zone", "zone must be a list", "error: zone must be a list\n"),  # the message has it
        (
            "tasks[1].params.zone",
            "zone is wrong",
            "error: zone is wrong (tasks[1].params.zone)\n",
        ),  # which of several
        ("severities[0]", "severities[0]: no", "error: severities[0]: no\n"),  # not twice
        (None, "see [red]this[/red]", "error: see [red]this[/red]\n"),  # what a camera says is no mark-up
    ],
)
def test_errors_name_the_input(
    field: str | None, message: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.print_error(ParamsError(message, field=field, hint="do [that]"))
    assert capsys.readouterr().err == said + "  hint: do [that]\n"


def test_a_mapping_has_a_line_for_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_mapping({"id": ID, "error": "", "dropped": 3})
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["id", ID],
        ["error"],
        ["dropped", "3"],
    ]
