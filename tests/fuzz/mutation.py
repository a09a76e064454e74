"""Small deterministic damage: enough to hold every decoder to its law in each run of the tests, without a fuzzer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_EDGES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\0\0",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff" * 4,
    b"\x7f" + b"\xff" * 7,
)
_MOST_STEPS = 4


def mutations(
    sound: Sequence[bytes], words: Sequence[bytes], longest: int, count: int, seed: int = 1
) -> Iterator[bytes]:
    """`count` inputs, each one of `sound` damaged in one to four places; the same ones every time.

    Args:
        sound: inputs to begin with, at least one.
        words: what is worth to be put in.
        longest: bytes of each, at most.
        count: how many.
        seed: chooses among all there could be.
    """
    rng = random.Random(seed)
    for _ in range(count):
        data = rng.choice(sound)
        for _ in range(rng.randint(1, _MOST_STEPS)):
            data = _damaged(rng, data, sound, words)
        yield data[:longest]


def _damaged(rng: random.Random, data: bytes, sound: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    end = min(len(data), at + rng.choice((1, 1, 2, 4, 16, 64)))
    match rng.randrange(7):
        case 0:  # one bit
            return (
                data[:at] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]
            )
        case 1:  # some bytes more
            return data[:at] + rng.randbytes(rng.randint(1, 8)) + data[at:]
        case 2:  # some bytes less
            return data[:at] + data[end:]
        case 3:  # the same again
            return data[:end] + data[at:end] * rng.randint(1, 8) + data[end:]
        case 4:  # the end of another
            other = rng.choice(sound)
            return data[:at] + other[rng.randint(0, len(other)) :]
        case 5:  # a number at the edge of its type
            edge = rng.choice(_EDGES)
            return data[:at] + edge + data[at + len(edge) :]
        case _:
            word = rng.choice(words)
            return data[:at] + word + data[at + rng.choice((0, len(word))) :]
