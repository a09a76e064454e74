"""Suite `accuracy`: how often algorithms are right, on data sets of one's own or on the small ones that come with the hub.

Data sets of one's own, each a folder given by a setting:

- `coco`: COCO JSON (`test.json` or `annotations.json`) and its pictures beside it or in `images/`; any detector.
- `faces`: as LFW: `NAME/NAME_0001.jpg` and `pairs.txt` with lines `NAME 1 2` and `NAME 1 OTHER 2`.
- `speech`: recordings (WAV, FLAC, OGG, MP3), each with a UTF-8 text file of the same name; Chinese counts by characters.
- `text`: pictures, each with a UTF-8 text file of the same name.
- `fire`: COCO JSON with the labels `fire` and `smoke`; pictures without boxes are those where nothing burns.

Without them: five COCO pictures, portraits and a clip, six sentences, four pictures with text and 64 plates of the test media
(AIHUB_TEST_MEDIA), and people, fires, sounds and words of the labelled sets (AIHUB_TRAINING_DATA), of which only parts are
taken that nothing was learned on. They are small: they tell whether a release became worse, not how good it is elsewhere.

All figures are shares in [0, 1] of the same things each time, so they have no turns and no interval; `compare` takes a
difference of half a point for a change. mAP is that of `aihub.evaluation` (pycocotools), word errors are jiwer's.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from pydantic import DirectoryPath, Field

from aihub.bench.accuracy import assets, detection, faces, pictures, sounds, text
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suite import Options
from aihub.evaluation import Truth, read_truth, through

Part = Literal["detection", "people", "precision", "fire", "faces", "text", "speech", "tagging", "keywords", "plates"]  # fmt: skip
T = TypeVar("T")
NOT_BURNING = ("hard_hat", "construction_site", "litter", "pothole", "garbage_bins")
"""Labelled sets whose test parts show no fire; none of these pictures was learned on."""


class Settings(Options):
    """Settings of `accuracy`."""

    parts: tuple[Part, ...] = Field(
        ("detection", "people", "precision", "fire", "faces", "text", "speech", "tagging", "keywords", "plates"),
        description="What is measured.",
    )  # fmt: skip
    models: tuple[str, ...] = Field(
        ("yolox-nano", "nanodet-m-416", "fastestdet"),
        min_length=1,
        description="Detectors that are measured on COCO; precision is measured of the first.",
    )
    most: int = Field(0, ge=0, le=1_000_000, description="Pictures or sounds of a set, at most; 0 takes all.")
    tune_s: float = Field(
        8.0, ge=0.5, le=600, description="Seconds for tuning before precisions are compared."
    )
    strangers: bool = Field(
        True, description="Whether pictures of strangers in the training data make pairs."
    )
    coco: DirectoryPath | None = Field(None, description="Folder with COCO JSON and pictures.")
    faces: DirectoryPath | None = Field(None, description="Folder of faces with pairs.txt, as LFW's.")
    speech: DirectoryPath | None = Field(None, description="Folder of recordings with texts.")
    text: DirectoryPath | None = Field(None, description="Folder of pictures with texts.")
    fire: DirectoryPath | None = Field(None, description="Folder with COCO JSON, labels fire and smoke.")


def run(stand: Stand, settings: Settings) -> None:
    """Measure the parts that are asked for; those whose data or weights are not here are skipped."""
    for name in settings.parts:
        with stand.part(name):
            PARTS[name](stand, settings)


def _coco(stand: Stand, settings: Settings) -> Truth:
    if settings.coco is not None:
        return assets.labelled_set(settings.coco, settings.most)
    return assets.some(assets.things(stand, "coco"), settings.most)


def _detection(stand: Stand, settings: Settings) -> None:
    truth = _coco(stand, settings)
    for model in settings.models:
        with stand.part(f"detection by {model}"):
            labels = detection.labels_of(stand, model)
            detection.note(
                stand, detection.look(through(stand.engine, model), truth, model, labels), what="COCO"
            )


def _people(stand: Stand, settings: Settings) -> None:
    """People on building sites: more boxes than the few COCO pictures have."""
    truth = assets.labelled_set(assets.training("hard_hat"), settings.most).with_labels(("person",))
    model = settings.models[0]
    labels = detection.labels_of(stand, model)
    seen = detection.look(through(stand.engine, model), truth, model, labels)
    detection.note(stand, seen, what="people of building sites")


def _precision(stand: Stand, settings: Settings) -> None:
    truth = _coco(stand, settings)
    every = truth if settings.coco is not None else assets.some(assets.unlabelled(stand, "coco"), settings.most)  # fmt: skip
    detection.loss(stand, truth, every, settings.models[0], settings.tune_s)


def _fire(stand: Stand, settings: Settings) -> None:
    assets.ready(stand, "fire-detection", "smoke-detection")
    burning, negatives = _fire_set(settings)
    labels = detection.labels_of(stand, "fire-smoke")
    seen = detection.look(through(stand.engine, "fire-smoke"), burning, "fire-smoke", labels)
    detection.note(stand, seen, what="fire and smoke")
    rows = [(one.path, not bare) for one, bare in zip(burning.pictures, burning.bare, strict=True)]
    rows += [(path, False) for path in negatives]
    told = pictures.raised(stand.registry, stand.engine, rows, ("fire-detection", "smoke-detection"))
    about = f"{told.hits + told.missed} pictures that burn or smoke, {told.false + told.quiet} that do not; {told.false} of these raised"
    for name, title, value in (("f1", "F1", told.f1), ("precision", "precision", told.precision),
                               ("recall", "recall", told.recall)):  # fmt: skip
        stand.add(f"{name}/fire-smoke", f"Fire or smoke on a picture, {title}", value, unit="", kind="accuracy",
                  detail=about)  # fmt: skip


def _fire_set(settings: Settings) -> tuple[Truth, list[Path]]:
    if settings.fire is not None:
        return assets.labelled_set(settings.fire, settings.most), []
    burning = assets.labelled_set(assets.training("fire_smoke"), settings.most)
    negatives = []
    for name in NOT_BURNING:
        folder = assets.training(name)
        negatives += [one.path for one in assets.some(read_truth(folder), settings.most // 2).pictures]
    return burning, negatives


def _faces(stand: Stand, settings: Settings) -> None:
    assets.ready(stand, "face-verification")
    finder = faces.Faces(stand.engine)
    if settings.faces is not None:
        found = faces.listed(_even(faces.read_pairs(settings.faces), settings.most), finder)
        same, other = found.same, found.other
        about = f"{found.pictures} pictures; on {found.unseen} no face was found that is fit to be compared, which rejects their pairs"
    else:
        people = list(faces.known(stand.media(), finder, every=5 if not settings.most else 20))
        if settings.strangers:
            people += faces.strangers(assets.training(), finder)
        same, other = faces.pairs(people)
        about = f"{len(people)} faces of few people"
    if not len(same) or not len(other):
        raise NotHereError("there are no pairs of one person, or none of different people")
    threshold = float(stand.registry.get("face-verification").resolve({}).params["similarity"])
    told = faces.rates(same, other, threshold)
    about += f"; {len(same)} pairs of one person, {len(other)} of different people"
    right = (int((same >= threshold).sum()) + int((other < threshold).sum())) / (len(same) + len(other))
    at = f"at the card's threshold of {threshold:g}"
    for name, title, value, better in (
        ("eer", "Equal error rate of faces", faces.equal_error(same, other), "lower"),
        ("far", f"Strangers taken for one person (FAR) {at}", told["far"], "lower"),
        ("frr", f"One person taken for strangers (FRR) {at}", told["frr"], "lower"),
        ("accuracy", f"Pairs of faces told right {at}", right, "higher"),
    ):
        stand.add(f"{name}/faces", title, value, unit="", kind="accuracy", better=better, detail=about)


def _text(stand: Stand, settings: Settings) -> None:
    assets.ready(stand, "text-recognition")
    rows = text.pages(settings.text) if settings.text is not None else text.media_pages(stand.media())
    read = list(text.misread(stand.engine, _even(rows, settings.most)))
    wrong, total = sum(one.wrong for one in read), sum(one.total for one in read)
    if not total:
        raise NotHereError("the texts are empty")
    worst = max(read, key=lambda one: one.wrong / max(1, one.total))
    stand.add("cer/text", "Characters read wrongly (CER)", wrong / total, unit="", kind="accuracy", better="lower",
              detail=f"{wrong} of {total} characters on {len(read)} pictures; most on {worst.name}: {worst.wrong} of {worst.total}")  # fmt: skip


def _speech(stand: Stand, settings: Settings) -> None:
    assets.ready(stand, "speech-to-text")
    if settings.speech is not None:
        rows = sounds.recordings(settings.speech)
    else:
        media = stand.media()
        known = assets.labels(stand)
        rows = [sounds.Speech(media / path, known[path]["text"]) for path in sorted(known)
                if path.startswith("audio/speech_en/") and isinstance(known[path], dict)]  # fmt: skip
    for han, name, title in (
        (False, "wer/speech", "Words heard wrongly (WER)"),
        (True, "cer/speech", "Characters heard wrongly (CER)"),
    ):
        part = _even([row for row in rows if row.han == han], settings.most)
        if not part:
            continue
        heard = sounds.transcribed(stand.registry, stand.engine, part)
        told = sounds.word_errors([row.text for row in part], heard, characters=han)
        stand.add(name, title, told.rate, unit="", kind="accuracy", better="lower",
                  detail=f"{told.wrong} errors, {told.total} said, {len(part)} recordings")  # fmt: skip


def _tagging(stand: Stand, settings: Settings) -> None:
    assets.ready(stand, "audio-tagging")
    clips = _even(list(assets.clips(assets.training("esc10"))), settings.most)
    scores = sounds.tag_scores(stand.registry, stand.engine, (samples for _, samples in clips))
    truth = [label for label, _ in clips]
    names = list(sounds.ESC10)
    best = [names[at] if row[at] > 0 else "" for row, at in zip(scores, scores.argmax(axis=1), strict=True)]
    right = float(np.mean([one == label for one, label in zip(best, truth, strict=True)]))
    about = f"{len(clips)} clips of ESC-10, ten classes, none of them learned on"
    stand.add("top1/audio-tagging", "Sounds named right (top-1 of ten)", right, unit="", kind="accuracy", detail=about)  # fmt: skip
    stand.add("map/audio-tagging", "mAP of audio tagging", sounds.mean_average_precision(scores, truth), unit="",
              kind="accuracy", detail=about)  # fmt: skip


def _keywords(stand: Stand, settings: Settings) -> None:
    assets.ready(stand, "keyword-spotting")
    sets = [assets.clips(assets.training(name), ("test",)) for name in ("speech_commands", "spoken_words_zh_en")]  # fmt: skip
    clips = _even(list(chain(*sets)), settings.most)
    told = sounds.spotted(stand.registry, stand.engine, clips)
    about = (
        f"{told.words} clips of people it never heard; in {told.others} others {told.false} words reported"
    )
    stand.add("top1/keywords", "Keywords whose likeliest word is right", told.named / max(1, told.words), unit="",
              kind="accuracy", detail=about)  # fmt: skip
    stand.add("reported/keywords", "Keywords reported at the card's threshold", told.reported / max(1, told.words),
              unit="", kind="accuracy", detail=about)  # fmt: skip


def _plates(stand: Stand, settings: Settings) -> None:
    assets.ready(stand, "plate-recognition")
    media, known = stand.media(), assets.labels(stand)
    rows = [(media / path, str(known[path]["plate"])) for path in sorted(known)
            if path.startswith("images/plates") and isinstance(known[path], dict)]  # fmt: skip
    if not rows:
        raise NotHereError("the test media have no labelled plates")
    told = pictures.plates(stand.registry, stand.engine, _even(rows, settings.most))
    about = f"{told.exact} of {told.every} plates cut out of street pictures, {pictures.GROUND} px of grey around them"
    stand.add("exact/plates", "Number plates read exactly", told.exact / told.every, unit="", kind="accuracy", detail=about)  # fmt: skip
    stand.add("wrong/plates", "Number plates on which another was read", told.wrong / told.every, unit="",
              kind="accuracy", better="lower", detail=f"{told.wrong} of {told.every}")  # fmt: skip


def _even(rows: list[T], most: int) -> list[T]:
    """`most` of them, evenly from all; 0 for all."""
    if not most or most >= len(rows):
        return rows
    return [rows[at] for at in np.linspace(0, len(rows) - 1, most).round().astype(int).tolist()]


PARTS: dict[str, Callable[[Stand, Settings], None]] = {
    "detection": _detection,
    "people": _people,
    "precision": _precision,
    "fire": _fire,
    "faces": _faces,
    "text": _text,
    "speech": _speech,
    "tagging": _tagging,
    "keywords": _keywords,
    "plates": _plates,
}
