"""A suite is run: what it finds, what it lacks, how it breaks; and what the command line makes of it."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Self

import pytest
from typer.testing import CliRunner

from aihub.bench import runner, suite
from aihub.bench.report import markdown
from aihub.bench.results import least, load_all, most
from aihub.bench.stand import Kept, NotHereError, Stand
from aihub.cli.bench import app
from aihub.errors import InputError

CARD = """
name: tried
title: {en: Tried, zh: 试}
about: Whether suites run.
minutes: 1
quick_minutes: 0.5
settings: {turns: 4}
quick: {turns: 3}
"""


class Settings(suite.Options):
    """Of the suite of these tests."""

    turns: int = 5
    fails: bool = False


def measure(stand: Stand, settings: Settings) -> None:
    taken = stand.take_turns({"a": lambda: 2.0, "b": lambda: 1.0}, settings.turns)
    stand.ratio("a-over-b", "A over B", taken, "a", "b", target=most(1.5))
    with stand.part("the card"):
        raise NotHereError("no card")
    stand.add("found", "Found", 0.9, unit="", kind="accuracy", target=least(0.8))
    if settings.fails:
        raise RuntimeError("out of paper")


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = ModuleType("aihub.bench.suites.tried")
    vars(module).update(Settings=Settings, run=measure)
    monkeypatch.setitem(sys.modules, "aihub.bench.suites.tried", module)
    path = tmp_path / "tried.yaml"
    path.write_text(CARD, encoding="utf-8")
    return path


def test_a_run_tells_what_it_found_what_it_lacked_and_on_what(card: Path, tmp_path: Path) -> None:
    told: list[str] = []
    result = runner.run(suite.read(card), tmp_path / "work", seed=3, say=told.append)
    assert [figure.name for figure in result.figures] == ["a-over-b", "found"]
    assert result.figure("a-over-b").met is False
    assert result.figure("found").met is True
    assert result.figure("a-over-b").samples == (2.0,) * 4
    assert result.figure("a-over-b").interval == (2.0, 2.0)
    assert result.skipped == {"the card": "no card"}
    assert result.settings == {"turns": 4, "fails": False}
    assert result.machine.pace_ms > 0
    assert result.machine.cores >= 1
    assert result.seed == 3
    assert "the card" in told


def test_a_suite_that_breaks_keeps_what_it_had_found(card: Path, tmp_path: Path) -> None:
    result = runner.run(suite.read(card), tmp_path / "work", given={"fails": True})
    assert result.failure == "RuntimeError: out of paper"
    assert len(result.figures) == 2
    assert "Broke before its end" in markdown.write([result])


def test_a_suite_whose_needs_are_not_here_is_skipped_and_did_not_fail(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIHUB_TEST_MEDIA", raising=False)
    monkeypatch.setattr(sys.modules["aihub.bench.suites.tried"], "run", lambda stand, _: stand.media("video"))
    result = runner.run(suite.read(card), tmp_path / "work")
    assert not result.failure
    assert "AIHUB_TEST_MEDIA" in result.skipped["tried"]


def test_quick_and_given_settings_go_over_the_cards(card: Path) -> None:
    read = suite.read(card)
    assert read.settings(quick=True).model_dump()["turns"] == 3
    assert read.settings(quick=True, given={"turns": 9}).model_dump()["turns"] == 9
    with pytest.raises(InputError, match="round") as raised:
        read.settings(given={"round": 1})
    assert raised.value.hint == "settings of tried: turns, fails"
    with pytest.raises(InputError, match="turns"):
        read.settings(given={"turns": "many"})


def test_settings_of_the_command_line_are_yaml() -> None:
    assert suite.parse_settings(["a=1", "b=true", "c=[x, y]", "d=x=y"]) == {
        "a": 1,
        "b": True,
        "c": ["x", "y"],
        "d": "x=y",
    }
    for wrong in ("a", "=1"):
        with pytest.raises(InputError, match="NAME=VALUE"):
            suite.parse_settings([wrong])


def test_the_command_writes_results_and_pages(card: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = CliRunner().invoke(app, ["run", str(card), "--out", str(out), "--set", "turns=3"])
    assert ran.exit_code == 0, ran.output
    assert "skipped the card: no card" in ran.output
    (result,) = load_all(out)
    assert result.settings["turns"] == 3
    assert "A over B" in (out / "report.md").read_text(encoding="utf-8")
    assert "A over B" in (out / "report.html").read_text(encoding="utf-8")
    broken = CliRunner().invoke(app, ["run", str(card), "--out", str(out), "--set", "fails=true", "--json"])
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)[0]["failure"] == "RuntimeError: out of paper"


class Thing:
    """Something that suites share; it notes what becomes of it."""

    def __init__(self, said: list[str]) -> None:
        self.said, self.lives = said, True

    def __enter__(self) -> Self:
        self.said.append("opened")
        return self

    def __exit__(self, *_: object) -> None:
        self.said.append("closed")


def test_what_is_kept_is_opened_once_made_anew_where_it_died_and_closed_at_the_end() -> None:
    said: list[str] = []
    kept = Kept()

    def take() -> Thing:
        return kept.take("thing", lambda: Thing(said), lambda thing: thing.lives)

    first = take()
    assert take() is first
    first.lives = False
    second = take()
    assert second is not first
    kept.close()
    assert said == ["opened", "opened", "closed", "closed"]
    assert take() is not second, "what was closed is not given again"
    kept.close()
    kept.close()


@pytest.mark.parametrize(
    ("shares", "options", "opened"),
    [
        ("shared", ["--quick"], 1),  # one for all
        ("shared", [], 3),  # where there is time each has its own, which nothing went before
        ("''", ["--quick"], 3),  # such a suite shares nothing
    ],
)
def test_suites_share_a_hub_only_in_a_short_run(
    card: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shares: str,
    options: list[str],
    opened: int,
) -> None:
    card.write_text(CARD + f"hub: {shares}\n", encoding="utf-8")
    said: list[str] = []

    def uses_one(stand: Stand, _: Settings) -> None:
        if stand.kept is None:
            with Thing(said):
                pass
        else:
            stand.kept.take("thing", lambda: Thing(said), lambda thing: thing.lives)

    monkeypatch.setattr(sys.modules["aihub.bench.suites.tried"], "run", uses_one)
    out = ["--out", str(tmp_path / "bench")]
    assert CliRunner().invoke(app, ["run", *[str(card)] * 3, *options, *out]).exit_code == 0
    assert said.count("opened") == said.count("closed") == opened


def test_suites_that_share_a_hub_come_last() -> None:
    hubs = [one.card.hub for one in suite.all_of_them()]
    assert hubs == [""] * hubs.count("") + ["first"] + ["shared"] * hubs.count("shared")
    assert hubs.count("shared") > 1
    assert {one.card.name for one in suite.all_of_them()} == {*suite.names()}


def test_the_table_goes_between_the_marks_of_a_page(card: Path, tmp_path: Path) -> None:
    text = markdown.write([runner.run(suite.read(card), tmp_path / "work")])
    page = tmp_path / "page.md"
    page.write_text(f"mine\n{markdown.BEGIN}old\n{markdown.END}mine too\n")
    markdown.replace_between_marks(page, text)
    assert page.read_text() == f"mine\n{markdown.BEGIN}{text}{markdown.END}mine too\n"
    page.write_text("no marks")
    with pytest.raises(InputError, match="has no lines"):
        markdown.replace_between_marks(page, text)


def test_every_suite_that_comes_with_the_hub_can_be_read() -> None:
    for name in suite.names():
        found = suite.find(name)
        assert found.card.name == name
        found.settings()
        found.settings(quick=True)
    with pytest.raises(InputError, match="no suite 'speed'"):
        suite.find("speed")


def test_the_quick_selection_of_all_suites_takes_about_ten_minutes() -> None:
    assert sum(suite.find(name).card.quick_minutes for name in suite.names()) <= 10.5


def test_what_was_missed_stands_first(card: Path, tmp_path: Path) -> None:
    text = markdown.write([runner.run(suite.read(card), tmp_path / "work")])
    assert text.startswith("### Targets: 1 of 2 met")
    assert text.index("| tried | A over B | 2 x | <= 1.5 | **no** |") < text.index(
        "| tried | Found | 0.9  | >= 0.8 | yes |"
    )


PAGES = Path(__file__).parents[2]
COMMAND = re.compile(r"aihub bench run (?!all|mine)([a-z]+) ([^`#\n]*--set [^`#\n]*)")


@pytest.mark.parametrize(
    ("page", "name", "rest"),
    [
        pytest.param(page.name, *found.groups(), id=f"{page.name}: {found[0].strip()}")
        for page in (PAGES / "README.md", PAGES / "DECISIONS.md", *sorted((PAGES / "docs").glob("*.md")))
        for found in COMMAND.finditer(page.read_text())
    ],
)
def test_settings_that_the_pages_name_are_there(page: str, name: str, rest: str, tmp_path: Path) -> None:
    words = shlex.split(re.sub(r"=/data/\w+", f"={tmp_path}", rest))  # folders of whoever reads the page
    given = [word for before, word in itertools.pairwise(words) if before == "--set"]
    assert given, page
    suite.find(name).settings(given=suite.parse_settings(given))
