"""Machine-readable zones of travel documents (ICAO Doc 9303): TD3 passports, TD1 and TD2 cards."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from aihub.algorithms.fields.lookalikes import letters, repair

FILLER = "<"
_SIGNS = re.compile(r"[A-Z0-9<]+")
_FILLERS = str.maketrans(
    {
        "«": "<<",
        "»": "<<",
        "《": "<<",
        "＜": "<",
        "〈": "<",
        "く": "<",
        "≤": "<",
        "‹": "<",
        "€": "<",
        "k": "<",
    }
)
MOST_STRAY = 0.25
"""Share of its characters that a line may have too many or too few, on average: fillers are hard to count."""
LATEST_BIRTH = 30
"""Births in 31 to 99 were in the last century; expiries are in this one."""
_SHAPES = {"TD3": (2, 44), "TD2": (2, 36), "TD1": (3, 30)}


@dataclass(frozen=True, slots=True)
class Part:
    """One element of the zone.

    Attributes:
        name: such as `document-number`.
        value: without fillers.
        valid: whether its own check digit holds; None where it has none.
        line: index of its line.
    """

    name: str
    value: str
    valid: bool | None
    line: int


def check_digit(text: str) -> str:
    """The check digit of an element: weights 7, 3, 1, fillers count 0.

    >>> check_digit("L898902C3"), check_digit("740812"), check_digit("<<<<")
    ('6', '2', '0')
    """
    return str(sum(weight * _value(sign) for weight, sign in zip(cycle((7, 3, 1)), text, strict=False)) % 10)


def _value(sign: str) -> int:
    return 0 if sign == FILLER else int(sign, 36)


def plain(text: str) -> str:
    """A line as read, made of the zone's signs: without spaces, fillers put right; other signs are left out.

    >>> plain("P<UTO ERIKSSON《ANNA")
    'P<UTOERIKSSON<<ANNA'
    """
    upright = unicodedata.normalize("NFKC", text.translate(_FILLERS)).upper()
    return "".join(_SIGNS.findall(upright))


def fitted(line: str, length: int) -> str:
    """A line of the given length: what is too long or short is mended in its longest run of fillers.

    >>> fitted("AB<<<12", 9), fitted("AB<<<12", 6), fitted("AB", 4)
    ('AB<<<<<12', 'AB<<12', 'AB<<')
    """
    runs = list(re.finditer(r"<+", line))
    if not runs or len(line) == length:
        return line.ljust(length, FILLER)[:length]
    longest = max(runs, key=lambda run: run.end() - run.start())
    width = max(1, longest.end() - longest.start() + length - len(line))
    return (line[: longest.start()] + FILLER * width + line[longest.end() :])[:length].ljust(length, FILLER)


def shape_of(lines: Sequence[str]) -> tuple[str, int] | None:
    """Which zone is among some lines, top to bottom, and where it begins; None for none. Lines as `plain` gives them.

    The one whose lengths fit best; of equals the lower.
    """
    best: tuple[float, str, int] | None = None
    for name, (count, length) in _SHAPES.items():
        for begin in range(len(lines) - count, -1, -1):
            zone = lines[begin : begin + count]
            stray = sum(abs(len(line) - length) for line in zone) / count
            likely = zone[0][:1] in ("P" if name == "TD3" else "ACIP") and FILLER in "".join(zone)
            if likely and stray <= MOST_STRAY * length and (best is None or stray < best[0]):
                best = (stray, name, begin)
    return None if best is None else best[1:]


def parse(kind: str, zone: Sequence[str]) -> list[Part]:
    """The elements of a zone.

    Args:
        kind: `TD1`, `TD2` or `TD3`.
        zone: its lines as `plain` gives them.
    """
    count, length = _SHAPES[kind]
    lines = [fitted(line, length) for line in zone[:count]]
    return _card(lines) if kind == "TD1" else _page(lines, kind)


def _page(lines: list[str], kind: str) -> list[Part]:
    first, second = lines
    second, right = repair(second, _PAGE_FORM[kind], lambda line: _composite_holds(line, kind))
    parts = [
        Part("document-type", first[:2].strip(FILLER), None, 0),
        _worded("issuer", first[2:5], 0),
        *_names(first[5:], 0),
        _checked("document-number", second[:9], second[9], 1),
        _worded("nationality", second[10:13], 1),
        _checked("birth-date", second[13:19], second[19], 1),
        Part("sex", second[20].replace(FILLER, "X"), None, 1),
        _checked("expiry-date", second[21:27], second[27], 1),
    ]
    if kind == "TD3" and second[28:42].strip(FILLER):
        checked = second[42] if second[42] != FILLER else "0"
        parts.append(_checked("personal-number", second[28:42], checked, 1))
    parts.append(Part("composite-check", second[-1], right, 1))
    return _readable(parts)


_PAGE_FORM = {
    "TD3": "*" * 9 + "9" + "AAA" + "9" * 7 + "*" + "9" * 7 + "*" * 14 + "*" + "9",
    "TD2": "*" * 9 + "9" + "AAA" + "9" * 7 + "*" + "9" * 7 + "*" * 7 + "9",
}


def _composite_holds(line: str, kind: str) -> bool:
    end = 43 if kind == "TD3" else 35
    return check_digit(line[:10] + line[13:20] + line[21:end]) == line[end]


def _card(lines: list[str]) -> list[Part]:
    first, second, third = lines
    second, _ = repair(
        second, "9" * 7 + "*" + "9" * 7 + "AAA" + "*" * 11 + "9", lambda line: _card_holds(first, line)
    )
    parts = [
        Part("document-type", first[:2].strip(FILLER), None, 0),
        _worded("issuer", first[2:5], 0),
        _checked("document-number", first[5:14], first[14], 0),
        _checked("birth-date", second[:6], second[6], 1),
        Part("sex", second[7].replace(FILLER, "X"), None, 1),
        _checked("expiry-date", second[8:14], second[14], 1),
        _worded("nationality", second[15:18], 1),
        *_names(third, 2),
        Part("composite-check", second[29], _card_holds(first, second), 1),
    ]
    return _readable(parts)


def _card_holds(first: str, second: str) -> bool:
    return check_digit(first[5:] + second[:7] + second[8:15] + second[18:29]) == second[29]


def _checked(name: str, text: str, check: str, line: int) -> Part:
    return Part(name, text.strip(FILLER), check_digit(text) == check, line)


def _worded(name: str, text: str, line: int) -> Part:
    """An element that has letters only."""
    return Part(name, letters(text).strip(FILLER), None, line)


def _names(text: str, line: int) -> list[Part]:
    surname, _, given = letters(text).strip(FILLER).partition(FILLER * 2)
    words = [("surname", surname), ("given-names", given)]
    return [Part(name, " ".join(value.split(FILLER)).strip(), None, line) for name, value in words if value]


def _readable(parts: list[Part]) -> list[Part]:
    """Dates as ISO 8601 has them, where they are dates."""
    return [_as_date(part) if part.name.endswith("-date") else part for part in parts]


def _as_date(part: Part) -> Part:
    try:
        short, month, day = int(part.value[:2]), int(part.value[2:4]), int(part.value[4:])
        century = 1900 if part.name == "birth-date" and short > LATEST_BIRTH else 2000
        read = dt.date(century + short, month, day)
    except ValueError:
        return Part(part.name, part.value, False, part.line)
    return Part(part.name, read.isoformat(), part.valid, part.line)
