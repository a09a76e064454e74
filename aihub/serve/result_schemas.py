"""Results as JSON, one model a task: what `to_json` of `aihub.types.results` gives, for typed clients.

`ColumnsOut` is what `fields=` makes of any of them (see `aihub.serve.columns`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from aihub.algorithms.algorithm import Algorithm
from aihub.serve.audio.schemas import RecordingOut, SoundEventsOut, TranscriptOut
from aihub.types import (
    AnyResult,
    Codes,
    Detections,
    Fields,
    Findings,
    Labels,
    Mask,
    Picture,
    Points,
    Quality,
    Recording,
    SoundEvents,
    Task,
    Texts,
    Transcript,
)
from aihub.types.answers import Problem

Box = Annotated[list[float], Field(min_length=4, max_length=4, description="x1, y1, x2, y2")]
Quad = Annotated[
    list[Annotated[list[float], Field(min_length=2, max_length=2)]],
    Field(
        min_length=4, max_length=4, description="Four corners x, y in pixels, clockwise from the top left."
    ),
]
Confidence = Annotated[float, Field(ge=0, le=1)]


class Drawn(BaseModel):
    """Base of results of a picture."""

    annotated: str | None = Field(
        None, description="With `annotate=true`: the picture with this result drawn on it, JPEG in base64."
    )


class DetectionOut(BaseModel):
    """One thing found."""

    box: Box = Field(description="x1, y1, x2, y2 in pixels of the picture that was sent.")
    label: str
    confidence: Confidence
    track_id: int | None = None
    keypoints: list[list[float]] | None = None
    attributes: dict[str, Any] | None = Field(
        None, description="What else is known of it, such as its plate."
    )


class DetectionsOut(Drawn):
    """Things found in a picture."""

    task: Literal["object-detection"]
    detections: list[DetectionOut]


class TextOut(BaseModel):
    """One line of text."""

    quad: Quad
    text: str
    confidence: Confidence


class TextsOut(Drawn):
    """Lines of text, top to bottom."""

    task: Literal["text-recognition"]
    texts: list[TextOut]


class CodeOut(BaseModel):
    """One QR code or barcode."""

    quad: Quad
    text: str
    format: str


class CodesOut(Drawn):
    """QR codes and barcodes."""

    task: Literal["code-reading"]
    codes: list[CodeOut]


class QualityOut(Drawn):
    """A verdict on the picture itself."""

    task: Literal["picture-quality"]
    fault: bool
    score: Confidence
    measures: dict[str, float]


class LabelOut(BaseModel):
    """One name for the whole."""

    label: str
    confidence: Confidence


class LabelsOut(Drawn):
    """What the whole of a picture or text is, surest first."""

    task: Literal["classification"]
    labels: list[LabelOut]
    measures: dict[str, float]


class FieldOut(BaseModel):
    """One thing that was read."""

    name: str
    value: str
    confidence: Confidence
    valid: bool | None = Field(description="Whether its check digits or form hold; null where it has none.")
    quad: Quad | None = Field(description="Where it stands in a picture.")
    span: list[int] | None = Field(
        description="Where it stands in a text: first character, and the one after the last."
    )


class FieldsOut(Drawn):
    """What was read by name, in reading order."""

    task: Literal["field-extraction"]
    fields: list[FieldOut]


class MaskOut(Drawn):
    """A class for every pixel."""

    task: Literal["semantic-segmentation"]
    labels: list[str] = Field(description="The first is background.")
    shares: dict[str, Confidence]
    mask: str = Field(
        description="Grey PNG of the picture's size in base64; each value is an index of `labels`."
    )


class PictureOut(Drawn):
    """A picture made out of the one that was sent."""

    task: Literal["picture"]
    width: int
    height: int
    measures: dict[str, float]
    image: str = Field(description="JPEG in base64.")


class PointOut(BaseModel):
    """One point of a series: found in it, or foretold."""

    at: float = Field(description="Seconds since the epoch.")
    value: float | None
    low: float | None
    high: float | None
    label: str
    score: Confidence


class PointsOut(BaseModel):
    """What was found in a series, or foretold."""

    task: Literal["series-analysis"]
    points: list[PointOut]
    measures: dict[str, float]


class ObservationOut(BaseModel):
    """A condition that holds on the picture."""

    key: str
    label: str
    confidence: Confidence
    box: Box | None = Field(description="Relative x1, y1, x2, y2; null when it is about the whole picture.")
    data: dict[str, Any]


SeenOut = DetectionsOut | TextsOut | CodesOut | QualityOut | LabelsOut | FieldsOut | MaskOut | PictureOut


class FindingsOut(Drawn):
    """What a rule makes of what was found."""

    task: Literal["rule"]
    found: Annotated[SeenOut, Field(discriminator="task")]
    observations: list[ObservationOut]
    measures: dict[str, float]


ResultOut = Annotated[SeenOut | FindingsOut | PointsOut, Field(discriminator="task")]


class ColumnsOut(Drawn):
    """Columns of a result, as many as `fields` named and the result has; one entry a row, in the order of the rows."""

    model_config = ConfigDict(extra="forbid")

    task: Task
    boxes: list[Box] = Field(default_factory=list, description="Pixels of the picture that was sent.")
    labels: list[str] = Field(default_factory=list)
    scores: list[Confidence] = Field(default_factory=list)
    track_ids: list[int | None] = Field(default_factory=list)
    keypoints: list[list[list[float]] | None] = Field(default_factory=list)
    quads: list[Quad | None] = Field(default_factory=list)
    texts: list[str] = Field(default_factory=list)
    formats: list[str] = Field(default_factory=list)
    fault: bool | None = None
    score: Confidence | None = None
    measures: dict[str, float] | None = None
    observations: list[ObservationOut] = Field(default_factory=list)
    attributes: list[dict[str, Any] | None] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list)
    values: list[str | float | None] = Field(default_factory=list)
    valid: list[bool | None] = Field(default_factory=list)
    spans: list[list[int] | None] = Field(default_factory=list)
    at: list[float] = Field(default_factory=list)
    lows: list[float | None] = Field(default_factory=list)
    highs: list[float | None] = Field(default_factory=list)
    shares: dict[str, Confidence] | None = None


class InferAnswer(BaseModel):
    """Results of one request, one for each picture in the order they were sent."""

    algorithm: str
    version: int
    results: list[ResultOut | ColumnsOut] = Field(description="Whole results; columns of them with `fields`.")
    took_ms: float = Field(description="From the first byte decoded to the last result, milliseconds.")


class AlgorithmAnswer(BaseModel):
    """What one of several algorithms gave: results, or the error that it met."""

    algorithm: str
    version: int | None = Field(description="Null when there is no such algorithm.")
    results: list[ResultOut | ColumnsOut] = Field(
        description="One for each picture in the order they were sent; empty with an error."
    )
    error: Problem | None = None


class ManyAnswer(BaseModel):
    """What several algorithms gave for the same pictures, in the order they were asked for."""

    answers: list[AlgorithmAnswer]
    took_ms: float = Field(description="From the first byte decoded to the last result, milliseconds.")


_MODELS: dict[Any, type[BaseModel]] = {
    Detections: DetectionsOut,
    Texts: TextsOut,
    Codes: CodesOut,
    Quality: QualityOut,
    Findings: FindingsOut,
    Transcript: TranscriptOut,
    SoundEvents: SoundEventsOut,
    Recording: RecordingOut,
    Labels: LabelsOut,
    Fields: FieldsOut,
    Mask: MaskOut,
    Picture: PictureOut,
    Points: PointsOut,
}
_SEVERAL = 2
"""A stage that hands on what it was given says so by naming this many types of result; more say nothing."""


def result_schema(algorithm: Algorithm) -> dict[str, Any]:
    """JSON schema of what an algorithm gives for a picture or sound; of any of a picture where its stages do not say which."""
    kind = _kind(algorithm)
    return TypeAdapter(_MODELS[kind] if kind else ResultOut).json_schema(mode="serialization")


def _kind(algorithm: Algorithm) -> type[AnyResult] | None:
    """The type that the chain ends with, from what its stages promise; `filter` gives what it was given."""
    fitting: set[Any] = set(_MODELS)
    for stage, _ in reversed(algorithm.resolve({}).stages):
        try:
            promised = get_type_hints(getattr(stage, stage.works_by))["return"]
        except (NameError, KeyError):  # of a third party
            return None
        kinds = set(get_args(promised)) or {promised}
        fitting &= kinds
        if len(fitting) == 1:
            (kind,) = fitting
            return kind  # type: ignore[no-any-return]
        if len(kinds) > _SEVERAL:
            return None
    return None
