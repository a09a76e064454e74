"""Results as JSON, one model a task: what `to_json` of `aihub.types.results` gives, for typed clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Box = Annotated[list[float], Field(min_length=4, max_length=4, description="x1, y1, x2, y2")]
Quad = Annotated[
    list[Annotated[list[float], Field(min_length=2, max_length=2)]],
    Field(
        min_length=4, max_length=4, description="Four corners x, y in pixels, clockwise from the top left."
    ),
]
Confidence = Annotated[float, Field(ge=0, le=1)]


class DetectionOut(BaseModel):
    """One thing found."""

    box: Box = Field(description="x1, y1, x2, y2 in pixels of the picture that was sent.")
    label: str
    confidence: Confidence
    track_id: int | None = None
    keypoints: list[list[float]] | None = None


class DetectionsOut(BaseModel):
    """Things found in a picture."""

    task: Literal["object-detection"]
    detections: list[DetectionOut]


class TextOut(BaseModel):
    """One line of text."""

    quad: Quad
    text: str
    confidence: Confidence


class TextsOut(BaseModel):
    """Lines of text, top to bottom."""

    task: Literal["text-recognition"]
    texts: list[TextOut]


class CodeOut(BaseModel):
    """One QR code or barcode."""

    quad: Quad
    text: str
    format: str


class CodesOut(BaseModel):
    """QR codes and barcodes."""

    task: Literal["code-reading"]
    codes: list[CodeOut]


class QualityOut(BaseModel):
    """A verdict on the picture itself."""

    task: Literal["picture-quality"]
    fault: bool
    score: Confidence
    measures: dict[str, float]


class ObservationOut(BaseModel):
    """A condition that holds on the picture."""

    key: str
    label: str
    confidence: Confidence
    box: Box | None = Field(description="Relative x1, y1, x2, y2; null when it is about the whole picture.")
    data: dict[str, Any]


class FindingsOut(BaseModel):
    """What a rule makes of what was found."""

    task: Literal["rule"]
    found: Annotated[DetectionsOut | TextsOut | CodesOut | QualityOut, Field(discriminator="task")]
    observations: list[ObservationOut]
    measures: dict[str, float]


ResultOut = Annotated[
    DetectionsOut | TextsOut | CodesOut | QualityOut | FindingsOut, Field(discriminator="task")
]
