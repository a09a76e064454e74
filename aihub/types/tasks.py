"""What an algorithm gives back, by the names of the field."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """The kind of a result, one result type each (see `aihub.types.results`), or what a model's tensors are for."""

    OBJECT_DETECTION = "object-detection"
    FACE_DETECTION = "face-detection"
    IMAGE_CLASSIFICATION = "image-classification"
    TEXT_RECOGNITION = "text-recognition"
    CODE_READING = "code-reading"
    PICTURE_QUALITY = "picture-quality"
    SPEECH_RECOGNITION = "speech-recognition"
    SOUND_EVENT_DETECTION = "sound-event-detection"
    RULE = "rule"
    CLASSIFICATION = "classification"
    FIELD_EXTRACTION = "field-extraction"
    SEMANTIC_SEGMENTATION = "semantic-segmentation"
    PICTURE = "picture"
    SOUND = "sound"
    SERIES_ANALYSIS = "series-analysis"
    POSE_ESTIMATION = "pose-estimation"
    LANDMARK_DETECTION = "landmark-detection"
    EMBEDDING = "embedding"


class InputKind(StrEnum):
    """What an algorithm can be given."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    SERIES = "series"
