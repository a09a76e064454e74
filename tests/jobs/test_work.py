"""A job from its input to its outputs, whole and in pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aihub.algorithms.planner import Plan
from aihub.errors import AihubError, AlgorithmNotFoundError, FormatError, QueueFullError
from aihub.jobs.checkpoint import Checkpoint
from aihub.jobs.lines import read_lines
from aihub.jobs.work import JobRun
from aihub.jobs.workplace import Desk, Stopped, Workplace
from aihub.testing import FakePredictor
from aihub.types import Detections, Frame, StreamTask, uuid7
from aihub.types.jobs import JobCodec, JobKind, JobOutput, JobPhase, JobProgress, JobSpec
from tests.jobs.films import TASKS, film_spec, jpeg, scene, see_square, workplace, write_film, zip_of


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_film(tmp_path_factory.mktemp("film") / "film").read_bytes()


def place_job(place: Workplace, spec: JobSpec, data: bytes) -> None:
    folder = place.folders.of(spec.id)
    folder.make()
    folder.input.write_bytes(data)


def lines_of(place: Workplace, spec: JobSpec) -> list[dict[str, Any]]:
    return list(read_lines(place.folders.of(spec.id).lines))


def test_a_film_gives_a_line_for_every_frame_and_task(tmp_path: Path, film: bytes) -> None:
    place, spec = workplace(tmp_path), film_spec()
    place_job(place, spec, film)
    told: list[JobProgress] = []
    JobRun(spec, place, Desk(told.append)).run()
    head, *lines = lines_of(place, spec)
    assert head["job"]["tasks"][1]["params"]["zone"][0] == [0.4, 0]
    results = [line for line in lines if "result" in line]
    assert len(results) == 30 * len(TASKS)  # 6 s at 5 of the 10 frames a second
    assert [line["frame"] for line in results if line["task"] == "guard"] == list(range(0, 60, 2))
    assert [line["t"] for line in results if line["task"] == "guard"] == [index / 5 for index in range(30)]
    assert all(line["algorithm"] == "intrusion" for line in results if line["task"] == "guard")
    assert told[-1].percent == 100
    assert told[-1].frames_done == told[-1].frames_total == 30
    assert [step.percent for step in told] == sorted(step.percent for step in told)


def test_events_follow_the_time_of_the_film_and_all_close(tmp_path: Path, film: bytes) -> None:
    place, spec = workplace(tmp_path), film_spec()
    place_job(place, spec, film)
    JobRun(spec, place, Desk()).run()
    events = [line["event"] for line in lines_of(place, spec) if "event" in line]
    assert events
    assert all(0 <= event["started_at"] <= 6 for event in events)
    assert all(event["stream_id"] == spec.id for event in events)
    last = {event["id"]: event for event in events}
    assert {event["state"] for event in last.values()} == {"closed"}
    assert {event["type"] for event in events} >= {"intrusion"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.integers(1, 29), min_size=1, max_size=4),
    torn=st.binary(max_size=40),
    every=st.booleans(),
)
def test_a_job_that_is_killed_and_goes_on_gives_the_same_lines(
    tmp_path: Path, film: bytes, stops: list[int], torn: bytes, every: bool
) -> None:
    """Law: the file is that of an uninterrupted run, byte for byte, wherever and however often it was interrupted."""
    whole = workplace(tmp_path / "whole")
    spec = film_spec()
    place_job(whole, spec, film)
    JobRun(spec, whole, Desk()).run()
    expected = whole.folders.of(spec.id).lines.read_bytes()

    pieces = workplace(tmp_path / "pieces", checkpoint_s=0.0 if every else 1000.0)
    place_job(pieces, spec, film)
    for stop in sorted(stops):
        run = JobRun(spec, pieces, Killed(stop))
        with pytest.raises(_KillError):
            run.run()
        with pieces.folders.of(spec.id).lines.open("ab") as file:
            file.write(torn)  # what a dying process had half written
    JobRun(spec, pieces, Desk()).run()
    assert pieces.folders.of(spec.id).lines.read_bytes() == expected
    for place in (whole, pieces):
        place.folders.of(spec.id).remove()


class _KillError(BaseException):
    """The process dies here."""


class Killed(Desk):
    """Dies once that many frames are done."""

    def __init__(self, frames: int) -> None:
        def report(progress: JobProgress) -> None:
            if progress.frames_done >= frames:
                raise _KillError

        super().__init__(report)


def test_going_on_looks_at_no_frame_twice(tmp_path: Path, film: bytes) -> None:
    spec = film_spec()
    eyes = FakePredictor({"coco": see_square})
    place = workplace(tmp_path, eyes)
    place_job(place, spec, film)
    with pytest.raises(_KillError):
        JobRun(spec, place, Killed(20)).run()
    seen = len(eyes.calls)
    JobRun(spec, place, Desk()).run()
    assert len(eyes.calls) - seen <= 11  # the frame at which it died is done again
    assert eyes.calls[0].source == f"default/{spec.id}"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: folder.checkpoint.write_bytes(b"{}"), "a checkpoint that says nothing"),
        (lambda folder: folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:-20]), "torn"),
        (lambda folder: folder.lines.write_bytes(b""), "lines shorter than the checkpoint says"),
    ],
)
def test_a_spoilt_checkpoint_means_the_beginning(tmp_path: Path, film: bytes, spoil: Any, why: str) -> None:
    place, spec = workplace(tmp_path), film_spec()
    place_job(place, spec, film)
    with pytest.raises(_KillError):
        JobRun(spec, place, Killed(10)).run()
    spoil(place.folders.of(spec.id))
    JobRun(spec, place, Desk()).run()
    results = [line for line in lines_of(place, spec) if "result" in line]
    assert len(results) == 30 * len(TASKS)


def test_another_version_does_not_go_on_from_a_checkpoint(tmp_path: Path, film: bytes) -> None:
    spec = film_spec()
    before, after = workplace(tmp_path, version="1"), workplace(tmp_path, version="2")
    place_job(before, spec, film)
    with pytest.raises(_KillError):
        JobRun(spec, before, Killed(10)).run()
    JobRun(spec, after, Desk()).run()
    head, *lines = lines_of(after, spec)
    assert head["job"]["hub"] == "2"
    assert sum("result" in line for line in lines) == 30 * len(TASKS)


def test_memory_that_cannot_be_kept_means_the_beginning(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage may hold what no pickle takes; the job is then done from its beginning, with the same lines."""

    def refuse(_: Plan) -> None:
        raise TypeError("this stage keeps a decoder")

    monkeypatch.setattr(Plan, "__reduce__", refuse)
    place, spec = workplace(tmp_path), film_spec()
    place_job(place, spec, film)
    with pytest.raises(_KillError):
        JobRun(spec, place, Killed(10)).run()
    assert not place.folders.of(spec.id).checkpoint.exists()
    JobRun(spec, place, Desk()).run()
    assert sum("result" in line for line in lines_of(place, spec)) == 30 * len(TASKS)


def test_stopping_leaves_a_job_that_goes_on(tmp_path: Path, film: bytes) -> None:
    place, spec = workplace(tmp_path), film_spec()
    place_job(place, spec, film)
    done: list[JobProgress] = []
    with pytest.raises(Stopped):
        JobRun(spec, place, Desk(done.append, lambda: bool(done) and done[-1].frames_done > 7)).run()
    JobRun(spec, place, Desk()).run()
    assert sum("result" in line for line in lines_of(place, spec)) == 30 * len(TASKS)


@pytest.mark.parametrize(("codec", "fourcc"), [(JobCodec.VP9, b"VP90"), (JobCodec.MPEG4, b"FMP4")])
def test_annotated_film_and_coco(tmp_path: Path, film: bytes, codec: JobCodec, fourcc: bytes) -> None:
    place = workplace(tmp_path)
    spec = film_spec(JobOutput.MP4, JobOutput.COCO).model_copy(update={"codec": codec})
    place_job(place, spec, film)
    told: list[JobProgress] = []
    JobRun(spec, place, Desk(told.append)).run()
    folder = place.folders.of(spec.id)
    capture = cv2.VideoCapture(str(folder.film))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 30
    assert capture.get(cv2.CAP_PROP_FPS) == 5
    assert round(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") == fourcc
    capture.release()
    coco = json.loads(folder.coco.read_text())
    assert [image["t"] for image in coco["images"]] == [index / 5 for index in range(30)]
    assert {(image["width"], image["height"]) for image in coco["images"]} == {(128, 96)}
    names = {row["id"]: row["name"] for row in coco["categories"]}
    assert set(names.values()) == {"person", "moving"}
    people = [row for row in coco["annotations"] if names[row["category_id"]] == "person"]
    assert people
    assert all(row["bbox"][2] > 10 and 0 < row["score"] <= 1 for row in people)
    assert len({row["id"] for row in coco["annotations"]}) == len(coco["annotations"])
    assert {step.phase for step in told} >= {JobPhase.ANALYSING, JobPhase.DRAWING, JobPhase.ENDED}


def test_a_kill_while_drawing_looks_at_little_again(tmp_path: Path, film: bytes) -> None:
    eyes = FakePredictor({"coco": see_square})
    place, spec = workplace(tmp_path, eyes), film_spec(JobOutput.MP4)
    place_job(place, spec, film)

    def report(progress: JobProgress) -> None:
        if progress.phase is JobPhase.DRAWING:
            raise _KillError

    with pytest.raises(_KillError):
        JobRun(spec, place, Desk(report)).run()
    seen = len(eyes.calls)
    JobRun(spec, place, Desk()).run()
    assert len(eyes.calls) - seen <= 1
    assert place.folders.of(spec.id).film.is_file()


def pictures_spec(*outputs: JobOutput, folder: str = "") -> JobSpec:
    return JobSpec(
        id=uuid7(), kind=JobKind.PICTURES, name="some.zip", folder=folder,
        tasks=(StreamTask(id="people", algorithm="person-detection"), StreamTask(id="guard", algorithm="intrusion")),
        outputs=(JobOutput.JSONL, *outputs),
    )  # fmt: skip


def test_pictures_of_a_zip_are_each_seen_as_the_only_one(tmp_path: Path) -> None:
    place, spec = workplace(tmp_path), pictures_spec(JobOutput.COCO)
    files = {"a/1.jpg": jpeg(20), "a/broken.jpg": jpeg(20)[:100], "notes.txt": b"no", "b.png": jpeg(2)}
    place_job(place, spec, zip_of(files))
    run = JobRun(spec, place, Desk())
    run.run()
    lines = lines_of(place, spec)[1:]
    good = [line for line in lines if "result" in line]
    assert [(line["picture"], line["task"]) for line in good] == [
        ("a/1.jpg", "people"), ("a/1.jpg", "guard"), ("b.png", "people"), ("b.png", "guard"),
    ]  # fmt: skip
    (bad,) = (line for line in lines if "error" in line)
    assert (bad["picture"], bad["error"]["code"]) == ("a/broken.jpg", "image-decode")
    assert run.progress.frames_failed == 1
    assert not any("event" in line for line in lines)
    coco = json.loads(place.folders.of(spec.id).coco.read_text())
    assert [image["file_name"] for image in coco["images"]] == ["a/1.jpg", "a/broken.jpg", "b.png"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stop=st.integers(0, 5))
def test_pictures_go_on_where_they_were(tmp_path: Path, stop: int) -> None:
    place, spec = workplace(tmp_path), pictures_spec()
    place_job(place, spec, zip_of({f"{index}.jpg": jpeg(index) for index in range(6)}))
    with pytest.raises(_KillError):
        JobRun(spec, place, Killed(stop)).run()
    JobRun(spec, place, Desk()).run()
    lines = [line for line in lines_of(place, spec) if "result" in line]
    assert [line["picture"] for line in lines] == [f"{index}.jpg" for index in range(6) for _ in range(2)]


def test_a_folder_is_taken_as_it_was_when_the_job_began(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "deep").mkdir(parents=True)
    for name in ("b.jpg", "deep/a.jpg", "c.jpg"):
        (pictures / name).write_bytes(jpeg())
    place, spec = workplace(tmp_path / "home"), pictures_spec(folder=str(pictures))
    place.folders.of(spec.id).make()
    with pytest.raises(_KillError):
        JobRun(spec, place, Killed(1)).run()
    (pictures / "a-new-one.jpg").write_bytes(jpeg())
    (pictures / "c.jpg").unlink()
    JobRun(spec, place, Desk()).run()
    lines = lines_of(place, spec)[1:]
    assert [line["picture"] for line in lines if line.get("task") != "guard"] == [
        "b.jpg",
        "c.jpg",
        "deep/a.jpg",
    ]
    assert [line["picture"] for line in lines if "error" in line] == ["c.jpg"]


def test_a_full_queue_is_waited_for(tmp_path: Path, film: bytes) -> None:
    """Every frame is analysed exactly once, however often the engine says "not now"."""
    refusals = iter([True, True, False] * 1000)

    def moody(frame: Frame) -> Detections:
        if next(refusals):
            raise QueueFullError("not now")
        return see_square(frame)

    spec = film_spec(tasks=TASKS[:2])
    calm, hurried = (
        workplace(tmp_path / "calm"),
        workplace(tmp_path / "moody", FakePredictor({"coco": moody}), patience_s=5.0),
    )
    for place in (calm, hurried):
        place_job(place, spec, film)
        JobRun(spec, place, Desk()).run()
    assert lines_of(hurried, spec) == lines_of(calm, spec)


def test_frames_that_fail_are_lines_with_the_error(tmp_path: Path, film: bytes) -> None:
    def now_and_then(frame: Frame) -> Detections:
        if frame.seq % 4 == 0:
            raise AihubError("broken")
        return see_square(frame)

    place, spec = workplace(tmp_path, FakePredictor({"coco": now_and_then})), film_spec()
    place_job(place, spec, film)
    run = JobRun(spec, place, Desk())
    run.run()
    bad = [line for line in lines_of(place, spec) if "error" in line]
    assert {line["task"] for line in bad} == {"people", "guard"}
    assert run.progress.frames_failed == 15


def test_nothing_but_errors_ends_the_job(tmp_path: Path, film: bytes) -> None:
    spec = film_spec(tasks=TASKS[:1], fps=10)
    place = workplace(tmp_path, FakePredictor({"coco": AihubError("the weights are bad")}))
    place_job(place, spec, film)
    with pytest.raises(AihubError, match="the weights are bad"):
        JobRun(spec, place, Desk()).run()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\0\0\0\x18ftypisom" + b"\0" * 500, "a film without a film in it"),
        (b"\0\0\0\x18ftypmp42" + b"garbage" * 500, "garbage behind the first box"),
    ],
)
def test_films_that_cannot_be_read_say_so(tmp_path: Path, data: bytes, why: str) -> None:
    place, spec = workplace(tmp_path), film_spec()
    place_job(place, spec, data)
    with pytest.raises(FormatError, match=r"no video|no frame"):
        JobRun(spec, place, Desk()).run()


def test_a_grant_that_was_taken_back_ends_the_job(tmp_path: Path, film: bytes) -> None:
    place, spec = workplace(tmp_path, granted=lambda tenant, algorithm: False), film_spec()
    place_job(place, spec, film)
    with pytest.raises(AlgorithmNotFoundError):
        JobRun(spec, place, Desk()).run()


def test_beside_streams_a_job_rests_as_long_as_it_works(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr("aihub.jobs.workplace.time.sleep", rests.append)
    for busy in (False, True):
        place, spec = workplace(tmp_path, busy=lambda busy=busy: busy), film_spec(tasks=TASKS[:1])
        place_job(place, spec, film)
        JobRun(spec, place, Desk()).run()
        assert len(rests) == (30 if busy else 0)
    assert all(0 <= rest <= 1 for rest in rests)


def test_usage_is_booked_by_algorithm(tmp_path: Path, film: bytes) -> None:
    booked: dict[str, list[float]] = {}

    def book(tenant: str, algorithm: str, *, frames: int, compute_s: float) -> None:
        assert tenant == "default"
        known = booked.setdefault(algorithm, [0, 0.0])
        known[0] += frames
        known[1] += compute_s

    place, spec = workplace(tmp_path, book=book), film_spec()
    place_job(place, spec, film)
    JobRun(spec, place, Desk()).run()
    assert {name: row[0] for name, row in booked.items()} == {task.algorithm: 30 for task in TASKS}
    assert all(row[1] > 0 for row in booked.values())


def test_a_checkpoint_is_for_its_own_fingerprint(tmp_path: Path) -> None:
    Checkpoint("a", 7, b"memory").save(tmp_path / "checkpoint")
    assert Checkpoint.load(tmp_path / "checkpoint", "a") == Checkpoint("a", 7, b"memory")
    assert Checkpoint.load(tmp_path / "checkpoint", "b") is None
    assert Checkpoint.load(tmp_path / "none", "a") is None
    assert scene(20).max() == 255
