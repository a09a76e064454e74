"""Bills are split so that nothing is lost and each pays what it owes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.types import Bill

SECONDS = st.floats(0, 100)


@given(
    spent=st.lists(st.tuples(st.sampled_from(["coco", "track"]), SECONDS), max_size=6),
    among=st.lists(st.sampled_from("abc"), min_size=1, max_size=5),
    parts=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), max_size=4),
)
def test_the_parts_add_up_to_the_whole(
    spent: list[tuple[str, float]], among: list[str], parts: list[tuple[str, float]]
) -> None:
    bill = Bill()
    for what, seconds in spent:
        bill.add(what, seconds)
    owed = [(who, part * bill.total / max(1, len(parts))) for who, part in parts if who in among]
    for who, seconds in owed:
        bill.owe(who, seconds)
    split = bill.split(among)
    assert sum(split) == pytest.approx(bill.total)
    assert len(split) == len(among)
    for who in set(among):
        paid = sum(share for name, share in zip(among, split, strict=True) if name == who)
        assert paid >= sum(seconds for name, seconds in owed if name == who) - 1e-6


@pytest.mark.parametrize(
    ("owed", "among", "split"),
    [
        ({}, "ab", [2.0, 2.0]),  # nobody knows for whom: for both alike
        ({"a": 3.0, "b": 1.0}, "ab", [3.0, 1.0]),
        ({"a": 3.0}, "ab", [3.5, 0.5]),  # what is not owed is shared
        ({"a": 4.0}, "aab", [2.0, 2.0, 0.0]),
        ({}, "", []),
    ],
)
def test_each_pays_what_it_owes(owed: dict[str, float], among: str, split: list[float]) -> None:
    bill = Bill()
    bill.add("coco", 4.0)
    for who, seconds in owed.items():
        bill.owe(who, seconds)
    assert bill.split(list(among)) == split
