"""Two models side by side: what is clear, and what may be noise."""

from __future__ import annotations

import numpy as np
import pytest

from aihub.errors import InputError
from aihub.evaluation import Report, Rule, compare, tables
from tests.evaluation.drawn import report_of, truth_of

A = (10.0, 10.0, 110.0, 110.0)
FAR = (350.0, 350.0, 390.0, 390.0)


def model(share: float, *, pictures: int = 100, seed: int = 1) -> Report:
    """Finds this share of the things, one in each picture, and nothing else."""
    hits = np.random.default_rng(seed).random(pictures) < share
    truth = truth_of([[("fire", A)]] * pictures)
    return report_of(truth, [[("fire", 0.9, A)] if hit else [] for hit in hits], rule=Rule(confidence=0.5))


def test_a_model_is_no_better_than_itself() -> None:
    row = compare(model(0.6), model(0.6)).to_json()["differences"]["fire"]
    for name in ("f1", "picture_recall"):
        assert (row[name]["difference"], row[name]["interval"], row[name]["clear"]) == (
            0.0,
            [0.0, 0.0],
            False,
        )


def test_a_large_difference_is_clear_and_a_small_one_may_be_noise() -> None:
    clear = compare(model(0.3), model(0.9, seed=2)).figures["fire"]["picture_recall"]
    assert clear.clear
    assert clear.low is not None
    assert clear.low > 0.3
    assert not compare(model(0.6), model(0.62, seed=2)).figures["fire"]["picture_recall"].clear


def test_the_other_way_round_it_is_the_other_way_round() -> None:
    there, back = (
        compare(*pair).figures["all"]["f1"] for pair in ((model(0.3), model(0.9)), (model(0.9), model(0.3)))
    )
    assert there.difference == pytest.approx(-(back.difference or 0))
    assert there.low == pytest.approx(-(back.high or 0))


def test_the_same_draws_every_time() -> None:
    assert compare(model(0.3), model(0.5)).to_json() == compare(model(0.3), model(0.5)).to_json()


def test_the_interval_is_as_wide_as_theory_says() -> None:
    # Independent shares of 0.5 of 100 pictures differ with a deviation of sqrt(2 * 0.25 / 100) = 0.071: 95 % in about 0.28.
    found = compare(model(0.5, seed=3), model(0.5, seed=4), resamples=2000).figures["fire"]["picture_recall"]
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(0.28, abs=0.05)


def test_where_nothing_is_to_be_found_there_is_no_interval() -> None:
    bare = report_of(truth_of([[], []]), [[], []], rule=Rule(confidence=0.5))
    row = compare(bare, bare).to_json()["differences"]["fire"]
    assert row["picture_recall"] == {
        "first": None, "second": None, "difference": None, "interval": None, "clear": None,
    }  # fmt: skip


def test_other_pictures_or_labels_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="different pictures"):
        compare(model(0.5), model(0.5, pictures=50))
    truth = truth_of([[("fire", A)]], ("fire", "smoke"))
    with pytest.raises(InputError, match="was measured on fire, smoke; scripted on fire"):
        compare(report_of(truth, [[]]), report_of(truth, [[]], labels=["fire"]))


def test_side_by_side_in_words() -> None:
    _, rows = tables.side_by_side(compare(model(0.3), model(0.9, seed=2)))
    assert [row[0] for row in rows if row[0]] == ["all", "fire"]
    f1 = next(row for row in rows if row[1] == "F1")
    assert f1[-1] == "clear"
    assert f1[4].startswith("+0.")
    assert {"ms a picture", "MB"} <= {row[1] for row in rows}
