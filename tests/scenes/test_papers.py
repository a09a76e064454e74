"""Drawn documents: numbers whose checks hold, marked as specimens, the same every time."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from aihub.algorithms.fields import bank_card, cn_id, credit_code, iso6346, vin
from aihub.algorithms.fields.money import from_capitals
from aihub.scenes import load_scenes, markings, papers
from aihub.scenes.drawings import drawing
from aihub.scenes.lettering import seen, sheet

load_scenes()
NAMES = (
    "identity-card", "identity-card-back", "business-licence", "invoice", "bank-card", "passport", "travel-card", "table",
    "visitor-form", "licence-on-its-side", "container", "vehicle-plate", "water-meter", "banner", "shop", "clock-behind",
    "gauge-rising",
)  # fmt: skip


def test_the_numbers_of_specimens_are_right() -> None:
    assert cn_id.holds(papers.IDENTITY["number"])
    assert credit_code.holds(papers.LICENCE["code"])
    assert credit_code.holds(papers.INVOICE["buyer-code"])
    assert bank_card.holds(papers.CARD["number"])
    assert iso6346.holds(markings.CONTAINER)
    assert vin.holds(markings.VIN)
    total = Decimal(papers.INVOICE["total"])
    assert Decimal(papers.INVOICE["amount"]) + Decimal(papers.INVOICE["tax"]) == total
    assert from_capitals(papers.INVOICE["capitals"]) == total


@pytest.mark.parametrize("name", NAMES)
def test_every_drawing_is_the_same_each_time(name: str) -> None:
    one, other = (next(drawing(name).frames(5, 1)) for _ in range(2))
    assert one.dtype == np.uint8
    assert one.shape[2] == 3
    assert max(one.shape) <= 960
    assert np.array_equal(one, other)


def test_a_paper_is_seen_whole_whatever_the_tilt() -> None:
    paper = sheet(320, 200, (255, 255, 255))
    for seed in range(5):
        picture = seen(paper, seed, tilt=0.05, noise=0.0, blur=0.0)
        assert picture.shape == paper.shape
        assert (picture.min(axis=2) > 180).mean() > 0.7
