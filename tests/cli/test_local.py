"""Commands that need no hub, no weights and no media, as a person and as a program have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_one_picture_is_an_object_and_several_are_a_list(aihub: Run, picture: Path, black: Path) -> None:
    one = aihub("infer", "black-screen", black, "--json").value
    assert (one["file"], one["found"]["fault"]) == (str(black), True)
    several = aihub("infer", "black-screen", picture, black, "--json").value
    assert [row["found"]["fault"] for row in several] == [False, True]


def test_results_are_told_in_words_and_the_log_is_quiet(aihub: Run, picture: Path, black: Path) -> None:
    done = aihub("infer", "black-screen", picture, black)
    assert (done.code, done.err) == (0, "")
    first, second = done.out.split(str(black))
    assert "fault: no" in first
    assert "fault: yes" in second
    assert "mean_luma: 0" in second


def test_nothing_found_is_said(aihub: Run, picture: Path) -> None:
    assert "nothing found" in aihub("infer", "qr-and-barcode", picture).out


def test_drawn_results_of_files_with_one_name_are_kept_apart(aihub: Run, black: Path, here: Path) -> None:
    twin = here / "other" / black.name
    twin.parent.mkdir()
    twin.write_bytes(black.read_bytes())
    rows = aihub("infer", "black-screen", black, twin, "--out", here / "out" / "new", "--json").value
    drawn = [Path(row["drawn"]) for row in rows]
    assert len(set(drawn)) == 2
    assert all(file.read_bytes()[:2] == b"\xff\xd8" for file in drawn)


def test_a_log_level_that_was_asked_for_is_kept(
    aihub: Run, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    from aihub.cli.local import quiet_settings

    assert quiet_settings().log_level == "WARNING"
    (here / "aihub.toml").write_text('log_level = "ERROR"')
    assert quiet_settings().log_level == "ERROR"
    monkeypatch.setenv("AIHUB_LOG_LEVEL", "INFO")
    assert quiet_settings().log_level == "INFO"


def test_an_algorithm_is_shown_with_its_parameters_and_proof(aihub: Run) -> None:
    text = aihub("algorithms", "show", "intrusion").out
    assert all(word in text for word in ("ready", "zone", "polygon", "proof"))
    text = aihub("algorithms", "show", "audio-tagging").out
    assert all(word in text for word in ("needs-weights", "proof", "AIHUB_MODEL_MIRROR"))
    card = aihub("algorithms", "show", "intrusion", "--json").value
    assert set(card["params"]) == set(card["params_schema"]["properties"])


def test_algorithms_of_one_domain(aihub: Run) -> None:
    rows = aihub("algorithms", "list", "--domain", "traffic", "--json").value
    assert {row["domain"] for row in rows} == {"traffic"}


def test_missing_weights_are_no_failure_of_a_check(aihub: Run, here: Path) -> None:
    done = aihub("algorithms", "check", "audio-tagging", "--json")
    (report,) = done.value
    assert done.code == 0
    assert report["state"] == "needs-weights"
    assert {check["passed"] for check in report["checks"]} == {True}
    assert {check["skipped"] for check in report["checks"]} == {True, False}
    text = aihub("algorithms", "check", "audio-tagging").out
    assert "skipped: " in text
    assert "aihub models pull" in text


def test_checks_draw_what_was_seen(aihub: Run, here: Path) -> None:
    (report,) = aihub("algorithms", "check", "black-screen", "--out", here / "proof", "--json").value
    assert report["evidence"] == "synthetic"
    assert report["pictures"]
    assert all(Path(file).is_file() for file in report["pictures"])


def test_models_are_listed_with_what_tuning_found(aihub: Run, here: Path) -> None:
    rows = aihub("models", "list", "--json").value
    assert {row["tuned"] for row in rows} == {None}
    assert any(row["available"] for row in rows)  # those in installed packages
    assert not all(row["available"] for row in rows)
    (here / "home" / "profiles").mkdir(parents=True)
    (here / "home" / "profiles" / "broken.json").write_text("{")
    assert aihub("models", "list").code == 0


def test_weights_that_are_here_are_verified_and_others_told_of(aihub: Run) -> None:
    assert {row["name"] for row in aihub("models", "verify", "--all", "--json").value} >= {"ppocr-det"}
    done = aihub("models", "verify", "yolox-nano", "ppocr-det", "--json")
    assert done.code == 1
    missing, here = done.value
    assert "are not here" in missing["error"]
    assert len(here["sha256"]) == 64
    assert "ok" in aihub("models", "verify", "ppocr-det").out


def test_a_pull_that_fails_does_not_keep_the_others_from_coming(
    aihub: Run, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    (here / "mirror").mkdir()
    monkeypatch.setenv("AIHUB_MODEL_MIRROR", str(here / "mirror"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no internet
    done = aihub("models", "pull", "fastestdet", "ppocr-det", "--json")
    assert done.code == 1
    failed, came = done.value
    assert failed["error"]
    assert Path(came["path"]).is_file()
    assert done.err == ""


def test_keys_are_listed_whole_with_their_state(aihub: Run) -> None:
    made = [aihub("keys", "create", "desk", "--expires-days", days, "--json").value for days in (0, 1)]
    gone = aihub("keys", "create", "old", "--json").value
    assert aihub("keys", "revoke", gone["id"]).out == f"revoked {gone['id']}\n"
    rows = {line.split()[0]: line for line in aihub("keys", "list").out.splitlines()[1:]}
    assert "expired" in rows[made[0]["id"]]
    assert "active until" in rows[made[1]["id"]]
    assert "revoked" in rows[gone["id"]]
    assert len(rows) == 4  # the admin's own
    assert not [key for key in (*made, gone) if key["key"] in json.dumps(rows)]


def test_versions(aihub: Run) -> None:
    assert aihub("version").out == f"aihub {aihub('version', '--json').value['version']}\n"
