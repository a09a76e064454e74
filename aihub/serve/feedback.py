"""What somebody says about an alarm becomes a label: the boxes, and where policy allows it, the picture they are on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from aihub.errors import AihubError, ImageDecodeError, NotFoundError, ParamsError, UnsupportedTypeError
from aihub.events.feedback_pictures import FeedbackPictures
from aihub.jobs.folders import check_room
from aihub.serve.feedback_schemas import FeedbackBoxIn, FeedbackIn
from aihub.serve.pictures import read_header
from aihub.serve.services import Services
from aihub.storage.records import Actor
from aihub.types import Event, uuid7
from aihub.types.feedback import Feedback, KeptPicture, LabelledBox, Verdict

FACES = "faces"
"""Domain of the algorithms whose pictures are never kept: no card can say yet that its evidence may be."""


class _Evidence(NamedTuple):
    jpeg: bytes
    width: int
    height: int


def give(services: Services, event: Event, said: FeedbackIn, actor: Actor) -> Feedback:
    """Store what somebody says about an event, with its picture where that is allowed.

    Raises:
        ParamsError: the boxes do not fit the verdict or the picture.
        DiskFullError: there is no room for the picture.
        StorageError: neither is stored.
    """
    evidence = _evidence(services, event)
    boxes = _label(services, event, said, evidence)
    kept = _policy(services, event, evidence)
    at = time.time()
    made = Feedback(
        id=uuid7(at), event_id=event.id, tenant=event.tenant, stream_id=event.stream_id, algorithm=event.algorithm,
        algorithm_version=event.algorithm_version, label=_text(event.label), verdict=said.verdict, note=said.note,
        boxes=boxes, picture=kept, width=evidence.width if evidence else None,
        height=evidence.height if evidence else None, given_by=actor.name, at=at,
    )  # fmt: skip
    pictures = FeedbackPictures(services.settings.home)
    if evidence is not None and kept is KeptPicture.STORED:
        check_room(services.settings.home, len(evidence.jpeg))
        pictures.save(made.id, evidence.jpeg)
    try:
        replaced = services.repository.give_feedback(made, by=actor)
    except AihubError:
        _drop(pictures, made.id)
        raise
    if replaced is not None:
        _drop(pictures, replaced)
    return made


def forget(services: Services, feedback_id: str, *, actor: Actor, tenant: str | None) -> None:
    """Remove feedback with its picture.

    Raises:
        FeedbackNotFoundError: there is none of that id, or it is not of that tenant.
    """
    services.repository.delete_feedback(feedback_id, by=actor, tenant=tenant)
    _drop(FeedbackPictures(services.settings.home), feedback_id)


def _drop(pictures: FeedbackPictures, feedback_id: str) -> None:
    with suppress(OSError):  # the sweep removes what has no row
        pictures.remove(feedback_id)


def _evidence(services: Services, event: Event) -> _Evidence | None:
    """The picture of an event and its size; None when it has none, or no longer one that can be read."""
    if event.snapshot is None:
        return None
    try:
        jpeg = services.artifacts.read(event.snapshot)
        header = read_header(jpeg)
    except (NotFoundError, ImageDecodeError, UnsupportedTypeError):
        return None
    return _Evidence(jpeg, header.width, header.height)


def _policy(services: Services, event: Event, evidence: _Evidence | None) -> KeptPicture:
    if not services.settings.feedback_pictures or _about_faces(services, event.algorithm):
        return KeptPicture.NOT_ALLOWED
    return KeptPicture.GONE if evidence is None else KeptPicture.STORED


def _about_faces(services: Services, algorithm_id: str) -> bool:
    """Whether an algorithm is about faces; of one that is no longer there nobody knows, so it counts as one."""
    try:
        return services.registry.get(algorithm_id).card.domain == FACES
    except NotFoundError:
        return True


def _label(
    services: Services, event: Event, said: FeedbackIn, evidence: _Evidence | None
) -> list[LabelledBox]:
    if said.boxes:
        if said.verdict is Verdict.FALSE:
            raise ParamsError(
                "boxes: a false alarm has none",
                field="boxes",
                hint="say `missed` or `true` with what is there",
            )
        return _checked(said.boxes, evidence)
    if said.verdict is not Verdict.TRUE or said.boxes is not None or evidence is None:
        return []
    return _own(services.repository.sighting(event), evidence)


def _checked(boxes: Sequence[FeedbackBoxIn], evidence: _Evidence | None) -> list[LabelledBox]:
    if evidence is None:
        raise ParamsError(
            "boxes: the event has no picture (any more) that they could be on",
            field="boxes",
            hint="say it without boxes",
        )
    for number, given in enumerate(boxes):
        x, y, width, height = given.box
        if x + width > evidence.width or y + height > evidence.height:
            raise ParamsError(
                f"boxes[{number}].box: not inside the picture of {evidence.width} x {evidence.height} pixels",
                field=f"boxes[{number}].box",
            )
    return [LabelledBox(label=given.label, box=given.box) for given in boxes]


def _own(seen: Event, evidence: _Evidence) -> list[LabelledBox]:
    """The event's own box; none when it was about the whole picture."""
    if seen.box is None:
        return []
    width, height = evidence.width, evidence.height
    x1, x2 = (round(min(max(side, 0.0), 1.0) * width, 2) for side in seen.box[::2])
    y1, y2 = (round(min(max(side, 0.0), 1.0) * height, 2) for side in seen.box[1::2])
    if x2 <= x1 or y2 <= y1:
        return []
    return [LabelledBox(label=_text(seen.label), box=(x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)))]


def _text(label: str) -> str:
    """A label as every database can hold it: what a code on the picture says may be anything."""
    return label.replace("\0", "")
