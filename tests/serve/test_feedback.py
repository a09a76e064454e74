"""`/v1/events/{id}/feedback` and `/v1/feedback`: what people say becomes a label, and a picture only where that is allowed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.errors import StorageError
from aihub.events.feedback_pictures import FeedbackPictures
from aihub.jobs import folders
from aihub.serve.housekeeping import forget_the_old
from aihub.storage.repository import Repository
from aihub.types import Event, EventState, Frame
from tests.serve.hub import CARDS, TestHub, bearer, event, failing, picture
from tests.serve.test_infer import problem

EVENTS = "/v1/events"
FEEDBACK = "/v1/feedback"
WIDE, HIGH = 64, 48
BOX = (0.25, 0.5, 0.75, 1.0)
BOX_IN_PIXELS = [16.0, 24.0, 32.0, 24.0]
DAY_S = 86_400.0


@pytest.fixture
def keeping(database_template: Path, tmp_path: Path) -> Iterator[TestHub]:
    """A hub whose operator allows pictures of feedback, with an algorithm about faces."""
    folder = tmp_path / "keeping"
    folder.mkdir()
    shutil.copyfile(database_template, folder / "aihub.db")
    repository = Repository.open(f"sqlite:///{folder / 'aihub.db'}", timeout_s=1)
    hub = TestHub(repository, folder, feedback_pictures=True)
    faces = CARDS["thing-detection"].replace("id: thing", "id: face").replace("domain: demo", "domain: faces")
    (hub.cards / "face-detection.yaml").write_text(faces, encoding="utf-8")
    hub.services.registry.reload()
    yield hub
    repository.close()


@pytest.fixture
def desk(keeping: TestHub) -> Iterator[TestClient]:
    """Speaks to that hub with a key for events."""
    with TestClient(keeping.app) as client:
        client.headers.update(bearer(keeping.key("events")))
        yield client


def seen(hub: TestHub, number: int = 1, **changes: object) -> Event:
    """An event with its evidence, 64 x 48 pixels."""
    made = event(number, **{"box": BOX, **changes})
    made = made.model_copy(update={"snapshot": hub.artifacts.save_snapshot(made, Frame(picture(WIDE, HIGH)))})
    hub.repository.save_transitions([made])
    return made


def say(client: TestClient, about: Event, verdict: str = "true", **more: object) -> dict[str, Any]:
    response = client.post(f"{EVENTS}/{about.id}/feedback", json={"verdict": verdict, **more})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def kept(hub: TestHub) -> list[str]:
    return sorted(path.stem for path in (hub.services.settings.home / "feedback").glob("*"))


def test_by_default_the_label_is_stored_and_the_picture_is_not(hub: TestHub, client: TestClient) -> None:
    said = say(client, seen(hub), note="a real one")
    assert (said["verdict"], said["note"], said["picture"]) == ("true", "a real one", "not allowed")
    assert said["boxes"] == [{"label": "thing", "box": BOX_IN_PIXELS}], "the event's own box is the label"
    assert (said["width"], said["height"]) == (WIDE, HIGH)
    assert kept(hub) == []
    problem(client.get(f"{FEEDBACK}/{said['id']}/picture"), 404, "feedback-picture-not-found")


def test_where_allowed_the_picture_is_the_clean_evidence_and_outlives_it(
    keeping: TestHub, desk: TestClient
) -> None:
    about = seen(keeping)
    evidence = keeping.artifacts.read(about.snapshot or "")
    said = say(desk, about)
    assert said["picture"] == "stored"
    keeping.artifacts.path(about.snapshot or "").unlink()
    keeping.repository.save_transitions(
        [about.model_copy(update={"state": EventState.CLOSED, "ended_at": 1.0, "revision": 2})]
    )
    assert keeping.repository.prune(older_than_s=1) == 1
    response = desk.get(f"{FEEDBACK}/{said['id']}/picture")
    assert (response.headers["content-type"], response.content) == ("image/jpeg", evidence)
    assert desk.get(FEEDBACK).json()["items"] == [said], "the label outlives the event too"
    problem(desk.get(f"{EVENTS}/{about.id}/feedback"), 404, "event-not-found")


def without_picture(hub: TestHub) -> Event:
    made = event(2, box=BOX)
    hub.repository.save_transitions([made])
    return made


def swept(hub: TestHub) -> Event:
    made = seen(hub, 3)
    hub.artifacts.path(made.snapshot or "").unlink()
    return made


def torn(hub: TestHub) -> Event:
    made = seen(hub, 4)
    hub.artifacts.path(made.snapshot or "").write_bytes(b"\xff\xd8\xff")
    return made


@pytest.mark.parametrize(
    ("make", "picture_is", "why"),
    [
        (seen, "stored", "allowed and there"),
        (without_picture, "gone", "the disk was full when it opened"),
        (swept, "gone", "its time was over"),
        (torn, "gone", "a file that is no picture is none"),
        (lambda hub: seen(hub, 5, algorithm="face-detection"), "not allowed", "faces never"),
        (
            lambda hub: seen(hub, 6, algorithm="gone-detection"),
            "not allowed",
            "nobody knows what it was about",
        ),
    ],
)
def test_whether_a_picture_is_kept_is_said(
    keeping: TestHub, desk: TestClient, make: Callable[[TestHub], Event], picture_is: str, why: str
) -> None:
    said = say(desk, make(keeping), "false")
    assert said["picture"] == picture_is, why
    assert (said["width"] is None) == (picture_is == "gone")
    assert kept(keeping) == ([said["id"]] if picture_is == "stored" else [])


@pytest.mark.parametrize(
    ("verdict", "changes", "given", "boxes", "why"),
    [
        ("true", {}, None, [("thing", BOX_IN_PIXELS)], "the event's own box"),
        ("true", {}, [], [], "none, said in so many words"),
        ("true", {"box": None}, None, [], "the alarm was about the whole picture"),
        ("true", {"box": (-0.5, 0.5, 1.5, 1.0)}, None, [("thing", [0.0, 24.0, 64.0, 24.0])], "cut to the picture"),
        ("true", {"box": (0.5, 0.5, 0.5, 0.9)}, None, [], "no area, no label"),
        ("true", {"label": "A\0B"}, None, [("AB", BOX_IN_PIXELS)], "text that PostgreSQL cannot hold"),
        ("true", {}, [("cat", [1, 2, 3.5, 4])], [("cat", [1.0, 2.0, 3.5, 4.0])], "what is given counts alone"),
        ("false", {}, None, [], "an empty picture"),
        ("false", {}, [], [], "the same"),
        ("missed", {}, [("cat", [0, 0, 64, 48])], [("cat", [0.0, 0.0, 64.0, 48.0])], "up to the edges"),
        ("missed", {}, None, [], "the event's own box is not what was missed"),
    ],
)  # fmt: skip
def test_what_the_label_is(
    hub: TestHub, client: TestClient, verdict: str, changes: dict[str, Any],
    given: list[tuple[str, list[float]]] | None, boxes: list[tuple[str, list[float]]], why: str,
) -> None:  # fmt: skip
    more = {} if given is None else {"boxes": [{"label": label, "box": box} for label, box in given]}
    said = say(client, seen(hub, **changes), verdict, **more)
    assert [(row["label"], row["box"]) for row in said["boxes"]] == boxes, why


def test_the_own_box_is_that_of_the_picture_and_not_a_later_one(hub: TestHub, client: TestClient) -> None:
    about = seen(hub)
    later = about.model_copy(
        update={"revision": 2, "snapshot": None, "box": (0, 0, 0.1, 0.1), "updated_at": 2000.0}
    )
    hub.repository.save_transitions([later])
    stored = hub.repository.get_event(about.id)
    assert (stored.snapshot, stored.box) == (about.snapshot, later.box), "its own picture could not be kept"
    assert say(client, about)["boxes"] == [{"label": "thing", "box": BOX_IN_PIXELS}]


def box(*sides: object, label: object = "cat") -> dict[str, object]:
    return {"label": label, "box": sides}


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        ({}, "verdict", "nothing said"),
        ({"verdict": "maybe"}, "verdict", "one of three"),
        ({"verdict": True}, "verdict", "a word, not a JSON boolean"),
        ({"verdict": "true", "note": "x" * 1001}, "note", "too long"),
        ({"verdict": "true", "note": "a\0b"}, "note", "not every database holds it"),
        ({"verdict": "true", "extra": 1}, "extra", "unknown fields are errors"),
        ({"verdict": "missed", "boxes": [box(0, 0, 1, 1)] * 101}, "boxes", "too many"),
        ({"verdict": "missed", "boxes": [box(0, 0, 1, 1, label="x" * 65)]}, "boxes[0].label", "too long"),
        ({"verdict": "missed", "boxes": [box(0, 0, 1, 1, label="")]}, "boxes[0].label", "empty"),
        ({"verdict": "missed", "boxes": [box(0, 0, 1, 1), box(0, 0, 65, 1)]}, "boxes[1].box", "too wide"),
        ({"verdict": "missed", "boxes": [box(60, 0, 5, 1)]}, "boxes[0].box", "over the right edge"),
        ({"verdict": "missed", "boxes": [box(0, 40, 5, 9)]}, "boxes[0].box", "over the lower edge"),
        ({"verdict": "missed", "boxes": [box(-1, 0, 5, 1)]}, "boxes[0].box[0]", "left of the picture"),
        ({"verdict": "missed", "boxes": [box(0, 0, 0, 1)]}, "boxes[0].box[2]", "no area"),
        ({"verdict": "missed", "boxes": [box(0, 0, 1, "NaN")]}, "boxes[0].box[3]", "no number"),
        ({"verdict": "missed", "boxes": [box(0, 0, 1)]}, "boxes[0].box[3]", "three sides"),
        ({"verdict": "false", "boxes": [box(0, 0, 1, 1)]}, "boxes", "a false alarm has none"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(
    hub: TestHub, client: TestClient, body: dict[str, object], field: str, why: str
) -> None:
    response = client.post(f"{EVENTS}/{seen(hub).id}/feedback", json=body)
    assert problem(response, 422, "params")["field"] == field, why
    assert client.get(FEEDBACK).json()["items"] == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_are_finite(hub: TestHub, client: TestClient, number: str) -> None:
    text = f'{{"verdict": "missed", "boxes": [{{"label": "cat", "box": [0, 0, {number}, 1]}}]}}'
    headers = {"Content-Type": "application/json"}
    response = client.post(f"{EVENTS}/{seen(hub).id}/feedback", content=text, headers=headers)
    problem(response, 422, "params")


def test_boxes_need_the_picture_that_they_are_on(hub: TestHub, client: TestClient) -> None:
    body = {"verdict": "missed", "boxes": [box(0, 0, 1, 1)]}
    response = client.post(f"{EVENTS}/{swept(hub).id}/feedback", json=body)
    assert problem(response, 422, "params")["field"] == "boxes"


def test_saying_it_again_replaces_it_and_others_have_their_own_say(
    keeping: TestHub, desk: TestClient
) -> None:
    about = seen(keeping)
    first = say(desk, about, "false")
    second = say(desk, about, "true")
    assert kept(keeping) == [second["id"]], "the picture of what was replaced is gone"
    colleague = bearer(keeping.key("events"))
    third = desk.post(f"{EVENTS}/{about.id}/feedback", json={"verdict": "missed"}, headers=colleague).json()
    assert [row["id"] for row in desk.get(f"{EVENTS}/{about.id}/feedback").json()["items"]] == [
        third["id"],
        second["id"],
    ]
    problem(desk.get(f"{FEEDBACK}/{first['id']}/picture"), 404, "feedback-not-found")


def test_removing_takes_the_picture_too(keeping: TestHub, desk: TestClient) -> None:
    said = say(desk, seen(keeping))
    assert desk.delete(f"{FEEDBACK}/{said['id']}").status_code == 204
    assert kept(keeping) == []
    assert desk.get(FEEDBACK).json()["items"] == []
    problem(desk.delete(f"{FEEDBACK}/{said['id']}"), 404, "feedback-not-found")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [4, 3, 2, 1]),
        ("algorithm=a1", [3, 1]),
        ("verdict=false", [4, 2]),
        ("verdict=false&algorithm=a0", [4, 2]),
        ("verdict=missed", []),
        ("algorithm=unknown", []),
        ("since=99999999999", []),
        ("since=0&limit=2", [4, 3]),
    ],
)
def test_feedback_is_listed_newest_first_and_filtered(
    hub: TestHub, client: TestClient, query: str, numbers: list[int]
) -> None:
    events = {number: seen(hub, number, algorithm=f"a{number % 2}") for number in range(1, 5)}
    for number, about in events.items():
        say(client, about, "true" if number % 2 else "false")
        time.sleep(0.002)  # ids sort by the millisecond
    rows = client.get(f"{FEEDBACK}?{query}").json()["items"]
    assert [row["event_id"] for row in rows] == [events[number].id for number in numbers]


def test_pages_hold_everything_once(hub: TestHub, client: TestClient) -> None:
    said = {say(client, seen(hub, number))["id"] for number in range(1, 8)}
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"{FEEDBACK}?limit=3{cursor}").json()
        found += [row["id"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(found) == sorted(said)


@pytest.mark.parametrize("query", ["verdict=odd", "since=yesterday", "limit=0", "limit=1001", "cursor=x"])
def test_bad_queries_are_named(client: TestClient, query: str) -> None:
    assert problem(client.get(f"{FEEDBACK}?{query}"), 422, "params")["field"] == query.partition("=")[0]


def test_another_tenant_sees_nothing(keeping: TestHub, desk: TestClient) -> None:
    about = seen(keeping)
    said = say(desk, about)
    other = bearer(keeping.key("events", tenant="other"))
    assert desk.get(FEEDBACK, headers=other).json()["items"] == []
    for method, path in (
        ("POST", f"{EVENTS}/{about.id}/feedback"),
        ("GET", f"{EVENTS}/{about.id}/feedback"),
        ("GET", f"{FEEDBACK}/{said['id']}/picture"),
        ("DELETE", f"{FEEDBACK}/{said['id']}"),
    ):
        body = {"verdict": "true"} if method == "POST" else None
        assert desk.request(method, path, json=body, headers=other).status_code == 404, (method, path)
    assert kept(keeping) == [said["id"]]


def test_what_an_administrator_says_is_the_tenants(hub: TestHub, anonymous: TestClient) -> None:
    about = seen(hub, tenant="other")
    admin, theirs = bearer(hub.key("admin")), bearer(hub.key("events", tenant="other"))
    response = anonymous.post(f"{EVENTS}/{about.id}/feedback", json={"verdict": "true"}, headers=admin)
    assert response.json()["tenant"] == "other"
    assert anonymous.get(FEEDBACK, headers=theirs).json()["items"] == [response.json()]


def test_the_scope_is_that_of_events(hub: TestHub, anonymous: TestClient) -> None:
    key = bearer(hub.key("infer", "streams", "metrics", "faces"))
    for method, path in (("GET", FEEDBACK), ("GET", f"{FEEDBACK}/x/picture"), ("DELETE", f"{FEEDBACK}/x")):
        problem(anonymous.request(method, path, headers=key), 403, "forbidden")
    response = anonymous.post(f"{EVENTS}/{seen(hub).id}/feedback", json={"verdict": "true"}, headers=key)
    problem(response, 403, "forbidden")


def test_every_change_and_every_look_is_noted(keeping: TestHub, desk: TestClient) -> None:
    said = say(desk, seen(keeping), note="his name is not for the audit")
    desk.get(f"{FEEDBACK}/{said['id']}/picture")
    desk.delete(f"{FEEDBACK}/{said['id']}")
    desk.delete(f"{FEEDBACK}/{said['id']}")
    desk.get(f"{FEEDBACK}/{said['id']}/picture")
    desk.post(f"{EVENTS}/nobody/feedback", json={"verdict": "true"})
    notes = keeping.repository.list_audit(action="feedback.").items[::-1]
    assert [(note.action, note.subject, note.outcome) for note in notes] == [
        ("feedback.give", said["event_id"], "ok"),
        ("feedback.picture", said["id"], "ok"),
        ("feedback.delete", said["id"], "ok"),
        ("feedback.delete", said["id"], "feedback-not-found"),
        ("feedback.picture", said["id"], "feedback-not-found"),
        ("feedback.give", "nobody", "event-not-found"),
    ]
    assert {note.actor for note in notes} == {"test"}
    assert "his name" not in str([note.detail for note in notes])
    assert notes[0].detail == {
        "feedback": said["id"], "event": said["event_id"], "verdict": "true", "boxes": 1, "picture": "stored",
    }  # fmt: skip


def test_a_picture_whose_look_cannot_be_noted_is_not_shown(
    keeping: TestHub, desk: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = say(desk, seen(keeping))
    monkeypatch.setattr(keeping.repository, "add_audit", failing(StorageError("locked")))
    problem(desk.get(f"{FEEDBACK}/{said['id']}/picture"), 503, "storage")


def test_what_cannot_be_stored_leaves_no_picture(
    keeping: TestHub, desk: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = seen(keeping)
    monkeypatch.setattr(keeping.repository, "give_feedback", failing(StorageError("locked")))
    problem(desk.post(f"{EVENTS}/{about.id}/feedback", json={"verdict": "true"}), 503, "storage")
    assert kept(keeping) == []


def test_a_full_disk_is_said_and_nothing_is_stored(
    keeping: TestHub, desk: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "SPARE_BYTES", 1 << 62)
    problem(desk.post(f"{EVENTS}/{seen(keeping).id}/feedback", json={"verdict": "true"}), 507, "disk-full")
    assert (kept(keeping), desk.get(FEEDBACK).json()["items"]) == ([], [])


def test_its_time_over_picture_and_row_go(keeping: TestHub, desk: TestClient) -> None:
    settings = keeping.services.settings
    young = say(desk, seen(keeping, 1))
    old = say(desk, seen(keeping, 2))
    with keeping.repository._database.write() as connection:
        connection.exec_driver_sql("UPDATE feedback SET at = at - ? WHERE id = ?", (366 * DAY_S, old["id"]))
    forget_the_old(keeping.repository, settings.model_copy(update={"feedback_days": 367}))
    assert len(kept(keeping)) == 2, "not yet"
    forget_the_old(keeping.repository, settings)
    assert [row["id"] for row in desk.get(FEEDBACK).json()["items"]] == [young["id"]]
    assert kept(keeping) == [young["id"]]


def test_a_folder_that_cannot_be_cleaned_does_not_end_the_streams(
    keeping: TestHub, desk: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    say(desk, seen(keeping))
    monkeypatch.setattr(FeedbackPictures, "sweep", failing(PermissionError("read-only")))
    forget_the_old(keeping.repository, keeping.services.settings)
    assert "read-only" in caplog.text
