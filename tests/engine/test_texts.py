"""Texts that belong to graphs: what a first copy has to be before it is pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from aihub.engine.weights import check_of, text_of
from aihub.errors import ArtifactError
from aihub.types import Artifact, ModelCard, Task


def card(uri: str) -> ModelCard:
    artifact = Artifact(uri=uri, trust="first-use", max_bytes=1000, license="MIT")
    return ModelCard(name="thing", task=Task.SPEECH_RECOGNITION, summary="A thing.", artifact=artifact)


@pytest.mark.parametrize(
    ("uri", "data", "taken"),
    [
        ("https://a/tokens.txt", "你 0\n".encode(), True),
        ("https://a/tokens.txt", b"<html>not found", False),
        ("https://a/tokens.txt", b"version https://git-lfs.github.com/spec/v1", False),
        ("https://a/tokens.txt", b"\xff\xfe\x00", False),
        ("https://a/tokens.txt", b"", False),
        ("https://a/model.onnx", b"a 0\n", False),
    ],
)
def test_a_first_copy(tmp_path: Path, uri: str, data: bytes, taken: bool) -> None:
    path = tmp_path / "came"
    path.write_bytes(data)
    if taken:
        check_of(card(uri))(path)
        assert text_of(data) == data.decode()
    else:
        with pytest.raises(ArtifactError, match="not trusted"):
            check_of(card(uri))(path)


def test_what_is_not_there_is_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        check_of(card("https://a/tokens.txt"))(tmp_path / "nothing")
