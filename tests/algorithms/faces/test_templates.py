"""Templates, liveness, mesh and hiding: what goes into the networks, and what is made of what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.builtin.face_blur import BlurFaces, BlurFacesParams
from aihub.algorithms.builtin.face_landmarks import FaceLandmarks, FaceLandmarksParams, squares
from aihub.algorithms.builtin.face_liveness import FaceLiveness, FaceLivenessParams
from aihub.algorithms.faces.chips import ARC_112, DLIB_150
from aihub.algorithms.faces.embedding import MODEL, SFACE, Kind, Templates, embed, kind_of
from aihub.algorithms.faces.liveness import NEAR, WIDE, live_shares, surroundings
from aihub.errors import ConfigError, DecodeError
from aihub.testing import FakePredictor
from aihub.types import Detections, Frame, Tensor

KIND = Kind("test", 0.6, "dlib-150")
SAYS = {MODEL: {"template": "test", "chip": "dlib-150", "distance": "0.6"}}


def faces_at(*corners: tuple[float, float], side: float = 150) -> Detections:
    """Faces whose landmarks fill a square of that side at each place."""
    points = np.stack([DLIB_150.points * side / 150 + corner for corner in corners])
    boxes = np.array([[x + side * 0.2, y + side * 0.2, x + side * 0.8, y + side * 0.9] for x, y in corners])
    keypoints = np.concatenate([points, np.ones((len(corners), 5, 1))], axis=2).astype(np.float32)
    many = len(corners)
    return Detections(
        boxes.astype(np.float32), np.ones(many, np.float32), np.zeros(many, np.int32), ("face",), None, keypoints
    )  # fmt: skip


def mean_colour(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An embedding that tells what it was shown: mean red, green and blue, and the left half's red."""
    chips = inputs["chips"].astype(np.float32)
    assert chips.shape[1:] == (150, 150, 3)
    colours = chips.mean(axis=(1, 2))
    left = chips[:, :, :75, 0].mean(axis=(1, 2))
    return {"embedding": np.concatenate([colours, left[:, None]], axis=1)}


def picture() -> Frame:
    image = np.zeros((150, 300, 3), np.uint8)
    image[:, :150] = (10, 20, 200)
    image[:, 150:] = (200, 20, 10)
    return Frame(image)


def test_chips_are_rgb_each_face_its_own_and_seen_from_both_sides() -> None:
    predictor = FakePredictor(runs={MODEL: mean_colour}, metadata=SAYS)
    frame = picture()
    frame.image[:, :75] = 0
    made = embed(predictor, frame, faces_at((0, 0), (150, 0)))
    assert made.kind == KIND
    np.testing.assert_allclose(
        made.vectors[0], [100, 10, 5, 100], atol=3
    )  # half black: the mirror makes both sides equal
    np.testing.assert_allclose(made.vectors[1], [10, 20, 200, 10], atol=3)


def test_many_faces_go_in_batches_and_come_back_in_order() -> None:
    calls = []

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        calls.append(len(inputs["chips"]))
        return mean_colour(inputs)

    image = np.zeros((150, 150 * 20, 3), np.uint8)
    for index in range(20):
        image[:, index * 150 : (index + 1) * 150] = index * 10
    faces = faces_at(*((index * 150.0, 0.0) for index in range(20)))
    predictor = FakePredictor(runs={MODEL: run}, metadata=SAYS)
    frame = Frame(image)
    made = embed(predictor, frame, faces)
    assert calls == [16, 16, 8]
    np.testing.assert_allclose(made.vectors[:, 0], np.arange(20) * 10, atol=1)
    assert embed(predictor, frame, faces) is made, "made once a frame"
    assert calls == [16, 16, 8]


def test_a_graph_that_says_nothing_is_fed_as_sface_and_compared_by_angles() -> None:
    shapes = []

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        shapes.append((inputs["data"].shape, inputs["data"].dtype.name, float(inputs["data"][0, 0].mean())))
        return {"fc1": np.tile(np.array([[3.0, 4.0]], np.float32), (len(inputs["data"]), 1))}

    predictor = FakePredictor(runs={MODEL: run})
    red = Frame(np.full((400, 400, 3), (10, 20, 200), np.uint8))
    made = embed(predictor, red, faces_at((100, 100)))
    assert made.kind == SFACE
    assert shapes[0][:2] == ((2, 3, ARC_112.side, ARC_112.side), "float32")
    assert shapes[0][2] == pytest.approx(200, abs=5), "red first, 0 to 255"
    np.testing.assert_allclose(made.vectors, [[0.6, 0.8]], atol=1e-6)


@pytest.mark.parametrize(
    ("distance", "likeness"), [(0.0, 1.0), (0.3, 0.75), (0.6, 0.5), (1.2, 0.0), (5.0, 0.0)]
)
def test_likeness_by_distance(distance: float, likeness: float) -> None:
    one = Templates(KIND, np.zeros((1, 4), np.float32))
    other = np.array([[distance, 0, 0, 0]], np.float32)
    assert one.likeness(other)[0, 0] == pytest.approx(likeness, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
def test_likeness_is_symmetric_and_one_for_oneself(seed: int, some: int, others: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(0, 0.1, (n, 128)).astype(np.float32) for n in (some, others))
    there, back = Templates(KIND, a).likeness(b), Templates(KIND, b).likeness(a)
    np.testing.assert_allclose(there, back.T, atol=1e-5)
    assert ((there >= 0) & (there <= 1)).all()
    np.testing.assert_allclose(np.diag(Templates(KIND, a).likeness(a)), 1, atol=1e-4)


def test_faces_without_landmarks_are_refused_with_what_to_do() -> None:
    bare = replace(faces_at((0, 0)), keypoints=None)
    with pytest.raises(ConfigError, match="no landmarks"):
        embed(FakePredictor(runs={MODEL: mean_colour}, metadata=SAYS), picture(), bare)


@pytest.mark.parametrize("bad", [np.zeros((3, 128), np.float32), np.full((2, 4), np.nan, np.float32)])
def test_an_embedding_that_is_none_is_an_error(bad: np.ndarray) -> None:
    with pytest.raises(DecodeError):
        embed(FakePredictor(runs={MODEL: lambda _: {"e": bad}}, metadata=SAYS), picture(), faces_at((0, 0)))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4000), st.integers(1, 4000), st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 1), st.floats(1, 5)
)  # fmt: skip
def test_surroundings_stay_in_the_picture(
    w: int, h: int, x: float, y: float, size: float, scale: float
) -> None:
    side = size * min(w, h)
    boxes = np.array([[x * w, y * h, min(x * w + side, w), min(y * h + side, h)]], np.float32)
    x1, y1, x2, y2 = surroundings(boxes, scale, w, h)[0].tolist()
    assert 0 <= x1 < x2 <= w
    assert 0 <= y1 < y2 <= h


def test_surroundings_are_as_large_as_asked_where_there_is_room() -> None:
    boxes = np.array([[100, 100, 140, 150], [0, 0, 40, 50]], np.float32)
    around = surroundings(boxes, 2.0, 1000, 1000)
    assert around.tolist() == [[80, 75, 160, 175], [0, 0, 80, 100]], "moved into the picture, not cut"


def live_when_bright(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    assert inputs["input"].shape[1:] == (3, 80, 80)
    share = inputs["input"].mean(axis=(1, 2, 3)) / 255
    return {"prob": np.stack([(1 - share) / 2, share, (1 - share) / 2], axis=1).astype(np.float32)}


def test_liveness_is_the_mean_of_both_networks() -> None:
    def never(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"prob": np.tile(np.array([[1.0, 0.0, 0.0]], np.float32), (len(inputs["input"]), 1))}

    frame = Frame(np.full((300, 300, 3), 255, np.uint8))
    boxes = np.array([[100, 100, 180, 180]], np.float32)
    both = FakePredictor(runs={NEAR: live_when_bright, WIDE: live_when_bright})
    assert live_shares(both, frame, boxes).tolist() == [1.0]
    one = FakePredictor(runs={NEAR: live_when_bright, WIDE: never})
    assert live_shares(one, Frame(frame.image), boxes).tolist() == [0.5]
    assert live_shares(both, frame, np.zeros((0, 4), np.float32)).shape == (0,)


def test_faces_that_are_too_small_are_not_judged() -> None:
    predictor = FakePredictor(runs={NEAR: live_when_bright, WIDE: live_when_bright})
    faces = faces_at((0, 0), (200, 0))
    faces = replace(faces, xyxy=np.array([[0, 0, 90, 90], [200, 0, 230, 30]], np.float32))
    found = FaceLiveness(FaceLivenessParams(), predictor).process(
        Frame(np.zeros((300, 300, 3), np.uint8)), faces
    )
    assert found.attributes is not None
    assert [row["liveness"] for row in found.attributes] == ["spoof", "too-small"]


@settings(max_examples=20, deadline=None)
@given(st.floats(5, 500), st.floats(-3, 3))
def test_the_mesh_is_put_back_where_the_face_is(side: float, turn: float) -> None:
    """A network that says `the middle of what I see` gives the middle of the face's box, however turned and large."""
    faces = faces_at((40, 60), side=side)
    eyes = faces.keypoints
    assert eyes is not None
    eyes[0, 1, :2] = eyes[0, 0, :2] + side * np.array([np.cos(turn), np.sin(turn)])

    def middle(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        assert inputs["input_1"].shape == (1, 192, 192, 3)
        mesh = np.full((1, 1, 1, 1404), 96, np.float32)
        return {"conv2d_30": np.full((1, 1, 1, 1), 4, np.float32), "conv2d_20": mesh}

    predictor = FakePredictor(runs={"face-landmarks": middle})
    found = FaceLandmarks(FaceLandmarksParams(), predictor).process(
        Frame(np.zeros((200, 300, 3), np.uint8)), faces
    )
    assert found.keypoints is not None
    assert found.keypoints.shape == (1, 468, 3)
    centre = (faces.xyxy[0, :2] + faces.xyxy[0, 2:]) / 2
    np.testing.assert_allclose(found.keypoints[0, :, :2], np.tile(centre, (468, 1)), atol=0.05)
    assert found.keypoints[0, 0, 2] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-5)


def test_the_mesh_sees_one_and_a_half_faces() -> None:
    way = squares(replace(faces_at((0, 0)), keypoints=None))[0]
    (x1, y1, x2, y2) = faces_at((0, 0)).xyxy[0]
    longer = max(x2 - x1, y2 - y1)
    assert np.hypot(way[0, 0], way[1, 0]) == pytest.approx(192 / (1.5 * longer))


@pytest.mark.parametrize("method", ["pixelate", "blur", "fill"])
def test_hidden_faces_leave_the_rest_and_the_frame_as_they_were(method: str) -> None:
    image = np.random.default_rng(5).integers(0, 256, (240, 320, 3), np.uint8)
    before, frame = image.copy(), Frame(image)
    faces = replace(faces_at((50, 50)), xyxy=np.array([[100, 80, 160, 160]], np.float32))
    made = BlurFaces(BlurFacesParams(method=method, margin=0.0), FakePredictor()).process(frame, faces)
    assert np.array_equal(image, before)
    outside = np.ones(image.shape[:2], bool)
    outside[80:160, 100:160] = False
    assert np.array_equal(made.image[outside], before[outside])
    hidden = made.image[80:160, 100:160]
    colours = len(np.unique(hidden.reshape(-1, 3), axis=0))
    assert colours <= (6 * 12 if method == "pixelate" else 1 if method == "fill" else 4800)
    assert hidden.std() < before[80:160, 100:160].std() / 3, "noise is gone: next to nothing of it is left"
    assert made.measures == {"faces": 1.0}


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize("method", ["pixelate", "blur", "fill"])
def test_a_hidden_face_is_nobody_any_more(method: str, media: Path, mirror: Path, tmp_path: Path) -> None:
    """The embedding of the hidden face, with the landmarks of the bare one, is no more like it than a stranger's."""
    from aihub.engine import Engine, ModelStore
    from aihub.plugins import data_folder

    image = np.asarray(cv2.imread(str(media / "images/faces/train_obama_obama.jpg")))
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path, mirror=str(mirror))
    with Engine(store) as engine:
        frame = Frame(image)
        faces = engine.detect("face-points", frame, confidence=0.6).result(60)
        hidden = BlurFaces(BlurFacesParams(method=method), engine).process(frame, faces)
        bare, gone = embed(engine, frame, faces), embed(engine, Frame(hidden.image), faces)
        assert kind_of(engine).name == "dlib-resnet-v1"
        assert bare.likeness(gone.vectors)[0, 0] < 0.5
