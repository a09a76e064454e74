"""The labelled pictures and sounds that come with the test media, and data sets that lie beside them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from aihub.algorithms.sound_files import decode_sound
from aihub.bench.stand import NotHereError, Stand, named
from aihub.errors import AihubError, InputError
from aihub.evaluation import Picture, Truth, read_truth
from aihub.settings import Settings as HubSettings
from aihub.types import Image, Readiness, Samples

MANIFEST = "manifest.yaml"


def labels(stand: Stand) -> dict[str, Any]:
    """What is known of each file of the test media: path below it -> its labels.

    Raises:
        NotHereError: there are no media, or no manifest beside them.
    """
    media = stand.media()
    for folder in (media, media.parent):
        if (folder / MANIFEST).is_file():
            return _labels(folder / MANIFEST)
    raise NotHereError(f"there is no {MANIFEST} beside the test media, which says what is in them")


@cache
def _labels(path: Path) -> dict[str, Any]:
    body = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    rows = body if isinstance(body, list) else body["files"]
    return {row["path"].removeprefix("media/"): row.get("labels") for row in rows if "path" in row}


def ready(stand: Stand, *algorithms: str) -> None:
    """See that algorithms can be used here.

    Raises:
        NotHereError: one cannot; says why.
    """
    for name in algorithms:
        state, why = stand.registry.get(name).readiness()
        if state != Readiness.READY:
            raise NotHereError(f"{name}: {why}")


def training(*parts: str) -> Path:
    """A folder of the training data.

    Raises:
        NotHereError: AIHUB_TRAINING_DATA is not set, or has no such folder.
    """
    return named("AIHUB_TRAINING_DATA", HubSettings().training_data, "the folder of labelled sets", *parts)


def things(stand: Stand, folder: str) -> Truth:
    """Boxes of the pictures of a folder below `images`, as the manifest has them: centre, width and height as shares.

    Pictures without labels are left out. Four digits are given: boxes are right to a tenth of a pixel or so.

    Raises:
        NotHereError: none is labelled.
    """
    media = stand.media()
    pictures: list[Picture] = []
    rows: list[tuple[int, str, np.ndarray[Any, np.dtype[np.float64]]]] = []
    for path, known in sorted(labels(stand).items()):
        if not path.startswith(f"images/{folder}/") or not isinstance(known, dict) or "yolo" not in known:
            continue
        image = read_image(media / path)
        height, width = image.shape[:2]
        size = np.array([width, height] * 2, np.float64)
        for name, *box in known["yolo"]:
            middle, half = np.array(box[:2], np.float64), np.array(box[2:], np.float64) / 2
            corners = np.clip(np.concatenate([middle - half, middle + half]), 0, 1)
            rows.append((len(pictures), str(name).replace("_", " "), corners * size))
        pictures.append(Picture(Path(path).name, media / path, width, height))
    if not pictures:
        raise NotHereError(f"no picture in images/{folder} of the test media is labelled")
    names = tuple(dict.fromkeys(name for _, name, _ in rows))
    xyxy = np.array([box for _, _, box in rows], np.float64).reshape(-1, 4)
    of = np.array([at for at, _, _ in rows], np.intp)
    return Truth(
        name=folder, split="test", pictures=tuple(pictures), labels=names, xyxy=xyxy, picture=of,
        class_id=np.array([names.index(name) for _, name, _ in rows], np.intp),
        area=np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1), crowd=np.zeros(len(rows), np.bool_),
        bare=np.bincount(of, minlength=len(pictures)) == 0,
    )  # fmt: skip


def unlabelled(stand: Stand, folder: str) -> Truth:
    """All pictures of a folder of the test media, as a data set without boxes.

    Raises:
        NotHereError: there are none.
    """
    paths = sorted(stand.media("images", folder).glob("*.jpg"))
    if not paths:
        raise NotHereError(f"images/{folder} of the test media is empty")
    sizes = [read_image(path).shape[:2] for path in paths]
    none = np.zeros(0, np.intp)
    return Truth(
        name=folder, split="test", labels=(), xyxy=np.zeros((0, 4)), picture=none, class_id=none,
        pictures=tuple(Picture(path.name, path, width, height) for path, (height, width) in zip(paths, sizes, strict=True)),
        area=np.zeros(0), crowd=np.zeros(0, np.bool_), bare=np.ones(len(paths), np.bool_),
    )  # fmt: skip


def labelled_set(folder: Path, most: int = 0) -> Truth:
    """The test part of a COCO data set; of many pictures `most`, evenly from all.

    Raises:
        InputError: it is no COCO data set; says what is wrong.
    """
    return some(read_truth(folder), most)


def some(truth: Truth, most: int) -> Truth:
    """`most` pictures, evenly from all; 0 for all."""
    count = len(truth.pictures)
    if not most or most >= count:
        return truth
    wanted = np.zeros(count, np.bool_)
    wanted[np.linspace(0, count - 1, most).round().astype(int)] = True
    return truth.with_pictures(wanted)


def read_image(path: Path) -> Image:
    """`(height, width, 3)` uint8 BGR.

    Raises:
        NotHereError: the file is not there, or is no picture.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise NotHereError(f"{path.name} is not there, or is no picture")
    return np.asarray(image, np.uint8)


def read_sound(path: Path) -> Samples:
    """16 kHz mono.

    Raises:
        NotHereError: it cannot be read here; says what is missing.
    """
    try:
        return decode_sound(path.read_bytes())
    except (OSError, AihubError) as error:
        raise NotHereError(f"{path.name} cannot be read: {error}") from error


def clips(folder: Path, splits: tuple[str, ...] = ()) -> Iterator[tuple[str, Samples]]:
    """Label and sound of every clip that a `clips.csv` lists; of some parts only, where `splits` names them."""
    with (folder / "clips.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not splits or row["split"] in splits]
    for row in rows:
        yield row["label"], read_sound(folder / row["path"])


def with_texts(
    folder: Path, endings: Collection[str], what: str, field: str, hint: str
) -> list[tuple[Path, str]]:
    """Files of a folder, each with the text of the file of the same name beside it (UTF-8), by name.

    Args:
        folder: looked through to its depth.
        endings: of the files, small letters with the dot.
        what: one of them is called, in messages.
        field: of the settings, that names the folder.
        hint: how a file and its text are called.

    Raises:
        InputError: there is none.
    """
    found = [
        (path, path.with_suffix(".txt").read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in endings and path.with_suffix(".txt").is_file()
    ]
    if not found:
        raise InputError(f"{folder} has no {what} with a text file beside it", field=field, hint=hint)
    return found
