"""Feedback with both clients: what is said comes back, and errors are the hub's."""

from __future__ import annotations

import dataclasses

import pytest

from aihub import errors
from aihub.client import AihubClient, Verdict
from aihub.types import Frame
from tests.serve.hub import TestHub, event, picture


def test_feedback(hub: TestHub, client: AihubClient) -> None:
    seen = event(1, box=(0.25, 0.5, 0.75, 1.0))
    name = hub.artifacts.save_snapshot(seen, Frame(picture()))
    hub.repository.save_transitions([seen.model_copy(update={"snapshot": name}), event(2)])
    first = client.give_feedback(seen.id, "true", note="so it was")
    assert (first.verdict, first.note, first.given_by) == (Verdict.TRUE, "so it was", "test")
    assert [(box.label, box.box) for box in first.boxes] == [("thing", (16, 24, 32, 24))]
    again = client.give_feedback(seen.id, Verdict.MISSED, boxes=[("cat, small", (1, 2, 3.5, 4))])
    assert [(box.label, box.box) for box in again.boxes] == [("cat, small", (1, 2, 3.5, 4))]
    other = client.give_feedback(event(2).id, Verdict.FALSE)
    assert client.event_feedback(seen.id) == [again]
    assert {said.id for said in client.feedback()} == {again.id, other.id}
    assert list(client.feedback(verdict="false", algorithm="thing-detection", since=0)) == [other]
    assert len(list(client.feedback(limit=1))) == 1
    with pytest.raises(errors.NotFoundError):
        client.feedback_picture(again.id)
    client.delete_feedback(again.id)
    with pytest.raises(errors.NotFoundError):
        client.delete_feedback(again.id)
    with pytest.raises(errors.EventNotFoundError):
        client.give_feedback("nobody", "true")
    with pytest.raises(errors.ParamsError) as caught:
        client.give_feedback(seen.id, "missed", boxes=[("cat", (60, 0, 5, 1))])
    assert caught.value.field == "boxes[0].box"


def test_the_picture(hub: TestHub, client: AihubClient) -> None:
    parts = hub.app.state.parts
    allowing = hub.services.settings.model_copy(update={"feedback_pictures": True})
    hub.app.state.parts = dataclasses.replace(
        parts, services=dataclasses.replace(parts.services, settings=allowing)
    )
    seen = event(1)
    name = hub.artifacts.save_snapshot(seen, Frame(picture()))
    hub.repository.save_transitions([seen.model_copy(update={"snapshot": name})])
    said = client.give_feedback(seen.id, "false")
    assert client.feedback_picture(said.id) == hub.artifacts.read(name)
