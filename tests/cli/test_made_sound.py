"""`aihub infer` on recordings: made sound is written, figures are shown, and what makes no sound writes none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aihub.algorithms.hearing import HeardResult
from aihub.algorithms.sound_files import decode_sound
from aihub.cli import infer as command
from aihub.scenes.tones import silence, tone, whole
from aihub.types import Recording
from tests.algorithms.sound.making import as_file
from tests.cli.conftest import Run

LOUD = whole(tone(1000, 1.5, -20), silence(0.5))


@pytest.fixture
def files(here: Path) -> list[Path]:
    pytest.importorskip("soundfile", reason="decoding sound needs the extra `speech`")
    made = []
    for folder in ("one", "two"):
        (here / folder).mkdir()
        made.append(here / folder / "hall.wav")
        made[-1].write_bytes(as_file(LOUD))
    return made


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the network, whose weights may not be here."""

    def listen(*arguments: object) -> list[HeardResult]:
        paths = arguments[1]
        assert isinstance(paths, list)
        return [Recording(LOUD * np.float32(0.5), {"removed_db": 6.0}) for _ in paths]

    monkeypatch.setattr(command, "listen", listen)


@pytest.mark.usefixtures("half")
def test_made_sound_is_written(aihub: Run, files: list[Path], here: Path) -> None:
    said = aihub("infer", "noise-suppression", files[0], "--out", here / "made")
    assert said.code == 0, said.err
    written = here / "made" / "hall.noise-suppression.wav"
    assert f"written: {written}" in said.out
    assert "removed_db: 6" in said.out
    assert np.allclose(decode_sound(written.read_bytes()), LOUD / 2, atol=1e-4)


@pytest.mark.usefixtures("half")
def test_files_of_one_name_are_kept_apart(aihub: Run, files: list[Path], here: Path) -> None:
    rows = aihub("infer", "noise-suppression", *files, "--out", here / "made", "--json").value
    written = {Path(row["written"]) for row in rows}
    assert len(written) == 2
    assert all(file.read_bytes()[:4] == b"RIFF" for file in written)


def test_figures_are_shown(aihub: Run, files: list[Path]) -> None:
    said = aihub("infer", "loudness-limit", files[0], "--param", "limit=95")
    assert said.code == 0, said.err
    assert "loud" in said.out
    assert "leq_db:" in said.out
    quiet = aihub("infer", "loudness-limit", files[0], "--param", "limit=150")
    assert "nothing heard" in quiet.out
    assert "max_db: 100" in quiet.out or "max_db: 99" in quiet.out


def test_what_makes_no_sound_writes_none(aihub: Run, files: list[Path], here: Path) -> None:
    said = aihub("infer", "loudness-limit", files[0], "--out", here / "made")
    assert said.code != 0
    assert "makes none" in said.err
    assert not (here / "made").exists()
