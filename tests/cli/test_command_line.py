"""The command line as a stranger meets it: real processes, exit codes, one JSON value, no tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

from aihub.cli.values import parse_params
from aihub.errors import ParamsError
from aihub.scenes.drawings import qr_and_barcode


def aihub(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    everything = os.environ | {"AIHUB_HOME": str(home), "AIHUB_URL": "http://127.0.0.1:9"} | environment
    return subprocess.run(
        [sys.executable, "-m", "aihub", *words],
        env=everything,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command with --json printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_algorithm_is_listed_with_its_state(tmp_path: Path) -> None:
    rows = said(aihub(tmp_path, "algorithms", "list", "--json"))
    assert len(rows) >= 17
    assert {row["state"] for row in rows} <= {"ready", "needs-weights"}
    assert all(row["title"]["zh"] for row in rows)


def test_without_weights_the_list_says_the_command_that_brings_them(tmp_path: Path) -> None:
    rows = said(aihub(tmp_path, "algorithms", "list", "--json", AIHUB_MODEL_MIRROR=""))
    (row,) = (row for row in rows if row["id"] == "audio-tagging")
    assert row["state"] == "needs-weights"
    assert "aihub models pull" in row["reason"]


def test_a_key_is_printed_once_and_can_be_revoked(tmp_path: Path) -> None:
    made = said(aihub(tmp_path, "keys", "create", "desk", "--scopes", "infer,events", "--json"))
    assert made["key"].startswith("aihub_")
    listed = aihub(tmp_path, "keys", "list", "--json")
    assert made["key"] not in listed.stdout
    (row,) = (row for row in said(listed) if row["name"] == "desk")
    assert row["scopes"] == ["infer", "events"]
    said(aihub(tmp_path, "keys", "revoke", row["id"], "--json"))
    (row,) = (row for row in said(aihub(tmp_path, "keys", "list", "--json")) if row["name"] == "desk")
    assert row["revoked_at"] is not None


def test_a_picture_is_read_without_a_hub(tmp_path: Path) -> None:
    file = tmp_path / "code.png"
    cv2.imwrite(str(file), qr_and_barcode())
    result = said(
        aihub(tmp_path, "infer", "qr-and-barcode", str(file), "--out", str(tmp_path / "out"), "--json")
    )
    assert "codes" in json.dumps(result)
    assert list((tmp_path / "out").glob("*.jpg"))


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("infer", "person-detectoin", "x.jpg"), 2, "person-detection"),  # the nearest name
        (("infer", "qr-and-barcode", "no-such-file.jpg"), 2, "no such file"),
        (("keys", "create", "x", "--scopes", "everything"), 2, "infer"),  # what scopes there are
        (("streams", "list"), 1, "no hub answers"),
        (("streams", "probe", "rtsp://127.0.0.1:9/x"), 1, "127.0.0.1"),
        (("cameras", "no-such-file.mp4"), 2, "no such file"),
        (("algorithms", "show", "nothing-like-it"), 2, "nothing-like-it"),
        (("models", "pull"), 2, "--all"),  # neither a name nor all
    ],
)
def test_mistakes_end_with_a_sentence_that_says_what_to_do(
    tmp_path: Path, words: tuple[str, ...], code: int, hint: str
) -> None:
    said(aihub(tmp_path, "keys", "create", "me", "--json"))
    done = aihub(tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert hint in done.stderr + done.stdout


def test_one_algorithm_proves_itself(tmp_path: Path) -> None:
    (report,) = said(aihub(tmp_path, "algorithms", "check", "black-screen", "--json"))
    assert report["state"] == "ready"
    assert all(check["passed"] for check in report["checks"])


@pytest.mark.weights
@pytest.mark.media
def test_a_domain_proves_itself(tmp_path: Path, mirror: Path, media: Path) -> None:
    """One of thirteen; all of them prove themselves in tests/catalog."""
    everything = os.environ | {
        "AIHUB_HOME": str(tmp_path),
        "AIHUB_MODEL_MIRROR": str(mirror),
        "AIHUB_TEST_MEDIA": str(media),
    }
    command = [sys.executable, "-m", "aihub", "algorithms", "check", "--domain", "water", "--json"]
    done = subprocess.run(command, env=everything, capture_output=True, text=True, timeout=200, check=False)
    reports = json.loads(done.stdout)
    assert done.returncode == 0, [r for r in reports if not all(c["passed"] for c in r["checks"])]
    assert len(reports) > 5
    assert {report["state"] for report in reports} == {"ready"}
    assert {report["evidence"] for report in reports} <= {"real", "synthetic"}
    unknown = aihub(tmp_path, "algorithms", "check", "--domain", "waters")
    assert unknown.returncode == 2
    assert "domains: " in unknown.stderr


@pytest.mark.weights
def test_what_lacks_weights_names_what_to_bring(tmp_path: Path, mirror: Path) -> None:
    (report,) = said(aihub(tmp_path, "algorithms", "check", "speaker-count", "--json"))
    assert report["state"] == "needs-weights"
    assert report["wanted"]
    assert all(one["file"] and one["source"] and one["license"] for one in report["wanted"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=0.4", 0.4),  # JSON
        ("x=fire", "fire"),  # plain text
        ("x=[[0,0],[1,1]]", [[0, 0], [1, 1]]),  # a line
        ("x=", ""),  # empty
        ("x=a=b", "a=b"),  # only the first sign parts
    ],
)
def test_values_are_json_or_text(text: str, value: object) -> None:
    assert parse_params([text]) == {"x": value}


def test_a_value_without_a_name_is_refused() -> None:
    with pytest.raises(ParamsError, match="NAME=VALUE"):
        parse_params(["=3"])
