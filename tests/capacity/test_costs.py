"""Costs as a document: lines that are never negative, files that say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.capacity.costs import FILE, Linear, load, remember, remembered
from aihub.errors import ConfigError, CostsMissingError, NotFoundError
from tests.capacity.invented import ROUND, amounts


@given(st.lists(st.tuples(st.floats(0.1, 9), amounts), min_size=1, max_size=6))
def test_a_line_is_never_negative(points: list[tuple[float, float]]) -> None:
    line = Linear.through(points)
    assert line.fixed >= 0
    assert line.per_mpixel >= 0


@given(amounts, amounts, st.lists(st.floats(0.1, 9), min_size=2, max_size=5, unique_by=lambda x: round(x, 2)))
def test_a_line_goes_through_points_on_a_line(fixed: float, slope: float, sizes: list[float]) -> None:
    line = Linear.through([(size, fixed + slope * size) for size in sizes])
    for size in sizes:
        assert line.at(size) == pytest.approx(fixed + slope * size, rel=1e-4, abs=1e-4)


def test_costs_are_remembered(tmp_path: Path) -> None:
    remember(ROUND, tmp_path / "home" / FILE)
    assert remembered(tmp_path / "home") == ROUND


def test_without_costs_there_is_a_command_and_no_number(tmp_path: Path) -> None:
    with pytest.raises(CostsMissingError) as caught:
        remembered(tmp_path)
    assert "aihub bench run costs" in str(caught.value.hint)
    with pytest.raises(NotFoundError):
        load(tmp_path / "absent.json")


@pytest.mark.parametrize(("text", "words"), [("{}", "measured_at"), ("no json", "holds no costs")])
def test_a_file_that_is_none_says_so(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "costs.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        load(path)


def test_negative_costs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(
        ROUND.model_dump_json().replace('"stream_ms_s":2.0', '"stream_ms_s":-2.0'), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="stream_ms_s"):
        load(path)
