"""`/v1/jobs` over HTTP: submit, follow, cancel, fetch; with the runner in the same process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from aihub.jobs import folders as folders_module
from aihub.jobs.folders import JobFolders
from aihub.jobs.runner import JobRunner
from aihub.jobs.workplace import Workplace
from aihub.serve import job_intake, job_uploads
from aihub.serve.app import create_app
from aihub.serve.pictures import decode_picture
from aihub.settings import Settings
from aihub.storage.records import Tenant
from tests.jobs.films import film_bytes, jpeg, zip_of
from tests.serve.hub import TestHub, bearer, serving

THING = ["thing-detection"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return film_bytes(tmp_path_factory.mktemp("film"), frames=30)


def workplace(hub: TestHub) -> Workplace:
    return Workplace(
        registry=hub.services.registry,
        predictor=hub.predictor,
        folders=JobFolders(hub.services.settings.home),
        read_picture=lambda data: decode_picture(data, max_pixels=10**6),
    )


@pytest.fixture
def runner(hub: TestHub) -> Iterator[JobRunner]:
    working = JobRunner("host", hub.repository, workplace(hub), lease_s=60)
    working.start()
    yield working
    working.close()


def post(client: TestClient, data: bytes, name: str = "film.mp4", **fields: Any) -> Any:
    form = {"algorithms": json.dumps(THING)} | fields
    return client.post("/v1/jobs", data=form, files={"file": (name, data)})


def submit(client: TestClient, data: bytes, name: str = "film.mp4", **fields: Any) -> dict[str, Any]:
    answer = post(client, data, name, **fields)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def ended(client: TestClient, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now: dict[str, Any] = client.get(f"/v1/jobs/{job}").json()
        if now["state"] not in ("queued", "running"):
            return now
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def folders(hub: TestHub) -> list[str]:
    root = JobFolders(hub.services.settings.home).root
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


def test_a_film_from_submission_to_its_outputs(client: TestClient, film: bytes, runner: JobRunner) -> None:
    job = submit(client, film, "../x/my\u202efilm.mp4", outputs="mp4,coco", fps="10")
    assert (job["state"], job["kind"], job["name"]) == ("queued", "video", "myfilm.mp4")
    assert job["outputs"] == ["jsonl", "mp4", "coco"]
    done = ended(client, job["id"])
    assert (done["state"], done["error"]) == ("done", "")
    assert done["progress"]["percent"] == 100
    base = f"/v1/jobs/{job['id']}"
    lines = [json.loads(line) for line in client.get(f"{base}/results.jsonl").text.splitlines()]
    assert sum("result" in line for line in lines) == 30
    assert client.get(f"{base}/coco.json").json()["categories"] == [{"id": 1, "name": "thing"}]
    whole = client.get(f"{base}/annotated.mp4")
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(f"{base}/annotated.mp4", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    tail = client.get(f"{base}/annotated.mp4", headers={"Range": "bytes=-7"})
    assert tail.content == whole.content[-7:]
    for span, status in (
        ("bytes=99999999-", 416),
        ("bytes=-0", 416),
        ("lines=1-2", 400),
        ("bytes=9-3", 400),
        ("bytes=-", 400),
    ):
        wrong = client.get(f"{base}/annotated.mp4", headers={"Range": span})
        assert (wrong.status_code, wrong.headers["content-type"]) == (status, "application/problem+json"), (
            span
        )


def test_what_was_fetched_is_in_the_audit(
    hub: TestHub, client: TestClient, film: bytes, runner: JobRunner
) -> None:
    job = submit(client, film)["id"]
    ended(client, job)
    client.get(f"/v1/jobs/{job}/results.jsonl")
    missing = client.get(f"/v1/jobs/{job}/annotated.mp4")
    assert (missing.status_code, missing.json()["code"]) == (404, "output-not-found")
    notes = {(note.action, note.outcome) for note in hub.repository.list_audit().items if note.subject == job}
    assert notes == {("job.jsonl", "ok"), ("job.mp4", "output-not-found")}


def test_pictures_in_a_zip(client: TestClient, runner: JobRunner) -> None:
    job = submit(client, zip_of({"a.jpg": jpeg(), "b.txt": b"x"}), "some.zip", outputs='["coco"]')
    assert job["kind"] == "pictures"
    assert ended(client, job["id"])["state"] == "done"
    coco = client.get(f"/v1/jobs/{job['id']}/coco.json").json()
    assert [image["file_name"] for image in coco["images"]] == ["a.jpg"]


def test_progress_is_told_until_the_end(client: TestClient, film: bytes, runner: JobRunner) -> None:
    job = submit(client, film)["id"]
    with client.stream("GET", f"/v1/jobs/{job}/progress") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        steps = [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:")]
    assert steps[-1]["state"] == "done"
    assert steps[-1]["progress"]["percent"] == 100
    assert [step["progress"]["percent"] for step in steps] == sorted(s["progress"]["percent"] for s in steps)


def test_cancel_and_delete(hub: TestHub, client: TestClient, film: bytes) -> None:
    job = submit(client, film)["id"]
    assert client.get(f"/v1/jobs/{job}/results.jsonl").status_code == 409
    assert client.delete(f"/v1/jobs/{job}").status_code == 409
    assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/v1/jobs/{job}/cancel").status_code == 200
    assert client.get(f"/v1/jobs/{job}/results.jsonl").status_code == 404
    assert folders(hub) == [job]
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.get(f"/v1/jobs/{job}").status_code == 404
    assert folders(hub) == []


def test_lists_in_pages(client: TestClient, film: bytes) -> None:
    ids = [submit(client, film)["id"] for _ in range(3)]
    client.post(f"/v1/jobs/{ids[0]}/cancel")
    first = client.get("/v1/jobs", params={"limit": 2}).json()
    rest = client.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [job["id"] for job in first["items"] + rest["items"]] == sorted(ids, reverse=True)
    assert [job["id"] for job in client.get("/v1/jobs?state=cancelled").json()["items"]] == [ids[0]]
    assert client.get("/v1/jobs?state=lost").status_code == 422
    assert client.get("/v1/jobs?cursor=x").status_code == 422


def test_a_tenant_sees_its_own_only(hub: TestHub, anonymous: TestClient, film: bytes) -> None:
    ours, theirs, admin = (
        bearer(hub.key("infer", tenant="ours")), bearer(hub.key("infer", tenant="theirs")), bearer(hub.key("admin"))
    )  # fmt: skip
    form = {"algorithms": "thing-detection"}
    job = anonymous.post("/v1/jobs", data=form, files={"file": film}, headers=ours).json()["id"]
    for method, path in (
        ("GET", ""), ("GET", "/progress"), ("POST", "/cancel"), ("DELETE", ""), ("GET", "/results.jsonl"),
        ("GET", "/annotated.mp4"), ("GET", "/coco.json"),
    ):  # fmt: skip
        assert anonymous.request(method, f"/v1/jobs/{job}{path}", headers=theirs).status_code == 404, path
    assert anonymous.get("/v1/jobs", headers=theirs).json()["items"] == []
    assert [row["id"] for row in anonymous.get("/v1/jobs", headers=admin).json()["items"]] == [job]


def test_what_was_not_granted_is_not_there(hub: TestHub, anonymous: TestClient, film: bytes) -> None:
    hub.repository.add_tenant(Tenant("poor", algorithms=("clip-*",)))
    headers = bearer(hub.key("infer", tenant="poor"))
    for name in ("thing-detection", "nobody-knows-this"):
        answer = anonymous.post("/v1/jobs", data={"algorithms": name}, files={"file": film}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "algorithm-not-found")
    assert folders(hub) == []


@pytest.mark.parametrize(
    ("fields", "data", "status", "code", "field", "why"),
    [
        ({"algorithms": "[]"}, None, 422, "params", "algorithms", "nothing to do"),
        ({"algorithms": "[{]"}, None, 422, "params", "algorithms", "not JSON"),
        ({"algorithms": "[" * 5000}, None, 422, "params", "algorithms", "a JSON bomb"),
        ({"algorithms": "no-such-thing"}, None, 404, "algorithm-not-found", "algorithms[0]", "unknown"),
        (
            {"algorithms": '[{"algorithm": "thing-detection", "params": {"confidence": 7}}]'},
            None, 422, "params", "algorithms[0].params.confidence", "out of range",
        ),
        ({"algorithms": "absent-detection"}, b"zip", 503, "weights-missing", "algorithms[0]", "no weights here"),
        ({"algorithms": "sound-only"}, None, 415, "unsupported-type", "algorithms[0]", "listens"),
        ({"algorithms": "clip-only"}, b"zip", 415, "unsupported-type", "algorithms[0]", "needs a film"),
        ({"fps": "0"}, None, 422, "params", "fps", "no frame at all"),
        ({"fps": "nan"}, None, 422, "params", "fps", "not a number"),
        ({"outputs": "avi"}, None, 422, "params", "outputs[0]", "unknown output"),
        ({"outputs": "mp4"}, b"zip", 422, "params", "outputs", "pictures make no film"),
        ({"colour": "red"}, None, 422, "params", "colour", "unknown field"),
        ({}, b"#EXTM3U\n", 415, "unsupported-type", "file", "a playlist"),
        ({}, b"", 415, "unsupported-type", "file", "an empty file"),
        ({}, jpeg(), 415, "unsupported-type", "file", "a single picture"),
        ({}, zip_of({"a.zip": b"x"}), 415, "unsupported-type", "file", "a ZIP in a ZIP"),
        ({}, zip_of({"a.txt": b"x"}), 400, "input", "file", "no picture"),
        ({}, b"PK\x03\x04xx", 400, "input", "file", "a broken ZIP"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_leaves_nothing_behind(
    hub: TestHub, client: TestClient, film: bytes, fields: dict[str, str], data: bytes | None,
    status: int, code: str, field: str, why: str,
) -> None:  # fmt: skip
    sent = film if data is None else zip_of({"a.jpg": jpeg()}) if data == b"zip" else data
    answer = post(client, sent, **fields)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert folders(hub) == []
    assert hub.repository.list_jobs().items == []


HEAD = b'--B\r\nContent-Disposition: form-data; name="algorithms"\r\n\r\nthing-detection\r\n'
FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (HEAD + FILE + b"abc", 400, "it ends inside the file"),
        (HEAD + FILE + b"abc\r\n--B\r\n", 400, "it ends before the next part"),
        (HEAD + b"--B--\r\n", 400, "no file"),
        (FILE + b"abc\r\n" + FILE + b"abc\r\n--B--\r\n", 400, "two files"),
        (HEAD + HEAD + b"--B--\r\n", 400, "a field twice"),
        (b"nonsense", 400, "not a form"),
        (b"", 400, "nothing"),
        (b'--B\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\nabc\r\n--B--\r\n', 400, "another file"),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 300_000 + b"\r\n--B--\r\n", 413, "a long field"),
        (b"--B\r\nX: " + b"y" * 10_000 + b"\r\n\r\nabc\r\n--B--\r\n", 400, "a long header"),
        (b"--B\r\n\r\nabc\r\n--B--\r\n", 400, "a part without a name"),
        (b"".join(b'--B\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % i for i in range(20)) + b"--B--", 400, "many fields"),
    ],
)  # fmt: skip
def test_broken_forms(hub: TestHub, client: TestClient, body: bytes, status: int, why: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = client.post("/v1/jobs", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["field"]
    assert folders(hub) == []


@pytest.mark.parametrize(
    ("content_type", "status"), [("multipart/form-data", 400), ("text/plain", 415), ("video/mp4", 415)]
)
def test_other_bodies_are_refused(client: TestClient, content_type: str, status: int) -> None:
    answer = client.post("/v1/jobs", content=b"x", headers={"Content-Type": content_type})
    assert answer.status_code == status


def test_the_file_is_bounded_and_goes_to_disk_as_it_comes(
    hub: TestHub, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Settings(home=hub.services.settings.home, max_job_bytes=5_000_000)
    object.__setattr__(hub.services, "settings", small)
    largest = 0
    real = job_uploads._write

    def watch(file: Any, data: list[bytes]) -> None:
        nonlocal largest
        largest = max(largest, sum(map(len, data)))
        real(file, data)

    monkeypatch.setattr(job_uploads, "_write", watch)
    with serving(create_app(hub.services)) as url, httpx2.Client(base_url=url, timeout=30) as client:
        client.headers.update(bearer(hub.key("infer")))
        form = {"algorithms": "thing-detection"}
        padded = film + b"\0\0\0\0free" * ((4_900_000 - len(film)) // 8)
        good = client.post("/v1/jobs", data=form, files={"file": padded})
        assert good.status_code == 201, good.text
        assert largest < 2 * 1024 * 1024
        for size in (5_000_001, 9_000_000):
            bad = client.post("/v1/jobs", data=form, files={"file": b"x" * size})
            assert (bad.status_code, bad.json()["code"]) == (413, "too-large")
    assert folders(hub) == [good.json()["id"]]


def test_a_mistake_is_told_before_the_file_is_sent(hub: TestHub) -> None:
    """The fields come first, so that nobody sends 2 GB to learn of a typing error."""
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield HEAD.replace(b"thing-detection", b"thing-detektion") + FILE
        for _ in range(200):
            sent += 1
            yield b"x" * 65536
            time.sleep(0.01)
        yield b"\r\n--B--\r\n"

    with serving(hub.app) as url, httpx2.Client(base_url=url, timeout=30) as client:
        headers = bearer(hub.key("infer")) | {"Content-Type": "multipart/form-data; boundary=B"}
        answer = client.post("/v1/jobs", content=body(), headers=headers)
        assert (answer.status_code, answer.json()["hint"]) == (404, "did you mean 'thing-detection'?")
    assert folders(hub) == []


def test_an_upload_that_stands_still_is_given_up(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_uploads, "IDLE_S", 0.3)

    def body() -> Iterator[bytes]:
        yield HEAD + FILE
        time.sleep(1.5)
        yield b"late"

    with serving(hub.app) as url, httpx2.Client(base_url=url, timeout=30) as client:
        headers = bearer(hub.key("infer")) | {"Content-Type": "multipart/form-data; boundary=B"}
        try:
            answer = client.post("/v1/jobs", content=body(), headers=headers)
        except httpx2.TransportError:
            pass  # the server may close before the client has read the answer
        else:
            assert (answer.status_code, answer.json()["field"]) == (400, "body")
    assert folders(hub) == []


def test_a_client_that_goes_away_leaves_nothing_behind(hub: TestHub) -> None:
    def body() -> Iterator[bytes]:
        yield HEAD + FILE + b"x" * 3_000_000
        raise ConnectionAbortedError

    with serving(hub.app) as url, httpx2.Client(base_url=url, timeout=30) as client:
        headers = bearer(hub.key("infer")) | {"Content-Type": "multipart/form-data; boundary=B"}
        with pytest.raises(ConnectionAbortedError):
            client.post("/v1/jobs", content=body(), headers=headers)
        client.close()
        deadline = time.monotonic() + 10
        while folders(hub) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert folders(hub) == []


def test_a_full_disk_is_told_before_the_file_is_sent(
    hub: TestHub, client: TestClient, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders_module, "SPARE_BYTES", 2**62)
    answer = post(client, film)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")
    assert folders(hub) == []


def limited(hub: TestHub, **settings: Any) -> TestClient:
    changed = Settings(home=hub.services.settings.home, **settings)
    object.__setattr__(hub.services, "settings", changed)
    return TestClient(create_app(hub.services), headers=bearer(hub.key("infer")))


def test_a_tenant_may_have_so_many_jobs(hub: TestHub, film: bytes) -> None:
    with limited(hub, jobs_per_tenant=2) as client:
        first = submit(client, film)["id"]
        submit(client, film)
        full = post(client, film)
        assert (full.status_code, full.json()["code"]) == (429, "queue-full")
        assert int(full.headers["Retry-After"]) >= 1
        client.post(f"/v1/jobs/{first}/cancel")
        submit(client, film)


def test_so_many_uploads_at_the_same_time(
    hub: TestHub, client: TestClient, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_intake, "UPLOADS_PER_TENANT", 0)
    answer = post(client, film)
    assert (answer.status_code, answer.json()["code"]) == (429, "queue-full")
    monkeypatch.setattr(job_intake, "UPLOADS_PER_TENANT", 1)
    for _ in range(3):
        assert post(client, b"nothing").status_code == 415  # a place that was taken is given back
    assert post(client, film).status_code == 201


FolderOf = Callable[[Path], str]


@pytest.mark.parametrize(
    ("folder", "status", "why"),
    [
        (lambda base: str(base / "allowed"), 201, "the folder itself"),
        (lambda base: str(base / "allowed" / "deep"), 201, "below it"),
        (lambda base: str(base / "secret"), 403, "another folder"),
        (lambda base: str(base / "nowhere"), 403, "no folder at all answers the same"),
        (lambda base: str(base / "allowed" / ".." / "secret"), 403, "up and down again"),
        (lambda base: str(base / "allowed" / "link"), 403, "a link out of it"),
        (lambda base: str(base / "allowed-too"), 403, "a name that begins alike"),
        (lambda base: "allowed", 403, "relative to who knows what"),
        (lambda base: str(base / "allowed" / "empty"), 400, "no picture in it"),
        (lambda base: str(base / "allowed" / "gone"), 400, "not there"),
        (lambda base: "/x\0y", 400, "not a path"),
    ],
)
def test_folders_of_the_machine(
    hub: TestHub, tmp_path: Path, folder: FolderOf, status: int, why: str
) -> None:
    base = tmp_path / "base"
    for name in ("allowed/deep", "secret", "allowed-too"):
        (base / name).mkdir(parents=True)
        (base / name / "a.jpg").write_bytes(jpeg())
    (base / "allowed" / "empty").mkdir()
    (base / "allowed" / "link").symlink_to(base / "secret")
    with limited(hub, job_folders=[str(base / "allowed")]) as client:
        answer = client.post("/v1/jobs", json={"folder": folder(base), "algorithms": THING})
        assert answer.status_code == status, answer.text
        if status != 201:
            assert answer.json()["field"] == "folder"


def test_no_folder_is_allowed_by_default(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    answer = client.post("/v1/jobs", json={"folder": str(tmp_path), "algorithms": THING})
    assert answer.status_code == 403


@pytest.mark.parametrize("body", [b"[1]", b"{", b"null", b"[" * 100_000, b"\xff"])
def test_broken_json(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (422, "body")
