"""What is in the pictures: a folder with COCO JSON and pictures, read and checked. Nothing is ever written to it.

FOLDER/test.json | val.json | train.json      or one annotations.json
FOLDER/images/...
FOLDER/DATASET.yaml                           optional: `name`, `not_labelled_throughout`
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, Field, ValidationError

from aihub.errors import InputError

F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

SPLITS = ("test", "val", "train")
WHOLE = "annotations"
"""Name of the file of a data set that is not split."""
OVERHANG = 1.0
"""Pixels a box may stand out of its picture: tools round."""
_FORM = "COCO JSON has images, annotations and categories: https://cocodataset.org/#format-data"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a data set.

    Attributes:
        name: as the data set calls it.
        path: the file.
        width: columns, pixels.
        height: rows, pixels.
        source: where it came from, if the data set says so; else empty.
    """

    name: str
    path: Path
    width: int
    height: int
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Pictures and what is in them; B boxes in columns.

    Attributes:
        name: of the data set.
        split: `test`, `val`, `train`, or `annotations` for one that is not split.
        pictures: sorted by name, so that figures do not hang on the order in the file.
        labels: names of the classes.
        xyxy: `(B, 4)` float64, pixels of the picture, within it.
        picture: `(B,)` index into `pictures`.
        class_id: `(B,)` index into `labels`.
        area: `(B,)` square pixels, as the data set gives them; else of the box.
        crowd: `(B,)` True for a box over many things: neither a miss nor a false alarm.
        bare: `(pictures,)` True for a picture without any box, also of labels that are not measured.
        incomplete: labels that the data set says are marked in a part of its pictures only.
        notes: what a reader of the figures has to know.
    """

    name: str
    split: str
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]
    xyxy: F64
    picture: Rows
    class_id: Rows
    area: F64
    crowd: Mask
    bare: Mask
    incomplete: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def with_labels(self, labels: Sequence[str]) -> Truth:
        """The boxes of some labels, in that order; all pictures stay."""
        index = {label: at for at, label in enumerate(labels)}
        new_id = np.array([index.get(label, -1) for label in self.labels], np.intp)
        kept = new_id[self.class_id] >= 0 if len(self.labels) else np.zeros(0, np.bool_)
        return replace(self._rows(kept), class_id=new_id[self.class_id[kept]], labels=tuple(labels))

    def with_pictures(self, wanted: Mask) -> Truth:
        """Some of the pictures with their boxes. `wanted`: `(pictures,)`."""
        place = np.cumsum(wanted) - 1
        part = self._rows(wanted[self.picture])
        chosen = tuple(self.pictures[at] for at in np.flatnonzero(wanted))
        return replace(
            part, pictures=chosen, picture=place[part.picture].astype(np.intp), bare=self.bare[wanted]
        )

    def _rows(self, kept: Mask) -> Truth:
        return replace(
            self,
            xyxy=self.xyxy[kept],
            picture=self.picture[kept],
            class_id=self.class_id[kept],
            area=self.area[kept],
            crowd=self.crowd[kept],
        )


# Bounds far beyond what anybody has, so that numbers and messages stay of a size that can be handled.
_Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
_Side = Annotated[int, Field(gt=0, le=1_000_000)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Id = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | _Name


class _Image(BaseModel):
    id: _Id
    file_name: Annotated[str, Field(min_length=1, max_length=500)]
    width: _Side
    height: _Side
    source: str | None = None


class _Annotation(BaseModel):
    image_id: _Id
    category_id: _Id
    bbox: tuple[_Number, _Number, _Number, _Number]
    area: Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)] | None = None
    iscrowd: Literal[0, 1] = 0


class _Category(BaseModel):
    id: _Id
    name: _Name


class _Coco(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_truth(folder: Path, split: str | None = None, *, skip_missing: bool = False) -> Truth:
    """Read one split of a data set and check it.

    Args:
        folder: with `test.json`, `val.json`, `train.json` or `annotations.json`, and the pictures.
        split: `test`, `val` or `train`; None takes `test`, or `annotations.json` where nothing is split.
        skip_missing: leave out pictures that are listed but absent, with a note, instead of refusing.

    Raises:
        InputError: no such file, not COCO JSON, a box that cannot be, pictures that are absent, no pictures at all. Names
            the file and the field, and says what to do.
    """
    file = _find(folder, split)
    coco = _parse(file)
    _check_ids(file, coco)
    if not coco.images:
        raise InputError(
            f"{file.name}: images is empty, so there is nothing to measure",
            field="images", hint="choose another split, or list pictures",
        )  # fmt: skip
    paths = {
        image.file_name: _path(folder, image.file_name, file, at) for at, image in enumerate(coco.images)
    }
    missing = [image.file_name for image in coco.images if paths[image.file_name] is None]
    notes = _missing(file, coco, missing, skip=skip_missing)
    images = sorted((i for i in coco.images if paths[i.file_name]), key=lambda image: image.file_name)
    about = _about(folder)
    pictures = tuple(
        Picture(i.file_name, paths[i.file_name] or folder, i.width, i.height, i.source or "") for i in images
    )
    here = {image.id: at for at, image in enumerate(images)}
    columns = _columns(file, coco, here, pictures)
    return Truth(
        name=str(about.get("name") or folder.resolve().name),
        split=file.stem,
        pictures=pictures,
        labels=tuple(category.name for category in coco.categories),
        incomplete=_listed(about.get("not_labelled_throughout")),
        notes=notes,
        **columns,
    )


def _find(folder: Path, split: str | None) -> Path:
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}", field="data")
    there = [name for name in (*SPLITS, WHOLE) if (folder / f"{name}.json").is_file()]
    if not there:
        raise InputError(
            f"{folder}: no test.json, val.json, train.json or annotations.json in it",
            field="data",
            hint=_FORM,
        )
    wanted = split or "test"
    if wanted in there:
        return folder / f"{wanted}.json"
    if there == [WHOLE]:
        return folder / f"{WHOLE}.json"
    raise InputError(
        f"{folder}: no {wanted}.json in it", field="split", hint=f"give --split {' or '.join(there)}"
    )


def _parse(file: Path) -> _Coco:
    try:
        body = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.name} is not JSON: {error}", field="data", hint=_FORM) from error
    if not isinstance(body, dict):
        raise InputError(
            f"{file.name} is a JSON {type(body).__name__}, not an object", field="data", hint=_FORM
        )
    try:
        return _Coco.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        name = _field(first["loc"])
        more = f" ({error.error_count()} faults in all)" if error.error_count() > 1 else ""
        given = "" if first["type"] == "missing" else f", but it is {str(first['input'])[:80]}"
        raise InputError(
            f"{file.name}: {name}: {first['msg'].lower()}{given}{more}", field=name, hint=_FORM
        ) from error


def _field(places: Sequence[int | str]) -> str:
    """`annotations[3].bbox[0]`; the branches of a union are left out."""
    name = ""
    for place in places:
        if isinstance(place, int):
            name += f"[{place}]"
        elif place.removeprefix("constrained-") not in ("int", "str"):
            name += f".{place}" if name else place
    return name


def _check_ids(file: Path, coco: _Coco) -> None:
    def unique(what: str, values: Sequence[object], key: str) -> None:
        seen: set[object] = set()
        for at, value in enumerate(values):
            if value in seen:
                name = f"{what}[{at}].{key}"
                raise InputError(f"{file.name}: {name}: {value!r} stands there twice", field=name, hint=_FORM)
            seen.add(value)

    unique("images", [image.id for image in coco.images], "id")
    unique("images", [image.file_name for image in coco.images], "file_name")
    unique("categories", [category.id for category in coco.categories], "id")
    unique("categories", [category.name for category in coco.categories], "name")
    images, categories = {image.id for image in coco.images}, {category.id for category in coco.categories}
    for at, row in enumerate(coco.annotations):
        for key, value, known, there in (
            ("image_id", row.image_id, images, "images"),
            ("category_id", row.category_id, categories, "categories"),
        ):
            if value not in known:
                name = f"annotations[{at}].{key}"
                raise InputError(
                    f"{file.name}: {name}: there is no {value!r} in {there}",
                    field=name, hint=f"list it in {there}, or take the annotation out",
                )  # fmt: skip


def _path(folder: Path, name: str, file: Path, at: int) -> Path | None:
    """The picture's file: beside the JSON, or in `images/`; None when it is in neither."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        field = f"images[{at}].file_name"
        raise InputError(
            f"{file.name}: {field}: {name!r} leads out of the folder",
            field=field, hint="give names relative to the folder",
        )  # fmt: skip
    try:
        return next((path for path in (folder / name, folder / "images" / name) if path.is_file()), None)
    except OSError:  # a name that no file can have
        return None


def _missing(file: Path, coco: _Coco, names: Sequence[str], *, skip: bool) -> tuple[str, ...]:
    if not names:
        return ()
    told = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    what = f"{len(names)} of {len(coco.images)} pictures of {file.name} are not there: {told}"
    if not skip or len(names) == len(coco.images):
        at = next(at for at, image in enumerate(coco.images) if image.file_name == names[0])
        raise InputError(
            f"{what} (images[{at}].file_name)",
            field=f"images[{at}].file_name",
            hint="bring them" if skip else "bring them, or leave them out with --skip-missing",
        )
    return (what + "; left out",)


def _columns(
    file: Path, coco: _Coco, here: dict[int | str, int], pictures: Sequence[Picture]
) -> dict[str, Any]:
    """The boxes of pictures that are here, as the columns of `Truth`, checked against the sizes of the pictures."""
    rows = [(at, row) for at, row in enumerate(coco.annotations) if row.image_id in here]
    index = {category.id: at for at, category in enumerate(coco.categories)}
    boxes = np.array([row.bbox for _, row in rows], np.float64).reshape(-1, 4)
    picture = np.array([here[row.image_id] for _, row in rows], np.intp)
    size = np.array([(p.width, p.height) for p in pictures], np.float64).reshape(-1, 2)[picture]
    ends = boxes[:, :2] + boxes[:, 2:]
    flat = (boxes[:, 2:] <= 0).any(axis=1)
    outside = (boxes[:, :2] < -OVERHANG).any(axis=1) | (ends > size + OVERHANG).any(axis=1)
    for wrong, what, fix in (
        (flat, "has no width or height", "bbox is [x, y, width, height] in pixels"),
        (
            outside,
            "lies outside its picture",
            "bbox is [x, y, width, height] in pixels of the stored picture",
        ),
    ):
        if wrong.any():
            at, row = rows[int(np.argmax(wrong))]
            name = f"annotations[{at}].bbox"
            where = pictures[here[row.image_id]]
            raise InputError(
                f"{file.name}: {name}: {list(row.bbox)} {what} ({where.name}, {where.width} x {where.height}); "
                f"{int(wrong.sum())} such boxes in all",
                field=name, hint=fix,
            )  # fmt: skip
    xyxy = np.concatenate([np.clip(boxes[:, :2], 0, size), np.clip(ends, 0, size)], axis=1)
    given = np.array([np.nan if row.area is None else row.area for _, row in rows], np.float64)
    return {
        "xyxy": xyxy,
        "picture": picture,
        "class_id": np.array([index[row.category_id] for _, row in rows], np.intp),
        "area": np.where(np.isnan(given), boxes[:, 2] * boxes[:, 3], given),
        "bare": np.bincount(picture, minlength=len(pictures)) == 0,
        "crowd": np.array([bool(row.iscrowd) for _, row in rows], np.bool_),
    }


def _about(folder: Path) -> dict[str, Any]:
    file = folder / "DATASET.yaml"
    if not file.is_file():
        return {}
    try:
        body = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f"DATASET.yaml cannot be read: {error}", field="data", hint="mend or remove it"
        ) from error
    return body if isinstance(body, dict) else {}


def _listed(value: object) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset()
