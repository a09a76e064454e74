"""Galleries over HTTP: who may, what is kept and what is not, what the audit says, and what a search finds."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from aihub.algorithms.galleries import NOBODY, galleries_here
from aihub.algorithms.registry import Registry
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.serve.app import create_app
from aihub.serve.galleries import HubGalleries
from aihub.serve.housekeeping import forget_the_old
from aihub.storage.repository import Repository
from aihub.storage.tables import audit
from tests.serve.faces import FacePredictor, face_cards, file_of, template
from tests.serve.hub import TestHub, bearer

PURPOSE = "entry to the town hall"


@pytest.fixture
def faces(hub: TestHub) -> Iterator[TestClient]:
    """A hub with cards about faces; the key has the scopes `infer` and `faces`."""
    face_cards(hub.cards)
    predictor = FacePredictor()
    services = replace(hub.services, predictor=predictor, registry=Registry(predictor, [hub.cards]))
    with TestClient(create_app(services)) as client:
        client.headers.update(bearer(hub.key("infer", "faces")))
        yield client


def made(client: TestClient, name: str = "staff", **changes: Any) -> Any:
    body = {"name": name, "purpose": PURPOSE, "retention_days": 30} | changes
    return client.post("/v1/galleries", json=body)


def enrolled(client: TestClient, name: str, *pictures: bytes, gallery: str = "staff", **changes: Any) -> Any:
    images = [base64.b64encode(one).decode() for one in pictures]
    body = {"name": name, "purpose": PURPOSE, "consent": "form 2026-118", "images": images} | changes
    return client.post(f"/v1/galleries/{gallery}/subjects", json=body)


def searched(client: TestClient, picture: bytes, **params: Any) -> Any:
    query = {"gallery": "staff"} | params
    return client.post(
        "/v1/algorithms/face-search/infer",
        content=picture,
        params=query,
        headers={"Content-Type": "image/png"},
    )


def notes(repository: Repository, action: str) -> list[Any]:
    return repository.list_audit(action=action).items


def test_from_enrolment_to_erasure(faces: TestClient, repository: Repository) -> None:
    assert made(faces).status_code == 201
    li, wang = enrolled(faces, "Li Wei", file_of(1), file_of(1, noise=5)), enrolled(faces, "Wang", file_of(2))
    assert (li.status_code, wang.status_code) == (201, 201)
    assert li.json()["faces"] == 2
    assert [one["name"] for one in faces.get("/v1/galleries/staff/subjects").json()["items"]] == [
        "Li Wei",
        "Wang",
    ]
    assert faces.get("/v1/galleries").json()["items"][0]["subjects"] == 2
    answer = searched(faces, file_of(1, noise=9)).json()["results"][0]
    (told,) = answer["observations"]
    assert (told["data"]["name"], told["data"]["subject"]) == ("Li Wei", li.json()["id"])
    assert told["key"] == f"subject/{li.json()['id']}"
    assert searched(faces, file_of(3)).json()["results"][0]["observations"] == [], "a stranger"
    assert faces.delete(f"/v1/galleries/staff/subjects/{li.json()['id']}").status_code == 204
    assert searched(faces, file_of(1)).json()["results"][0]["observations"] == []
    assert faces.get(f"/v1/galleries/staff/subjects/{li.json()['id']}").status_code == 404
    assert faces.delete("/v1/galleries/staff").status_code == 204
    assert searched(faces, file_of(1)).status_code == 404


def test_an_answer_never_has_a_template(faces: TestClient) -> None:
    made(faces)
    bodies = [enrolled(faces, "Li", file_of(1)).text, searched(faces, file_of(1)).text]
    bodies += [faces.get("/v1/galleries/staff/subjects").text]
    assert all("vector" not in body and "template" not in body and len(body) < 2000 for body in bodies)


def test_the_files_of_the_hub_hold_neither_templates_nor_names_nor_pictures(
    faces: TestClient, hub: TestHub, repository: Repository, tmp_path: Path
) -> None:
    made(faces)
    picture = file_of(1)
    enrolled(faces, "Li Weimin", picture)
    plain = template(1).tobytes()
    everything = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name.startswith("aihub.db") for path in everything)
    for path, data in everything.items():
        assert plain not in data, path
        assert plain[:64] not in data or path.suffix == ".yaml", path
        assert b"Li Weimin" not in data, path
        assert b"form 2026-118" not in data, path
        assert picture[:200] not in data, path
    _, stored = repository.templates("default", "staff")
    assert len(stored) == 1
    assert stored[0].sealed in b"".join(everything.values()), "it is there, sealed"
    assert len(stored[0].sealed) > len(plain)


def test_the_key_lies_outside_the_database_for_the_hub_alone(faces: TestClient, tmp_path: Path) -> None:
    assert not (tmp_path / "gallery.key").exists(), "no faces, no key"
    made(faces)
    enrolled(faces, "Li", file_of(1))
    path = tmp_path / "gallery.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = base64.b64decode(path.read_bytes())
    assert len(key) == 32
    assert all(key not in file.read_bytes() for file in tmp_path.glob("aihub.db*"))


def test_another_key_opens_nothing(faces: TestClient, hub: TestHub, repository: Repository) -> None:
    made(faces)
    enrolled(faces, "Li", file_of(1))
    (hub.services.settings.home / "gallery.key").write_bytes(base64.b64encode(os.urandom(32)))
    other = HubGalleries(repository, hub.services.settings)
    with pytest.raises(Exception, match="another key"):
        other.enrolled("default/k", "staff", FacePredictor())


@pytest.mark.parametrize(
    ("changes", "pictures", "status", "field", "why"),
    [
        ({"purpose": "marketing"}, [file_of(1)], 422, "purpose", "consent is for another purpose"),
        ({"consent": ""}, [file_of(1)], 422, "consent", "no consent"),
        ({}, [], 422, "images", "no picture"),
        ({}, [file_of(1, faces=0)], 400, "images[0]", "nobody on it"),
        ({}, [file_of(1), file_of(1, faces=2)], 400, "images[1]", "two people on it"),
        ({}, [file_of(1), file_of(2)], 400, "images", "pictures of two people"),
        ({}, [b"no picture"], 400, "images[0]", "no picture at all"),
        ({"images": ["%%%"]}, [], 400, "images[0]", "no base64"),
    ],
)
def test_who_is_not_enrolled(
    faces: TestClient, changes: dict[str, Any], pictures: list[bytes], status: int, field: str, why: str
) -> None:
    made(faces)
    answer = enrolled(faces, "Li", *pictures, **changes)
    assert answer.status_code == status, (why, answer.text)
    assert answer.json()["field"] == field, (why, answer.text)
    assert faces.get("/v1/galleries/staff").json()["subjects"] == 0


def test_every_search_and_change_is_in_the_audit_without_names(
    faces: TestClient, repository: Repository
) -> None:
    made(faces)
    who = enrolled(faces, "Li Wei", file_of(1)).json()["id"]
    searched(faces, file_of(1))
    searched(faces, file_of(2))
    enrolled(faces, "Nobody", file_of(1, faces=0))
    faces.delete(f"/v1/galleries/staff/subjects/{who}")
    looks = notes(repository, "face.search")
    assert [look.detail for look in looks] == [{"faces": 1, "found": []}, {"faces": 1, "found": [who]}]
    assert {(look.actor, look.tenant, look.subject) for look in looks} == {("test", "default", "staff")}
    assert all(look.key_id for look in looks)
    assert [one.outcome for one in notes(repository, "face.enrol")] == ["input", "ok"]
    assert notes(repository, "face.erase")[0].detail == {"subject": who}
    with repository._database.read() as connection:
        assert "Li Wei" not in str(connection.execute(audit.select()).all())


def test_what_cannot_be_noted_is_not_done(
    faces: TestClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(faces)
    enrolled(faces, "Li", file_of(1))
    from aihub.errors import StorageError

    def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(type(repository), "add_audit", full)
    assert searched(faces, file_of(1)).status_code == 503


@pytest.mark.parametrize("algorithm", ["face-search", "face-verification", "face-attendance"])
def test_comparing_faces_needs_the_scope(faces: TestClient, hub: TestHub, algorithm: str) -> None:
    headers = bearer(hub.key("infer", "streams")) | {"Content-Type": "image/png"}
    alone = faces.post(f"/v1/algorithms/{algorithm}/infer", content=file_of(1), headers=headers)
    many = faces.post(f"/v1/infer?algorithms={algorithm}", content=file_of(1), headers=headers)
    oip = faces.post(
        f"/v2/models/{algorithm}/infer",
        headers=headers | {"Content-Type": "application/json"},
        json={
            "inputs": [
                {
                    "name": "image", "datatype": "BYTES", "shape": [1],
                    "data": [base64.b64encode(file_of(1)).decode()], "parameters": {"content_type": "base64"},
                }
            ]
        },
    )  # fmt: skip
    stream = faces.post(
        "/v1/streams",
        headers=headers | {"Content-Type": "application/json"},
        json={"url": "rtsp://127.0.0.1/1", "tasks": [{"algorithm": algorithm}]},
    )
    assert [alone.status_code, many.status_code, oip.status_code] == [403, 403, 403], oip.text
    assert stream.status_code == 403
    assert "'faces'" in alone.json()["detail"]


def test_one_of_several_algorithms_that_needs_the_scope_hurts_no_other(
    faces: TestClient, hub: TestHub
) -> None:
    headers = bearer(hub.key("infer")) | {"Content-Type": "image/png"}
    answer = faces.post(
        "/v1/infer?algorithms=thing-detection,face-search", content=file_of(1), headers=headers
    )
    assert answer.status_code == 200
    assert [("error" in one) for one in answer.json()["answers"]] == [False, True]


def test_a_tenant_reaches_its_own_galleries_only(faces: TestClient, hub: TestHub) -> None:
    made(faces)
    enrolled(faces, "Li", file_of(1))
    theirs = bearer(hub.key("infer", "faces", tenant="other"))
    assert faces.get("/v1/galleries", headers=theirs).json()["items"] == []
    assert faces.get("/v1/galleries/staff/subjects", headers=theirs).status_code == 404
    answer = faces.post(
        "/v1/algorithms/face-search/infer?gallery=staff",
        content=file_of(1),
        headers=theirs | {"Content-Type": "image/png"},
    )
    assert answer.status_code == 404
    assert answer.json()["code"] == "gallery-not-found"
    assert answer.json().get("hint") is None, "not even the name of another tenant's gallery"


def test_a_search_without_a_gallery_says_what_is_missing(faces: TestClient) -> None:
    answer = searched(faces, file_of(1), gallery="")
    assert (answer.status_code, answer.json()["field"]) == (422, "gallery")
    made(faces)
    wrong = searched(faces, file_of(1), gallery="staf")
    assert (wrong.status_code, wrong.json()["hint"]) == (404, "did you mean 'staff'?")


@pytest.mark.parametrize(
    ("gallery", "status", "why"),
    [("", 422, "none is named"), ("guests", 404, "there is none of that name"), ("staff", 201, "its own")],
)
@pytest.mark.parametrize("scopes", [("streams", "faces"), ("admin",)])
def test_a_stream_searches_in_a_gallery_of_its_tenant_or_is_refused(
    faces: TestClient, hub: TestHub, scopes: tuple[str, ...], gallery: str, status: int, why: str
) -> None:
    made(faces)
    task = {"algorithm": "face-search", "params": {"gallery": gallery}}
    answer = faces.post(
        "/v1/streams", headers=bearer(hub.key(*scopes)), json={"url": "rtsp://127.0.0.1/1", "tasks": [task]}
    )
    assert answer.status_code == status, (why, answer.text)
    if status != 201:
        assert answer.json()["field"] == "tasks[0].params.gallery"


def test_a_gallery_of_that_name_is_there_already(faces: TestClient) -> None:
    assert made(faces).status_code == 201
    assert made(faces).status_code == 409


def test_who_is_over_their_time_is_not_found_and_goes(
    faces: TestClient, hub: TestHub, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(faces, retention_days=1)
    enrolled(faces, "Li", file_of(1))
    assert len(searched(faces, file_of(1)).json()["results"][0]["observations"]) == 1
    import time

    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2 * 86_400)
    assert searched(faces, file_of(1)).json()["results"][0]["observations"] == []
    assert faces.get("/v1/galleries/staff/subjects").json()["items"] == []
    forget_the_old(repository, hub.services.settings)
    assert repository.templates("default", "staff", now=0) == ([], [])
    assert notes(repository, "face.expire")[0].detail == {"subjects": 1}


def test_verification_compares_with_the_first_picture_and_is_noted(
    faces: TestClient, repository: Repository
) -> None:
    files = [("image", (str(i), file_of(who), "image/png")) for i, who in enumerate((1, 1, 2))]
    answer = faces.post("/v1/algorithms/face-verification/infer", files=files)
    first, same, other = answer.json()["results"]
    assert (first["measures"]["reference"], first["observations"]) == (1, [])
    assert [len(same["observations"]), len(other["observations"])] == [1, 0]
    assert same["measures"]["similarity"] > 0.99
    assert [note.detail["same"] for note in notes(repository, "face.verify")] == [False, True]


def test_looks_of_a_stream_become_one_note_a_minute(
    faces: TestClient, hub: TestHub, repository: Repository
) -> None:
    ours = HubGalleries(repository, hub.services.settings, every_s=60)
    for _ in range(50):
        ours.witness("default/gate", "face.search", "staff", {"faces": 2, "found": ["a", "b"]})
    assert [note.detail["looks"] for note in notes(repository, "face.search")] == [1], "the first at once"
    ours.flush()
    last, _ = notes(repository, "face.search")
    assert last.detail == {"looks": 49, "faces": 98, "found": ["a", "b"]}
    assert (last.actor, last.tenant, last.key_id) == ("default/gate", "default", "")
    ours.flush()
    assert len(notes(repository, "face.search")) == 2


def test_people_of_another_network_are_refused(
    faces: TestClient, hub: TestHub, repository: Repository
) -> None:
    made(faces)
    enrolled(faces, "Li", file_of(1))

    class Other(FacePredictor):
        def metadata(self, model: str) -> dict[str, str]:
            return {"template": "newer", "chip": "dlib-150", "distance": "0.6"}

    with pytest.raises(Exception, match="another network"):
        HubGalleries(repository, hub.services.settings).enrolled("default/k", "staff", Other())


def test_a_process_without_a_hub_takes_folders(hub: TestHub) -> None:
    assert galleries_here().enrolled("images/a.jpg", "", FacePredictor()) is NOBODY


@pytest.mark.media
@pytest.mark.weights
def test_real_faces_with_the_real_network(
    hub: TestHub, repository: Repository, media: Path, mirror: Path, tmp_path: Path
) -> None:
    """Two people enrolled from one portrait each are found on a picture of both; the files hold nothing of their faces."""
    face_cards(hub.cards)
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path / "cache", mirror=str(mirror))
    with Engine(store) as engine:
        services = replace(
            hub.services, predictor=engine, registry=Registry(engine, [hub.cards]), engine=engine
        )
        with TestClient(create_app(services)) as client:
            client.headers.update(bearer(hub.key("infer", "faces")))
            made(client)
            for name in ("obama", "biden"):
                portrait = (media / f"images/faces/train_{name}_{name}.jpg").read_bytes()
                assert enrolled(client, name, portrait).status_code == 201
            both = (media / "images/faces/test_obama_and_biden.jpg").read_bytes()
            answer = client.post(
                "/v1/algorithms/face-search/infer?gallery=staff",
                content=both,
                headers={"Content-Type": "image/jpeg"},
            ).json()["results"][0]
            chips = {"name": "chips", "datatype": "UINT8", "shape": [1, 150, 150, 3], "data": [0] * 67_500}
            path, body = "/v2/models/face-embedding/infer", {"inputs": [chips]}
            barred = client.post(path, json=body, headers=bearer(hub.key("infer")))
            allowed = client.post(path, json=body)
        people = HubGalleries(repository, hub.services.settings).enrolled("default/k", "staff", engine)
    assert {one["data"]["name"] for one in answer["observations"]} == {"obama", "biden"}
    assert answer["measures"] == {"faces": 3, "compared": 3, "found": 2}
    assert (barred.status_code, allowed.status_code) == (403, 200), (
        "the network itself is no way around the scope"
    )
    files = [path.read_bytes() for path in tmp_path.glob("aihub.db*")]
    for vector in people.vectors:
        for plain in (vector.tobytes(), vector.astype(np.float64).tobytes(), vector[:8].tobytes()):
            assert not any(plain in data for data in files)
