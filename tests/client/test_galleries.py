"""Galleries through both clients and the command line, on a hub whose predictor knows faces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aihub.algorithms.registry import Registry
from aihub.cli import app
from aihub.client import AihubClient
from aihub.errors import ForbiddenError, GalleryNotFoundError, InputError, NotFoundError, ParamsError
from aihub.serve.app import create_app
from tests.client.faces import Make
from tests.serve.faces import FacePredictor, face_cards, file_of
from tests.serve.hub import TestHub, serving

PURPOSE = "entry to the town hall"


@pytest.fixture
def address(hub: TestHub) -> Iterator[str]:
    face_cards(hub.cards)
    predictor = FacePredictor()
    services = replace(hub.services, predictor=predictor, registry=Registry(predictor, [hub.cards]))
    with serving(create_app(services)) as url:
        yield url


def test_a_gallery_from_beginning_to_end(hub: TestHub, address: str, make: Make, tmp_path: Path) -> None:
    client: AihubClient = make(address, hub.key("infer", "faces"), timeout=10)
    made = client.add_gallery("staff", PURPOSE, retention_days=30)
    assert (made.name, made.subjects) == ("staff", 0)
    (tmp_path / "li.png").write_bytes(file_of(1))
    li = client.enrol("staff", "Li", tmp_path / "li.png", purpose=PURPOSE, consent="form 1")
    client.enrol("staff", "Wang", [file_of(2), file_of(2, noise=3)], purpose=PURPOSE, consent="form 2")
    assert [(one.name, one.faces, one.consent) for one in client.subjects("staff")] == [
        ("Li", 1, "form 1"), ("Wang", 2, "form 2"),
    ]  # fmt: skip
    assert client.subject("staff", li.id) == li
    assert [one.subjects for one in client.galleries()] == [2]
    client.erase("staff", li.id)
    with pytest.raises(NotFoundError):
        client.subject("staff", li.id)
    assert client.gallery("staff").subjects == 1
    client.delete_gallery("staff")
    with pytest.raises(GalleryNotFoundError):
        client.gallery("staff")


def test_refusals(hub: TestHub, address: str, make: Make) -> None:
    client: AihubClient = make(address, hub.key("infer", "faces"), timeout=10)
    client.add_gallery("staff", PURPOSE, retention_days=30)
    with pytest.raises(ParamsError, match="another purpose"):
        client.enrol("staff", "Li", file_of(1), purpose="marketing", consent="form 1")
    with pytest.raises(InputError, match="no face") as caught:
        client.enrol("staff", "Li", [file_of(1), file_of(1, faces=0)], purpose=PURPOSE, consent="form 1")
    assert caught.value.field == "images[1]"
    other: AihubClient = make(address, hub.key("infer"), timeout=10)
    with pytest.raises(ForbiddenError, match="faces"):
        other.galleries()


def test_the_command_line(
    hub: TestHub, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIHUB_URL", address)
    monkeypatch.setenv("AIHUB_KEY", hub.key("infer", "faces"))
    (tmp_path / "li.png").write_bytes(file_of(1))

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["galleries", *arguments], prog_name="aihub")
        assert (done.exit_code == 0) == (code == 0), done.output
        return done.output

    run("create", "staff", "--purpose", PURPOSE, "--retention-days", "30")
    given = ["--purpose", PURPOSE, "--consent", "form 1"]
    li = json.loads(run("enrol", "staff", "Li", str(tmp_path / "li.png"), *given, "--json"))
    assert li["name"] == "Li"
    assert PURPOSE in run("list")
    assert "form 1" in run("list", "staff")
    assert json.loads(run("list", "staff", "--json"))[0]["id"] == li["id"]
    run("erase", "staff", li["id"])
    assert json.loads(run("list", "staff", "--json")) == []
    run("remove", "staff")
    run("list", "staff", code=1)
