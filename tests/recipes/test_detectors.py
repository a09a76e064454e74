"""The recipe of detectors: two steps on eight pictures drawn here, and what comes out is served by the engine as it is."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="the extra `recipes` is not installed: make recipetest")
pytest.importorskip("onnx2torch", reason="the extra `recipes` is not installed: make recipetest")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx2torch import convert  # noqa: E402

from aihub.engine.engine import Engine  # noqa: E402
from aihub.engine.preprocess import prepare  # noqa: E402
from aihub.engine.store import ModelStore  # noqa: E402
from aihub.evaluation import Predict  # noqa: E402
from aihub.types import Detections, Frame, ModelCard  # noqa: E402
from models.recipes import __main__ as recipes  # noqa: E402
from models.recipes.__main__ import NAMES, recipe_of  # noqa: E402
from models.recipes.assignment import UNSURE, Wanted, assign, loss_of  # noqa: E402
from models.recipes.branch import beside_donor  # noqa: E402
from models.recipes.donor import INPUT, SIZE, Detector, donor_labels, from_donor, grid  # noqa: E402
from models.recipes.export import export  # noqa: E402
from models.recipes.fusing import with_silu  # noqa: E402
from models.recipes.pictures import Picture, Shaker, load, read  # noqa: E402
from models.recipes.recipe import Recipe  # noqa: E402
from models.recipes.reexport import read_back  # noqa: E402
from models.recipes.training import Plan, found_on, scores  # noqa: E402

# onnx2torch's way with slices, the exporter that its modules want, and sizes that are fixed on purpose.
pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

LABELS = ("square", "disc")
PLAN = Plan(epochs=1, batch=4, every=1)
NOTHING = Wanted(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.ones(2, dtype=torch.bool))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn set: squares and discs on grey, eight pictures to learn from, four to check on, and two without either."""
    root = tmp_path_factory.mktemp("sets")
    random = np.random.default_rng(0)
    for name, split, count in (("drawn", "train", 8), ("drawn", "val", 4), ("other", "train", 2)):
        folder = root / name
        (folder / "images").mkdir(parents=True, exist_ok=True)
        images: list[dict[str, object]] = []
        marks: list[dict[str, object]] = []
        for at in range(count):
            pixels = np.full((300, 400, 3), 90, np.uint8)
            for kind in (0, 1):
                x, y = (int(value) for value in random.integers(0, 120, 2))
                x += 200 * kind
                colour = (0, 0, 255) if kind else (255, 0, 0)
                if kind:
                    cv2.circle(pixels, (x + 40, y + 40), 40, colour, -1)
                else:
                    cv2.rectangle(pixels, (x, y), (x + 80, y + 80), colour, -1)
                marks.append({"id": len(marks), "image_id": at, "category_id": kind, "bbox": [x, y, 80, 80]})
            file = f"images/{split}{at}.png"
            cv2.imwrite(str(folder / file), pixels)
            images.append({"id": at, "file_name": file, "width": 400, "height": 300})
        names = LABELS if name == "drawn" else ("tile", "plate")
        kinds = [{"id": kind, "name": label} for kind, label in enumerate(names)]
        body = {"images": images, "annotations": marks, "categories": kinds}
        (folder / f"{split}.json").write_text(json.dumps(body))
    return root


@pytest.fixture(scope="module")
def donor(mirror: Path) -> Path:
    return mirror / "models/detect/yolox_nano_coco.onnx"


@pytest.fixture(scope="module")
def net(donor: Path) -> Detector:
    return from_donor(donor, 2)


def test_two_steps_on_eight_pictures_make_a_model_that_the_engine_serves(
    data: Path, mirror: Path, tmp_path: Path
) -> None:
    recipe = Recipe("shapes", LABELS, {"drawn": LABELS}, plan=PLAN)
    made = recipes.make(recipe, data, mirror, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert rows[0]["plan"]["seed"] == PLAN.seed
    assert rows[1]["loss"] > 0
    assert set(rows[1]) >= {"map50", "ap50_square", "ap50_disc"}
    assert set(made["data"]) == {"drawn/train.json", "drawn/val.json"}
    card = ModelCard.model_validate({
        "name": "shapes", "task": "object-detection", "summary": "Drawn.", "labels": LABELS, "decoder": "yolov8",
        "input": {"name": "images", "size": [SIZE, SIZE], "layout": "nhwc"},
        "artifact": {"uri": "file:shapes.onnx", "sha256": made["sha256"], "bytes": made["bytes"], "license": "Apache-2.0"},
    })  # fmt: skip
    pixels = cv2.imread(str(data / "drawn/images/val0.png"))
    with Engine(ModelStore([(card, tmp_path)], cache=tmp_path / "cache"), threads=2) as engine:
        found = engine.detect("shapes", Frame(pixels), confidence=1e-6).result(timeout=60)  # type: ignore[arg-type]
    assert len(found.xyxy)
    assert found.labels == LABELS


def test_what_the_engine_finds_is_what_training_saw(net: Detector, data: Path, tmp_path: Path) -> None:
    picture = read(data / "drawn", "val", LABELS).pictures(LABELS)[0]
    net.eval()
    trained = found_on(net, LABELS, Frame(load(picture)), floor=1e-4)
    path = tmp_path / "net.onnx"
    export(net, path, {})
    card = ModelCard.model_validate({
        "name": "net", "task": "object-detection", "summary": "Untrained heads.", "labels": LABELS, "decoder": "yolov8", "iou": 0.5,
        "input": {"name": "images", "size": [SIZE, SIZE], "layout": "nhwc"},
        "artifact": {"uri": "file:net.onnx", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                     "bytes": path.stat().st_size, "license": "Apache-2.0"},
    })  # fmt: skip
    frame = Frame(cv2.imread(str(picture.path)))  # type: ignore[arg-type]
    with Engine(ModelStore([(card, tmp_path)], cache=tmp_path / "cache"), threads=1) as engine:
        found = engine.detect("net", frame, confidence=1e-4).result(timeout=60)
    best = int(found.confidence.argmax())
    assert found.confidence[best] == pytest.approx(trained.confidence[0], rel=0.02)
    assert found.xyxy[best] == pytest.approx(trained.xyxy[0].clip(0, [400, 300, 400, 300]), abs=2.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_file_written_anew_finds_the_same(name: str, donor: Path, tmp_path: Path) -> None:
    """All weights that were learned are in the file: the export may change without a training."""
    shipped = recipes.CARDS / "object-detection" / f"{name}.onnx"
    anew = tmp_path / f"{name}.onnx"
    export(read_back(recipe_of(name), donor, shipped), anew, {})
    picture = np.random.default_rng(3).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    before, after = (
        onnxruntime.InferenceSession(str(path)).run(None, {"images": picture})[0] for path in (shipped, anew)
    )
    assert after == pytest.approx(before, rel=1e-4, abs=1e-4)


def test_a_file_that_lacks_weights_is_not_written_anew(donor: Path, tmp_path: Path) -> None:
    path, net = tmp_path / "net.onnx", from_donor(donor, 2)
    # The exporter writes equal weights once, and untrained ones are equal.
    for fresh in (*net.objects, *net.kinds):
        torch.nn.init.normal_(fresh.bias)
    export(net, path, {})
    made = onnx.load(path)
    taken = next(one for one in made.graph.initializer if one.name == "net.kinds.1.weight")
    made.graph.initializer.remove(taken)
    onnx.save(made, path)
    with pytest.raises(RuntimeError, match=r"net.onnx lacks kinds.1.weight$"):
        read_back(Recipe("net", LABELS, {}), donor, path)


def test_the_donor_is_kept_but_for_its_classes(net: Detector, donor: Path) -> None:
    pixels = (np.random.default_rng(0).random((1, 3, SIZE, SIZE)) * 255).astype(np.float32)
    raw = net(torch.from_numpy(pixels)).detach()
    assert raw.shape == (1, len(grid()[0]), 7)
    (theirs,) = onnxruntime.InferenceSession(str(donor)).run(None, {"images": pixels})
    assert raw[..., :4].numpy() == pytest.approx(theirs[..., :4], abs=1e-3)
    assert raw[..., 4].sigmoid().numpy() == pytest.approx(theirs[..., 4], abs=1e-4)
    assert float(raw[..., 5:].sigmoid().max()) < 0.1  # fresh classes begin by finding nothing


def test_activations_of_the_donor_are_one_operation(net: Detector) -> None:
    kinds = [type(module).__name__ for module in net.body.modules()]
    assert kinds.count("SiLU") > 90
    assert "Sigmoid" not in kinds


def test_a_sigmoid_that_serves_something_else_stays() -> None:
    """Of three only the middle one is multiplied with what it was made of."""
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["a"]),
        helper.make_node("Mul", ["a", "c"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["d"]),
        helper.make_node("Mul", ["d", "b"], ["e"]),
        helper.make_node("Sigmoid", ["e"], ["f"]),
        helper.make_node("Mul", ["f", "e"], ["g"]),
        helper.make_node("Add", ["g", "f"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    half = numpy_helper.from_array(np.full((1, 4), 0.5, np.float32), "c")
    graph = helper.make_graph(nodes, "three", ports[:1], ports[1:], [half])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    pixels = torch.linspace(-3, 3, 4)[None]
    plain, made = convert(model), with_silu(convert(model))
    kinds = [type(module).__name__ for module in made.modules()]
    assert (kinds.count("SiLU"), kinds.count("Sigmoid")) == (1, 2)
    assert torch.allclose(made(pixels), plain(pixels))


def test_each_box_is_answered_for_and_no_cell_answers_twice(net: Detector) -> None:
    raw = net(torch.zeros(1, 3, SIZE, SIZE)).detach()
    wanted = torch.tensor([[10.0, 10, 60, 60], [15, 15, 70, 70], [200, 200, 400, 400]])
    kinds = torch.tensor([0, 1, 1])
    cells, which, overlap = assign(net, raw[0], net.corners(raw)[0], wanted, kinds)
    assert set(which.tolist()) == {0, 1, 2}
    assert len(set(cells.tolist())) == len(cells)
    assert bool(((overlap >= 0) & (overlap <= 1)).all())


def test_a_picture_without_anything_teaches_that_nothing_is_there(net: Detector) -> None:
    raw = net(torch.zeros(1, 3, SIZE, SIZE))
    loss, parts = loss_of(net, raw, [NOTHING])
    assert float(loss.detach()) > 0
    assert (parts["boxes"], parts["kinds"]) == (0.0, 0.0)


def test_shaken_boxes_stay_on_their_things(data: Path) -> None:
    """Discs are red, squares blue: the middle of each box shows its colour, wherever it was moved to."""
    shaker = Shaker(read(data / "drawn", "train", LABELS).pictures(LABELS), seed=3)
    seen = 0
    for at in range(8):
        made = shaker.make(at)
        assert made.pixels.shape == (SIZE, SIZE, 3)
        for (x1, y1, x2, y2), kind in zip(
            made.boxes[made.kinds >= 0], made.kinds[made.kinds >= 0], strict=True
        ):
            assert 0 <= x1 < x2 <= SIZE
            assert 0 <= y1 < y2 <= SIZE
            whole = min(x1, y1, SIZE - x2, SIZE - y2) > 1
            blue, _, red = (int(value) for value in made.pixels[int(y1 + y2) // 2, int(x1 + x2) // 2])
            if (
                whole and abs(blue - red) > 20
            ):  # neither cut off nor turned grey, and not under another picture
                seen += 1
                assert (red > blue) == bool(kind)
    assert seen > 8


def test_a_picture_without_anything_may_be_seen_from_very_near(data: Path) -> None:
    """A small part of it, as large as the whole: of a picture with a ramp from left to right only a part of the ramp is left."""
    ramp = np.repeat(np.linspace(0, 255, 400)[None, :, None], 300, 0).repeat(3, 2).astype(np.uint8)
    path = data / "ramp.png"
    cv2.imwrite(str(path), ramp)
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.ones(2, np.bool_)
    far, near = (Shaker([Picture(path, *none)], 5, mosaic=0.0, details=share) for share in (0.0, 1.0))

    def spread(shaker: Shaker) -> float:
        return float(np.median([np.ptp(shaker.make(0).pixels[200].mean(axis=1)) for _ in range(9)]))

    assert spread(near) < 0.6 * spread(far)


def test_the_same_seed_shakes_the_same(data: Path) -> None:
    pictures = read(data / "drawn", "train", LABELS).pictures(LABELS)
    first, again = (Shaker(pictures, seed=5).make(0) for _ in range(2))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.boxes, again.boxes)


def test_other_sets_teach_what_it_is_not(data: Path) -> None:
    recipe = Recipe("shapes", LABELS, {"drawn": LABELS}, negatives={"other": 1})
    learned = recipe.learned_from(data)
    assert [len(picture.boxes) for picture in learned.pictures(LABELS)] == [2] * 8 + [0]


def test_what_people_said_about_alarms_is_learned_from_too(data: Path, tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_bytes((data / "drawn" / "val.json").read_bytes())
    shutil.copytree(data / "drawn" / "images", tmp_path / "images")
    learned = Recipe("shapes", LABELS, {"drawn": LABELS}).learned_from(data, also=[tmp_path]).pictures(LABELS)
    assert len(learned) == 8 + 4
    assert learned[-1].path.parent.parent == tmp_path


def test_what_a_set_does_not_mark_is_not_taught_to_be_absent(net: Detector) -> None:
    """Where discs are not marked, finding one costs nothing; where they are, it does."""
    raw = net(torch.zeros(1, 3, SIZE, SIZE)).detach()
    raw[..., 4] = -9.0
    seen = raw.clone()
    seen[0, 0, 4], seen[0, 0, 6], seen[0, 0, 5] = 9.0, 9.0, -9.0  # surely a disc, no square
    costs = {}
    for name, known in (("all", (True, True)), ("squares", (True, False))):
        wanted = NOTHING._replace(known=torch.tensor(known))
        costs[name] = [float(loss_of(net, of, [wanted])[0]) for of in (raw, seen)]
    assert costs["all"][1] > costs["all"][0] + 8
    assert costs["squares"][1] == pytest.approx(costs["squares"][0], abs=0.01)


def test_a_square_costs_where_only_squares_are_marked(net: Detector) -> None:
    raw = net(torch.zeros(1, 3, SIZE, SIZE)).detach()
    raw[..., 4] = -9.0
    seen = raw.clone()
    seen[0, 0, 4], seen[0, 0, 5], seen[0, 0, 6] = 9.0, 9.0, -9.0
    wanted = [NOTHING._replace(known=torch.tensor([True, False]))]
    assert float(loss_of(net, seen, wanted)[0]) > float(loss_of(net, raw, wanted)[0]) + 7


def test_nothing_is_learned_from_where_it_is_open_what_is_there(net: Detector) -> None:
    raw = net(torch.zeros(1, 3, SIZE, SIZE)).detach()
    raw[..., 4] = -9.0
    seen = raw.clone()
    seen[0, 0, 4] = 9.0  # the first cell: its middle lies at (4, 4)
    open_ = Wanted(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([UNSURE]), NOTHING.known)
    open_before, open_after = (float(loss_of(net, of, [open_])[0]) for of in (raw, seen))
    before, after = (float(loss_of(net, of, [NOTHING])[0]) for of in (raw, seen))
    assert open_after == pytest.approx(open_before)
    assert after > before + 8


def test_crowds_and_a_teachers_doubts_are_open(data: Path) -> None:
    frames: list[Frame] = []

    def teacher(frame: Frame) -> Detections:
        frames.append(frame)
        boxes = np.array([[0, 0, 50, 50], [60, 60, 90, 90], [100, 100, 120, 120]], np.float32)
        return Detections(boxes, np.array([0.9, 0.4, 0.2], np.float32), np.array([1, 1, 1], np.int32), LABELS)

    learned = read(data / "drawn", "train", ()).labelled_by(teacher, ("disc",))
    assert len(frames) >= 8
    for picture in learned.pictures(("disc",)):
        assert picture.boxes.tolist() == [[0, 0, 50, 50], [60, 60, 90, 90]]
        assert picture.kinds.tolist() == [0, UNSURE]


def test_a_class_that_the_donor_knows_begins_with_what_it_knows(donor: Path, net: Detector) -> None:
    person, truck = donor_labels().index("person"), donor_labels().index("truck")
    heir = from_donor(donor, 2, {0: truck, 1: person}).eval()
    pixels = (np.random.default_rng(0).random((1, 3, SIZE, SIZE)) * 255).astype(np.float32)
    raw = heir(torch.from_numpy(pixels)).detach()
    (theirs,) = onnxruntime.InferenceSession(str(donor)).run(None, {"images": pixels})
    assert raw[..., 5].sigmoid().numpy() == pytest.approx(theirs[..., 5 + truck], abs=1e-4)
    assert raw[..., 6].sigmoid().numpy() == pytest.approx(theirs[..., 5 + person], abs=1e-4)


def test_beside_the_donor_something_is_learned_and_the_donor_stays(
    data: Path, mirror: Path, donor: Path, tmp_path: Path
) -> None:
    """Person and car are YOLOX-nano's to the last digit that counts; discs are new."""
    recipe = Recipe(
        "beside", ("person", "car", "disc"), {"drawn": ("disc",)}, beside=True,
        inherits={"person": "person", "car": "car"}, plan=replace(PLAN, slower=1.0, frozen=0),
    )  # fmt: skip
    assert recipe.fresh == ("disc",)
    before = beside_donor(donor, recipe.inherited, 1)
    made = recipes.make(recipe, data, mirror, tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / "beside.onnx"))
    pixels = np.asarray(cv2.resize(load(read(data / "drawn", "val", ()).pictures(())[0]), (SIZE, SIZE)))
    (found,) = session.run(None, {"images": pixels[None]})
    cells = len(grid()[0])
    assert found.shape == (1, 4 + 3, 2 * cells)
    (theirs,) = onnxruntime.InferenceSession(str(donor)).run(
        None, {"images": pixels.transpose(2, 0, 1)[None].astype(np.float32)}
    )
    for row, label in enumerate(("person", "car")):
        at = 5 + donor_labels().index(label)
        assert found[0, 4 + row, :cells] == pytest.approx(theirs[0, :, 4] * theirs[0, :, at], abs=1e-5)
    assert not found[0, 4:6, cells:].any()  # what was learned knows nothing of people and cars
    assert not found[0, 6, :cells].any()
    old, new = before.both(torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32)))
    assert [part.shape[1] for part in (*old, *new)] == [4, 1, 2, 4, 1, 1]
    assert made["teacher"] == ""


def test_the_command_asks_for_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["recipes", "fire-smoke", "--data", str(tmp_path), "--weights", str(tmp_path), "--out", str(tmp_path / "out")])  # fmt: skip
    with pytest.raises(SystemExit, match="fire_smoke"):
        recipes.main()
    monkeypatch.setattr("sys.argv", ["recipes", "keywords", "--data", str(tmp_path), "--weights", str(tmp_path), "--out", str(tmp_path / "out"), "--epochs", "3"])  # fmt: skip
    with pytest.raises(SystemExit, match="detectors"):
        recipes.main()


def test_letterboxes_as_the_engine_does() -> None:
    pixels, placement = prepare(Frame(np.full((208, 416, 3), 255, np.uint8)), INPUT)
    boxes = placement.to_model(np.array([[0, 0, 416, 208]], np.float32))
    assert pixels[207, 0, 0] == 255
    assert pixels[208, 0, 0] == 114
    assert boxes.tolist() == [[0, 0, 416, 208]]


def test_precision_of_what_is_known(data: Path) -> None:
    """Everything found is 1; with one of two classes missed it is half."""
    part = read(data / "drawn", "val", LABELS)

    def knowing(most: int) -> Predict:
        def predict(frame: Frame) -> Detections:
            known = part.pictures(LABELS)[frame.seq]
            return Detections(known.boxes, np.ones(2, np.float32), known.kinds.astype(np.int32), LABELS)[
                :most
            ]

        return predict

    assert scores(knowing(2), LABELS, part.truths)["map50"] == pytest.approx(1.0)
    assert scores(knowing(1), LABELS, part.truths)["map50"] == pytest.approx(0.5)
