"""The border of a predicate: found wherever it lies, in few tries."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.bench.streams.border import find_border
from aihub.errors import InputError


@st.composite
def searches(draw: st.DrawFn) -> tuple[int, int, int]:
    """Where it turns, the largest number, the first guess."""
    most = draw(st.integers(1, 3000))
    return draw(st.integers(0, most)), most, draw(st.integers(1, most))


@given(searches())
def test_the_border_is_found_wherever_it_lies(search: tuple[int, int, int]) -> None:
    border, most, start = search
    tries: list[int] = []

    def holds(number: int) -> bool:
        tries.append(number)
        return number <= border

    found = find_border(holds, start=start, most=most)
    assert found.held == border
    assert found.broke == (None if border == most else border + 1)
    assert len(tries) == len(set(tries)), "no number is tried twice"
    assert all(1 <= number <= most for number in tries)
    assert len(tries) <= 2 * math.log2(max(2, most)) + 2
    assert list(found.probes) == tries


@given(searches(), st.floats(0.01, 0.5))
def test_with_a_tolerance_it_is_near_and_was_seen_to_hold(
    search: tuple[int, int, int], tolerance: float
) -> None:
    border, most, start = search
    found = find_border(lambda number: number <= border, start=start, most=most, tolerance=tolerance)
    assert found.held <= border
    assert border - found.held <= max(1, tolerance * found.held + 0.5)
    assert found.held == 0 or found.probes[found.held]


def test_a_good_guess_takes_few_tries() -> None:
    found = find_border(lambda number: number <= 41, start=40, most=1024, tolerance=0.05)
    assert found.held in (40, 41)
    assert len(found.probes) <= 4


@pytest.mark.parametrize(
    ("start", "most", "tolerance", "why"),
    [
        (0, 10, 0.0, "nothing to try"),
        (11, 10, 0.0, "a guess beyond the end"),
        (1, 0, 0.0, "no numbers"),
        (1, 10, 1.5, "a share above 1"),
    ],
)
def test_what_cannot_be_searched_is_refused(start: int, most: int, tolerance: float, why: str) -> None:
    with pytest.raises(InputError):
        find_border(lambda _: True, start=start, most=most, tolerance=tolerance)
