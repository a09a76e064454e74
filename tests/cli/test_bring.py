"""`aihub models pull`, `drop` and `list`: what was trusted is told, roles move to what was brought, and back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.engine.tiny import double_graph, mean_graph

BODY, OTHER = mean_graph(), double_graph()
SHA, OTHER_SHA = (hashlib.sha256(body).hexdigest() for body in (BODY, OTHER))


@pytest.fixture
def copy(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror that has what its makers published as YOLOX-m, whose card states no digest."""
    path = here / "mirror" / "models" / "detect" / "yolox_m_coco.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    monkeypatch.setenv("AIHUB_MODEL_MIRROR", str(here / "mirror"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no internet
    return path


def row(aihub: Run, name: str = "yolox-m") -> dict[str, object]:
    found: dict[str, object] = next(
        row for row in aihub("models", "list", "--json").value if row["name"] == name
    )
    return found


def test_what_is_trusted_on_first_use_is_told_and_listed(aihub: Run, copy: Path) -> None:
    before = row(aihub)
    assert (before["state"], before["trust"], before["sha256"], before["pinned"]) == (
        "on request", "first-use", None, None,
    )  # fmt: skip
    assert "not pinned" in aihub("models", "list").out
    assert "aihub models pull yolox-m" in aihub("models", "verify", "yolox-m").out
    (came,) = aihub("models", "pull", "yolox-m", "--json").value
    assert came == {
        "name": "yolox-m", "path": str(copy), "sha256": SHA, "license": "Apache-2.0", "trusted_on_first_use": True,
        "takes_over": {"coco": "city-detector"},
    }  # fmt: skip
    after = row(aihub)
    assert (after["state"], after["sha256"], after["bytes"]) == ("yes", SHA, len(BODY))
    assert "pinned 20" in aihub("models", "list").out
    assert aihub("models", "verify", "yolox-m", "--json").value == [{"name": "yolox-m", "sha256": SHA}]
    (again,) = aihub("models", "pull", "yolox-m", "--json").value
    assert (again["trusted_on_first_use"], again["takes_over"]) == (False, {})


def test_in_words(aihub: Run, copy: Path) -> None:
    said = aihub("models", "pull", "yolox-m").out
    assert f"trusted on first use: sha256 {SHA} counts from now on" in said
    assert "answers coco from now on, instead of city-detector; `aihub models drop yolox-m` goes back" in said
    assert "trusted" not in aihub("models", "pull", "yolox-m").out


def test_changed_content_is_refused_until_it_is_pinned_anew(aihub: Run, copy: Path) -> None:
    aihub("models", "pull", "yolox-m")
    copy.write_bytes(OTHER)
    for command in ("pull", "verify"):
        done = aihub("models", command, "yolox-m", "--json")
        assert done.code == 1
        assert SHA in done.value[0]["error"]
        assert OTHER_SHA in done.value[0]["error"]
        assert "aihub models pull yolox-m --repin" in done.value[0]["hint"]
    (anew,) = aihub("models", "pull", "yolox-m", "--repin", "--json").value
    assert (anew["sha256"], anew["trusted_on_first_use"]) == (OTHER_SHA, True)


def test_dropping_gives_a_role_back(aihub: Run, copy: Path, here: Path) -> None:
    aihub("models", "pull", "yolox-m")
    pin = here / "home" / "models" / "pins" / "yolox-m.json"
    assert aihub("models", "drop", "yolox-m", "--json").value == [
        {"name": "yolox-m", "removed": [str(pin)]}
    ], "the mirror's file stays"
    assert copy.exists()
    assert row(aihub)["state"] == "on request"
    assert "nothing was brought here" in aihub("models", "drop", "yolox-m").out


def test_a_damaged_pin_is_listed(aihub: Run, copy: Path, here: Path) -> None:
    aihub("models", "pull", "yolox-m")
    (here / "home" / "models" / "pins" / "yolox-m.json").write_text("{")
    (here / "home" / "profiles").mkdir()
    found = row(aihub)
    assert found["state"] == "pin damaged"
    assert "cannot be read" in str(found["damaged"])
    assert aihub("models", "pull", "yolox-m").code == 1


def test_all_of_pull_leaves_upgrades_out(aihub: Run, copy: Path) -> None:
    rows = aihub("models", "pull", "--all", "--json").value
    names = {row["name"] for row in rows}
    assert "ppocr-rec" in names
    assert not names & {"yolox-m", "dfine-s", "sface", "ppocr-rec-medium"}


def test_trusting_anew_takes_names(aihub: Run, copy: Path) -> None:
    done = aihub("models", "pull", "--all", "--repin")
    assert (done.code, "name the models" in done.err) == (2, True)
    (refused,) = aihub("models", "pull", "yolox-s", "--repin", "--json").value
    assert "digest of yolox-s is in its card" in refused["error"]
