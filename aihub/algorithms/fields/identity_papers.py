"""What identity papers say: the Chinese resident identity card, both sides, and the machine-readable zone of a passport.

Ethnicity stands on the card and is never given out.
"""

from __future__ import annotations

import re

from aihub.algorithms.fields import cn_id, mrz
from aihub.algorithms.fields.dates import find_dates
from aihub.algorithms.fields.lookalikes import repair
from aihub.algorithms.fields.page import Line, Page, around, tight
from aihub.types import Field

_STOP = r"性别|民族|出生|住址|公民身份|签发机关|有效期"
_NUMBER = re.compile(r"[0-9A-Z|]{18}")


def read_identity_card(page: Page) -> list[Field]:
    """Name, sex, date of birth, address, number; from the back, issuer and validity.

    `birth-date` is valid where it is the one in the number, `id-number` where its check sign holds, `valid-until` where it
    is a date behind `valid-from`.
    """
    number = _number(page)
    fields = [_named(page, name, label) for name, label in (("name", "姓名"), ("issuer", "签发机关"))]
    sex = page.behind("性别", "民族")
    if sex and (seen := re.match("[男女]", sex[0])):
        agrees = (
            None
            if number is None or not number.valid
            else (int(number.value[16]) % 2 == 1) == (seen[0] == "男")
        )
        fields.append(sex[1].field("sex", seen[0], agrees))
    fields += [_birth(page, number), _address(page), number, *_validity(page)]
    return [one for one in fields if one is not None]


def _named(page: Page, name: str, label: str) -> Field | None:
    found = page.behind(label, _STOP)
    return None if found is None else found[1].field(name, found[0])


def _number(page: Page) -> Field | None:
    best: Field | None = None
    for text, rows in page.runs(2):
        for match in _NUMBER.finditer(tight(text.upper())):
            value, right = repair(match[0], "9" * 17 + "*", cn_id.holds)
            lines = [page.lines[row] for row in rows]
            sure = min(line.confidence for line in lines)
            if right:
                return Field("id-number", value, sure, True, around(lines))
            if best is None and sum(sign.isdigit() for sign in value) >= 15:
                best = Field("id-number", value, sure, False, around(lines))
    return best


def _birth(page: Page, number: Field | None) -> Field | None:
    found = page.behind("出生", "住址|公民")
    dates = find_dates(found[0]) if found else []
    if not found or not dates or not dates[0].whole:
        return None
    born = cn_id.birth_date(number.value) if number and number.valid else None
    return found[1].field("birth-date", str(dates[0]), None if born is None else born == dates[0].date)


def _address(page: Page) -> Field | None:
    """From the label on, and the lines under it up to the number."""
    found = page.behind("住址", "公民身份")
    if found is None:
        return None
    lines = [found[1]]
    for line in page.lines[page.lines.index(found[1]) + 1 :]:
        if re.search(_STOP + r"|\d{15}", tight(line.text)):
            break
        if _under(line, lines[-1]):
            lines.append(line)
    text = found[0] + "".join(tight(line.text) for line in lines[1:])
    return Field("address", text, min(line.confidence for line in lines), None, around(lines))


def _under(line: Line, above: Line) -> bool:
    """Whether a line goes on with the one above it: it begins within it, and closely below."""
    left, right = above.quad[0][0], above.quad[1][0]
    height = above.quad[3][1] - above.quad[0][1]
    return left - height <= line.quad[0][0] <= right and 0 < line.quad[0][1] - above.quad[0][1] < 2.5 * height


def _validity(page: Page) -> list[Field]:
    found = page.behind("有效期限?", "")
    dates = find_dates(found[0]) if found else []
    if not found or not dates:
        return []
    line = found[1]
    fields = [line.field("valid-from", str(dates[0]))]
    if len(dates) > 1:
        fields.append(line.field("valid-until", str(dates[1]), dates[1].date > dates[0].date))
    elif "长期" in found[0]:
        fields.append(line.field("valid-until", "长期", True))
    return fields


def read_machine_readable_zone(page: Page) -> list[Field]:
    """Every element of a TD1, TD2 or TD3 zone; those with a check digit say whether it holds."""
    lines = [line for line in page.lines if len(mrz.plain(line.text)) >= 20]
    zone = [mrz.plain(line.text) for line in lines]
    found = mrz.shape_of(zone)
    if found is None:
        return []
    kind, begin = found
    parts = mrz.parse(kind, zone[begin:])
    shape = lines[begin].field("mrz-type", kind)
    return [shape, *(lines[begin + part.line].field(part.name, part.value, part.valid) for part in parts)]
