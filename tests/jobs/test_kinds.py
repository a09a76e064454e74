"""What a file is, by its first bytes; what could make a decoder open something else is never let through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aihub.errors import FormatError, TooLargeError, UnsupportedTypeError
from aihub.jobs.film import Film
from aihub.jobs.kinds import HEAD, kind_of
from aihub.types.jobs import JobKind
from tests.jobs.films import jpeg, write_film, zip_of

TS = (b"\x47" + b"\0" * 187) * 5


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypisom", JobKind.VIDEO),
        (b"\0\0\0\x14ftypqt  ", JobKind.VIDEO),
        (b"\0\0\0\x08wide\0\0", JobKind.VIDEO),
        (b"\x1aE\xdf\xa3....", JobKind.VIDEO),
        (b"RIFF\0\0\0\0AVI LIST", JobKind.VIDEO),
        (b"FLV\x01\x05", JobKind.VIDEO),
        (b"\0\0\1\xba", JobKind.VIDEO),
        (TS, JobKind.VIDEO),
        (b"\0\0\0\0" + (b"\x47" + b"\0" * 191) * 5, JobKind.VIDEO),
        (b"\0\0\0\x18ftypM4A ", JobKind.AUDIO),
        (b"RIFF\0\0\0\0WAVEfmt ", JobKind.AUDIO),
        (b"OggS", JobKind.AUDIO),
        (b"fLaC", JobKind.AUDIO),
        (b"ID3\x04", JobKind.AUDIO),
        (zip_of({"a.jpg": b"x"}), JobKind.PICTURES),
        (zip_of({}), JobKind.PICTURES),
    ],
)
def test_kinds(head: bytes, kind: JobKind) -> None:
    assert kind_of(head[:HEAD]) is kind


@pytest.mark.parametrize(
    ("head", "words", "why"),
    [
        (b"#EXTM3U\n#EXT-X-VERSION:3", "none that", "a playlist opens what it lists"),
        (b"ffconcat version 1.0\nfile /etc/passwd", "none that", "a concat script opens files"),
        (b"v=0\r\no=- 0 0 IN IP4 10.0.0.1", "none that", "a session description opens addresses"),
        (b"<?xml version='1.0'?><MPD/>", "none that", "a DASH manifest opens addresses"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "none that", "pictures that fetch pictures"),
        (jpeg(), "single picture", "there is another way for these"),
        (b"\0\0\0\x1cftypavif", "none that", "a picture in a film's box"),
        (b"Rar!\x1a\x07", "archive", "another archive"),
        (b"7z\xbc\xaf\x27\x1c", "archive", "another archive"),
        (b"\x47" * 3, "none that", "too short for a transport stream"),
        (b"", "empty", "nothing"),
    ],
)
def test_what_is_refused(head: bytes, words: str, why: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=words):
        kind_of(head)


def test_a_playlist_that_gets_past_the_first_bytes_opens_nothing(tmp_path: Path) -> None:
    """FFmpeg looks at more than we do; it is told which formats and protocols there are."""
    film = write_film(tmp_path / "film.ts")
    (tmp_path / "input").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{film}\n#EXT-X-ENDLIST\n")
    with pytest.raises(FormatError):
        Film(tmp_path / "input", max_pixels=10**7)
    (tmp_path / "input").write_text(f"ffconcat version 1.0\nfile {film.name}\n")
    with pytest.raises(FormatError):
        Film(tmp_path / "input", max_pixels=10**7)


def test_the_size_of_frames_is_bounded(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film")
    with pytest.raises(TooLargeError, match="128 x 96"):
        Film(path, max_pixels=128 * 96 - 1)


def test_moments_of_a_film_follow_its_time_stamps(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film", frames=30, fps=25.0)
    with Film(path, max_pixels=10**6) as film:
        assert (film.width, film.height, film.fps, film.frames) == (128, 96, 25.0, 30)
        assert film.expected(10) == 12
        shots = list(film.shots(10))
    assert [shot.index for shot in shots] == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28]
    assert all(abs(shot.t - shot.index / 25) < 1e-3 for shot in shots)
    for place in (0, 4, 11):
        with Film(path, max_pixels=10**6) as film:
            rest = list(film.shots(10, shots[place].after))
        assert [shot.index for shot in rest] == [shot.index for shot in shots[place + 1 :]]
        assert all((a.image == b.image).all() for a, b in zip(rest, shots[place + 1 :], strict=True))


def test_no_frame_is_given_twice_whatever_rate_is_asked_for(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film", frames=20, fps=10.0)
    with Film(path, max_pixels=10**6) as film:
        assert [shot.index for shot in film.shots(60)] == list(range(20))


def test_jobs_import_no_web_framework() -> None:
    """The analysis runs where no server is: its package must not need one."""
    code = "import sys, aihub.jobs.runner; sys.exit(bool({'fastapi', 'ray', 'starlette'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
