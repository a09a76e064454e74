"""Pictures of feedback: private, whole, found by id alone, and none without a row for long."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aihub.errors import StorageError
from aihub.events.feedback_pictures import FeedbackPictureNotFoundError, FeedbackPictures
from aihub.types import uuid7
from tests.serve.hub import failing

NOW = 1_000_000.0


@pytest.fixture
def pictures(tmp_path: Path) -> FeedbackPictures:
    return FeedbackPictures(tmp_path)


def test_a_picture_comes_back_until_it_is_removed(pictures: FeedbackPictures, tmp_path: Path) -> None:
    name = uuid7()
    pictures.save(name, b"jpeg")
    assert pictures.read(name) == b"jpeg"
    (path,) = (tmp_path / "feedback").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pictures.remove(name)
    pictures.remove(name)
    assert list((tmp_path / "feedback").iterdir()) == []
    with pytest.raises(FeedbackPictureNotFoundError):
        pictures.read(name)


@pytest.mark.parametrize(
    "name", ["", "..", "../admin", "x", f"{uuid7()}/../a", f"{uuid7()}\n", uuid7().upper()]
)
def test_nothing_but_ids_leads_to_a_file(pictures: FeedbackPictures, tmp_path: Path, name: str) -> None:
    (tmp_path / "admin.jpg").write_bytes(b"secret")
    for method in (pictures.read, pictures.remove, lambda given: pictures.save(given, b"")):
        with pytest.raises(FeedbackPictureNotFoundError):
            method(name)
    assert (tmp_path / "admin.jpg").exists()


def test_a_disk_that_refuses_is_said(pictures: FeedbackPictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match="No space"):
        pictures.save(uuid7(), b"jpeg")


@pytest.mark.parametrize(
    ("name", "age_s", "has_row", "stays", "why"),
    [
        ("{}.jpg", 7200, True, True, "it has its row"),
        ("{}.jpg", 7200, False, False, "the process died before its row was written, or after it went"),
        ("{}.jpg", 60, False, True, "its row may be on its way"),
        (".{}.jpg.0123abcd", 7200, True, False, "half a file"),
        (".{}.jpg.0123abcd", 60, True, True, "a file that is being written"),
        ("{}.txt", 7200, False, True, "not ours"),
    ],
)
def test_the_sweep_takes_what_has_no_row(
    pictures: FeedbackPictures, tmp_path: Path, name: str, age_s: float, has_row: bool, stays: bool, why: str
) -> None:
    feedback_id = uuid7()
    pictures.save(feedback_id, b"jpeg")
    path = (tmp_path / "feedback" / f"{feedback_id}.jpg").rename(
        tmp_path / "feedback" / name.format(feedback_id)
    )
    os.utime(path, (NOW - age_s, NOW - age_s))
    removed = pictures.sweep(lambda: {feedback_id} if has_row else set(), now=NOW)
    assert (path.exists(), removed) == (stays, int(not stays)), why


def test_a_hub_without_pictures_asks_nobody(pictures: FeedbackPictures) -> None:
    assert pictures.sweep(failing(AssertionError("asked")), now=NOW) == 0  # type: ignore[arg-type]
