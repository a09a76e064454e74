"""Whom of a gallery each face is most like: one name a face, one face a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.faces import folders as _folders  # noqa: F401 - puts its galleries beneath all others
from aihub.algorithms.faces.asking import largest, with_attributes
from aihub.algorithms.faces.embedding import Templates, embed
from aihub.algorithms.faces.gate import GateParams, passing
from aihub.algorithms.galleries import Enrolled, galleries_here
from aihub.types import Detections, Frame, Predictor


class SearchParams(GateParams):
    """In which gallery, and how alike a face must be."""

    gallery: str = Field("", max_length=200, description="Name of the gallery.")
    similarity: float = Field(0.63, ge=0, le=1, description="Least likeness; see `Templates.likeness`.")
    max_faces: int = Field(
        16, ge=1, le=64, description="Faces that are looked for, largest first; others go."
    )


@dataclass(frozen=True, slots=True)
class Match:
    """A face that is somebody.

    Attributes:
        row: of the face.
        subject: id of who it is.
        name: what they are called.
        similarity: in [0, 1].
    """

    row: int
    subject: str
    name: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Searched:
    """What came of a search.

    Attributes:
        faces: those that were looked at, with `similarity`, and `subject` and `name` where somebody was found.
        compared: how many of them could be compared.
        matches: who was found.
    """

    faces: Detections
    compared: int
    matches: tuple[Match, ...]


def search(predictor: Predictor, frame: Frame, faces: Detections, params: SearchParams, action: str) -> Searched:  # fmt: skip
    """Look for faces in the gallery of whoever sent the frame; the audit hears of it first.

    Args:
        predictor: runs the models.
        frame: the picture.
        faces: with landmarks.
        params: where to look, and for whom.
        action: as the audit calls it.

    Raises:
        GalleryNotFoundError: who asks has no such gallery.
        StorageError: it cannot be noted.
        AihubError: a model refused or failed.
    """
    galleries = galleries_here()
    faces = faces[largest(faces, params.max_faces)]
    fine, known = passing(predictor, frame, faces, params)
    rows = np.flatnonzero(fine)
    made = embed(predictor, frame, faces[rows])
    people = galleries.enrolled(frame.source, params.gallery, predictor)
    matches = _matches(made, people, rows, known, params.similarity)
    if len(rows):
        found = [match.subject for match in matches]
        galleries.witness(frame.source, action, params.gallery, {"faces": len(rows), "found": found})
    return Searched(with_attributes(faces, known), len(rows), matches)


def _matches(
    made: Templates, people: Enrolled, rows: npt.NDArray[np.intp], known: list[dict[str, Any]], least: float
) -> tuple[Match, ...]:
    """The best of each face, then of each person; what is known of the faces is filled in."""
    if not len(made) or not len(people):
        return ()
    alike = made.likeness(people.vectors)
    best = alike.argmax(axis=1)
    shares = alike[np.arange(len(made)), best]
    taken: dict[str, Match] = {}
    for place in np.argsort(-shares, kind="stable").tolist():
        row, share = int(rows[place]), round(float(shares[place]), 4)
        known[row]["similarity"] = share
        subject, name = people.subjects[int(best[place])], people.names[int(best[place])]
        if share >= least and subject not in taken:
            taken[subject] = Match(row, subject, name, share)
            known[row] |= {"subject": subject, "name": name}
    return tuple(sorted(taken.values(), key=lambda match: match.row))
