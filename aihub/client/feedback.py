"""Calls about what people say about alarms."""

from __future__ import annotations

from collections.abc import Sequence

from aihub.client.calls import Call, Pages, call, content, given, many, nothing, one, pages
from aihub.types.feedback import Feedback, Verdict

PAGE = 500

Place = tuple[float, float, float, float]
"""x, y, width and height in pixels of the event's picture."""


class FeedbackCalls:
    """Whether alarms were right, and what was to be seen."""

    @call("POST", "/v1/events/{event_id}/feedback")
    def give_feedback(
        self,
        event_id: str,
        verdict: Verdict | str,
        *,
        note: str = "",
        boxes: Sequence[tuple[str, Place]] | None = None,
    ) -> Call[Feedback]:
        """Say whether an alarm was right. Saying it again with the same key replaces what was said before.

        Args:
            event_id: which alarm.
            verdict: `true`, `false`, or `missed` when something on its picture was not found.
            note: for people.
            boxes: label and place of all that is on the picture; None for `true` means the event's own box.

        Raises:
            EventNotFoundError: no such event, or not yours.
            ParamsError: a box is not inside the picture; `field` says which.
        """
        body = {"verdict": str(verdict), "note": note}
        named = None if boxes is None else [{"label": label, "box": list(box)} for label, box in boxes]
        return Call(one(Feedback), ids=(event_id,), json=body | {"boxes": named}, again=True)

    @call("GET", "/v1/events/{event_id}/feedback")
    def event_feedback(self, event_id: str) -> Call[list[Feedback]]:
        """What was said about an event, newest first.

        Raises:
            EventNotFoundError: no such event, or not yours.
        """
        return Call(many(Feedback), ids=(event_id,))

    @pages("/v1/feedback")
    def feedback(
        self,
        *,
        algorithm: str | None = None,
        verdict: Verdict | str | None = None,
        since: float | None = None,
        limit: int | None = None,
    ) -> Pages[Feedback]:
        """What was said about all events, newest first, fetched page by page.

        Args:
            algorithm: only about events of this one.
            verdict: only this one.
            since: said at or after, epoch seconds.
            limit: at most so many.
        """
        query = given(
            algorithm=algorithm, verdict=verdict, since=since,
            limit=PAGE if limit is None else max(1, min(limit, PAGE)),
        )  # fmt: skip
        return Pages(Feedback.read, query=query, limit=limit)

    @call("GET", "/v1/feedback/{feedback_id}/picture")
    def feedback_picture(self, feedback_id: str) -> Call[bytes]:
        """The picture that feedback is about, JPEG. Every look at it is noted in the hub's audit.

        Raises:
            NotFoundError: no such feedback, or none with a picture.
        """
        return Call(content, ids=(feedback_id,))

    @call("DELETE", "/v1/feedback/{feedback_id}")
    def delete_feedback(self, feedback_id: str) -> Call[None]:
        """Remove feedback with its picture.

        Raises:
            NotFoundError: no such feedback, or not yours.
        """
        return Call(nothing, ids=(feedback_id,))
