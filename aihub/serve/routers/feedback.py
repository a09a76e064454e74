"""`/v1/events/{id}/feedback` and `/v1/feedback`: what people say about alarms."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from aihub.events.feedback_pictures import FeedbackPictureNotFoundError, FeedbackPictures
from aihub.serve import feedback
from aihub.serve.access import Responder, TheServices
from aihub.serve.account_schemas import PLAIN
from aihub.serve.audit import TheActor, noting, noting_failure
from aihub.serve.feedback_schemas import FeedbackIn, FeedbackList, FeedbackPage
from aihub.serve.jpeg import A_JPEG, evidence
from aihub.serve.problems import documented
from aihub.types.feedback import Feedback, KeptPicture, Verdict

router = APIRouter(prefix="/v1", tags=["feedback"], responses=documented())


@router.post(
    "/events/{event_id}/feedback",
    operation_id="giveFeedback",
    summary="Say whether an alarm was right",
    status_code=201,
    responses=documented(404, 507),
)
def give_feedback(
    event_id: str, body: FeedbackIn, services: TheServices, caller: Responder, actor: TheActor
) -> Feedback:
    """One piece of feedback per event and key: saying it again replaces it, under a new id. Noted in the audit.

    The label (verdict and boxes) is always stored. A copy of the event's picture is kept with it only where the setting
    `feedback_pictures` allows that, and never of algorithms about faces; `picture` in the answer says which.
    """
    with noting_failure(services.repository, actor, "feedback.give", event_id):
        event = services.repository.get_event(event_id, tenant=caller.sees)
        return feedback.give(services, event, body, actor)


@router.get(
    "/events/{event_id}/feedback",
    operation_id="listEventFeedback",
    summary="What was said about an event",
    responses=documented(404),
)
def list_event_feedback(event_id: str, services: TheServices, caller: Responder) -> FeedbackList:
    """Of all keys, newest first."""
    event = services.repository.get_event(event_id, tenant=caller.sees)
    return FeedbackList(items=services.repository.feedback_of_event(event.id))


@router.get("/feedback", operation_id="listFeedback", summary="List feedback")
def list_feedback(
    services: TheServices,
    caller: Responder,
    algorithm: Annotated[
        str | None, Query(max_length=64, pattern=PLAIN, description="Id of an algorithm.")
    ] = None,
    verdict: Verdict | None = None,
    since: Annotated[float | None, Query(description="Said at or after, epoch seconds.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FeedbackPage:
    """What was said about all events of the tenant, newest first; also about events that are forgotten by now."""
    page = services.repository.list_feedback(
        tenant=caller.sees, algorithm=algorithm, verdict=verdict, since=since, cursor=cursor, limit=limit
    )
    return FeedbackPage(items=page.items, next_cursor=page.cursor)


@router.get(
    "/feedback/{feedback_id}/picture",
    operation_id="getFeedbackPicture",
    summary="The picture that feedback is about",
    response_class=Response,
    responses=documented(404) | A_JPEG,
)
def get_feedback_picture(
    feedback_id: str, services: TheServices, caller: Responder, actor: TheActor
) -> Response:
    """The copy of the event's evidence, without anything drawn on it. Every try to look at it is noted in the audit."""
    with noting(services.repository, actor, "feedback.picture", feedback_id):
        found = services.repository.get_feedback(feedback_id, tenant=caller.sees)
        if found.picture is not KeptPicture.STORED:
            raise FeedbackPictureNotFoundError(feedback_id)
        picture = FeedbackPictures(services.settings.home).read(feedback_id)
    return evidence(picture)


@router.delete(
    "/feedback/{feedback_id}",
    operation_id="deleteFeedback",
    summary="Remove feedback",
    status_code=204,
    responses=documented(404),
)
def delete_feedback(feedback_id: str, services: TheServices, caller: Responder, actor: TheActor) -> Response:
    """Remove it with its picture. Noted in the audit."""
    with noting_failure(services.repository, actor, "feedback.delete", feedback_id):
        feedback.forget(services, feedback_id, actor=actor, tenant=caller.sees)
    return Response(status_code=204)
