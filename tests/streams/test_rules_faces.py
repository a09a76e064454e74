"""Rules about faces: who is noted when, who counts as new, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms import galleries
from aihub.algorithms.base import Stage
from aihub.algorithms.faces.chips import DLIB_150
from aihub.algorithms.faces.embedding import MODEL
from aihub.algorithms.galleries import Enrolled
from aihub.errors import ConfigError, GalleryNotFoundError
from aihub.streams.rules import unique_visitors
from aihub.streams.rules.face_flag import FaceFlag, FaceFlagParams
from aihub.streams.rules.face_search import (
    FaceAttendance,
    FaceAttendanceParams,
    FaceSearch,
    FaceSearchParams,
)
from aihub.streams.rules.face_verification import FaceVerification, FaceVerificationParams
from aihub.streams.rules.unique_visitors import UniqueVisitors, UniqueVisitorsParams
from aihub.testing import FakePredictor
from aihub.types import Detections, Findings, Frame, Predictor, Tensor

SIDE = 150
STRANGER = 30


def scene(
    now: float, *people: int, tracks: tuple[int, ...] = (), side: int = SIDE
) -> tuple[Frame, Detections]:
    """A frame with these people on it, each a face of 150 pixels whose grey says who it is."""
    many = len(people)
    rng = np.random.default_rng(0)
    noise = rng.integers(-40, 41, (SIDE, SIDE * max(many, 1), 1))
    image = np.repeat(noise + 128, 3, axis=2).astype(np.uint8)
    for index, person in enumerate(people):
        image[:, index * SIDE : (index + 1) * SIDE, 2] = 4 * person
    points = [DLIB_150.points + np.array([index * SIDE, 0]) for index in range(many)]
    boxes = [
        [index * SIDE + 20, 20, index * SIDE + 20 + side * 0.7, 20 + side * 0.7] for index in range(many)
    ]
    faces = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(many, 0.9, np.float32),
        np.zeros(many, np.int32),
        ("face",),
        np.array(tracks, np.int64) if tracks else None,
        np.concatenate([np.array(points).reshape(-1, 5, 2), np.ones((many, 5, 1))], axis=2).astype(
            np.float32
        ),
    )
    return Frame(image, "town/gate", 0, 1000.0 + now, now), faces


def embedded(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One place for each person, as far from all others as strangers are."""
    who = np.round(inputs["chips"][:, 60:90, 60:90, 0].mean(axis=(1, 2)) / 4).astype(int)
    return {"embedding": np.eye(64, dtype=np.float32)[who]}


def knowing(live: float = 1.0) -> FakePredictor:
    def shares(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"prob": np.tile(np.array([[0, live, 1 - live]], np.float32), (len(inputs["input"]), 1))}

    return FakePredictor(
        runs={MODEL: embedded, "face-liveness-near": shares, "face-liveness-wide": shares},
        metadata={MODEL: {"template": "test", "chip": "dlib-150", "distance": "0.6"}},
    )


class Book:
    """A gallery with the people 1, 2 and 3, and what was noted."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str, str, dict[str, Any]]] = []
        vectors = np.eye(64, dtype=np.float32)[[1, 2, 3, 3]]
        self.people = Enrolled(("id1", "id2", "id3", "id3"), ("one", "two", "three", "three"), vectors)

    def enrolled(self, source: str, gallery: str, predictor: Predictor) -> Enrolled:
        if (galleries.tenant_of(source), gallery) != ("town", "staff"):
            raise GalleryNotFoundError(gallery)
        return self.people

    def witness(self, source: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        self.noted.append((source, action, subject, dict(detail)))


@pytest.fixture
def book() -> Iterator[Book]:
    made = Book()
    galleries.place(made)
    yield made
    galleries.remove(made)


def seen(stage: Stage[Any], now: float, *people: int, **more: Any) -> Findings:
    frame, faces = scene(now, *people, **more)
    found = stage.process(frame, faces)
    assert isinstance(found, Findings)
    return found


def keys(found: Findings) -> list[str]:
    return [one.key for one in found.observations]


def test_a_search_names_those_of_the_gallery_and_no_strangers(book: Book) -> None:
    stage = FaceSearch(FaceSearchParams(gallery="staff"), knowing())
    found = seen(stage, 0, 1, STRANGER, 3)
    assert keys(found) == ["subject/id1", "subject/id3"]
    assert [one.data["name"] for one in found.observations] == ["one", "three"]
    assert found.measures == {"faces": 3, "compared": 3, "found": 2}
    assert isinstance(found.found, Detections)
    assert found.found.attributes is not None
    assert "name" not in found.found.attributes[1]
    assert book.noted == [("town/gate", "face.search", "staff", {"faces": 3, "found": ["id1", "id3"]})], (
        "noted, with ids and not with names"
    )


def test_two_faces_are_never_one_person(book: Book) -> None:
    found = seen(FaceSearch(FaceSearchParams(gallery="staff"), knowing()), 0, 2, 2)
    assert keys(found) == ["subject/id2"]


@pytest.mark.parametrize(("gallery", "source"), [("nobody", "town/gate"), ("staff", "village/gate")])
def test_no_gallery_is_said_on_every_frame_also_without_faces(book: Book, gallery: str, source: str) -> None:
    stage = FaceSearch(FaceSearchParams(gallery=gallery), knowing())
    frame, faces = scene(0)
    frame.source = source
    with pytest.raises(GalleryNotFoundError, match=gallery):
        stage.process(frame, faces)
    assert book.noted == []


def test_small_faces_and_prints_are_not_compared(book: Book) -> None:
    small = FaceSearch(FaceSearchParams(gallery="staff", min_size=120), knowing())
    assert seen(small, 0, 1).measures == {"faces": 1, "compared": 0, "found": 0}
    params = FaceSearchParams(gallery="staff", liveness=0.5)
    assert FaceSearch.models(params) == (MODEL, "face-liveness-near", "face-liveness-wide")
    assert keys(seen(FaceSearch(params, knowing(live=0.2)), 0, 1)) == []
    assert keys(seen(FaceSearch(params, knowing(live=0.9)), 0, 1)) == ["subject/id1"]
    assert [row[3]["faces"] for row in book.noted] == [1], "what was not compared was not looked for"


def test_somebody_must_be_seen_as_often_as_asked(book: Book) -> None:
    stage = FaceSearch(FaceSearchParams(gallery="staff", inertia=3), knowing())
    assert [keys(seen(stage, now / 5, 1)) for now in range(4)] == [[], [], ["subject/id1"], ["subject/id1"]]


def test_attendance_notes_somebody_once_in_a_period(book: Book) -> None:
    stage = FaceAttendance(FaceAttendanceParams(gallery="staff", period_h=0.1, inertia=2), knowing())
    told = {now: keys(found) for now in range(0, 4 * 360, 10) if keys(found := seen(stage, now, 1))}
    assert list(told.values()) == [[f"attendance/id1/{times}"] for times in (1, 2, 3, 4)]
    assert np.diff(list(told)).min() >= 360
    assert book.noted[0][1] == "face.attendance"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 4000), st.sampled_from([(), (1,), (2,), (1, 2)])), max_size=40))
def test_attendance_never_notes_twice_in_a_period(steps: list[tuple[float, tuple[int, ...]]]) -> None:
    made = Book()
    galleries.place(made)
    try:
        stage = FaceAttendance(FaceAttendanceParams(gallery="staff", period_h=1, inertia=1), knowing())
        now = 0.0
        times: dict[str, list[float]] = {"id1": [], "id2": []}
        for step, people in steps:
            now += step
            for one in seen(stage, now, *people).observations:
                times[one.data["subject"]].append(now)
    finally:
        galleries.remove(made)
    for moments in times.values():
        assert (np.diff(moments) >= 3600 - 1e-3).all()


def test_verification_is_about_the_first_picture(book: Book) -> None:
    stage = FaceVerification(FaceVerificationParams(), knowing())
    assert keys(seen(stage, 0, 5)) == []
    same, other = seen(stage, 1, 5), seen(stage, 2, 6)
    assert (keys(same), keys(other)) == (["same"], [])
    assert same.measures["similarity"] == pytest.approx(1, abs=1e-3)
    assert other.measures["similarity"] == 0
    assert [row[3] for row in book.noted] == [{"faces": 1, "same": True}, {"faces": 1, "same": False}]


def test_without_a_face_on_the_first_picture_nobody_is_the_same(book: Book) -> None:
    stage = FaceVerification(FaceVerificationParams(), knowing())
    assert seen(stage, 0).measures["reference"] == 0
    later = seen(stage, 1, 5)
    assert (keys(later), later.measures["reference"]) == ([], 0)


@pytest.mark.parametrize(("compare", "expected"), [("largest", []), ("any", ["same"])])
def test_which_face_is_compared(book: Book, compare: str, expected: list[str]) -> None:
    stage = FaceVerification(FaceVerificationParams(compare=compare), knowing())
    seen(stage, 0, 5)
    frame, faces = scene(1, 6, 5)
    faces.xyxy[0, 2:] += 20  # the stranger stands nearer
    assert keys(stage.process(frame, faces)) == expected


def test_the_reference_may_be_a_print_and_later_pictures_may_not(book: Book) -> None:
    stage = FaceVerification(FaceVerificationParams(liveness=0.5), knowing(live=0.1))
    assert seen(stage, 0, 5).measures["reference"] == 1
    assert keys(seen(stage, 1, 5)) == []


def test_visitors_are_counted_once_whatever_their_track(book: Book) -> None:
    stage = UniqueVisitors(UniqueVisitorsParams(views=2), knowing())
    told = [keys(seen(stage, 0.2 * step, 5, 6, tracks=(1, 2))) for step in range(4)]
    assert told == [[], ["visitor/1", "visitor/2"], [], []]
    again = [seen(stage, 5 + 0.2 * step, 6, tracks=(9,)) for step in range(3)]
    assert [keys(one) for one in again] == [[], [], []]
    assert again[-1].measures == {"visitors": 2, "returned": 1, "remembered": 2}
    assert isinstance(again[-1].found, Detections)
    assert again[-1].found.attributes == ({"visitor": 2},)
    assert {row[1] for row in book.noted} == {"face.visitors"}


def test_visitors_are_forgotten_after_the_period_and_count_as_new(book: Book) -> None:
    stage = UniqueVisitors(UniqueVisitorsParams(views=1, forget_h=1), knowing())
    assert keys(seen(stage, 0, 5, tracks=(1,))) == ["visitor/1"]
    assert keys(seen(stage, 3000, 5, tracks=(2,))) == []
    assert keys(seen(stage, 6000, 5, tracks=(3,))) == [], "seen in between: the time begins anew"
    assert seen(stage, 9700, tracks=()).measures["remembered"] == 0
    assert keys(seen(stage, 9701, 5, tracks=(4,))) == ["visitor/2"]


def test_what_is_remembered_of_visitors_is_bounded(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unique_visitors, "MAX_VISITORS", 20)
    stage = UniqueVisitors(UniqueVisitorsParams(views=1), knowing())
    most = 0.0
    for person in range(60):
        most = max(most, seen(stage, 20.0 * person, person, tracks=(person + 1,)).measures["remembered"])
    assert most <= 20
    assert len(stage._tracks) <= 1


def test_faces_that_are_not_fit_make_no_visitor(book: Book) -> None:
    stage = UniqueVisitors(UniqueVisitorsParams(views=1), knowing())
    frame, faces = scene(0, 5, tracks=(1,))
    dark = Frame(frame.image // 8, frame.source, 0, 1000.0, 0.0)
    found = stage.process(dark, faces)
    assert found.measures["visitors"] == 0
    assert book.noted == []


@pytest.mark.parametrize(
    ("params", "flagged", "why"),
    [
        ({"label": "no-mask"}, 2, "by label"),
        ({"attribute": "liveness", "value": "spoof"}, 1, "by attribute"),
        ({"label": "no-mask", "attribute": "liveness", "value": "live"}, 1, "both"),
        ({"attribute": "absent", "value": "x"}, 0, "nobody has it"),
    ],
)
def test_flags(params: dict[str, str], flagged: int, why: str) -> None:
    boxes = np.array([[0, 0, 20, 20], [30, 0, 50, 20], [60, 0, 80, 20]], np.float32)
    known = ({"liveness": "spoof"}, {"liveness": "live"}, {"liveness": "live"})
    faces = Detections(
        boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 1, 0], np.int32), ("mask", "no-mask"), attributes=known
    )  # fmt: skip
    stage = FaceFlag(FaceFlagParams(**params, inertia=2), FakePredictor())
    frames = [Frame(np.zeros((40, 90, 3), np.uint8), "a/b", i, float(i), i / 5) for i in range(2)]
    first, second = (stage.process(frame, faces) for frame in frames)
    assert (first.observations, first.measures) == ((), {"faces": 3, "flagged": flagged}), why
    assert len(second.observations) == min(flagged, 1), why
    assert len(second) <= 1 < len(second.found), "all faces are shown"


def test_a_flag_asks_for_something() -> None:
    with pytest.raises(ValueError, match="label or an attribute"):
        FaceFlagParams()


@pytest.mark.parametrize("kind", [FaceSearch, FaceAttendance, FaceVerification, UniqueVisitors])
def test_whatever_compares_faces_needs_the_scope(kind: type[Stage[Any]]) -> None:
    assert kind.scope == "faces"
    assert kind.stateful


def test_faces_without_landmarks_cannot_be_searched(book: Book) -> None:
    frame, faces = scene(0, 1)
    bare = Detections(faces.xyxy, faces.confidence, faces.class_id, faces.labels)
    with pytest.raises(ConfigError, match="landmarks"):
        FaceSearch(FaceSearchParams(gallery="staff"), knowing()).process(frame, bare)
