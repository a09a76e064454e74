"""How well algorithms hear: words wrong (WER), sounds named (top-1 and mAP), keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aihub.algorithms.hearing import hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound.keywords import OTHERS, SpotKeywords, SpotParams
from aihub.bench.accuracy.assets import read_sound, with_texts
from aihub.bench.stand import NotHereError
from aihub.types import Predictor, Samples, Sound, SoundEvents, Transcript

F64 = npt.NDArray[np.float64]

ESC10: Mapping[str, tuple[str, ...]] = {
    "baby_cry": ("Baby cry, infant cry",),
    "chainsaw": ("Chainsaw",),
    "clock_tick": ("Tick-tock", "Tick", "Clock"),
    "dog_bark": ("Bark", "Bow-wow", "Dog", "Yip"),
    "fire_crackling": ("Fire", "Crackle"),
    "helicopter": ("Helicopter",),
    "person_sneeze": ("Sneeze",),
    "rain": ("Rain", "Raindrop", "Rain on surface"),
    "rooster": ("Crowing, cock-a-doodle-doo", "Chicken, rooster"),
    "sea_waves": ("Waves, surf", "Ocean"),
}
"""Classes of ESC-10, and the kinds of sound of AudioSet that mean them; their highest score counts."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_NO_WORD = re.compile(r"[^\w\s']", re.UNICODE)
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True, slots=True)
class Speech:
    """A recording and what is said in it."""

    path: Path
    text: str

    @property
    def han(self) -> bool:
        """Whether it is written in Chinese characters, whose errors are counted one by one (CER), not by words."""
        return bool(_HAN.search(self.text))


@dataclass(frozen=True, slots=True)
class Misheard:
    """Words, or Chinese characters, of many recordings.

    Attributes:
        rate: (changed + left out + put in) / said, >= 0; above 1 where more was put in than was said.
        wrong: changed, left out and put in.
        total: said.
    """

    rate: float
    wrong: int
    total: int


def recordings(folder: Path) -> list[Speech]:
    """Recordings of a folder, each with the text file of the same name beside it (UTF-8).

    Raises:
        InputError: there is none.
    """
    found = with_texts(folder, SOUNDS, "recording", "speech", "one.wav wants one.txt")
    return [Speech(path, text) for path, text in found]


def plain_words(text: str) -> str:
    """Small letters, without punctuation, one space between words.

    >>> plain_words("  The dog's -- HURT! ")
    "the dog's hurt"
    """
    return " ".join(_NO_WORD.sub(" ", text.lower()).split())


def word_errors(said: Sequence[str], heard: Sequence[str], *, characters: bool = False) -> Misheard:
    """Word error rate over all recordings together, by jiwer.

    Args:
        said: what is said in each.
        heard: what was heard.
        characters: count characters, without spaces, in place of words.

    Raises:
        NotHereError: jiwer is not installed.
    """
    try:
        import jiwer
    except ImportError as error:
        raise NotHereError("word error rates need jiwer: pip install 'aihub[bench]'") from error
    one, other = [plain_words(text) for text in said], [plain_words(text) for text in heard]
    told: jiwer.WordOutput | jiwer.CharacterOutput
    if characters:
        one, other = ([text.replace(" ", "") for text in texts] for texts in (one, other))
        told = jiwer.process_characters(one, other)
    else:
        told = jiwer.process_words(one, other)
    wrong = int(told.substitutions + told.deletions + told.insertions)
    total = int(told.hits + told.substitutions + told.deletions)
    return Misheard(wrong / max(1, total), wrong, total)


def transcribed(registry: Registry, predictor: Predictor, rows: Iterable[Speech]) -> list[str]:
    """What `speech-to-text` hears in each recording."""
    algorithm, heard = registry.get("speech-to-text"), []
    for row in rows:
        said = hear(algorithm, Sound(read_sound(row.path)), {}, predictor)
        heard.append(said.text if isinstance(said, Transcript) else "")
    return heard


def tag_scores(registry: Registry, predictor: Predictor, sounds: Iterable[Samples]) -> F64:
    """How sure `audio-tagging` is of each class of ESC-10 in each clip: `(clips, 10)` in [0, 1], the most of all moments."""
    algorithm = registry.get("audio-tagging")
    wanted = sorted({kind for kinds in ESC10.values() for kind in kinds})
    rows = []
    for samples in sounds:
        found = hear(algorithm, Sound(samples), {"confidence": 0, "labels": wanted}, predictor)
        best = dict.fromkeys(wanted, 0.0)
        if isinstance(found, SoundEvents):
            for label, score in zip(found.label, found.score.tolist(), strict=True):
                best[label] = max(best[label], score)
        rows.append([max(best[kind] for kind in kinds) for kinds in ESC10.values()])
    return np.array(rows, np.float64).reshape(-1, len(ESC10))


def average_precision(scores: F64, right: npt.NDArray[np.bool_]) -> float:
    """Area under precision over recall of a ranking, `(N,)` both; equal scores share their place.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]))
    0.8333333333333333
    """
    total = int(right.sum())
    if not total:
        return 0.0
    made = 0.0
    for value in np.unique(scores[right]):
        kept = scores >= value
        made += float(right[kept].mean()) * int((right & (scores == value)).sum())
    return made / total


def mean_average_precision(scores: F64, truth: Sequence[str]) -> float:
    """Mean of the classes' average precision; `scores` as of `tag_scores`, `truth` the class of each clip."""
    names = list(ESC10)
    columns = [
        (scores[:, at], np.array([one == name for one in truth], np.bool_)) for at, name in enumerate(names)
    ]
    return float(np.mean([average_precision(*one) for one in columns if one[1].any()]))


@dataclass(frozen=True, slots=True)
class Spotted:
    """Keywords.

    Attributes:
        named: clips of a word whose likeliest word is theirs.
        reported: clips of a word in which it, and no other, is reported at the card's threshold.
        words: clips of a word.
        false: other clips in which a word is reported.
        others: other clips.
    """

    named: int
    reported: int
    words: int
    false: int
    others: int


def spotted(registry: Registry, predictor: Predictor, clips: Iterable[tuple[str, Samples]]) -> Spotted:
    """Show labelled clips to `keyword-spotting`. Labels in any case; `unknown` and `silence` are no words."""
    algorithm = registry.get("keyword-spotting")
    stage = SpotKeywords(SpotParams(), predictor)
    known = stage.words()
    named = reported = words = false = others = 0
    for label, samples in clips:
        found = hear(algorithm, Sound(samples), {}, predictor)
        heard = set(found.label) if isinstance(found, SoundEvents) else set()
        if label.lower() in OTHERS or label.lower() not in known:
            others, false = others + 1, false + bool(heard)
            continue
        shares = stage.shares(Sound(samples))
        likeliest = known[int(shares.max(axis=0).argmax())] if len(shares) and shares.any() else ""
        words, named = words + 1, named + (likeliest == label.lower())
        reported += heard == {label.lower()}
    return Spotted(named, reported, words, false, others)
