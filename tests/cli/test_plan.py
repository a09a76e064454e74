"""`aihub plan`, and what `aihub bench profile` says without running anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aihub.bench.streams import profile
from aihub.capacity.costs import FILE, remember
from tests.capacity.invented import ROUND
from tests.cli.conftest import Run


@pytest.fixture
def costs(here: Path) -> Path:
    path = here / "measured.json"
    remember(ROUND, path)
    return path


def test_flags_are_a_plan(aihub: Run, costs: Path) -> None:
    said = aihub(
        "plan", "--streams", 1000, "--algorithms", "people,cars", "--fps", 2, "--source-fps", 10, "--latency", "1s",
        "--cores-per-machine", 10, "--costs", costs, "--json",
    ).value  # fmt: skip
    assert (said["machines"], said["bottleneck"]) == (7, "cpu")  # 54 cores by 10 * 0.8
    assert said["measured"]["fingerprint"] == ROUND.fingerprint


def test_people_read_what_to_give_up(aihub: Run, costs: Path) -> None:
    done = aihub("plan", "--streams", 1000, "--algorithms", "people", "--machines", 5, "--costs", costs)
    assert done.code == 0
    assert "machines (5 there are)" in done.out
    assert re.search(r"pause +all: \d+ of 1000 paused", done.out)
    assert done.out.count("assumed") >= 2


def test_a_mix_is_the_document_of_the_api(aihub: Run, costs: Path, here: Path) -> None:
    mix = here / "mix.yaml"
    mix.write_text(
        "latency_ms: 500\ngroups:\n- {name: a, streams: 10, algorithms: [people]}\n- {name: b, streams: 5, algorithms: [fire], fps: 1}\n",
        encoding="utf-8",
    )
    said = aihub("plan", "--mix", mix, "--costs", costs, "--json").value
    assert [one["name"] for one in said["groups"]] == ["a", "b"]


def test_what_was_measured_here_is_the_default(aihub: Run, here: Path) -> None:
    asked = ("plan", "--streams", 1, "--algorithms", "people", "--json")
    before = aihub(*asked)
    assert before.code == 2
    assert "aihub bench run costs" in before.err
    remember(ROUND, here / "home" / FILE)
    assert aihub(*asked).value["machines"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--streams", 5), "--algorithms"),
        (("--streams", 5, "--algorithms", "peple"), "groups[0].algorithms[0]"),
        (("--streams", 0, "--algorithms", "people"), "groups[0].streams"),
        (("--streams", 5, "--algorithms", "people", "--resolution", "4k"), "groups[0].resolution"),
        (("--streams", 5, "--algorithms", "people", "--latency", "soon"), "300ms"),
        (("--mix", "absent.yaml"), "no such file"),
        (("--mix", "absent.yaml", "--streams", 5), "leave the flags out"),
    ],
)
def test_what_is_wrong_is_named(aihub: Run, costs: Path, arguments: tuple[object, ...], words: str) -> None:
    done = aihub("plan", *arguments, "--costs", costs)
    assert done.code == 2
    assert words in done.err


STEPS = (profile.Step("decode", 3.0, None), profile.Step("wait", 4.0, 0.4), profile.Step("other", 6.0, 0.6))
FOUND = profile.Profile("clip.mp4", ("people",), 2.0, 10, 10.0, 12.0, STEPS, 0.0)


def test_a_profile_without_a_flame_graph_says_why(
    aihub: Run, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    def refused(command: list[str], timeout_s: float) -> tuple[int, str]:
        assert timeout_s > 0
        assert "flamegraph" in command
        return 1, "Error: Permission Denied: Try running again with elevated permissions"

    monkeypatch.setattr(profile, "_in_child", lambda *_: FOUND)
    monkeypatch.setattr(profile, "_call", refused)
    done = aihub("bench", "profile", "--algorithms", "people", "--flame", here / "flame.svg")
    assert done.code == 0
    assert "ptrace is not permitted" in done.err
    assert re.search(r"wait +4.000 +40.0%", done.out)
    assert not (here / "flame.svg").exists()
    value = aihub("bench", "profile", "--algorithms", "people", "--flame", here / "flame.svg", "--json").value
    assert value["flame"] is None
    assert "ptrace" in value["flame_error"]


def test_media_that_are_not_there_are_refused_before_anything_starts(aihub: Run) -> None:
    done = aihub("bench", "profile", "--media", "absent.mp4")
    assert done.code == 2
    assert "absent.mp4" in done.err
