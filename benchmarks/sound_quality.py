"""How well algorithms hear, on recordings whose truth is known.

    python -m benchmarks.sound_quality
    python -m benchmarks.sound_quality --only events digits --json

Needs AIHUB_TEST_MEDIA, AIHUB_MODEL_MIRROR and, for `events`, `noise` and `digits`, AIHUB_TRAINING_DATA. Thresholds of the cards were
chosen on ESC-10's clips for learning and choosing (`chosen on`); `test` was looked at once they stood, and for
engine-or-horn once more, after helicopters had been added to its kinds. The speech was looked at while thresholds were chosen, and all
digits while the stage was made: those figures are no promise for strangers. Nothing was chosen on the rest.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aihub.algorithms.hearing import HeardResult, hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound_files import decode_sound
from aihub.bench.accuracy.text import edits
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.scenes.tones import keys, noise
from aihub.types import SAMPLE_RATE, Predictor, Recording, Samples, Sound, SoundEvents, Transcript

Figures = dict[str, Any]
EVENTS: dict[str, frozenset[str]] = {
    "dog-bark": frozenset({"dog_bark"}),
    "baby-cry": frozenset({"baby_cry"}),
    "engine-or-horn": frozenset({"chainsaw", "helicopter"}),
    "siren": frozenset(),
    "alarm-bell": frozenset(),
    "scream": frozenset(),
    "glass-break": frozenset(),
    "gunshot-or-explosion": frozenset(),
}
"""Algorithm -> the classes of ESC-10 in which it is to raise; where none is, only false alarms can be counted."""
NOISES = ("rain", "sea_waves", "helicopter", "chainsaw")
SNRS = (0.0, 5.0, 10.0)


class Bench:
    """The real engine over the real media."""

    def __init__(self, predictor: Predictor, media: Path, training: Path | None) -> None:
        self._registry, self._predictor = Registry(predictor), predictor
        self.media, self._training = media, training
        manifest = yaml.load((media.parent / "manifest.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
        rows = manifest if isinstance(manifest, list) else manifest["files"]
        self.truth = {row["path"].removeprefix("media/"): row.get("labels") for row in rows if "path" in row}

    def hear(self, algorithm: str, samples: Samples, **params: Any) -> HeardResult:
        """What an algorithm gives for a recording."""
        return hear(self._registry.get(algorithm), Sound(samples), params, self._predictor)

    def read(self, name: str) -> Samples:
        """A recording of the test media."""
        return decode_sound((self.media / name).read_bytes())

    def folder(self, name: str) -> list[str]:
        """Recordings of a folder of the test media, by name."""
        found = sorted((self.media / "audio" / name).iterdir())
        return [str(path.relative_to(self.media)) for path in found if path.suffix in (".wav", ".flac")]

    def labelled(self, name: str) -> Iterator[tuple[str, str, Samples]]:
        """Class, part and sound of every clip of a set such as `esc10`."""
        if self._training is None:
            sys.exit("set AIHUB_TRAINING_DATA to the folder with esc10 and speech_commands")
        root = self._training / name
        with (root / "clips.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield row["label"], row["split"], decode_sound((root / row["path"]).read_bytes())


def voice(bench: Bench) -> Figures:
    """Speech or not, for every 10 ms of the four seconds of `vad_train.wav` that are labelled."""
    labels = bench.truth["audio/vad/vad_train.wav"]
    truth, seen = np.zeros(400, bool), np.zeros(400, bool)
    for one in labels.values():
        offset = int(one["wav"]["start"]) / SAMPLE_RATE
        edges = [float(edge) + offset for edge in one["speech"].split()]
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            truth[round(start * 100) : round(end * 100)] = True
    found = _events(bench.hear("voice-activity", bench.read("audio/vad/vad_train.wav")[: 4 * SAMPLE_RATE]))
    for start, end in zip(found.start.tolist(), found.end.tolist(), strict=True):
        seen[round(start * 100) : round(end * 100)] = True
    return _scores(int((truth & seen).sum()), int((~truth & seen).sum()), int((truth & ~seen).sum()))


def events(bench: Bench) -> Figures:
    """Clips of ESC-10 in which an algorithm raises, and false alarms on the recordings of the test media."""
    clips = list(bench.labelled("esc10"))
    other = [
        name
        for place in ("speech_en", "speech_zh", "speakers", "vad", "enhance")
        for name in bench.folder(place)
    ]
    made: Figures = {}
    for algorithm, wanted in EVENTS.items():
        raised = [bool(len(bench.hear(algorithm, samples))) for _, _, samples in clips]
        parts = {}
        for part, splits in (("chosen on", ("train", "val")), ("test", ("test",))):
            rows = [
                (label in wanted, hit)
                for (label, split, _), hit in zip(clips, raised, strict=True)
                if split in splits
            ]
            hits, false = sum(t and h for t, h in rows), sum(h and not t for t, h in rows)
            if wanted:
                parts[part] = _scores(hits, false, sum(t and not h for t, h in rows)) | {"clips": len(rows)}
            else:
                parts[part] = {"false alarms": false, "clips": len(rows)}
        heard = [bench.read(name) for name in other]
        parts["speech"] = {
            "false alarms": sum(bool(len(bench.hear(algorithm, samples))) for samples in heard),
            "seconds": round(sum(map(len, heard)) / SAMPLE_RATE),
        }
        made[algorithm] = parts
    return made


def digits(bench: Bench) -> Figures:
    """One digit a recording: right where that digit is the only one heard; and other words in which a digit is heard."""
    right: dict[str, list[bool]] = {}
    for name in bench.folder("digits"):
        truth = bench.truth[name]
        found = _events(bench.hear("spoken-digits", bench.read(name)))
        right.setdefault(truth["speaker"], []).append(found.label == (str(truth["digit"]),))
    other = [
        samples
        for label, split, samples in bench.labelled("speech_commands")
        if split == "test" and label not in ("silence", "unknown")
    ]
    taken = sum(bool(len(bench.hear("spoken-digits", samples))) for samples in other)
    return {
        "other words taken for digits": f"{taken}/{len(other)}",
        "jackson": f"{sum(right['jackson'])}/{len(right['jackson'])}",
        "george and lucas": f"{sum(right['george'] + right['lucas'])}/{len(right['george'] + right['lucas'])}",
    }


def words(bench: Bench) -> Figures:
    """Word errors of speech to text on read English sentences, against the manifest's texts (two words in them look mis-typed)."""
    wrong = total = 0
    for name in bench.folder("speech_en"):
        said = bench.hear("speech-to-text", bench.read(name))
        assert isinstance(said, Transcript)
        truth = bench.truth[name]["text"].lower().split()
        wrong, total = wrong + distance(truth, said.text.lower().split()), total + len(truth)
    return {"word errors": wrong, "words": total, "rate": round(wrong / total, 3)}


def distance(truth: list[str], said: list[str]) -> int:
    """Words to be put in, taken out or changed.

    >>> distance("a b c".split(), "a x c d".split())
    2
    """
    return edits(truth, said)


def suppression(bench: Bench) -> Figures:
    """SI-SDR before and after on six sentences under four noises of ESC-10's test part."""
    noises = [
        (label, samples)
        for label, split, samples in bench.labelled("esc10")
        if split == "test" and label in NOISES
    ]
    gains: dict[float, list[tuple[float, float]]] = {snr: [] for snr in SNRS}
    for at, name in enumerate(bench.folder("speech_en")):
        clean = bench.read(name)
        for label in NOISES:
            of_kind = [samples for kind, samples in noises if kind == label]
            under = np.resize(of_kind[at % len(of_kind)], len(clean))
            for snr in SNRS:
                scale = np.sqrt(np.square(clean).mean() / np.square(under).mean() / 10 ** (snr / 10))
                mixed = clean + scale * under
                mixed = (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)
                mended = bench.hear("noise-suppression", mixed)
                assert isinstance(mended, Recording)
                gains[snr].append((si_sdr(clean, mixed), si_sdr(clean, mended.samples)))
    return {
        f"{snr:g} dB": {
            "before_db": round(float(np.mean([b for b, _ in rows])), 2),
            "after_db": round(float(np.mean([a for _, a in rows])), 2),
            "worse": sum(a < b for b, a in rows),
            "mixtures": len(rows),
        }
        for snr, rows in gains.items()
    }


def si_sdr(clean: Samples, heard: Samples) -> float:
    """Scale-invariant ratio of signal to distortion, dB (Le Roux 2019)."""
    wanted, given = clean.astype(np.float64) - clean.mean(), heard.astype(np.float64) - heard.mean()
    target = (given @ wanted) / (wanted @ wanted) * wanted
    return float(10 * np.log10((target @ target) / np.square(given - target).sum()))


def telephone(bench: Bench) -> Figures:
    """Keys heard under white noise, and keys heard in speech where nobody pressed any."""
    rng, made = np.random.default_rng(23), {}
    for snr in (20, 10, 5, 3, 0):
        right = 0
        for turn in range(10):
            number = "".join(rng.choice(list("0123456789*#ABCD"), 10))
            clean = keys(number, tone_s=0.06, pause_s=0.05, peak_db=-14)
            mixed = clean + noise(len(clean) / SAMPLE_RATE, -11 - snr, seed=turn)[: len(clean)]
            heard = _events(bench.hear("dtmf-tones", mixed.astype(np.float32)))
            right += sum(a == b for a, b in zip(heard.label, number, strict=False)) if len(heard) == 10 else 0
        made[f"keys right of 100 at {snr} dB"] = right
    speech = [
        name
        for place in ("speech_en", "speech_zh", "speakers", "vad", "digits")
        for name in bench.folder(place)
    ]
    sounds = [bench.read(name) for name in speech]
    made["keys heard in speech"] = sum(len(bench.hear("dtmf-tones", samples)) for samples in sounds)
    made["seconds of speech"] = round(sum(map(len, sounds)) / SAMPLE_RATE)
    return made


def _events(result: HeardResult) -> SoundEvents:
    assert isinstance(result, SoundEvents)
    return result


def _scores(hits: int, false: int, missed: int) -> Figures:
    precision = hits / (hits + false) if hits + false else 0.0
    recall = hits / (hits + missed) if hits + missed else 0.0
    both = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": round(precision, 3), "recall": round(recall, 3), "f1": round(both, 3)}


MEASURES: dict[str, Callable[[Bench], Figures]] = {
    "voice": voice,
    "events": events,
    "digits": digits,
    "words": words,
    "noise": suppression,
    "dtmf": telephone,
}


def main() -> None:
    """Measure and say what came."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    asked = parser.parse_args()
    media, mirror = os.environ.get("AIHUB_TEST_MEDIA", ""), os.environ.get("AIHUB_MODEL_MIRROR", "")
    training = os.environ.get("AIHUB_TRAINING_DATA", "")
    if not media or not mirror:
        sys.exit("set AIHUB_TEST_MEDIA and AIHUB_MODEL_MIRROR")
    with tempfile.TemporaryDirectory() as home:
        store = ModelStore.from_folder(data_folder("models"), cache=Path(home) / "cache", mirror=mirror)
        with Engine(store, profiles=Path(home) / "profiles") as engine:
            bench = Bench(engine, Path(media), Path(training) if training else None)
            made = {name: MEASURES[name](bench) for name in asked.only}
    if asked.json:
        print(json.dumps(made))
        return
    for name, figures in made.items():
        print(name)
        for what, figure in figures.items():
            print(f"  {what}: {figure}")


if __name__ == "__main__":
    main()
