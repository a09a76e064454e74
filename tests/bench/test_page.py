"""The HTML page: whole, closed, the same each time, and nothing from a result is taken for markup."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from aihub.bench.report import page, plots
from aihub.bench.results import Curve, Figure, Histogram, Result, Stack, least
from aihub.errors import ConfigError

from .some_results import result

VOID = {"meta", "br", "link", "img"}


class Outline(HTMLParser):
    """Tags that were opened and closed, attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.addresses += [
            value for name, value in attrs if name in ("href", "src", "xlink:href") and value is not None
        ]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def svgs(html: str) -> Iterator[str]:
    yield from re.findall(r"<svg class=\"plot\".*?</svg>", html, flags=re.DOTALL)


def test_a_page_is_whole_and_needs_nothing_beside_it() -> None:
    html = page.write([result(0), result(1), result(2, suite="other")])
    outline = Outline(html)
    assert outline.open == []
    assert "script" not in outline.tags
    assert "link" not in outline.tags
    assert all(address.startswith("#") for address in outline.addresses)
    assert not re.search(r"url\((?!#)|@import", html)
    for said in (
        "Something drawn",
        "One / other",
        "1.2 x",
        ">= 1.5",
        "A Processor",
        "no card here",
        "2026-03-03",
    ):
        assert said in outline.text
    assert html == page.write([result(0), result(1), result(2, suite="other")])


def test_every_plot_is_there_as_xml_and_no_id_stands_twice() -> None:
    html = page.write([result(), result(1, suite="other")])
    drawn = list(svgs(html))
    assert len(drawn) == 6
    for one in drawn:
        ET.fromstring(one)
    ids = Outline(html).ids
    links = [address[1:] for address in Outline(html).addresses]
    links += re.findall(r"url\(#([^)]*)\)", html)
    assert set(links) <= set(ids)
    twice = {one for one in ids if ids.count(one) > 1}
    assert not twice


HOSTILE = "</text></svg><script>alert('x')</script>\"&\x00\x1b$\\frac{$"


def test_nothing_from_a_result_is_taken_for_markup() -> None:
    spoiled = Result.model_validate({
        **result().model_dump(),
        "suite": HOSTILE, "title": HOSTILE, "command": HOSTILE, "failure": HOSTILE, "skipped": {HOSTILE: HOSTILE},
        "settings": {HOSTILE: HOSTILE},
        "figures": [Figure(name="a", title=HOSTILE, value=1, unit=HOSTILE, detail=HOSTILE, against=HOSTILE,
                           target=least(2, condition=HOSTILE))],
        "curves": [Curve(name=HOSTILE, title=HOSTILE, x=HOSTILE, y=HOSTILE, lines={HOSTILE: ((0, 1),)})],
        "histograms": [Histogram(name=HOSTILE, title=HOSTILE, unit=HOSTILE, edges=(0, 1), counts={HOSTILE: (1,)})],
        "stacks": [Stack(name=HOSTILE, title=HOSTILE, unit=HOSTILE, bars={HOSTILE: {HOSTILE: 1.0}})],
    })  # fmt: skip
    html = page.write([spoiled])
    assert "<script" not in html.lower()
    outline = Outline(html)
    assert outline.open == []
    assert "script" not in outline.tags
    for one in svgs(html):
        ET.fromstring(one)


def test_missed_targets_stand_at_the_top() -> None:
    html = page.write([result(value=1.2)])
    assert html.index("Targets not met") < html.index("<section")
    assert "Targets not met" not in page.write([result(value=1.6)])


def test_history_is_of_the_same_machine_and_settings_only() -> None:
    here = [result(day, value=1.0 + day / 10) for day in range(3)]
    elsewhere = result(3, value=77.0, fingerprint="other")
    otherwise = result(-1, value=55.0).model_copy(update={"settings": {"turns": 9}})
    text = Outline(page.write([elsewhere, otherwise, *here, result(4, value=1.9)])).text
    assert "4 runs, 1 to 1.9" in text
    assert "history" not in Outline(page.write([elsewhere, *here[:1], result(5, fingerprint="new")])).text


def test_the_newest_result_of_a_suite_is_shown() -> None:
    text = Outline(page.write([result(5, value=1.9), result(0, value=1.1)])).text
    assert "1.9 x" in text
    assert "1.1 x" not in text


def test_a_page_without_results() -> None:
    assert Outline(page.write([])).open == []


def test_without_matplotlib_only_plots_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    bare = result().model_copy(update={"curves": (), "histograms": (), "stacks": ()})
    assert "One / other" in page.write([bare])
    with pytest.raises(ConfigError) as caught:
        page.write([result()])
    assert "aihub[bench]" in (caught.value.hint or "")


def test_empty_plots_are_left_out() -> None:
    empty = result().model_copy(
        update={
            "curves": (Curve(name="c", title="c", x="x", y="y", lines={"hub": ()}),),
            "histograms": (Histogram(name="h", title="h", edges=(), counts={}),),
            "stacks": (Stack(name="s", title="s", bars={}),),
        }
    )
    assert not list(svgs(page.write([empty])))


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, 1e12], [-1.0, 1.0, 0.0], [5.0, 5.0]])
def test_a_small_line_stays_within_its_picture(values: list[float]) -> None:
    points = re.search(r'points="([^"]*)"', plots.sparkline(values, width=96, height=22))
    assert points is not None
    for pair in points[1].split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= 96
        assert 0 <= y <= 22


def test_one_value_is_no_history() -> None:
    assert plots.sparkline([1.0]) == ""
