"""What flows through the hub: frames, results, events, streams, cards."""

from aihub.types.bill import Bill
from aihub.types.cards import (
    MAX_WEIGHTS_BYTES,
    AlgorithmCard,
    Artifact,
    EventSpec,
    Example,
    InputSpec,
    ModelCard,
    Param,
    Readiness,
    ScenarioCard,
    ScenarioPart,
    load_card,
    read_card,
)
from aihub.types.events import Event, EventState, Severity, uuid7
from aihub.types.frame import Frame, Image, Memo
from aihub.types.labels import Field, Fields, Labels
from aihub.types.pixels import Mask, Picture
from aihub.types.predictor import Predictor, Tensor
from aihub.types.results import (
    AnyResult,
    Codes,
    Detections,
    Findings,
    Observation,
    Quality,
    Result,
    Seen,
    Texts,
    result_from_json,
)
from aihub.types.series import Passage, Points, Series
from aihub.types.sound import (
    SAMPLE_RATE,
    Recording,
    Samples,
    Segment,
    Sound,
    SoundEvents,
    Transcript,
    Word,
    joined,
)
from aihub.types.streams import Sampling, StreamSpec, StreamState, StreamStatus, StreamTask
from aihub.types.tasks import InputKind, Task

__all__ = [
    "MAX_WEIGHTS_BYTES", "SAMPLE_RATE", "AlgorithmCard", "AnyResult", "Artifact", "Bill", "Codes", "Detections", "Event",
    "EventSpec", "EventState", "Example", "Field", "Fields", "Findings", "Frame", "Image", "InputKind", "InputSpec", "Labels",
    "Mask", "Memo", "ModelCard", "Observation", "Param", "Passage", "Picture", "Points", "Predictor", "Quality", "Readiness",
    "Recording", "Result", "Samples", "Sampling", "ScenarioCard", "ScenarioPart", "Seen", "Segment", "Series", "Severity", "Sound", "SoundEvents", "StreamSpec",
    "StreamState", "StreamStatus", "StreamTask", "Task", "Tensor", "Texts", "Transcript", "Word", "joined", "load_card", "read_card",
    "result_from_json", "uuid7",
]  # fmt: skip
