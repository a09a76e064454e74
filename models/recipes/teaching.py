"""Labels by a teacher: what a good model that is slower, or finds nothing else, says of pictures that nobody labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aihub.evaluation import Predict, Truth, ask
from aihub.evaluation.detections import gather

SURE = 0.6
"""What a teacher is this sure of counts as there."""
DOUBT = 0.3
"""What it is less sure of than `SURE` but more than this may be there or not: nothing is learned from it, and nothing measured."""


def taught(truth: Truth, teacher: Predict, labels: Sequence[str]) -> Truth:
    """The same pictures with the teacher's boxes in place of people's; those in doubt are marked as `crowd`.

    Args:
        truth: names the pictures.
        teacher: looks at each.
        labels: of the teacher; its others are left out.

    Raises:
        AihubError: as `aihub.evaluation.ask`.
    """
    found = gather(ask(teacher, truth).found, {label: label for label in labels}, tuple(labels))
    kept = found.confidence >= DOUBT
    size = np.array([(picture.width, picture.height) for picture in truth.pictures], np.float64)
    picture = found.picture[kept]
    xyxy = found.xyxy[kept].clip(0, np.tile(size[picture], 2))
    return replace(
        truth,
        labels=tuple(labels),
        xyxy=xyxy,
        picture=picture,
        class_id=found.class_id[kept],
        area=(xyxy[:, 2:] - xyxy[:, :2]).prod(1),
        crowd=found.confidence[kept] < SURE,
        bare=np.bincount(picture, minlength=len(size)) == 0,
        incomplete=frozenset(),
    )
