"""What flows through the hub: frames, results, events, streams, cards."""

from aihub.types.cards import (
    AlgorithmCard,
    Artifact,
    EventSpec,
    Example,
    InputSpec,
    ModelCard,
    Param,
    Readiness,
    load_card,
)
from aihub.types.events import Event, EventState, Severity, uuid7
from aihub.types.frame import Frame, Image, Memo
from aihub.types.predictor import Predictor, Tensor
from aihub.types.results import (
    AnyResult,
    Codes,
    Detections,
    Findings,
    Observation,
    Quality,
    Result,
    Texts,
    result_from_json,
)
from aihub.types.streams import Sampling, StreamSpec, StreamState, StreamStatus, StreamTask
from aihub.types.tasks import InputKind, Task

__all__ = [
    "AlgorithmCard", "AnyResult", "Artifact", "Codes", "Detections", "Event", "EventSpec", "EventState", "Example",
    "Findings", "Frame", "Image", "InputKind", "InputSpec", "Memo", "ModelCard", "Observation", "Param", "Predictor",
    "Quality", "Readiness", "Result", "Sampling", "Severity", "StreamSpec", "StreamState", "StreamStatus", "StreamTask",
    "Task", "Tensor", "Texts", "load_card", "result_from_json", "uuid7",
]  # fmt: skip
