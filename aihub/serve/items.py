"""Texts and series of a request: bounded, and made into what stages take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from aihub.algorithms.reading import Item
from aihub.errors import InputError, TooLargeError
from aihub.settings import Settings
from aihub.types import Bill, Passage, Series

_NAMES = {"values", "at", "start", "step_s"}
_LONGEST_STEP_S = 366 * 86400.0
_LATEST = 253_402_300_800.0
"""Seconds since the epoch at the end of the year 9999."""


def listed_texts(given: object) -> list[str]:
    """The texts of a JSON body.

    Raises:
        InputError: not a list of texts; names the item.
    """
    if not isinstance(given, list):
        raise InputError("texts must be a list of texts", field="texts")
    for index, text in enumerate(given):
        if not isinstance(text, str):
            raise InputError("a text must be text", field=f"texts[{index}]")
        try:
            text.encode()
        except UnicodeEncodeError as error:  # as JSON can escape it
            raise InputError("a text holds half of a character", field=f"texts[{index}]") from error
    return given


def listed_series(given: object) -> list[dict[str, Any]]:
    """The series of a JSON body, not looked into yet.

    Raises:
        InputError: not a list of objects; names the item.
    """
    if not isinstance(given, list):
        raise InputError('series must be a list of {"values": [...], ...}', field="series")
    for index, one in enumerate(given):
        if not isinstance(one, dict):
            raise InputError('a series must be {"values": [...], ...}', field=f"series[{index}]")
    return given


def open_texts(texts: Sequence[str], settings: Settings, bill: Bill | None = None) -> list[Item]:
    """Texts as stages take them.

    Raises:
        TooLargeError: too many, or one is too long; names it.
    """
    _bound(len(texts), settings.max_texts, "texts")
    for index, text in enumerate(texts):
        if len(text) > settings.max_text_chars:
            raise TooLargeError(
                f"a text may have {settings.max_text_chars:,} characters at most, but has {len(text):,}",
                field=f"texts[{index}]",
            )
    return [Passage(text, seq, bill=bill) for seq, text in enumerate(texts)]


def open_series(
    given: Sequence[Mapping[str, Any]], settings: Settings, bill: Bill | None = None
) -> list[Item]:
    """Series as stages take them: `{"values": [1, null, 3], "start": "2026-01-01T00:00:00Z", "step_s": 3600}`, or `at` with
    one time a value in place of `start` and `step_s`. Times are ISO 8601, UTC where no zone is said, or seconds since the epoch.

    Raises:
        InputError: one is of another form; names the field.
        TooLargeError: too many, or one is too long.
    """
    _bound(len(given), settings.max_texts, "series")
    items: list[Item] = []
    for seq, one in enumerate(given):
        where = f"series[{seq}]"
        if unknown := sorted(one.keys() - _NAMES):
            name = unknown[0][:64]
            raise InputError(
                f"unknown field {name!r}",
                field=f"{where}.{name}",
                hint=f"fields are {', '.join(sorted(_NAMES))}",
            )
        values = _numbers(one.get("values"), f"{where}.values", settings.max_series_points)
        items.append(Series(_times(one, len(values), where), values, seq, bill=bill))
    return items


def _bound(count: int, most: int, name: str) -> None:
    if count > most:
        raise TooLargeError(f"{count} {name}, at most {most} are allowed", field=name)


def _numbers(given: object, where: str, most: int) -> Any:
    if not isinstance(given, list):
        raise InputError("values must be a list of numbers, null where nothing was measured", field=where)
    if len(given) > most:
        raise TooLargeError(f"{len(given):,} values, at most {most:,} are allowed", field=where)
    for index, value in enumerate(given):
        plain = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        if not plain or (value is not None and not abs(value) < 1e300):
            raise InputError("a value must be a number below 1e300, or null", field=f"{where}[{index}]")
    return np.array([math.nan if value is None else float(value) for value in given], np.float64)


def _times(one: Mapping[str, Any], count: int, where: str) -> Any:
    if "at" in one:
        if "start" in one or "step_s" in one:
            raise InputError("`at` stands in place of `start` and `step_s`", field=f"{where}.at")
        listed = one["at"]
        if not isinstance(listed, list) or len(listed) != count:
            raise InputError(f"at must be a list of {count} times, one a value", field=f"{where}.at")
        at = np.array([_moment(value, f"{where}.at[{n}]") for n, value in enumerate(listed)], np.float64)
        if (np.diff(at) <= 0).any():
            first = int(np.argmax(np.diff(at) <= 0)) + 1
            raise InputError("times must rise", field=f"{where}.at[{first}]")
        return at
    step = one.get("step_s", 1.0)
    if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step <= _LONGEST_STEP_S:
        raise InputError(
            f"step_s must be a number above 0 and at most {_LONGEST_STEP_S:g}", field=f"{where}.step_s"
        )
    at = _moment(one.get("start", 0.0), f"{where}.start") + float(step) * np.arange(count, dtype=np.float64)
    if (np.diff(at) <= 0).any():
        raise InputError("step_s is too small to tell times apart", field=f"{where}.step_s")
    return at


def _moment(value: object, where: str) -> float:
    if isinstance(value, str) and len(value) <= 64:
        try:
            moment = datetime.fromisoformat(value)
            # Without a zone it would be the zone of whichever machine answers.
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError) as error:
            raise InputError("a time is ISO 8601 or seconds since the epoch", field=where) from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LATEST:
        raise InputError("a time is ISO 8601 or seconds since the epoch", field=where)
    return float(value)
