"""Evidence pictures: whole or absent, only ours, bounded."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from aihub.errors import StorageError
from aihub.events.evidence import ArtifactFolder, EvidenceNotFoundError
from aihub.types import Frame, Image, Observation, uuid7
from tests.storage.databases import an_event


def a_frame(height: int = 90, width: int = 160) -> Frame:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    return Frame(np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (height, width, 3))))


def decoded(data: bytes) -> Image:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def test_a_picture_comes_back_by_its_name(tmp_path: Path) -> None:
    folder = ArtifactFolder(tmp_path / "artifacts")
    event = an_event(updated_at=86400.0 * 31)
    name = folder.save_snapshot(event, a_frame())
    assert name == f"events/1970/02/01/{event.id}-1.jpg"
    picture = decoded(folder.read(name))
    assert picture.shape == (90, 160, 3)
    assert abs(picture.astype(int) - a_frame().image).mean() < 3
    assert stat.S_IMODE(folder.path(name).stat().st_mode) == 0o600
    assert [path.name for path in folder.path(name).parent.iterdir()] == [f"{event.id}-1.jpg"]


@pytest.mark.parametrize(
    ("size", "kept"),
    [((2160, 3840), (720, 1280)), ((2000, 10), (1280, 6)), ((720, 1280), (720, 1280)), ((1, 1), (1, 1))],
)
def test_large_pictures_are_made_to_fit(tmp_path: Path, size: tuple[int, int], kept: tuple[int, int]) -> None:
    folder = ArtifactFolder(tmp_path)
    name = folder.save_snapshot(an_event(), Frame(np.zeros((*size, 3), np.uint8)))
    picture = decoded(folder.read(name))
    assert picture.shape[:2] == kept


def test_boxes_are_drawn_only_when_asked_and_never_into_the_frame(tmp_path: Path) -> None:
    folder, frame = ArtifactFolder(tmp_path), Frame(np.zeros((100, 100, 3), np.uint8))
    observations = [Observation("a", "person", 0.9, (0.1, 0.1, 0.9, 0.9)), Observation("zone", "any", 1.0)]
    clean = folder.read(folder.save_snapshot(an_event(), frame, observations))
    drawn = folder.read(folder.save_snapshot(an_event(), frame, observations, draw=True))
    assert decoded(clean).max() == 0
    assert decoded(drawn).max() > 100
    assert frame.image.max() == 0


GOOD = f"events/2026/01/02/{uuid7(1.0)}-1.jpg"


@pytest.mark.parametrize(
    "name",
    [
        GOOD,  # well formed, but not there
        "",
        "../secret",
        "/etc/passwd",
        f"../{GOOD}",
        f"events/2026/01/../{GOOD}",
        GOOD.replace("events", "events/.."),
        GOOD + "\n",
        GOOD + "\0",
        GOOD.replace(".jpg", ".db"),
        GOOD.upper(),
        "hub.db",
    ],
)
def test_no_other_file_can_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "hub.db").write_text("s")
    with pytest.raises(EvidenceNotFoundError):
        ArtifactFolder(tmp_path / "artifacts").read(name)


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    link = tmp_path / "artifacts" / GOOD
    link.parent.mkdir(parents=True)
    link.symlink_to(secret)
    with pytest.raises(EvidenceNotFoundError):
        ArtifactFolder(tmp_path / "artifacts").read(GOOD)


def test_old_and_surplus_pictures_go_oldest_first(tmp_path: Path) -> None:
    folder = ArtifactFolder(tmp_path, max_age_s=100.0, max_bytes=10**9)
    names = []
    for number in range(5):
        event = an_event(id=uuid7(float(number)), updated_at=number * 86400.0)
        names.append(folder.save_snapshot(event, a_frame()))
        os.utime(folder.path(names[-1]), (1000.0 + number, 1000.0 + number))
    size = folder.path(names[0]).stat().st_size
    assert folder.sweep(now=1101.5) == 2 * size  # the two older than 100 s
    assert not (tmp_path / "events/1970/01/01").exists()
    small = ArtifactFolder(tmp_path, max_age_s=1e9, max_bytes=int(2.5 * size))
    assert small.sweep(now=1101.5) == size
    assert [name for name in names if (tmp_path / name).exists()] == names[3:]


def test_the_folder_is_swept_without_being_asked(tmp_path: Path) -> None:
    folder = ArtifactFolder(tmp_path, max_bytes=0)
    name = folder.save_snapshot(an_event(), a_frame())
    with pytest.raises(EvidenceNotFoundError):
        folder.read(name)


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space"):
        ArtifactFolder(tmp_path).save_snapshot(an_event(), a_frame())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
