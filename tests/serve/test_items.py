"""Texts and series of a request: what is taken, and every refusal names its field."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.reading import Item
from aihub.errors import InputError, TooLargeError
from aihub.serve.items import listed_series, listed_texts, open_series, open_texts
from aihub.settings import Settings
from aihub.types import Passage, Series

NOON = 1_767_268_800.0
"""2026-01-01T12:00:00Z."""


@pytest.fixture(scope="module")
def bounds(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home: Path = tmp_path_factory.mktemp("home")
    return Settings(home=home, max_texts=3, max_text_chars=10, max_series_points=4)


def one_series(given: dict[str, Any], bounds: Settings) -> Series:
    (series,) = open_series(listed_series([given]), bounds)
    assert isinstance(series, Series)
    return series


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"values": [1, None, 3]}, [0, 1, 2]),
        ({"values": []}, []),
        ({"values": [1, 2], "step_s": 60}, [0, 60]),
        ({"values": [1, 2], "step_s": 0.5, "start": NOON}, [NOON, NOON + 0.5]),
        ({"values": [1], "start": "2026-01-01T12:00:00Z"}, [NOON]),
        ({"values": [1], "start": "2026-01-01T20:00:00+08:00"}, [NOON]),
        ({"values": [1], "start": "2026-01-01T12:00:00"}, [NOON]),
        ({"values": [1], "start": "2026-01-01"}, [NOON - 43200]),
        ({"values": [1, 2], "at": ["2026-01-01T12:00Z", NOON + 7]}, [NOON, NOON + 7]),
        ({"values": [1, 2], "at": [-5, 5.5]}, [-5, 5.5]),
    ],
    ids=["steps of a second", "empty", "step", "start as a number", "zone Z", "another zone",
         "no zone is UTC", "a day", "both forms", "before 1970"],
)  # fmt: skip
def test_times(given: dict[str, Any], at: list[float], bounds: Settings) -> None:
    series = one_series(given, bounds)
    assert series.at.tolist() == at
    assert series.at.dtype == series.values.dtype == np.float64
    assert np.isnan(series.values).tolist() == [value is None for value in given["values"]]


@pytest.fixture
def in_shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_shanghai")
def test_the_zone_of_the_machine_does_not_matter(bounds: Settings) -> None:
    assert one_series({"values": [1], "start": "2026-01-01T12:00:00"}, bounds).at[0] == NOON


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("text", "series"),
        ({"values": [1]}, "series"),
        ([[1, 2]], "series[0]"),
        ([{"values": [1]}, 5], "series[1]"),
        ([{}], "series[0].values"),
        ([{"values": "1,2"}], "series[0].values"),
        ([{"values": [1, "2"]}], "series[0].values[1]"),
        ([{"values": [1]}, {"values": [True]}], "series[1].values[0]"),
        ([{"values": [float("nan")]}], "series[0].values[0]"),
        ([{"values": [1, float("inf")]}], "series[0].values[1]"),
        ([{"values": [10**400]}], "series[0].values[0]"),
        ([{"values": [[1]]}], "series[0].values[0]"),
        ([{"values": [1], "step": 5}], "series[0].step"),
        ([{"values": [1], "step_s": 0}], "series[0].step_s"),
        ([{"values": [1], "step_s": -1}], "series[0].step_s"),
        ([{"values": [1], "step_s": "60"}], "series[0].step_s"),
        ([{"values": [1], "step_s": True}], "series[0].step_s"),
        ([{"values": [1], "step_s": float("nan")}], "series[0].step_s"),
        ([{"values": [1], "step_s": 1e9}], "series[0].step_s"),
        ([{"values": [1, 2], "step_s": 1e-9, "start": NOON}], "series[0].step_s"),
        ([{"values": [1], "start": "yesterday"}], "series[0].start"),
        ([{"values": [1], "start": "2026-13-01"}], "series[0].start"),
        ([{"values": [1], "start": "1" * 100}], "series[0].start"),
        ([{"values": [1], "start": None}], "series[0].start"),
        ([{"values": [1], "start": True}], "series[0].start"),
        ([{"values": [1], "start": float("nan")}], "series[0].start"),
        ([{"values": [1], "start": 1e13}], "series[0].start"),
        ([{"values": [1], "at": [1], "start": 1}], "series[0].at"),
        ([{"values": [1], "at": [1], "step_s": 1}], "series[0].at"),
        ([{"values": [1, 2], "at": [1]}], "series[0].at"),
        ([{"values": [1], "at": 1}], "series[0].at"),
        ([{"values": [1, 2], "at": [1, "x"]}], "series[0].at[1]"),
        ([{"values": [1, 2, 3], "at": [1, 2, 2]}], "series[0].at[2]"),
        ([{"values": [1, 2, 3], "at": [5, 4, 6]}], "series[0].at[1]"),
    ],
)
def test_every_wrong_series_is_refused_by_name(given: Any, field: str, bounds: Settings) -> None:
    with pytest.raises(InputError) as caught:
        open_series(listed_series(given), bounds)
    assert caught.value.field == field
    assert caught.value.message


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("one text", "texts"),
        ({"0": "a"}, "texts"),
        (["a", 5], "texts[1]"),
        ([None], "texts[0]"),
        (["a", "\ud800"], "texts[1]"),
    ],
)
def test_every_wrong_text_is_refused_by_name(given: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        listed_texts(given)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("opened", "field"),
    [
        (lambda bounds: open_texts(["a"] * 4, bounds), "texts"),
        (lambda bounds: open_texts(["a", "b" * 11], bounds), "texts[1]"),
        (lambda bounds: open_series([{"values": []}] * 4, bounds), "series"),
        (lambda bounds: open_series([{"values": [1]}, {"values": [1] * 5}], bounds), "series[1].values"),
    ],
    ids=["many texts", "long text", "many series", "long series"],
)
def test_too_much_is_refused(opened: Any, field: str, bounds: Settings) -> None:
    with pytest.raises(TooLargeError) as caught:
        opened(bounds)
    assert caught.value.field == field


def test_texts_are_taken_as_they_are(bounds: Settings) -> None:
    items = open_texts(["", " a\n", "幸福路"], bounds)
    assert [(item.text, item.seq) for item in items if isinstance(item, Passage)] == [
        ("", 0),
        (" a\n", 1),
        ("幸福路", 2),
    ]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
shaped = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("values", "at", "start", "step_s", "more"), anything)
)


@settings(max_examples=200)
@given(st.lists(shaped | anything, max_size=3))
def test_whatever_comes_is_sound_or_refused_by_name(given_: list[Any]) -> None:
    bounds = Settings(max_texts=3, max_text_chars=10, max_series_points=4)
    where: str | None = "series"
    items: list[Item] = []
    try:
        items = open_series(listed_series(given_), bounds)
    except (InputError, TooLargeError) as error:
        where = error.field
    assert (where or "").startswith("series")
    for item in items:
        assert isinstance(item, Series)
        assert np.isfinite(item.at).all()
        assert (np.diff(item.at) > 0).all()
