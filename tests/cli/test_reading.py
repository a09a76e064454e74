"""`aihub infer` on texts and on series."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from aihub.cli.reading import series_of
from aihub.errors import InputError
from tests.cli.conftest import Run

FIRE = "楼上着火了,有人被困"


def test_a_text_and_several(aihub: Run, here: Path) -> None:
    one, two = here / "one.txt", here / "two.txt"
    one.write_text(FIRE, encoding="utf-8")
    two.write_text("\ufeff请问社保卡怎么补办", encoding="utf-8")
    found = aihub("infer", "urgent-words", one, "--json").value
    assert (found["file"], found["task"]) == (str(one), "field-extraction")
    assert found["fields"][0]["value"] == "critical"
    rows = aihub("infer", "urgent-words", one, two, "--json").value
    assert [bool(row["fields"]) for row in rows] == [True, False]
    said = aihub("infer", "urgent-words", one, two)
    assert (said.code, said.err) == (0, "")
    assert "着火" in said.out
    assert "nothing found" in said.out


def test_files_of_a_sequence_follow_each_other(aihub: Run, here: Path) -> None:
    files = [here / f"{name}.txt" for name in "abc"]
    for file, text in zip(files, ["水管爆了", "停车位被占", "水管爆了"], strict=True):
        file.write_text(text, encoding="utf-8")
    rows = aihub("infer", "duplicate-tickets", *files, "--json").value
    assert [[field["value"] for field in row["fields"]] for row in rows] == [[], [], ["0"]]


def test_standard_input(aihub: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FIRE.encode())))
    assert aihub("infer", "urgent-words", "-", "--json").value["fields"]


def test_a_series(aihub: Run, here: Path) -> None:
    file = here / "level.csv"
    lines = [f"2026-01-01T{hour:02}:00:00Z,{value}" for hour, value in enumerate([1, 2, 4, 4, "", 1])]
    file.write_text("\n".join(["time,level", *lines, ""]))
    row = aihub("infer", "threshold-with-hysteresis", file, "-p", "threshold=3", "--json").value
    assert [point["label"] for point in row["points"]] == ["over", "back"]
    assert row["points"][0]["at"] == 1_767_225_600 + 7200
    said = aihub("infer", "threshold-with-hysteresis", file)
    assert "2026-01-01 02:00:00" in said.out


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("1\n2.5\n", {"values": [1, 2.5]}),
        ("visitors\n1\n2\n", {"values": [1, 2]}),
        ("1\r\n\r\n2\r\n", {"values": [1, 2]}),
        ("0,1\n60,\n120,3", {"values": [1, None, 3], "at": [0, 60, 120]}),
        ("time,value\n2026-01-01,1", {"values": [1], "at": ["2026-01-01"]}),
        ("", {"values": []}),
        ("heading only", {"values": []}),
    ],
)
def test_forms_of_a_series(text: str, series: dict[str, Any]) -> None:
    assert series_of(text, "a.csv") == series


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\nx\n", "a.csv: line 2: 'x' is no number"),
        ("1,2\n3\n", "a.csv: line 2"),
        ("1,2,3\n", "a.csv: line 1"),
        ("v\n1\n\n2,3", "a.csv: line 4"),
    ],
)
def test_a_line_that_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        series_of(text, "a.csv")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("algorithm", "content", "said"),
    [
        ("urgent-words", b"\xff\xfe", "is not UTF-8"),
        ("urgent-words", b"a" * 20_001, "20,000 characters"),
        ("sensor-dropout", b"2026-01-01,1\nyesterday,2", "at[1]"),
        ("sensor-dropout", b"5,1\n4,2", "times must rise"),
        ("sensor-dropout", b"nan,1\n4,2", "at[0]"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    aihub: Run, here: Path, algorithm: str, content: bytes, said: str
) -> None:
    file = here / "given"
    file.write_bytes(content)
    done = aihub("infer", algorithm, file)
    assert done.code == 2
    assert said in done.err
    assert "given" in done.err


def test_other_complaints(aihub: Run, here: Path) -> None:
    assert "no such file" in aihub("infer", "urgent-words", here / "none.txt").err
    (here / "a.txt").write_text("a")
    assert "drawn" in aihub("infer", "urgent-words", here / "a.txt", "--out", here / "out").err
    wrong = aihub("infer", "urgent-words", here / "a.txt", "-p", "confidence=7")
    assert "confidence" in wrong.err
    assert json.dumps(wrong.code) == "2"
