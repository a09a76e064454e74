"""Sounds and series of numbers that the project draws itself: `drawn:NAME` in cards of algorithms that listen or study.

They have a known truth, and are marked `synthetic` wherever they are used.
"""

from __future__ import annotations

from collections.abc import Callable

from aihub.scenes.drawings import DrawingNotFoundError
from aihub.types import Samples, Series

MakeSound = Callable[[], Samples]
MakeSeries = Callable[[], Series]

_sounds: dict[str, MakeSound] = {}
_series: dict[str, MakeSeries] = {}


def sound(name: str) -> Callable[[MakeSound], MakeSound]:
    """Register a function that makes sound, `(n,)` float32 in [-1, 1] at 16 kHz; third parties may add theirs."""

    def add(make: MakeSound) -> MakeSound:
        _sounds[name] = make
        return make

    return add


def series(name: str) -> Callable[[MakeSeries], MakeSeries]:
    """Register a function that makes a series; third parties may add theirs."""

    def add(make: MakeSeries) -> MakeSeries:
        _series[name] = make
        return make

    return add


def drawn_sound(name: str) -> Samples:
    """The sound of that name.

    Raises:
        DrawingNotFoundError: none has it; suggests the nearest.
    """
    if name not in _sounds:
        raise DrawingNotFoundError(name, _sounds)
    return _sounds[name]()


def drawn_series(name: str) -> Series:
    """The series of that name.

    Raises:
        DrawingNotFoundError: none has it; suggests the nearest.
    """
    if name not in _series:
        raise DrawingNotFoundError(name, _series)
    return _series[name]()
