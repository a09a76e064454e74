"""Every decoder of bytes from outside reads or refuses: sound inputs, what once broke it, and some hundred damaged ones.

`python -m tests.fuzz TARGET` looks further, guided by coverage.
"""

from __future__ import annotations

import time

import pytest

from tests.fuzz.mutation import mutations
from tests.fuzz.targets import FINDINGS, NAMES, Target, load

COUNT = 300
SECONDS = 1.0
"""Longest that one small input may take."""


@pytest.fixture(params=NAMES)
def target(request: pytest.FixtureRequest) -> Target:
    return load(request.param)


def test_sound_inputs_are_read(target: Target) -> None:
    """Else the law would hold for a decoder that refuses everything."""
    for data in target.sound:
        assert target.check(data), data[:200]
        assert len(data) <= target.longest


def test_what_once_broke_it_does_so_no_more(target: Target) -> None:
    for data in target.findings():
        target.check(data)


def test_damaged_inputs_are_read_or_refused_in_no_time(target: Target) -> None:
    read = 0
    for data in mutations(target.sound, target.words, target.longest, COUNT):
        started = time.monotonic()
        read += target.check(data)
        assert time.monotonic() - started < SECONDS, data[:200]
    assert read < COUNT, "damage that is never noticed is no test"


def test_damage_is_the_same_every_time() -> None:
    made = [list(mutations([b"abc", b"xyz"], [b"word"], 5, 50)) for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 25
    assert max(map(len, made[0])) <= 5


def test_findings_are_small_and_belong_to_a_target() -> None:
    found = [path for path in FINDINGS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in found} <= {*NAMES}
    assert sum(path.stat().st_size for path in found) < 200_000
