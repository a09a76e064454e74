"""Sound that a keyword spotter learns from: clips of words, what is cut and mixed from them, rooms and noise. Needs no torch.

Each word is said by few people only, so no two looks at a clip are alike: another voice and speed, place in the window, neighbours,
room, noise and loudness. What it must not fall for is made from the same clips: halves of two words, words played backwards,
shreds one after another, words that are mostly outside the window.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from aihub.algorithms.sound_files import decode_sound
from aihub.errors import InputError
from aihub.types import SAMPLE_RATE, Samples

WINDOW = SAMPLE_RATE
"""Samples that the network hears at once."""
COMMANDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
ENGLISH = ("close", "open", "print", "process", "project", "signal", "speaker", "speech")
MANDARIN = (
    "上海", "中国", "北京", "商行", "复旦", "总工", "数字", "背景", "识别", "语言", "语音", "饭店",
)  # fmt: skip
WORDS = COMMANDS + ENGLISH + MANDARIN
UNKNOWN, SILENCE = "unknown", "silence"
LABELS = (*WORDS, UNKNOWN, SILENCE)
WORD_SETS = ("speech_commands", "spoken_words_zh_en")
NOISE_SET = "esc10"
SETS = (*WORD_SETS, NOISE_SET)
BETWEEN = 24_000
"""Samples at which rooms are computed: a window and half a second for what echoes."""
HOP = 160
SHORTEST = 2400
"""Samples of the shortest word."""
CLICK, GAP = 3, 20
"""Hundredths of a second: what is loud for no longer, and that far from anything else that is loud, is a click and no part of a word."""
MIRRORED = frozenset({"no", "on"})
"""Backwards these sound like each other."""
TURN, REACH = 240, 160
"""Samples of half a frame when speed is changed and pitch is not, and how far the next frame may move to fit on."""

_Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording with one word, or noise.

    Attributes:
        samples: 16 kHz mono.
        label: one of `LABELS`.
        source: name of its set.
    """

    samples: Samples
    label: str
    source: str


def read_clips(data: Path, name: str, split: str) -> list[Clip]:
    """One part of a set of clips; what is no word of the two sets of words is `silence`.

    Args:
        data: folder of the sets.
        name: of the set.
        split: `train`, `val` or `test`.

    Raises:
        InputError: the set is not there.
    """
    listed = data / name / "clips.csv"
    if not listed.is_file():
        raise InputError(f"{listed} is not there", hint="--data names the folder of the sets")
    with listed.open(encoding="utf-8", newline="") as rows:
        wanted = [row for row in csv.DictReader(rows) if row["split"] == split]
    return [
        Clip(decode_sound((data / name / row["path"]).read_bytes()), _label(row["label"]), name)
        for row in wanted
    ]


def read_part(data: Path, split: str) -> list[Clip]:
    """One part of every set; see `read_clips`."""
    return [clip for name in SETS for clip in read_clips(data, name, split)]


def _label(name: str) -> str:
    return name.lower() if name.lower() in LABELS else SILENCE


def digests(data: Path) -> dict[str, str]:
    """sha256 of the list of clips of every set that is used."""
    lists = [f"{name}/clips.csv" for name in SETS]
    return {path: hashlib.sha256((data / path).read_bytes()).hexdigest() for path in lists}


def active(samples: Samples) -> tuple[int, int]:
    """First and last sample of what is loud: within 26 dB of the loudest moments, and 10 dB over the quiet ones; clicks do not count.

    What is shorter than any word is no word: then all of it counts.
    """
    rows = samples[: len(samples) // HOP * HOP].reshape(-1, HOP)
    if not len(rows):
        return 0, len(samples)
    level = np.sqrt((rows**2).mean(axis=1)) + 1e-7
    most = np.sort(level)[-min(CLICK + 1, len(level))]
    loud = np.flatnonzero(level >= max(most * 0.05, min(np.quantile(level, 0.1) * 3, most)))
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > GAP) + 1)
    kept = np.concatenate([part for part in parts if len(part) > CLICK] or [loud])
    first, last = int(kept[0]) * HOP, (int(kept[-1]) + 1) * HOP
    return (first, last) if last - first >= SHORTEST else (0, len(samples))


def centred(samples: Samples, shift: int = 0) -> Samples:
    """A window with the loud part in its middle; silence where the clip has ended.

    Args:
        samples: of a clip.
        shift: samples by which the loud part comes later than the middle.
    """
    first, last = active(samples)
    return placed(samples, WINDOW // 2 + shift - (first + last) // 2)


def window_of(clip: Clip, shift: int = 0) -> Samples:
    """The second that is judged: around the loud part of a word (see `centred`), the first of noise."""
    made = clip.samples[:WINDOW] if clip.label == SILENCE else centred(clip.samples, shift)
    return np.pad(made, (0, WINDOW - len(made)))


def placed(samples: Samples, at: int) -> Samples:
    """A window with the clip beginning at sample `at`, which may lie outside."""
    made = np.zeros(WINDOW, np.float32)
    first, last = max(at, 0), min(at + len(samples), WINDOW)
    if first < last:
        made[first:last] = samples[first - at : last - at]
    return made


class Mixer:
    """Makes windows to learn from.

    Args:
        clips: of the training part of all sets, noise among them.
        seed: window `n` is the same for the same seed.
    """

    def __init__(self, clips: Iterable[Clip], seed: int) -> None:
        self._seed = seed
        by_label: dict[str, list[Samples]] = {label: [] for label in LABELS}
        for clip in clips:
            by_label[clip.label].append(clip.samples)
        self._noises = [noise for noise in by_label.pop(SILENCE) if len(noise)]
        self._foreign = [_trimmed(samples) for samples in by_label.pop(UNKNOWN)]
        self._words: Mapping[str, Sequence[Samples]] = {
            label: [_trimmed(samples) for samples in found] for label, found in by_label.items() if found
        }
        self._all = [(label, one) for label, found in self._words.items() for one in found]
        self._all += [(UNKNOWN, one) for one in self._foreign]

    def make(self, at: int) -> tuple[Samples, int]:
        """Window number `at`: `(16000,)` samples and the index of its label."""
        random = np.random.default_rng((self._seed, at))
        kind = random.random()
        if kind < 0.66:
            label = list(self._words)[int(random.integers(len(self._words)))]
            heard = self._in_company(self._said(label, random), random)
        elif kind < 0.9:
            label, heard = UNKNOWN, self._no_word(random)
        else:
            label, heard = SILENCE, np.zeros(WINDOW, np.float32)
        return self._recorded(heard, random, quiet=label == SILENCE), LABELS.index(label)

    def nonsense(self, seconds: int) -> Samples:
        """Talk without any of the words, one second after the other, as a microphone takes it."""
        made = []
        for at in range(seconds):
            random = np.random.default_rng((self._seed, at, 1))
            made.append(self._recorded(self._no_word(random), random, quiet=False))
        return np.concatenate(made)

    def _said(self, label: str, random: _Random) -> Samples:
        """A word by one person, begun by one and ended by another, or by two at once: few people said it, so they are mixed."""
        word, other = (_one(self._words[label], random) for _ in range(2))
        kind = random.random()
        if kind < 0.3:
            part = random.uniform(0.3, 0.7)
            return joined(word[: int(len(word) * part)], other[int(len(other) * part) :])
        if kind < 0.5:
            moments = np.linspace(0, len(other) - 1, len(word))
            at_once = np.interp(moments, np.arange(len(other)), other).astype(np.float32)
            return word + at_once * np.float32(random.uniform(0.3, 1.0))
        return word

    def _in_company(self, word: Samples, random: _Random) -> Samples:
        """A word somewhere in the window, often with shreds of others before or after it."""
        word = spoken_by_another(word, random)
        room = (WINDOW - len(word)) // 2
        most = min(WINDOW // 4, max(room + 800, 1600))
        at = room + int(random.integers(-most, most + 1))
        heard = placed(word, at)
        if random.random() < 0.4:
            gap = int(random.integers(0, 2400))
            before, after = at - gap, at + len(word) + gap
            if before > 0 and random.random() < 0.7:
                heard[:before] += self._shreds(random)[-before:]
            if after < WINDOW and random.random() < 0.7:
                heard[after:] += self._shreds(random)[: WINDOW - after]
        return heard

    def _no_word(self, random: _Random) -> Samples:
        """Speech without a word that counts."""
        kind = random.random()
        if self._foreign and kind < 0.25:
            return self._in_company(_one(self._foreign, random), random)
        label, word = self._all[int(random.integers(len(self._all)))]
        if kind < 0.4 and label not in MIRRORED:
            return self._in_company(word[::-1], random)
        if kind < 0.6:
            ending, other = self._all[int(random.integers(len(self._all)))]
            # Two halves of one word are that word, and so are those of two that begin or end alike.
            if label[:1] != ending[:1] and label[-1:] != ending[-1:]:
                first, second = (
                    int(len(word) * random.uniform(0.3, 0.6)),
                    int(len(other) * random.uniform(0.4, 0.7)),
                )
                return self._in_company(joined(word[:first], other[second:]), random)
        elif kind < 0.75:
            word = _at_speed(word, random)
            seen = int(len(word) * random.uniform(0.1, 0.4))
            heard = placed(word, seen - len(word) if random.random() < 0.5 else WINDOW - seen)
            return heard + (self._shreds(random) if random.random() < 0.3 else 0)
        return self._shreds(random)

    def _shreds(self, random: _Random) -> Samples:
        """A window of pieces of words, none of them whole."""
        pieces, length = [], 0
        while length < WINDOW:
            word = self._all[int(random.integers(len(self._all)))][1]
            kept = min(int(len(word) * random.uniform(0.2, 0.5)), 5600)
            first = int(random.integers(0, len(word) - kept + 1))
            piece = _at_speed(word[first : first + kept], random) * np.float32(random.uniform(0.3, 1.0))
            edge = min(160, len(piece) // 4)
            if edge:
                piece[:edge] *= np.linspace(0, 1, edge, dtype=np.float32)
                piece[-edge:] *= np.linspace(1, 0, edge, dtype=np.float32)
            pieces.append(piece)
            length += len(piece)
            if random.random() < 0.3:
                pieces.append(np.zeros(int(random.integers(0, 2400)), np.float32))
                length += len(pieces[-1])
        return np.concatenate(pieces)[:WINDOW]

    def _recorded(self, heard: Samples, random: _Random, *, quiet: bool) -> Samples:
        """As a microphone in some room would take it, at some loudness."""
        if random.random() < 0.6:
            heard = in_a_room(heard, random)
        noise = self._noise(random)
        if quiet:
            heard = noise
        elif random.random() < 0.85:
            below = 10 ** (-random.uniform(0, 35) / 20)
            heard = heard + noise * np.float32(_rms(heard) / (_rms(noise) + 1e-9) * below)
        if random.random() < 0.1:
            at, length = int(random.integers(0, WINDOW - 240)), int(random.integers(16, 240))
            click = random.standard_normal(length, np.float32) * np.hanning(length).astype(np.float32)
            heard[at : at + length] += click * np.float32(np.abs(heard).max() * random.uniform(0.5, 5))
        peak = float(np.abs(heard).max()) + 1e-9
        loudness = 10 ** (random.uniform(-45, 0) / 20)
        return np.asarray(heard * np.float32(loudness / peak), np.float32)

    def _noise(self, random: _Random) -> Samples:
        if not self._noises or random.random() < 0.3:
            # White at slope 0, pink at 1, brown at 2.
            spectrum = fft.rfft(random.standard_normal(WINDOW, np.float32))
            slope = np.arange(1, len(spectrum) + 1, dtype=np.float32) ** np.float32(-random.uniform(0, 1))
            return np.asarray(fft.irfft(spectrum * slope, WINDOW), np.float32)
        noise = _one(self._noises, random)
        first = int(random.integers(0, max(1, len(noise) - WINDOW // 2)))
        return np.resize(noise[first : first + WINDOW], WINDOW)


def in_a_room(heard: Samples, random: _Random) -> Samples:
    """With other bass and treble, and in two of three cases with an echo that dies out."""
    spectrum = fft.rfft(heard, BETWEEN)
    at = np.linspace(0, 1, len(spectrum), dtype=np.float32)
    bends = random.uniform(-10, 10, 6)
    gain: npt.NDArray[Any] = 10 ** (np.interp(at, np.linspace(0, 1, 6) ** 2, bends).astype(np.float32) / 20)
    if random.random() < 0.66:
        length = int(random.uniform(0.05, 0.4) * SAMPLE_RATE)
        tail = random.standard_normal(length, np.float32)
        tail *= np.exp(-6.9 * np.arange(length, dtype=np.float32) / length)
        tail *= np.float32(random.uniform(0.1, 0.7) / (np.sqrt((tail**2).sum()) + 1e-9))
        tail[0] = 1.0
        gain = gain * fft.rfft(tail, BETWEEN)
    return np.asarray(fft.irfft(spectrum * gain, BETWEEN)[:WINDOW], np.float32)


def _at_speed(samples: Samples, random: _Random) -> Samples:
    """Up to a sixth faster and higher, or slower and lower."""
    return _resampled(samples, float(np.exp(random.uniform(-0.16, 0.16))))


def _resampled(samples: Samples, rate: float) -> Samples:
    if len(samples) < 2:
        return samples
    moments = np.arange(int((len(samples) - 1) / rate), dtype=np.float32) * np.float32(rate)
    whole = moments.astype(np.int32)
    return samples[whole] + (moments - whole) * (samples[whole + 1] - samples[whole])


def spoken_by_another(samples: Samples, random: _Random) -> Samples:
    """As a longer or shorter throat would say it (up to a fifth), faster or slower (as much), the one apart from the other."""
    throat, speed = np.exp(random.uniform(-0.22, 0.22)), np.exp(random.uniform(-0.2, 0.2))
    return at_other_speed(_resampled(samples, float(throat)), float(speed / throat))


def at_other_speed(samples: Samples, speed: float) -> Samples:
    """Faster (speed > 1) or slower, at the same pitch: frames move together, each to where it fits on best (WSOLA).

    What is too short to move stays as it is.
    """
    frame, length = 2 * TURN, int(len(samples) / speed)
    if len(samples) < 3 * frame or length < 2 * frame:
        return samples
    shape = np.hanning(frame + 1)[:frame].astype(np.float32)
    source = np.pad(samples, (REACH, 2 * frame + REACH))
    made = np.zeros(length + 2 * frame, np.float32)
    at = REACH
    made[:frame] = source[at : at + frame]
    made[TURN:frame] *= shape[TURN:]
    for to in range(TURN, length, TURN):
        wanted = source[at + TURN : at + TURN + frame]  # what would come next if nothing moved
        around = source[int(to * speed) : int(to * speed) + frame + 2 * REACH]
        at = int(to * speed) + int(np.correlate(around, wanted, "valid").argmax())
        made[to : to + frame] += source[at : at + frame] * shape
    return made[:length]


def _trimmed(samples: Samples) -> Samples:
    """The loud part with a little around it, at full loudness."""
    first, last = active(samples)
    part = samples[max(0, first - 800) : last + 800]
    return np.asarray(part / (np.abs(part).max() + 1e-9), np.float32)


def joined(first: Samples, second: Samples) -> Samples:
    """One after the other, faded over ten milliseconds."""
    edge = min(HOP, len(first), len(second))
    fade = np.linspace(0, 1, edge, dtype=np.float32)
    between = first[len(first) - edge :] * (1 - fade) + second[:edge] * fade
    return np.concatenate((first[: len(first) - edge], between, second[edge:]))


def _one(among: Sequence[Samples], random: _Random) -> Samples:
    return among[int(random.integers(len(among)))]


def _rms(samples: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt((samples**2).mean()))
