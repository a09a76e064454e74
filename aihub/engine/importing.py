"""A graph from elsewhere made a model of the hub: what family it is, told from its outputs; how it wants its pictures, tried on one.

The form of the outputs says which decoder reads them. What a graph does not say is in which order, range and place it wants
the pixels: those forms that its family uses are tried on a picture, and the one that finds most is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aihub.engine.backends import started
from aihub.engine.decoding import decoder_for, grid
from aihub.engine.graph import prepare_graph
from aihub.engine.postprocess import finish, probabilities
from aihub.engine.preprocess import prepare
from aihub.engine.session import Port, RunSettings, Session
from aihub.errors import AihubError, InputError
from aihub.types import Artifact, Detections, Frame, InputSpec, ModelCard, Task, Tensor

STRIDES = (8, 16, 32)
ANCHORS = 3
MOST_ROWS = 1000
"""More rows than this of six values are no finished boxes."""
SURE = 0.4
"""Confidence from which a box counts when forms of input are compared: with the wrong form many weak ones are found."""
CLEAR = 0.5
"""A thing this sure, or a class, found with the usual form of the family settles it: wrong forms may find more, all of it nonsense."""
SIDES = (32, 4096)

_NONE, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
_BYTE = (255.0, 255.0, 255.0)
IMAGENET = {"color": "rgb", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
UNIT_RGB = {"color": "rgb", "mean": _NONE, "std": _BYTE}
UNIT_BGR = {"color": "bgr", "mean": _NONE, "std": _BYTE}
RAW_BGR = {"color": "bgr", "mean": _NONE, "std": _ONE}
RAW_RGB = {"color": "rgb", "mean": _NONE, "std": _ONE}
FORMS = (UNIT_RGB, RAW_BGR, IMAGENET, UNIT_BGR, RAW_RGB)


@dataclass(frozen=True, slots=True)
class Family:
    """What the outputs of a graph look like.

    Attributes:
        decoder: that reads them; None for a classifier, whose scores are the result.
        because: in words, from which outputs that was told.
        params: of the decoder.
        usual: how this family usually wants its pictures.
        resize: how it usually wants them placed.
        iou: overlap above which doubles go.
    """

    decoder: str | None
    because: str
    params: dict[str, Any] = field(default_factory=dict)
    usual: dict[str, Any] = field(default_factory=lambda: UNIT_RGB)
    resize: str = "letterbox-centre"
    iou: float = 0.5


@dataclass(frozen=True, slots=True)
class Trial:
    """One form of input that was tried on a picture.

    Attributes:
        input: the form.
        found: boxes of at least `SURE`, or classes, with their scores.
        score: how much was found: the sum of the squares of those scores, so that sure ones count.
    """

    input: InputSpec
    found: Detections | dict[str, float]
    score: float

    @property
    def surest(self) -> float:
        """The highest score of what was found; 0 for nothing."""
        scores = self.found.confidence.tolist() if isinstance(self.found, Detections) else self.found.values()
        return max(scores, default=0.0)

    def words(self) -> str:
        """The form in a few words."""
        scale = "0..255" if self.input.std == (1.0, 1.0, 1.0) else "0..1"
        if self.input.mean != (0.0, 0.0, 0.0):
            scale = "mean and deviation of ImageNet"
        return f"{self.input.color.upper()}, {scale}, {self.input.resize}"


def read_ports(
    model: bytes, size: tuple[int, int] | None = None
) -> tuple[InputSpec, dict[str, tuple[int, ...]]]:
    """The form of a graph's picture input, as far as it says, and the shapes of what it gives for one picture.

    Raises:
        InputError: it takes something else than one picture, or does not say how large it wants it.
        SessionError: it is no graph that can be run.
    """
    session = started("onnxruntime").load(model, RunSettings(batch=0))
    try:
        if len(session.inputs) != 1 or len(session.inputs[0].shape) != 4:
            shapes = ", ".join(f"{port.name} {list(port.shape)}" for port in session.inputs)
            raise InputError(f"the graph takes {shapes}, not one batch of pictures", field="file")
        port = session.inputs[0]
        layout, sides = _layout(port, size)
        spec = InputSpec(name=port.name, size=sides, layout=layout)
        shape = (1, 3, *sides) if layout == "nchw" else (1, *sides, 3)
        fed = np.random.default_rng(7).uniform(0, 1, shape).astype(port.dtype)
        return spec, {name: value.shape for name, value in session.run({port.name: fed}).items()}
    finally:
        session.close()


def _layout(port: Port, size: tuple[int, int] | None) -> tuple[Any, tuple[int, int]]:
    first, second, third, fourth = port.shape
    layout = "nchw" if second == 3 else "nhwc" if fourth == 3 else None
    if layout is None or first not in (None, 1):
        raise InputError(
            f"the graph takes {list(port.shape)}, not one picture of three colours", field="file"
        )
    height, width = (third, fourth) if layout == "nchw" else (second, third)
    if size is not None and (height, width) not in ((None, None), size):
        raise InputError(
            f"the graph takes pictures of {height} x {width}, not {size[0]} x {size[1]}", field="size"
        )
    if size is None:
        if height is None or width is None:
            raise InputError(
                "the graph does not say how large its pictures are", field="size", hint="--size 640x640"
            )
        size = height, width
    if not all(SIDES[0] <= side <= SIDES[1] for side in size):
        raise InputError(f"pictures of {size[0]} x {size[1]} are not taken", field="size")
    return layout, size


def guess(task: Task, shapes: Mapping[str, tuple[int, ...]], spec: InputSpec, classes: int) -> list[Family]:
    """Families that give outputs of these shapes, the likelier first; none where no form is known.

    Args:
        task: what the model is for.
        shapes: of the outputs for one picture.
        spec: its input.
        classes: how many labels it has.
    """
    if task is Task.IMAGE_CLASSIFICATION:
        fits = len(shapes) == 1 and next(iter(shapes.values())) == (1, classes)
        return (
            [Family(None, f"one score for each of {classes} labels", usual=IMAGENET, resize="stretch")]
            if fits
            else []
        )
    if len(shapes) == 1:
        return list(_single(next(iter(shapes.values())), spec, classes))
    return list(_several(shapes, classes))


def _single(shape: tuple[int, ...], spec: InputSpec, classes: int) -> Iterator[Family]:
    if len(shape) == 4 and shape[1] == 5 + classes:
        because = f"one map of objectness, box and {classes} classes"
        yield Family("fastestdet", because, usual=UNIT_BGR, resize="stretch")
    if len(shape) != 3:
        return
    _, rows, width = shape
    cells = len(grid(spec.size, STRIDES)[0])
    if width == 5 + classes and rows == cells:
        because = f"{rows} cells of box, objectness and {classes} classes"
        yield Family("yolox", because, usual=RAW_BGR, resize="letterbox")
    if width == 5 + classes:
        anchors = f"{ANCHORS} anchors a cell" if rows == ANCHORS * cells else "decoded boxes"
        yield Family("yolov5", f"{rows} rows of box, objectness and {classes} classes: {anchors}")
    if rows == 4 + classes:
        yield Family("yolov8", f"planes of box and {classes} classes over {width} cells")
    if rows > 4 + classes and (rows - 4 - classes) % 3 == 0 and width == cells:
        points = (rows - 4 - classes) // 3
        yield Family("yolov8", f"planes of box, {classes} classes and {points} points", {"points": points})
    if width == 6 and rows <= MOST_ROWS:
        yield Family("end-to-end", f"{rows} finished boxes with score and class", iou=1.0)


def _several(shapes: Mapping[str, tuple[int, ...]], classes: int) -> Iterator[Family]:
    boxes = [name for name, shape in shapes.items() if len(shape) == 3 and shape[2] == 4]
    scores = [name for name, shape in shapes.items() if len(shape) == 3 and shape[2] == classes]
    if len(boxes) == 1 and len(scores) == 1 and shapes[boxes[0]][1] == shapes[scores[0]][1]:
        params = {"logits": scores[0], "boxes": boxes[0]}
        yield Family(
            "detr", f"{shapes[boxes[0]][1]} queries with logits and boxes", params, resize="stretch", iou=1.0
        )
    for stride in STRIDES:
        ending = f"_stride_{stride}"
        if f"cls_pred{ending}" not in shapes or f"dis_pred{ending}" not in shapes:
            return
    bins = shapes[f"dis_pred_stride_{STRIDES[0]}"][-1] // 4
    usual = {"color": "bgr", "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
    yield Family("nanodet", "class scores and distances a stride", {"bins": bins}, usual, "letterbox")


def card_of(
    name: str,
    model: bytes,
    task: Task,
    labels: Sequence[str],
    license_id: str,
    spec: InputSpec,
    family: Family,
) -> ModelCard:
    """A card for a graph that lies beside it as `NAME.onnx`."""
    artifact = Artifact(
        uri=f"bundled:{name}.onnx",
        sha256=hashlib.sha256(model).hexdigest(),
        bytes=len(model),
        license=license_id,
        source="brought by its user",
    )
    return ModelCard(
        name=name, task=task, summary=f"{name}, brought by its user.", labels=tuple(labels), artifact=artifact,
        input=spec, decoder=family.decoder, decoder_params=family.params, iou=family.iou,
    )  # fmt: skip


def forms(spec: InputSpec, family: Family) -> list[InputSpec]:
    """How its pictures may be wanted: the usual form first."""
    made = []
    for form in (family.usual, *FORMS):
        for resize in dict.fromkeys((family.resize, "letterbox", "stretch")):
            one = InputSpec.model_validate(spec.model_dump() | form | {"resize": resize})
            if one not in made:
                made.append(one)
    return made


def tried(card: ModelCard, model: bytes, frame: Frame) -> Trial:
    """What a graph finds on a picture with the input that its card says.

    Raises:
        AihubError: its outputs are not what the decoder reads.
    """
    assert card.input is not None  # noqa: S101 - `card_of` gives it one
    session = started("onnxruntime").load(prepare_graph(model, card), RunSettings(batch=0))
    try:
        pixels, placement = prepare(frame, card.input)
        outputs = _run(session, card.input.name, pixels)
        if card.decoder is None:
            scores = probabilities(next(iter(outputs.values()))[0])
            best = {card.labels[row]: float(scores[row]) for row in np.argsort(scores)[:-6:-1].tolist()}
            return Trial(card.input, best, float(scores.max()))
        (raw,) = decoder_for(card).decode(outputs, SURE)
        if ((raw.confidence < 0) | (raw.confidence > 1.001)).any():
            raise InputError("its scores are no probabilities", field="file")
        found = finish(raw, card, placement)
        return Trial(card.input, found, float((found.confidence**2).sum()))
    finally:
        session.close()


def _run(session: Session, name: str, pixels: Tensor) -> dict[str, Tensor]:
    made = session.run({name: np.ascontiguousarray(pixels[None])})
    return {key: value.copy() for key, value in made.items()}


def best_card(card: ModelCard, model: bytes, family: Family, frame: Frame) -> tuple[ModelCard, list[Trial]]:
    """The card with the form of input that finds most on a picture, and all that was tried, the best first.

    Raises:
        InputError: no form finds anything.
    """
    assert card.input is not None  # noqa: S101 - `card_of` gives it one
    trials: list[Trial] = []
    reason: AihubError | None = None
    specs = forms(card.input, family)
    for spec in specs:
        try:
            trials.append(tried(card.model_copy(update={"input": spec}), model, frame))
        except AihubError as error:
            reason = error
    trials.sort(key=lambda trial: -trial.score)
    if not trials or trials[0].score <= 0:
        because = f": {reason.message}" if reason else ""
        raise InputError(f"nothing is found on this picture in any form of input{because}", field="picture")
    usual = next((trial for trial in trials if trial.input == specs[0]), trials[0])
    best = usual if usual.surest >= CLEAR else trials[0]
    ordered = [best, *(trial for trial in trials if trial is not best)]
    return card.model_copy(update={"input": best.input}), ordered


def renamed(family: Family, decoder: str) -> Family:
    """The family with the decoder that a person named."""
    return replace(family, decoder=decoder, because="as named")
