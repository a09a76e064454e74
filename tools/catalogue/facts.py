"""What is seen of every algorithm on this machine: state, evidence, an example drawn, what it gave, what it cost."""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.check import check
from aihub.algorithms.drawing import draw, overlays
from aihub.algorithms.examples import earlier, footage, numbers, recording
from aihub.algorithms.expectations import read_expect
from aihub.algorithms.hearing import hear
from aihub.algorithms.inference import infer
from aihub.algorithms.planner import Plan
from aihub.algorithms.reading import Item, read
from aihub.engine import Engine
from aihub.engine.wanted import wanted_weights
from aihub.errors import AihubError
from aihub.types import AnyResult, Example, InputKind, Passage, Readiness

Facts = dict[str, Any]

WIDTH = 480
QUALITY = 78
RUNS = 5
READABLE = 150
"""Pixels of the shorter side below which tags hide what they are on."""
LINES = 14

WORDS = {"title", "summary", "intended_use", "limits", "figures"}
"""Of a card: they go onto the pages as they are, and nothing has to be run again when they change."""

CREDITS = {
    "video/furg_fire_house6": "FURG fire data set, CC0-1.0",
    "video/": "Intel sample videos, CC-BY-4.0",
    "images/fire_smoke/": "Roboflow Universe custom-thxhn/fire-wrpgm v8, CC-BY-4.0",
    "images/faces/": "official portraits of the United States government, public domain",
    "images/liveness/": "Silent-Face-Anti-Spoofing, Apache-2.0",
    "images/ocr/": "RapidOCR and PaddleOCR test pictures, Apache-2.0",
    "images/codes/": "Roboflow inference, Apache-2.0",
    "images/plates_cn/": "HyperLPR and CCPD-like crops, Apache-2.0",
}
"""Media whose terms let a picture with results drawn on it be shown, by the beginning of their path, the first that fits."""


def credit_of(media: str) -> str:
    """Whom a picture of that media is owed to; empty where it may not be carried along."""
    if media.startswith("drawn:"):
        return "drawn by the project"
    plain = media.removeprefix("still:")
    return next((words for start, words in CREDITS.items() if plain.startswith(start)), "")


def card_digest(algorithm: Algorithm) -> str:
    """What a card does, as a digest that changes neither with how it is written nor with what it says to people."""
    assert algorithm.path is not None
    content = yaml.safe_load(algorithm.path.read_text(encoding="utf-8"))
    does = {name: value for name, value in content.items() if name not in WORDS}
    return hashlib.sha256(json.dumps(does, sort_keys=True, default=str).encode()).hexdigest()[:16]


def facts_of(algorithm: Algorithm, engine: Engine, media: Path | None, pictures: Path) -> Facts:
    """Run an algorithm and write its picture.

    Raises:
        AssertionError: the check of the card fails; the catalogue shows nothing that does not work.
    """
    card = algorithm.card
    with tempfile.TemporaryDirectory() as folder:
        report = check(algorithm, engine, media=media, out=Path(folder))
        assert report.passed, (card.id, report.failures())
        shown, picture = _pictured(algorithm, engine, media, Path(folder), pictures / f"{card.id}.jpg")
    facts: Facts = {
        "version": card.version,
        "card": card_digest(algorithm),
        "state": report.state.value,
        "reason": report.reason,
        "evidence": report.evidence,
        "example": shown.shown,
        "example_evidence": shown.evidence,
        "credit": credit_of(shown.media),
        "picture": picture,
        "outlined": picture and not credit_of(shown.media),
        "wanted": [one.words() for one in wanted_weights(engine.store, algorithm.models())],
        "models": {name: _megabytes(engine, name) for name in algorithm.models()},
    }
    if report.state is Readiness.READY:
        gave, ms = _cost(algorithm, engine, media, shown)
        facts |= {"ms": ms, "gave": "" if picture else gave}
    return facts


def _pictured(
    algorithm: Algorithm, engine: Engine, media: Path | None, drawn: Path, kept: Path
) -> tuple[Example, bool]:
    """The example to show and whether its picture was kept: one that finds something, real before drawn, of media that can be
    shown and is large enough to be looked at. Of media that cannot, what was found is drawn on empty ground.
    """

    def worth(example: Example) -> tuple[bool, bool, bool]:
        presence = read_expect(example.expect).shows_presence()
        return presence, bool(credit_of(example.media)), example.evidence == "real"

    ordered = sorted(algorithm.card.examples, key=worth, reverse=True)
    able = [one for one in ordered if credit_of(one.media) and read_expect(one.expect).shows_presence()]
    if not able:
        return ordered[0], _outlined(algorithm, engine, media, ordered[0], kept)
    files = {
        id(one): drawn / f"{algorithm.card.id}-{algorithm.card.examples.index(one) + 1}.jpg" for one in able
    }
    large = [one for one in able if _short_side(files[id(one)]) >= READABLE]
    shown = (large or able)[0]
    return shown, _kept(files[id(shown)], kept)


def _short_side(file: Path) -> int:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR) if file.is_file() else None
    return 0 if image is None else min(image.shape[:2])


def _outlined(algorithm: Algorithm, engine: Engine, media: Path | None, example: Example, kept: Path) -> bool:
    """What was found, drawn on empty ground of the picture's size."""
    if not {InputKind.IMAGE, InputKind.VIDEO} & {*algorithm.card.input} or example.texts:
        return False
    shown = footage(example, media)
    if shown is None:
        return False
    frame = next(shown.frames)
    result = infer(algorithm, [*(earlier(example, media) or []), frame], example.params, engine)[-1]
    zones, lines = overlays(algorithm.card, algorithm.resolve(example.params).params)
    ground = np.full_like(frame.image, 214)
    file = kept.with_suffix(".outline.jpg")
    cv2.imwrite(str(file), draw(ground, result, zones=zones, lines=lines))
    done = _kept(file, kept)
    file.unlink()
    return done


def _kept(drawn: Path, kept: Path) -> bool:
    image = cv2.imread(str(drawn), cv2.IMREAD_COLOR) if drawn.is_file() else None
    if image is None:
        kept.unlink(missing_ok=True)
        return False
    height, width = image.shape[:2]
    wide = WIDTH * (2 if width > 2.2 * height else 1)
    if width > wide:
        size = (wide, max(1, round(height * wide / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.imwrite(str(kept), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return True


def _megabytes(engine: Engine, name: str) -> float:
    try:
        card = engine.store.resolve(name)
        return round(engine.store.path(card).stat().st_size / 1e6, 1)
    except AihubError:  # weights that are not here have no size here
        return 0.0


def _cost(algorithm: Algorithm, engine: Engine, media: Path | None, example: Example) -> tuple[str, float]:
    """What the example gave, as text, and milliseconds an item: the median of some runs."""
    results: list[AnyResult] = []
    spent: list[float] = []
    for result, seconds in _runs(algorithm, engine, media, example):
        results.append(result)
        spent.append(seconds)
    ms = round(1000 * statistics.median(spent), 2) if spent else 0.0
    return (_written(max(results, key=len)) if results else ""), ms


def _runs(
    algorithm: Algorithm, engine: Engine, media: Path | None, example: Example
) -> Iterator[tuple[AnyResult, float]]:
    kinds = algorithm.card.input
    if InputKind.AUDIO in kinds:
        for _ in range(3):
            sound = recording(example, media)
            if sound is not None:
                began = time.perf_counter()
                yield hear(algorithm, sound, example.params, engine), time.perf_counter() - began
        return
    if InputKind.TEXT in kinds or InputKind.SERIES in kinds:
        items: list[Item] = [Passage(text, seq) for seq, text in enumerate(example.texts)]
        items = items or [numbers(example)]
        for _ in range(3):
            began = time.perf_counter()
            made = read(algorithm, items, example.params, engine)
            each = (time.perf_counter() - began) / len(items)
            yield from ((result, each) for result in made)
        return
    shown = footage(example, media)
    if shown is None:
        return
    if shown.clip:
        plan = Plan(engine)
        plan.set("it", algorithm, example.params)
        for frame in shown.frames:
            began = time.perf_counter()
            result = plan.run(frame)["it"]
            assert not isinstance(result, Exception), result
            yield result, time.perf_counter() - began
        return
    frame = next(shown.frames)
    before = earlier(example, media) or []
    for _ in range(RUNS):
        began = time.perf_counter()
        made = infer(algorithm, [*before, frame], example.params, engine)
        yield made[-1], (time.perf_counter() - began) / (len(before) + 1)
        frame = type(frame)(frame.image, frame.source, frame.seq, frame.captured_at, frame.monotonic)


def _written(result: AnyResult) -> str:
    body = result.to_json()
    for name in ("audio", "image", "mask"):
        if name in body:
            body[name] = f"({len(body[name]) * 3 // 4:,} bytes in base64)"
    lines = json.dumps(body, ensure_ascii=False, indent=1).splitlines()
    return "\n".join(lines if len(lines) <= LINES * 3 else [*lines[: LINES * 3], " ..."])
