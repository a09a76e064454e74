"""From a picture of one person to a template that is worth keeping, or why not."""

from __future__ import annotations

import numpy as np

from aihub.algorithms.base import Stage
from aihub.algorithms.builtin.face_quality import FIT, FaceQuality, FaceQualityParams
from aihub.algorithms.faces.asking import PATIENCE_S, sides
from aihub.algorithms.faces.embedding import Templates, embed
from aihub.errors import DeadlineError, InputError
from aihub.types import Detections, Frame, Predictor

DETECTOR = "face-points"
CONFIDENCE = 0.6
OVERSHADOWS = 2.0
"""A face this many times as large as all others is whom the picture is of."""

_ADVICE = {
    "small": "come nearer, or send a larger picture: 24 pixels between the eyes at least",
    "turned": "look into the camera",
    "dark": "more light",
    "bright": "less light",
    "uneven": "light from the front",
    "blurred": "hold still, and focus",
}


def template_of(predictor: Predictor, frame: Frame) -> Templates:
    """The template of the one person on a picture.

    Raises:
        InputError: nobody is on it, or several people are, or the face is not fit; says what to do.
        AihubError: a model refused or failed.
    """
    asked = predictor.detect(DETECTOR, frame, confidence=CONFIDENCE, source=frame.source)
    try:
        faces = asked.result(PATIENCE_S).select(("face",))
    except TimeoutError as error:
        raise DeadlineError("the face detector did not answer in time") from error
    face = faces[np.array([_whose(faces)])]
    judge: Stage[FaceQualityParams] = FaceQuality(FaceQualityParams(), predictor)
    judged = judge.process(frame, face)
    assert isinstance(judged, Detections)  # noqa: S101 - as the stage says
    verdict = judged.attributes[0]["comparison"] if judged.attributes else "no-landmarks"
    if verdict != FIT:
        raise InputError(f"the face is not fit to be compared: {verdict}", hint=_ADVICE.get(str(verdict)))
    return embed(predictor, frame, face)


def _whose(faces: Detections) -> int:
    """The row of the face that a picture is of."""
    if not len(faces):
        raise InputError("there is no face on the picture", hint="one person, from the front")
    size = sides(faces)
    order = np.argsort(-size, kind="stable")
    if len(faces) > 1 and size[order[0]] < OVERSHADOWS * size[order[1]]:
        raise InputError(f"there are {len(faces)} faces on the picture", hint="one person, from the front")
    return int(order[0])
