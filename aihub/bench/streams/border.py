"""The largest number of something that still holds: gallop from a guess, then halve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aihub.errors import InputError


@dataclass(frozen=True, slots=True)
class Border:
    """Where a predicate turns.

    Attributes:
        held: the largest number that was seen to hold; 0 if none was.
        broke: the smallest that was seen not to; none where even the largest allowed holds.
        probes: every number that was tried, in order, and whether it held.
    """

    held: int
    broke: int | None
    probes: dict[int, bool] = field(default_factory=dict)


def find_border(
    holds: Callable[[int], bool], *, start: int = 1, most: int = 1024, tolerance: float = 0.0
) -> Border:
    """Find where a predicate turns that holds up to some number and not beyond.

    No number is tried twice. With `tolerance` 0 the border is exact, after at most 2 log2(most) + 2 tries; a good guess
    takes a few.

    Args:
        holds: tries a number, 1 <= number <= most.
        start: the first guess.
        most: the largest number to try.
        tolerance: share of the border up to which it may be off, 0..1.

    Raises:
        InputError: a number is out of its range.
    """
    if not 1 <= start <= most or not 0 <= tolerance <= 1:
        raise InputError(f"no border between 1 and {most} from {start}, off by {tolerance} at most")
    probes: dict[int, bool] = {}

    def tried(number: int) -> bool:
        probes[number] = holds(number)
        return probes[number]

    held, broke = 0, most + 1
    guess, reach = start, 1
    # Away from the guess in steps that double, until it has been seen both to hold and to break.
    while held < most and broke > 1 and (held == 0 or broke > most):
        if tried(guess):
            held = guess
            guess = min(most, held + max(reach, held // 4))
        else:
            broke = guess
            guess = max(1, broke - max(reach, broke // 4))
        reach *= 2
    while broke - held > max(1, round(tolerance * held)):
        middle = (held + broke) // 2
        if tried(middle):
            held = middle
        else:
            broke = middle
    return Border(held, broke if broke <= most else None, probes)
