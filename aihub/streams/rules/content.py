"""Rule `content`: certain words, or any text or code, can be read in the picture."""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.errors import ConfigError
from aihub.streams.ruling import F64, Inertia, Streak, hull, kind_of, relative
from aihub.types import AnyResult, Codes, Findings, Frame, Observation, Predictor, Texts

KEY_LENGTH = 128
DATA_LENGTH = 512
DATA_ITEMS = 20


class ContentParams(StageParams):
    """What to look for."""

    words: tuple[str, ...] = Field(
        (),
        max_length=1000,
        description="Words to look for, in any case, spaces ignored; none: anything that can be read.",
    )
    inertia: Inertia = Field(3, description="Consecutive analysed frames on which it can be read.")


class Content(Stage[ContentParams]):
    """Observations about what is read.

    Texts give `text/WORD` for every word that is read, or `text` for any text when no words are asked for. Codes give
    `code/CONTENT` each. Long names are cut and end in a digest. `found` is what matched.
    """

    name = "content"
    stateful = True

    def __init__(self, params: ContentParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._words = {word: plain for word in params.words if (plain := _plain(word))}
        self._streaks: dict[str, Streak] = {}

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stage before gave neither texts nor codes.
        """
        shown: Texts | Codes
        if isinstance(found, Texts):
            shown, groups = self._texts(found)
        elif isinstance(found, Codes):
            shown, groups = self._codes(found)
        else:
            raise ConfigError(f"rule {self.name!r} needs texts or codes, but was given {kind_of(found)}")
        observations = []
        for key in [*groups, *(key for key in self._streaks if key not in groups)]:
            streak = self._streaks.setdefault(key, Streak(self.params.inertia))
            if streak.update(frame.monotonic, holds=key in groups):
                observations.append(_observation(frame, shown, key, groups[key]))
            if streak.idle:
                del self._streaks[key]
        return Findings(shown, tuple(observations), {"count": float(len(shown))})

    def _texts(self, found: Texts) -> tuple[Texts, dict[str, list[int]]]:
        if not self._words:
            return found, {"text": list(range(len(found)))} if len(found) else {}
        lines = [_plain(text) for text in found.text]
        rows = [k for k, line in enumerate(lines) if any(plain in line for plain in self._words.values())]
        shown = Texts(found.quads[rows], tuple(found.text[k] for k in rows), found.confidence[rows])
        groups = {
            key_of("text/", word): matching
            for word, plain in self._words.items()
            if (matching := [place for place, k in enumerate(rows) if plain in lines[k]])
        }
        return shown, groups

    def _codes(self, found: Codes) -> tuple[Codes, dict[str, list[int]]]:
        wanted = self._words.values()
        rows = [
            k
            for k, text in enumerate(found.text)
            if not wanted or any(word in _plain(text) for word in wanted)
        ]
        shown = Codes(
            found.quads[rows], tuple(found.text[k] for k in rows), tuple(found.formats[k] for k in rows)
        )
        groups: dict[str, list[int]] = {}
        for place, text in enumerate(shown.text):
            groups.setdefault(key_of("code/", text), []).append(place)
        return shown, groups


def _observation(frame: Frame, shown: Texts | Codes, key: str, rows: list[int]) -> Observation:
    box = hull(relative(frame, _boxes(shown.quads[rows])))
    if isinstance(shown, Codes):
        data = {"text": shown.text[rows[0]][:DATA_LENGTH], "format": shown.formats[rows[0]]}
        return Observation(key, "code", 1.0, box, data)
    lines = [shown.text[row][:DATA_LENGTH] for row in rows[:DATA_ITEMS]]
    return Observation(
        key, key.removeprefix("text/"), float(shown.confidence[rows].max()), box, {"text": lines}
    )


def _boxes(quads: np.typing.NDArray[np.float32]) -> F64:
    return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1).astype(np.float64)


def key_of(prefix: str, text: str) -> str:
    """A name for what was read; a long one is cut and ends in a digest."""
    whole = prefix + text
    if len(whole) <= KEY_LENGTH:
        return whole
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{whole[: KEY_LENGTH - len(digest) - 1]}~{digest}"


def _plain(text: str) -> str:
    """One form for what readers take for the same: full-width letters, case, and the spaces that OCR loses."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
