"""`aihub infer` on texts and series: files read, and made into what stages take."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.reading import Item, read
from aihub.errors import InputError, TooLargeError
from aihub.serve.audio.names import ready
from aihub.serve.items import open_series, open_texts
from aihub.settings import Settings
from aihub.types import AnyResult, InputKind, Predictor

STDIN = "-"
_BYTES_A_ITEM = 64
"""Bytes that a value with its time, or a character, may take in a file; more is refused before it is read."""


def reads(algorithm: Algorithm) -> bool:
    """Whether it takes texts or series."""
    return InputKind.TEXT in algorithm.card.input or InputKind.SERIES in algorithm.card.input


def read_files(
    algorithm: Algorithm, files: Sequence[Path], params: dict[str, Any], predictor: Predictor, here: Settings
) -> list[AnyResult]:
    """Run an algorithm on files in the order in which they are named; all are one request.

    Raises:
        InputError: a file is not there or cannot be read; names it, and the line.
        AihubError: what the algorithm raised.
    """
    ready(algorithm)
    if InputKind.TEXT in algorithm.card.input:
        texts = [_content(file, here.max_text_chars) for file in files]
        return read(
            algorithm, _opened_texts(texts, files, here), params, predictor, timeout_s=here.infer_timeout_s
        )
    items: list[Item] = []
    for file in files:
        given = series_of(_content(file, here.max_series_points), str(file))
        try:
            (one,) = open_series([given], here)
        except InputError as error:
            place = (error.field or "").removeprefix("series[0].")
            raise type(error)(f"{file}: {place}: {error.message}", field="files") from error
        one.seq = len(items)
        items.append(one)
    return read(algorithm, items, params, predictor, timeout_s=here.infer_timeout_s)


def _opened_texts(texts: Sequence[str], files: Sequence[Path], here: Settings) -> list[Item]:
    for text, file in zip(texts, files, strict=True):
        if len(text) > here.max_text_chars:
            raise TooLargeError(
                f"{file}: a text may have {here.max_text_chars:,} characters at most, but has {len(text):,}",
                field="files",
            )
    return open_texts(texts, here)


def _content(file: Path, most: int) -> str:
    if str(file) == STDIN:
        data = sys.stdin.buffer.read(most * _BYTES_A_ITEM + 1)
    elif not file.is_file():
        raise InputError(f"no such file: {file}", field="files")
    else:
        with file.open("rb") as opened:
            data = opened.read(most * _BYTES_A_ITEM + 1)
    if len(data) > most * _BYTES_A_ITEM:
        raise TooLargeError(f"{file}: too large", field="files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8", field="files") from error


def series_of(text: str, name: str) -> dict[str, Any]:
    """A series of comma separated values: a value a line, or a time (ISO 8601, or seconds) and a value; a heading may come first.

    An empty value is one that was not measured.

    Args:
        text: the file.
        name: of the file, for messages.

    Returns:
        As the API takes a series: `values`, and `at` where there are times.

    Raises:
        InputError: a line is of another form; says which.

    >>> series_of("time,visitors\\n2026-01-01,5\\n2026-01-02,\\n", "a.csv")
    {'values': [5.0, None], 'at': ['2026-01-01', '2026-01-02']}
    """
    rows = [(number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), 1) if any(row)]
    if rows and _number(rows[0][1][-1]) is None and rows[0][1][-1].strip():
        rows = rows[1:]  # a heading
    columns = len(rows[0][1]) if rows else 1
    values: list[float | None] = []
    at: list[float | str] = []
    for line, row in rows:
        if len(row) != columns or columns > 2:
            raise InputError(
                f"{name}: line {line}: a value, or a time and a value, the same on every line", field="files"
            )
        value = _number(row[-1])
        if value is None and row[-1].strip():
            raise InputError(f"{name}: line {line}: {row[-1].strip()[:40]!r} is no number", field="files")
        values.append(value)
        if columns == 2:
            moment = _number(row[0])
            at.append(row[0].strip() if moment is None else moment)
    return {"values": values, "at": at} if at else {"values": values}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
