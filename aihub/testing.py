"""For tests of algorithms, ours and third parties': a predictor that says what you tell it, and the check of a card.

from aihub.testing import FakePredictor, boxes, check_algorithm, frame

predictor = FakePredictor({"coco": boxes(("person", 0.9, (10, 10, 50, 90)))})

def test_card():
    check_algorithm(Path("pipelines/yard/my-algorithm.yaml"), predictor)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aihub.errors import AihubError, ModelNotFoundError
from aihub.types import Bill, Detections, Frame, Image, Tensor

if TYPE_CHECKING:
    from aihub.algorithms.check import CheckReport

Answer = Detections | AihubError | Callable[[Frame], Detections] | Sequence[Detections]
Run = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


class Call(NamedTuple):
    """A question that a `FakePredictor` was asked."""

    model: str
    source: str
    seq: int


class FakePredictor:
    """Satisfies `Predictor` without a model: answers are scripted.

    Attributes:
        calls: every detection asked for, in order.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer] | None = None,
        *,
        runs: Mapping[str, Run] | None = None,
        metadata: Mapping[str, Mapping[str, str]] | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        """Script the answers.

        Args:
            answers: for each model (or role) what it detects: the same on every frame, a function of the frame, one
                after the other (the last for ever), or an error.
            runs: for each model a function from raw inputs to raw outputs.
            metadata: for each model what its graph carries.
            missing: models whose weights are not here.
        """
        self._answers = dict(answers or {})
        self._runs = dict(runs or {})
        self._metadata = dict(metadata or {})
        self._missing = frozenset(missing)
        self._lock = threading.Lock()
        self._asked: dict[str, int] = {}
        self.calls: list[Call] = []

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,  # noqa: ARG002 - a fake is never late
    ) -> Future[Detections]:
        """The scripted answer, without the rows below `confidence`."""
        with self._lock:
            self.calls.append(Call(model, source, frame.seq))
            turn = self._asked[model] = self._asked.get(model, -1) + 1
        answer = self._answers.get(model)
        future: Future[Detections] = Future()
        if answer is None:
            future.set_exception(ModelNotFoundError(model, self._answers))
        elif isinstance(answer, AihubError):
            future.set_exception(answer)
        else:
            found = _answered(answer, frame, turn)
            future.set_result(found[found.confidence >= np.float32(confidence)])
        return future

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",  # noqa: ARG002 - a fake serves all alike
        deadline: float | None = None,  # noqa: ARG002 - a fake is never late
        bill: Bill | None = None,  # noqa: ARG002 - a fake costs nothing
    ) -> Future[dict[str, Tensor]]:
        """What the scripted function makes of the inputs."""
        future: Future[dict[str, Tensor]] = Future()
        if model in self._runs:
            future.set_result(self._runs[model](inputs))
        else:
            future.set_exception(ModelNotFoundError(model, self._runs))
        return future

    def metadata(self, model: str) -> Mapping[str, str]:
        """What was scripted for the model; nothing otherwise."""
        return self._metadata.get(model, {})

    def missing(self, models: Sequence[str]) -> list[str]:
        """Those that were said to be missing."""
        return [model for model in models if model in self._missing]


def _answered(answer: Answer, frame: Frame, turn: int) -> Detections:
    if isinstance(answer, Detections):
        return answer
    if callable(answer):
        return answer(frame)
    if isinstance(answer, Sequence):
        return answer[min(turn, len(answer) - 1)]
    raise answer


def boxes(
    *rows: tuple[str, float, tuple[float, float, float, float]], labels: Sequence[str] = ()
) -> Detections:
    """Detections from rows of label, confidence and box in pixels, surest first.

    Args:
        rows: what is there.
        labels: all labels of the model; those that occur, in order, are added.
    """
    known = tuple(dict.fromkeys((*labels, *(label for label, _, _ in rows))))
    ordered = sorted(rows, key=lambda row: -row[1])
    return Detections(
        np.array([box for _, _, box in ordered], np.float32).reshape(-1, 4),
        np.array([confidence for _, confidence, _ in ordered], np.float32),
        np.array([known.index(label) for label, _, _ in ordered], np.int32),
        known,
    )


def picture(height: int = 360, width: int = 640, *, seed: int = 0) -> Image:
    """A picture of noise, the same for the same seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def frame(image: Image | None = None, *, source: str = "test", seq: int = 0, at: float = 0.0) -> Frame:
    """A frame at a moment in seconds; of noise where no picture is given."""
    return Frame(picture() if image is None else image, source, seq, 1_767_225_600.0 + at, at)


def clip(images: Sequence[Image], *, fps: float = 5.0, source: str = "test") -> Iterator[Frame]:
    """Frames that follow each other at a rate."""
    for seq, image in enumerate(images):
        yield frame(image, source=source, seq=seq, at=seq / fps)


def check_algorithm(
    card: Path,
    predictor: FakePredictor | None = None,
    *,
    media: Path | None = None,
    out: Path | None = None,
) -> CheckReport:
    """Prove one card as `aihub algorithms check` does; stages of installed plug-ins and of imported modules are known.

    Args:
        card: the YAML file.
        predictor: answers for the models of the examples; none are needed by classic algorithms.
        media: folder of the media the examples name.
        out: folder for annotated pictures.

    Raises:
        CardError: the card is broken.
        AssertionError: a check failed; says which and why.
    """
    # imported here so that fakes alone stay light
    from aihub.algorithms.algorithm import Algorithm
    from aihub.algorithms.check import check
    from aihub.plugins import load_group
    from aihub.types import AlgorithmCard, load_card

    load_group("aihub.algorithms")
    load_group("aihub.rules")
    models = predictor or FakePredictor()
    report = check(Algorithm(load_card(card, AlgorithmCard), models, card), models, media=media, out=out)
    if not report.passed:
        raise AssertionError("\n".join(report.failures()))
    return report
