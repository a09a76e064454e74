"""Addresses and named places in Chinese and English text, by the words that they end with."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What a name does not begin or go on with: words around an address, not in it.
_NAME = "[\u4e00-\u9fff](?<![我你您他她它们了是到从跟来把被向于有没这那请就都也还不很在住距离靠的和与及])"


def _name(least: int, most: int) -> str:
    return f"(?:{_NAME}){{{least},{most}}}?"


_COUNT = "(?:[0-9A-Za-z]{1,5}|[一二三四五六七八九十百]{1,4})"
_ADMIN = f"(?:{_name(2, 8)}(?:自治区|自治州|特别行政区|省|市|区|县|镇|乡|街道|村))"
_ROAD = f"(?:{_name(1, 6)}(?:大街|大道|公路|胡同|路|街|巷|弄))"
_SITE = f"(?:{_name(2, 8)}(?:小区|花园|家园|新村|公寓|大厦|广场|公园|小学|中学|大学|学校|幼儿园|医院|商场|超市|菜市场|市场|车站|地铁站|火车站|机场|社区|大桥|隧道|体育馆|图书馆))"
_HOUSE = f"(?:{_COUNT}(?:号楼|号院|号|栋|幢|座|单元|室|层|楼|区|组)(?!线|口))"
_CHINESE = re.compile(
    f"(?P<admin>{_ADMIN}{{0,4}})(?:(?P<road>{_ROAD})(?:(?:与|和)(?P<cross>{_ROAD})(?:交叉口|路口|交汇处))?)?"
    f"(?P<first>{_HOUSE}{{0,3}})(?P<site>{_SITE})?(?P<house>{_HOUSE}{{0,5}})"
)

_WORD = r"(?:[A-Z][\w'’-]*|St\.)"
_KIND = r"(?:Street|St\.?|Road|Rd\.?|Avenue|Ave\.?|Lane|Ln\.?|Drive|Dr\.?|Boulevard|Blvd\.?|Square|Way|Court|Terrace|Crescent|Highway|Bridge|Park|Station|School|Hospital|Market|Airport|Library)"
_ENGLISH = re.compile(
    rf"(?P<unit>(?:Flat|Apartment|Apt\.?|Unit|Room|Building|Block)\s[0-9A-Za-z]{{1,5}},?\s)?(?P<no>\b\d{{1,5}}[A-Za-z]?\s)?"
    rf"(?:\b{_WORD}\s){{1,4}}{_KIND}(?![A-Za-z])"
    rf"(?:\s(?:and|&)\s(?:{_WORD}\s){{1,3}}{_KIND}(?![A-Za-z]))?"
)
_STARTS = re.compile(r"^(?:The|In|At|On|Near|From|And|My|Our|I|It|No|Please|There|Someone|Water|Cars?)\s")


def places(text: str) -> Iterator[tuple[tuple[int, int], str, float]]:
    """Span, value and confidence of every place, in reading order within a language."""
    at = 0
    while at < len(text):
        match = _CHINESE.match(text, at) if "\u4e00" <= text[at] <= "\u9fff" else None
        row = None if match is None else _chinese(match)
        if row is None:
            at += 1
            continue
        yield row
        at = row[0][1]
    for match in _ENGLISH.finditer(text):
        start, end = match.span()
        while opening := _STARTS.match(text[start:end]):
            start += opening.end()
        value = text[start:end]
        if len(value.split()) > 1:
            yield (start, end), value.rstrip("."), 0.9 if match["no"] or match["unit"] else 0.7


def _chinese(match: re.Match[str]) -> tuple[tuple[int, int], str, float] | None:
    parts = match.groupdict(default="")
    kinds = sum(bool(parts[name]) for name in ("admin", "road", "site"))
    numbered = bool(parts["first"] or parts["house"])
    if not (parts["road"] or parts["site"] or (parts["admin"] and numbered)):
        return None
    start, end = match.span()
    return (start, end), match[0], min(0.95, 0.5 + 0.15 * kinds + 0.15 * numbered)
