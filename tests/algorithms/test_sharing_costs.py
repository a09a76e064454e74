"""Several algorithms on one picture: what they share is split among them, and each pays its own work alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.inference import infer_many
from aihub.testing import picture
from aihub.types import Bill, Frame
from tests.algorithms.conftest import make_algorithm
from tests.algorithms.test_inference import RUN_S, billing
from tests.algorithms.test_planner import CHAINS, DETECT

Requests = list[tuple[Any, dict[str, Any]]]


def test_a_detector_is_shared_and_a_reader_is_paid_by_who_asked_for_it() -> None:
    models, bill = billing(), Bill()
    requests: Requests = [
        (make_algorithm(models, DETECT, {"filter": {}}, id="a"), {}),
        (make_algorithm(models, DETECT, id="b"), {}),
        (make_algorithm(models, {"test-asking": {}}, id="reader"), {}),
    ]
    frames = [Frame(picture(8, 8), "t/k", seq, bill=bill) for seq in range(2)]
    infer_many(requests, frames, models)
    a, b, reader = bill.split(["a", "b", "reader"])
    assert RUN_S <= a < RUN_S + 0.05  # two pictures, half of each
    assert RUN_S <= b < RUN_S + 0.05
    assert reader >= 2 * (RUN_S + 0.02)
    assert a + b + reader == pytest.approx(bill.total)
    assert bill.spent["coco"] == bill.spent["raw"] == 2 * RUN_S


def test_one_that_fails_pays_for_what_was_begun_for_it() -> None:
    models, bill = billing(), Bill()
    requests: Requests = [
        (make_algorithm(models, DETECT, {"test-failing": {}}, id="a"), {}),
        (make_algorithm(models, DETECT, id="b"), {}),
    ]
    infer_many(requests, [Frame(picture(8, 8), "t/k", seq, bill=bill) for seq in range(2)], models)
    a, b = bill.split(["a", "b"])
    assert a == pytest.approx(b, abs=0.05)
    assert bill.total == pytest.approx(2 * RUN_S, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(st.lists(CHAINS, min_size=1, max_size=4), st.integers(1, 2))
def test_whatever_is_asked_nothing_is_lost(chains: list[list[Any]], pictures: int) -> None:
    models, bill = billing(), Bill()
    requests: Requests = [
        (make_algorithm(models, DETECT, *chain, id=f"a{n}"), {}) for n, chain in enumerate(chains)
    ]
    infer_many(requests, [Frame(picture(8, 8), "t/k", n, bill=bill) for n in range(pictures)], models)
    split = bill.split([f"a{n}" for n in range(len(chains))])
    assert sum(split) == pytest.approx(bill.total)
    assert bill.spent["coco"] == pictures * RUN_S
    for share in split:
        assert share >= pictures * RUN_S / len(chains) - 1e-6
