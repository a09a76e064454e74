"""How many characters are read wrongly: CER of text recognition on pictures whose text a person typed off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aihub.algorithms.builtin.text import ReadText, ReadTextParams
from aihub.bench.accuracy.assets import read_image, with_texts
from aihub.bench.stand import NotHereError
from aihub.types import Frame, Image, Predictor

REAL = {
    "en.jpg": "3 MovieShots Dataset To facilitate the shot type analysis in videos, we collect MovieShots, a large-scale "
    "shot type annotation set that contains 46K shots from 7858 movies. The details of this dataset are specified as follows.",
    "latin.jpg": "Alphabetum in mundo hodie frequentissime adhibitum est alphabetum Latinum.",
    "text_rec.jpg": "韩国小馆",
    "ch_en_num.jpg": "正品促销大桶装更划算强力去污符合国标-40°C深度防冻不结冰日常价¥10.0起日常价¥10.0起直击底价券后价¥5.8起"
    "惊喜福利不容错过极速发货冰点标准破损就赔假一赔十",
}
"""What stands on the pictures of the test media, as a person typed it off."""
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True, slots=True)
class Page:
    """A picture and the text on it, spaces and line breaks included or not."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Misread:
    """Characters of one picture.

    Attributes:
        name: of the picture.
        wrong: edits between what was read and what stands there.
        total: characters that stand there, without spaces.
    """

    name: str
    wrong: int
    total: int


def pages(folder: Path) -> list[Page]:
    """Pictures of a folder, each with the text file of the same name beside it (UTF-8).

    Raises:
        InputError: there is none.
    """
    found = with_texts(folder, PICTURES, "picture", "text", "page1.jpg wants page1.txt")
    return [Page(path, text) for path, text in found]


def media_pages(media: Path) -> list[Page]:
    """The pictures of the test media whose text is known.

    Raises:
        NotHereError: there is none.
    """
    folder = media / "images" / "ocr"
    found = [Page(folder / name, text) for name, text in REAL.items() if (folder / name).is_file()]
    if not found:
        raise NotHereError("the test media have none of the pictures whose text is known")
    return found


def misread(predictor: Predictor, rows: Sequence[Page]) -> Iterator[Misread]:
    """Read every picture with the stage behind `text-recognition`.

    Spaces do not count, and lines may come in any order: a line that is there exactly is right wherever it stands, what is
    left is compared in the order of reading.

    Raises:
        NotHereError: a picture cannot be read.
    """
    for page in rows:
        truth = "".join(page.text.split())
        yield Misread(page.path.name, missed(read_lines(predictor, read_image(page.path)), truth), len(truth))


def read_lines(predictor: Predictor, image: Image) -> list[str]:
    """Lines of text on a picture, without spaces."""
    read = ReadText(ReadTextParams(), predictor).process(Frame(image), None)
    return ["".join(line.split()) for line in read.text]


def missed(lines: list[str], truth: str) -> int:
    """Edits after every line that is there exactly was taken out; longest first.

    >>> missed(["world", "helo"], "helloworld")
    1
    """
    left: list[str] = []
    for line in sorted(lines, key=len, reverse=True):
        if line and line in truth:
            truth = truth.replace(line, "\n", 1)
        else:
            left.append(line)
    return edits("".join(left), truth.replace("\n", ""))


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Levenshtein distance: characters (or words) put in, left out or changed.

    >>> edits("kitten", "sitting")
    3
    """
    row = np.arange(len(other) + 1)
    for index, sign in enumerate(one, 1):
        change = row[:-1] + np.array([sign != mark for mark in other], int)
        best = np.minimum(change, row[1:] + 1)
        fresh = np.concatenate([[index], best])
        row = np.minimum.accumulate(fresh - np.arange(len(fresh))) + np.arange(len(fresh))
    return int(row[-1])
