"""Texts and series through both clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aihub import errors
from aihub.client import AihubClient
from aihub.types import Fields, Labels, Points, Series
from tests.serve.hub import TestHub
from tests.serve.reading import add_readers


@pytest.fixture(autouse=True)
def _readers(hub: TestHub) -> None:
    add_readers(hub)


def test_texts(client: AihubClient) -> None:
    answer = client.read("text-length", "幸福路十二号")
    (found,) = answer.results
    assert isinstance(found, Labels)
    assert (answer.algorithm, found.label) == ("text-length", ("long",))
    several = client.read("text-length", ["a", "b" * 9], {"limit": 9}).results
    assert [one.label for one in several if isinstance(one, Labels)] == [("short",), ("short",)]
    rows = client.read("texts-before", ("a", "b")).results
    assert [len(row) for row in rows if isinstance(row, Fields)] == [0, 1]


@pytest.mark.parametrize(
    ("series", "at"),
    [
        ([1, None, 7.5], 2),
        ((1, 2, 7.5), 2),
        (np.array([1, np.nan, 7.5]), 2),
        (Series.regular([1, np.nan, 7.5], 60, 1000), 1120),
        ({"values": [1, float("nan"), 7.5], "step_s": 60}, 120),
        ({"values": np.array([1, 2, 7.5]), "start": "2026-01-01T00:00:00Z"}, 1_767_225_602),
    ],
    ids=["list", "tuple", "array", "series", "as the API", "array with a start"],
)
def test_one_series_in_every_form(client: AihubClient, series: Any, at: float) -> None:
    (found,) = client.study("highest-value", series).results
    assert isinstance(found, Points)
    assert (found.at.tolist(), found.value.tolist()) == ([at], [7.5])
    assert np.isnan(found.low).all()


def test_several_series(client: AihubClient) -> None:
    given: list[Any] = [[1.0, 2.0], Series.regular([5]), {"values": []}, np.array([9.0])]
    results = client.study("highest-value", given, {"bound": 3}).results
    assert [len(one) for one in results] == [0, 1, 0, 1]


def test_what_is_wrong_is_an_error_of_the_hub(client: AihubClient) -> None:
    wrong: Any = [["a"]]
    cases: list[tuple[Callable[[], object], type[errors.AihubError], str | None]] = [
        (lambda: client.read("text-length", []), errors.InputError, "texts"),
        (lambda: client.study("highest-value", []), errors.InputError, "series"),
        (lambda: client.study("highest-value", wrong), errors.InputError, "series[0].values"),
        (lambda: client.study("highest-value", {"step_s": 5}), errors.InputError, "series[0].values"),
        (lambda: client.study("highest-value", {"values": [1], "x": 1}), errors.InputError, "series[0].x"),
        (lambda: client.read("text-length", "a", {"limit": -1}), errors.ParamsError, "limit"),
        (lambda: client.read("thing-detection", "a"), errors.UnsupportedTypeError, None),
        (lambda: client.read("text-lenght", "a"), errors.AlgorithmNotFoundError, None),
    ]
    for ask, error, field in cases:
        with pytest.raises(error) as caught:
            ask()
        if field is not None:
            assert caught.value.field == field
